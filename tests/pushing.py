"""What a process caches while a server pushes changes, and a clock for its connections."""

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from django.db.models import QuerySet

from allowlist.enforcement import freshness, lookup, postgres_connection, redis_connection
from allowlist.enforcement.freshness import Store
from allowlist.models import APIKey
from tests.clock import Clock
from tests.demo_server import PATIENCE
from tests.testing import SERVED, SHOP, statements, visit


def standing_clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return a clock that stands still. Connecting may take as long as a busy machine needs."""
    monkeypatch.setattr(redis_connection, "CONNECT_TIMEOUT", PATIENCE)
    monkeypatch.setattr(postgres_connection, "CONNECT_WAIT", PATIENCE)
    clock = Clock()
    for module in (freshness, redis_connection, postgres_connection):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=clock))
    return clock


def cost(token: str, origin: str = SHOP, answer: Any = SERVED) -> int:
    """Return how many statements a request sends."""
    with statements() as sent:
        assert visit(token, origin) == answer
    return len(sent)


def warm(key: APIKey) -> None:
    """Send requests until the key is cached."""
    visit(key.token)
    assert cost(key.token) == 0


def cached_row(key: APIKey) -> lookup.Row:
    """Return what the process keeps of the key's row."""
    (found,) = lookup._cache.named(key.locator)
    return found.row


def this_store() -> Store:
    """Return this process's store."""
    store = freshness.store_of(lookup._cache, "default")
    assert store
    return store


def behind_our_back(key: APIKey, **values: Any) -> None:
    """Write as other programs do: nothing is announced."""
    QuerySet(APIKey).filter(pk=key.pk).update(**values)


def settle(asked: Callable[[], bool]) -> None:
    """Wait until something is so, for as long as a busy machine may need."""
    assert any(asked() or threading.Event().wait(0.01) for _ in range(100 * PATIENCE))


def was_heard(clock: Clock) -> bool:
    """Return whether the server gave a sign of life at the clock's time."""
    store = this_store()
    assert store.current()
    assert store._connection
    return store._connection.heartbeat.alive_at == clock.now


def hear(clock: Clock) -> None:
    """Wait until what was announced has arrived: PostgreSQL pushes it some milliseconds after the commit."""
    clock.now += 0.6
    settle(lambda: was_heard(clock))
