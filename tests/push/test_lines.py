"""FRESHNESS: no query while a server pushes every change, and a query whenever it does not.

The same rules hold for Redis and for PostgreSQL. What is about one of them is in tests/push/test_redis.py and
tests/push/test_postgres.py.
"""

import gc
import logging
import os
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections, transaction
from django.utils import timezone

from allowlist.enforcement import freshness, lookup
from allowlist.enforcement.freshness import RETRY_AFTER, Connection, Store
from allowlist.models import APIKey
from allowlist.models.announcements import LEASE, MAX_AGE, MAX_NAMES
from allowlist.policy.tokens import Environment, Kind, Token
from tests.clock import Clock
from tests.conftest import User
from tests.postgres_line import PostgresLine, running_line
from tests.pushing import (
    behind_our_back,
    cached_row,
    cost,
    hear,
    settle,
    this_store,
    warm,
    was_heard,
)
from tests.redis_server import RedisServer, running_redis
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
    visit,
)

pytestmark = pytest.mark.django_db(transaction=True, databases=ALIASES)

Line = RedisServer | PostgresLine
"""The server that pushes changes, as a test may kill, pause and start it again."""

# Redis pushes the same whichever database has the keys.
LINES = [
    pytest.param("redis", marks=[pytest.mark.needs("redis-server"), pytest.mark.only_on("sqlite")]),
    pytest.param("postgres", marks=[pytest.mark.needs("postgres"), pytest.mark.only_on("postgres")]),
]


@pytest.fixture(params=LINES)
def line(request: pytest.FixtureRequest, settings: Any, clock: Clock) -> Iterator[Line]:
    """Return the line in use; the process has not met it yet."""
    with running_redis() if request.param == "redis" else running_line() as line:
        settings.ALLOWLIST = {"FRESHNESS": line.freshness}
        yield line


class TestHotPath:
    """It needs no reply of the server and no query."""

    def test_a_second_request_sends_no_query(self, line: Line, key: APIKey) -> None:
        assert cost(key.token) == 2
        assert [cost(key.token), cost(key.token, BLOG, NOT_LISTED), cost(key.token)] == [0, 0, 0]

    def test_a_cached_key_opens_for_its_own_token_only(self, line: Line, key: APIKey) -> None:
        warm(key)
        token = Token.parse(key.token)
        assert token
        other = Token.make(Kind.PUBLISHABLE, Environment.LIVE, token.locator)
        assert cost(other.text, answer=INVALID) == 0

    def test_a_use_is_noted_over_a_connection_that_nothing_has_opened_yet(
        self, line: Line, key: APIKey
    ) -> None:
        """As it is at each request where connections do not last."""
        warm(key)
        behind_our_back(key, last_used_at=None)
        cached_row(key).used_at = None
        connections[str(key._state.db)].close()
        assert visit(key.token) == SERVED
        assert row(key).last_used_at is not None

    def test_a_cached_key_ends_at_its_expiry(self, line: Line, key: APIKey) -> None:
        behind_our_back(key, expires_at=timezone.now() + timedelta(hours=1))
        warm(key)
        cached_row(key).expires_at = timezone.now()  # The hour is over.
        assert cost(key.token, answer=INVALID) == 0

    def test_each_request_has_a_key_of_its_own(self, line: Line, key: APIKey) -> None:
        token = Token.parse(key.token)
        assert token
        now = timezone.now()
        first, second = lookup.find_by_token(token, now), lookup.find_by_token(token, now)
        assert first
        assert second
        assert first.row is second.row
        assert first.row.to_key() is not second.row.to_key()

    def test_use_is_noted_once_a_minute_and_process(self, line: Line, key: APIKey) -> None:
        behind_our_back(key, last_used_at=None)
        assert cost(key.token) > 2
        used = APIKey.objects.get(pk=key.pk).last_used_at
        assert used is not None
        assert cost(key.token) == 0
        assert APIKey.objects.get(pk=key.pk).last_used_at == used

    def test_a_use_that_another_process_noted_is_looked_up_once(self, line: Line, key: APIKey) -> None:
        warm(key)
        cached = cached_row(key)
        assert cached.used_at
        cached.used_at -= timedelta(minutes=2)
        assert cost(key.token) > 0
        assert [cost(key.token), cost(key.token)] == [0, 0]
        assert cached.used_at == row(key).last_used_at

    def test_an_unknown_token_is_looked_up_each_time_and_never_cached(self, line: Line) -> None:
        assert [cost(UNKNOWN, answer=INVALID) for _ in range(3)] == [1, 1, 1]

    @pytest.mark.django_db(transaction=True, databases="__all__")
    def test_the_same_locator_in_another_database_is_another_key(self, line: Line, key: APIKey) -> None:
        warm(key)
        with routed_to_other():
            assert visit(key.token) == INVALID
        warm(key)


class TestChanges:
    """Those of tests/test_freshness.py, and what is announced of them."""

    def test_an_update_of_many_makes_processes_forget_those_alone(
        self, line: Line, key: APIKey, clock: Clock
    ) -> None:
        warm(key)
        APIKey.objects.exclude(pk=key.pk).update(condition="any")
        hear(clock)
        assert cost(key.token) == 0
        APIKey.objects.filter(name=key.name).update(condition="any")
        hear(clock)
        assert cost(key.token) == 1

    def test_more_names_than_are_announced_at_once_are_everything(
        self, line: Line, key: APIKey, clock: Clock
    ) -> None:
        warm(key)
        line.announce([f"{number:012}" for number in range(MAX_NAMES + 1)])
        hear(clock)
        assert cost(key.token) == 1

    def test_as_many_names_as_may_be_leave_other_keys_alone(
        self, line: Line, key: APIKey, clock: Clock
    ) -> None:
        warm(key)
        line.announce([f"{number:012}" for number in range(MAX_NAMES)])
        hear(clock)
        assert cost(key.token) == 0

    def test_a_change_of_another_key_costs_no_query(self, line: Line, key: APIKey, clock: Clock) -> None:
        other, _token = APIKey.objects.create_key(name="Other", creator=None)
        warm(key)
        other.restrict_domains([BLOG])
        hear(clock)
        assert cost(key.token) == 0

    def test_a_key_that_was_deleted_before_is_not_announced(
        self, line: Line, key: APIKey, caplog: pytest.LogCaptureFixture
    ) -> None:
        other = row(key)
        key.delete()
        other.delete()
        assert not caplog.records

    def test_a_key_whose_creator_is_deleted_loses_it_at_once(
        self, line: Line, key: APIKey, creator: User, clock: Clock
    ) -> None:
        warm(key)
        creator.delete()
        hear(clock)
        assert cost(key.token) > 0
        assert cached_row(key).to_key().creator is None

    def test_a_change_that_is_rolled_back_is_not_announced(
        self, line: Line, key: APIKey, clock: Clock
    ) -> None:
        warm(key)
        with rolled_back():
            key.restrict_domains([BLOG])
        hear(clock)
        assert cost(key.token) == 0

    def test_a_failing_on_commit_hook_stops_no_announcement(
        self, line: Line, key: APIKey, clock: Clock
    ) -> None:
        def fail() -> None:
            raise ZeroDivisionError

        @transaction.atomic
        def change() -> None:
            transaction.on_commit(fail)
            key.restrict_domains([BLOG])

        warm(key)
        with pytest.raises(ZeroDivisionError):
            change()
        hear(clock)
        assert visit(key.token) == NOT_LISTED

    def test_a_policy_cached_under_other_settings_decides_nothing(
        self, line: Line, key: APIKey, settings: Any
    ) -> None:
        warm(key)
        assert visit(key.token, None).reason == "origin_missing"
        settings.ALLOWLIST = {**settings.ALLOWLIST, "MISSING_ORIGIN": "allow"}
        assert visit(key.token, None) == SERVED

    def test_a_transaction_neither_fills_nor_uses_the_cache(self, line: Line, key: APIKey) -> None:
        with transaction.atomic():
            assert [cost(key.token), cost(key.token)] == [2, 1]
        assert cost(key.token) == 1
        with transaction.atomic():
            assert cost(key.token) == 1
        assert cost(key.token) == 0

    def test_a_connection_without_autocommit_fills_no_cache(self, line: Line, key: APIKey) -> None:
        transaction.set_autocommit(False)
        try:
            visit(key.token)
            transaction.rollback()
            assert cost(key.token) == 1
        finally:
            transaction.rollback()
            transaction.set_autocommit(True)

    def test_a_read_during_which_a_change_arrived_is_not_cached(
        self, line: Line, key: APIKey, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It may have read what was before, although it ends after."""
        read = lookup._read

        def read_slowly(*arguments: Any) -> Any:
            found = read(*arguments)
            thread = threading.Thread(target=change)
            thread.start()
            thread.join()
            hear(clock)  # As another request of this process does meanwhile.
            return found

        def change() -> None:
            key.restrict_domains([BLOG])
            connections.close_all()

        with monkeypatch.context() as patch:
            patch.setattr(lookup, "_read", read_slowly)
            assert visit(key.token) == SERVED
        assert visit(key.token) == NOT_LISTED

    def test_an_unannounced_change_counts_after_the_maximum_age(
        self, line: Line, key: APIKey, clock: Clock
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

    def test_killed_and_started_again(
        self, line: Line, key: APIKey, clock: Clock, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, "allowlist")
        warm(key)
        line.kill()
        key.restrict_domains([BLOG])
        assert [cost(key.token, answer=NOT_LISTED) for _ in range(3)] == [2, 1, 1]
        assert caplog.text.count(f"{line.server} is down (") == 1
        line.start()
        clock.now += RETRY_AFTER + 1
        assert cost(key.token, answer=NOT_LISTED) == 1
        assert f"{line.server} is back" in caplog.text
        assert cost(key.token, answer=NOT_LISTED) == 0
        key.restrict_domains([SHOP])
        hear(clock)
        assert visit(key.token) == SERVED

    def test_paused(self, line: Line, key: APIKey, clock: Clock) -> None:
        warm(key)
        line.pause()
        clock.now += 1  # The lease still runs, and a sign of life is asked for.
        assert cost(key.token) == 0
        clock.now += LEASE - 0.9
        assert [cost(key.token), cost(key.token)] == [1, 1]
        line.resume()
        settle(lambda: self.is_used(key, clock))

    def test_paused_for_longer_than_a_sign_of_life_may_take(
        self, line: Line, key: APIKey, clock: Clock, caplog: pytest.LogCaptureFixture
    ) -> None:
        warm(key)
        line.pause()
        clock.now += 1
        assert cost(key.token) == 0
        clock.now += LEASE + 0.1
        assert cost(key.token) == 1
        assert f"{line.server} is down (silent for 2 s)" in caplog.text
        line.resume()
        clock.now += RETRY_AFTER
        settle(lambda: self.is_used(key, clock))

    def is_used(self, key: APIKey, clock: Clock) -> bool:
        clock.now += 0.6
        return cost(key.token) == 0

    def test_after_a_silence_everything_cached_is_read_again(
        self, line: Line, key: APIKey, clock: Clock
    ) -> None:
        """What was announced meanwhile may be lost."""
        warm(key)
        behind_our_back(key, revoked_at=timezone.now())
        clock.now += LEASE + 0.1
        assert visit(key.token) == INVALID


class TestProcesses:
    """Threads share a store, processes do not."""

    def test_a_forked_process_has_a_connection_of_its_own(
        self, line: Line, key: APIKey, clock: Clock
    ) -> None:
        warm(key)
        mine = this_store()
        (cached,) = lookup._cache.named(key.locator)
        with lookup._cache._lock:  # As another thread may at that moment.
            child = os.fork()
            if not child:
                try:
                    theirs = this_store()
                    epoch = theirs.current()
                    # What the parent cached is current by the parent's connection alone.
                    is_theirs = epoch is not None and not epoch.covers(cached.read_at)
                    good = theirs is not mine and is_theirs and not lookup._cache._lock.locked()
                    del mine
                    freshness._forget(setting="ALLOWLIST")
                    gc.collect()  # Nor does it end what was the parent's.
                    os._exit(0 if good else 1)
                finally:
                    os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert cost(key.token) == 0
        key.restrict_domains([BLOG])
        hear(clock)
        assert visit(key.token) == NOT_LISTED

    def test_one_thread_connects_while_others_query_the_database(self, line: Line) -> None:
        connect, meanwhile = this_store()._connect, []

        def connecting() -> Connection:
            meanwhile.append(store.current())
            return connect()

        store = Store("The server", connecting, lookup._cache)
        assert store.current()
        assert meanwhile == [None]
        store.close()
