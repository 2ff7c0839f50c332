"""The lock on a key's row, and what to say when another writer holds it.

The lock is an UPDATE that renews the key's revision. Where the transaction is ours it is the first
statement, so it serializes writers on SQLite too, where ``select_for_update`` does nothing. In a transaction
of the project's, which may have read before, locking reads see what is committed. Every process sees at its
next request that the key changed (see ``enforcement.lookup``). The revision is random, not counted: a
number that was rolled back would come again with other entries behind it.
"""

import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from django.core.exceptions import ValidationError
from django.db import OperationalError, connections, models, transaction
from django.utils.translation import gettext as _

from .announcements import announce

CONTENTION = {
    # PostgreSQL's SQLSTATE: deadlock, serialization failure, lock not available.
    "40P01",
    "40001",
    "55P03",
    # MariaDB's and MySQL's error number: deadlock, lock wait timeout, changed since the snapshot.
    1213,
    1205,
    1020,
    # SQLite's name: someone else writes, on this or another connection.
    "SQLITE_BUSY",
    "SQLITE_BUSY_SNAPSHOT",
    "SQLITE_LOCKED",
    "SQLITE_LOCKED_SHAREDCACHE",
}
"""What databases report when the same write would succeed a moment later."""

_BATCH = 1000
"""How many rows one statement locks: databases limit a statement's parameters."""


@contextmanager
def writing(alias: str) -> Iterator[None]:
    """Make the block's writes all or nothing.

    Raises ValidationError with the code ``busy`` if another writer is in the way.
    """
    try:
        with transaction.atomic(using=alias):
            yield
    except OperationalError as error:
        if not is_contention(error):
            raise
        sentence = _("Someone else is editing this key. Nothing was saved. Please try again.")
        raise ValidationError(sentence, code="busy") from error


def is_contention(error: OperationalError) -> bool:
    """Return whether the database gave up because of another writer."""
    cause = error.__cause__
    # psycopg 3, psycopg2 and sqlite3 each have an attribute of their own; MySQL's drivers the first argument.
    named = (getattr(cause, name, None) for name in ("sqlstate", "pgcode", "sqlite_errorname"))
    return not CONTENTION.isdisjoint({*named, *error.args[:1]})


@contextmanager
def locked(rows: "models.QuerySet[Any]", pk: Any) -> Iterator[None]:
    """Lock the key ``pk`` of ``rows`` for the block; all or nothing.

    Raises ValidationError if the key is gone, and as ``writing`` does.
    """
    with writing(rows.db):
        if not lock(rows, [pk]):
            raise ValidationError(_("This key was deleted in the meantime."), code="deleted")
        yield


def lock(rows: "models.QuerySet[Any]", pks: Collection[Any]) -> int:
    """Lock the keys ``pks`` of ``rows`` to the end of the transaction; return how many there are."""
    ordered, found = sorted(pks), 0
    for start in range(0, len(ordered), _BATCH):
        keys = rows.filter(pk__in=ordered[start : start + _BATCH])
        if len(ordered) > 1 and connections[rows.db].features.has_select_for_update:
            # An UPDATE locks rows as it meets them; two writers of the same keys would wait for each other.
            list(keys.order_by("pk").select_for_update().values_list("pk"))
        # The plain method: a key's own update() refuses the revision.
        found += models.QuerySet.update(keys, revision=uuid.uuid4())
        announce(keys, rows.db)
    return found


def write_alias(rows: Any) -> str:
    """Return the database that the queryset ``rows`` is written to, and have it read from there."""
    # Django's own bulk_create() does this. There is no public API for it.
    rows._for_write = True
    alias: str = rows.db
    return alias
