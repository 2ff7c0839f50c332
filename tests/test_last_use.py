"""``last_used_at``: written by served requests, once a minute at most, and never in the way."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.urls import path
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from allowlist.enforcement import lookup, usage
from allowlist.models import APIKey
from allowlist.permissions import IsAllowlisted
from allowlist.policy.tokens import Token
from tests.testing import (
    ELSEWHERE,
    EVIL,
    SERVER,
    SHOP,
    call,
    make_key,
    rolled_back,
    routed_to_other,
    statements,
    writes,
)

pytestmark = pytest.mark.urls(__name__)
with_database = pytest.mark.django_db(databases="__all__")
with_commits = pytest.mark.django_db(transaction=True, databases="__all__")


class Reading(APIView):
    """Reads the database after the permission did."""

    authentication_classes = []
    permission_classes = [IsAllowlisted]

    def get(self, request: Request) -> Response:
        """Return a response."""
        return Response({"keys": APIKey.objects.count()})


class Waiting(Reading):
    """Holds its transaction open while someone else changes keys."""

    def get(self, request: Request) -> Response:
        """Return a response."""
        another = connections.create_connection("default")
        limit = "lock_timeout = 200" if another.vendor == "postgresql" else "innodb_lock_wait_timeout = 1"
        with closing(another), another.cursor() as cursor:
            cursor.execute(f"SET {limit}")
            cursor.execute("UPDATE allowlist_apikey SET name = 'Changed'")
        return super().get(request)


urlpatterns = [
    path("widget/", Reading.as_view()),
    path("waiting/", Waiting.as_view()),
]
NEVER = None
PATIENCE = 20
"""Seconds that any request may take on a busy machine. Databases wait longer for a lock."""


def last_use(key: APIKey) -> datetime | None:
    """Return what the row says."""
    return APIKey.objects.get(pk=key.pk).last_used_at


def set_last_use(key: APIKey, seconds_ago: float) -> datetime:
    """Write it."""
    at = timezone.now() - timedelta(seconds=seconds_ago)
    APIKey.objects.filter(pk=key.pk).update(last_used_at=at)
    at_read = last_use(key)
    assert at_read is not None
    return at_read


def writes_of(token: str) -> list[str]:
    """Return what a served request writes."""
    with statements() as sql:
        assert call("/widget/", token).status_code == 200
    return writes(sql)


@with_database
def test_a_served_request_moves_it() -> None:
    key, token = make_key()
    assert last_use(key) is NEVER
    before = timezone.now()
    assert call("/widget/", token).status_code == 200
    used = last_use(key)
    assert used is not None
    assert before - timedelta(seconds=1) <= used <= timezone.now()


@with_database
@pytest.mark.parametrize(("seconds_ago", "moves"), [(0, False), (55, False), (60, True), (3600, True)])
def test_it_moves_once_a_minute_at_most(seconds_ago: int, moves: bool) -> None:
    key, token = make_key()
    before = set_last_use(key, seconds_ago)
    assert len(writes_of(token)) == moves
    assert (last_use(key) != before) is moves
    assert writes_of(token) == []


@with_database
def test_two_requests_that_read_the_same_row_write_it_once() -> None:
    key, text = make_key()
    token = Token.parse(text)
    assert token is not None
    now = timezone.now()
    first, second = lookup.find_by_token(token, now), lookup.find_by_token(token, now)
    assert first is not None
    assert second is not None
    usage._write_use(first.row, now)
    usage._write_use(second.row, now + timedelta(seconds=30))
    used = last_use(key)
    assert used is not None
    assert abs(used - now) < timedelta(seconds=1)


@with_database
def test_it_writes_that_column_alone() -> None:
    _, token = make_key()
    (statement,) = writes_of(token)
    assert statement.upper().count("SET") == 1
    assert "revision" not in statement.partition("WHERE")[0]
    assert "," not in statement.partition("WHERE")[0]


@with_database
def test_a_key_s_last_use_changes_nothing_that_decides() -> None:
    key, token = make_key(domains=[SHOP])
    revision = APIKey.objects.get(pk=key.pk).revision
    call("/widget/", token, {"Origin": SHOP})
    assert APIKey.objects.get(pk=key.pk).revision == revision


REFUSED: list[tuple[dict[str, Any], dict[str, str], str]] = [
    ({"allowed_domains": [SHOP]}, {"Origin": EVIL}, SERVER),
    ({"allowed_domains": [SHOP]}, {}, SERVER),
    ({"allowed_domains": [SHOP]}, {"Origin": "null"}, SERVER),
    ({"allowed_ips": [SERVER]}, {}, ELSEWHERE),
    ({"allowed_ips": [SERVER]}, {}, ""),
    ({"kind": "secret"}, {"Origin": SHOP}, SERVER),
    ({"allowed_ips": [SERVER], "condition": "by_source"}, {"Origin": SHOP}, SERVER),
]


@with_database
@pytest.mark.parametrize(("fields", "headers", "address"), REFUSED)
def test_a_refused_request_never_moves_it(fields: Any, headers: dict[str, str], address: str) -> None:
    key, token = make_key(**fields)
    with statements() as sql:
        assert call("/widget/", token, headers, REMOTE_ADDR=address).status_code == 403
    assert writes(sql) == []
    assert last_use(key) is NEVER


@with_database
def test_a_revoked_or_expired_key_s_last_use_stays() -> None:
    revoked, revoked_token = make_key()
    revoked.revoke()
    expired, expired_token = make_key()
    APIKey.objects.filter(pk=expired.pk).update(expires_at=timezone.now())
    for key, token in ((revoked, revoked_token), (expired, expired_token)):
        assert call("/widget/", token).status_code == 401
        assert last_use(key) is NEVER


@with_database
def test_what_is_served_to_be_reported_counts() -> None:
    key, token = make_key(domains=[SHOP], enforcement="report")
    assert call("/widget/", token, {"Origin": EVIL}).status_code == 200
    assert last_use(key) is not NEVER


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return our log's warnings."""
    return [
        each.getMessage()
        for each in caplog.records
        if (each.name, each.levelname) == ("allowlist", "WARNING")
    ]


@pytest.fixture
def atomic_requests(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Have each request run in a transaction, or not."""
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", request.param)
    return bool(request.param)


EACH_WAY = pytest.mark.parametrize(
    "atomic_requests", [False, True], ids=["autocommit", "atomic"], indirect=True
)


@pytest.fixture
def other(transactional_db: None) -> Iterator[BaseDatabaseWrapper]:
    """Return another connection to the same database, in a transaction of its own."""
    another = connections.create_connection("default")
    another.ensure_connection()
    another.set_autocommit(False)
    yield another
    another.rollback()
    another.close()


@with_commits
@EACH_WAY
def test_a_locked_row_is_not_waited_for(
    atomic_requests: bool, other: BaseDatabaseWrapper, caplog: pytest.LogCaptureFixture
) -> None:
    key, token = make_key()
    table = connection.ops.quote_name("allowlist_apikey")
    with other.cursor() as cursor:
        cursor.execute(f"UPDATE {table} SET name = 'held' WHERE id = %s", [key.pk])  # noqa: S608
    start = time.perf_counter()
    assert call("/widget/", token).status_code == 200
    assert time.perf_counter() - start < PATIENCE
    assert last_use(key) is NEVER
    said = warnings(caplog)
    assert len(said) == (1 if connection.vendor == "sqlite" else 0)
    assert all("last_used_at of key" in each and token not in each for each in said)
    other.rollback()
    assert call("/widget/", token).status_code == 200
    assert last_use(key) is not NEVER


@with_commits
@pytest.mark.only_on("postgres", "mariadb")
def test_a_locked_row_is_not_waited_for_if_locks_cannot_be_skipped(
    other: BaseDatabaseWrapper, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection.features, "has_select_for_update_skip_locked", False)
    key, token = make_key()
    table = connection.ops.quote_name("allowlist_apikey")
    with other.cursor() as cursor:
        cursor.execute(f"UPDATE {table} SET name = 'held' WHERE id = %s", [key.pk])  # noqa: S608
    start = time.perf_counter()
    assert call("/widget/", token).status_code == 200
    assert time.perf_counter() - start < PATIENCE
    assert len(warnings(caplog)) == 1


@with_commits
@EACH_WAY
@pytest.mark.only_on("postgres", "mariadb")
def test_a_view_that_takes_long_locks_nobody_out_of_its_key(atomic_requests: bool) -> None:
    """Else a slow request with a stolen key would keep it from being revoked."""
    key, token = make_key()
    assert call("/waiting/", token).status_code == 200
    assert last_use(key) is not NEVER
    assert APIKey.objects.get(pk=key.pk).name == "Changed"


READ_ONLY = {
    "sqlite": ("PRAGMA query_only = 1", "PRAGMA query_only = 0"),
    "postgresql": (
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
    ),
    "mysql": ("SET SESSION TRANSACTION READ ONLY", "SET SESSION TRANSACTION READ WRITE"),
}


@with_database
def test_whatever_goes_wrong_with_it_the_request_is_served(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_arguments: Any, **_values: Any) -> bool:
        raise AttributeError("no such thing")

    monkeypatch.setattr(usage, "_write", broken)
    key, token = make_key()
    assert call("/widget/", token).status_code == 200
    assert warnings(caplog) == [f"last_used_at of key {key.pk} could not be written yet: no such thing"]


@with_commits
@EACH_WAY
def test_a_read_only_database_serves_and_warns(
    atomic_requests: bool, caplog: pytest.LogCaptureFixture
) -> None:
    key, token = make_key()
    on, off = READ_ONLY[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(on)
    try:
        assert call("/widget/", token).status_code == 200
    finally:
        with connection.cursor() as cursor:
            cursor.execute(off)
    assert last_use(key) is NEVER
    (said,) = warnings(caplog)
    assert said.startswith(f"last_used_at of key {key.pk} could not be written yet: ")


@with_commits
@pytest.mark.only_on("sqlite")
@pytest.mark.parametrize("atomic", [False, True])
def test_a_file_opened_read_only_serves_and_warns(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, atomic: bool
) -> None:
    _, token = make_key()
    file = tmp_path / "copy.sqlite3"
    with sqlite3.connect(file) as copy:
        connection.connection.backup(copy)
    copy.close()
    with routed_to_other(NAME=f"file:{file}?mode=ro", ATOMIC_REQUESTS=atomic):
        assert call("/widget/", token).status_code == 200
    (said,) = warnings(caplog)
    assert "readonly" in said


@with_commits
@pytest.mark.only_on("sqlite")
def test_sqlite_waits_again_as_long_as_before(other: BaseDatabaseWrapper) -> None:
    def timeout() -> int:
        with connection.cursor() as cursor:
            return int(cursor.execute("PRAGMA busy_timeout").fetchone()[0])

    _, token = make_key()
    before = timeout()
    assert before > 0
    with other.cursor() as cursor:
        cursor.execute("UPDATE allowlist_apikey SET name = 'held'")
    assert call("/widget/", token).status_code == 200
    assert timeout() == before
    other.rollback()
    assert call("/widget/", token).status_code == 200
    assert timeout() == before


@with_commits
def test_a_use_that_is_rolled_back_is_written_with_the_next() -> None:
    key, token = make_key()
    with rolled_back():
        assert call("/widget/", token).status_code == 200
    assert last_use(key) is NEVER
    assert call("/widget/", token).status_code == 200
    assert last_use(key) is not NEVER


@with_commits
def test_without_autocommit_it_waits_for_the_commit(caplog: pytest.LogCaptureFixture) -> None:
    key, token = make_key()
    transaction.set_autocommit(False)
    try:
        assert call("/widget/", token).status_code == 200
    finally:
        transaction.commit()
        transaction.set_autocommit(True)
    assert last_use(key) is not NEVER
    assert warnings(caplog) == []
