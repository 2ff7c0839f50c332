"""The list of keys: its columns, what it may be filtered by, and what it writes."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.filters import SimpleListFilter
from django.core import checks
from django.core.exceptions import ValidationError
from django.db import router
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse

from ..models import APIKey
from ..models.edits import OWN_FIELDS
from ..models.locks import writing
from ..signals import acting_as
from .forms import KeyForm
from .ownership import can_change, is_superuser

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[APIKey]
else:
    ModelAdmin = admin.ModelAdmin


class KeyListMixin(ModelAdmin):
    """The list of keys that the admin of keys shows."""

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
        return (*self.list_display, "creator") if is_superuser(request) else self.list_display

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
