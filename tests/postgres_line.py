"""The connection by which PostgreSQL pushes changes, through a relay that a test may kill and pause."""

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import psycopg
from django.conf import settings
from django.db import connections

from tests.databases import Config
from tests.relay import Relay

ALIAS = "listened"


class PostgresLine(Relay):
    """A relay before a PostgreSQL database, for the alias ``listened``."""

    freshness = f"postgres:{ALIAS}"
    server = "The connection on which PostgreSQL pushes changes"

    def __init__(self, database: Config, delay: float = 0.0) -> None:
        self._database = database
        where = database["HOST"], int(database["PORT"])
        super().__init__(lambda: socket.create_connection(where), delay)

    @property
    def config(self) -> Config:
        """Return the settings of the alias."""
        return {**self._database, "HOST": "127.0.0.1", "PORT": str(self.port)}

    def announce(self, names: list[str]) -> None:
        """Announce keys with these locators."""
        from allowlist.models import announcements

        announcements._notify(connections["default"], names)

    def terminate(self) -> int:
        """Have the server end each process's connection; return how many there were."""
        at = self._database
        reached = {"host": at["HOST"], "port": at["PORT"], "user": at["USER"], "password": at["PASSWORD"]}
        with closing(psycopg.connect(dbname=at["NAME"], autocommit=True, **reached)) as connection:
            ended = connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                "WHERE application_name = 'django-allowlist' AND datname = current_database()"
            )
            return len(ended.fetchall())


@contextmanager
def running_line(engine: str = "django.db.backends.postgresql", delay: float = 0.0) -> Iterator[PostgresLine]:
    """Run a relay before ``default`` while the block runs, with the alias in DATABASES.

    ``engine`` decides by which driver the alias connects.
    """
    line = PostgresLine({**connections["default"].settings_dict, "ENGINE": engine}, delay)
    line.start()
    settings.DATABASES[ALIAS] = line.config
    try:
        yield line
    finally:
        del settings.DATABASES[ALIAS]
        with suppress(AttributeError):  # It was never used.
            del connections[ALIAS]
        line.kill()
