"""When a key was used and its entries matched: ``last_used_at`` and ``last_matched_at``."""

import logging
from collections.abc import Callable
from contextlib import nullcontext
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import connections, transaction
from django.db.models import Q, QuerySet

from ..models import APIKey
from ..models.list_rules import plain_rows
from ..models.lists import DOMAINS, IPS, ListKind
from ..policy.decision import Decision
from .lookup import ActivePolicy, Row
from .waiting import without_waiting

logger = logging.getLogger("allowlist")

USED_AGAIN = timedelta(minutes=1)
"""How often a key's ``last_used_at`` is written at most."""
MATCHED_AGAIN = timedelta(hours=1)
"""How often an entry's ``last_matched_at`` is written at most."""


def note_use(found: ActivePolicy, decision: Decision, now: datetime) -> None:
    """Write when a key was used, and when its entries matched, unless that was done a short time ago.

    Under ATOMIC_REQUESTS it is written after the request's transaction is committed. Otherwise the rows
    would be locked while the view runs, and a slow request with a stolen key would keep the key's creator
    from revoking it.
    """
    row = found.row
    if _is_stale(row.used_at, now, USED_AGAIN):
        _write_soon(row, partial(_write_use, row, now))
    for kind, text in _stale_matches(found, decision, now):
        # Whatever becomes of it, this process tries again in an hour.
        found.lists.matched_at[kind.column, text] = now
        _write_soon(row, partial(_write_match, row, kind, text, now))


def is_use_due(found: ActivePolicy, decision: Decision, now: datetime) -> bool:
    """Return whether ``note_use`` would write."""
    return _is_stale(found.row.used_at, now, USED_AGAIN) or bool(_stale_matches(found, decision, now))


def _stale_matches(found: ActivePolicy, decision: Decision, now: datetime) -> list[tuple[ListKind, str]]:
    """Return each entry that matched and has no recent ``last_matched_at`` that this process knows of."""
    matched_at = found.lists.matched_at
    return [
        (kind, text)
        for kind, text in ((DOMAINS, decision.domain_entry), (IPS, decision.ip_entry))
        if text is not None and _is_stale(matched_at.get((kind.column, text)), now, MATCHED_AGAIN)
    ]


def _is_stale(at: datetime | None, now: datetime, after: timedelta) -> bool:
    return at is None or at <= now - after


def _write_soon(row: Row, write: Callable[[], None]) -> None:
    if _is_in_the_request_s_transaction(connections[row.alias]):
        transaction.on_commit(write, using=row.alias)
    else:
        write()


def _is_in_the_request_s_transaction(connection: Any) -> bool:
    """Return whether the transaction is the one that ATOMIC_REQUESTS opens.

    Within a TestCase it isn't: what waits for that commit would never be written. ``savepoint_ids``, which
    isn't public, is empty in the outermost block only.
    """
    is_atomic = connection.settings_dict["ATOMIC_REQUESTS"] and connection.in_atomic_block
    return bool(is_atomic and not connection.savepoint_ids)


def _write_use(row: Row, now: datetime) -> None:
    """Write ``last_used_at`` unless others did within a minute. Waits for no lock and never fails."""
    stale = Q(last_used_at=None) | Q(last_used_at__lte=now - USED_AGAIN)
    key = _key(row)
    try:
        if not _write(key.filter(stale), row.alias, partial(setattr, row, "used_at", now), last_used_at=now):
            # Others wrote it, or will. A row cached under FRESHNESS would not show that for seconds.
            row.used_at = key.values_list("last_used_at", flat=True).first()
    except Exception as error:  # noqa: BLE001 - the request is decided, and served
        logger.warning("last_used_at of key %s could not be written yet: %s", row["id"], error)


def _write_match(row: Row, kind: ListKind, text: str, now: datetime) -> None:
    """Write ``last_matched_at`` unless others did within an hour. Waits for no lock and never fails."""
    model: Any = APIKey._meta.get_field(kind.field).related_model
    stale = Q(last_matched_at=None) | Q(last_matched_at__lte=now - MATCHED_AGAIN)
    entry = plain_rows(model, row.alias).filter(stale, key__in=_key(row), **{kind.column: text})
    try:
        _write(entry, row.alias, last_matched_at=now)
    except Exception as error:  # noqa: BLE001 - the request is decided, and served
        logger.warning("last_matched_at of %r of key %s was not written: %s", text, row["id"], error)


def _key(row: Row) -> "QuerySet[Any]":
    # By the time of a commit the connection may be another tenant's, with another key of this primary key.
    return plain_rows(APIKey, row.alias).filter(pk=row["id"], locator=row["locator"])


def _write(
    rows: "QuerySet[Any]", alias: str, committed: Callable[[], None] | None = None, **values: Any
) -> bool:
    """Write in a savepoint, so that a failure leaves the request's own transaction usable.

    Calls ``committed`` after the commit. Returns False when the row is locked, or others wrote it meanwhile.
    """
    connection = connections[alias]
    is_sqlite = connection.vendor == "sqlite"
    skip = connection.features.has_select_for_update_skip_locked
    unlocked = rows.order_by().select_for_update(skip_locked=skip, nowait=not skip)
    with (
        without_waiting(connection) if is_sqlite else nullcontext(),
        transaction.atomic(using=alias),
    ):
        is_ours = is_sqlite or unlocked.values_list("pk", flat=True).first() is not None
        if not is_ours or not rows.update(**values):
            return False
        if committed is not None:
            transaction.on_commit(committed, using=alias)
        return True
