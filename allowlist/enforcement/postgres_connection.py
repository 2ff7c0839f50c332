"""The connection on which PostgreSQL pushes the names of changed keys (LISTEN and NOTIFY).

https://www.postgresql.org/docs/current/sql-notify.html
"""

import select
import time
from math import inf
from typing import Any

from django.db import connections

from ..models.announcements import CHANNEL
from .heartbeat import Heartbeat, ServerDownError
from .postgres_drivers import Psycopg2, Psycopg3

CONNECT_WAIT = 0.2
"""Seconds that a request waits for a new connection at most. What remains is done at later requests."""
APPLICATION = {"application_name": "django-allowlist"}
LISTEN = f"LISTEN {CHANNEL}"
# A pooler may hand each statement to another session, and LISTEN is in force for one session only.
PROOF = f"SELECT pg_backend_pid() = {{pid}} AND '{CHANNEL}' IN (SELECT pg_listening_channels())"
LOST = (
    "LISTEN doesn't last on this connection. If a pooler such as PgBouncer is in between, set "
    "ALLOWLIST['FRESHNESS'] to 'postgres:<alias>', with an alias in DATABASES that connects without it"
)


class ListeningConnection:
    """A connection to PostgreSQL that is read before each decision. Nothing on it blocks."""

    def __init__(self, alias: str) -> None:
        """Connect by the settings of database ``alias``; raises the driver's errors and ServerDownError."""
        connection: Any = connections[alias]
        driver = Psycopg2 if connection.Database.__name__ == "psycopg2" else Psycopg3
        self.heartbeat = Heartbeat()
        self._driver: Psycopg2 | Psycopg3 = driver({**connection.get_connection_params(), **APPLICATION})
        self._sent = ""
        self._watch(select.POLLOUT)
        try:
            end = time.monotonic() + CONNECT_WAIT
            while self.heartbeat.alive_at == -inf and self._poll.poll(1000 * max(0, end - time.monotonic())):
                self._step()
        except Exception:
            self.close()
            raise

    def changes(self) -> list[str]:
        """Return the names pushed since the last call; raises the driver's errors and ServerDownError."""
        names: list[str] = []
        while self._poll.poll(0):
            # One step may read a part. After the server's last words only the second fails. And TLS may hold
            # back what it decrypted, which the socket doesn't show.
            while arrived := self._step():
                names += arrived
        return names

    def ping(self, now: float) -> None:
        """Ask for a sign of life if it is time; raises ServerDownError when the last has no reply."""
        if self.heartbeat.is_due(now):
            self._send(PROOF.format(pid=self._driver.pid))

    def close(self) -> None:
        """Close the connection."""
        self._driver.close()

    def _step(self) -> list[str]:
        """Read what arrived and return the names in it, or go on connecting."""
        was_connected = self._driver.is_connected
        waits_for = self._driver.advance()
        if not was_connected:
            self._watch(waits_for)
            if self._driver.is_connected:
                self._send(LISTEN)
            return []
        if self.heartbeat.is_awaited and (reply := self._driver.reply()) is not None:
            self._take(reply)
        return [name for payload in self._driver.payloads() for name in payload.split()]

    def _take(self, is_true: bool) -> None:
        if self._sent == LISTEN:
            self._send(PROOF.format(pid=self._driver.pid))
        elif is_true:
            self.heartbeat.hear()
        else:
            raise ServerDownError(LOST)

    def _send(self, query: str) -> None:
        self._driver.send(query)
        self._sent = query
        self.heartbeat.ask(time.monotonic())

    def _watch(self, waits_for: int) -> None:
        # While it connects, the driver may open another socket.
        self._poll = select.poll()
        self._poll.register(self._driver.fileno(), waits_for)
        self.heartbeat.ask(time.monotonic())
