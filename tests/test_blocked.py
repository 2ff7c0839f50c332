"""What keys refused: what is recorded of it, how much, and at whose cost."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext
from datetime import timedelta
from threading import Thread, active_count
from threading import enumerate as enumerate_threads
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core import mail
from django.db import connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import QuerySet, Sum
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from allowlist.asgi import flushing
from allowlist.enforcement import blocked, blocked_rows, lookup
from allowlist.enforcement.sums import KeyName, Place, Sums, Tally, kept
from allowlist.models import APIKey, BlockedSource
from allowlist.policy.decision import Reason, Source
from allowlist.policy.origins import Origin, parse_origin
from allowlist.policy.tokens import Token
from tests.other_process import other_process
from tests.testing import (
    ELSEWHERE,
    EVIL,
    SERVER,
    SHOP,
    UNKNOWN,
    call,
    make_key,
    rolled_back,
    routed_to_other,
)

pytestmark = pytest.mark.django_db(databases="__all__")
with_commits = pytest.mark.django_db(transaction=True, databases="__all__")

AT = "/widget/alone/"
V6 = "2001:db8:1:2::7"
PATIENCE = 20
"""Seconds that anything may take on a busy machine."""
TABLE = "allowlist_blockedsource"

Seen = tuple[str, str, str, int, int]


def seen(key: APIKey) -> list[Seen]:
    """Return what is shown of a key: reason, origin, IP, count and how many were served, by place."""
    return sorted(key.blocked_sources.values_list("reason", "origin", "ip", "count", "reported"))


def rows(alias: str = "default") -> "QuerySet[BlockedSource]":
    """Return what is stored. Reading it flushes nothing."""
    return QuerySet(BlockedSource, using=alias)


def refuse(key: APIKey, origin: str, times: int = 1) -> None:
    """Have the key refuse requests from an origin, without the request around it."""
    page = parse_origin(origin)
    assert page
    note(key, page, times)


def note(key: APIKey, page: Origin, times: int = 1) -> None:
    """Count refused requests from a page."""
    source, now = Source(page, lambda: None), timezone.now()
    for _ in range(times):
        blocked.note_blocked(row_of(key), Reason.ORIGIN_NOT_LISTED, source, False, now)


def row_of(key: APIKey, known: dict[int, lookup.Row] = {}) -> lookup.Row:  # noqa: B006 - remembers
    """Return the key's row as a request reads it."""
    token = Token.parse(key.token)
    assert token
    if key.pk not in known or known[key.pk]["locator"] != key.locator:
        found = lookup.find_by_token(token, timezone.now())
        assert found
        known[key.pk] = found.row
    return known[key.pk]


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return our log's warnings and errors."""
    return [each.getMessage() for each in caplog.records if each.name == "allowlist" and each.levelno >= 30]


# What is recorded

DOMAINS_ONLY: dict[str, Any] = {"allowed_domains": [SHOP]}
IPS_ONLY: dict[str, Any] = {"allowed_ips": [SERVER]}
BY_SOURCE: dict[str, Any] = {"condition": "by_source"}
RECORDED: list[tuple[dict[str, Any], dict[str, str], str, tuple[str, str, str]]] = [
    (DOMAINS_ONLY, {"Origin": EVIL}, SERVER, ("origin_not_listed", EVIL, "")),
    (DOMAINS_ONLY, {"Origin": "HTTPS://Evil.Example.net.:443"}, SERVER, ("origin_not_listed", EVIL, "")),
    (DOMAINS_ONLY, {"Referer": f"{EVIL}/a?b"}, SERVER, ("origin_not_listed", EVIL, "")),
    (DOMAINS_ONLY, {"Origin": "null"}, SERVER, ("origin_opaque", "", "")),
    (DOMAINS_ONLY, {"Origin": "x"}, SERVER, ("origin_malformed", "", "")),
    (DOMAINS_ONLY, {"Sec-Fetch-Site": "cross-site"}, SERVER, ("origin_hidden", "", "")),
    (DOMAINS_ONLY, {}, SERVER, ("origin_missing", "", SERVER)),
    (DOMAINS_ONLY, {}, "", ("origin_missing", "", "")),
    (IPS_ONLY, {"Origin": EVIL}, ELSEWHERE, ("ip_not_listed", "", ELSEWHERE)),
    (IPS_ONLY, {}, V6, ("ip_not_listed", "", V6)),
    (IPS_ONLY, {"Origin": EVIL}, "", ("ip_unknown", "", "")),
    ({**IPS_ONLY, **BY_SOURCE}, {"Origin": EVIL}, SERVER, ("browser_not_allowed", EVIL, "")),
    ({**IPS_ONLY, **BY_SOURCE}, {"Origin": "null"}, SERVER, ("browser_not_allowed", "", "")),
    ({**DOMAINS_ONLY, **BY_SOURCE}, {}, ELSEWHERE, ("server_not_allowed", "", ELSEWHERE)),
]


@pytest.mark.parametrize(("fields", "headers", "address", "place"), RECORDED)
@pytest.mark.parametrize("enforcement", ["enforce", "report"])
def test_what_the_deciding_rule_judged_is_recorded(
    fields: Any, headers: dict[str, str], address: str, place: tuple[str, str, str], enforcement: str
) -> None:
    key, token = make_key(**fields, enforcement=enforcement)
    is_reported = enforcement == "report"
    answer = call(AT, token, headers, REMOTE_ADDR=address)
    assert answer.status_code == (200 if is_reported else 403)
    assert seen(key) == [(*place, 1, int(is_reported))]


@pytest.mark.parametrize(
    ("how", "address", "stored"),
    [
        ("full", ELSEWHERE, ELSEWHERE),
        ("full", V6, V6),
        ("full", "::ffff:198.51.100.9", ELSEWHERE),
        ("network", ELSEWHERE, "198.51.100.0/24"),
        ("network", "::ffff:198.51.100.9", "198.51.100.0/24"),
        ("network", V6, "2001:db8:1::/48"),
        ("none", ELSEWHERE, ""),
        ("none", V6, ""),
    ],
)
def test_of_an_address_only_what_blocked_ips_allows_is_stored(how: str, address: str, stored: str) -> None:
    key, token = make_key(**IPS_ONLY)
    with override_settings(ALLOWLIST={"BLOCKED_IPS": how}):
        call(AT, token, REMOTE_ADDR=address)
        assert seen(key) == [("ip_not_listed", "", stored, 1, 0)]


NOT_RECORDED: list[tuple[dict[str, Any], Callable[[str], dict[str, Any]]]] = [
    (DOMAINS_ONLY, lambda token: {"token": token, "headers": {"Origin": SHOP}}),
    (DOMAINS_ONLY, lambda token: {}),
    (DOMAINS_ONLY, lambda token: {"token": UNKNOWN}),
    ({**DOMAINS_ONLY, "environment": "test"}, lambda token: {"token": token}),
    ({**IPS_ONLY, "kind": "secret"}, lambda token: {"token": token, "headers": {"Origin": EVIL}}),
    ({**IPS_ONLY, "kind": "secret"}, lambda token: {"path": f"{AT}?key={token}"}),
]


@pytest.mark.parametrize(("fields", "request_with"), NOT_RECORDED)
def test_what_is_allowed_or_has_no_valid_key_is_not_recorded(fields: Any, request_with: Any) -> None:
    _key, token = make_key(**fields)
    with override_settings(ALLOWLIST={"ENVIRONMENTS": ["live"]}):
        call(**{"path": AT, **request_with(token)})
    assert not BlockedSource.objects.exists()


def test_what_another_permission_serves_in_the_end_is_not_recorded() -> None:
    key, token = make_key(**DOMAINS_ONLY)
    assert call("/widget/either/", token, {"Origin": EVIL, "X-Teapot": "yes"}).status_code == 200
    assert seen(key) == []
    assert call("/widget/either/", token, {"Origin": EVIL}).status_code == 403
    assert seen(key) == [("origin_not_listed", EVIL, "", 1, 0)]


def test_one_request_counts_once_and_requests_are_summed_up() -> None:
    key, token = make_key(**DOMAINS_ONLY)
    before = timezone.now()
    for enforcement, times in (("enforce", 2), ("report", 3)):
        APIKey.objects.get(pk=key.pk)
        key.enforcement = enforcement
        key.save()
        for _ in range(times):
            call(AT, token, {"Origin": EVIL, "Accept": "text/html"})
        assert seen(key)
    assert seen(key) == [("origin_not_listed", EVIL, "", 5, 3)]
    row = key.blocked_sources.get()
    assert before <= row.first_seen_at < row.last_seen_at <= timezone.now()
    assert (str(row), str(BlockedSource(ip=SERVER)), str(BlockedSource(reason="ip_unknown"))) == (
        EVIL,
        SERVER,
        "ip_unknown",
    )


def test_a_key_that_only_reports_records_what_its_empty_list_would_refuse() -> None:
    key, token = make_key(enforcement="report")
    key.restrict_domains([])
    for allowlist in ({}, {"EMPTY_LIST": "allow"}):
        with override_settings(ALLOWLIST=allowlist):
            assert call(AT, token, {"Origin": EVIL}).status_code == 200
    assert seen(key) == [("origin_not_listed", EVIL, "", 2, 2)]


def test_with_0_per_key_nothing_is_recorded() -> None:
    key, token = make_key(**DOMAINS_ONLY)
    with override_settings(ALLOWLIST={"BLOCKED_PER_KEY": 0}):
        assert call(AT, token, {"Origin": EVIL}).status_code == 403
    assert seen(key) == []


def test_a_failure_to_count_is_logged_and_refuses_as_ever(caplog: pytest.LogCaptureFixture) -> None:
    key, _token = make_key(**DOMAINS_ONLY)

    def broken() -> Any:
        raise OSError("no more threads")

    access = Source(Origin("https", "evil.example.net", 443), broken)
    blocked.note_blocked(row_of(key), Reason.ORIGIN_MISSING, access, False, timezone.now())
    assert warnings(caplog) == ["A blocked request could not be counted."]


# What is read


def prefetched(key: APIKey) -> APIKey:
    """Return the key with its rows."""
    keys: Any = APIKey.objects.filter(pk=key.pk)
    read: APIKey = keys.prefetch_related("blocked_sources").get()
    return read


READS: list[Callable[[APIKey], Any]] = [
    lambda key: len(key.blocked_sources.all()),
    lambda key: key.blocked_sources.count(),
    lambda key: int(key.blocked_sources.exists()),
    lambda key: len(list(key.blocked_sources.iterator())),
    lambda key: len([key.blocked_sources.get()]),
    lambda key: key.blocked_sources.values_list("count", flat=True).first(),
    lambda key: key.blocked_sources.aggregate(total=Sum("count"))["total"],
    lambda key: key.blocked_sources.all().delete()[0],
    lambda key: BlockedSource.objects.filter(key=key).count(),
    lambda key: len(prefetched(key).blocked_sources.all()),
]


@pytest.mark.parametrize("read", READS)
def test_reading_a_key_s_rows_first_writes_this_process_s_counts(read: Callable[[APIKey], Any]) -> None:
    key, token = make_key(**DOMAINS_ONLY)
    call(AT, token, {"Origin": EVIL})
    assert not rows().exists()
    assert read(key) == 1


def test_reading_a_key_s_rows_writes_that_key_s_counts_alone() -> None:
    key, other = make_key(**DOMAINS_ONLY)[0], make_key(**DOMAINS_ONLY)[0]
    for each in (key, other):
        refuse(each, EVIL)
    assert key.blocked_sources.count() == 1
    assert not rows().filter(key=other).exists()
    assert other.blocked_sources.count() == 1


@with_commits
def test_an_async_view_reads_them_too() -> None:
    key, _token = make_key(**DOMAINS_ONLY)
    refuse(key, EVIL)

    async def read() -> list[str]:
        return [each.origin async for each in key.blocked_sources.all()]

    assert async_to_sync(read)() == [EVIL]


def test_rows_are_shown_newest_first_and_not_past_their_days() -> None:
    key, _token = make_key(**DOMAINS_ONLY)
    now = timezone.now()
    for days in (31, 2, 1, 3):
        at = now - timedelta(days=days)
        rows().create(key=key, reason="origin_not_listed", origin=f"https://{days}.example", last_seen_at=at)
    shown = [each.origin for each in key.blocked_sources.all()]
    assert shown == ["https://1.example", "https://2.example", "https://3.example"]
    with override_settings(ALLOWLIST={"BLOCKED_DAYS": 2}):
        assert [each.origin for each in BlockedSource.objects.all()] == ["https://1.example"]


def test_a_place_that_is_back_after_its_days_starts_anew() -> None:
    key, _token = make_key(**DOMAINS_ONLY)
    at = timezone.now() - timedelta(days=31)
    rows().create(
        key=key, reason="origin_not_listed", origin=EVIL, count=500, first_seen_at=at, last_seen_at=at
    )
    refuse(key, EVIL)
    row = key.blocked_sources.get()
    assert (row.count, row.first_seen_at > at) == (1, True)


def test_a_flush_deletes_a_thousand_rows_past_their_days() -> None:
    old, key = make_key(**DOMAINS_ONLY)[0], make_key(**DOMAINS_ONLY)[0]
    at = timezone.now() - timedelta(days=31)
    rows().bulk_create(
        BlockedSource(key=old, reason="origin_not_listed", origin=f"https://{n}.example", last_seen_at=at)
        for n in range(1500)
    )
    for left in (501, 2):
        refuse(key, f"https://{left}.example")
        blocked.flush()
        assert rows().count() == left


# How much is recorded

KEPT = [
    ({}, 4, set()),
    ({"a": (1, 1), "b": (1, 2)}, 2, {"a", "b"}),
    ({"a": (9, 1), "b": (1, 2), "c": (1, 3)}, 2, {"a", "c"}),
    ({"a": (9, 1), "b": (1, 2), "c": (1, 3)}, 1, {"a"}),
    ({"a": (9, 1), "b": (1, 2), "c": (1, 3)}, 0, set()),
    ({"a": (9, 1), "b": (8, 2), "c": (7, 3), "d": (1, 4), "e": (1, 5), "f": (1, 6)}, 4, {"a", "b", "e", "f"}),
    ({"a": (2, 4), "b": (2, 3), "c": (2, 1), "d": (1, 2)}, 2, {"a", "b"}),
]


@pytest.mark.parametrize(("places", "room", "stay"), KEPT)
def test_half_the_room_is_for_the_most_refused_and_half_for_the_latest(
    places: dict[str, tuple[int, int]], room: int, stay: set[str]
) -> None:
    start = timezone.now()
    tallies = {
        place: Tally(count, 0, start, start + timedelta(seconds=at)) for place, (count, at) in places.items()
    }
    assert kept(tallies, room) == stay


def flood(real: int, total: int, order: str) -> Iterator[Origin]:
    """Yield random origins, each once, with one among them that comes ``real`` times."""
    chance = random.Random(order)
    widget = Origin("https", "widget.example", 443)
    pages = [Origin("https", f"{chance.getrandbits(64):x}.example", 443) for _ in range(total)]
    positions = {"first": [0] * real, "last": [total] * real, "spread": chance.choices(range(total), k=real)}
    before = 0
    for position in sorted(positions[order]):
        yield from pages[before:position]
        yield widget
        before = position
    yield from pages[before:]


@pytest.mark.parametrize(
    ("order", "between_flushes"),
    [
        # Of what is rare there, a flush sees nothing twice: it takes many, which SQLite does fastest.
        pytest.param("spread", 150, marks=pytest.mark.only_on("sqlite")),
        *((order, each) for order in ("first", "last", "spread") for each in (2_500, 200_000)),
    ],
)
def test_a_random_flood_hides_nothing(order: str, between_flushes: int) -> None:
    key, _token = make_key(**DOMAINS_ONLY)
    total, real = 100_000, 500
    for number, page in enumerate(flood(real, total, order), 1):
        note(key, page)
        if number % between_flushes == 0:
            blocked.flush()
    blocked.flush()
    shown = {each.origin: each.count for each in key.blocked_sources.all()}
    assert len(shown) == 100
    assert 0.9 * real <= shown["https://widget.example"] <= real
    # Nor does it hide what is new during it.
    refuse(key, "https://new.example")
    assert "https://new.example" in {each.origin for each in key.blocked_sources.all()}


def test_the_bound_of_a_key_holds_when_it_is_lowered() -> None:
    key, _token = make_key(**DOMAINS_ONLY)
    for number in range(20):
        refuse(key, f"https://{number}.example", times=20 - number)
    assert key.blocked_sources.count() == 20
    with override_settings(ALLOWLIST={"BLOCKED_PER_KEY": 4}):
        refuse(key, "https://new.example")
        shown = {each.origin for each in key.blocked_sources.all()}
    assert shown == {"https://0.example", "https://1.example", "https://19.example", "https://new.example"}


def test_memory_is_bounded_and_floods_of_keys_leave_others_room() -> None:
    sums, now = Sums(most_of_a_key=200, most=1000), timezone.now()

    def count(key: str, number: int) -> None:
        place = Place("origin_not_listed", f"https://{number}.example", "")
        sums.count(KeyName("default", None, key), place, False, now)

    for number in range(500):
        for flooded in range(20):
            count(f"flooded{flooded}", number)
    assert len(sums) <= 1000
    count("other", 1)
    assert KeyName("default", None, "other") in sums.waiting()
    for number in range(2000):
        count(f"single{number}", number)
    assert len(sums) <= 1000
    taken = sums.take(sums.waiting())
    assert sum(map(len, taken.values())) <= 1000
    assert (len(sums), sums.waiting()) == (0, {})


# What a flush does


def test_what_could_not_be_written_adds_to_what_was_counted_since() -> None:
    sums, name, place = Sums(), KeyName("default", None, "key"), Place("origin_not_allowed", EVIL, "")
    earlier = timezone.now()
    sums.count(name, place, False, earlier)
    taken = sums.take([name])
    sums.count(name, place, True, later := earlier + timedelta(seconds=1))
    sums.put_back(name, taken[name])
    tally = sums.take([name])[name][place]
    assert (tally.count, tally.reported, tally.first, tally.last) == (2, 1, earlier, later)


def test_a_flush_sends_twenty_statements_and_the_rest_waits() -> None:
    keys = [make_key(**DOMAINS_ONLY)[0] for _ in range(230)]
    for number, key in enumerate(keys):
        refuse(key, f"https://{number}.example")
        refuse(key, "https://second.example")
    flushes = 0
    while rows().count() < 2 * len(keys):
        with CaptureQueriesContext(connection) as captured:
            blocked.flush()
        assert 0 < len(captured) <= 20
        flushes += 1
    assert flushes <= 3
    with CaptureQueriesContext(connection) as captured:
        blocked.flush()
    assert len(captured) == 0


def test_more_rows_than_a_flush_takes_come_with_the_next() -> None:
    key, _token = make_key(**DOMAINS_ONLY)
    with override_settings(ALLOWLIST={"BLOCKED_PER_KEY": 600}):
        for number in range(600):
            refuse(key, f"https://{number}.example")
        for stored in (250, 500, 600):
            blocked.flush()
            assert rows().count() == stored


def test_of_a_key_that_is_gone_nothing_is_written() -> None:
    key, _token = make_key(**DOMAINS_ONLY)
    other, _token = make_key(**DOMAINS_ONLY)
    for each in (key, other):
        refuse(each, EVIL)
    key.delete()
    blocked.flush()
    assert list(rows().values_list("key", flat=True)) == [other.pk]
    with CaptureQueriesContext(connection) as captured:
        blocked.flush()
    assert len(captured) == 0


@with_commits
def test_a_refusal_that_atomic_requests_rolls_back_is_recorded() -> None:
    key, token = make_key(**DOMAINS_ONLY)
    with rolled_back():
        assert call(AT, token, {"Origin": EVIL}).status_code == 403
    assert seen(key) == [("origin_not_listed", EVIL, "", 1, 0)]


@with_commits
def test_one_flush_writes_to_the_database_of_each_key() -> None:
    tokens = []
    for routed in (nullcontext(), routed_to_other()):
        with routed:
            for _ in range(2):
                tokens.append(make_key(**DOMAINS_ONLY)[1])
                call(AT, tokens[-1], {"Origin": EVIL})
    blocked.flush()
    assert (rows().count(), rows("other").count()) == (2, 2)


@with_commits
def test_a_flush_closes_a_connection_that_it_opened() -> None:
    key, _token = make_key(**DOMAINS_ONLY)
    refuse(key, EVIL)
    connection.close()
    blocked.flush()
    assert connection.connection is None
    assert rows().count() == 1
    refuse(key, EVIL)
    blocked.flush()
    assert connection.connection is not None


@contextmanager
def another_connection() -> Iterator[BaseDatabaseWrapper]:
    """Yield another connection to the same database, in a transaction of its own."""
    another = connections.create_connection("default")
    another.ensure_connection()
    another.set_autocommit(False)
    try:
        yield another
    finally:
        another.rollback()
        another.close()


HOLD_KEYS = "UPDATE allowlist_apikey SET name = 'held'"
HOLD_ROWS = "UPDATE allowlist_blockedsource SET reported = reported + 1"
LOCKS = {
    "key": {"sqlite": HOLD_KEYS, "postgresql": HOLD_KEYS, "mysql": HOLD_KEYS},
    "row": {"sqlite": HOLD_ROWS, "postgresql": HOLD_ROWS, "mysql": HOLD_ROWS},
    "table": {
        "sqlite": HOLD_KEYS,
        "postgresql": "LOCK TABLE allowlist_blockedsource",
        "mysql": "LOCK TABLES allowlist_blockedsource WRITE",
    },
}


UNLOCK = {"mysql": "UNLOCK TABLES"}


@with_commits
@pytest.mark.parametrize("what", LOCKS)
def test_a_flush_waits_for_no_lock_and_loses_nothing(what: str, caplog: pytest.LogCaptureFixture) -> None:
    key, token = make_key(**DOMAINS_ONLY)
    refuse(key, EVIL)
    blocked.flush()
    with another_connection() as another, another.cursor() as cursor:
        cursor.execute(LOCKS[what][connection.vendor])
        start = time.perf_counter()
        for _ in range(2):
            assert call(AT, token, {"Origin": EVIL}).status_code == 403
            blocked.flush()
        assert time.perf_counter() - start < PATIENCE
        cursor.execute(UNLOCK.get(connection.vendor, "SELECT 1"))
    is_silent = what == "key" and connection.vendor != "sqlite"
    assert len(warnings(caplog)) == (0 if is_silent else 1)
    assert rows().get().count == 1
    blocked.flush()
    assert rows().get().count == 3


@with_commits
def test_a_broken_table_costs_one_log_line_and_the_counts(caplog: pytest.LogCaptureFixture) -> None:
    key, token = make_key(**DOMAINS_ONLY)
    with connection.schema_editor() as editor:
        editor.alter_db_table(BlockedSource, TABLE, "elsewhere")
    try:
        for _ in range(3):
            assert call(AT, token, {"Origin": EVIL}).status_code == 403
            blocked.flush()
    finally:
        with connection.schema_editor() as editor:
            editor.alter_db_table(BlockedSource, "elsewhere", TABLE)
    (line,) = warnings(caplog)
    assert line.startswith("Counts of blocked requests could not be written and are lost: ")
    assert seen(key) == []
    call(AT, token, {"Origin": EVIL})
    assert seen(key) == [("origin_not_listed", EVIL, "", 1, 0)]


@with_commits
def test_what_another_connection_locks_waits_as_long_as_before() -> None:
    show = {
        "sqlite": "PRAGMA busy_timeout",
        "postgresql": "SHOW lock_timeout",
        "mysql": "SELECT @@innodb_lock_wait_timeout, @@lock_wait_timeout",
    }

    def timeout() -> Any:
        with connection.cursor() as cursor:
            cursor.execute(show[connection.vendor])
            return cursor.fetchone()

    key, _token = make_key(**DOMAINS_ONLY)
    before = timeout()
    refuse(key, EVIL)
    with rolled_back():
        assert key.blocked_sources.count() == 1
        assert timeout() == before
    refuse(key, EVIL)
    blocked.flush()
    assert timeout() == before


# The writer


@pytest.fixture
def writer(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[blocked.Writer]:
    """Have the thread write, as it does outside of tests, every few milliseconds."""
    another = blocked.Writer()
    monkeypatch.setattr(blocked, "_writer", another)
    monkeypatch.setattr(blocked, "INTERVAL", 0.02)
    monkeypatch.delattr(mail, "outbox")
    yield another
    another.finish()
    another.wake()
    thread = another._thread
    assert thread
    thread.join(PATIENCE)
    assert not thread.is_alive()


def until(condition: Callable[[], bool]) -> bool:
    """Return whether the condition comes true."""
    deadline = time.monotonic() + PATIENCE
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def stored(key: APIKey) -> int:
    """Return how many refusals of the key are stored."""
    return sum(rows().filter(key=key).values_list("count", flat=True))


def test_in_a_test_run_no_thread_is_started() -> None:
    key, _token = make_key(**DOMAINS_ONLY)
    refuse(key, EVIL)
    assert blocked._writer._thread is None
    assert "allowlist-blocked" not in {thread.name for thread in enumerate_threads()}


def test_one_thread_writes_what_many_requests_count(writer: blocked.Writer) -> None:
    key, _token = make_key(**DOMAINS_ONLY)
    row_of(key)
    threads = active_count()
    with ThreadPoolExecutor(4) as pool:
        for _ in range(4):
            pool.submit(refuse, key, EVIL, 100)
    assert active_count() <= threads + 1
    assert until(lambda: stored(key) == 400)
    refuse(key, EVIL)
    assert until(lambda: stored(key) == 401)


def test_the_thread_survives_whatever_goes_wrong(
    writer: blocked.Writer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    key, _token = make_key(**DOMAINS_ONLY)
    row_of(key)
    with monkeypatch.context() as patch:
        patch.setattr(blocked, "_fitting", None)
        refuse(key, EVIL)
        assert until(lambda: "Counts of blocked requests were not written." in warnings(caplog))
    assert until(lambda: stored(key) == 1)


def test_a_key_that_is_locked_is_written_once_it_is_not(writer: blocked.Writer) -> None:
    key, _token = make_key(**DOMAINS_ONLY)
    row_of(key)
    with another_connection() as another, another.cursor() as cursor:
        cursor.execute(HOLD_KEYS)
        refuse(key, EVIL)
        time.sleep(0.1)
        assert stored(key) == 0
    assert until(lambda: stored(key) == 1)


def test_a_thread_that_can_not_start_costs_a_log_line(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def cannot(_thread: Any) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(blocked, "_writer", blocked.Writer())
    monkeypatch.delattr(mail, "outbox")
    monkeypatch.setattr(Thread, "start", cannot)
    key, _token = make_key(**DOMAINS_ONLY)
    refuse(key, EVIL, times=3)
    assert warnings(caplog) == [
        "Blocked requests are only written when they are read: can't start new thread"
    ]
    assert key.blocked_sources.get().count == 3


def test_the_end_of_a_process_goes_on_trying_for_a_while(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocked, "_writer", writer := blocked.Writer())
    monkeypatch.setattr(blocked, "PATIENCE", 0.1)
    key, _token = make_key(**DOMAINS_ONLY)
    refuse(key, EVIL)
    with another_connection() as another, another.cursor() as cursor:
        cursor.execute(HOLD_KEYS)
        writer.finish()
    assert stored(key) == 0
    writer.finish()
    assert stored(key) == 1


@with_commits
def test_processes_add_up_and_write_what_is_left_as_they_end() -> None:
    _key, token = make_key(**DOMAINS_ONLY)
    with ExitStack() as stack:
        processes = [stack.enter_context(other_process({})) for _ in range(2)]
        for number in range(30):
            for ask in processes:
                assert ask(token, EVIL).status == 403
                assert ask(token, f"https://{number % 3}.example").status == 403
    assert sorted(each.count for each in rows()) == [20, 20, 20, 60]


FORK = """
import os
import django
django.setup()
from django.utils import timezone
from allowlist.enforcement import blocked
from allowlist.enforcement.sums import KeyName, Place
name, place = KeyName("default", None, "abc"), Place("origin_not_listed", "", "")
blocked._sums.count(name, place, False, timezone.now())
blocked._sums._lock.acquire()
blocked._writer.busy.acquire()
if pid := os.fork():
    raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) + (len(blocked._sums) != 1))
blocked._writer.busy.acquire(timeout=1) or os._exit(3)
os._exit(len(blocked._sums) + len(blocked._sums.waiting()))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork")
def test_a_fork_drops_the_parent_s_counts_and_locks() -> None:
    subprocess.run([sys.executable, "-c", FORK], check=True, timeout=PATIENCE)


def test_an_address_is_only_worked_out_if_it_is_recorded(caplog: pytest.LogCaptureFixture) -> None:
    key, _token = make_key(**DOMAINS_ONLY)
    source = Source(Origin("https", "evil.example.net", 443), lambda: pytest.fail("It was."))
    blocked.note_blocked(row_of(key), Reason.ORIGIN_NOT_LISTED, source, False, timezone.now())
    assert seen(key) == [("origin_not_listed", EVIL, "", 1, 0)]


@with_commits
def test_a_reader_waits_for_a_flush_under_way_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    key, _token = make_key(**DOMAINS_ONLY)
    refuse(key, EVIL)
    monkeypatch.setattr(blocked, "PATIENCE", 0.01)
    with blocked._writer.busy:
        assert key.blocked_sources.count() == 0
    assert key.blocked_sources.count() == 1


@with_commits
def test_an_asgi_server_that_shuts_down_has_the_rest_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocked, "_writer", blocked.Writer())
    key, _token = make_key(**DOMAINS_ONLY)
    refuse(key, EVIL)
    received = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent: list[Any] = []

    async def receive() -> Any:
        return received.pop(0)

    async def send(message: Any) -> None:
        sent.append(message["type"])

    async def application(scope: Any, receive: Any, send: Any) -> None:
        sent.append(scope["type"])

    for kind in ("http", "lifespan"):
        async_to_sync(flushing(application))({"type": kind}, receive, send)
    assert sent == ["http", "lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert rows().get().count == 1


def test_a_tenant_that_can_not_be_served_any_more_is_forgotten() -> None:
    key, _token = make_key(**DOMAINS_ONLY)
    name = KeyName("default", "gone", key.locator)
    blocked._sums.count(name, Place("origin_not_listed", EVIL, ""), False, timezone.now())
    assert key.blocked_sources.count() == 0
    blocked.flush()
    assert (rows().count(), blocked._sums.waiting()) == (0, {})
    assert blocked_rows.MOST_STATEMENTS * 2 <= blocked.MOST_STATEMENTS
