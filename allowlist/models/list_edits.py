"""The writes of one change to one of a key's lists.

Rows are read and written by plain querysets here. ``keys`` and ``entries`` call this module, never the
other way round, so it names neither of their classes.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext as _

from ..conf import settings
from ..policy.decision import Mode
from ..validators import shown
from .choices import Enforcement
from .lists import Added, EntryInput, ListKind, pairs, problem

MOST_ERRORS = 100
"""How many entries are reported as wrong at once. The rest is reported once these are right."""

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
        """Report a field as changed. Nothing that opens a key may be among them."""
        self.changes[name] = (old, new)


class ListEdit:
    """The writes of one change to one of a key's lists."""

    def __init__(self, writer: KeyWriter, kind: ListKind) -> None:
        self.kind = kind
        self._writer = writer
        self._key = writer.key
        self._added: list[str] = []
        self._removed: list[str] = []
        self._renamed: dict[str, tuple[str, str]] = {}
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

    def set(self, mode: str | None, entries: Iterable[EntryInput] | None) -> None:
        """Give the list a mode and entries; each is left as it is if it is None."""
        if mode == Mode.LISTED:
            self.restrict(entries)
            return
        if mode is not None:
            self.allow_all()
        if entries is not None:
            self.replace(entries)

    def restrict(self, entries: Iterable[EntryInput] | None) -> None:
        """Enable the list; make it exactly ``entries``, or keep what is listed if they are None."""
        self._set_mode(Mode.LISTED)
        self._is_emptied = False
        if entries is not None:
            self.replace(entries)

    def allow_all(self) -> None:
        """Disable the list and empty it."""
        self._set_mode(Mode.ALL)
        self._is_emptied = True
        self._removed += [row.text for row in self._stored()]
        self.rows.delete()

    def replace(self, entries: Iterable[EntryInput]) -> None:
        """Make the list exactly ``entries``; those listed already keep their row."""
        stored = {row.text: row for row in self._stored()}
        wanted, _duplicates = self._read(entries, stored)
        self._delete([row for text, row in stored.items() if text not in wanted])
        for text, name in wanted.items():
            if text in stored and name is not None and name != stored[text].name:
                self._rename(stored[text], name)
        self._insert({text: name for text, name in wanted.items() if text not in stored})

    def add(self, entries: Iterable[EntryInput]) -> Added:
        """Add ``entries``; those listed already are skipped and reported."""
        stored = {row.text: row for row in self._stored()}
        wanted, duplicates = self._read(entries, stored)
        new = {text: name for text, name in wanted.items() if text not in stored}
        self._insert(new)
        rows = {row.text: row for row in self._stored()} if new else {}
        for text in new:
            rows[text].key = self._key  # Else each is asked for when the caller reads ``in_force``.
        return Added([rows[text] for text in new], duplicates, in_force=self.mode == Mode.LISTED)

    def remove(self, entries: Iterable[EntryInput]) -> None:
        """Remove ``entries``, however they are spelled; raise ValidationError for one that isn't listed."""
        stored = {row.text: row for row in self._stored()}
        gone = {}
        for index, (_name, text) in enumerate(pairs(self.kind, entries)):
            canonical = text if text in stored else self.kind.canonical(text)
            if canonical not in stored:
                sentence = _("“%(entry)s” isn't in the list.") % {"entry": shown(str(text))}
                raise problem(self.kind, sentence, "not_listed", index)
            gone[canonical] = stored[canonical]
        self._delete(list(gone.values()))

    def discard(self, pks: Collection[Any]) -> None:
        """Remove the rows of these primary keys; those that are gone already are skipped."""
        if pks:
            self._delete(list(self.rows.filter(pk__in=pks)))

    def start(self, mode: str | None, entries: Iterable[EntryInput]) -> None:
        """Give a new key's list its mode and entries; a list given is enabled if both modes are allowed."""
        given = pairs(self.kind, entries)
        chosen = mode or (Mode.LISTED if given and Mode.LISTED in self.modes else self.modes[0])
        self.set(chosen if mode or chosen == Mode.LISTED else None, given or None)

    def rewrite(self, changed: Iterable[tuple[Row, Collection[str]]]) -> None:
        """Write the named fields of rows as one change, so that two may swap their strings."""
        changed = list(changed)
        stored = {row.pk: row for row in self._stored()} if changed else {}
        moved = {row.pk for row, names in changed if self.kind.column in names}
        taken = {row.text for row in stored.values() if row.pk not in moved}
        for row, names in changed:
            self._admit_stored(row, names, stored, taken)
            row.clean_fields(exclude={field.name for field in row._meta.fields} - set(names))
            taken.add(row.text)
        for pk in moved:
            # Its string is free for the others meanwhile.
            self.rows.filter(pk=pk).update(**{self.kind.column: f"#{pk}"})
        for row, names in changed:
            self.rows.filter(pk=row.pk).update(**{name: getattr(row, name) for name in names})

    def admit_new(self, rows: Sequence[Row]) -> None:
        """Make new rows' strings canonical; raise ValidationError if they may not be inserted."""
        self._guard_addition()
        self._is_grown = True
        taken = {row.text for row in self._stored()}
        for row in rows:
            if row.pk is not None:
                raise ValueError("The database gives a new entry its id. Leave the id out.")
            row.clean_text()
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
            raise problem(
                self.kind, str(self.kind.over_limit) % {"limit": limit, "count": count + 1}, "limit"
            )

    def note_removed(self, texts: Iterable[str]) -> None:
        """Report rows as removed that the caller deletes."""
        self._removed += texts
        self.touch()

    def touch(self) -> None:
        """Have the list judged at the end, whether or not this edit writes it."""
        self._is_touched = True

    def changes(self) -> dict[str, Any]:
        """Return what was added and removed, and whose name changed; empty if nothing was."""
        kept = set(self._added) & set(self._removed)
        added = [text for text in self._added if text not in kept]
        removed = [text for text in self._removed if text not in kept]
        renamed = {"renamed": self._renamed} if self._renamed else {}
        return {"added": added, "removed": removed, **renamed} if added or removed or renamed else {}

    def judge(self) -> None:
        """Raise ValidationError unless the list keeps every rule."""
        if not (self._is_touched or self._is_grown or self._is_emptied):
            return
        kind, count = self.kind, self.count()
        if self._is_emptied and count:
            raise problem(kind, str(kind.all_with_entries), "all_with_entries")
        if self._is_grown and kind.limit is not None and count > kind.limit:
            raise problem(kind, str(kind.over_limit) % {"limit": kind.limit, "count": count}, "limit")
        if not count and self.mode == Mode.LISTED and needs_entries(self._key):
            raise problem(kind, str(kind.needs_entry), "empty_list")

    def _set_mode(self, mode: Mode) -> None:
        if mode == Mode.LISTED:
            self._guard_secret()
        old = self.mode
        if mode != old:
            if mode not in self.modes:
                raise problem(self.kind, str(self.kind.mode_is_fixed), "mode")
            self._writer.put(**{self.kind.mode: str(mode)})
            self._writer.note(self.kind.mode, old, str(mode))
        self.touch()

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
        elif old.name != new.name:
            self._renamed[old.text] = (old.name, new.name)

    def _admit_stored(
        self, row: Row, names: Collection[str], stored: Mapping[Any, Row], taken: Collection[str]
    ) -> None:
        if row.pk not in stored:
            raise problem(self.kind, _("This entry was removed in the meantime."), "deleted")
        if self.kind.column in names:
            row.clean_text()
            self._guard_duplicate(row, taken)
        self._note_changed(stored[row.pk], row)

    def _guard_duplicate(self, row: Row, taken: Collection[str]) -> None:
        if row.text in taken:
            sentence = _("“%(entry)s” is in the list already.") % {"entry": row.text}
            raise ValidationError({self.kind.column: ValidationError(sentence, code="duplicate")})

    def _read(
        self, entries: Iterable[EntryInput], stored: dict[str, Row]
    ) -> tuple[dict[str, str | None], list[str]]:
        """Return names by canonical string, in order, and the strings given twice or stored already.

        An entry that is stored isn't new, so today's guards don't bind it.
        """
        wanted: dict[str, str | None] = {}
        duplicates: list[str] = []
        errors: list[ValidationError] = []
        for index, (name, text) in enumerate(pairs(self.kind, entries)):
            try:
                canonical = self._canonical(name, text, stored)
            except ValidationError as error:
                errors += [
                    problem(self.kind, each.messages[0], each.code, index) for each in error.error_list
                ]
                if len(errors) >= MOST_ERRORS:
                    break
                continue
            if canonical in stored or canonical in wanted:
                duplicates.append(canonical)
            wanted.setdefault(canonical, name)
        if errors:
            raise ValidationError(errors)
        return wanted, duplicates

    def _canonical(self, name: str | None, text: str, stored: dict[str, Row]) -> str:
        canonical = self.kind.canonical(text)
        if canonical is None or canonical not in stored:
            canonical = self.kind.clean(text)
        if name is not None:
            self.rows.model._meta.get_field("name").clean(name, None)
        return canonical

    def _insert(self, new: dict[str, str | None]) -> None:
        if new:
            self._guard_addition()
            model, column = self.rows.model, self.kind.column
            self.rows.bulk_create(
                model(key=self._key, name=name or "", **{column: text}) for text, name in new.items()
            )
            self._added += new
            self._is_grown = True

    def _delete(self, rows: list[Row]) -> None:
        if rows:
            self.rows.filter(pk__in=[row.pk for row in rows]).delete()
            self.note_removed(row.text for row in rows)

    def _rename(self, row: Row, name: str) -> None:
        self._renamed[row.text] = (row.name, name)
        self.rows.filter(pk=row.pk).update(name=name)


def needs_entries(key: Key) -> bool:
    """Return whether an enabled list of ``key`` may not be empty: not while the key only reports."""
    return settings().EMPTY_LIST == "refuse" and key.enforcement == Enforcement.ENFORCE
