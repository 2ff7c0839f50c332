"""Steps on pages of their own, each after a question: rotate, revoke, restore, delete."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.translation import gettext as _

from ..forms.steps import Delete, Outcome, Rotate, Step
from ..models import APIKey
from .base import KeyPageView
from .key_pages import to_token

SEEN = "seen"
"""The field that says which token the page was about."""


class StepView(KeyPageView):
    """Asks whether a step is meant, and takes it on POST."""

    step: Step = Rotate()

    def get(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        """Ask, or say that there is nothing left to do."""
        return self._done() if self._is_done() else self._ask(self.step.form(self.key, None))

    def post(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        """Take the step, and show what became of the key."""
        form = self.step.form(self.key, request.POST)
        if self._is_done():
            return self._done()
        if not form.is_valid():
            return self._ask(form)
        try:
            with self.editing() as edit:
                if self._is_stale(edit.key):
                    return self._stale()
                outcome = self.step.take(request.user, self.key, form.cleaned_data)
        except ValidationError as error:
            self.say(messages.ERROR, " ".join(error.messages))
            return self._to_page()
        return self._after(outcome)

    def _is_done(self) -> bool:
        return self.step.is_done(self.request.user, self.key)

    def _is_stale(self, key: APIKey) -> bool:
        """Return whether the token was rotated after the page was shown: then this is a form sent twice."""
        seen = self.request.POST.get(SEEN)
        if seen is None or not isinstance(self.step, Rotate):
            return False
        return not constant_time_compare(seen, token_mark(key))

    def _stale(self) -> HttpResponse:
        self.say(
            messages.WARNING, _("The token was rotated after you opened this page. Nothing was changed.")
        )
        return self._to_page()

    def _done(self) -> HttpResponse:
        self.say(messages.WARNING, str(self.step.is_done_message))
        return self._to_page()

    def _ask(self, form: Form) -> HttpResponse:
        form.label_suffix = ""
        return self.key_page(
            "confirm",
            f"{self.step.label}: {self.key.name}",
            step=self.step,
            form=form,
            entries=self.step.entries(self.key),
            seen=token_mark(self.key),
        )

    def _after(self, outcome: Outcome) -> HttpResponse:
        self.say(messages.SUCCESS, outcome.message)
        if outcome.token is not None:
            return to_token(self, self.key, outcome.token)
        if isinstance(self.step, Delete):
            return self.to("key-list")
        return self._to_page()

    def _to_page(self) -> HttpResponse:
        """Return a redirect to the page that offers the step."""
        return self.to("key-blocked" if self.step.is_about_blocked else "key", self.key.pk)


def token_mark(key: APIKey) -> str:
    """Return what changes with the token, without saying anything about it."""
    return salted_hmac("allowlist.pages.rotate", key.digest, algorithm="sha256").hexdigest()[:16]
