"""FRESHNESS: no query while Redis pushes every change, and a query whenever it does not."""

import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connections, transaction
from django.db.models import QuerySet
from django.utils import timezone

from allowlist.enforcement import freshness, lookup, redis_connection
from allowlist.enforcement.freshness import RETRY_AFTER, Epoch, Store
from allowlist.enforcement.redis_connection import TrackingConnection
from allowlist.models import APIKey, announcements
from allowlist.models.announcements import LEASE, MAX_AGE, MAX_NAMES
from allowlist.policy.tokens import Environment, Kind, Token
from tests.clock import Clock
from tests.conftest import User
from tests.demo_server import PATIENCE
from tests.redis_server import RedisServer, encrypted, running_redis
from tests.testing import (
    ALIASES,
    BLOG,
    INVALID,
    NOT_LISTED,
    SERVED,
    SHOP,
    UNKNOWN,
    rolled_back,
    routed_to_other,
    row,
    statements,
    used_now,
    visit,
)

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=ALIASES),
    pytest.mark.needs("redis-server"),
]


@pytest.fixture(scope="module")
def shared_redis() -> Iterator[RedisServer]:
    """Run a Redis that lives through its tests."""
    with running_redis() as server:
        yield server


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """Run a Redis that the test may kill."""
    with running_redis() as server:
        yield server


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return a clock that stands still. A connection to Redis may take as long as a busy machine needs."""
    monkeypatch.setattr(redis_connection, "CONNECT_TIMEOUT", PATIENCE)
    clock = Clock()
    for module in (freshness, redis_connection):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=clock))
    return clock


@pytest.fixture
def redis(shared_redis: RedisServer, settings: Any, clock: Clock) -> Iterator[RedisServer]:
    """Return the Redis in use; the process has not met it yet."""
    settings.ALLOWLIST = {"FRESHNESS": shared_redis.url}
    freshness._store.cache_clear()
    yield shared_redis
    freshness._store.cache_clear()


@pytest.fixture
def mortal(own_redis: RedisServer, settings: Any, clock: Clock) -> Iterator[RedisServer]:
    """Return a Redis in use that the test may kill and pause."""
    settings.ALLOWLIST = {"FRESHNESS": own_redis.url}
    yield own_redis
    freshness._store.cache_clear()


@pytest.fixture
def key(creator: User) -> APIKey:
    """Return a key that lists a page; its use is noted already."""
    key, _token = APIKey.objects.create_key(name="Shop", creator=creator, allowed_domains=[SHOP])
    used_now(key)
    return key


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
    store = freshness.store_of(lookup._cache)
    assert store
    return store


def behind_our_back(key: APIKey, **values: Any) -> None:
    """Write as other programs do: nothing is announced."""
    QuerySet(APIKey).filter(pk=key.pk).update(**values)


def settle(asked: Callable[[], bool]) -> None:
    """Wait until something is so, for as long as a busy machine may need."""
    assert any(asked() or threading.Event().wait(0.01) for _ in range(100 * PATIENCE))


def was_heard(clock: Clock) -> bool:
    """Return whether Redis gave a sign of life at the clock's time."""
    store = this_store()
    assert store.current()
    assert store._connection
    return store._connection.alive_at == clock.now


class TestHotPath:
    """It needs no reply of Redis and no query."""

    def test_a_second_request_sends_no_query_and_no_command(self, redis: RedisServer, key: APIKey) -> None:
        assert cost(key.token) == 2
        before = redis.client.info("commandstats")
        assert [cost(key.token), cost(key.token, BLOG, NOT_LISTED), cost(key.token)] == [0, 0, 0]
        after = redis.client.info("commandstats")
        assert after.keys() - before.keys() <= {"cmdstat_info"}

    def test_a_cached_key_opens_for_its_own_token_only(self, redis: RedisServer, key: APIKey) -> None:
        warm(key)
        token = Token.parse(key.token)
        assert token
        other = Token.make(Kind.PUBLISHABLE, Environment.LIVE, token.locator)
        assert cost(other.text, answer=INVALID) == 0

    def test_a_use_is_noted_over_a_connection_that_nothing_has_opened_yet(
        self, redis: RedisServer, key: APIKey
    ) -> None:
        """As it is at each request where connections do not last."""
        warm(key)
        behind_our_back(key, last_used_at=None)
        cached_row(key).used_at = None
        connections[str(key._state.db)].close()
        assert visit(key.token) == SERVED
        assert row(key).last_used_at is not None

    def test_a_cached_key_ends_at_its_expiry(self, redis: RedisServer, key: APIKey) -> None:
        behind_our_back(key, expires_at=timezone.now() + timedelta(hours=1))
        warm(key)
        cached_row(key).expires_at = timezone.now()  # The hour is over.
        assert cost(key.token, answer=INVALID) == 0

    def test_each_request_has_a_key_of_its_own(self, redis: RedisServer, key: APIKey) -> None:
        token = Token.parse(key.token)
        assert token
        now = timezone.now()
        first, second = lookup.find_by_token(token, now), lookup.find_by_token(token, now)
        assert first
        assert second
        assert first.row is second.row
        assert first.row.to_key() is not second.row.to_key()

    def test_use_is_noted_once_a_minute_and_process(self, redis: RedisServer, key: APIKey) -> None:
        behind_our_back(key, last_used_at=None)
        assert cost(key.token) > 2
        used = APIKey.objects.get(pk=key.pk).last_used_at
        assert used is not None
        assert cost(key.token) == 0
        assert APIKey.objects.get(pk=key.pk).last_used_at == used

    def test_a_use_that_another_process_noted_is_looked_up_once(
        self, redis: RedisServer, key: APIKey
    ) -> None:
        warm(key)
        cached = cached_row(key)
        assert cached.used_at
        cached.used_at -= timedelta(minutes=2)
        assert cost(key.token) > 0
        assert [cost(key.token), cost(key.token)] == [0, 0]
        assert cached.used_at == row(key).last_used_at

    def test_an_unknown_token_is_looked_up_each_time_and_never_cached(self, redis: RedisServer) -> None:
        assert [cost(UNKNOWN, answer=INVALID) for _ in range(3)] == [1, 1, 1]

    @pytest.mark.django_db(transaction=True, databases="__all__")
    def test_the_same_locator_in_another_database_is_another_key(
        self, redis: RedisServer, key: APIKey
    ) -> None:
        warm(key)
        with routed_to_other():
            assert visit(key.token) == INVALID
        warm(key)


class TestChanges:
    """Those of tests/test_freshness.py, and what is about Redis alone."""

    def test_an_update_of_many_makes_processes_forget_those_alone(
        self, redis: RedisServer, key: APIKey
    ) -> None:
        warm(key)
        APIKey.objects.exclude(pk=key.pk).update(condition="any")
        assert cost(key.token) == 0
        APIKey.objects.filter(name=key.name).update(condition="any")
        assert cost(key.token) == 1

    def test_more_names_than_redis_writes_at_once_are_everything(
        self, redis: RedisServer, key: APIKey
    ) -> None:
        """A message of a megabyte would arrive in parts, the last after the writer has gone on."""
        warm(key)
        announcements.Announcement(redis.url, [str(number) for number in range(MAX_NAMES + 1)])()
        assert cost(key.token) == 1

    def test_as_many_names_as_may_be_leave_other_keys_alone(self, redis: RedisServer, key: APIKey) -> None:
        warm(key)
        announcements.Announcement(redis.url, [str(number) for number in range(MAX_NAMES)])()
        assert cost(key.token) == 0

    def test_a_change_of_another_key_costs_no_query(self, redis: RedisServer, key: APIKey) -> None:
        other, _token = APIKey.objects.create_key(name="Other", creator=None)
        warm(key)
        other.restrict_domains([BLOG])
        assert cost(key.token) == 0

    def test_a_key_that_was_deleted_before_is_not_announced(
        self, redis: RedisServer, key: APIKey, caplog: pytest.LogCaptureFixture
    ) -> None:
        other = row(key)
        key.delete()
        other.delete()
        assert not caplog.records

    def test_a_key_whose_creator_is_deleted_loses_it_at_once(
        self, redis: RedisServer, key: APIKey, creator: User
    ) -> None:
        warm(key)
        creator.delete()
        assert cost(key.token) > 0
        assert cached_row(key).to_key().creator is None

    def test_a_change_that_is_rolled_back_is_not_announced(self, redis: RedisServer, key: APIKey) -> None:
        warm(key)
        with rolled_back():
            key.restrict_domains([BLOG])
        assert cost(key.token) == 0

    def test_a_failing_on_commit_hook_stops_no_announcement(self, redis: RedisServer, key: APIKey) -> None:
        def fail() -> None:
            raise ZeroDivisionError

        @transaction.atomic
        def change() -> None:
            transaction.on_commit(fail)
            key.restrict_domains([BLOG])

        warm(key)
        with pytest.raises(ZeroDivisionError):
            change()
        assert visit(key.token) == NOT_LISTED

    def test_changes_of_one_transaction_are_announced_together(self, redis: RedisServer, key: APIKey) -> None:
        other, _token = APIKey.objects.create_key(name="Other", creator=None, allowed_domains=[SHOP])
        used_now(other)
        warm(other)
        warm(key)
        before = redis.client.info("commandstats")["cmdstat_mset"]["calls"]
        with transaction.atomic():
            key.restrict_domains([BLOG])
            other.restrict_domains([BLOG])
            key.add_domains([f"{BLOG}:8443"])
        assert redis.client.info("commandstats")["cmdstat_mset"]["calls"] == before + 1
        assert visit(key.token) == visit(other.token) == NOT_LISTED
        assert redis.client.keys() == []

    def test_a_policy_cached_under_other_settings_decides_nothing(
        self, redis: RedisServer, key: APIKey, settings: Any
    ) -> None:
        warm(key)
        assert visit(key.token, None).reason == "origin_missing"
        settings.ALLOWLIST = {**settings.ALLOWLIST, "MISSING_ORIGIN": "allow"}
        assert visit(key.token, None) == SERVED

    def test_a_transaction_neither_fills_nor_uses_the_cache(self, redis: RedisServer, key: APIKey) -> None:
        with transaction.atomic():
            assert [cost(key.token), cost(key.token)] == [2, 1]
        assert cost(key.token) == 1
        with transaction.atomic():
            assert cost(key.token) == 1
        assert cost(key.token) == 0

    def test_a_connection_without_autocommit_fills_no_cache(self, redis: RedisServer, key: APIKey) -> None:
        transaction.set_autocommit(False)
        try:
            visit(key.token)
            transaction.rollback()
            assert cost(key.token) == 1
        finally:
            transaction.rollback()
            transaction.set_autocommit(True)

    def test_a_read_during_which_a_change_arrived_is_not_cached(
        self, redis: RedisServer, key: APIKey, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It may have read what was before, although it ends after."""
        read, store = lookup._read, this_store()

        def read_slowly(*arguments: Any) -> Any:
            found = read(*arguments)
            thread = threading.Thread(target=change)
            thread.start()
            thread.join()
            assert store.current()  # As another request of this process asks meanwhile.
            return found

        def change() -> None:
            key.restrict_domains([BLOG])
            connections.close_all()

        with monkeypatch.context() as patch:
            patch.setattr(lookup, "_read", read_slowly)
            assert visit(key.token) == SERVED
        assert visit(key.token) == NOT_LISTED

    def test_an_unannounced_change_counts_after_the_maximum_age(
        self, redis: RedisServer, key: APIKey, clock: Clock
    ) -> None:
        warm(key)
        behind_our_back(key, revoked_at=timezone.now())
        for _ in range(int(MAX_AGE)):
            clock.now += 1
            settle(lambda: was_heard(clock))
        assert visit(key.token) == SERVED
        clock.now += 0.1
        assert visit(key.token) == INVALID


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

    def test_killed_and_started_again(
        self, mortal: RedisServer, key: APIKey, clock: Clock, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, "allowlist")
        warm(key)
        mortal.kill()
        key.restrict_domains([BLOG])
        assert [cost(key.token, answer=NOT_LISTED) for _ in range(3)] == [2, 1, 1]
        assert caplog.text.count("Redis is down (") == 1
        mortal.start()
        clock.now += RETRY_AFTER + 1
        assert cost(key.token, answer=NOT_LISTED) == 1
        assert "Redis is back" in caplog.text
        assert cost(key.token, answer=NOT_LISTED) == 0
        key.restrict_domains([SHOP])
        assert visit(key.token) == SERVED

    def test_flushed(self, mortal: RedisServer, key: APIKey) -> None:
        warm(key)
        behind_our_back(key, revoked_at=timezone.now())
        mortal.client.flushall()
        settle(lambda: visit(key.token) == INVALID)

    def test_paused(self, mortal: RedisServer, key: APIKey, clock: Clock) -> None:
        warm(key)
        mortal.pause()
        clock.now += 1  # The lease still runs, and a sign of life is asked for.
        assert cost(key.token) == 0
        clock.now += LEASE - 0.9
        assert [cost(key.token), cost(key.token)] == [1, 1]
        mortal.resume()
        settle(lambda: self.is_used(key, clock))

    def test_paused_for_longer_than_a_sign_of_life_may_take(
        self, mortal: RedisServer, key: APIKey, clock: Clock, caplog: pytest.LogCaptureFixture
    ) -> None:
        warm(key)
        mortal.pause()
        clock.now += 1
        assert cost(key.token) == 0
        clock.now += LEASE + 0.1
        assert cost(key.token) == 1
        assert "Redis is down (silent for 2 s)" in caplog.text
        mortal.resume()
        clock.now += RETRY_AFTER
        settle(lambda: self.is_used(key, clock))

    def is_used(self, key: APIKey, clock: Clock) -> bool:
        clock.now += 0.6
        return cost(key.token) == 0

    def test_a_writer_waits_for_a_paused_redis_until_no_cache_is_used(
        self,
        mortal: RedisServer,
        key: APIKey,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        assert announcements.ANNOUNCE_TIMEOUT > LEASE
        monkeypatch.setattr(announcements, "ANNOUNCE_TIMEOUT", 0.2)
        announcements._client.cache_clear()
        mortal.pause()
        key.restrict_domains([BLOG])
        assert "could not be announced (Timeout" in caplog.text
        announcements._client.cache_clear()

    def test_after_a_silence_everything_cached_is_read_again(
        self, redis: RedisServer, key: APIKey, clock: Clock
    ) -> None:
        """What was announced meanwhile may be lost."""
        warm(key)
        behind_our_back(key, revoked_at=timezone.now())
        clock.now += LEASE + 0.1
        assert visit(key.token) == INVALID

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
            freshness._store.cache_clear()

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


class TestProcesses:
    """Threads share a store, processes do not."""

    def test_a_forked_process_has_a_connection_of_its_own(self, redis: RedisServer, key: APIKey) -> None:
        warm(key)
        mine = this_store()
        (cached,) = lookup._cache.named(key.locator)
        with lookup._cache._lock:  # As another thread may at that moment.
            child = os.fork()
            if not child:  # pragma: no cover - coverage ends with the process
                theirs = this_store()
                epoch = theirs.current()
                # What the parent cached is current by the parent's connection alone.
                is_theirs = epoch is not None and not epoch.covers(cached.read_at)
                good = theirs is not mine and is_theirs and not lookup._cache._lock.locked()
                os._exit(0 if good else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert cost(key.token) == 0
        key.restrict_domains([BLOG])
        assert visit(key.token) == NOT_LISTED

    def test_one_thread_connects_while_others_query_the_database(
        self, redis: RedisServer, key: APIKey, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        meanwhile: list[Epoch | None] = []

        def connect() -> TrackingConnection:
            meanwhile.append(store.current())
            return TrackingConnection(redis.url)

        store = Store("Redis", connect, lookup._cache)
        assert store.current()
        assert meanwhile == [None]
