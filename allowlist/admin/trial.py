"""“Test a request”: what a request with a key would get, rule by rule, and what would allow it."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _

from ..forms.trial import list_to_extend, sibling_offers, tested
from ..models import APIKey
from ..models.entries import Entry
from ..signals import acting_as
from .ownership import check_owner
from .step_pages import StepsMixin


class TrialMixin(StepsMixin):
    """The page on which a request is tested."""

    def get_urls(self) -> list[URLPattern]:
        """Return the admin's routes and that of the page."""
        view = self.admin_site.admin_view(self.test_view)
        return [path("<path:object_id>/test/", view, name="allowlist_apikey_test"), *super().get_urls()]

    def test_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show what a request would get; on POST, add a suggested entry."""
        key = self.get_object(request, object_id)
        if not self.has_view_permission(request, key):
            raise PermissionDenied
        if request.method == "POST":
            return self._add(request, key)
        context = tested(request, key)
        for line in context.get("lines", ()):
            line["may_add"] = self.may_add(request, key, line["kind"])
        return self.key_page(request, key, "test", _("Test a request: %(key)s") % {"key": key}, **context)

    def offer_siblings(self, request: HttpRequest, key: APIKey, added: list[Entry]) -> None:
        """Offer www.example.com where example.com was added, and the other way round."""
        url = reverse(f"{self.admin_site.name}:allowlist_apikey_test", args=[key.pk])
        for offer in sibling_offers(key, added, url):
            messages.info(request, offer)

    def _add(self, request: HttpRequest, key: APIKey) -> HttpResponse:
        kind = list_to_extend(request.POST)
        if not self.may_add(request, key, kind):
            raise PermissionDenied
        try:
            with acting_as(request.user), key.editing() as edit:
                check_owner(request, key)
                added = edit.list(kind).add([request.POST.get("entry", "")])
                self.log_added(request, key, added.entries)
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
        return HttpResponseRedirect(request.get_full_path())
