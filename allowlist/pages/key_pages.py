"""The list of keys, the page that creates one, and a key's own page with its settings."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db import IntegrityError, router
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _

from ..conf import settings
from ..forms.blocked_section import with_blocked
from ..forms.key_fields import keep_left_out
from ..forms.saving import UnconfirmedError, change, create, emptied
from ..forms.summary import with_counts
from ..forms.trial import sibling_offers
from ..models import APIKey
from ..models.lists import DOMAINS
from ..models.locks import writing
from ..signals import acting_as
from . import handover, once
from .base import KeyPageView, PageView, address
from .key_forms import KeyForms
from .said import line_of, steps_of

KEYS_A_PAGE = 25
CONFIRMED = "_empty_lists"
"""The name of what the page that asks sends along, once its user agrees."""


class KeyListView(PageView):
    """The user's keys, each with what it allows in one sentence."""

    def get(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        """Show the keys."""
        keys = with_blocked(with_counts(self.get_keys().order_by("-pk")))
        shown = Paginator(keys, KEYS_A_PAGE).get_page(request.GET.get("page"))
        lines = [line_of(key) for key in shown.object_list]
        return self.page("key_list", _("API keys"), lines=lines, shown=shown)


class KeyCreateView(PageView):
    """The page that creates a key."""

    def get(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        """Show the form."""
        return self._form(KeyForms(None, None, request.GET))

    def post(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        """Create the key and go to the page with its token; show the form again if it is refused."""
        forms, locator = KeyForms(None, request.POST, request.GET), once.locator_of(request)
        if forms.is_valid():
            try:
                with acting_as(request.user):
                    key, token, notes = create(forms.form, forms.save_rows(), request.user, locator)
            except ValidationError as error:
                forms.show(error)
            except IntegrityError:
                if (made := once.made(locator)) is None:
                    raise
                self.say(messages.WARNING, _("This form was sent before, and created this key."))
                return self.to("key-token", made.pk)
            else:
                return self._created(key, token, notes)
        return self._form(forms)

    def _created(self, key: APIKey, token: str, notes: list[str]) -> HttpResponse:
        self.say(messages.SUCCESS, _("Created the key."))
        for note in notes:
            self.say(messages.WARNING, note)
        return to_token(self, key, token)

    def _form(self, forms: KeyForms) -> HttpResponse:
        number = self.request.POST.get(once.FIELD) or once.new()
        return self.page("key_create", _("Create an API key"), forms=forms, once=number)


class KeyView(KeyPageView):
    """A key's page: what it allows, its lists and its other settings."""

    def get(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        """Show the settings."""
        return self._form(KeyForms(self.key, None, request.GET, request))

    def post(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        """Save the settings; show them again with all that was typed if they are refused."""
        forms = KeyForms(self.key, request.POST, request.GET)
        if forms.is_valid():
            try:
                notes = self._save(forms)
            except UnconfirmedError as asked:
                return self._confirm(asked)
            except ValidationError as error:
                forms.show(error)
            else:
                self.say(messages.SUCCESS, _("Saved."))
                for note in notes:
                    self.say(messages.WARNING, note)
                self._offer_siblings(forms)
                keep_left_out(request, forms.form)
                return self._next()
        # The form's key has what was typed and refused. What is in force is read again.
        self.key = self.find()
        return self._form(forms)

    def _offer_siblings(self, forms: KeyForms) -> None:
        for rows in forms.rows:
            if rows.model.kind is DOMAINS and rows.new_objects:
                url = address(self.request, "key-check", self.key.pk)
                for offer in sibling_offers(self.key, rows.new_objects, url):
                    self.say(messages.INFO, offer)

    def _save(self, forms: KeyForms) -> list[str]:
        with writing(router.db_for_write(APIKey)):
            with self.editing() as edit:
                lost = emptied(forms.form)
                notes = change(edit, forms.form, forms.save_rows())
            # Asked after the change was judged, and undone with it.
            if lost and CONFIRMED not in self.request.POST:
                raise UnconfirmedError(lost)
        return notes

    def _confirm(self, asked: UnconfirmedError) -> HttpResponse:
        """Ask whether the entries may be deleted. The page sends the form again, with the answer."""
        sent = [(name, each) for name, values in self.request.POST.lists() for each in values]
        sent = [(name, each) for name, each in sent if name != "csrfmiddlewaretoken"]
        return self.key_page(
            "confirm_emptying",
            _("Delete the listed entries?"),
            entries=[str(entry) for entry in asked.lost],
            days=settings().BLOCKED_DAYS,
            sent=[*sent, (CONFIRMED, "1")],
        )

    def _next(self) -> HttpResponse:
        """Return a redirect to where the form was: this page, or a page of the project's."""
        request = self.request
        wanted = request.POST.get("next", "")
        if url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure()):
            return HttpResponseRedirect(wanted)
        return HttpResponseRedirect(request.get_full_path())

    def _form(self, forms: KeyForms) -> HttpResponse:
        steps = steps_of(self.request, self.key, forms.sections)
        after = self.request.POST.get("next", "")
        return self.key_page("key", self.key.name, forms=forms, next=after, **steps)


class TokenView(KeyPageView):
    """How a key is used: its token, and what to put into a page or a server's code."""

    def get(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        """Show the token: a publishable key's always, a secret key's once."""
        token = self.key.token or handover.taken(request, self.key)
        origin = f"{request.scheme}://{request.get_host()}"
        title = _("Use this key: %(key)s") % {"key": self.key.name}
        response = self.key_page("token", title, token=token, origin=origin, conf=settings())
        response.delete_cookie(handover.NAME, path=request.path)
        return response


def to_token(view: PageView, key: APIKey, token: str) -> HttpResponse:
    """Return a redirect to the page that shows the key's new token."""
    response = view.to("key-token", key.pk)
    handover.hand_over(view.request, response, key, token, address(view.request, "key-token", key.pk))
    return response
