"""Loads the policies of an export into keys: all of them or none."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from ..conf import settings
from .edits import CREATED, OWN_FIELDS, UPDATED, editing
from .keys import APIKey
from .keysets import KEY_FIELDS
from .list_edits import ListEdit
from .list_rules import plain_rows
from .lists import KINDS, EntryInput
from .locks import lock, writing

UNCHANGED = "unchanged"
FIXED = ("kind", "environment")
_BATCH = 1000
"""How many keys one statement reads."""

Policy = Mapping[str, Any]
"""What an export has of a key. What isn't there stays as it is; a list comes with its mode."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What loading one policy did."""

    key: APIKey
    action: str
    """``created``, ``updated`` or ``unchanged``."""
    changes: dict[str, Any]
    """As ``key_changed`` has them."""
    token: str | None = None
    """The token of a new key."""


@contextmanager
def loading(alias: str, locators: Collection[str]) -> Iterator["Loader"]:
    """Lock the keys with these locators, and yield what loads policies into them; all or nothing.

    Raises as ``writing`` does.
    """
    rows, names = plain_rows(APIKey, alias), list(locators)
    known: dict[str, Any] = {}
    for start in range(0, len(names), _BATCH):
        found = rows.filter(locator__in=names[start : start + _BATCH])
        known |= dict(found.values_list("locator", "pk"))
    with writing(alias):
        # All at once and in one order, so that two imports don't wait for each other.
        lock(rows, known.values())
        yield Loader(alias, known)


class Loader:
    """Loads policies within one transaction."""

    def __init__(self, alias: str, known: Mapping[str, Any]) -> None:
        self._alias = alias
        self.known = known
        """The primary keys of the keys that exist, by locator."""

    def load(self, policy: Policy) -> Loaded:
        """Make a key what the policy says; raise ValidationError if a rule refuses that."""
        with editing(plain_rows(APIKey, self._alias), self.known[policy["locator"]]) as edit:
            self._refuse_fixed(edit.key, policy)
            for each in edit.lists:
                if each.kind.mode in policy:
                    each.load(policy[each.kind.mode], policy.get(each.kind.field))
            edit.write(**{name: policy[name] for name in OWN_FIELDS if name in policy})
        return Loaded(edit.key, UPDATED if edit.changes else UNCHANGED, edit.changes)

    def create(self, policy: Policy, creator: Any) -> Loaded:
        """Create a key with a new token; raise ValidationError if a rule refuses it."""
        fields = {name: policy[name] for name in KEY_FIELDS if name in policy}
        fields = {"condition": settings().CONDITIONS[0], **fields}
        key = APIKey(name=policy.get("name", ""), creator_id=creator.pk, **fields)
        lists = [policy.get(kind.field, ()) for kind in KINDS]
        token = key.insert(self._alias, fields, lists, _load_new, policy["locator"])
        changes: dict[str, Any] = {name: (None, getattr(key, name)) for name in ("name", *sorted(fields))}
        for kind in KINDS:
            added = getattr(key, kind.field).using(self._alias).values_list(kind.column, flat=True)
            changes[kind.field] = {"added": list(added), "removed": []}
        return Loaded(key, CREATED, changes, token.text)

    def undo(self) -> None:
        """Undo everything at the end, as if nothing had been loaded."""
        transaction.set_rollback(True, using=self._alias)

    def _refuse_fixed(self, key: APIKey, policy: Policy) -> None:
        for name in FIXED:
            if policy.get(name, getattr(key, name)) != getattr(key, name):
                sentence = _("This can't be changed. Create another key instead.")
                raise ValidationError({name: ValidationError(sentence, code="fixed")})


def _load_new(each: ListEdit, mode: str | None, entries: Iterable[EntryInput]) -> None:
    if mode is None:
        each.start(None, ())
    else:
        each.load(mode, entries)
