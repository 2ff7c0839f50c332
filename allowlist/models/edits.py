"""One change to one key: everything under a lock on the key's row, judged as a whole."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from copy import copy
from functools import partial
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models, transaction

from ..signals import acting_user, key_changed
from .list_edits import ListEdit
from .list_rules import Key, KeyWriter
from .lists import DOMAINS, IPS, ListKind
from .locks import locked

CREATED, UPDATED = "created", "updated"

OWN_FIELDS = ("name", "condition", "enforcement", "expires_at")
"""The fields of a key that people edit and no method writes."""


class Problems:
    """Collects what is wrong with several parts of one change, to raise it all at once."""

    def __init__(self) -> None:
        self._errors: list[ValidationError] = []

    @contextmanager
    def collected(self) -> Iterator[None]:
        """Keep the block's ValidationError for later.

        One with the code ``busy`` is raised at once: after it the transaction may be lost.
        """
        try:
            yield
        except ValidationError as error:
            if getattr(error, "code", None) == "busy":
                raise
            self._errors.append(error)

    def raise_any(self) -> None:
        """Raise ValidationError with what was collected, if anything was."""
        if self._errors:
            raise self._errors[0] if len(self._errors) == 1 else ValidationError(self._errors)


@contextmanager
def editing(rows: "models.QuerySet[Any]", pk: Any, action: str | None = UPDATED) -> "Iterator[KeyEdit]":
    """Lock the key ``pk`` of ``rows``, yield the edit, and judge what it leads to; all or nothing.

    ``action`` is what ``key_changed`` calls the change; None sends no signal.

    Raises ValidationError if the outcome breaks a rule, and as ``locked`` does.
    """
    with locked(rows, pk):
        # A locking read sees what is committed, however old the transaction's snapshot is.
        edit = KeyEdit(rows.select_for_update().get(pk=pk), action)
        edit.written["revision"] = edit.key.revision
        yield edit
        edit.finish()


def joined(key: Key, alias: str) -> "AbstractContextManager[KeyEdit] | None":
    """Return the change under way on the instance ``key``, for a block to join it; None without one.

    A block of a joined change that fails leaves nothing of its own.
    """
    edit: KeyEdit | None = key._edit
    if edit is None or edit.key._state.db != alias:
        return None
    return edit.joined()


class KeyEdit(KeyWriter):
    """The writes of one change. ``key`` is the row as locked, whatever other instances hold."""

    def __init__(self, key: Key, action: str | None = UPDATED) -> None:
        super().__init__(key)
        self.action = action
        """What ``key_changed`` calls the change; None sends no signal."""
        self.domains = ListEdit(self, DOMAINS)
        self.ips = ListEdit(self, IPS)
        self.lists = (self.domains, self.ips)

    def list(self, kind: ListKind) -> "ListEdit":
        """Return the edit of one of the two lists."""
        return self.domains if kind is DOMAINS else self.ips

    def write(self, **values: Any) -> None:
        """Write some of OWN_FIELDS; raise ValidationError, by field, for a value that isn't allowed."""
        if unknown := values.keys() - set(OWN_FIELDS):
            raise TypeError(f"write() doesn't take {', '.join(sorted(unknown))}.")
        new = {name: value for name, value in values.items() if value != getattr(self.key, name)}
        if new:
            checked = copy(self.key)
            for name, value in new.items():
                setattr(checked, name, value)
            checked.check_fields(new)
            self.change(self.action, **{name: getattr(checked, name) for name in new})

    def change(self, action: str | None, **values: Any) -> None:
        """Write fields of the key's row, by attribute name; report those that differ under ``action``."""
        old = {name: getattr(self.key, name) for name in values}
        self.put(**values)
        for name, value in values.items():
            if value != old[name]:
                self.note(name.removesuffix("_id"), old[name], value)
                self.action = action

    def saved(self, values: dict[str, Any]) -> None:
        """Report fields that the caller wrote to the key's row."""
        for name, value in values.items():
            if value != (old := getattr(self.key, name)):
                setattr(self.key, name, value)
                self.note(name, old, value)

    def note(self, name: str, old: Any, new: Any) -> None:
        """Report a field as changed."""
        super().note(name, old, new)
        if name == "enforcement":
            for each in self.lists:
                each.touch()

    @contextmanager
    def joined(self) -> "Iterator[KeyEdit]":
        """Have the block be part of this change."""
        with transaction.atomic(using=self.key._state.db):
            yield self

    def finish(self) -> None:
        """Judge the outcome, and have ``key_changed`` sent once it is committed.

        Raises ValidationError unless what the change leads to keeps every rule.
        """
        problems = Problems()
        for each in self.lists:
            with problems.collected():
                each.judge()
        problems.raise_any()
        for each in self.lists:
            if self.action != CREATED:
                each.settle()
            if changes := each.changes():
                self.changes[each.kind.field] = changes
        if self.action is not None and (self.changes or self.action != UPDATED):
            report_change(self.key, self.action, self.changes, self.key._state.db)


def report_change(key: Key, action: str, changes: dict[str, Any], alias: str) -> None:
    """Send ``key_changed`` once the transaction is committed, with the user who acts now."""
    send = partial(
        key_changed.send_robust, type(key), key=key, action=action, user=acting_user(), changes=changes
    )
    transaction.on_commit(send, using=alias)
