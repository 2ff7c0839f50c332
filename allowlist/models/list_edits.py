"""The writes of one change to one of a key's lists."""

from collections.abc import Collection, Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from ..policy.decision import Mode
from ..validators import shown
from .list_rules import ListRules, Row
from .lists import Added, EntryInput, pairs, problem

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
