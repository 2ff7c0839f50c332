"""The databases of a run, created for it and dropped after it."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Config = dict[str, Any]


def config(engine: str, keys: int, folder: Path) -> Config:
    """Return the settings of the database with so many keys."""
    if engine == "sqlite":
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / f"{keys}.sqlite3")}
    return {**_postgres(), "NAME": f"allowlist_benchmark_{os.getpid()}_{keys}"}


def _postgres() -> Config:
    return {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": os.environ.get("ALLOWLIST_POSTGRES_HOST", "127.0.0.1"),
        "PORT": os.environ.get("ALLOWLIST_POSTGRES_PORT", "5432"),
        "USER": os.environ.get("ALLOWLIST_POSTGRES_USER", "postgres"),
        "PASSWORD": os.environ.get("ALLOWLIST_POSTGRES_PASSWORD", ""),
    }


def absent(engine: str) -> str:
    """Return why the engine can't be used, or ""."""
    if engine == "sqlite":
        return ""
    at = _postgres()
    return silent("PostgreSQL", at["HOST"], int(at["PORT"]))


def silent(service: str, host: str, port: int) -> str:
    """Return why a service can't be reached, or ""."""
    try:
        socket.create_connection((host, port), timeout=2).close()
    except OSError as error:
        return f"no {service} at {host}:{port} ({error})"
    return ""


@contextmanager
def made(config: Config) -> Iterator[None]:
    """Create the database, and drop it after the block."""
    if "sqlite3" in config["ENGINE"]:
        yield  # A file in the run's folder, which is deleted after the run.
        return
    _administer(f'CREATE DATABASE "{config["NAME"]}"')
    try:
        yield
    finally:
        _administer(f'DROP DATABASE "{config["NAME"]}" WITH (FORCE)')


def _administer(statement: str) -> None:
    import psycopg

    at = _postgres()
    with psycopg.connect(
        host=at["HOST"],
        port=at["PORT"],
        user=at["USER"],
        password=at["PASSWORD"] or None,
        dbname="postgres",
        autocommit=True,
    ) as connection:
        connection.execute(statement)  # type: ignore[arg-type,unused-ignore]
