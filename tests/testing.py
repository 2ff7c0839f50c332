"""Keys and requests, in the few words that most tests need."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import QuerySet
from django.test import AsyncClient, Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from allowlist.models import AllowedDomain, AllowedIP, APIKey
from allowlist.policy.tokens import Environment, Kind, Token
from allowlist.testing import AllowlistClient
from allowlist.testing import make_key as make_key

SHOP, BLOG = "https://shop.example.com", "https://blog.example"
"""Pages that tests list."""
EVIL = "https://evil.example.net"
"""A page that no test lists."""
SERVER, ELSEWHERE = "203.0.113.7", "198.51.100.9"
"""A server that tests list, and another one."""
UNKNOWN = Token.make(Kind.PUBLISHABLE, Environment.LIVE).text
"""A token of the right shape that opens nothing."""
DOMAIN_MESSAGE = "Permission denied. Check your security settings and ensure your domain is allowlisted."
IP_MESSAGE = "Permission denied. Check your security settings and ensure your source IP is allowlisted."

ALIASES = [name for name, at in settings.DATABASES.items() if name == "default" or at.get("ATOMIC_REQUESTS")]
"""The databases that a request opens: all with ATOMIC_REQUESTS. Emptying one after a test takes time."""

Reply = Any
"""What the test client returns: a response with ``json()``."""


# Requests


def call(
    path: str,
    token: str | None = None,
    headers: Mapping[str, str | None] | None = None,
    *,
    origin: str | None = None,
    referer: str | None = None,
    data: Any = None,
    method: str = "GET",
    client: Client | None = None,
    **environ: Any,
) -> Reply:
    """Send a request, as a page of ``origin`` or, without headers of browsers, as a server.

    A header of None is left out. ``data`` is sent as JSON. ``environ`` is the server's, such as REMOTE_ADDR.
    """
    sent = {"X-API-Key": token, "Origin": origin, "Referer": referer, **(headers or {})}
    if data is not None:
        environ = {"data": json.dumps(data), "content_type": "application/json", **environ}
    return (client or Client()).generic(
        method, path, headers={name: value for name, value in sent.items() if value is not None}, **environ
    )


class _AsyncCaller(AsyncClient):
    """A client under ASGI, at an address."""

    address = SERVER

    def _base_scope(self, **request: Any) -> dict[str, Any]:
        scope: dict[str, Any] = super()._base_scope(**request)  # type: ignore[misc]
        return {**scope, "client": (self.address, 0)}


@async_to_sync
async def call_async(
    path: str,
    token: str | None = None,
    headers: Mapping[str, str | None] | None = None,
    *,
    origin: str | None = None,
    method: str = "GET",
    ip: str = SERVER,
) -> Reply:
    """Send a request under ASGI, from ``ip``, and else as ``call`` does."""
    sent = {"X-API-Key": token, "Origin": origin, **(headers or {})}
    client = _AsyncCaller()
    client.address = ip
    return await client.generic(
        method, path, headers={name: value for name, value in sent.items() if value is not None}
    )


def body(reply: Reply) -> Any:
    """Return the response's JSON."""
    return json.loads(reply.content)


def reason(reply: Reply) -> str | None:
    """Return the reason of a refusal, else None."""
    found: str | None = body(reply).get("reason")
    return found


class Outcome(NamedTuple):
    """How a request to a guarded view ended."""

    status: int
    reason: str | None


SERVED = Outcome(200, None)
INVALID = Outcome(401, "key_invalid")
NOT_LISTED = Outcome(403, "origin_not_listed")
IP_NOT_LISTED = Outcome(403, "ip_not_listed")
UNDECIDED = Outcome(503, "undecided")


def visit(token: str, origin: str | None = SHOP, ip: str = SERVER) -> Outcome:
    """Return how a request to a guarded view ends: sent by a page of ``origin``, or by a server if None."""
    reply = AllowlistClient(token, origin, ip).get("/widget/alone/")
    return Outcome(reply.status_code, reason(reply))


# Refused writes


class Refusal(NamedTuple):
    """One error of a refused write."""

    code: str | None
    sentence: str
    field: str | None
    place: int | None


@contextmanager
def refused(*codes: str) -> Iterator[list[Refusal]]:
    """Expect the block to be refused with exactly these codes; fill the list with the errors."""
    found: list[Refusal] = []
    with pytest.raises(ValidationError) as caught:
        yield found
    found += errors_of(caught.value)
    assert [each.code for each in found] == list(codes)


def errors_of(error: ValidationError) -> list[Refusal]:
    """Return each error in a ValidationError."""
    if hasattr(error, "error_dict"):
        return [
            Refusal(each.code, each.messages[0], field, None)
            for field, errors in error.error_dict.items()
            for each in errors
        ]
    found = []
    for each in error.error_list:
        params: Any = each.params or {}
        found.append(Refusal(each.code, each.messages[0], params.get("field"), params.get("index")))
    return found


# What is stored


def row(key: APIKey) -> APIKey:
    """Return the key as it is in the database."""
    return APIKey.objects.using(key._state.db).get(pk=key.pk)


def domains(key: APIKey) -> list[str]:
    """Return the domains that the database lists for the key."""
    return [each.domain for each in row(key).allowed_domains.all()]


def ips(key: APIKey) -> list[str]:
    """Return the IP addresses that the database lists for the key."""
    return [each.ip for each in row(key).allowed_ips.all()]


def used_now(*keys: APIKey) -> None:
    """Store that the keys were used and their entries matched just now, so that requests don't write that."""
    for key in keys:
        plain: QuerySet[APIKey] = QuerySet(APIKey, using=key._state.db)
        plain.filter(pk=key.pk).update(last_used_at=timezone.now())
        for model in (AllowedDomain, AllowedIP):
            entries: QuerySet[Any] = QuerySet(model, using=key._state.db)
            entries.filter(key=key).update(last_matched_at=timezone.now())


def execute(sql: str, *parameters: Any, alias: str = "default") -> None:
    """Write to the database behind the models' back. ``[name]`` is quoted as the database does."""
    connection = connections[alias]
    for name in ("condition", "allowlist_apikey", "allowlist_alloweddomain", "allowlist_allowedip"):
        sql = sql.replace(f"[{name}]", connection.ops.quote_name(name))
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)


def set_raw(key: APIKey, column: str, value: Any) -> None:
    """Write one column of the key's row, bypassing the models."""
    quoted = connections["default"].ops.quote_name(column)
    sql = f"UPDATE [allowlist_apikey] SET {quoted} = %s WHERE locator = %s"  # noqa: S608
    execute(sql, value, key.locator)


# Statements, transactions, databases, time


@contextmanager
def statements(alias: str = "default") -> Iterator[list[str]]:
    """Fill the list with the SQL that the block sends, without what only opens and ends transactions."""
    sent: list[str] = []
    with CaptureQueriesContext(connections[alias]) as captured:
        yield sent
    control = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "START TRANSACTION")
    sent += [each["sql"] for each in captured.captured_queries if not each["sql"].upper().startswith(control)]


def writes(sent: list[str]) -> list[str]:
    """Return the statements that change something."""
    return [sql for sql in sent if sql.upper().startswith(("INSERT", "UPDATE", "DELETE"))]


@contextmanager
def rolled_back(alias: str = "default") -> Iterator[None]:
    """Undo what the block writes, as a view that fails under ATOMIC_REQUESTS does."""
    with transaction.atomic(using=alias):
        yield
        transaction.set_rollback(True, using=alias)


class ToOther:
    """A router that sends everything to the database ``other``."""

    def db_for_read(self, model: type, **hints: Any) -> str:
        """Return the alias."""
        return "other"

    db_for_write = db_for_read


@contextmanager
def routed_to_other(**changes: Any) -> Iterator[BaseDatabaseWrapper]:
    """Let the models live in the database ``other``, with ``changes`` to its settings."""
    other = connections["other"]
    before = dict(other.settings_dict)
    other.close()
    other.settings_dict.update(changes)
    try:
        with override_settings(DATABASE_ROUTERS=[f"{__name__}.{ToOther.__name__}"]):
            yield other
    finally:
        other.close()
        other.settings_dict.update(before)


def is_done_within(seconds: float, work: Callable[[], object]) -> bool:
    """Return whether ``work`` can take so little of the processor's time, however busy the machine is."""

    def took() -> float:
        start = time.thread_time()
        work()
        return time.thread_time() - start

    return any(took() < seconds for _ in range(50))
