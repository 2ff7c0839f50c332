"""A WebSocket's handshake, judged as a request."""

from io import BytesIO
from typing import Any

from django.core.handlers.asgi import ASGIRequest
from django.db import connections
from django.http import HttpRequest

from .checking import Enforcer, Verdict, acheck, check

_SCHEMES = {"ws": "http", "wss": "https"}


async def check_handshake(scope: Any, enforcer: Enforcer) -> Verdict:
    """Decide about the handshake that ``scope`` describes, without blocking the event loop."""
    return await acheck(_as_request(scope), enforcer, _check_in_thread)


def _as_request(scope: Any) -> HttpRequest:
    """Return the handshake as a request. Of two ``Origin`` headers it has both, which is malformed."""
    query = scope.get("query_string", b"")
    as_http = {
        "type": "http",
        "method": "GET",
        "scheme": _SCHEMES.get(scope.get("scheme"), "http"),
        # Bytes that aren't UTF-8 are no reason to fail.
        "query_string": query.decode("latin1") if isinstance(query, bytes) else query,
    }
    return ASGIRequest({**scope, **as_http}, BytesIO())


def _check_in_thread(request: HttpRequest, enforcer: Enforcer) -> Verdict:
    """Do what ``check`` does, around which Django closes no old connections: this isn't an HTTP request."""
    _close_old_connections()
    try:
        return check(request, enforcer)
    finally:
        _close_old_connections()


def _close_old_connections() -> None:
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:  # As in a TestCase.
            connection.close_if_unusable_or_obsolete()
