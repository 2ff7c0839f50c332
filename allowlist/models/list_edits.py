"""The writes of one change to one of a key's lists."""

from collections.abc import Collection, Iterable
from copy import copy
from datetime import datetime
from types import EllipsisType
from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext as _

from ..conf import settings
from ..policy.decision import Mode
from ..validators import shown
from .list_rules import ListRules, Row
from .lists import Added, EntryInput, Given, ListKind, check_end, problem, read_given
from .removed import RemovedList

MOST_ERRORS = 100
"""How many entries are reported as wrong at once. The rest is reported once these are right."""


class ListEdit(ListRules):
    """The writes of one change to one of a key's lists."""

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
        if rows := self._stored():
            self.rows.delete()
            self.note_removed(rows)

    def load(self, mode: str, entries: Iterable[EntryInput] | None) -> None:
        """Give the list the mode and the entries of an export; entries stay as they are if they are None.

        Ends may be past, and a disabled list may have entries.
        """
        self._set_mode(Mode(mode))
        if entries is not None:
            self.replace(entries, ends_may_be_past=True)

    def replace(self, entries: Iterable[EntryInput], *, ends_may_be_past: bool = False) -> None:
        """Make the list exactly ``entries``; those listed already keep their row."""
        stored = {row.text: row for row in self._stored()}
        model = self.rows.model
        wanted, _duplicates = read_entries(self.kind, model, entries, stored, ends_may_be_past)
        self._delete([row for text, row in stored.items() if text not in wanted])
        for text, given in wanted.items():
            if text in stored:
                self._give_again(stored[text], given, given.name)
        self._insert({text: given for text, given in wanted.items() if text not in stored})

    def add(self, entries: Iterable[EntryInput]) -> Added:
        """Add ``entries``; those listed already are reported, and get the date that is given with them."""
        stored = {row.text: row for row in self._stored()}
        wanted, duplicates = read_entries(self.kind, self.rows.model, entries, stored)
        for text, given in wanted.items():
            if text in stored:
                self._give_again(stored[text], given, None)
        new = {text: given for text, given in wanted.items() if text not in stored}
        self._insert(new)
        rows = {row.text: row for row in self._stored()} if new else {}
        for text in new:
            rows[text].key = self._key  # Else each is asked for when the caller reads ``in_force``.
        return Added([rows[text] for text in new], duplicates, in_force=self.mode == Mode.LISTED)

    def remove(self, entries: Iterable[EntryInput]) -> None:
        """Remove ``entries``, however they are spelled; raise ValidationError for one that isn't listed."""
        stored = {row.text: row for row in self._stored()}
        gone = {}
        for index, given in enumerate(read_given(self.kind, entries)):
            canonical = given.text if given.text in stored else self.kind.canonical(given.text)
            if canonical not in stored:
                sentence = _("“%(entry)s” isn't in the list.") % {"entry": shown(str(given.text))}
                raise problem(self.kind, sentence, "not_listed", index)
            gone[canonical] = stored[canonical]
        self._delete(list(gone.values()))

    def discard(self, pks: Collection[Any]) -> None:
        """Remove the rows of these primary keys; those that are gone already are skipped."""
        if pks:
            self._delete(list(self.rows.filter(pk__in=pks)))

    def remove_expired(self) -> list[str]:
        """Remove the entries that have expired, and return them.

        Raises ValidationError if that would leave an enabled list empty, unless ``EMPTY_LIST`` is ``deny``:
        the passing of time must never open a key.
        """
        now, rows = timezone.now(), self._stored()
        expired = [row for row in rows if row.has_expired(now)]
        is_enabled = self.mode == Mode.LISTED and settings().EMPTY_LIST != "deny"
        if expired and len(expired) == len(rows) and is_enabled:
            raise problem(self.kind, str(self.kind.only_expired), "only_expired")
        self._delete(expired)
        return [row.text for row in expired]

    def restore(self) -> None:
        """Bring back what the change that emptied the list took from it, its mode included.

        Today's limits and guards hold; ends may be past. Raises ValidationError if there is nothing to
        restore, or if a rule refuses any of it.
        """
        removed = RemovedList.objects.using(self._key._state.db).of(self._key, self.kind).restorable().first()
        if removed is None:
            raise problem(self.kind, _("There is nothing to restore."), "nothing_to_restore")
        if removed.mode == Mode.LISTED:
            self._set_mode(Mode.LISTED)
        stored = {row.text for row in self._stored()}
        self._insert(
            {text: given for text, given in _kept_entries(self.kind, removed).items() if text not in stored}
        )

    def start(self, mode: str | None, entries: Iterable[EntryInput]) -> None:
        """Give a new key's list its mode and entries; a list given is enabled if both modes are allowed."""
        given = read_given(self.kind, entries)
        if mode:
            self.set(mode, given or None)
        elif self.modes[0] == Mode.LISTED or (given and Mode.LISTED in self.modes):
            self.restrict(given or None)
        elif given:
            self.replace(given)

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

    def _insert(self, new: dict[str, Given]) -> None:
        if new:
            self._guard_addition()
            self.rows.bulk_create([self._new_row(text, given) for text, given in new.items()])
            self._added += new
            self._is_grown = True

    def _new_row(self, text: str, given: Given) -> Row:
        ends = None if isinstance(given.expires_at, EllipsisType) else given.expires_at
        fields = {self.kind.column: text, "name": given.name or "", "expires_at": ends}
        return self.rows.model(key=self._key, **fields)

    def _give_again(self, row: Row, given: Given, name: str | None) -> None:
        """Write what giving a listed entry again changes: its end, and its name unless None.

        Without a date, an entry that has expired becomes permanent, and any other keeps its date.
        """
        new = copy(row)
        if name is not None:
            new.name = name
        if not isinstance(given.expires_at, EllipsisType):
            new.expires_at = given.expires_at
        elif row.has_expired(timezone.now()):
            new.expires_at = None
        changed = {each: getattr(new, each) for each in ("name", "expires_at")}
        changed = {each: value for each, value in changed.items() if value != getattr(row, each)}
        if changed:
            self.rows.filter(pk=row.pk).update(**changed)
            self._note_changed(row, new)

    def _delete(self, rows: list[Row]) -> None:
        if rows:
            self.rows.filter(pk__in=[row.pk for row in rows]).delete()
            self.note_removed(rows)


def read_entries(
    kind: ListKind,
    model: Any,
    entries: Iterable[EntryInput],
    stored: Collection[str],
    ends_may_be_past: bool = False,
) -> tuple[dict[str, Given], list[str]]:
    """Return what was given by canonical string, in order, and the strings given twice or ``stored`` already.

    Raises ValidationError, with one error for each wrong entry. An entry that is stored isn't new, so
    today's guards don't bind it.
    """
    wanted: dict[str, Given] = {}
    duplicates: list[str] = []
    errors: list[ValidationError] = []
    for index, given in enumerate(read_given(kind, entries)):
        try:
            canonical = _canonical(kind, given, stored)
            if given.name is not None:
                model._meta.get_field("name").clean(given.name, None)
            if not isinstance(given.expires_at, EllipsisType):
                check_end(given.expires_at, may_be_past=ends_may_be_past)
        except ValidationError as error:
            errors += [problem(kind, each.messages[0], each.code, index) for each in error.error_list]
            if len(errors) >= MOST_ERRORS:
                break
            continue
        if canonical in stored or canonical in wanted:
            duplicates.append(canonical)
        wanted.setdefault(canonical, given)
    if errors:
        raise ValidationError(errors)
    return wanted, duplicates


def _canonical(kind: ListKind, given: Given, stored: Collection[str]) -> str:
    canonical = kind.canonical(given.text)
    return canonical if canonical is not None and canonical in stored else kind.clean(given.text)


def _kept_entries(kind: ListKind, removed: RemovedList) -> dict[str, Given]:
    """Return the entries to restore by canonical string; raise ValidationError for those refused today."""
    kept: dict[str, Given] = {}
    errors: list[ValidationError] = []
    for each in removed.entries:
        try:
            text = kind.clean(each["text"])
        except ValidationError as error:
            errors.append(problem(kind, error.messages[0], error.code))
        else:
            ends = each["expires_at"]
            kept[text] = Given(each["name"], text, ends and datetime.fromisoformat(ends))
    if errors:
        raise ValidationError(errors)
    return kept
