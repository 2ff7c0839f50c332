"""A change decides the next request in every process, and a rolled-back change decides none."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections
from django.db.models import QuerySet
from django.test import RequestFactory, override_settings
from django.utils import timezone

from allowlist.conf import settings
from allowlist.enforcement import lookup
from allowlist.enforcement.access import access_of
from allowlist.enforcement.cache import Cache
from allowlist.enforcement.credentials import KeySource
from allowlist.enforcement.lookup import UnstableKeyError, find_by_token
from allowlist.models import AllowedDomain, AllowedIP, APIKey
from allowlist.policy.decision import Decision
from allowlist.policy.tokens import Environment, Kind, Token
from tests.conftest import User
from tests.other_process import Ask, other_process
from tests.pushing import settle
from tests.redis_server import running_redis
from tests.testing import (
    ALIASES,
    BLOG,
    ELSEWHERE,
    INVALID,
    IP_NOT_LISTED,
    NOT_LISTED,
    SERVED,
    SERVER,
    SHOP,
    Outcome,
    rolled_back,
    row,
    statements,
    used_now,
    visit,
)

pytestmark = pytest.mark.django_db(transaction=True, databases=ALIASES)

needs_redis = pytest.mark.needs("redis-server")

EVIL = "https://evil.example"


@pytest.fixture(
    scope="module",
    params=[
        "database",
        pytest.param("redis", marks=needs_redis),
        pytest.param("postgres", marks=pytest.mark.only_on("postgres")),
    ],
)
def elsewhere(request: pytest.FixtureRequest, django_db_setup: None) -> Iterator[tuple[dict[str, str], Ask]]:
    """Return settings, with each kind of freshness, and ``ask`` as another process does it with them."""
    with ExitStack() as stack:
        allowlist = {}
        if request.param == "redis":
            allowlist["FRESHNESS"] = stack.enter_context(running_redis()).url
        elif request.param == "postgres":
            allowlist["FRESHNESS"] = "postgres"
        yield allowlist, stack.enter_context(other_process(allowlist))


@pytest.fixture
def ask_elsewhere(elsewhere: tuple[dict[str, str], Ask], settings: Any) -> Ask:
    """Return ``ask`` as another process with the same settings and database does it."""
    settings.ALLOWLIST, ask_there = elsewhere
    return ask_there


@pytest.fixture
def key(creator: User) -> APIKey:
    """Return a key that lists a page and a server; its use is noted already."""
    key, _token = APIKey.objects.create_key(
        name="Shop", creator=creator, allowed_domains=[SHOP], allowed_ips=[SERVER, ELSEWHERE]
    )
    used_now(key)
    return key


def change_of(key: APIKey, **values: Any) -> None:
    for name, value in values.items():
        setattr(key, name, value)
    key.save()


def update(key: APIKey, **values: Any) -> None:
    APIKey.objects.filter(pk=key.pk).update(**values)


def rename(key: APIKey, text: str) -> None:
    entry = key.allowed_domains.get()
    entry.domain = text
    entry.save()


def ago(**parts: int) -> Any:
    return timezone.now() - timedelta(**parts)


PAGES = {"listed": SHOP, "new": BLOG}
BOTH, NONE, NEITHER = (SERVED, SERVED), (INVALID, INVALID), (NOT_LISTED, NOT_LISTED)
ONLY_NEW = (NOT_LISTED, SERVED)
NO_SERVER = (IP_NOT_LISTED, NOT_LISTED)

CHANGES: dict[str, tuple[Callable[[APIKey], Any], tuple[Outcome, Outcome]]] = {
    "add": (lambda key: key.add_domains([BLOG]), BOTH),
    "restrict": (lambda key: key.restrict_domains([BLOG]), ONLY_NEW),
    "allow all": (lambda key: key.allow_all_domains(), BOTH),
    "restrict ips": (lambda key: key.restrict_ips([ELSEWHERE]), NO_SERVER),
    "remove ip": (lambda key: key.remove_ips([SERVER]), NO_SERVER),
    "one change": (lambda key: one_change(key), ONLY_NEW),
    "revoke": (lambda key: key.revoke(), NONE),
    "rotate": (lambda key: key.rotate(), NONE),
    "entry's save, new": (lambda key: AllowedDomain(key=key, domain=BLOG).save(), BOTH),
    "entry's save, changed": (lambda key: rename(key, BLOG), ONLY_NEW),
    "entry's delete": (lambda key: key.allowed_ips.get(ip=SERVER).delete(), NO_SERVER),
    "related create": (lambda key: key.allowed_domains.create(domain=BLOG), BOTH),
    "get_or_create": (lambda key: key.allowed_domains.get_or_create(domain=BLOG), BOTH),
    "update_or_create": (
        lambda key: key.allowed_domains.update_or_create(domain=SHOP, defaults={"domain": BLOG}),
        ONLY_NEW,
    ),
    "queryset's bulk_create": (
        lambda key: AllowedDomain.objects.bulk_create([AllowedDomain(key=key, domain=BLOG)]),
        BOTH,
    ),
    "queryset's delete": (lambda key: AllowedIP.objects.filter(ip=SERVER).delete(), NO_SERVER),
    "related delete": (lambda key: key.allowed_ips.filter(ip=SERVER).delete(), NO_SERVER),
    "save, condition": (lambda key: change_of(key, condition="any"), BOTH),
    "save, enforcement": (lambda key: change_of(key, enforcement="report"), BOTH),
    "save, expiry": (lambda key: change_of(key, expires_at=ago(seconds=1)), NONE),
    "update, condition": (lambda key: update(key, condition="any"), BOTH),
    "update, expiry": (lambda key: update(key, expires_at=ago(seconds=1)), NONE),
    "update, revoked": (lambda key: update(key, revoked_at=ago(seconds=1)), NONE),
    "key's delete": (lambda key: key.delete(), NONE),
    "keys' delete": (lambda key: APIKey.objects.all().delete(), NONE),
    "cascade": (lambda key: QuerySet(APIKey).filter(pk=key.pk).delete(), NONE),
}


def one_change(key: APIKey) -> None:
    with key.editing() as edit:
        edit.domains.set("listed", [BLOG])
        edit.ips.set("all", None)


def both(asks: Ask, token: str) -> tuple[Outcome, Outcome]:
    """Ask from the page listed at first and from the other."""
    return asks(token, SHOP), asks(token, BLOG)


def is_in_force(asks: Ask, token: str, after: tuple[Outcome, Outcome]) -> bool:
    """Return whether a change is in force at the next request; with PostgreSQL's push, some ms later."""
    if settings().FRESHNESS == "postgres":
        settle(lambda: both(asks, token) == after)
    return both(asks, token) == after


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_decides_the_next_request_in_every_process(
    key: APIKey, ask_elsewhere: Ask, name: str
) -> None:
    change, after = CHANGES[name]
    token = key.token
    for asks in (visit, ask_elsewhere):
        assert both(asks, token) == both(asks, token) == (SERVED, NOT_LISTED)
    change(key)
    assert is_in_force(ask_elsewhere, token, after)
    assert is_in_force(visit, token, after)


def test_a_change_that_is_rolled_back_decides_none(key: APIKey, ask_elsewhere: Ask) -> None:
    token, before = key.token, (SERVED, NOT_LISTED)
    assert both(visit, token) == both(ask_elsewhere, token) == before
    for name, (change, after) in CHANGES.items():
        with rolled_back():
            change(row(key))
            # Who asks within the transaction sees the change, and must not keep it.
            assert both(visit, token) == after, name
            assert both(ask_elsewhere, token) == before, name
        assert both(visit, token) == both(ask_elsewhere, token) == before, name


def test_a_change_of_another_process_after_a_rollback_of_ours_is_seen(key: APIKey) -> None:
    """A counted revision would come again with other entries behind it."""
    with rolled_back():
        key.add_domains([EVIL])
        assert visit(key.token, EVIL) == SERVED
    row(key).add_domains([BLOG])
    assert visit(key.token, EVIL) == NOT_LISTED
    assert visit(key.token, BLOG) == SERVED


def test_a_hundred_changes_are_each_seen_elsewhere_at_once(key: APIKey, ask_elsewhere: Ask) -> None:
    for number in range(50):
        key.restrict_domains([BLOG])
        assert is_in_force(ask_elsewhere, key.token, ONLY_NEW), number
        key.restrict_domains([SHOP])
        assert is_in_force(ask_elsewhere, key.token, (SERVED, NOT_LISTED)), number


def in_a_thread(action: Callable[[], Any]) -> None:
    """Do something on a connection of its own, and wait for it."""

    def run() -> None:
        try:
            action()
        finally:
            connections.close_all()

    with ThreadPoolExecutor() as threads:
        threads.submit(run).result()


class TestTornReads:
    """The row and the entries are two statements; what is written between must not mix with them."""

    def decide(self, token: str, origin: str) -> Decision:
        """Decide outside any transaction, whatever the settings say of requests."""
        request: Any = RequestFactory().get(
            "/", headers={"X-API-Key": token, "Origin": origin}, REMOTE_ADDR="192.0.2.1"
        )
        return access_of(request, KeySource()).decision

    @contextmanager
    def between(self, write: Callable[[int], Any]) -> Iterator[list[int]]:
        """Have ``write`` committed by another connection before each statement but the first."""
        times: list[int] = []

        def before(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            if times:
                in_a_thread(lambda: write(len(times)))
            times.append(len(times))
            return execute(sql, params, many, context)

        with connection.execute_wrapper(before):
            yield times

    @override_settings(ALLOWLIST={"EMPTY_LIST": "allow"})
    def test_never_mix_two_states_into_one_that_never_was(self, creator: User) -> None:
        key, token = APIKey.objects.create_key(name="Shop", creator=creator, allowed_domains=[SHOP])

        def swap(_time: int) -> None:
            # The modes of before with the entries of after would restrict by nothing.
            with row(key).editing() as edit:
                edit.domains.allow_all()
                edit.ips.restrict([SERVER])

        used_now(key)
        with self.between(lambda time: swap(time) if time == 1 else None) as times:
            assert self.decide(token, EVIL).reason == "ip_not_listed"
        assert len(times) == 3
        assert self.decide(token, EVIL).reason == "ip_not_listed"

    def test_entries_are_cached_under_the_revision_they_were_read_with(self, key: APIKey) -> None:
        with self.between(lambda time: row(key).restrict_domains([BLOG]) if time == 1 else None):
            assert self.decide(key.token, SHOP).reason == "origin_not_listed"
        assert both(visit, key.token) == ONLY_NEW

    def test_a_key_deleted_between_is_unknown(self, key: APIKey) -> None:
        with self.between(lambda _time: APIKey.objects.all().delete()):
            assert self.decide(key.token, SHOP).reason == "key_invalid"

    def test_a_key_revoked_between_is_refused(self, key: APIKey) -> None:
        with self.between(lambda _time: row(key).revoke()):
            assert self.decide(key.token, SHOP).reason == "key_invalid"

    def test_a_key_that_never_holds_still_is_refused_after_a_bounded_effort(
        self, key: APIKey, caplog: pytest.LogCaptureFixture
    ) -> None:
        parsed = Token.parse(key.token)
        assert parsed
        with self.between(lambda time: row(key).restrict_domains([SHOP, f"{SHOP}:{time}"])) as times:
            with pytest.raises(UnstableKeyError):
                find_by_token(parsed, timezone.now())
            assert len(times) == 20
            assert self.decide(key.token, SHOP).reason == "undecided"
        assert key.token not in caplog.text
        assert visit(key.token) == SERVED


class TestStatements:
    def test_a_warm_request_sends_one(self, key: APIKey) -> None:
        visit(key.token)
        for origin, answer in ((SHOP, SERVED), (BLOG, NOT_LISTED)):
            with statements() as sent:
                assert visit(key.token, origin) == answer
            assert len(sent) == 1
            assert "UNION" not in sent[0]

    def test_the_first_after_a_change_sends_two_and_the_next_one_again(self, key: APIKey) -> None:
        visit(key.token)
        key.add_domains([BLOG])
        used_now(key)
        for count in (2, 1):
            with statements() as sent:
                assert visit(key.token, BLOG) == SERVED
            assert len(sent) == count

    def test_a_change_that_lists_nothing_sends_one(self, key: APIKey) -> None:
        visit(key.token)
        update(key, condition="any")
        with statements() as sent:
            visit(key.token)
        assert len(sent) == 1

    def test_a_request_without_a_token_of_our_shape_sends_none(self, key: APIKey) -> None:
        for token in ("", "x", "\0", "\ud800", key.token + "\n", "x" * 100_000, key.token[:-1]):
            with statements() as sent:
                request: Any = RequestFactory().get("/", headers={"X-API-Key": token})
                assert not access_of(request, KeySource()).decision.allowed
            assert sent == []

    def test_an_unknown_revoked_or_expired_key_sends_one(self, key: APIKey) -> None:
        expired, revoked = (APIKey.objects.create_key(name="Old", creator=None)[0] for _ in "ab")
        update(expired, expires_at=ago(days=1))
        revoked.revoke()
        unknown = Token.make(Kind.PUBLISHABLE, Environment.LIVE)
        for token in (unknown.text, expired.token, revoked.token):
            with statements() as sent:
                assert visit(token) == INVALID
            assert len(sent) == 1

    def test_many_entries_cost_no_more_than_few(self, creator: User) -> None:
        with override_settings(ALLOWLIST={"MAX_DOMAINS": None}):
            key, token = APIKey.objects.create_key(
                name="Many", creator=creator, allowed_domains=[f"shop{n}.example" for n in range(500)]
            )
        used_now(key)
        for count in (2, 1):
            with statements() as sent:
                assert visit(token, "https://shop499.example") == SERVED
            assert len(sent) == count


class TestMemory:
    """The cache is bounded, however many keys there are."""

    @pytest.fixture
    def make(self, creator: User, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], str]:
        monkeypatch.setattr(lookup, "_cache", Cache(17))

        def make_key(count: int) -> str:
            key, token = APIKey.objects.create_key(
                name="Shop",
                creator=creator,
                allowed_domains=[SHOP, *[f"{SHOP}:{n}" for n in range(2, count + 1)]],
            )
            used_now(key)
            return token

        return make_key

    def cost(self, token: str) -> int:
        with statements() as sent:
            assert visit(token) == SERVED
        return len(sent)

    def test_the_keys_read_first_are_dropped_first(self, make: Callable[[int], str]) -> None:
        first, second, third = make(3), make(3), make(3)
        assert [self.cost(token) for token in (first, second, first, second)] == [2, 2, 1, 1]
        assert [self.cost(token) for token in (third, second, third)] == [2, 1, 1]
        assert [self.cost(token) for token in (first, third, second)] == [2, 1, 2]

    def test_a_key_read_again_counts_once(self, make: Callable[[int], str]) -> None:
        first, second = make(3), make(3)
        self.cost(second)
        for _ in range(5):
            key = APIKey.objects.get(token=first)
            with key.editing():
                pass
            assert self.cost(first) == 2
        assert [self.cost(first), self.cost(second)] == [1, 1]

    def test_a_list_larger_than_the_cache_is_read_each_time(self, make: Callable[[int], str]) -> None:
        huge, small = make(13), make(1)
        assert [self.cost(huge), self.cost(huge)] == [2, 2]
        assert [self.cost(small), self.cost(small)] == [2, 1]
        assert visit(huge, BLOG) == NOT_LISTED


def test_requests_during_changes_each_get_a_response_of_one_state(key: APIKey) -> None:
    """Both states refuse the third page, and each serves one of the first two."""
    stop = threading.Event()

    def keep_asking() -> set[Outcome]:
        seen = set()
        try:
            while not stop.is_set():
                seen |= {visit(key.token, SHOP)}
                assert visit(key.token, EVIL) == NOT_LISTED
        finally:
            connections.close_all()
        return seen

    with ThreadPoolExecutor() as threads:
        asking = [threads.submit(keep_asking) for _ in range(4)]
        try:
            for number in range(15):
                key.restrict_domains([BLOG])
                assert both(visit, key.token) == ONLY_NEW, number
                key.restrict_domains([SHOP])
                assert both(visit, key.token) == (SERVED, NOT_LISTED), number
        finally:
            stop.set()
        for each in asking:
            assert each.result() <= {SERVED, NOT_LISTED}
