"""Which server pushes changed keys to every process: the value of ``FRESHNESS``."""

from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings as django_settings
from django.db import connections

POSTGRES = "postgres"
"""FRESHNESS by PostgreSQL; with ``:<alias>`` behind it, the database to connect to."""
_REDIS = ("redis://", "rediss://", "unix://")
_WRONG = "must be None, 'postgres', 'postgres:<alias>', or a Redis URL, such as 'redis://127.0.0.1:6379/0'."


def check_freshness(value: Any) -> str | None:
    """Return the end of a sentence that says what is wrong with ``FRESHNESS``, or None."""
    if value is None:
        return None
    if not isinstance(value, str):
        return _WRONG
    kind, _colon, alias = value.partition(":")
    # A PostgreSQL URL isn't an alias, and may hold a password.
    if kind == POSTGRES and not alias.startswith("//"):
        return _postgres_problem(value, alias)
    return _redis_problem(value)


def listening_alias(freshness: str, alias: str) -> str | None:
    """Return the database whose settings connect to the PostgreSQL that pushes changes in ``alias``.

    None if Redis pushes them.
    """
    kind, _colon, named = freshness.partition(":")
    return (named or alias) if kind == POSTGRES else None


def listening_problem(freshness: str, alias: str) -> str | None:
    """Return why changes in database ``alias`` can't be heard of, as a sentence, or None."""
    heard = listening_alias(freshness, alias)
    if heard is None:
        return None
    for name in (alias, heard):
        if connections[name].vendor != "postgresql":
            return f"ALLOWLIST['FRESHNESS'] is {freshness!r}, but database {name!r} isn't PostgreSQL."
    # Hosts and ports differ where a pooler is in between.
    if connections[alias].settings_dict["NAME"] != connections[heard].settings_dict["NAME"]:
        return (
            f"ALLOWLIST['FRESHNESS'] is {freshness!r}, but keys are written to database {alias!r}, whose "
            "NAME is another."
        )
    return None


def _postgres_problem(value: str, alias: str) -> str | None:
    if not (find_spec("psycopg") or find_spec("psycopg2")):
        return "needs psycopg: pip install 'psycopg[binary]'."
    if value != POSTGRES and alias not in django_settings.DATABASES:
        valid = ", ".join(repr(f"{POSTGRES}:{each}") for each in django_settings.DATABASES)
        return f"is {value!r}, but DATABASES has no {alias!r}. Valid values are 'postgres', {valid}."
    return None


def _redis_problem(url: str) -> str | None:
    try:
        is_url = urlsplit(url).port != 0 and _has_database(url)
    except ValueError:
        is_url = False
    if not is_url or not url.startswith(_REDIS):
        return _WRONG
    if not (find_spec("redis") and find_spec("hiredis")):
        return "needs redis and hiredis: pip install 'django-allowlist[redis]'."
    return _option_problem(url)


def _has_database(url: str) -> bool:
    """Return whether a Redis URL's path is empty or the number of a database."""
    path = urlsplit(url).path.strip("/")
    return url.startswith("unix:") or not path or path.isdecimal()


def _option_problem(url: str) -> str | None:
    """Return what is wrong with a URL's options, which redis-py would report only at the first change."""
    from redis import ConnectionPool

    try:
        ConnectionPool.from_url(url).make_connection()  # This doesn't connect.
    except Exception as error:  # noqa: BLE001 - any error means no connection
        return f"can't be used: {error}"
    return None
