"""The connection by which PostgreSQL pushes changes, through a relay that a test may kill and pause."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django.conf import settings
from django.db import connections

from tests.relay import Relay

ALIAS = "listened"


class PostgresLine(Relay):
    """A relay before the database ``default``, to which the alias ``listened`` connects."""

    freshness = f"postgres:{ALIAS}"
    server = "The connection on which PostgreSQL pushes changes"

    def __init__(self, engine: str, delay: float = 0.0) -> None:
        """``engine``: the backend of the alias, which decides by which driver it connects."""
        self._database: dict[str, Any] = {**connections["default"].settings_dict}
        self.engine = engine
        host, port = self._database["HOST"], int(self._database["PORT"])
        super().__init__(lambda: socket.create_connection((host, port)), delay)

    def announce(self, names: list[str]) -> None:
        """Announce keys with these locators."""
        from allowlist.models import announcements

        announcements._notify(connections["default"], names)

    def terminate(self) -> None:
        """Have the server end its end of the connection."""
        with connections["default"].cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                "WHERE application_name = 'django-allowlist' AND datname = current_database()"
            )

    @property
    def config(self) -> dict[str, Any]:
        """Return the settings of the alias."""
        return {**self._database, "ENGINE": self.engine, "HOST": "127.0.0.1", "PORT": str(self.port)}


@contextmanager
def running_line(engine: str = "django.db.backends.postgresql", delay: float = 0.0) -> Iterator[PostgresLine]:
    """Run a relay while the block runs, with an alias in DATABASES that connects to it."""
    line = PostgresLine(engine, delay)
    line.start()
    settings.DATABASES[ALIAS] = line.config
    try:
        yield line
    finally:
        del settings.DATABASES[ALIAS]
        with suppress(AttributeError):  # It was never used.
            del connections[ALIAS]
        line.kill()
