"""Entries with an end, and when an entry last matched."""

from collections.abc import Callable
from contextlib import nullcontext
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import override_settings
from django.utils import timezone
from rest_framework.serializers import ValidationError

from allowlist.api.serializers import DateTimeField
from allowlist.models import AllowedDomain, AllowedIP, APIKey
from tests.conftest import User
from tests.management import Api
from tests.testing import (
    BLOG,
    ELSEWHERE,
    IP_NOT_LISTED,
    NOT_LISTED,
    SERVED,
    SERVER,
    SHOP,
    domains,
    refused,
    statements,
    visit,
)

pytestmark = pytest.mark.django_db

NOW = timezone.now()
TOMORROW = NOW + timedelta(days=1)
Moves = Callable[[datetime], None]


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Moves:
    """Return what sets the time that the process has."""
    return lambda moment: monkeypatch.setattr("django.utils.timezone.now", lambda: moment)


@pytest.fixture
def key(creator: User) -> APIKey:
    """Return a key that lists a page for good and another one until tomorrow, and a server so."""
    return APIKey.objects.create_key(
        name="Shop",
        creator=creator,
        allowed_domains=[SHOP, {"domain": BLOG, "name": "Preview", "expires_at": TOMORROW}],
        allowed_ips=[SERVER, {"ip": ELSEWHERE, "expires_at": TOMORROW}],
    )[0]


def test_an_entry_matches_until_it_ends_and_not_at_that_instant(key: APIKey, at: Moves) -> None:
    assert (visit(key.token, BLOG), visit(key.token, SHOP, ELSEWHERE)) == (SERVED, SERVED)
    at(TOMORROW - timedelta(microseconds=1))
    assert (visit(key.token, BLOG), visit(key.token, SHOP, ELSEWHERE)) == (SERVED, SERVED)
    at(TOMORROW)
    assert (visit(key.token, BLOG), visit(key.token, SHOP, ELSEWHERE)) == (NOT_LISTED, IP_NOT_LISTED)
    assert visit(key.token) == SERVED


@pytest.mark.parametrize("meaning", ["refuse", "deny", "allow"])
def test_a_list_whose_entries_have_all_ended_opens_nothing(creator: User, at: Moves, meaning: str) -> None:
    temporary = {"domain": SHOP, "expires_at": TOMORROW}
    key, token = APIKey.objects.create_key(name="Shop", creator=creator, allowed_domains=[temporary])
    at(TOMORROW)
    with override_settings(ALLOWLIST={"EMPTY_LIST": meaning}):
        assert visit(token) == visit(token, BLOG) == NOT_LISTED
        assert key.explain(origin=SHOP).rules[0].nearest[0].difference == "expired"
        expected = nullcontext() if meaning == "deny" else refused("only_expired")
        with expected, key.editing() as edit:
            assert edit.domains.remove_expired() == [SHOP]


def test_expired_entries_are_removed_in_one_step(key: APIKey, at: Moves) -> None:
    at(TOMORROW)
    with key.editing() as edit:
        assert (edit.domains.remove_expired(), edit.ips.remove_expired()) == ([BLOG], [ELSEWHERE])
    assert domains(key) == [SHOP]


def test_a_date_in_the_past_is_refused_however_it_is_given(key: APIKey) -> None:
    past = {"domain": "a.test", "expires_at": NOW - timedelta(seconds=1)}
    for attempt in (key.add_domains, key.restrict_domains):
        with refused("past") as heard:
            attempt([past])
        assert (heard[0].field, heard[0].place) == ("allowed_domains", 0)
    with refused("past"):
        AllowedDomain(key=key, **past).save()
    entry = key.allowed_domains.get(domain=BLOG)
    entry.expires_at = NOW - timedelta(seconds=1)
    with refused("past"):
        entry.save()
    with refused("overflow"):
        key.add_domains([{"domain": "a.test", "expires_at": datetime.max.replace(tzinfo=NOW.tzinfo)}])
    assert domains(key) == [SHOP, BLOG]


def end(key: APIKey, text: str) -> datetime | None:
    """Return when the key's domain ends."""
    return key.allowed_domains.get(domain=text).expires_at


@pytest.mark.parametrize("verb", ["add_domains", "restrict_domains"])
def test_giving_an_entry_again_sets_its_end_or_keeps_it(key: APIKey, at: Moves, verb: str) -> None:
    give = getattr(key, verb)
    later = TOMORROW + timedelta(days=1)
    give([SHOP, BLOG])
    assert (end(key, SHOP), end(key, BLOG)) == (None, TOMORROW)
    give([{"domain": SHOP, "expires_at": later}, {"domain": BLOG, "expires_at": None}])
    assert (end(key, SHOP), end(key, BLOG)) == (later, None)
    at(later)
    give([SHOP, BLOG])
    assert (end(key, SHOP), end(key, BLOG)) == (None, None)
    assert visit(key.token) == SERVED


def test_a_renamed_entry_that_has_ended_stays_as_it_is(key: APIKey, at: Moves) -> None:
    at(TOMORROW)
    entry = key.allowed_domains.get(domain=BLOG)
    entry.name = "Old preview"
    entry.save()
    assert (end(key, BLOG), entry.in_force) == (TOMORROW, False)


def test_entries_that_have_ended_count_toward_the_limit(key: APIKey, at: Moves) -> None:
    at(TOMORROW)
    with override_settings(ALLOWLIST={"MAX_DOMAINS": 2}), refused("limit"):
        key.add_domains(["a.test"])


@pytest.mark.parametrize("entry", [{"host": "a.test"}, {"domain": "a.test", "until": NOW}, {}])
def test_a_mapping_with_other_names_is_a_type_error(key: APIKey, entry: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="An entry of allowed_domains has domain"):
        key.add_domains([entry])


class TestLastMatched:
    def last(self) -> list[datetime | None]:
        """Return when each entry last matched."""
        return [
            entry.last_matched_at
            for model in (AllowedDomain, AllowedIP)
            for entry in model.objects.order_by("pk")
        ]

    def test_it_is_written_for_each_entry_that_let_a_request_in(self, key: APIKey) -> None:
        assert visit(key.token, "https://evil.example") == NOT_LISTED
        assert visit(key.token, SHOP, "198.51.100.1") == IP_NOT_LISTED
        assert self.last() == [None] * 4
        assert visit(key.token) == SERVED
        shop, blog, server, other = self.last()
        assert shop == server
        assert shop is not None
        assert (blog, other) == (None, None)

    def test_it_is_written_at_most_once_an_hour(self, key: APIKey, at: Moves) -> None:
        at(NOW)
        visit(key.token)
        at(NOW + timedelta(minutes=59))
        key.add_domains(["a.test"])
        visit(key.token)
        assert self.last()[0] == NOW
        at(NOW + timedelta(minutes=60))
        visit(key.token)
        assert self.last()[0] == NOW + timedelta(minutes=60)
        with statements() as sent:
            visit(key.token)
        assert len(sent) == 1


class TestAPI:
    @pytest.fixture
    def api(self, creator: User) -> Api:
        """Return the creator, who is logged in to the management API."""
        return Api(creator)

    def test_an_entry_reads_and_takes_its_end(self, key: APIKey, api: Api, at: Moves) -> None:
        path = f"keys/{key.pk}/domains/"
        _shop, blog = api.ok("GET", path)
        assert datetime.fromisoformat(blog["expires_at"]) == TOMORROW
        assert (blog["in_force"], blog["last_matched_at"]) == (True, None)
        later = (TOMORROW + timedelta(days=1)).isoformat()
        added = api.ok("POST", path, {"domain": "a.test", "expires_at": later}, 201)
        assert datetime.fromisoformat(added["expires_at"]) == datetime.fromisoformat(later)
        patched = api.ok("PATCH", f"{path}{blog['id']}/", {"expires_at": None})
        assert patched["expires_at"] is None
        shown = api.ok("PUT", path, [SHOP, {"domain": BLOG, "expires_at": later}])
        assert [each["expires_at"] is None for each in shown] == [True, False]
        assert api.ok("PATCH", f"keys/{key.pk}/", {"allowed_domains": shown})["allowed_domains"] == shown
        at(TOMORROW + timedelta(days=2))
        assert [each["in_force"] for each in api.ok("GET", path)] == [True, False]

    @pytest.mark.parametrize("value", ["yesterday", 5, (NOW - timedelta(days=1)).isoformat()])
    def test_a_wrong_end_is_a_400(self, key: APIKey, api: Api, value: Any) -> None:
        path = f"keys/{key.pk}/domains/"
        entry = {"domain": "a.test", "expires_at": value}
        assert "expires_at" in api.refused("POST", path, entry)
        for method, where, body in (
            ("POST", path, [SHOP, entry]),
            ("PUT", path, [SHOP, entry]),
            ("PATCH", f"keys/{key.pk}/", {"allowed_domains": [SHOP, entry]}),
        ):
            assert list(api.refused(method, where, body)["allowed_domains"]) == ["1"]

    @pytest.mark.parametrize("zone", ["America/Chicago", "Europe/Berlin"])
    def test_a_date_with_an_offset_is_local_time_without_time_zone_support(self, zone: str) -> None:
        with override_settings(USE_TZ=False, TIME_ZONE=zone):
            read = DateTimeField().run_validation("2030-01-01T12:00:00Z")
            assert read == datetime(2030, 1, 1, {"America/Chicago": 6, "Europe/Berlin": 13}[zone])  # noqa: DTZ001

    @override_settings(USE_TZ=False, TIME_ZONE="Europe/Berlin")
    def test_a_date_past_the_calendar_s_end_in_local_time_is_refused(self) -> None:
        with pytest.raises(ValidationError) as told:
            DateTimeField().run_validation("9999-12-31T23:59:59Z")
        assert told.value.get_codes() == ["overflow"]
