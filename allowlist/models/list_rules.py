"""What a list of a key may hold, and what one change did to it.

Rows are read and written by plain querysets here and in ``list_edits``. ``keys`` and ``entries`` call these
modules, never the other way round, so they name neither class.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext as _

from ..conf import settings
from ..policy.decision import Mode
from .choices import Enforcement
from .lists import ListKind, problem
from .removed import RemovedList

Key = Any
"""An ``APIKey``, whose module imports this one."""
Row = Any
"""An ``AllowedDomain`` or ``AllowedIP``, whose module imports this one."""


def plain_rows(model: type[models.Model], alias: str) -> "models.QuerySet[Any]":
    """Return the rows of ``model``, past the guards of its own manager."""
    return models.QuerySet(model, using=alias)


class KeyWriter:
    """Writes one key's row and collects what ``key_changed`` reports of it."""

    def __init__(self, key: Key) -> None:
        self.key = key
        self.written: dict[str, Any] = {}
        """What was written to the key's row, by attribute name."""
        self.changes: dict[str, Any] = {}
        """Old and new value of each field that changed, and what the lists gained and lost."""

    def put(self, **values: Any) -> None:
        """Write fields of the key's row, by attribute name, without a check."""
        plain_rows(type(self.key), self.key._state.db).filter(pk=self.key.pk).update(**values)
        for name, value in values.items():
            setattr(self.key, name, value)
        self.written.update(values)

    def note(self, name: str, old: Any, new: Any) -> None:
        """Report a field as changed. Never pass a token or a digest."""
        self.changes[name] = (old, new)


class ListRules:
    """The rules of one list during one change, and the record of the change."""

    def __init__(self, writer: KeyWriter, kind: ListKind) -> None:
        self.kind = kind
        self._writer = writer
        self._key = writer.key
        self._added: list[str] = []
        self._removed: list[str] = []
        self._gone: list[Row] = []
        self._mode_before = self.mode
        self._count: int | None = None
        self._renamed: dict[str, tuple[str, str]] = {}
        self._ends: dict[str, tuple[datetime | None, datetime | None]] = {}
        self._is_emptied = False
        self._is_grown = False
        self._is_touched = False

    @property
    def rows(self) -> "models.QuerySet[Any]":
        """Return the list's rows, locked: a snapshot of the transaction's may be older than the lock."""
        # Unsorted: to sort, MariaDB would walk through the rows of other keys too, and wait for their locks.
        return self._unlocked.order_by().select_for_update()

    def _stored(self) -> list[Row]:
        return sorted(self.rows, key=lambda row: row.pk)

    @property
    def _unlocked(self) -> "models.QuerySet[Any]":
        model: Any = self._key._meta.get_field(self.kind.field).related_model
        return plain_rows(model, self._key._state.db).filter(key=self._key)

    @property
    def mode(self) -> str:
        """Return the list's mode as it is now."""
        return str(getattr(self._key, self.kind.mode))

    @property
    def modes(self) -> tuple[str, ...]:
        """Return the modes that the key's creator may choose."""
        return self.kind.modes_for(self._key.kind)

    def count(self) -> int:
        """Return how many entries there are."""
        return len(self.rows.values_list("pk", flat=True))

    def admit_new(self, rows: Sequence[Row]) -> None:
        """Make new rows' strings canonical; raise ValidationError if they may not be inserted."""
        self._guard_addition()
        self._is_grown = True
        taken = {row.text for row in self._stored()}
        for row in rows:
            if row.pk is not None:
                raise ValueError("The database gives a new entry its id. Leave the id out.")
            row.clean_text()
            row.clean_end()
            self._guard_duplicate(row, taken)
            taken.add(row.text)
            self._added.append(row.text)

    def admit_changed(self, row: Row, names: Collection[str]) -> None:
        """Make a row's string canonical; raise ValidationError if the named fields may not be written."""
        stored = {each.pk: each for each in self._stored()}
        taken = {each.text for each in stored.values() if each.pk != row.pk}
        self._admit_stored(row, names, stored, taken)

    def check_room(self) -> None:
        """Raise ValidationError if the list takes no further entry as it is now, without a lock."""
        self._guard_addition()
        limit, count = self.kind.limit, self._unlocked.count()
        if limit is not None and count >= limit:
            raise problem(self.kind, self.kind.over_limit % {"limit": limit, "count": count + 1}, "limit")

    def note_removed(self, rows: Iterable[Row]) -> None:
        """Report rows as removed that the caller deletes."""
        gone = list(rows)
        self._gone += gone
        self._removed += [row.text for row in gone]
        self.touch()

    def touch(self) -> None:
        """Have the list judged at the end, whether or not this edit writes it."""
        self._is_touched = True

    def changes(self) -> dict[str, Any]:
        """Return what was added and removed, and whose name or end changed; empty if nothing was."""
        kept = set(self._added) & set(self._removed)
        added = [text for text in self._added if text not in kept]
        removed = [text for text in self._removed if text not in kept]
        more = {"renamed": self._renamed, "expires_at": self._ends}
        more = {name: changed for name, changed in more.items() if changed}
        return {"added": added, "removed": removed, **more} if added or removed or more else {}

    def judge(self) -> None:
        """Raise ValidationError unless the list keeps every rule."""
        if not (self._is_touched or self._is_grown or self._is_emptied):
            return
        kind, count = self.kind, self.count()
        self._count = count
        if self._is_emptied and count:
            raise problem(kind, str(kind.all_with_entries), "all_with_entries")
        if self._is_grown and kind.limit is not None and count > kind.limit:
            raise problem(kind, kind.over_limit % {"limit": kind.limit, "count": count}, "limit")
        if not count and self.mode == Mode.LISTED and needs_entries(self._key):
            raise problem(kind, str(kind.needs_entry), "empty_list")

    def settle(self) -> None:
        """Keep what the change took from a list that it emptied; forget it once the list has others."""
        kept = RemovedList.objects.using(self._key._state.db).of(self._key, self.kind)
        if self._gone and self._count == 0:
            kept.delete()
            entries = [_kept(row) for row in self._gone]
            kept.create(key=self._key, field=self.kind.field, mode=self._mode_before, entries=entries)
        elif self._is_grown:
            kept.delete()

    def _guard_secret(self) -> None:
        if not self.kind.takes(self._key.kind):
            sentence = _(
                "Secret keys are for servers, so they have no domain list. List IP addresses instead."
            )
            raise problem(self.kind, sentence, "secret_key")

    def _guard_addition(self) -> None:
        self._guard_secret()
        if self.mode == Mode.ALL and Mode.LISTED not in self.modes:
            raise problem(self.kind, str(self.kind.is_unused), "mode")

    def _note_changed(self, old: Row, new: Row) -> None:
        """Report what differs between a row as stored and as it is written."""
        if old.text != new.text:
            self._removed.append(old.text)
            self._added.append(new.text)
            return
        if old.name != new.name:
            self._renamed[old.text] = (old.name, new.name)
        if old.expires_at != new.expires_at:
            self._ends[old.text] = (old.expires_at, new.expires_at)

    def _admit_stored(
        self, row: Row, names: Collection[str], stored: Mapping[Any, Row], taken: Collection[str]
    ) -> None:
        if row.pk not in stored:
            raise problem(self.kind, _("This entry was removed in the meantime."), "deleted")
        if self.kind.column in names:
            row.clean_text()
            self._guard_duplicate(row, taken)
        if "expires_at" in names:
            row.clean_end()
        self._note_changed(stored[row.pk], row)

    def _guard_duplicate(self, row: Row, taken: Collection[str]) -> None:
        if row.text in taken:
            sentence = _("“%(entry)s” is in the list already.") % {"entry": row.text}
            raise ValidationError({self.kind.column: ValidationError(sentence, code="duplicate")})


def needs_entries(key: Key) -> bool:
    """Return whether an enabled list of ``key`` may not be empty: not while the key only reports."""
    return settings().EMPTY_LIST == "refuse" and key.enforcement == Enforcement.ENFORCE


def _kept(row: Row) -> dict[str, Any]:
    """Return an entry as it is kept to be restored."""
    ends = None if row.expires_at is None else row.expires_at.isoformat()
    return {"text": row.text, "name": row.name, "expires_at": ends}
