"""``FRESHNESS``: what was read of keys stays in the process while Redis tells of every change.

By default nothing here is used: every request reads its key's row (see ``lookup``). With a Redis, a
process keeps what it read and Redis pushes the names of changed keys to it, by client-side caching in
broadcast mode (https://redis.io/docs/latest/develop/reference/client-side-caching/). The socket is read
before each decision and never waited for. What is kept is used only

- while Redis answered a PING that was sent less than LEASE ago: what it pushed before the answer is read;
- if no change was heard of between the beginning of the read and its end (the ``epoch``);
- for MAX_AGE, which bounds what nobody announces: raw SQL, or a writer that died after its commit;
- outside transactions, as what is read inside one may be older than what was heard.

Whatever goes wrong with Redis, the answer is to forget everything and ask the database.
"""

import logging
import os
import select
import time
from functools import cache
from ssl import SSLWantReadError
from threading import Lock
from typing import Any, Generic, NamedTuple, TypeVar

from ..conf import settings
from ..models.announcements import EVERYTHING, LEASE, MAX_AGE, PREFIX, redis_pool
from .bounded import Bounded

logger = logging.getLogger("allowlist")

PING_EVERY = 0.5
RETRY_AFTER = 5.0
"""Seconds between two attempts to reach a Redis that is away."""
CONNECT_TIMEOUT = 0.2
"""Seconds that a request waits at most for such an attempt."""
MAX_KEPT = 200_000
"""How many entries are kept at most, a key counting as five: some 70 MB."""

PING = b"*1\r\n$4\r\nPING\r\n"

Value = TypeVar("Value")


class AwayError(Exception):
    """Redis closed the connection, answers what it should not, or is silent."""


class Moment(NamedTuple):
    """A moment up to which every change is known, and how many changes there were."""

    epoch: int
    at: float


class Line:
    """The connection on which Redis pushes the names of what changed. Nothing on it blocks."""

    def __init__(self, url: str) -> None:
        """Connect and subscribe, within a few CONNECT_TIMEOUTs; raises RedisError or OSError."""
        from hiredis import Reader

        self.alive_at = time.monotonic()
        """When Redis was last asked for a sign of life that it gave."""
        self._pinged_at: float | None = None
        self._reader = Reader()
        self._connection = _subscribe(url)
        # redis-py opens, encrypts and authenticates it; its reading would wait for more to come.
        self._socket = self._connection._sock
        self._socket.setblocking(False)
        self._news = select.poll()
        self._news.register(self._socket, select.POLLIN)

    def changes(self) -> list[str]:
        """Return the names pushed since the last call; raises AwayError, OSError or HiredisError."""
        if not self._news.poll(0):
            return []
        try:
            while data := self._socket.recv(65536):
                self._reader.feed(data)
        except (BlockingIOError, SSLWantReadError):
            return self._pushed()
        raise AwayError("the connection was closed")

    def ping(self, now: float) -> None:
        """Ask for a sign of life if it is time; raises AwayError where none came, or OSError."""
        if self._pinged_at is None:
            if now - self.alive_at > PING_EVERY:
                self._socket.send(PING)
                self._pinged_at = now
        elif now - self._pinged_at > LEASE:
            raise AwayError(f"silent for {LEASE:.0f} s")

    def close(self) -> None:
        """Close the connection."""
        self._connection.disconnect()

    def _pushed(self) -> list[str]:
        names: list[str] = []
        while (message := self._reader.gets()) is not False:
            if message == b"PONG" and self._pinged_at is not None:
                self.alive_at, self._pinged_at = self._pinged_at, None
            elif isinstance(message, list) and message[0] == b"invalidate":
                # No names when all of Redis was flushed.
                names += [EVERYTHING] if message[1] is None else [_name(key) for key in message[1]]
            else:
                raise AwayError(f"unexpected answer: {message}")
        return names


def _subscribe(url: str) -> Any:
    """Return a new connection, on which Redis tells of every key that begins with PREFIX."""
    pool = redis_pool(url, protocol=3, socket_timeout=CONNECT_TIMEOUT, socket_connect_timeout=CONNECT_TIMEOUT)
    connection: Any = pool.connection_class(**pool.connection_kwargs)
    try:
        connection.connect()
        connection.send_command("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", PREFIX)
        connection.read_response()
    except Exception:
        connection.disconnect()
        raise
    return connection


def _name(key: bytes) -> str:
    return key.decode(errors="replace").removeprefix(PREFIX)


class Store(Generic[Value]):
    """What a process read of keys, by locator, for as long as it is sure to be current. Thread-safe."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._kept: Bounded[str, tuple[Value, float]] = Bounded(MAX_KEPT)
        self._lock = Lock()
        self._line: Line | None = None
        self._epoch = 0
        self._retry_at = 0.0
        self._is_away = False

    def current(self) -> Moment | None:
        """Forget what changed; return the moment, or None where what is kept may not be used."""
        with self._lock:
            now = time.monotonic()
            if self._line is not None:
                return self._listen(self._line, now)
            if now < self._retry_at:
                return None
            self._retry_at = now + RETRY_AFTER
        return self._connect(now)

    def get(self, name: str, moment: Moment) -> Value | None:
        """Return what is kept under ``name``, if it is current at ``moment``."""
        held = self._kept.get(name)
        if held is None or moment.at - held[1] > MAX_AGE:
            return None
        return held[0]

    def keep(self, name: str, value: Value, weight: int, moment: Moment) -> None:
        """Keep what was read since ``moment``, unless a change was heard of meanwhile."""
        with self._lock:
            if moment.epoch == self._epoch:
                self._kept.put(name, (value, moment.at), weight)

    def _listen(self, line: Line, now: float) -> Moment | None:
        try:
            for name in line.changes():
                self._forget(name)
            line.ping(now)
        except Exception as error:  # noqa: BLE001 - the database answers, whatever is wrong
            self._hang_up(line, error)
            return None
        if now - line.alive_at > LEASE:
            # What was announced meanwhile may be lost, and nobody else would forget it.
            self._forget(EVERYTHING)
            return None
        return Moment(self._epoch, now)

    def _connect(self, now: float) -> Moment | None:
        """Connect without the lock: other threads ask the database meanwhile."""
        try:
            line = Line(self._url)
        except Exception as error:  # noqa: BLE001 - the database answers, whatever is wrong
            self._tell_away(error)
            return None
        with self._lock:
            self._line = line
            # What changed while nobody listened is not known.
            self._forget(EVERYTHING)
            if self._is_away:
                self._is_away = False
                # As loud as the word that it is away: who saw that looks for this.
                logger.warning("Redis is back: keys are kept in the process again.")
            return Moment(self._epoch, now)

    def _hang_up(self, line: Line, error: Exception) -> None:
        self._line = None
        line.close()
        self._tell_away(error)

    def _tell_away(self, error: Exception) -> None:
        if not self._is_away:
            self._is_away = True
            logger.warning("Redis is away (%s): every request asks the database until it is back.", error)

    def _forget(self, name: str) -> None:
        self._epoch += 1
        if name == EVERYTHING:
            self._kept.clear()
        else:
            self._kept.forget(name)


def store() -> "Store[Any] | None":
    """Return this process's store, or None where the settings name no Redis."""
    url = settings().FRESHNESS
    return None if url is None else _store(url, os.getpid())


@cache
def _store(url: str, _pid: int) -> "Store[Any]":
    """Return the store of a process: one that forked shares neither connection nor lock with its parent."""
    return Store(url)
