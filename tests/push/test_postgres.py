"""FRESHNESS by PostgreSQL: what isn't the same with Redis. The rest is in tests/push/test_lines.py."""

import select
from collections.abc import Iterator
from threading import Thread
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connection, transaction

from allowlist.enforcement import freshness, lookup, postgres_connection
from allowlist.enforcement.freshness import RETRY_AFTER
from allowlist.enforcement.postgres_connection import ListeningConnection
from allowlist.models import APIKey
from tests.clock import Clock
from tests.postgres_line import ALIAS, PostgresLine, running_line
from tests.pushing import cost, hear, settle, this_store, warm
from tests.testing import ALIASES, BLOG, NOT_LISTED, visit

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=ALIASES),
    pytest.mark.needs("postgres"),
]

on_postgres = pytest.mark.only_on("postgres")


@pytest.fixture(params=["django.db.backends.postgresql", "tests.psycopg2_backend"])
def line(request: pytest.FixtureRequest, settings: Any, clock: Clock) -> Iterator[PostgresLine]:
    """Return the line in use; the process has not met it yet."""
    with running_line(request.param) as line:
        settings.ALLOWLIST = {"FRESHNESS": line.freshness}
        yield line


def listening() -> ListeningConnection:
    """Return this process's connection."""
    found = this_store()._connection
    assert isinstance(found, ListeningConnection)
    return found


def sessions() -> int:
    """Return how many connections listen."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE application_name = 'django-allowlist' AND datname = current_database()"
        )
        (count,) = cursor.fetchone()
    return int(count)


@on_postgres
class TestAnnouncements:
    def test_a_writer_that_dies_after_its_commit_has_announced(
        self, line: PostgresLine, key: APIKey, clock: Clock
    ) -> None:
        def write() -> None:
            transaction.set_autocommit(False)
            key.restrict_domains([BLOG])
            connection.connection.commit()  # Django never hears of this, and runs nothing after it.
            connection.connection.close()
            connection.connection = None

        warm(key)
        thread = Thread(target=write)
        thread.start()
        thread.join()
        hear(clock)
        assert visit(key.token) == NOT_LISTED

    def test_what_an_application_of_another_kind_notifies_is_harmless(
        self, line: PostgresLine, key: APIKey, clock: Clock
    ) -> None:
        warm(key)
        with connection.cursor() as cursor:
            for payload in ("", "nonsense", "é" * 3999, f"x  {key.locator}"):
                cursor.execute("SELECT pg_notify('allowlist', %s)", [payload])
        hear(clock)
        assert [cost(key.token), cost(key.token)] == [1, 0]


@on_postgres
class TestConnection:
    def test_it_is_its_own_and_ends_with_the_setting(
        self, line: PostgresLine, key: APIKey, settings: Any
    ) -> None:
        """A database of tests could not be dropped otherwise."""
        before = sessions()
        warm(key)
        assert sessions() == before + 1
        settings.ALLOWLIST = {}
        settle(lambda: sessions() == before)

    def test_one_that_the_server_ended_is_noticed_at_the_next_request(
        self, line: PostgresLine, key: APIKey, clock: Clock, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The first read after its last words reports nothing wrong."""
        warm(key)
        ended = select.poll()
        ended.register(listening()._driver.fileno(), select.POLLRDHUP)
        line.terminate()
        settle(lambda: bool(ended.poll(0)))
        assert this_store().current() is None
        assert caplog.text.count(f"{line.server} is down (") == 1
        assert [cost(key.token), cost(key.token)] == [1, 1]
        clock.now += RETRY_AFTER
        assert [cost(key.token), cost(key.token)] == [1, 0]

    def test_a_lost_listen_is_noticed_and_the_log_says_what_to_do(
        self, line: PostgresLine, key: APIKey, clock: Clock, caplog: pytest.LogCaptureFixture
    ) -> None:
        """As a pooler sends it between two transactions."""
        warm(key)
        driver = listening()._driver
        driver.send("DISCARD ALL")
        settle(lambda: driver.advance() is not None and driver.reply() is True)
        clock.now += 0.6
        settle(lambda: this_store().current() is None)
        assert "LISTEN doesn't last on this connection" in caplog.text
        assert "'postgres:<alias>'" in caplog.text

    def test_another_session_of_the_server_is_no_proof(
        self, line: PostgresLine, key: APIKey, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A pooler reports a process of its own, and any session may LISTEN."""
        warm(key)
        monkeypatch.setattr(type(listening()._driver), "pid", 1)
        clock.now += 0.6
        settle(lambda: this_store().current() is None)

    def test_an_error_ends_it(
        self, line: PostgresLine, key: APIKey, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        warm(key)
        monkeypatch.setattr(postgres_connection, "PROOF", "SELECT no_such_column")
        clock.now += 0.6
        settle(lambda: this_store().current() is None)

    def test_one_that_is_slow_is_finished_at_later_requests(
        self, line: PostgresLine, key: APIKey, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(postgres_connection, "CONNECT_WAIT", 0.01)
        line.pause()
        assert [cost(key.token), cost(key.token)] == [2, 1]
        line.resume()
        settle(lambda: cost(key.token) == 0)

    def test_one_that_is_refused_leaves_it_to_the_database(
        self, line: PostgresLine, key: APIKey, caplog: pytest.LogCaptureFixture
    ) -> None:
        django_settings.DATABASES[ALIAS]["USER"] = "nobody-here"
        assert [cost(key.token), cost(key.token)] == [2, 1]
        assert caplog.text.count(f"{line.server} is down (") == 1
        assert "nobody-here" in caplog.text


class TestOtherDatabases:
    """Where a change can't be heard of, each request reads its key's row."""

    @pytest.mark.only_on("sqlite")
    def test_keys_that_are_not_in_postgresql_are_read_each_time(self, key: APIKey, settings: Any) -> None:
        settings.ALLOWLIST = {"FRESHNESS": "postgres"}
        assert [cost(key.token), cost(key.token)] == [2, 1]
        key.restrict_domains([BLOG])
        assert visit(key.token) == NOT_LISTED
        assert freshness.store_of(lookup._cache, "default") is None

    @on_postgres
    def test_keys_in_another_database_than_the_one_listened_to_too(self, key: APIKey, settings: Any) -> None:
        settings.ALLOWLIST = {"FRESHNESS": "postgres:other"}
        assert [cost(key.token), cost(key.token)] == [2, 1]
        settings.ALLOWLIST = {"FRESHNESS": "postgres:default"}
        assert [cost(key.token), cost(key.token)] == [1, 0]
