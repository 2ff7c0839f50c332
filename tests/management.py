"""One vocabulary for tests of the management API: a client, what is stored, and a change in between."""

import json
from collections.abc import Callable
from typing import Any

from django.test import Client

from allowlist.models import AllowedDomain, AllowedIP, APIKey
from tests.conftest import User

NOTHING = object()
ALL_WITH_ENTRIES = (
    "“Allow all domains” deletes the listed domains, so no domain can be added with it. Choose “Allow only "
    "listed domains”, or leave the domains out."
)


def encoded(body: Any) -> bytes:
    """Return a body as JSON, unless it is bytes already."""
    return b"" if body is NOTHING else body if isinstance(body, bytes) else json.dumps(body).encode()


class Api:
    """A client of the management API that speaks JSON."""

    def __init__(self, user: User | None = None) -> None:
        self.client = Client()
        if user is not None:
            self.client.force_login(user)

    def __call__(self, method: str, path: str, body: Any = NOTHING, **extra: Any) -> Any:
        data = encoded(body)
        extra = {"content_type": "application/json", **extra}
        return self.client.generic(method, path if path[0] == "/" else f"/api/{path}", data, **extra)

    def ok(self, method: str, path: str, body: Any = NOTHING, status: int = 200) -> Any:
        """Return the body of a response that must have this status."""
        response = self(method, path, body)
        assert response.status_code == status, response.content
        return response.json() if response.content else None

    def refused(self, method: str, path: str, body: Any = NOTHING, status: int = 400) -> Any:
        """Return the body of a refusal, having checked that nothing was written."""
        before = snapshot()
        shown = self.ok(method, path, body, status)
        assert snapshot() == before
        return shown


def snapshot() -> Any:
    """Return all rows of all keys, last_used_at included."""
    return [list(model.objects.order_by("pk").values()) for model in (APIKey, AllowedDomain, AllowedIP)]


def texts(key: APIKey) -> list[str]:
    """Return the texts of the key's lists."""
    return [entry.text for entry in (*key.allowed_domains.all(), *key.allowed_ips.all())]


class Meanwhile:
    """Runs a function before the first statement that has all these words in it."""

    def __init__(self, do: Callable[[], Any], *words: str) -> None:
        self.do: Callable[[], Any] | None = do
        self.words = words

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        do = self.do
        if do is not None and all(word in sql for word in self.words):
            self.do = None
            do()
        return execute(sql, params, many, context)
