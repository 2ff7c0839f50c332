"""``FRESHNESS``: what was read of keys is used without a query while a server pushes every change.

By default nothing here is used: every request reads its key's row (see ``lookup``). With FRESHNESS, a
connection pushes the names of changed keys to this process. It is read before each decision, and no
request waits for it. A cached policy is used without a query only

- while the server replied to a PING sent less than LEASE ago: what it pushed before the reply is read;
- if no change arrived between the beginning and the end of the read (see ``Epoch``);
- for MAX_AGE, which bounds changes that nobody announces: raw SQL, a writer that died after its commit;
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

from ..conf import settings
from ..models.announcements import EVERYTHING, LEASE, MAX_AGE
from .cache import Cache
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

    alive_at: float

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

    def _listen(self, connection: Connection, now: float) -> Epoch | None:
        try:
            for name in connection.changes():
                self._expire(name)
            connection.ping(now)
        except Exception as error:  # noqa: BLE001 - the database decides, whatever is wrong
            self._hang_up(connection, error)
            return None
        if now - connection.alive_at > LEASE:
            # A change announced meanwhile may be lost, and nothing else would expire its key.
            self._expire(EVERYTHING)
            return None
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
            if self._is_down:
                self._is_down = False
                # A warning too, since people who saw the first one look for it.
                logger.warning("%s is back: requests need no query again.", self._server)
            return Epoch(self._since, self._changes, now)

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


def store_of(cache: Cache[Any]) -> Store | None:
    """Return this process's store for ``cache``, or None without FRESHNESS."""
    url = settings().FRESHNESS
    return None if url is None else _store(url, cache, os.getpid())


@cache
def _store(url: str, cache: Cache[Any], _pid: int) -> Store:
    """Return the store of a process: a forked process shares neither connection nor lock with its parent."""
    return Store("Redis", partial(TrackingConnection, url), cache)
