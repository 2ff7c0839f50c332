"""FRESHNESS by Redis: what isn't the same with PostgreSQL. The rest is in tests/push/test_lines.py."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from allowlist.enforcement import redis_connection
from allowlist.enforcement.freshness import RETRY_AFTER
from allowlist.enforcement.redis_connection import TrackingConnection
from allowlist.models import APIKey, announcements
from allowlist.models.announcements import LEASE, MAX_NAMES
from tests.clock import Clock
from tests.pushing import behind_our_back, cost, settle, this_store, warm, was_heard
from tests.redis_server import RedisServer, encrypted, running_redis
from tests.testing import (
    ALIASES,
    BLOG,
    INVALID,
    NOT_LISTED,
    SHOP,
    used_now,
    visit,
)

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=ALIASES),
    pytest.mark.needs("redis-server"),
]


@pytest.fixture
def redis(settings: Any, clock: Clock) -> Iterator[RedisServer]:
    """Return the Redis in use; the process has not met it yet."""
    with running_redis() as server:
        settings.ALLOWLIST = {"FRESHNESS": server.url}
        yield server


class TestHotPath:
    """It needs no reply of Redis and no query."""

    def test_a_second_request_sends_no_query_and_no_command(self, redis: RedisServer, key: APIKey) -> None:
        assert cost(key.token) == 2
        before = redis.client.info("commandstats")
        assert [cost(key.token), cost(key.token, BLOG, NOT_LISTED), cost(key.token)] == [0, 0, 0]
        after = redis.client.info("commandstats")
        assert after.keys() - before.keys() <= {"cmdstat_info"}


class TestChanges:
    """Those of tests/test_freshness.py, and what is about Redis alone."""

    def test_changes_of_one_transaction_are_announced_together(self, redis: RedisServer, key: APIKey) -> None:
        other, _token = APIKey.objects.create_key(name="Other", creator=None, allowed_domains=[SHOP])
        used_now(other)
        warm(other)
        warm(key)
        redis.client.config_resetstat()
        with transaction.atomic():
            key.restrict_domains([BLOG])
            other.restrict_domains([BLOG])
            key.add_domains([f"{BLOG}:8443"])
        assert redis.client.info("commandstats")["cmdstat_mset"]["calls"] == 1
        assert visit(key.token) == visit(other.token) == NOT_LISTED
        assert redis.client.keys() == []


class TestAway:
    """Never open, never an error: the database decides, and it is said once."""

    def test_a_redis_that_was_never_there(
        self, settings: Any, clock: Clock, key: APIKey, caplog: pytest.LogCaptureFixture, tmp_path: Path
    ) -> None:
        settings.ALLOWLIST = {"FRESHNESS": f"unix://{tmp_path}/none.sock"}
        assert [cost(key.token), cost(key.token)] == [2, 1]
        clock.now += RETRY_AFTER
        assert cost(key.token) == 1
        assert caplog.text.count("Redis is down (") == 1
        key.restrict_domains([BLOG])
        assert visit(key.token) == NOT_LISTED
        assert "Changed keys (1) could not be announced (" in caplog.text

    def test_flushed(self, redis: RedisServer, key: APIKey) -> None:
        warm(key)
        behind_our_back(key, revoked_at=timezone.now())
        redis.client.flushall()
        settle(lambda: visit(key.token) == INVALID)

    def test_a_writer_waits_for_a_paused_redis_until_no_cache_is_used(
        self,
        redis: RedisServer,
        key: APIKey,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        assert announcements.ANNOUNCE_TIMEOUT > LEASE
        monkeypatch.setattr(announcements, "ANNOUNCE_TIMEOUT", 0.2)
        announcements._client.cache_clear()
        redis.pause()
        key.restrict_domains([BLOG])
        assert "could not be announced (Timeout" in caplog.text
        announcements._client.cache_clear()

    def test_a_server_that_is_not_redis(
        self, settings: Any, clock: Clock, key: APIKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(redis_connection, "CONNECT_TIMEOUT", 0.2)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(tmp_path / "s"))
            listener.listen()
            settings.ALLOWLIST = {"FRESHNESS": f"unix://{tmp_path}/s"}
            assert [cost(key.token), cost(key.token)] == [2, 1]

    def test_an_unexpected_reply_ends_the_connection(
        self, redis: RedisServer, key: APIKey, caplog: pytest.LogCaptureFixture
    ) -> None:
        warm(key)
        store = this_store()
        assert isinstance(store._connection, TrackingConnection)
        store._connection._socket.send(b"*1\r\n$7\r\nNO_SUCH\r\n")
        settle(lambda: not store.current())
        assert "Redis is down (unexpected reply: ERR unknown command" in caplog.text

    def test_a_url_that_names_a_protocol_without_pushes_gets_ours(
        self, redis: RedisServer, key: APIKey, settings: Any
    ) -> None:
        settings.ALLOWLIST = {"FRESHNESS": f"{redis.url}?protocol=2"}
        warm(key)
        key.restrict_domains([BLOG])
        assert visit(key.token) == NOT_LISTED


@pytest.mark.needs("openssl")
class TestEncrypted:
    """``rediss://``: what TLS holds back or adds of its own changes nothing."""

    @pytest.fixture
    def secure(self, settings: Any, clock: Clock) -> Iterator[RedisServer]:
        """Return a Redis in use that speaks TLS."""
        with running_redis(encrypted) as server:
            settings.ALLOWLIST = {"FRESHNESS": server.url}
            yield server

    def test_a_change_is_in_force_for_the_next_request(self, secure: RedisServer, key: APIKey) -> None:
        warm(key)
        key.restrict_domains([BLOG])
        assert cost(key.token, answer=NOT_LISTED) == 2
        assert cost(key.token, answer=NOT_LISTED) == 0

    def test_a_message_in_many_pieces_is_read_whole(self, secure: RedisServer, key: APIKey) -> None:
        warm(key)
        behind_our_back(key, revoked_at=timezone.now())
        # TLS encrypts 16 KB at a time, less than this.
        others = [f"{number:032}" for number in range(MAX_NAMES - 1)]
        announcements.Announcement(secure.url, [*others, key.locator])()
        assert visit(key.token) == INVALID

    def test_it_stays_in_use_while_redis_lives(self, secure: RedisServer, key: APIKey, clock: Clock) -> None:
        warm(key)
        for _ in range(4):
            clock.now += 1
            settle(lambda: was_heard(clock))
        assert cost(key.token) == 0

    def test_a_certificate_that_is_not_trusted_leaves_it_to_the_database(
        self, secure: RedisServer, settings: Any, key: APIKey, caplog: pytest.LogCaptureFixture
    ) -> None:
        settings.ALLOWLIST = {"FRESHNESS": secure.url.partition("?")[0]}
        assert [cost(key.token), cost(key.token)] == [2, 1]
        assert "certificate verify failed" in caplog.text
