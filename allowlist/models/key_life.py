"""The life of a key: how it begins, whether it works, and how it is rotated, revoked and handed over."""

from collections.abc import Callable, Collection, Iterable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext as _

from ..policy.decision import Mode
from ..policy.tokens import Environment, Kind, Token
from .choices import Status
from .edits import CREATED, KeyEdit, Problems
from .keysets import KEY_FIELDS, saved_person
from .list_edits import ListEdit
from .lists import KINDS, EntryInput
from .locks import writing
from .tracked import TrackedModel

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

LONGEST_OVERLAP = timedelta(days=365)


class KeyLife(TrackedModel):
    """What ``APIKey`` does with its token and its creator. Each method is one change, all or nothing."""

    editing: Callable[[], AbstractContextManager[KeyEdit]]
    if TYPE_CHECKING:
        locator: str
        token: str
        digest: str
        kind: str
        environment: str
        domain_mode: str
        ip_mode: str
        expires_at: datetime | None
        revoked_at: datetime | None

        def check_fields(self, names: Collection[str]) -> None:
            """Raise ValidationError unless the named fields hold what may be chosen."""

    class Meta:
        abstract = True

    @property
    def status(self) -> Status:
        """Return whether the key works: active, revoked or expired."""
        if self.revoked_at is not None:
            return Status.REVOKED
        is_over = self.expires_at is not None and self.expires_at <= timezone.now()
        return Status.EXPIRED if is_over else Status.ACTIVE

    def insert(
        self,
        alias: str,
        given: Collection[str],
        lists: Iterable[Iterable[EntryInput]],
        start: Callable[[ListEdit, str | None, Iterable[EntryInput]], None] = ListEdit.start,
        locator: str | None = None,
    ) -> Token:
        """Write a new row with its two lists, and return its token.

        For ``create_key``, and for an import, which gives the locator. Raises IntegrityError if another key
        has it.
        """
        self.check_fields(["name", *given])
        chosen = {kind: getattr(self, kind.mode) for kind in KINDS if kind.mode in given}
        token = Token.make(Kind(self.kind), Environment(self.environment), locator)
        self.locator, self.digest = token.locator, token.digest
        self.token = "" if self.kind == Kind.SECRET else token.text
        self.domain_mode = self.ip_mode = str(Mode.ALL)
        with writing(alias):
            super().save(force_insert=True, using=alias)
            edit, problems = KeyEdit(self, CREATED), Problems()
            for each, entries in zip(edit.lists, lists, strict=True):
                with problems.collected():
                    start(each, chosen.get(each.kind), entries)
            problems.raise_any()
            for name in ("name", "creator", *sorted(KEY_FIELDS)):
                edit.note(name, None, self.serializable_value(name))
            edit.finish()
        self._remember()
        return token

    def rotate(self, overlap: timedelta = timedelta(0)) -> str:
        """Create a new token and return it; the old one works for ``overlap`` longer.

        Raises ValidationError for a revoked key, a negative overlap or one of more than a year.
        """
        if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
            raise ValidationError(_("The overlap must be between 0 and 365 days."), code="overlap")
        with self.editing() as edit:
            row = edit.key
            if row.revoked_at is not None:
                raise ValidationError(_("This key is revoked. Create a new one."), code="revoked")
            token = Token.make(Kind(row.kind), Environment(row.environment), row.locator)
            edit.put(
                token="" if row.kind == Kind.SECRET else token.text,
                digest=token.digest,
                previous_digest=row.digest if overlap else "",
                previous_until=timezone.now() + overlap if overlap else None,
            )
            edit.action = "rotated"
        return token.text

    def end_overlap(self) -> None:
        """End the token from before the last rotation, if it still works."""
        with self.editing() as edit:
            edit.put(previous_digest="")
            edit.change("updated", previous_until=None)

    def revoke(self) -> None:
        """End the key for good."""
        with self.editing() as edit:
            edit.change("revoked", revoked_at=edit.key.revoked_at or timezone.now())

    def take_over(self, user: "AbstractBaseUser") -> None:
        """Make ``user`` the key's creator. The caller decides who may.

        Raises ValueError for a user who isn't saved, or is anonymous.
        """
        creator_id = saved_person(user, "take_over")
        with self.editing() as edit:
            edit.change("taken_over", creator_id=creator_id)

    # A template that names one of them must not call it: {{ key.rotate }} would end the token in use.
    _writes: Any
    for _writes in (insert, rotate, end_overlap, revoke, take_over):
        _writes.alters_data = True
    del _writes
