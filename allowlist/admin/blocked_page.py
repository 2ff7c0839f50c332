"""The part of the admin's page of a key that is about blocked requests, and what its buttons do."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core import signing
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse

from ..forms.blocked_actions import allowed_message, chosen_places, wanted_places
from ..forms.blocked_section import blocked_section
from ..models import APIKey, BlockedSource
from ..models.entries import Entry
from ..models.lists import KINDS
from ..models.suggestions import allow
from ..signals import acting_as
from .ownership import check_owner
from .step_pages import StepsMixin

SALT = "allowlist.chosen"


class BlockedMixin(StepsMixin):
    """Shows what a key blocked, and allows it."""

    def get_urls(self) -> list[URLPattern]:
        """Return the admin's routes and the one that allows places."""
        view = self.admin_site.admin_view(self.allow_view)
        return [
            path("<path:object_id>/blocked/allow/", view, name="allowlist_apikey_allow_blocked"),
            *super().get_urls(),
        ]

    def blocked_context(self, request: HttpRequest, key: APIKey, steps: list[Any]) -> dict[str, Any]:
        """Return what the template of the section shows."""
        section = blocked_section(key, request.GET.get("blocked-page"))
        suggested = {place.kind for place in section.places}
        return {
            "blocked": section,
            "blocked_steps": {step.name: step for step in steps if step.is_about_blocked},
            "allowable": [kind for kind in KINDS if kind in suggested and self.may_add(request, key, kind)],
            "chosen": self._chosen(request, key),
        }

    def allow_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """List what allows the place whose button was used, or the places that were selected."""
        key = self.get_object(request, object_id)
        if not self.has_change_permission(request, key):
            raise PermissionDenied
        if request.method != "POST":
            return self.to_key(key)
        selected = request.POST.getlist("place")
        wanted = wanted_places(request.POST)
        try:
            with acting_as(request.user), key.editing() as edit:
                check_owner(request, key)
                entries = allow(edit, chosen_places(wanted))
                self._log_allowed(request, key, entries)
        except BlockedSource.DoesNotExist as error:
            raise Http404 from error
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
            return self._to_blocked(request, key, selected)
        messages.success(request, allowed_message(entries))
        return self._to_blocked(request, key, [pk for pk in selected if pk not in wanted])

    def _log_allowed(self, request: HttpRequest, key: APIKey, entries: list[Entry]) -> None:
        if not all(self.may_add(request, key, entry.kind) for entry in entries):
            raise PermissionDenied
        self.log_added(request, key, entries)

    def _to_blocked(self, request: HttpRequest, key: APIKey, selected: list[str]) -> HttpResponse:
        """Return the redirect to the section, on which what was selected stays selected."""
        change = reverse(f"{self.admin_site.name}:allowlist_apikey_change", args=[key.pk])
        # Signed: a link of someone else's must not select places.
        chosen = signing.dumps([str(key.pk), selected], salt=SALT, compress=True)
        query = f"?{urlencode({'chosen': chosen})}" if selected else ""
        return HttpResponseRedirect(f"{change}{query}#blocked")

    def _chosen(self, request: HttpRequest, key: APIKey) -> list[str]:
        """Return the places that were selected when the last step was refused."""
        try:
            pk, selected = signing.loads(request.GET.get("chosen", ""), salt=SALT)
        except signing.BadSignature:
            return []
        return selected if pk == str(key.pk) else []
