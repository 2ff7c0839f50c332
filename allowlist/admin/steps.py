"""The steps that the admin offers: those of a key's creator, and one for superusers."""

from typing import TYPE_CHECKING, Any, cast

from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..forms.blocked_steps import BLOCKED_STEPS
from ..forms.steps import STEPS as CREATOR_STEPS
from ..forms.steps import Outcome, Step
from ..models import APIKey

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser


def person(request: HttpRequest) -> "AbstractBaseUser":
    """Return the user, who is logged in wherever the admin lets a request through."""
    return cast("AbstractBaseUser", request.user)


class TakeOver(Step):
    """Makes a superuser the key's creator."""

    name = "take_over"
    label = gettext_lazy("Take over")
    question = gettext_lazy(
        "You become the key's creator. Its current creator can no longer see or change it."
    )
    is_done_message = gettext_lazy("This key is already yours.")

    def is_done(self, user: Any, key: APIKey) -> bool:
        """Return whether the user is the key's creator."""
        return bool(key.creator_id == user.pk)

    def take(self, user: Any, key: APIKey, given: dict[str, Any]) -> Outcome:
        """Make the user the key's creator."""
        creator = key.creator
        key.take_over(user)
        if creator is None:
            return Outcome(_("Took the key over. It had no creator."))
        return Outcome(_("Took the key over from %(creator)s.") % {"creator": creator})


STEPS: tuple[Step, ...] = (*CREATOR_STEPS, *BLOCKED_STEPS, TakeOver())
