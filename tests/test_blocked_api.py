"""Blocked places over the management API: read, forget, and allow what a key should have served."""

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import QuerySet
from django.test import override_settings
from django.utils import timezone

from allowlist.models import AllowedDomain, APIKey, BlockedSource
from allowlist.signals import key_changed
from tests.conftest import User
from tests.management import Api, texts
from tests.testing import ELSEWHERE, EVIL, SERVER, call

pytestmark = pytest.mark.django_db(databases="__all__")

WIDGET = "/widget/alone/"
PAGE, IP = "origin_not_listed", "ip_not_listed"
WWW = "https://www.example.com"


@pytest.fixture
def api(creator: User) -> Api:
    """Return a client of the creator's."""
    return Api(creator)


def make(creator: User, **fields: Any) -> APIKey:
    """Return a key that lists a domain and an IP address, or what is given."""
    lists = {"allowed_domains": ["example.com"], "allowed_ips": ["203.0.113.7"]}
    return APIKey.objects.create_key(name="Widget", creator=creator, **{**lists, **fields})[0]


@pytest.fixture
def key(creator: User) -> APIKey:
    """Return a key with one entry in each list."""
    return make(creator)


def block(key: APIKey, reason: str = PAGE, origin: str = "", ip: str = "", **fields: Any) -> BlockedSource:
    """Return a new row."""
    row: BlockedSource = stored().create(key=key, reason=reason, origin=origin, ip=ip, **fields)
    return row


def stored() -> "QuerySet[BlockedSource]":
    """Return every row."""
    return QuerySet(BlockedSource)


def test_the_list_has_what_the_key_refused_newest_first(api: Api, key: APIKey, creator: User) -> None:
    block(make(creator), origin=EVIL)
    call(WIDGET, key.token, {"Origin": EVIL})
    for _ in range(2):
        call(WIDGET, key.token, {"Origin": WWW})
    key.enforcement = "report"
    key.save()
    call(WIDGET, key.token, {"Origin": "https://example.com"}, REMOTE_ADDR=ELSEWHERE)
    shown = api.ok("GET", f"keys/{key.pk}/blocked/")
    rows = list(key.blocked_sources.all())
    for each, row in zip(shown, rows, strict=True):
        assert each.pop("id") == row.pk
        first, last = each.pop("first_seen_at"), each.pop("last_seen_at")
        assert first <= last
        assert (first[-1] == "Z" or first[-6] == "+") == bool(row.first_seen_at.tzinfo)
    assert shown == [
        {"reason": IP, "origin": "", "ip": ELSEWHERE, "count": 1, "reported": 1, "suggestion": ELSEWHERE},
        {"reason": PAGE, "origin": WWW, "ip": "", "count": 2, "reported": 0, "suggestion": "www.example.com"},
        {"reason": PAGE, "origin": EVIL, "ip": "", "count": 1, "reported": 0, "suggestion": EVIL},
    ]


LISTED: dict[str, Any] = {"allowed_domains": ["example.com"], "allowed_ips": ["203.0.113.7"]}
ORIGIN_LISTED: dict[str, Any] = {"allowed_domains": ["https://example.com"]}
HOSTS: dict[str, Any] = {"DOMAIN_FORMS": ["host", "wildcard"]}
SUGGESTIONS: list[tuple[dict[str, Any], dict[str, Any], tuple[str, str, str], str | None]] = [
    # Without a near entry: the origin, or the host if origins can't be listed.
    ({}, LISTED, (PAGE, EVIL, ""), EVIL),
    (HOSTS, LISTED, (PAGE, EVIL, ""), "evil.example.net"),
    ({"DOMAIN_FORMS": ["origin"]}, ORIGIN_LISTED, (PAGE, EVIL, ""), EVIL),
    ({}, LISTED, (PAGE, "https://xn--fa-hia.test:8443", ""), "https://xn--fa-hia.test:8443"),
    # With one: what it is.
    ({}, LISTED, (PAGE, WWW, ""), "www.example.com"),
    ({}, LISTED, (PAGE, "http://examp1e.com:8000", ""), "examp1e.com"),
    ({}, ORIGIN_LISTED, (PAGE, "http://example.com", ""), "http://example.com"),
    ({}, ORIGIN_LISTED, (PAGE, WWW, ""), WWW),
    # Nothing that can be listed.
    (HOSTS, LISTED, (PAGE, "http://intranet", ""), None),
    ({}, LISTED, ("origin_opaque", "", ""), None),
    ({}, LISTED, ("origin_malformed", "", ""), None),
    ({}, LISTED, ("origin_hidden", "", ""), None),
    ({}, LISTED, ("origin_missing", "", ELSEWHERE), None),
    ({}, LISTED, ("server_not_allowed", "", ELSEWHERE), None),
    ({}, LISTED, ("browser_not_allowed", EVIL, ""), None),
    ({}, LISTED, ("ip_unknown", "", ""), None),
    # Listed already, or the list is disabled.
    ({}, LISTED, (PAGE, "https://example.com:9000", ""), None),
    ({}, {"allowed_domains": ["*.example.com"]}, (PAGE, WWW, ""), None),
    ({}, {"allowed_ips": ["198.51.100.0/24"]}, (IP, "", ELSEWHERE), None),
    ({}, {"allowed_ips": [SERVER]}, (PAGE, EVIL, ""), None),
    ({}, {"allowed_domains": ["example.com"]}, (IP, "", ELSEWHERE), None),
    ({"EMPTY_LIST": "allow"}, {"domain_mode": "listed"}, (PAGE, EVIL, ""), None),
    ({"EMPTY_LIST": "deny"}, {"domain_mode": "listed"}, (PAGE, EVIL, ""), EVIL),
    ({}, {"domain_mode": "listed", "enforcement": "report"}, (PAGE, EVIL, ""), EVIL),
    ({}, {"domain_mode": "listed", "allowed_domains": [EVIL], "condition": "any"}, (PAGE, WWW, ""), WWW),
    # IP addresses.
    ({}, LISTED, (IP, "", ELSEWHERE), ELSEWHERE),
    ({}, LISTED, (IP, "", "2001:db8::7"), "2001:db8::7"),
    ({}, LISTED, (IP, "", "198.51.100.0/24"), None),
    ({}, LISTED, (IP, "", ""), None),
    (
        {"PUBLIC_IPS_ONLY": True},
        {"ip_mode": "listed", "allowed_ips": ["8.8.8.8"]},
        (IP, "", "10.0.0.1"),
        None,
    ),
    (
        {"PUBLIC_IPS_ONLY": True},
        {"ip_mode": "listed", "allowed_ips": ["8.8.8.8"]},
        (IP, "", "1.1.1.1"),
        "1.1.1.1",
    ),
    ({"IP_FORMS": ["network"]}, {"allowed_ips": ["8.8.8.0/24"]}, (IP, "", "1.1.1.1"), None),
]


@pytest.mark.parametrize(("allowlist", "fields", "place", "suggestion"), SUGGESTIONS)
def test_what_is_suggested_is_what_allow_lists(
    api: Api,
    creator: User,
    allowlist: dict[str, Any],
    fields: dict[str, Any],
    place: tuple[str, str, str],
    suggestion: str | None,
) -> None:
    with override_settings(ALLOWLIST=allowlist):
        key = APIKey.objects.create_key(name="Widget", creator=creator, **fields)[0]
        row = block(key, *place)
        before = texts(key)
        at = f"keys/{key.pk}/blocked/"
        (shown,) = api.ok("GET", at)
        assert shown["suggestion"] == suggestion
        if suggestion is None:
            body = api.refused("POST", f"{at}{row.pk}/allow/")
            assert "can't be allowed by an entry" in body["non_field_errors"][0]
            assert stored().exists()
        else:
            entry = api.ok("POST", f"{at}{row.pk}/allow/", status=201)
            column = "domain" if place[0] == PAGE else "ip"
            assert entry == api.ok("GET", f"keys/{key.pk}/{column}s/{entry['id']}/")
            assert entry[column] == suggestion
            assert sorted(texts(key)) == sorted([*before, suggestion])
            assert not stored().exists()


def test_an_allowed_place_is_served(api: Api, creator: User) -> None:
    key = make(creator, allowed_ips=[])
    assert call(WIDGET, key.token, {"Origin": EVIL}).status_code == 403
    (row,) = api.ok("GET", f"keys/{key.pk}/blocked/")
    api.ok("POST", f"keys/{key.pk}/blocked/{row['id']}/allow/", status=201)
    assert call(WIDGET, key.token, {"Origin": EVIL}).status_code == 200


def test_several_are_allowed_at_once(api: Api, key: APIKey, django_capture_on_commit_callbacks: Any) -> None:
    rows = [
        block(key, origin=WWW),
        block(key, IP, ip=ELSEWHERE),
        block(key, origin=EVIL),
        block(key, origin="http://www.example.com"),
    ]
    other = block(key, origin="https://left.example")
    heard: list[Any] = []

    def hear(**sent: Any) -> None:
        heard.append((sent["action"], sent["user"], sent["changes"]["allowed_domains"]["added"]))

    ids = [*(row.pk for row in rows), rows[0].pk]
    key_changed.connect(hear)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            entries = api.ok("POST", f"keys/{key.pk}/blocked/allow/", {"ids": ids}, 201)
    finally:
        key_changed.disconnect(hear)
    assert [each.get("domain") or each["ip"] for each in entries] == ["www.example.com", ELSEWHERE, EVIL]
    assert [each.pk for each in stored()] == [other.pk]
    assert heard == [("updated", key.creator, ["www.example.com", EVIL])]


def test_several_are_allowed_or_none(api: Api, key: APIKey, creator: User) -> None:
    good, none = block(key, origin=EVIL), block(key, "origin_opaque")
    past = block(key, origin="https://past.example", last_seen_at=timezone.now() - timedelta(days=31))
    another_s = block(make(creator), origin=EVIL)
    at = f"keys/{key.pk}/blocked/allow/"
    api.refused("POST", at, {"ids": [good.pk, none.pk]})
    for missing in (another_s.pk, past.pk, 2**63 - 1):
        api.refused("POST", f"keys/{key.pk}/blocked/{missing}/allow/", {"unknown": 1}, 404)
        assert api.refused("POST", at, {"ids": [good.pk, missing]}, 404) == {"detail": "Not found."}
    assert stored().count() == 4


def test_an_entry_that_has_expired_is_suggested_and_becomes_permanent(api: Api, key: APIKey) -> None:
    QuerySet(AllowedDomain).update(expires_at=timezone.now() - timedelta(days=1))
    assert call(WIDGET, key.token, {"Origin": "https://example.com"}).status_code == 403
    (row,) = api.ok("GET", f"keys/{key.pk}/blocked/")
    assert row["suggestion"] == "example.com"
    entry = api.ok("POST", f"keys/{key.pk}/blocked/{row['id']}/allow/", status=201)
    assert (entry["domain"], entry["expires_at"], key.allowed_domains.count()) == ("example.com", None, 1)


BODIES: list[tuple[Any, str]] = [
    ({}, "ids"),
    ({"ids": []}, "ids"),
    ({"ids": "1"}, "ids"),
    ({"ids": ["x"]}, "ids"),
    ({"ids": [0]}, "ids"),
    ({"ids": [2**63]}, "ids"),
    ({"ids": [1.5]}, "ids"),
    ({"ids": None}, "ids"),
    ({"ids": list(range(1, 1002))}, "ids"),
    ({"id": [1]}, "id"),
    ([1], "non_field_errors"),
    (1, "non_field_errors"),
]


@pytest.mark.parametrize(("body", "field"), BODIES)
def test_a_wrong_body_is_a_400_by_field(api: Api, key: APIKey, body: Any, field: str) -> None:
    assert field in api.refused("POST", f"keys/{key.pk}/blocked/allow/", body)


def test_an_unknown_name_is_a_400(api: Api, key: APIKey) -> None:
    row = block(key, origin=EVIL)
    assert "name" in api.refused("POST", f"keys/{key.pk}/blocked/{row.pk}/allow/", {"name": "Evil"})


@override_settings(ALLOWLIST={"MAX_DOMAINS": 2})
def test_over_the_limit_nothing_is_listed(api: Api, key: APIKey) -> None:
    rows = [block(key, origin=EVIL), block(key, origin=WWW)]
    at = f"keys/{key.pk}/blocked/"
    assert [each["suggestion"] for each in api.ok("GET", at)] == ["www.example.com", EVIL]
    sentence = "A key can list at most 2 domains. This would make 3."
    body = api.refused("POST", f"{at}allow/", {"ids": [row.pk for row in rows]})
    assert body == {"allowed_domains": [sentence]}
    api.ok("POST", f"{at}{rows[0].pk}/allow/", status=201)
    assert api.refused("POST", f"{at}{rows[1].pk}/allow/") == {"allowed_domains": [sentence]}
    assert stored().count() == 1


def test_forget_deletes_what_was_refused_until_now(api: Api, key: APIKey, creator: User) -> None:
    other = block(make(creator), origin=EVIL)
    block(key, origin=EVIL)
    block(key, origin=WWW, last_seen_at=timezone.now() - timedelta(days=31))
    call(WIDGET, key.token, {"Origin": WWW})
    api.ok("DELETE", f"keys/{key.pk}/blocked/", status=204)
    assert api.ok("GET", f"keys/{key.pk}/blocked/") == []
    assert [each.pk for each in stored()] == [other.pk]


def test_the_list_takes_as_many_statements_for_a_hundred_rows(
    api: Api, key: APIKey, django_assert_max_num_queries: Any
) -> None:
    BlockedSource.objects.bulk_create(
        BlockedSource(key=key, reason=PAGE, origin=f"https://{n}.example") for n in range(100)
    )
    with django_assert_max_num_queries(8):
        assert len(api.ok("GET", f"keys/{key.pk}/blocked/")) == 100
