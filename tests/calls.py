"""Keys made and widgets called, in the few words that most tests of requests need."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext

from allowlist.models import APIKey
from allowlist.policy.tokens import Environment, Kind, Token

Answer = Any
"""What the test client returns: a response with ``json()``."""

SHOP = "https://shop.example.com"
"""The page that keys of these tests list."""
EVIL = "https://evil.example.net"
"""A page that they do not."""
SERVER = "203.0.113.7"
"""The server that keys of these tests list."""
ELSEWHERE = "198.51.100.9"
"""A server that they do not."""

DOMAIN_MESSAGE = "Permission denied. Check your security settings and ensure your domain is allowlisted."
IP_MESSAGE = "Permission denied. Check your security settings and ensure your source IP is allowlisted."

UNKNOWN = Token.make(Kind.PUBLISHABLE, Environment.LIVE).text
"""A token of the right shape that opens nothing."""


def make_key(name: str = "widget", **fields: Any) -> tuple[APIKey, str]:
    """Return a new key of nobody's, with its token."""
    return APIKey.objects.create_key(name=name, creator=None, **fields)


def call(
    path: str,
    token: str | None = None,
    headers: Mapping[str, str | None] | None = None,
    *,
    method: str = "GET",
    client: Client | None = None,
    **environ: Any,
) -> Answer:
    """Send a request with the token in its header; a header of None is left out."""
    sent = {"X-API-Key": token, **(headers or {})}
    return (client or Client()).generic(
        method, path, headers={name: value for name, value in sent.items() if value is not None}, **environ
    )


def body(answer: Answer) -> Any:
    """Return what the answer's JSON says."""
    return json.loads(answer.content)


def reason(answer: Answer) -> str | None:
    """Return the reason the answer gives, None where it refuses nothing."""
    said: str | None = body(answer).get("reason")
    return said


def is_done_within(seconds: float, work: Callable[[], object]) -> bool:
    """Return whether ``work`` can take so little of the processor's time, however busy the machine is."""

    def took() -> float:
        start = time.thread_time()
        work()
        return time.thread_time() - start

    return any(took() < seconds for _ in range(50))


def execute(sql: str, *parameters: Any, alias: str = "default") -> None:
    """Write to the database behind the models' back. ``[name]`` is quoted as the database does."""
    connection = connections[alias]
    for name in ("condition", "allowlist_apikey", "allowlist_alloweddomain", "allowlist_allowedip"):
        sql = sql.replace(f"[{name}]", connection.ops.quote_name(name))
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)


def set_raw(key: APIKey, column: str, value: Any) -> None:
    """Write one column of the key's row, whatever the models would say."""
    quoted = connections["default"].ops.quote_name(column)
    sql = f"UPDATE [allowlist_apikey] SET {quoted} = %s WHERE locator = %s"  # noqa: S608
    execute(sql, value, key.locator)


class Statements(CaptureQueriesContext):
    """Captures what is sent to the database, transaction control apart."""

    def __init__(self, alias: str = "default") -> None:
        super().__init__(connections[alias])

    @property
    def texts(self) -> list[str]:
        """Return the statements."""
        control = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "START TRANSACTION")
        return [each["sql"] for each in self.captured_queries if not each["sql"].upper().startswith(control)]

    @property
    def writes(self) -> list[str]:
        """Return those that change something."""
        return [text for text in self.texts if text.upper().startswith(("INSERT", "UPDATE", "DELETE"))]


class ToOther:
    """A router that sends everything to the database ``other``."""

    def db_for_read(self, model: type, **hints: Any) -> str:
        """Return the alias."""
        return "other"

    def db_for_write(self, model: type, **hints: Any) -> str:
        """Return the alias."""
        return "other"


@contextmanager
def routed_to_other(**changes: Any) -> Iterator[BaseDatabaseWrapper]:
    """Have the models live in the database ``other``, with ``changes`` to how it is reached."""
    other = connections["other"]
    before = dict(other.settings_dict)
    other.close()
    other.settings_dict.update(changes)
    try:
        with override_settings(DATABASE_ROUTERS=["tests.calls.ToOther"]):
            yield other
    finally:
        other.close()
        other.settings_dict.update(before)
