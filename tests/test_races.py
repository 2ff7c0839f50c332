"""Writers at the same moment, on the real database of the run, each on a connection of its own."""

import io
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.contrib.admin.models import LogEntry
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import OperationalError, connection, connections, transaction
from django.utils import timezone

from allowlist.models import AllowedDomain, AllowedIP, APIKey
from allowlist.models.locks import writing
from tests import databases
from tests.conftest import User
from tests.management import Api
from tests.pages import Admin, Security
from tests.testing import (
    ALIASES,
    BLOG,
    ELSEWHERE,
    INVALID,
    SERVED,
    SERVER,
    SHOP,
    domains,
    errors_of,
    ips,
    row,
    used_now,
    visit,
)

pytestmark = pytest.mark.django_db(transaction=True, databases=ALIASES)

THIRD = "https://third.example"
CLIENTS = 50
PATIENCE = 60
"""Seconds after which a thread that waits is taken for one that would wait for ever."""

Action = Callable[[], Any]


class Thread(threading.Thread):
    """Does one thing on a connection of its own; ``outcome`` is what it returned or raised."""

    def __init__(self, action: Action) -> None:
        super().__init__(daemon=True)
        self.action = action
        self.outcome: Any = None

    def run(self) -> None:
        """Do it."""
        try:
            self.outcome = self.action()
        except Exception as error:  # noqa: BLE001
            self.outcome = error
        finally:
            connections.close_all()

    def finish(self) -> Any:
        """Wait for the end and return the outcome."""
        self.join(PATIENCE)
        assert not self.is_alive(), "It waits for ever."
        return self.outcome


def at_once(*actions: Action) -> list[Any]:
    """Do all at the same moment; return what each returned or raised."""
    barrier = threading.Barrier(len(actions))

    def start(action: Action) -> Any:
        barrier.wait(PATIENCE)
        return action()

    threads = [Thread(partial(start, action)) for action in actions]
    for thread in threads:
        thread.start()
    return [thread.finish() for thread in threads]


def refusals(outcomes: Sequence[Any]) -> Counter[str | None]:
    """Count the codes of what was refused; nothing else may have failed."""
    failed = [each for each in outcomes if isinstance(each, Exception)]
    refusals = [each for each in failed if isinstance(each, ValidationError)]
    assert refusals == failed
    return Counter(errors_of(each)[0].code for each in refusals)


@pytest.fixture
def key(creator: User) -> APIKey:
    """Return a key that lists nothing."""
    return APIKey.objects.create_key(name="Shop", creator=creator)[0]


@pytest.fixture
def api(creator: User) -> Api:
    """Return the creator, who is logged in to the management API."""
    return Api(creator)


@pytest.fixture
def site(creator: User) -> Admin:
    """Return the creator, who is logged in to the admin."""
    return Admin(creator)


@pytest.fixture
def in_request(monkeypatch: pytest.MonkeyPatch) -> Callable[[Action], Action]:
    """Return what makes of an action one within a request's transaction that has read before."""
    if databases.engine() == "sqlite":
        # As a check recommends; without it SQLite answers "database is locked" to most.
        for alias in connections:
            monkeypatch.setitem(connections.settings[alias]["OPTIONS"], "transaction_mode", "IMMEDIATE")

    def within(action: Action) -> Action:
        def do() -> Any:
            with transaction.atomic():
                assert APIKey.objects.filter(name="Shop").count() == 1
                return action()

        return do

    return within


@pytest.fixture
def isolated() -> Iterator[Callable[[str], None]]:
    """Return what sets the isolation level of connections that are opened from then on."""

    def isolate(level: str) -> None:
        levels: dict[str, Any] = {"mariadb": level.lower()}
        if databases.engine() == "postgres":
            levels["postgres"] = psycopg.IsolationLevel[level.replace(" ", "_")]
        options = connections.settings["default"]["OPTIONS"] = {**connections.settings["default"]["OPTIONS"]}
        options["isolation_level"] = levels[databases.engine()]

    before = connections.settings["default"]["OPTIONS"]
    yield isolate
    connections.settings["default"]["OPTIONS"] = before


@contextmanager
def uncommitted(action: Action) -> Iterator[None]:
    """Have another connection do ``action`` and commit it some time after the block has begun.

    The block runs while the other waits to commit; it must start what has to meet it.
    """
    done, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            action()
            done.set()
            assert go_on.wait(PATIENCE)

    thread = Thread(hold)
    thread.start()
    assert done.wait(PATIENCE)
    try:
        yield
    finally:
        go_on.set()
        outcome = thread.finish()
    assert outcome is None, outcome


def meet(first: Action, second: Action) -> Any:
    """Begin ``second`` while ``first`` is not committed yet; return the outcome of ``second``."""
    with uncommitted(first):
        thread = Thread(second)
        thread.start()
        thread.join(0.3)
    return thread.finish()


class TestTheLimit:
    WAYS: dict[str, Callable[[APIKey, int], Any]] = {
        "add_domains": lambda key, n: key.add_domains([f"shop{n}.example"]),
        "save": lambda key, n: AllowedDomain(key=key, domain=f"shop{n}.example").save(),
        "create": lambda key, n: key.allowed_domains.create(domain=f"shop{n}.example"),
        "bulk_create": lambda key, n: AllowedDomain.objects.bulk_create(
            [AllowedDomain(key=key, domain=f"shop{n}.example")]
        ),
    }

    @pytest.mark.parametrize("way", WAYS)
    def test_holds_when_50_clients_add_at_once(self, key: APIKey, way: str) -> None:
        outcomes = at_once(*(partial(self.WAYS[way], row(key), n) for n in range(CLIENTS)))
        assert refusals(outcomes) == {"limit": 25}
        assert len(domains(key)) == 25

    def test_holds_when_each_is_within_a_request_that_has_read_before(
        self, key: APIKey, in_request: Callable[[Action], Action]
    ) -> None:
        outcomes = at_once(
            *(in_request(partial(row(key).add_ips, [f"203.0.113.{n}"])) for n in range(CLIENTS))
        )
        assert refusals(outcomes) == {"limit": 25}
        assert len(ips(key)) == 25

    @pytest.mark.only_on("postgres", "mariadb")
    @pytest.mark.parametrize("isolation", ["REPEATABLE READ", "SERIALIZABLE"])
    def test_holds_when_requests_read_from_older_snapshots(
        self,
        key: APIKey,
        in_request: Callable[[Action], Action],
        isolated: Callable[[str], None],
        isolation: str,
    ) -> None:
        isolated(isolation)
        key.add_ips([f"203.0.113.{n}" for n in range(20)])
        outcomes = at_once(*(in_request(partial(row(key).add_ips, [f"198.51.100.{n}"])) for n in range(12)))
        assert set(refusals(outcomes)) <= {"limit", "busy"}
        assert len(ips(key)) <= 25
        for n in range(6):
            with suppress(ValidationError):
                row(key).add_ips([f"192.0.2.{n}"])
        assert len(ips(key)) == 25

    def test_holds_for_whole_batches(self, key: APIKey) -> None:
        outcomes = at_once(
            *(partial(row(key).add_ips, [f"203.0.{n}.{m}" for m in range(3)]) for n in range(20))
        )
        assert refusals(outcomes) == {"limit": 12}
        assert len(ips(key)) == 24


class TestOnAndOff:
    def test_turning_off_takes_along_what_is_being_added(self, key: APIKey) -> None:
        key.restrict_domains([SHOP])
        other = row(key)
        assert meet(lambda: other.add_domains([BLOG]), key.allow_all_domains) is None
        assert (row(key).domain_mode, domains(key)) == ("all", [])

    def test_turning_off_takes_along_what_is_being_saved(self, key: APIKey) -> None:
        key.restrict_ips([SERVER])
        other = AllowedIP(key=row(key), ip="203.0.113.9")
        assert meet(other.save, key.allow_all_ips) is None
        assert (row(key).ip_mode, ips(key)) == ("all", [])

    def test_an_entry_added_to_a_disabled_list_waits_until_it_is_enabled(self, key: APIKey) -> None:
        key.restrict_domains([SHOP])
        other = row(key)
        added = meet(key.allow_all_domains, lambda: other.add_domains([BLOG]))
        assert [each.domain for each in added.entries] == [BLOG]
        assert (row(key).domain_mode, domains(key)) == ("all", [BLOG])

    def test_off_against_a_replacement_leaves_one_of_both(self, key: APIKey) -> None:
        for _ in range(10):
            row(key).restrict_domains([SHOP])
            outcomes = at_once(row(key).allow_all_domains, lambda: row(key).restrict_domains([BLOG]))
            assert not refusals(outcomes)
            assert (row(key).domain_mode, domains(key)) in [("all", []), ("listed", [BLOG])]

    def test_the_last_two_are_not_both_removed(self, key: APIKey) -> None:
        for _ in range(10):
            row(key).restrict_domains([SHOP, BLOG])
            entry = key.allowed_domains.get(domain=SHOP)
            outcomes = at_once(entry.delete, lambda: row(key).remove_domains([BLOG]))
            assert refusals(outcomes) == {"empty_list": 1}
            assert len(domains(key)) == 1

    @pytest.mark.only_on("postgres", "mariadb")
    @pytest.mark.parametrize("isolation", ["REPEATABLE READ", "SERIALIZABLE"])
    def test_an_older_snapshot_leaves_no_list_enabled_and_empty(
        self,
        key: APIKey,
        in_request: Callable[[Action], Action],
        isolated: Callable[[str], None],
        isolation: str,
    ) -> None:
        isolated(isolation)
        removals: list[Callable[[], Any]] = [
            lambda: row(key).remove_ips([SERVER]),
            lambda: row(key).remove_ips([ELSEWHERE]),
            AllowedIP.objects.filter(ip=ELSEWHERE).delete,
        ]
        for number in range(6):
            row(key).restrict_ips([SERVER, ELSEWHERE])
            outcomes = at_once(in_request(removals[0]), in_request(removals[1 + number % 2]))
            assert set(refusals(outcomes)) <= {"empty_list", "busy"}
            assert (row(key).ip_mode, len(ips(key))) == ("listed", 1)

    def test_a_list_is_not_turned_on_while_its_last_entry_is_removed(self, key: APIKey) -> None:
        for _ in range(10):
            row(key).allow_all_ips()
            row(key).add_ips([SERVER])
            outcomes = at_once(AllowedIP.objects.all().delete, row(key).restrict_ips)
            assert refusals(outcomes) == {"empty_list": 1}
            assert (row(key).ip_mode == "listed") == bool(ips(key))


class TestOneList:
    def test_replacements_at_once_end_as_one_of_them(self, key: APIKey) -> None:
        lists = [[f"shop{m}.example" for m in range(n * 7, n * 7 + 12)] for n in range(4)]
        for _ in range(5):
            outcomes = at_once(*(partial(row(key).restrict_domains, each) for each in lists))
            assert not refusals(outcomes)
            assert sorted(domains(key)) in [sorted(each) for each in lists]

    def test_an_entry_added_by_many_is_stored_once_and_reported_to_others(self, key: APIKey) -> None:
        outcomes = at_once(*[lambda: row(key).add_domains([SHOP])] * 10)
        assert not refusals(outcomes)
        assert Counter(len(each.entries) for each in outcomes) == {1: 1, 0: 9}
        assert Counter(len(each.duplicates) for each in outcomes) == {1: 9, 0: 1}
        assert domains(key) == [SHOP]

    def test_an_entry_saved_by_many_is_stored_once_and_refused_to_others(self, key: APIKey) -> None:
        outcomes = at_once(*[lambda: AllowedDomain(key=row(key), domain=SHOP).save()] * 10)
        assert refusals(outcomes) == {"duplicate": 9}
        assert domains(key) == [SHOP]

    def test_two_entries_do_not_become_the_same(self, key: APIKey) -> None:
        key.restrict_domains([SHOP, BLOG])
        entries = list(key.allowed_domains.all())
        for entry in entries:
            entry.domain = "https://new.example"
        assert refusals(at_once(*(entry.save for entry in entries))) == {"duplicate": 1}
        assert domains(key).count("https://new.example") == 1

    def test_an_entry_changed_while_the_list_is_replaced_is_gone_or_refused(self, key: APIKey) -> None:
        for number in range(10):
            row(key).restrict_domains([SHOP])
            entry = key.allowed_domains.get()
            entry.domain = BLOG
            outcomes = at_once(entry.save, partial(row(key).restrict_domains, [f"shop{number}.example"]))
            assert refusals(outcomes) in [{}, {"deleted": 1}]
            assert domains(key) == [f"shop{number}.example"]

    def test_bulk_writes_over_several_keys_in_any_order_wait_for_each_other(self, creator: User) -> None:
        keys = [APIKey.objects.create_key(name=f"Key {n}", creator=creator)[0] for n in range(12)]

        def fill(order: Sequence[APIKey], n: int) -> Any:
            return AllowedIP.objects.bulk_create([AllowedIP(key=key, ip=f"203.0.113.{n}") for key in order])

        def empty() -> Any:
            return AllowedIP.objects.filter(key__in=keys).delete()

        for number in range(4):
            outcomes = at_once(
                partial(fill, keys, 2 * number), partial(fill, keys[::-1], 2 * number + 1), empty, empty
            )
            assert not refusals(outcomes)


class TestKeys:
    def test_a_stale_rename_during_a_restriction_does_not_open_the_key(self, key: APIKey) -> None:
        for number in range(10):
            row(key).allow_all_domains()
            stale, other = row(key), row(key)
            stale.name = f"Renamed {number}"
            assert not refusals(at_once(stale.save, partial(other.restrict_domains, [SHOP])))
            assert (row(key).name, row(key).domain_mode) == (f"Renamed {number}", "listed")

    def test_a_rename_that_waits_for_a_restriction_does_not_undo_it(self, key: APIKey) -> None:
        stale, other = row(key), row(key)
        stale.name = "Renamed"
        assert meet(lambda: other.restrict_domains([SHOP]), stale.save) is None
        assert (row(key).name, row(key).domain_mode, domains(key)) == ("Renamed", "listed", [SHOP])

    def test_a_key_revoked_while_it_rotates_is_revoked(self, key: APIKey) -> None:
        old = key.token
        for _ in range(5):
            outcomes = at_once(row(key).revoke, lambda: row(key).rotate(timedelta(hours=1)))
            assert refusals(outcomes) in [{}, {"revoked": 1}]
            assert row(key).revoked_at is not None
            assert visit(old) == INVALID
            assert all(visit(token) == INVALID for token in outcomes if isinstance(token, str))

    def test_rotations_at_once_leave_one_token(self, key: APIKey) -> None:
        tokens = [key.token, *at_once(*[lambda: row(key).rotate()] * 8)]
        assert sorted(visit(token).status for token in tokens) == [200, *[401] * 8]
        assert visit(row(key).token) == SERVED

    def test_a_form_sent_twice_at_once_creates_one_key(
        self, key: APIKey, creator: User, in_request: Callable[[Action], Action]
    ) -> None:
        self.send_twice(creator, [partial, in_request] * 5)
        assert APIKey.objects.filter(name="Twice").count() == 10

    @pytest.mark.only_on("mariadb")
    def test_a_form_sent_twice_behind_an_older_snapshot_creates_one_key(
        self,
        key: APIKey,
        creator: User,
        in_request: Callable[[Action], Action],
        isolated: Callable[[str], None],
    ) -> None:
        isolated("REPEATABLE READ")
        self.send_twice(creator, [in_request] * 10)
        assert APIKey.objects.filter(name="Twice").count() == 10

    def send_twice(self, creator: User, wraps: Sequence[Callable[[Action], Action]]) -> None:
        """Send a form twice at once for each of ``wraps``; both are led to the same key."""
        page, again = Security(creator), Security()
        again.client.cookies = page.client.cookies
        for wrapped in wraps:
            fields = {**page.get("create/").fields, "name": "Twice"}
            sends = (wrapped(partial(each.send, "create/", fields)) for each in (page, again))
            first, second = at_once(*sends)
            assert first.headers["Location"] == second.headers["Location"]

    @pytest.mark.parametrize("by_queryset", [False, True])
    def test_an_entry_added_while_its_key_is_deleted_is_refused_or_gone(
        self, creator: User, by_queryset: bool
    ) -> None:
        for _ in range(5):
            key, _token = APIKey.objects.create_key(name="Short-lived", creator=creator)
            stale = row(key)
            delete = APIKey.objects.filter(name="Short-lived").delete if by_queryset else row(key).delete
            assert refusals(at_once(delete, partial(stale.add_domains, [SHOP]))) in [{}, {"deleted": 1}]
            assert not AllowedDomain.objects.exists()

    @pytest.mark.parametrize("by_queryset", [False, True])
    def test_a_key_deleted_while_an_entry_is_being_added_takes_it_along(
        self, key: APIKey, by_queryset: bool
    ) -> None:
        other = row(key)
        delete = APIKey.objects.all().delete if by_queryset else row(key).delete
        deleted = meet(lambda: other.add_domains([SHOP]), delete)
        assert deleted == (2, {"allowlist.APIKey": 1, "allowlist.AllowedDomain": 1})

    @pytest.mark.parametrize("end", ["rotate", "revoke"])
    def test_a_token_in_use_works_until_it_is_ended_and_not_once_after(self, key: APIKey, end: str) -> None:
        token, ended = key.token, threading.Event()

        def use() -> list[tuple[bool, Any]]:
            answers: list[tuple[bool, Any]] = []
            while not answers or not answers[-1][0]:
                is_over = ended.is_set()
                answers.append((is_over, visit(token)))
            return answers

        def finish() -> None:
            getattr(row(key), end)()
            ended.set()

        used_now(key)
        *used, none = at_once(use, use, use, finish)
        assert none is None
        answers = [answer for answers in used for answer in answers]
        assert {answer for is_over, answer in answers if is_over} == {INVALID}
        assert {answer for _is_over, answer in answers} <= {SERVED, INVALID}


WRITES: dict[str, tuple[str, str, Any]] = {
    "rename": ("PATCH", "", {"name": "Mine"}),
    "lists": ("PATCH", "", {"allowed_domains": [BLOG]}),
    "delete": ("DELETE", "", None),
    "rotate": ("POST", "rotate/", {}),
    "revoke": ("POST", "revoke/", {}),
    "add": ("POST", "domains/", BLOG),
    "add several": ("POST", "domains/", [BLOG]),
    "replace": ("PUT", "domains/", [BLOG]),
    "change": ("PATCH", "domains/{entry}/", {"domain": BLOG}),
    "remove": ("DELETE", "domains/{entry}/", None),
}
"""What a creator may do to a key by the API: method, path below the key's, body."""


class TestTakingOver:
    """What its creator does to a key while it is taken over is judged once the lock is theirs."""

    @pytest.mark.parametrize("what", WRITES)
    def test_a_write_by_the_api_that_waited_for_it_finds_no_key(
        self, key: APIKey, api: Api, superuser: User, what: str
    ) -> None:
        key.restrict_domains([SHOP, THIRD])
        method, path, data = WRITES[what]
        url = f"keys/{key.pk}/" + path.format(entry=key.allowed_domains.all()[0].pk)
        answer = self.meet(key, superuser, lambda: api(method, url, data))
        assert answer.status_code == 404

    @pytest.mark.usefixtures("in_request")
    @pytest.mark.parametrize("path", ["change/", "delete/", "rotate/", "revoke/"])
    def test_a_form_of_the_admin_that_waited_for_it_finds_no_key(
        self, key: APIKey, site: Admin, superuser: User, path: str
    ) -> None:
        key.restrict_domains([SHOP, THIRD])
        fields = {**site.get(f"{key.pk}/{path}").fields, "name": "Mine", "paste_domains": BLOG}
        answer = self.meet(key, superuser, lambda: site.send(f"{key.pk}/{path}", fields))
        assert answer.status_code == 404
        assert not LogEntry.objects.exists()

    @pytest.mark.only_on("mariadb")
    @pytest.mark.parametrize("path", ["change/", "delete/", "rotate/", "revoke/"])
    def test_a_form_of_the_admin_sees_it_behind_an_older_snapshot(
        self,
        key: APIKey,
        site: Admin,
        superuser: User,
        in_request: Callable[[Action], Action],
        isolated: Callable[[str], None],
        path: str,
    ) -> None:
        key.restrict_domains([SHOP, THIRD])
        fields = {**site.get(f"{key.pk}/{path}").fields, "name": "Mine", "paste_domains": BLOG}
        isolated("REPEATABLE READ")
        answer = self.meet(key, superuser, in_request(lambda: site.send(f"{key.pk}/{path}", fields)))
        assert answer.status_code == 404

    def test_a_deletion_of_several_that_waited_for_it_leaves_the_key(
        self, key: APIKey, creator: User, superuser: User
    ) -> None:
        key.restrict_domains([SHOP, THIRD])
        delete = APIKey.objects.manageable_by(creator).delete
        assert self.meet(key, superuser, delete) == (0, {})

    def meet(self, key: APIKey, superuser: User, write: Action) -> Any:
        """Do ``write`` while the key is taken over; return its outcome, which must be no write."""
        before, listed = APIKey.objects.values().get(), domains(key)
        outcome = meet(lambda: row(key).take_over(superuser), write)
        stored = APIKey.objects.values().get()
        taken = {"creator_id": superuser.pk, "revision": stored["revision"]}
        assert (stored, domains(key)) == ({**before, **taken}, listed)
        return outcome


BUSY = "Someone else is editing this key. Nothing was saved. Please try again."
IMPATIENT = {
    "sqlite": ("PRAGMA busy_timeout = 50", "PRAGMA busy_timeout = 30000"),
    "postgresql": ("SET lock_timeout = 50", "RESET lock_timeout"),
    "mysql": ("SET innodb_lock_wait_timeout = 1", "SET innodb_lock_wait_timeout = DEFAULT"),
}


class DriverError(Exception):
    """What a database's driver raises, with the attribute it has for the error's name."""

    def __init__(self, **names: Any) -> None:
        self.__dict__.update(names)


@pytest.mark.parametrize(
    "names",
    [
        {"sqlstate": "40001"},
        {"pgcode": "40P01"},  # psycopg2
        {"sqlite_errorname": "SQLITE_BUSY_SNAPSHOT"},
        {"sqlite_errorname": "SQLITE_LOCKED_SHAREDCACHE"},
    ],
    ids=str,
)
def test_each_drivers_word_for_others_in_the_way_is_known(names: dict[str, str]) -> None:
    error = OperationalError()
    error.__cause__ = DriverError(**names)
    with pytest.raises(ValidationError) as caught, writing("default"):
        raise error
    assert errors_of(caught.value)[0].code == "busy"


class TestInEachOthersWay:
    """Who cannot have a lock, or would wait for each other for ever, is told so and changes nothing."""

    @pytest.fixture
    def held(self, key: APIKey, api: Api, site: Admin) -> Iterator[APIKey]:
        """Return a key that another connection has locked, and have this one not wait for it."""
        key.restrict_domains([SHOP, THIRD])
        soon, late = IMPATIENT[connection.vendor]
        with uncommitted(lambda: row(key).add_domains([BLOG])), connection.cursor() as cursor:
            cursor.execute(soon)
            yield key
            cursor.execute(late)

    def test_each_method_raises_its_refusal(self, held: APIKey) -> None:
        held.name = "Renamed"
        entry = held.allowed_domains.all()[0]
        writes: list[Action] = [held.save, held.delete, held.revoke, held.rotate, entry.delete]
        writes += [held.allow_all_domains, held.allowed_domains.all().delete, APIKey.objects.all().delete]
        writes += [lambda: AllowedDomain.objects.bulk_create([AllowedDomain(key=held, domain=BLOG)])]
        for write in writes:
            with pytest.raises(ValidationError) as caught:
                write()
            assert (caught.value.code, caught.value.messages) == ("busy", [BUSY])

    @pytest.mark.parametrize("what", WRITES)
    def test_the_api_answers_409(self, held: APIKey, api: Api, what: str) -> None:
        method, path, data = WRITES[what]
        url = f"keys/{held.pk}/" + path.format(entry=held.allowed_domains.all()[0].pk)
        assert api.ok(method, url, data, 409) == {"detail": BUSY}

    def test_the_admin_shows_it(self, held: APIKey, site: Admin) -> None:
        change = f"{held.pk}/change/"
        page = site.refused(change, {**site.get(change).fields, "name": "Mine"})
        assert (page.errors, page.fields["name"]) == ([BUSY], "Mine")
        picked = {"action": "delete_selected", "_selected_action": str(held.pk), "post": "yes"}
        for path in (f"{held.pk}/delete/", f"{held.pk}/rotate/", f"{held.pk}/revoke/", ""):
            assert site.client.post(site.base + path, picked).status_code == 302
            assert BUSY in site.get("").messages
        assert not LogEntry.objects.exists()

    def test_an_error_of_another_kind_is_raised_as_it_is(self, key: APIKey) -> None:
        def fail(*args: Any) -> Any:
            raise OperationalError("The disk is full.")

        with connection.execute_wrapper(fail), pytest.raises(OperationalError, match="disk"):
            key.revoke()
        assert row(key).revoked_at is None

    @pytest.mark.only_on("postgres", "mariadb")
    def test_two_that_wait_for_each_other_are_not_both_served(self, creator: User) -> None:
        keys = [APIKey.objects.create_key(name=f"Key {n}", creator=creator)[0] for n in range(2)]
        barrier = threading.Barrier(2)

        def fill(order: Sequence[APIKey], domain: str) -> None:
            with transaction.atomic():
                order[0].add_domains([domain])
                barrier.wait(PATIENCE)
                order[1].add_domains([domain])

        outcomes = at_once(partial(fill, keys, SHOP), partial(fill, keys[::-1], BLOG))
        assert refusals(outcomes) == {"busy": 1}
        served = [SHOP, BLOG][outcomes.index(None)]
        assert [domains(key) for key in keys] == [[served], [served]]


class TestLastUse:
    def test_a_locked_row_neither_delays_nor_fails_a_request(self, key: APIKey) -> None:
        with uncommitted(lambda: row(key).add_domains([BLOG])):
            thread = Thread(lambda: visit(key.token))
            thread.start()
            # While the lock is held: this returns only if the request does not wait for it.
            assert thread.finish() == SERVED
        assert row(key).last_used_at is None
        assert visit(key.token) == SERVED
        assert row(key).last_used_at is not None

    def test_many_requests_at_once_write_it_once_and_again_after_a_minute(self, key: APIKey) -> None:
        def use() -> Any:
            assert visit(key.token) == SERVED
            return row(key).last_used_at

        for _ in range(3):
            seen = {each for each in at_once(*[use] * 10) if each is not None}
            # On SQLite they may all have found the file locked: then the next request writes it.
            assert visit(key.token) == SERVED
            last = row(key).last_used_at
            assert last is not None
            assert seen <= {last}
            assert timezone.now() - last < timedelta(minutes=1)
            assert visit(key.token) == SERVED
            assert row(key).last_used_at == last
            long_ago = last - timedelta(minutes=2)
            APIKey.objects.update(last_used_at=long_ago)
            assert visit(key.token) == SERVED
            assert row(key).last_used_at != long_ago
            APIKey.objects.update(last_used_at=None)


def test_imports_beside_other_writers_are_loaded_whole_or_not_at_all(
    key: APIKey, creator: User, tmp_path: Path
) -> None:
    keys = [key, APIKey.objects.create_key(name="Blog", creator=creator)[0]]

    def policies(page: str) -> list[dict[str, Any]]:
        lists = {"domain_mode": "listed", "allowed_domains": [page]}
        return [{"locator": each.locator, "name": page[:50], **lists} for each in keys]

    for name, content in (("one", policies(SHOP)), ("two", policies(BLOG)[::-1])):
        (tmp_path / name).write_text(json.dumps(content))

    def load(name: str) -> None:
        call_command("allowlist", "import", str(tmp_path / name), stdout=io.StringIO())

    adds = [partial(row(each).add_domains, [THIRD]) for each in keys * 2]
    outcomes = at_once(partial(load, "one"), partial(load, "two"), *adds)
    assert all(BUSY in str(each) for each in outcomes if isinstance(each, Exception))
    assert [each for each in outcomes[:2] if each is None]
    pages = {tuple(page for page in domains(each) if page != THIRD) for each in keys}
    assert pages in ({(SHOP,)}, {(BLOG,)})
    assert {row(each).name for each in keys} == {pages.pop()[0]}
