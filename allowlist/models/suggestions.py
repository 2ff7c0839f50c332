"""Which entry would allow a place that a key refused, and what people do with such places."""

from collections.abc import Collection, Iterable
from dataclasses import replace

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy

from ..policy.decision import Condition, Policy, Reason, Rule, Source
from ..policy.explanation import Near, explain
from ..policy.networks import Address, parse_address
from ..policy.origins import NoOrigin, Origin, parse_origin
from .blocked import BlockedSource, oldest_shown
from .edits import KeyEdit
from .entries import Entry
from .explaining import compiled_policy, listed_entries
from .list_rules import Key, plain_rows
from .lists import DOMAINS, IPS, ListKind

_NOTHING_TO_LIST = gettext_lazy(
    "“%(place)s” can't be allowed by an entry. Its list is disabled or allows it already, or the request "
    "named no website or IP address that can be listed here."
)


class Suggestions:
    """What to list for the places that one key refused, by its lists as they are now."""

    def __init__(self, key: Key) -> None:
        self._domains, self._ips = (listed_entries(key, kind) for kind in (DOMAINS, IPS))
        policy = compiled_policy(key, self._domains, self._ips)
        # By itself, each list says what it misses, whatever the key's condition makes of that.
        self._pages = Policy(policy.domains, None, Condition.ALL, policy.missing_origin)
        self._addresses = Policy(None, policy.ips, Condition.ALL, policy.missing_origin)

    def of(self, row: BlockedSource) -> tuple[ListKind, str] | None:
        """Return the entry that would allow this place alone, and its list.

        None for a place that no entry can allow, that is listed already, or whose list is disabled.
        """
        place = _place(row)
        if place is None or not self._misses(place):
            return None
        if isinstance(place, Origin):
            near = self._nearest(place)
            suggested = [near.suggestion] if near is not None and near.suggestion else []
            return _first_allowed(DOMAINS, [*suggested, str(place), place.host])
        return _first_allowed(IPS, [str(place)])

    def text_of(self, row: BlockedSource) -> str | None:
        """Return the entry that would allow this place alone, or None."""
        found = self.of(row)
        return None if found is None else found[1]

    def near(self, row: BlockedSource) -> Near | None:
        """Return the listed entry that comes nearest to this place, with the suggestion for the place."""
        place = _place(row)
        near = None if place is None else self._nearest(place)
        return None if near is None else replace(near, suggestion=self.text_of(row))

    def is_settled(self, row: BlockedSource) -> bool:
        """Return whether the list that refused this place doesn't any more: it is disabled, or lists it."""
        place = _place(row)
        return place is not None and not self._misses(place)

    def _misses(self, place: Origin | Address) -> bool:
        if isinstance(place, Origin):
            return self._pages.domains is not None and self._pages.domains.match(place) is None
        return self._addresses.ips is not None and self._addresses.ips.match(place) is None

    def _nearest(self, place: Origin | Address) -> Near | None:
        if isinstance(place, Origin):
            policy, source = self._pages, Source(place, lambda: None)
        else:
            policy, source = self._addresses, Source(NoOrigin.ABSENT, lambda: place)
        verdicts = explain(policy, source, self._domains, self._ips, _may_list).rules
        return next((near for verdict in verdicts for near in verdict.nearest), None)


def allow(edit: KeyEdit, pks: Collection[int]) -> list[Entry]:
    """List the suggestion for each of these rows of the key, delete the rows, and return the entries.

    Raises BlockedSource.DoesNotExist for a row that the key doesn't have, ValidationError for one without a
    suggestion. The edit raises ValidationError for more entries than the key may list.
    """
    rows = _rows_of(edit.key).filter(last_seen_at__gt=oldest_shown()).in_bulk(set(pks))
    suggestions = Suggestions(edit.key)
    wanted: dict[tuple[ListKind, str], None] = {}
    for pk in pks:
        if pk not in rows:
            raise BlockedSource.DoesNotExist
        if (found := suggestions.of(rows[pk])) is None:
            raise ValidationError(_NOTHING_TO_LIST % {"place": rows[pk]}, code="no_suggestion")
        wanted[found] = None
    listed: dict[tuple[ListKind, str], Entry] = {}
    for each in edit.lists:
        if texts := [text for kind, text in wanted if kind is each.kind]:
            each.add(texts)  # An entry that has expired becomes permanent.
            listed |= {(each.kind, row.text): row for row in each.rows}
    _rows_of(edit.key).filter(pk__in=rows).delete()
    return [listed[each] for each in wanted]


def forget(edit: KeyEdit) -> None:
    """Delete what the key refused, as far as this process knows."""
    edit.key.blocked_sources.exists()  # Counts that wait in memory are written first.
    _rows_of(edit.key).delete()


def _rows_of(key: Key) -> "QuerySet[BlockedSource]":
    return plain_rows(BlockedSource, key._state.db).filter(key_id=key.pk)


def _place(row: BlockedSource) -> Origin | Address | None:
    """Return what a list refused; None if the reason is another one, or the row names no single place."""
    if row.reason == Reason.ORIGIN_NOT_LISTED:
        return parse_origin(row.origin)
    return parse_address(row.ip) if row.reason == Reason.IP_NOT_LISTED else None


def _first_allowed(kind: ListKind, candidates: Iterable[str]) -> tuple[ListKind, str] | None:
    for text in candidates:
        # How many entries there are is left to the save.
        if (canonical := kind.cleaned(text)) is not None:
            return kind, canonical
    return None


def _may_list(rule: Rule, text: str) -> bool:
    return (DOMAINS if rule is Rule.DOMAIN else IPS).cleaned(text) is not None
