"""Steps about blocked requests: forget them, learn from them, enforce."""

from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..models import APIKey
from ..models.choices import Enforcement
from ..models.suggestions import forget
from .blocked_actions import LearnForm, learnable, start_enforcing, start_learning
from .steps import Outcome, Step


class BlockedStep(Step):
    """One step that the section about blocked requests offers."""

    is_about_blocked = True


class Forget(BlockedStep):
    """Deletes what was recorded."""

    name = "forget_blocked"
    label = gettext_lazy("Forget all blocked requests")
    question = gettext_lazy(
        "The list of blocked requests is emptied. The key blocks what it blocked before. You can't undo this."
    )

    def is_done(self, user: Any, key: APIKey) -> bool:
        """Return False: what is recorded may be forgotten, also of a revoked key."""
        return False

    def take(self, user: Any, key: APIKey, given: dict[str, Any]) -> Outcome:
        """Delete what was recorded."""
        with key.editing() as edit:
            forget(edit)
        return Outcome(_("Forgot all blocked requests."))


class Enforce(BlockedStep):
    """Has a key that only monitors block what isn't listed."""

    name = "start_enforcing"
    label = gettext_lazy("Start enforcing")
    question = gettext_lazy("From now on, the key blocks requests that aren't listed.")
    is_done_message = gettext_lazy("This key already blocks what isn't listed, or it is revoked.")

    def is_done(self, user: Any, key: APIKey) -> bool:
        """Return whether the key enforces its lists."""
        return key.revoked_at is not None or key.enforcement == Enforcement.ENFORCE

    def take(self, user: Any, key: APIKey, given: dict[str, Any]) -> Outcome:
        """Have the key block what isn't listed."""
        with key.editing() as edit:
            start_enforcing(edit)
        return Outcome(_("The key now blocks requests that aren't listed."))


class Learn(BlockedStep):
    """Has an open key learn what to list from its requests."""

    name = "start_learning"
    label = gettext_lazy("Start learning")
    question = gettext_lazy(
        "The key only monitors: nothing is blocked meanwhile. Requests that would be blocked are recorded on "
        "the key's page, where you allow the places that you know. When no new places appear, start "
        "enforcing there."
    )
    is_done_message = gettext_lazy("This key can't learn: it isn't open, or nothing can be listed.")

    def is_done(self, user: Any, key: APIKey) -> bool:
        """Return whether the key has nothing to learn."""
        return not learnable(key)

    def form(self, key: APIKey, sent: Any) -> forms.Form:
        """Return the form that says which lists to learn."""
        return LearnForm(key, sent)

    def take(self, user: Any, key: APIKey, given: dict[str, Any]) -> Outcome:
        """Have the key only monitor, with the chosen lists enabled."""
        with key.editing() as edit:
            start_learning(edit, given["kinds"])
        return Outcome(_("The key is learning: nothing is blocked, and what isn't listed is recorded."))


BLOCKED_STEPS: tuple[Step, ...] = (Forget(), Enforce(), Learn())
