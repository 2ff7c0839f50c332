"""What the creator's pages have in common: who may see them, whose keys they show, and how they respond."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib import messages
from django.contrib.auth.mixins import LoginRequiredMixin
from django.core.exceptions import ValidationError
from django.db import router
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views import View
from django.views.decorators.csrf import csrf_protect

from ..forms.summary import with_counts
from ..models import APIKey
from ..models.edits import KeyEdit
from ..models.keysets import may_have_keys
from ..signals import acting_as
from .said import state_of

NAMESPACE = "allowlist_pages"
NO_STORE = "private, no-store"
"""Django 5.2's own cache respects "private" only."""


@method_decorator(csrf_protect, name="dispatch")
class PageView(LoginRequiredMixin, View):
    """A page for people who are logged in, each with their own keys, superusers too."""

    request: HttpRequest

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Return the response, which no cache stores: it may show a token."""
        response = self._judged(request, *args, **kwargs)
        response["Cache-Control"] = NO_STORE
        return response

    def _judged(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return self._to_login()
        if not may_have_keys(request.user):
            return self.page("forbidden", _("You can't have API keys"), status=403)
        try:
            self.prepare()
            return super().dispatch(request, *args, **kwargs)
        except Http404:
            # The same for a missing key and for someone else's, whatever the method.
            return self.page("not_found", _("API key not found"), status=404)

    def _to_login(self) -> HttpResponseBase:
        if self.request.method == "POST":
            self.say(messages.WARNING, _("You were logged out, so nothing was saved. Please log in again."))
        return self.handle_no_permission()

    def prepare(self) -> None:
        """Find what the address names; raise Http404 unless it is the user's."""

    def get_keys(self) -> QuerySet[APIKey]:
        """Return the keys of the user. An override narrows what is read and what is written."""
        return APIKey.objects.manageable_by(self.request.user)

    def page(self, template: str, title: str, status: int = 200, **context: Any) -> HttpResponse:
        """Return one of the pages, by the name of its template."""
        context = {
            "request": self.request,
            "title": title,
            "messages": messages.get_messages(self.request),
            **context,
        }
        return TemplateResponse(
            self.request, f"allowlist/pages/{template}.html", context, status=status
        ).render()

    def say(self, level: int, sentence: str) -> None:
        """Show a sentence on the next page, if the project has Django's messages."""
        messages.add_message(self.request, level, sentence, fail_silently=True)

    def to(self, name: str, pk: Any = None, fragment: str = "") -> HttpResponseRedirect:
        """Return a redirect to one of the pages."""
        return HttpResponseRedirect(address(self.request, name, pk) + fragment)


class KeyPageView(PageView):
    """A page of one key."""

    key: APIKey

    def prepare(self) -> None:
        """Find the key; raise Http404 unless it is the user's."""
        self.key = self.find()

    def find(self) -> APIKey:
        """Return the key as it is stored now, with the numbers of its entries."""
        try:
            key = with_counts(self.get_keys()).filter(pk=self.kwargs["pk"]).first()
        except (OverflowError, TypeError, ValueError):
            key = None  # A route of the project's may capture anything.
        if key is None:
            raise Http404
        return key

    @contextmanager
    def editing(self) -> Iterator[KeyEdit]:
        """Lock the key for one change, which is judged as a whole and is the user's in ``key_changed``.

        Raises Http404 if the key isn't the user's any more.
        """
        try:
            with acting_as(self.request.user), self.key.editing() as edit:
                # The lock is an update of the row, so a plain read sees what is committed.
                keys = self.get_keys().using(router.db_for_write(APIKey))
                if not keys.filter(pk=self.key.pk).exists():
                    raise Http404
                yield edit
        except ValidationError as error:
            if getattr(error, "code", None) == "deleted":
                raise Http404 from error
            raise

    def key_page(self, template: str, title: str, **context: Any) -> HttpResponse:
        """Return one of the key's own pages, by the name of its template."""
        return self.page(template, title, key=self.key, **state_of(self.key), **context)


def address(request: HttpRequest, name: str, pk: Any = None) -> str:
    """Return the address of one of the pages, below whatever prefix and with whatever it captures."""
    match = request.resolver_match
    captured = {} if match is None else {each: value for each, value in match.kwargs.items() if each != "pk"}
    own = {} if pk is None else {"pk": pk}
    if match is None or NAMESPACE not in match.app_names:
        captured = {}
    current = match.namespace if match is not None else None
    return reverse(f"{NAMESPACE}:{name}", kwargs={**captured, **own}, current_app=current)
