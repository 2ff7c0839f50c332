"""When a key was used: ``last_used_at``, written by served requests."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import connections, transaction
from django.db.models import Q, QuerySet

from ..models import APIKey
from .lookup import Row

logger = logging.getLogger("allowlist")

USED_AGAIN = timedelta(minutes=1)
"""How often a key's ``last_used_at`` is written at most."""


def note_use(row: Row, now: datetime) -> None:
    """Write ``last_used_at`` unless that was done within a minute.

    Under ATOMIC_REQUESTS it is written after the request's transaction is committed. Otherwise the row
    would be locked while the view runs, and a slow request with a stolen key would keep the key's creator
    from revoking it.
    """
    if row.used_at is not None and row.used_at > now - USED_AGAIN:
        return
    if _is_in_the_request_s_transaction(connections[row.alias]):
        transaction.on_commit(partial(_write_if_stale, row, now), using=row.alias)
    else:
        _write_if_stale(row, now)


def _is_in_the_request_s_transaction(connection: Any) -> bool:
    """Return whether the transaction is the one that ATOMIC_REQUESTS opens.

    Within a TestCase it isn't: what waits for that commit would never be written. ``savepoint_ids``, which
    isn't public, is empty in the outermost block only.
    """
    is_atomic = connection.settings_dict["ATOMIC_REQUESTS"] and connection.in_atomic_block
    return bool(is_atomic and not connection.savepoint_ids)


def _write_if_stale(row: Row, now: datetime) -> None:
    """Write ``last_used_at`` unless others did within a minute. Waits for no lock and never fails."""
    stale = Q(last_used_at=None) | Q(last_used_at__lte=now - USED_AGAIN)
    # By then the connection may be another tenant's, where another key has this primary key.
    key = APIKey.objects.using(row.alias).filter(pk=row["id"], locator=row["locator"])
    try:
        if not _write(key.filter(stale), row, now):
            # Others wrote it, or will. A row cached under FRESHNESS would not show that for seconds.
            row.used_at = key.values_list("last_used_at", flat=True).first()
    except Exception as error:  # noqa: BLE001 - the request is decided, and served
        logger.warning("last_used_at of key %s could not be written yet: %s", row["id"], error)


def _write(rows: "QuerySet[APIKey]", row: Row, now: datetime) -> bool:
    """Write in a savepoint, so that a failure leaves the request's own transaction usable.

    Returns False when the row is locked, or others wrote it meanwhile.
    """
    connection = connections[row.alias]
    is_sqlite = connection.vendor == "sqlite"
    skip = connection.features.has_select_for_update_skip_locked
    unlocked = rows.select_for_update(skip_locked=skip, nowait=not skip)
    with (
        _sqlite_without_waiting(connection) if is_sqlite else nullcontext(),
        transaction.atomic(using=row.alias),
    ):
        is_ours = is_sqlite or unlocked.values_list("pk", flat=True).first() is not None
        if not is_ours or not rows.update(last_used_at=now):
            return False
        transaction.on_commit(partial(setattr, row, "used_at", now), using=row.alias)
        return True


@contextmanager
def _sqlite_without_waiting(connection: Any) -> Iterator[None]:
    """Have SQLite raise "database is locked" at once instead of after the connection's timeout."""
    connection.ensure_connection()  # Under FRESHNESS, this may be the request's first use of the database.
    raw = connection.connection
    (before,) = raw.execute("PRAGMA busy_timeout").fetchone()
    raw.execute("PRAGMA busy_timeout = 0")
    try:
        yield
    finally:
        raw.execute(f"PRAGMA busy_timeout = {before:d}")
