"""A key's two lists on its page."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy

from ..forms.entry_notes import example, last_match, warning
from ..forms.rows import END_HELP, TEXT_FIELD, EntryForm, EntryFormSet
from ..models import AllowedDomain, AllowedIP, APIKey
from ..models.entries import Entry
from .ownership import OwnerMixin, can_change

if TYPE_CHECKING:
    TabularInline = admin.TabularInline[Entry, APIKey]
else:
    TabularInline = admin.TabularInline


class EndInput(forms.DateTimeInput):
    """One plain input for a date with its time."""

    def __init__(self, attrs: Any = None, **kwargs: Any) -> None:
        shown = {"size": 16, "placeholder": gettext_lazy("YYYY-MM-DD HH:MM"), **(attrs or {})}
        super().__init__(shown, **kwargs)


class EntryInline(OwnerMixin, TabularInline):
    """One of a key's two lists."""

    form = EntryForm
    formset = EntryFormSet
    template = "admin/allowlist/apikey/entries.html"
    extra = 1
    readonly_fields = ("matches", "last_matched")

    @admin.display(description=gettext_lazy("matches"))
    def matches(self, entry: Entry) -> str:
        """Return what the entry matches and what it doesn't."""
        return "" if entry.pk is None else example(entry.kind, entry.text)

    @admin.display(description=gettext_lazy("last matched"))
    def last_matched(self, entry: Entry) -> SafeString | str:
        """Return when the entry last matched, marked if it may be superfluous."""
        if entry.pk is None:
            return ""
        mark = warning(entry, timezone.now())
        shown = format_html('<span class="allowlist-mark">{}</span>', mark) if mark else ""
        return format_html("{} {}", last_match(entry), shown)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Leave it to the model to say what is wrong with an entry: it also says what was meant."""
        if db_field.name == self.model.kind.column:
            kwargs |= TEXT_FIELD
        if db_field.name == "expires_at":
            # Django's own widget has two inputs: with 80 rows, more fields than a form may have.
            kwargs |= {"form_class": forms.DateTimeField, "widget": EndInput, "help_text": END_HELP}
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def has_add_permission(self, request: HttpRequest, obj: APIKey | None = None) -> bool:
        """Return whether the user may add to the key's list."""
        return super().has_add_permission(request, obj) and can_change(request, obj)


class AllowedDomainInline(EntryInline):
    """The domains that a key lists."""

    model = AllowedDomain
    fields = ("name", "domain", "expires_at", "matches", "last_matched")


class AllowedIPInline(EntryInline):
    """The addresses and networks that a key lists."""

    model = AllowedIP
    fields = ("name", "ip", "expires_at", "matches", "last_matched")
