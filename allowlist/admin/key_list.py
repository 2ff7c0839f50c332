"""The list of keys: its columns, what it may be filtered by, and what it writes."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.filters import SimpleListFilter
from django.core import checks
from django.core.exceptions import ValidationError
from django.db import router
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..conf import settings
from ..forms.blocked_section import blocked_in_words, with_blocked
from ..forms.key_fields import KeyForm
from ..forms.summary import STATUS_LABELS, count_entries, count_label, is_open, with_counts
from ..models import APIKey
from ..models.choices import Enforcement, Status
from ..models.edits import OWN_FIELDS
from ..models.explaining import status_here
from ..models.lists import DOMAINS, IPS, KINDS, ListKind
from ..models.locks import writing
from ..policy.decision import Mode
from ..signals import acting_as
from .ownership import can_change, is_superuser, own_keys

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[APIKey]
else:
    ModelAdmin = admin.ModelAdmin


class KeyListMixin(ModelAdmin):
    """The list of keys that the admin of keys shows."""

    @admin.display(description=gettext_lazy("name"), ordering="name")
    def named(self, key: APIKey) -> SafeString:
        """Return the key's name, and the start of its token."""
        return format_html('{} <span class="allowlist-hint">{}</span>', key.name, key.hint)

    @admin.display(description=gettext_lazy("domains"), ordering="domain_mode")
    def domains(self, key: APIKey) -> str:
        """Return what the key's domain list does, in words."""
        return _("Any") if key.domain_mode == Mode.ALL else self._listed(key, DOMAINS)

    @admin.display(description=gettext_lazy("IP addresses"), ordering="ip_mode")
    def ips(self, key: APIKey) -> str:
        """Return what the key's IP list does, in words."""
        return _("Any") if key.ip_mode == Mode.ALL else self._listed(key, IPS)

    @admin.display(description=gettext_lazy("status"))
    def state(self, key: APIKey) -> SafeString:
        """Return whether the key works, in words, and whether it blocks anything."""
        marks = []
        if key.status == Status.ACTIVE and is_open(key, *(count_entries(key, kind).total for kind in KINDS)):
            marks.append((_("Works from anywhere"),))
        if key.enforcement == Enforcement.REPORT:
            marks.append((_("Monitor only"),))
        shown = format_html_join("", ' <span class="allowlist-mark">{}</span>', marks)
        return format_html("{}{}", STATUS_LABELS[status_here(key)], shown)

    @admin.display(description=gettext_lazy("blocked"), ordering="blocked_count")
    def blocked(self, key: APIKey) -> SafeString:
        """Return how many requests the key blocked, with a link to what it says about them."""
        url = reverse(f"{self.admin_site.name}:allowlist_apikey_change", args=[key.pk])
        return format_html('<a href="{}#blocked">{}</a>', url, blocked_in_words(key))

    def _listed(self, key: APIKey, kind: ListKind) -> str:
        return _("Only listed: %(count)s") % {
            "count": count_label(count_entries(key, kind).total, kind.limit)
        }

    def get_queryset(self, request: HttpRequest) -> QuerySet[APIKey]:
        """Return the user's own keys, all of them for a superuser; each with its number of entries."""
        keys = super().get_queryset(request)
        keys = keys if is_superuser(request) else keys.filter(pk__in=own_keys(request).values("pk"))
        return with_blocked(with_counts(keys.select_related("creator")))

    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        """Return what is wrong with this class; the list can't edit what only methods write."""
        return super().check(**kwargs) + [
            checks.Error(
                f"list_editable contains {name!r}, which the list of keys can't write.",
                hint=f"Use some of these: {', '.join(OWN_FIELDS)}.",
                obj=type(self),
                id="allowlist.E002",
            )
            for name in self.list_editable
            if name not in OWN_FIELDS
        ]

    def get_list_display(self, request: HttpRequest) -> Any:
        """Return the list's columns. Superusers see everyone's keys, so they also see whose they are."""
        names = [*self.list_display, *(["creator"] if is_superuser(request) else [])]
        return [name for name in names if name != "blocked" or settings().BLOCKED_PER_KEY]

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        """Allow the filters on the page, but no guess at how a digest starts."""
        names = [self.date_hierarchy, *map(_parameter, self.get_list_filter(request))]
        is_on_page = any(name and f"{lookup}__".startswith(f"{name}__") for name in names)
        return is_on_page and super().lookup_allowed(lookup, value, request)

    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> Any:
        """Return the form of a row that ``list_editable`` makes editable, if the key is the user's."""

        class RowForm(KeyForm):
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                super().__init__(*args, **kwargs)
                # From 6.1, Django itself leaves such fields out.
                for field in self.fields.values():
                    field.disabled = not can_change(request, self.instance)

        return super().get_changelist_form(request, **{"form": RowForm, **kwargs})

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """Show the list, and save what ``list_editable`` lets its user change."""
        return self.written(request, super().changelist_view, extra_context)

    def response_action(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Take an action on the selected keys."""
        return self.written(request, super().response_action, *args, **kwargs)

    def written(self, request: HttpRequest, view: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Return the view's response; if the models refuse, undo its writes and say why above the list."""
        if request.method != "POST":
            return view(request, *args, **kwargs)
        try:
            with acting_as(request.user), writing(router.db_for_write(APIKey)):
                return view(request, *args, **kwargs)
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
            return HttpResponseRedirect(reverse(f"{self.admin_site.name}:allowlist_apikey_changelist"))


def _parameter(list_filter: Any) -> Any:
    """Return what the parameters of one of the list's filters start with."""
    if isinstance(list_filter, str):
        return list_filter
    is_simple = isinstance(list_filter, type) and issubclass(list_filter, SimpleListFilter)
    return list_filter.parameter_name if is_simple else list_filter[0]
