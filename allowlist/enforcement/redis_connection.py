"""The connection on which Redis pushes the names of changed keys (client-side caching in broadcast mode).

https://redis.io/docs/latest/develop/reference/client-side-caching/
"""

import select
import time
from ssl import SSLWantReadError
from typing import Any

from ..models.announcements import EVERYTHING, PREFIX, redis_pool
from .heartbeat import Heartbeat, ServerDownError

CONNECT_TIMEOUT = 0.2
"""Seconds that a request waits for Redis at most when it connects."""
PING = b"*1\r\n$4\r\nPING\r\n"


class TrackingConnection:
    """A connection to Redis that is read before each decision. Nothing on it blocks."""

    def __init__(self, url: str) -> None:
        """Connect and subscribe, within a few CONNECT_TIMEOUTs; raises RedisError or OSError."""
        from hiredis import Reader

        self.heartbeat = Heartbeat()
        self.heartbeat.ask(time.monotonic())
        self._reader = Reader()
        self._connection = _subscribed(url)
        # redis-py connects, encrypts and authenticates. Its reading would block until more arrives, so we
        # read its socket, which isn't public.
        self._socket = self._connection._sock
        self._socket.setblocking(False)
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)
        self.heartbeat.hear()

    def changes(self) -> list[str]:
        """Return the names pushed since the last call; raises ServerDownError, OSError or HiredisError."""
        if not self._poll.poll(0):
            return []
        try:
            while data := self._socket.recv(65536):
                self._reader.feed(data)
        except (BlockingIOError, SSLWantReadError):
            return self._pushed()
        raise ServerDownError("the connection was closed")

    def ping(self, now: float) -> None:
        """Send a PING if it is time; raises ServerDownError when the last has no reply, or OSError."""
        if self.heartbeat.is_due(now):
            self._socket.send(PING)
            self.heartbeat.ask(now)

    def close(self) -> None:
        """Close the connection."""
        self._connection.disconnect()

    def _pushed(self) -> list[str]:
        names: list[str] = []
        while (message := self._reader.gets()) is not False:
            if message == b"PONG" and self.heartbeat.is_awaited:
                self.heartbeat.hear()
            elif isinstance(message, list) and message[0] == b"invalidate":
                # Redis names no keys when all of it was flushed.
                names += [EVERYTHING] if message[1] is None else [_name(key) for key in message[1]]
            else:
                raise ServerDownError(f"unexpected reply: {message}")
        return names


def _subscribed(url: str) -> Any:
    """Return a new connection that gets the names of changed keys."""
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
