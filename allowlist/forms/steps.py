"""Steps that a key's creator takes, each on a page of its own, such as rotate and revoke.

A new step is a subclass of ``Step`` in ``STEPS`` or ``BLOCKED_STEPS``; its address, link and confirmation
page follow.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import ProtectedError, RestrictedError
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ..models import APIKey
from ..models.lists import DOMAINS, IPS, ListKind
from .key_fields import RotateForm
from .summary import count_entries


class Outcome(NamedTuple):
    """What a step did."""

    message: str
    """A sentence for the user and for the key's history."""
    token: str | None = None
    """The key's new token, to be shown."""


class Step(ABC):
    """One thing that is done to a key after a question."""

    name: str
    label: str | Promise
    question: ClassVar[str | Promise]
    is_done_message: ClassVar[str | Promise] = gettext_lazy("This key is already revoked.")
    form_class: ClassVar[type[forms.Form]] = forms.Form
    kind: ListKind | None = None
    """The list that the step is about, in whose section the key's page offers it."""
    is_about_blocked: ClassVar[bool] = False
    """Whether the key's page offers the step in its section about blocked requests."""

    def form(self, key: APIKey, sent: Any) -> forms.Form:
        """Return the form of the step's page, with what was sent."""
        return self.form_class(sent)

    @property
    def slug(self) -> str:
        """Return the name as addresses have it."""
        return self.name.replace("_", "-")

    def is_done(self, user: Any, key: APIKey) -> bool:
        """Return whether nothing is left to do, for example since another tab did it."""
        return key.revoked_at is not None

    def entries(self, key: APIKey) -> list[str]:
        """Return the entries that the step removes or brings back, as people write them."""
        return []

    @abstractmethod
    def take(self, user: Any, key: APIKey, given: dict[str, Any]) -> Outcome:
        """Take the step with what its form was given; raise ValidationError if the key doesn't allow it."""


class Rotate(Step):
    """Gives the key a new token."""

    name = "rotate"
    label = gettext_lazy("Rotate")
    question = gettext_lazy("The key gets a new token. Choose how long the current token keeps working.")
    form_class = RotateForm

    def take(self, user: Any, key: APIKey, given: dict[str, Any]) -> Outcome:
        """Give the key a new token."""
        return Outcome(_("Rotated the token."), key.rotate(given["overlap"]))


class EndOverlap(Step):
    """Ends the token from before the last rotation."""

    name = "end_old_token"
    label = gettext_lazy("End the old token now")
    question = gettext_lazy(
        "The token from before the last rotation stops working immediately. Pages and servers that still "
        "send it are blocked."
    )
    is_done_message = gettext_lazy("The old token doesn't work any more.")

    def is_done(self, user: Any, key: APIKey) -> bool:
        """Return whether only one token works."""
        until = key.previous_until
        return key.revoked_at is not None or until is None or until <= timezone.now()

    def take(self, user: Any, key: APIKey, given: dict[str, Any]) -> Outcome:
        """End the old token."""
        key.end_overlap()
        return Outcome(_("Ended the old token."))


class ListStep(Step):
    """One thing that is done to one of the key's lists."""

    kind: ListKind

    def __init__(self, kind: ListKind, name: str, label: Promise) -> None:
        self.kind, self.name, self.label = kind, name, label


class RemoveExpired(ListStep):
    """Removes the entries of a list that have expired."""

    question = gettext_lazy("These entries have expired and match nothing. They are removed from the list.")
    is_done_message = gettext_lazy("No entry of the list has expired.")

    def is_done(self, user: Any, key: APIKey) -> bool:
        """Return whether nothing has expired."""
        entries = count_entries(key, self.kind)
        return entries.total == entries.in_force

    def entries(self, key: APIKey) -> list[str]:
        """Return the entries that have expired."""
        return [str(entry) for entry in getattr(key, self.kind.field).filter(expires_at__lte=timezone.now())]

    def take(self, user: Any, key: APIKey, given: dict[str, Any]) -> Outcome:
        """Remove the entries that have expired."""
        with key.editing() as edit:
            count = len(edit.list(self.kind).remove_expired())
        said = ngettext("Removed %(count)s expired entry.", "Removed %(count)s expired entries.", count)
        return Outcome(said % {"count": count})


class Restore(ListStep):
    """Brings back what a list held before one change emptied it."""

    question = gettext_lazy("The list gets back these entries, and works as it did with them.")
    is_done_message = gettext_lazy("There is nothing to restore.")

    def is_done(self, user: Any, key: APIKey) -> bool:
        """Return whether there is nothing to restore."""
        return key.restorable(self.kind) is None

    def entries(self, key: APIKey) -> list[str]:
        """Return the entries that come back."""
        removed = key.restorable(self.kind)
        model: Any = APIKey._meta.get_field(self.kind.field).related_model
        kept = [] if removed is None else removed.entries
        return [str(model(name=each["name"], **{self.kind.column: each["text"]})) for each in kept]

    def take(self, user: Any, key: APIKey, given: dict[str, Any]) -> Outcome:
        """Bring the entries back."""
        with key.editing() as edit:
            edit.list(self.kind).restore()
        return Outcome(_("Restored the list."))


class Revoke(Step):
    """Ends the key."""

    name = "revoke"
    label = gettext_lazy("Revoke")
    question = gettext_lazy("The key stops working immediately. You can't undo this.")

    def take(self, user: Any, key: APIKey, given: dict[str, Any]) -> Outcome:
        """End the key for good."""
        key.revoke()
        return Outcome(_("Revoked the key."))


class Delete(Step):
    """Deletes the key with its lists."""

    name = "delete"
    label = gettext_lazy("Delete")
    question = gettext_lazy(
        "The key and its lists are deleted, and the key stops working immediately. You can't undo this."
    )

    def is_done(self, user: Any, key: APIKey) -> bool:
        """Return False: a key that is deleted isn't found."""
        return False

    def take(self, user: Any, key: APIKey, given: dict[str, Any]) -> Outcome:
        """Delete the key; raise ValidationError if another model's rows need it."""
        try:
            key.delete()
        except (ProtectedError, RestrictedError) as error:
            raise ValidationError(in_use(error), code="in_use") from error
        return Outcome(_("Deleted the key."))


def in_use(error: ProtectedError | RestrictedError) -> str:
    """Return the sentence that names the models whose rows need the key."""
    rows = error.protected_objects if isinstance(error, ProtectedError) else error.restricted_objects
    models = ", ".join(sorted({str(row._meta.verbose_name) for row in rows}))
    return _("This key can't be deleted because it is still used by: %(models)s. Revoke it instead.") % {
        "models": models
    }


STEPS: tuple[Step, ...] = (
    Rotate(),
    EndOverlap(),
    Revoke(),
    Restore(DOMAINS, "restore_domains", gettext_lazy("Restore the deleted domains")),
    Restore(IPS, "restore_ips", gettext_lazy("Restore the deleted IPs")),
    RemoveExpired(DOMAINS, "remove_expired_domains", gettext_lazy("Remove expired domains")),
    RemoveExpired(IPS, "remove_expired_ips", gettext_lazy("Remove expired IPs")),
)
