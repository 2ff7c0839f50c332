"""A key's two lists on its page."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.http import HttpRequest

from ..models import AllowedDomain, AllowedIP, APIKey
from ..models.entries import Entry
from ..models.lists import ListKind
from ..policy.decision import Mode
from ..policy.tokens import Kind
from .ownership import OwnerMixin, can_change
from .rows import EntryForm, EntryFormSet

if TYPE_CHECKING:
    TabularInline = admin.TabularInline[Entry, APIKey]
else:
    TabularInline = admin.TabularInline


class EntryInline(OwnerMixin, TabularInline):
    """One of a key's two lists."""

    form = EntryForm
    formset = EntryFormSet
    template = "admin/allowlist/apikey/entries.html"
    extra = 1

    @classmethod
    def can_hold(cls, key: APIKey | None) -> bool:
        """Return whether the list may be given entries, or has some to be seen."""
        kind: ListKind = cls.model.kind
        of = Kind.PUBLISHABLE if key is None else key.kind
        if not kind.takes(of):
            return False
        return Mode.LISTED in kind.modes_for(of) or (key is not None and cls._is_used(key))

    @classmethod
    def _is_used(cls, key: APIKey) -> bool:
        kind: ListKind = cls.model.kind
        return bool(getattr(key, kind.mode) == Mode.LISTED or getattr(key, kind.field).exists())

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Leave it to the model to say what is wrong with an entry: it also says what was meant."""
        if db_field.name == self.model.kind.column:
            # Stripping would drop control characters, which are refused.
            kwargs |= {"required": False, "max_length": None, "strip": False}
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def has_add_permission(self, request: HttpRequest, obj: APIKey | None = None) -> bool:
        """Return whether the user may add to the key's list."""
        return super().has_add_permission(request, obj) and can_change(request, obj)


class AllowedDomainInline(EntryInline):
    """The domains that a key lists."""

    model = AllowedDomain
    fields = ("name", "domain")


class AllowedIPInline(EntryInline):
    """The addresses and networks that a key lists."""

    model = AllowedIP
    fields = ("name", "ip")
