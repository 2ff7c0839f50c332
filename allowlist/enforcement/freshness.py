"""``FRESHNESS``: what was read of keys is used without a query while a server pushes every change.

By default nothing here is used: every request reads its key's row (see ``lookup``). With FRESHNESS, a
connection pushes the names of changed keys to this process. It is read before each decision, and no
request waits for it. A cached policy is used without a query only

- while the server gave a sign of life that was asked for less than LEASE ago: what it pushed before is read;
- if no change arrived between the beginning and the end of the read (see ``Epoch``);
- for MAX_AGE, which bounds changes that nobody announces, such as raw SQL;
- outside transactions, since a read inside one may be older than the changes that arrived.

Whatever goes wrong with the server, every cached policy has to be read again, and the database decides.
"""

import logging
import os
import time
from collections.abc import Callable
from functools import cache, partial
from threading import Lock
from typing import Any, NamedTuple, Protocol

from django.core.signals import setting_changed

from ..conf import settings
from ..models.announcements import EVERYTHING, LEASE, MAX_AGE
from ..push import listening_alias, listening_problem
from .cache import Cache
from .heartbeat import Heartbeat
from .postgres_connection import ListeningConnection
from .redis_connection import TrackingConnection

logger = logging.getLogger("allowlist")

RETRY_AFTER = 5.0
"""Seconds between two attempts to reach a server that is down."""


class Epoch(NamedTuple):
    """The time between two changes, as one process hears of them."""

    since: object
    """An identity that is replaced whenever a change may have been missed."""
    changes: int
    at: float

    def covers(self, earlier: "Epoch | None") -> bool:
        """Return whether what was read in ``earlier`` is current, unless its own key changed."""
        return earlier is not None and earlier.since is self.since and self.at - earlier.at <= MAX_AGE


class Cached(Protocol):
    """What the cache holds. ``read_at`` is None when it has to be read again."""

    read_at: Epoch | None


class Connection(Protocol):
    """A connection on which a server pushes the names of changed keys. Nothing on it blocks."""

    heartbeat: Heartbeat

    def changes(self) -> list[str]:
        """Return the names pushed since the last call; raise if the connection is lost."""

    def ping(self, now: float) -> None:
        """Ask the server for a sign of life if it is time; raise if the last got none."""

    def close(self) -> None:
        """Close the connection."""


class Store:
    """Knows which values of ``cache`` are current. Thread-safe."""

    def __init__(self, server: str, connect: Callable[[], Connection], cache: Cache[Any]) -> None:
        self._server = server
        self._connect = connect
        self._cache = cache
        self._lock = Lock()
        self._connection: Connection | None = None
        self._since = object()
        self._changes = 0
        self._retry_at = 0.0
        self._is_down = False

    def current(self, *, may_connect: bool = True) -> Epoch | None:
        """Hear of changes; return the epoch, or None when the database has to be asked.

        It blocks only to connect.
        """
        with self._lock:
            now = time.monotonic()
            if self._connection is not None:
                return self._listen(self._connection, now)
            if not may_connect or now < self._retry_at:
                return None
            self._retry_at = now + RETRY_AFTER
        return self._reconnect(now)

    def confirm(self, value: Cached, epoch: Epoch) -> None:
        """Let ``value`` be used without a query if nothing changed since ``epoch``, when it was read.

        It has to be in the cache already, where later changes are looked up.
        """
        with self._lock:
            if epoch.since is self._since and epoch.changes == self._changes:
                value.read_at = epoch

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _listen(self, connection: Connection, now: float) -> Epoch | None:
        try:
            for name in connection.changes():
                self._expire(name)
            connection.ping(now)
        except Exception as error:  # noqa: BLE001 - the database decides, whatever is wrong
            self._hang_up(connection, error)
            return None
        if now - connection.heartbeat.alive_at > LEASE:
            # A change announced meanwhile may be lost, and nothing else would expire its key.
            self._expire(EVERYTHING)
            return None
        if self._is_down:
            self._is_down = False
            # A warning too, since people who saw the first one look for it.
            logger.warning("%s is back: requests need no query again.", self._server)
        return Epoch(self._since, self._changes, now)

    def _reconnect(self, now: float) -> Epoch | None:
        """Connect without the lock: other threads ask the database meanwhile."""
        try:
            connection = self._connect()
        except Exception as error:  # noqa: BLE001 - the database decides, whatever is wrong
            self._report_down(error)
            return None
        with self._lock:
            self._connection = connection
            # Nobody knows what changed before.
            self._expire(EVERYTHING)
            return self._listen(connection, now)

    def _hang_up(self, connection: Connection, error: Exception) -> None:
        self._connection = None
        connection.close()
        self._report_down(error)

    def _report_down(self, error: Exception) -> None:
        if not self._is_down:
            self._is_down = True
            logger.warning(
                "%s is down (%s): every request queries the database until it is back.", self._server, error
            )

    def _expire(self, name: str) -> None:
        """Have a key read again, by every alias and tenant; or every key."""
        self._changes += 1
        if name == EVERYTHING:
            self._since = object()
        else:
            for value in self._cache.named(name):
                value.read_at = None


def store_of(cache: Cache[Any], alias: str) -> Store | None:
    """Return this process's store for keys of database ``alias``, or None without FRESHNESS."""
    freshness = settings().FRESHNESS
    return None if freshness is None else _store(freshness, alias, cache, os.getpid())


@cache
def _store(freshness: str, alias: str, cache: Cache[Any], pid: int) -> Store | None:
    """Return the store of a database, or None if its changes can't be heard of, as a system check reports.

    A forked process shares neither connection nor lock with its parent.
    """
    if listening_problem(freshness, alias) is not None:
        return None
    heard = listening_alias(freshness, alias)
    if heard is None:
        store = Store("Redis", partial(TrackingConnection, freshness), cache)
    else:
        server = "The connection on which PostgreSQL pushes changes"
        store = Store(server, partial(ListeningConnection, heard), cache)
    return _stores.setdefault((pid, cache, heard), store)


_stores: dict[tuple[int, Cache[Any], str | None], Store] = {}
"""By process, and by the database that pushes; None is Redis."""


def _forget(*, setting: str, **kwargs: Any) -> None:
    """Close this process's connections, which would keep a database of tests from being dropped."""
    if setting == "ALLOWLIST":
        for (pid, _cache, _heard), store in _stores.items():
            if pid == os.getpid():  # pragma: no branch - tests fork, and what a child runs isn't counted
                store.close()
        _stores.clear()
        _store.cache_clear()


setting_changed.connect(_forget, dispatch_uid="allowlist.freshness")
