"""One connection of psycopg 3 or psycopg2 on which nothing waits: the same few steps with either."""

import select
from collections.abc import Mapping
from typing import Any

from .heartbeat import ServerDownError


class Psycopg3:
    """Psycopg 3, by its wrapper of libpq."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        from psycopg.conninfo import make_conninfo
        from psycopg.pq import Conninfo, PGconn

        self.is_connected = False
        known = {option.keyword.decode() for option in Conninfo.get_defaults()}
        libpq_options = {name: value for name, value in options.items() if name in known}
        self._connection = PGconn.connect_start(make_conninfo(**libpq_options).encode())
        self._reply = True

    @property
    def pid(self) -> int:
        """Return which process of the server is at the other end, by what it said when it connected."""
        return self._connection.backend_pid

    def fileno(self) -> int:
        """Return the socket, which may be another one after each step of connecting."""
        return self._connection.socket

    def advance(self) -> int:
        """Connect, or read what arrived, as far as it goes; return what ``select.poll`` has to wait for."""
        from psycopg.pq import PollingStatus

        if self.is_connected:
            self._connection.consume_input()
            return select.POLLIN
        status = self._connection.connect_poll()
        if status == PollingStatus.FAILED:
            raise ServerDownError(_text(self._connection.error_message))
        if status == PollingStatus.OK:
            self.is_connected = True
            self._connection.nonblocking = 1
        return select.POLLOUT if status == PollingStatus.WRITING else select.POLLIN

    def send(self, query: str) -> None:
        """Send a query that returns nothing or a boolean."""
        self._connection.send_query(query.encode())

    def reply(self) -> bool | None:
        """Return the query's boolean, True if it returned nothing, or None while the reply isn't complete."""
        from psycopg.pq import ExecStatus

        while not self._connection.is_busy():
            result = self._connection.get_result()
            if result is None:
                return self._reply
            if result.status not in (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK):
                raise ServerDownError(_text(result.error_message))
            self._reply = not result.ntuples or result.get_value(0, 0) == b"t"
        return None

    def payloads(self) -> list[str]:
        """Return what other sessions notified since the last call."""
        notified = iter(self._connection.notifies, None)
        return [each.extra.decode(errors="replace") for each in notified]

    def close(self) -> None:
        """Close the connection."""
        self._connection.finish()


class Psycopg2:
    """psycopg2, by an asynchronous connection."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        import psycopg2

        self.is_connected = False
        self._connection = psycopg2.connect(**options, async_=True)
        self._cursor: Any = None

    @property
    def pid(self) -> int:
        """Return which process of the server is at the other end, by what it said when it connected."""
        pid: int = self._connection.info.backend_pid
        return pid

    def fileno(self) -> int:
        """Return the socket, which may be another one after each step of connecting."""
        number: int = self._connection.fileno()
        return number

    def advance(self) -> int:
        """Connect, or read what arrived, as far as it goes; return what ``select.poll`` has to wait for."""
        from psycopg2.extensions import POLL_OK, POLL_WRITE

        status = self._connection.poll()
        self.is_connected = self.is_connected or status == POLL_OK
        return select.POLLOUT if status == POLL_WRITE else select.POLLIN

    def send(self, query: str) -> None:
        """Send a query that returns nothing or a boolean."""
        self._cursor = self._connection.cursor()
        self._cursor.execute(query)

    def reply(self) -> bool | None:
        """Return the query's boolean, True if it returned nothing, or None while the reply isn't complete."""
        if self._connection.isexecuting():
            return None
        return self._cursor.description is None or self._cursor.fetchone()[0]

    def payloads(self) -> list[str]:
        """Return what other sessions notified since the last call."""
        payloads = [notified.payload for notified in self._connection.notifies]
        self._connection.notifies.clear()
        return payloads

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _text(message: bytes) -> str:
    return message.decode(errors="replace").strip()
