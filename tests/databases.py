"""The two databases of a test run, on the engine that ``ALLOWLIST_TEST_DB`` names."""

import os
import tempfile
from pathlib import Path
from secrets import token_hex
from typing import Any

import pymysql

ENGINES = ("sqlite", "postgres", "mariadb")
ALIASES = ("default", "other")

Config = dict[str, Any]

_RUN = token_hex(6)
"""Keeps two runs apart: also a run inside a run, and two machines that share a server."""


def engine() -> str:
    """Return the engine of this run."""
    name = os.environ.get("ALLOWLIST_TEST_DB", "sqlite")
    if name not in ENGINES:
        raise ValueError(f"ALLOWLIST_TEST_DB is {name!r}; it must be one of {', '.join(ENGINES)}.")
    return name


def postgres() -> Config:
    """Return the settings of PostgreSQL."""
    return {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": os.environ.get("ALLOWLIST_POSTGRES_HOST", "127.0.0.1"),
        "PORT": os.environ.get("ALLOWLIST_POSTGRES_PORT", "5432"),
        "USER": os.environ.get("ALLOWLIST_POSTGRES_USER", "postgres"),
        "PASSWORD": os.environ.get("ALLOWLIST_POSTGRES_PASSWORD", ""),
        "NAME": os.environ.get("ALLOWLIST_POSTGRES_NAME", "postgres"),
    }


def mariadb() -> Config:
    """Return the settings of MariaDB."""
    return {
        "ENGINE": "django.db.backends.mysql",
        "HOST": os.environ.get("ALLOWLIST_MARIADB_HOST", "127.0.0.1"),
        "PORT": os.environ.get("ALLOWLIST_MARIADB_PORT", "3306"),
        "USER": os.environ.get("ALLOWLIST_MARIADB_USER", "root"),
        "PASSWORD": os.environ.get("ALLOWLIST_MARIADB_PASSWORD", ""),
        "NAME": os.environ.get("ALLOWLIST_MARIADB_NAME", "test"),
        "OPTIONS": {"charset": "utf8mb4"},
    }


def databases() -> dict[str, Config]:
    """Return the value of DATABASES."""
    return {alias: _MAKERS[engine()](alias) for alias in ALIASES}


def use_pymysql() -> None:
    """Let PyMySQL, which has wheels everywhere, stand in for mysqlclient."""
    pymysql.install_as_MySQLdb()
    # Django demands a version of mysqlclient; PyMySQL reports the version that it imitates.
    pymysql.version_info = (2, 2, 7, "final", 0)


def test_name(alias: str) -> str:
    """Return a name that no other run's database has."""
    return f"test_allowlist_{alias}_{_RUN}"


def _sqlite(alias: str) -> Config:
    # Files, as threads with connections of their own must see the same rows.
    path = Path(tempfile.gettempdir()) / f"{test_name(alias)}.sqlite3"
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": path,
        "OPTIONS": {"timeout": 30},
        "TEST": {"NAME": path},
    }


def _postgres(alias: str) -> Config:
    return {**postgres(), "TEST": {"NAME": test_name(alias)}}


def _mariadb(alias: str) -> Config:
    return {**mariadb(), "TEST": {"NAME": test_name(alias)}}


_MAKERS = {"sqlite": _sqlite, "postgres": _postgres, "mariadb": _mariadb}
