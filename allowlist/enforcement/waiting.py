"""Locks that nobody waits for: what is written beside a request must never hold it up."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper


def without_waiting(connection: BaseDatabaseWrapper) -> AbstractContextManager[None]:
    """Have the block's statements fail at once when another writer holds a row or a table.

    The block must be in a transaction of its own, or in a savepoint.
    """
    block = {"sqlite": _sqlite, "postgresql": _postgresql, "mysql": _mysql}.get(connection.vendor)
    return nullcontext() if block is None else block(connection)


@contextmanager
def _sqlite(connection: BaseDatabaseWrapper) -> Iterator[None]:
    connection.ensure_connection()  # Under FRESHNESS, this may be the request's first use of the database.
    raw = connection.connection
    (before,) = raw.execute("PRAGMA busy_timeout").fetchone()
    raw.execute("PRAGMA busy_timeout = 0")
    try:
        yield
    finally:
        raw.execute(f"PRAGMA busy_timeout = {before:d}")


@contextmanager
def _postgresql(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Set a timeout of this transaction alone, which a pooler can't give to someone else's."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('lock_timeout'), set_config('lock_timeout', '1ms', true)")
        before, _now = cursor.fetchone()
        yield  # After an error the transaction or savepoint is rolled back, and the timeout with it.
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", (before,))


@contextmanager
def _mysql(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Set this session's timeouts for rows and tables to the least.

    For rows that is a second, so lock what you can by NOWAIT or SKIP LOCKED. MySQL has no 0, and by it
    MariaDB 10.11 fails to skip locked rows.
    """
    sql = "SET SESSION innodb_lock_wait_timeout = %s, SESSION lock_wait_timeout = %s"
    with connection.cursor() as cursor:
        cursor.execute("SELECT @@SESSION.innodb_lock_wait_timeout, @@SESSION.lock_wait_timeout")
        before = cursor.fetchone()
        cursor.execute(sql, (1, 0 if getattr(connection, "mysql_is_mariadb", False) else 1))
    try:
        yield
    finally:
        with suppress(Error), connection.cursor() as cursor:  # The connection may be lost.
            cursor.execute(sql, before)
