"""Write sums of refused requests to the rows of one database, or of one tenant of it."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import F, QuerySet

from ..conf import settings
from ..models import APIKey, BlockedSource
from ..models.blocked import oldest_shown
from .sums import KeyName, Place, Tallies, Tally, kept
from .waiting import without_waiting

MOST_ROWS = 250
"""How many rows one transaction writes: SQLite takes three statements for that, other databases one."""
MOST_KEYS = 100
MOST_EXPIRED = 1000
"""How many rows past BLOCKED_DAYS one transaction deletes."""
MOST_STATEMENTS = 10
"""How many statements ``write`` sends at most; what opens and ends a transaction isn't counted."""

_IDENTITY = ("key", "reason", "origin", "ip")
_COUNTED = ("count", "reported", "first_seen_at", "last_seen_at")


@contextmanager
def in_schema(connection: BaseDatabaseWrapper, schema: str | None) -> Iterator[bool]:
    """Have the connection serve this tenant, as django-tenants does; yield False if it can't."""
    before = getattr(connection, "schema_name", None)
    switch = getattr(connection, "set_schema", None)
    if before == schema or switch is None:
        yield before == schema
        return
    switch(schema)
    try:
        yield True
    finally:
        switch(before)


def write(alias: str, sums: Mapping[KeyName, Tallies]) -> dict[KeyName, Tallies]:
    """Add sums to the rows of their keys, and return the sums that must wait for the next time.

    They wait if someone else has locked the key, or if there are too many. The sums of a key that is gone
    are forgotten. Waits for no lock. Raises DatabaseError, with nothing written.
    """
    connection, by_locator = connections[alias], {name.locator: name for name in sums}
    with transaction.atomic(using=alias), without_waiting(connection):
        keys = _lock(connection, by_locator)
        left = {by_locator[each]: sums[by_locator[each]] for each in _held_by_others(alias, by_locator, keys)}
        too_many = _add(alias, {pk: sums[by_locator[locator]] for locator, pk in keys.items()})
        _delete_expired(connection)
    return left | {by_locator[each]: too_many[pk] for each, pk in keys.items() if pk in too_many}


def _lock(connection: BaseDatabaseWrapper, locators: Collection[str]) -> dict[str, int]:
    """Lock those of the keys that nobody else has locked; return their primary keys by locator.

    Who writes a key's blocked rows holds the key's row. So two writers never meet at the same blocked row,
    and the database's own check of the foreign key never waits.
    """
    keys: QuerySet[APIKey] = QuerySet(APIKey, using=connection.alias).filter(locator__in=locators).order_by()
    if not connection.features.has_select_for_update:
        # SQLite locks the whole database, for a transaction that begins with a write.
        keys.update(locator=F("locator"))
        return dict(keys.values_list("locator", "pk"))
    skip = connection.features.has_select_for_update_skip_locked
    return dict(keys.select_for_update(skip_locked=skip, nowait=not skip).values_list("locator", "pk"))


def _held_by_others(alias: str, locators: Collection[str], locked: Collection[str]) -> list[str]:
    """Return which of the keys exist, although they couldn't be locked."""
    missing = set(locators) - set(locked)
    keys: QuerySet[APIKey] = QuerySet(APIKey, using=alias).filter(locator__in=missing).order_by()
    return list(keys.values_list("locator", flat=True)) if missing else []


def _add(alias: str, sums: Mapping[int, Tallies]) -> dict[int, Tallies]:
    """Write the sums of keys that are locked, by primary key, and return those beyond MOST_ROWS.

    Rows that lose their place are deleted.
    """
    room = settings().BLOCKED_PER_KEY
    rows: QuerySet[BlockedSource] = QuerySet(BlockedSource, using=alias)
    stored = _stored(rows, sums)
    written: list[BlockedSource] = []
    dropped: list[int] = []
    left: dict[int, Tallies] = {}
    for pk, tallies in sums.items():
        before = stored.get(pk, {})
        total = {place: tally for place, (_pk, tally) in before.items()}
        for place, tally in tallies.items():
            total[place] = tally.plus(total.get(place))
        keep = kept(total, room)
        chosen = [place for place in tallies if place in keep]
        fitting = MOST_ROWS - len(written)
        written += [_to_row(pk, place, total[place]) for place in chosen[:fitting]]
        if len(chosen) > fitting:
            left[pk] = {place: tallies[place] for place in chosen[fitting:]}
        dropped += [row_pk for place, (row_pk, _tally) in before.items() if place not in keep]
    if written:
        _upsert(rows, written)
    if dropped:
        rows.filter(pk__in=dropped).delete()
    return left


def _stored(
    rows: "QuerySet[BlockedSource]", keys: Collection[int]
) -> dict[int, dict[Place, tuple[int, Tally]]]:
    """Return the keys' rows, locked: a snapshot of the transaction's may be older than the keys' locks."""
    found: dict[int, dict[Place, tuple[int, Tally]]] = {}
    fields = ("key_id", "pk", *_IDENTITY[1:], *_COUNTED)
    shown = rows.filter(key__in=keys, last_seen_at__gt=oldest_shown()).order_by()
    nowait = connections[rows.db].features.has_select_for_update_nowait
    for key, pk, *values in shown.select_for_update(nowait=nowait).values_list(*fields):
        found.setdefault(key, {})[Place(*values[:3])] = pk, Tally(*values[3:])
    return found


def _to_row(key: int, place: Place, tally: Tally) -> BlockedSource:
    return BlockedSource(
        key_id=key,
        **place._asdict(),
        count=tally.count,
        reported=tally.reported,
        first_seen_at=tally.first,
        last_seen_at=tally.last,
    )


def _upsert(rows: "QuerySet[BlockedSource]", written: list[BlockedSource]) -> None:
    features: Any = connections[rows.db].features
    target = _IDENTITY if features.supports_update_conflicts_with_target else None
    rows.bulk_create(written, update_conflicts=True, unique_fields=target, update_fields=_COUNTED)


def _delete_expired(connection: BaseDatabaseWrapper) -> None:
    """Delete some rows past BLOCKED_DAYS, those that nobody else is deleting."""
    rows: QuerySet[BlockedSource] = QuerySet(BlockedSource, using=connection.alias)
    expired = rows.filter(last_seen_at__lte=oldest_shown()).order_by()
    skip = connection.features.has_select_for_update_skip_locked
    pks = list(expired.select_for_update(skip_locked=skip).values_list("pk", flat=True)[:MOST_EXPIRED])
    if pks:
        rows.filter(pk__in=pks).delete()
