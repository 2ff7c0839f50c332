"""Which entry would allow a place that a key refused, and what people do with such places."""

from collections.abc import Collection, Iterable

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy

from ..policy.decision import Condition, Policy, Reason, Rule, Source
from ..policy.explanation import explain
from ..policy.networks import Address, parse_address
from ..policy.origins import Origin, parse_origin
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
        self._domains, ips = (listed_entries(key, kind) for kind in (DOMAINS, IPS))
        policy = compiled_policy(key, self._domains, ips)
        self._ip_list = policy.ips
        # By itself, the list says what it misses, whatever the key's condition makes of that.
        self._pages = Policy(policy.domains, None, Condition.ALL, policy.missing_origin)

    def of(self, row: BlockedSource) -> tuple[ListKind, str] | None:
        """Return the entry that would allow this place alone, and its list.

        None for a place that no entry can allow, that is listed already, or whose list is disabled.
        """
        if row.reason == Reason.ORIGIN_NOT_LISTED and (page := parse_origin(row.origin)) is not None:
            return _first_allowed(DOMAINS, self._for_page(page))
        if row.reason == Reason.IP_NOT_LISTED and (address := parse_address(row.ip)) is not None:
            return _first_allowed(IPS, self._for_address(address))
        return None

    def text_of(self, row: BlockedSource) -> str | None:
        """Return the entry that would allow this place alone, or None."""
        found = self.of(row)
        return None if found is None else found[1]

    def _for_page(self, page: Origin) -> list[str]:
        if self._pages.domains is None or self._pages.domains.match(page) is not None:
            return []
        source = Source(page, lambda: None)
        verdict, _ip = explain(self._pages, source, self._domains, (), _may_list).rules
        return [*(near.suggestion for near in verdict.nearest[:1] if near.suggestion), str(page), page.host]

    def _for_address(self, address: Address) -> list[str]:
        if self._ip_list is None or self._ip_list.match(address) is not None:
            return []
        return [str(address)]


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


def _first_allowed(kind: ListKind, candidates: Iterable[str]) -> tuple[ListKind, str] | None:
    for text in candidates:
        # How many entries there are is left to the save.
        if (canonical := kind.cleaned(text)) is not None:
            return kind, canonical
    return None


def _may_list(rule: Rule, text: str) -> bool:
    return DOMAINS.cleaned(text) is not None
