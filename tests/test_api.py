"""The management API over HTTP: what can be sent, what is returned, and what is refused and how."""

import html
import json
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.utils import timezone

from allowlist.models import AllowedDomain, AllowedIP, APIKey
from allowlist.policy.tokens import Token
from allowlist.signals import key_changed
from tests.conftest import User
from tests.management import NOTHING, Api, Meanwhile, texts
from tests.testing import statements, writes

FIELDS = {
    "id", "name", "kind", "environment", "status", "token", "domain_mode", "ip_mode", "condition",
    "enforcement", "allowed_domains", "allowed_ips", "created_at", "last_used_at", "expires_at", "revoked_at",
}  # fmt: skip
FORM = "application/x-www-form-urlencoded"
URLIZE = "ignore:The default protocol will be changed"

At = Callable[[str], str]


DATES = {"expires_at": None, "last_matched_at": None}
"""What an entry reads as that doesn't end and never matched."""


def unknown(name: str, field: str) -> list[str]:
    """Return the errors of an unknown name that is nearly the field's."""
    return [f"Unknown field “{name}”. Did you mean “{field}”?"]


def read_only(name: str) -> list[str]:
    """Return the errors of a field that can't be written."""
    return [f"“{name}” is read-only. Leave it out."]


@pytest.fixture
def api(creator: User) -> Api:
    """Return a client of the creator's."""
    return Api(creator)


@pytest.fixture
def key(creator: User) -> APIKey:
    """Return a publishable key with one entry in each list."""
    return APIKey.objects.create_key(
        name="Widget", creator=creator, allowed_domains=["example.com"], allowed_ips=["203.0.113.7"]
    )[0]


@pytest.fixture
def at(key: APIKey) -> At:
    """Return a function that fills in a route."""
    domain, ip = key.allowed_domains.get().pk, key.allowed_ips.get().pk
    return lambda path: path.format(key=key.pk, domain=domain, ip=ip)


def short(shown: Any) -> dict[str, Any]:
    """Return a key as read, with only the texts of its lists."""
    domains = [each["domain"] for each in shown["allowed_domains"]]
    return {**shown, "allowed_domains": domains, "allowed_ips": [each["ip"] for each in shown["allowed_ips"]]}


# Reading


def test_a_key_reads_with_all_its_fields_and_both_lists(api: Api, key: APIKey, stranger: User) -> None:
    APIKey.objects.create_key(name="Another's", creator=stranger)
    shown = api.ok("GET", f"keys/{key.pk}/")
    domain = {
        "id": key.allowed_domains.get().pk,
        "name": "",
        "domain": "example.com",
        "in_force": True,
    } | DATES
    ip = {"id": key.allowed_ips.get().pk, "name": "", "ip": "203.0.113.7", "in_force": True} | DATES
    created_at = datetime.fromisoformat(shown["created_at"])
    now = datetime.now(UTC) if django_settings.USE_TZ else timezone.now()
    assert timedelta(0) <= now - created_at < timedelta(minutes=1)
    assert shown == {
        **dict.fromkeys(FIELDS, None),
        "id": key.pk,
        "name": "Widget",
        "kind": "publishable",
        "environment": "live",
        "status": "active",
        "token": key.token,
        "domain_mode": "listed",
        "ip_mode": "listed",
        "condition": "all",
        "enforcement": "enforce",
        "allowed_domains": [domain],
        "allowed_ips": [ip],
        "created_at": shown["created_at"],
    }
    assert api.ok("GET", "keys/") == {"count": 1, "next": None, "previous": None, "results": [shown]}
    for path, entry in (("domains", domain), ("ips", ip)):
        assert api.ok("GET", f"keys/{key.pk}/{path}/") == [entry]
        assert api.ok("GET", f"keys/{key.pk}/{path}/{entry['id']}/") == entry


def test_a_key_reads_whether_it_works(api: Api, key: APIKey) -> None:
    api.ok("PATCH", f"keys/{key.pk}/", {"expires_at": "2020-01-01T00:00:00"})
    assert api.ok("GET", f"keys/{key.pk}/")["status"] == "expired"
    assert api.ok("POST", f"keys/{key.pk}/revoke/")["status"] == "revoked"


def test_an_entry_reads_whether_it_is_in_force(api: Api, key: APIKey) -> None:
    at = f"keys/{key.pk}/"
    api.ok("PATCH", at, {"domain_mode": "all"})
    added = api.ok("POST", f"{at}domains/", "a.test", 201)
    several = api.ok("POST", f"{at}domains/", ["b.test"], 201)["added"]
    read = api.ok("GET", f"{at}domains/")
    assert [each["in_force"] for each in (added, *several, *read)] == [False] * 4
    shown = api.ok("PATCH", at, {"domain_mode": "listed"})
    assert [each["in_force"] for each in shown["allowed_domains"]] == [True] * 2


MORE = [f"{number}.example.com" for number in range(20)]


@pytest.mark.parametrize(
    ("method", "path", "body", "most"),
    [
        ("GET", "keys/", NOTHING, 6),
        ("GET", "keys/{key}/", NOTHING, 5),
        ("GET", "keys/{key}/domains/", NOTHING, 4),
        ("POST", "keys/{key}/domains/", MORE, 11),
        ("PUT", "keys/{key}/domains/", MORE, 12),
        ("PATCH", "keys/{key}/", {"allowed_domains": MORE}, 13),
        ("PATCH", "keys/{key}/", {"name": "Renamed"}, 9),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_request_takes_few_statements_however_many_rows_there_are(
    api: Api, key: APIKey, creator: User, at: At, method: str, path: str, body: Any, most: int
) -> None:
    for number in range(10):
        APIKey.objects.create_key(name=f"Key {number}", creator=creator, allowed_domains=MORE)
    with statements() as sql:
        assert api(method, at(path), body).status_code < 300
    assert len(sql) <= most, "\n".join(sql)


# Creating

BOTH = {
    "allowed_domains": ["HTTPS://Example.com/", {"name": "Ours", "domain": "*.example.com"}],
    "allowed_ips": [{"ip": "203.0.113.7"}, "2001:DB8::/32"],
}
SERVER = {
    "kind": "secret",
    "environment": "test",
    "ip_mode": "listed",
    "condition": "any",
    "enforcement": "report",
    "allowed_ips": ["203.0.113.7"],
}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, {"kind": "publishable", "environment": "live", "domain_mode": "all", "ip_mode": "all"}),
        (
            BOTH,
            {
                "domain_mode": "listed",
                "allowed_domains": ["https://example.com", "*.example.com"],
                "ip_mode": "listed",
                "allowed_ips": ["203.0.113.7", "2001:db8::/32"],
            },
        ),
        ({"allowed_domains": ["example.com"]}, {"domain_mode": "listed", "ip_mode": "all"}),
        ({"allowed_domains": [], "allowed_ips": []}, {"domain_mode": "all", "ip_mode": "all"}),
        ({"allowed_domains": ["a.test", "A.test", "a.test."]}, {"allowed_domains": ["a.test"]}),
        (SERVER, SERVER),
    ],
    ids=["plain", "both lists", "one list", "empty lists", "duplicates", "every field"],
)
def test_a_key_is_created_with_what_is_sent(api: Api, creator: User, body: Any, expected: Any) -> None:
    shown = api.ok("POST", "keys/", {"name": "New", **body}, 201)
    assert shown.keys() == FIELDS
    assert {name: short(shown)[name] for name in expected} == expected
    assert APIKey.objects.get(pk=shown["id"]).creator == creator
    later = api.ok("GET", f"keys/{shown['id']}/")
    assert later == {name: value for name, value in shown.items() if name in later}


def test_a_publishable_token_is_shown_always(api: Api) -> None:
    made = api.ok("POST", "keys/", {"name": "Page"}, 201)
    assert Token.parse(made["token"])
    assert made["token"].startswith("pk_live_")
    assert api.ok("GET", f"keys/{made['id']}/")["token"] == made["token"]
    assert api.ok("GET", "keys/")["results"][0]["token"] == made["token"]


def test_a_secret_token_is_shown_only_in_the_response_that_issues_it(api: Api) -> None:
    made = api.ok("POST", "keys/", {"name": "Server", "kind": "secret"}, 201)
    path = f"keys/{made['id']}/"
    rotated = api.ok("POST", f"{path}rotate/", {})
    for token in (made["token"], rotated["token"]):
        assert Token.parse(token)
        assert token.startswith("sk_live_")
    assert made["token"] != rotated["token"]
    later = [
        api.ok("GET", path),
        api.ok("GET", "keys/")["results"][0],
        api.ok("PATCH", path, {"name": "Renamed"}),
        api.ok("POST", f"{path}revoke/"),
    ]
    assert all(shown.keys() == FIELDS - {"token"} for shown in later)


# Names that are not a field's


NEAREST = {
    "domains": "allowed_domains",
    "domain": "allowed_domains",
    "allowed_domain": "allowed_domains",
    "allowedDomains": "allowed_domains",
    "ips": "allowed_ips",
    "ip": "allowed_ips",
    "domain_modes": "domain_mode",
    "expiry": "expires_at",
    "Name": "name",
}
UNKNOWN = [
    "origins",
    "whitelist",
    "creator",
    "creator_id",
    "digest",
    "locator",
    "type",
    "csrfmiddlewaretoken",
]
ODD = ["x", "", "\0", "\ud800", "y" * 999]
READ_ONLY = ["id", "token", "status", "created_at", "last_used_at", "revoked_at"]


@pytest.mark.parametrize("sent", [*NEAREST, *UNKNOWN, *ODD, *READ_ONLY], ids=lambda name: repr(name)[:40])
def test_an_unknown_or_read_only_name_is_refused(api: Api, key: APIKey, sent: str) -> None:
    for method, path in (("POST", "keys/"), ("PATCH", f"keys/{key.pk}/")):
        [(name, errors)] = api.refused(method, path, {"name": "Typo", sent: ["example.com"]}).items()
        assert name.isprintable()
        assert len(name) <= 100
        if sent in NEAREST:
            assert (name, errors) == (sent, unknown(sent, NEAREST[sent]))
        elif sent in READ_ONLY:
            assert (name, errors) == (sent, read_only(sent))
        else:
            assert errors[0].startswith(f"Unknown field “{name}”. You can send: allowed_domains, allowed_ips")


@pytest.mark.parametrize(
    ("method", "path", "body", "error"),
    [
        ("POST", "rotate/", {"ovrlap": 3600}, {"ovrlap": unknown("ovrlap", "overlap")}),
        ("POST", "rotate/", {"overlap": 36, "ovrlap": 3}, {"ovrlap": unknown("ovrlap", "overlap")}),
        ("POST", "revoke/", {"at": "noon"}, {"at": ["Unknown field “at”. Send nothing here."]}),
        ("POST", "domains/", {"domain": "a.test", "domian": "b"}, {"domian": unknown("domian", "domain")}),
        ("POST", "domains/", {"domain": "a.test", "in_force": True}, {"in_force": read_only("in_force")}),
        (
            "PATCH",
            "ips/{ip}/",
            {"address": "x"},
            {"address": ["Unknown field “address”. You can send: expires_at, ip, name."]},
        ),
        (
            "PATCH",
            "domains/{domain}/",
            {"key": 1},
            {"key": ["Unknown field “key”. You can send: domain, expires_at, name."]},
        ),
        ("PATCH", "domains/{domain}/", {"id": 0}, {"id": read_only("id")}),
        ("PATCH", "domains/{domain}/", {"in_force": False}, {"in_force": read_only("in_force")}),
    ],
)
def test_an_unknown_name_is_refused_in_every_body(
    api: Api, at: At, method: str, path: str, body: Any, error: Any
) -> None:
    assert api.refused(method, at("keys/{key}/" + path), body) == error


@pytest.mark.parametrize(
    ("entry", "errors"),
    [
        ({"domain": "b.test", "nmae": "B"}, unknown("nmae", "name")),
        (
            {"domain": "b.test", "note": "B"},
            ["Unknown field “note”. You can send: domain, expires_at, name."],
        ),
        ({"domain": "b.test", "id": 0}, read_only("id")),
        ({"domain": "b.test", "in_force": True}, read_only("in_force")),
        ({"domain": "example.com", "in_force": False}, read_only("in_force")),
    ],
    ids=str,
)
def test_an_unknown_name_in_an_entry_is_refused_at_its_position(
    api: Api, at: At, entry: Any, errors: list[str]
) -> None:
    entries = ["a.test", entry]
    for method, path, body in (
        ("POST", "keys/{key}/domains/", entries),
        ("PUT", "keys/{key}/domains/", entries),
        ("PATCH", "keys/{key}/", {"allowed_domains": entries}),
        ("POST", "keys/", {"name": "New", "allowed_domains": entries}),
    ):
        assert api.refused(method, at(path), body) == {"allowed_domains": {"1": errors}}


def test_what_was_read_can_be_sent_back(api: Api, key: APIKey, creator: User) -> None:
    secret = APIKey.objects.create_key(name="Server", creator=creator, kind="secret")[0]
    for pk in (key.pk, secret.pk):
        whole = api.ok("GET", f"keys/{pk}/")
        assert api.ok("PATCH", f"keys/{pk}/", whole) == whole
    assert api.refused("PATCH", f"keys/{secret.pk}/", {"token": ""}) == {"token": read_only("token")}
    for path in (f"keys/{key.pk}/domains/", f"keys/{key.pk}/ips/"):
        entries = api.ok("GET", path)
        assert api.ok("PUT", path, entries) == entries
        entry = f"{path}{entries[0]['id']}/"
        assert api.ok("PATCH", entry, entries[0]) == entries[0]
    changed = {**api.ok("GET", f"keys/{key.pk}/domains/")[0], "domain": "changed.test"}
    assert api.ok("PUT", f"keys/{key.pk}/domains/", [changed])[0]["domain"] == "changed.test"


def test_twenty_unknown_names_are_reported_at_once(api: Api) -> None:
    errors = api.refused("POST", "keys/", {f"field{number}": 1 for number in range(1000)})
    assert list(errors) == [f"field{number}" for number in range(20)]


@pytest.mark.parametrize(
    ("form", "domains"),
    [
        ("allowed_domains=a.test&allowed_domains=b.test", ["a.test", "b.test"]),
        ("allowed_domains[0]=a.test&allowed_domains[1]domain=b.test", ["a.test", "b.test"]),
        ("csrfmiddlewaretoken=x", []),
        ("allowed_domains=a.test&allowed_domains[0]=b.test", None),
        ("allowed_domains[]=a.test", None),
        (f"allowed_domains[{'9' * 5000}]=a.test", None),
        ("domain_mode[0]=listed", None),
        ("domains=a.test", None),
        ("allowed_domains[0]domian=a.test", None),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_a_form_sends_lists_as_forms_do(api: Api, form: str, domains: list[str] | None) -> None:
    response = api("POST", "keys/", f"name=Form&{form}".encode(), content_type=FORM)
    assert response.status_code == (201 if domains is not None else 400)
    if domains is not None:
        assert short(response.json())["allowed_domains"] == domains
    assert APIKey.objects.exists() is (domains is not None)


def test_a_form_changes_a_key_and_adds_an_entry(api: Api, key: APIKey) -> None:
    changed = api("PATCH", f"keys/{key.pk}/", b"allowed_domains[0]=new.test", content_type=FORM)
    assert short(changed.json())["allowed_domains"] == ["new.test"]
    added = api("POST", f"keys/{key.pk}/domains/", b"domain=c.test&name=C", content_type=FORM)
    assert (added.status_code, added.json()["name"]) == (201, "C")


# Wrong values


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": None}, "name"),
        ({"name": ["x"]}, "name"),
        ({"name": "a\0b"}, "name"),
        ({"name": "\ud800"}, "name"),
        ({"kind": "public"}, "kind"),
        ({"kind": "\ud800"}, "kind"),
        ({"kind": ["secret"]}, "kind"),
        ({"kind": "x" * 1_000_000}, "kind"),
        ({"environment": "prod"}, "environment"),
        ({"condition": "never"}, "condition"),
        ({"enforcement": None}, "enforcement"),
        ({"domain_mode": "none"}, "domain_mode"),
        ({"ip_mode": 1}, "ip_mode"),
        ({"expires_at": "tomorrow"}, "expires_at"),
        ({"expires_at": {}}, "expires_at"),
        ({"expires_at": 5}, "expires_at"),
        # Past the calendar's end in another time zone, or so near to it that databases fail.
        ({"expires_at": "0001-01-01T00:00:00+14:00"}, "expires_at"),
        ({"expires_at": "9999-12-31T23:59:59-12:00"}, "expires_at"),
        ({"expires_at": "0001-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "9999-12-31T23:59:59"}, "expires_at"),
        ({"allowed_domains": "example.com"}, "allowed_domains"),
        ({"allowed_domains": {"domain": "example.com"}}, "allowed_domains"),
        ({"allowed_domains": None}, "allowed_domains"),
        ({"allowed_ips": 5}, "allowed_ips"),
        ({"ip_mode": "listed"}, "allowed_ips"),
        ({"domain_mode": "all", "allowed_domains": ["example.com"]}, "allowed_domains"),
        ({"kind": "secret", "allowed_domains": ["example.com"]}, "allowed_domains"),
        ({"kind": "secret", "domain_mode": "listed"}, "domain_mode"),
        ({"allowed_domains": [f"{number}.example.com" for number in range(26)]}, "allowed_domains"),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_a_wrong_value_is_reported_under_its_field(api: Api, body: Any, field: str) -> None:
    shown = api.refused("POST", "keys/", {"name": "N", **body})
    assert list(shown) == [field]
    assert len(json.dumps(shown)) < 400


def test_a_key_needs_a_name(api: Api) -> None:
    assert api.refused("POST", "keys/", {}) == {"name": ["This field is required."]}


@pytest.mark.parametrize("expires_at", ["0002-01-01T00:00:00", "9998-12-31T23:59:59"])
def test_a_date_far_away_is_stored_and_shown(api: Api, expires_at: str) -> None:
    shown = api.ok("POST", "keys/", {"name": "N", "expires_at": expires_at}, 201)
    assert shown["expires_at"].startswith(expires_at)
    assert api.ok("GET", "keys/")["results"][0]["expires_at"] == shown["expires_at"]


# Changing a key


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, {}),
        ({"name": "Renamed", "enforcement": "report"}, {}),
        ({"expires_at": None}, {}),
        ({"kind": "publishable", "environment": "live"}, {}),
        ({"allowed_domains": ["new.example.com", "example.com"]}, {}),
        ({"domain_mode": "all"}, {"allowed_domains": []}),
        ({"domain_mode": "all", "allowed_domains": []}, {}),
        ({"domain_mode": "listed"}, {}),
        (
            *({"domain_mode": "all", "allowed_ips": ["198.51.100.1"], "condition": "any", "name": "X"},),
            {"allowed_domains": []},
        ),
    ],
    ids=str,
)
def test_a_patch_changes_only_what_it_names(api: Api, key: APIKey, body: Any, expected: Any) -> None:
    before = short(api.ok("GET", f"keys/{key.pk}/"))
    shown = api.ok("PATCH", f"keys/{key.pk}/", body)
    wanted = {**before, **body, **expected}
    assert {**short(shown), "allowed_domains": sorted(short(shown)["allowed_domains"])} == {
        **wanted,
        "allowed_domains": sorted(wanted["allowed_domains"]),
    }
    assert api.ok("GET", f"keys/{key.pk}/") == shown


def test_a_patch_of_a_disabled_list_leaves_it_disabled(api: Api, creator: User) -> None:
    made = APIKey.objects.create_key(name="Open", creator=creator)[0]
    shown = api.ok("PATCH", f"keys/{made.pk}/", {"allowed_domains": ["example.com"]})
    assert (shown["domain_mode"], short(shown)["allowed_domains"]) == ("all", ["example.com"])


@pytest.mark.parametrize(
    ("method", "path", "body", "action"),
    [
        ("POST", "", {"name": "New", "allowed_domains": ["a.test"]}, "created"),
        ("PATCH", "{key}/", {"name": "N", "allowed_domains": ["a.test"], "ip_mode": "all"}, "updated"),
        ("POST", "{key}/rotate/", {}, "rotated"),
        ("POST", "{key}/revoke/", {}, "revoked"),
        ("POST", "{key}/domains/", "a.test", "updated"),
        ("POST", "{key}/domains/", ["a.test"], "updated"),
        ("PUT", "{key}/domains/", ["a.test"], "updated"),
        ("PATCH", "{key}/domains/{domain}/", {"name": "N"}, "updated"),
        ("DELETE", "{key}/", None, "deleted"),
    ],
)
def test_a_write_locks_the_key_once_and_sends_key_changed_once(
    api: Api,
    at: At,
    creator: User,
    method: str,
    path: str,
    body: Any,
    action: str,
    django_capture_on_commit_callbacks: Any,
) -> None:
    sent: list[tuple[str, User]] = []

    def receive(**kwargs: Any) -> None:
        sent.append((kwargs["action"], kwargs["user"]))

    path = at(f"keys/{path}")
    key_changed.connect(receive)
    with statements() as sql, django_capture_on_commit_callbacks(execute=True):
        assert api(method, path, body).status_code < 300
    key_changed.disconnect(receive)
    assert sent == [(action, creator)]
    locks = [text for text in writes(sql) if re.search(r"SET .?revision", text)]
    assert len(locks) == (action != "created")


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"domain_mode": "all", "allowed_domains": ["new.example.com"]}, {"allowed_domains"}),
        ({"allowed_domains": []}, {"allowed_domains"}),
        ({"name": "Renamed", "allowed_domains": ["new.example.com"], "allowed_ips": []}, {"allowed_ips"}),
        ({"name": "Renamed", "domain_mode": "all", "allowed_ips": ["example.com"]}, {"allowed_ips"}),
        ({"environment": "test", "kind": "secret", "name": "Renamed"}, {"environment", "kind"}),
        ({"name": "Renamed", "condition": "?"}, {"condition"}),
        ({"allowed_domains": [".a.test"], "allowed_ips": ["10.0.0.300"]}, {"allowed_domains", "allowed_ips"}),
        (
            {
                "domain_mode": "listed",
                "allowed_domains": [],
                "ip_mode": "listed",
                "allowed_ips": [f"10.0.0.{number}" for number in range(26)],
            },
            {"allowed_domains", "allowed_ips"},
        ),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_patch_with_a_mistake_changes_nothing(api: Api, key: APIKey, body: Any, fields: set[str]) -> None:
    assert api.refused("PATCH", f"keys/{key.pk}/", body).keys() == fields


def test_a_mode_that_the_settings_leave_out_is_refused(api: Api, key: APIKey, settings: Any) -> None:
    settings.ALLOWLIST = {"DOMAIN_MODES": ("listed",), "EMPTY_LIST": "deny", "CONDITIONS": ("all",)}
    for body, field in (({"domain_mode": "all"}, "allowed_domains"), ({"condition": "any"}, "condition")):
        assert api.refused("PATCH", f"keys/{key.pk}/", body).keys() == {field}


def test_a_key_is_deleted_with_its_entries(api: Api, key: APIKey) -> None:
    assert api("DELETE", f"keys/{key.pk}/").status_code == 204
    assert not APIKey.objects.exists()
    assert not AllowedDomain.objects.exists()
    assert api("GET", f"keys/{key.pk}/").status_code == 404


# Rotating and revoking


def test_rotating_issues_a_new_token_and_ends_the_old_one(api: Api, key: APIKey) -> None:
    shown = api.ok("POST", f"keys/{key.pk}/rotate/")
    assert shown.keys() == FIELDS
    assert shown["token"] != key.token
    key.refresh_from_db()
    assert key.token == shown["token"]
    assert not key.previous_digest


@pytest.mark.parametrize(
    ("overlap", "seconds"), [(3600, 3600), ("3600", 3600), ("01:00:00", 3600), ("1 00:00:00", 86400)]
)
def test_the_old_token_works_for_the_overlap(api: Api, key: APIKey, overlap: Any, seconds: int) -> None:
    key.refresh_from_db()
    old = key.digest
    api.ok("POST", f"keys/{key.pk}/rotate/", {"overlap": overlap})
    key.refresh_from_db()
    assert key.previous_digest == old
    assert key.previous_until is not None
    assert abs(key.previous_until - timezone.now() - timedelta(seconds=seconds)) < timedelta(minutes=1)


@pytest.mark.parametrize(
    "overlap",
    [
        *(-1, "-1 00:00:00", 366 * 86400, "soon", None, [], {}, 1e308, True),
        *("\ud800", "9" * 5000, "P999999999D"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_wrong_overlap_is_refused(api: Api, key: APIKey, overlap: Any) -> None:
    api.refused("POST", f"keys/{key.pk}/rotate/", {"overlap": overlap})


def test_revoking_ends_the_key_once_and_for_good(api: Api, key: APIKey) -> None:
    shown = api.ok("POST", f"keys/{key.pk}/revoke/")
    assert shown["revoked_at"] is not None
    assert api.ok("POST", f"keys/{key.pk}/revoke/")["revoked_at"] == shown["revoked_at"]
    assert api.refused("POST", f"keys/{key.pk}/rotate/").keys() == {"non_field_errors"}


# One list


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("domains/", "NEW.example.com", {"name": "", "domain": "new.example.com"}),
        ("domains/", {"domain": "NEW.example.com"}, {"name": "", "domain": "new.example.com"}),
        ("ips/", {"name": "Office", "ip": "198.51.100.0/24"}, {"name": "Office", "ip": "198.51.100.0/24"}),
    ],
)
def test_an_entry_is_added_as_a_string_or_an_object(
    api: Api, key: APIKey, path: str, body: Any, expected: Any
) -> None:
    shown = api.ok("POST", f"keys/{key.pk}/{path}", body, 201)
    assert shown == {**expected, "id": shown["id"], "in_force": True, **DATES}
    assert len(texts(key)) == 3


def test_adding_several_skips_and_reports_what_is_listed_already(api: Api, key: APIKey) -> None:
    body = ["Example.com", "a.example.com", {"name": "B", "domain": "b.example.com"}, "A.example.com"]
    shown = api.ok("POST", f"keys/{key.pk}/domains/", body, 201)
    assert [(each["name"], each["domain"]) for each in shown["added"]] == [
        ("", "a.example.com"),
        ("B", "b.example.com"),
    ]
    assert shown["duplicates"] == ["example.com", "a.example.com"]
    assert shown["added"] == api.ok("GET", f"keys/{key.pk}/domains/")[1:]


def test_put_makes_the_list_exactly_what_is_sent(api: Api, key: APIKey) -> None:
    at, kept = f"keys/{key.pk}/domains/", key.allowed_domains.get().pk
    shown = api.ok("PUT", at, ["a.example.com", {"name": "Kept", "domain": "example.com"}])
    assert {each["domain"]: each["name"] for each in shown} == {"a.example.com": "", "example.com": "Kept"}
    assert {each["domain"]: each["id"] for each in shown}["example.com"] == kept
    assert [each["domain"] for each in api.ok("PUT", at, ["c.example.com"])] == ["c.example.com"]


def test_an_enabled_list_is_not_emptied(api: Api, key: APIKey, at: At) -> None:
    api.refused("PUT", f"keys/{key.pk}/domains/", [])
    assert api.refused("DELETE", at("keys/{key}/domains/{domain}/")).keys() == {"allowed_domains"}
    key.allow_all_domains()
    key.add_domains(["example.com"])
    assert api.ok("PUT", f"keys/{key.pk}/domains/", []) == []


MULTIPART = b'--x\r\nContent-Disposition: form-data; name="domain"\r\n\r\nnew.example.com\r\n--x--\r\n'


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        *(
            (body, "application/json")
            for body in (None, 5, True, "example.com", {}, {"0": "a.test"}, NOTHING)
        ),
        ({"domain": "example.com"}, "application/json"),
        (b"domain=new.example.com", FORM),
        (MULTIPART, "multipart/form-data; boundary=x"),
    ],
    ids=repr,
)
def test_put_of_anything_but_a_list_is_refused(api: Api, key: APIKey, body: Any, content_type: str) -> None:
    key.allow_all_domains()
    key.add_domains(["example.com"])
    response = api("PUT", f"keys/{key.pk}/domains/", body, content_type=content_type)
    assert (response.status_code, texts(key)[0]) == (400, "example.com")
    assert response.json() == {"allowed_domains": ["Send a list of entries, as JSON."]}


def test_an_entry_is_renamed_and_rewritten(api: Api, key: APIKey, at: At) -> None:
    path = at("keys/{key}/domains/{domain}/")
    assert api.ok("PATCH", path, {"name": "Shop"})["domain"] == "example.com"
    shown = api.ok("PATCH", path, {"domain": "HTTPS://Shop.example.com/"})
    assert (shown["name"], shown["domain"]) == ("Shop", "https://shop.example.com")


def test_an_entry_that_is_listed_already_is_refused(api: Api, key: APIKey, at: At) -> None:
    key.add_domains(["a.example.com"])
    errors = {"domain": ["“a.example.com” is in the list already."]}
    assert api.refused("POST", f"keys/{key.pk}/domains/", "A.example.com.") == errors
    assert api.refused("PATCH", at("keys/{key}/domains/{domain}/"), {"domain": "a.example.com"}) == errors


def test_an_entry_is_found_only_under_its_own_key_and_list(api: Api, key: APIKey, creator: User) -> None:
    other = APIKey.objects.create_key(
        name="Other", creator=creator, allowed_domains=["other.example"], allowed_ips=["198.51.100.1"]
    )[0]
    other.add_ips(["198.51.100.2"])
    for path in (
        f"keys/{key.pk}/domains/{other.allowed_domains.get().pk}/",
        f"keys/{key.pk}/domains/{AllowedIP.objects.latest('pk').pk}/",
        f"keys/{other.pk}/ips/{key.allowed_domains.get().pk}/",
    ):
        for method in ("GET", "PATCH", "DELETE"):
            api.refused(method, path, {}, 404)


def test_an_entry_is_removed(api: Api, key: APIKey) -> None:
    key.add_domains(["a.example.com"])
    path = f"keys/{key.pk}/domains/{key.allowed_domains.get(domain='example.com').pk}/"
    assert api("DELETE", path).status_code == 204
    assert texts(key) == ["a.example.com", "203.0.113.7"]
    api.refused("DELETE", path, status=404)


# What is wrong with an entry. Which entries are wrong, and the sentences, are test_entries' business.


@pytest.mark.parametrize("text", ["https://example.com/shop", "control.example\x0b"])
def test_a_wrong_entry_is_reported_at_its_place(api: Api, key: APIKey, at: At, text: str) -> None:
    listed = f"keys/{key.pk}/domains/"
    for method, path, body, place in (
        ("POST", "keys/", {"name": "N", "allowed_domains": [{"domain": text}]}, ("allowed_domains", "0")),
        ("PATCH", f"keys/{key.pk}/", {"allowed_domains": ["a.test", text]}, ("allowed_domains", "1")),
        ("POST", listed, ["a.test", text], ("allowed_domains", "1")),
        ("PUT", listed, [text], ("allowed_domains", "0")),
        ("POST", listed, text, ("domain",)),
        ("PATCH", at("keys/{key}/domains/{domain}/"), {"domain": text}, ("domain",)),
    ):
        errors = api.refused(method, path, body)
        for part in place:
            assert list(errors) == [part]
            errors = errors[part]
        assert len(errors) == 1
        assert ascii(text)[1:-1] in errors[0]


BAD_NAMES: list[Any] = ["x" * 101, "\ud800", "a\0b", [], {}, None, True]


@pytest.mark.parametrize(
    "entry",
    [
        *(None, 5, True, [], ["example.com"], {}, {"ip": "203.0.113.7"}, {"domain": 5}),
        {"domain": "a.test\x0b"},
        *({"domain": "a.test", "name": name} for name in BAD_NAMES),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_an_entry_of_the_wrong_kind_is_reported_by_its_position(api: Api, key: APIKey, entry: Any) -> None:
    shown = api.refused("POST", f"keys/{key.pk}/domains/", ["good.example.com", entry])
    assert shown["allowed_domains"].keys() == {"1"}
    if isinstance(entry, dict):
        api.refused("POST", f"keys/{key.pk}/domains/", entry)


def test_no_more_than_ten_thousand_entries_are_read_at_once(api: Api, key: APIKey, settings: Any) -> None:
    settings.ALLOWLIST = {"MAX_DOMAINS": None}
    shown = api.refused("PUT", f"keys/{key.pk}/domains/", ["x"] * 10_001)
    assert shown == {"allowed_domains": ["Ensure this field has no more than 10000 elements."]}
    assert len(api.ok("PUT", f"keys/{key.pk}/domains/", ["example.com"] * 10_000)) == 1


# Bad bodies, wherever they are sent

WRITES = [
    ("POST", "keys/"),
    ("PATCH", "keys/{key}/"),
    ("POST", "keys/{key}/rotate/"),
    ("POST", "keys/{key}/revoke/"),
    ("POST", "keys/{key}/domains/"),
    ("PUT", "keys/{key}/domains/"),
    ("PATCH", "keys/{key}/domains/{domain}/"),
    ("POST", "keys/{key}/ips/"),
    ("PUT", "keys/{key}/ips/"),
    ("PATCH", "keys/{key}/ips/{ip}/"),
]
ONE_MEGABYTE = 1_000_000
NAMES = ("name", "kind", "domain", "ip", "overlap", "allowed_domains", "allowed_ips")
BODIES: dict[str, bytes] = {
    "null": b"null",
    "number": b"5",
    "huge number": b"9" * 5000,
    "infinity": b"1e999",
    "not a number": b"NaN",
    "true": b"true",
    "text": b'"x"',
    "empty text": b'""',
    "lone surrogate": b'"\\ud800"',
    "NUL": b'"\\u0000"',
    "list of null": b"[null]",
    "list of lists": b"[[[]]]",
    "list of surrogates": b'["\\ud800", "\\udfff.com"]',
    "nested deeply": b"[" * 100_000 + b"]" * 100_000,
    "nested deeply in an object": b'{"name":' * 50_000 + b"1" + b"}" * 50_000,
    "nested in every field": json.dumps({name: {"a": [{}]} for name in NAMES}).encode(),
    "numbers in every field": json.dumps(dict.fromkeys(NAMES, 1e308)).encode(),
    "surrogates in every field": json.dumps(dict.fromkeys(NAMES, "\ud800")).encode(),
    "NUL in every field": json.dumps(dict.fromkeys(NAMES, "\0")).encode(),
    "one megabyte of text": b'"' + b"x" * ONE_MEGABYTE + b'"',
    "one megabyte in every field": json.dumps(dict.fromkeys(NAMES, "x" * (ONE_MEGABYTE // 7))).encode(),
    "one megabyte of entries": json.dumps(["x"] * 200_000).encode(),
    "one megabyte of names": json.dumps({f"field{number}": 1 for number in range(60_000)}).encode(),
    "one megabyte of one name": json.dumps({"x" * ONE_MEGABYTE: 1}).encode(),
    "broken": b'{"name": ',
    "not UTF-8": b'{"name": "\xff"}',
    "UTF-16": '{"name": "x"}'.encode("utf-16"),
    "binary": bytes(range(256)),
}


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_a_bad_body_is_refused_with_a_reason_at_once(
    api: Api, key: APIKey, at: At, method: str, path: str
) -> None:
    path = at(path)
    for name, body in BODIES.items():
        started = time.thread_time()  # What it costs, not how busy the machine is.
        response = api(method, path, body)
        took = time.thread_time() - started
        assert response.status_code == 400, name
        assert response.json(), name
        assert len(response.content) < 100_000, name
        assert texts(key) == ["example.com", "203.0.113.7"], name
        assert took < 1, name


CONTENT_TYPES = [
    (FORM, b"domain=%00&ip=%ff&name=%00&kind=%ff&overlap=x&allowed_domains=x"),
    ("multipart/form-data; boundary=x", b"garbage"),
    ("multipart/form-data", b"garbage"),
    ("text/plain", b"example.com"),
    ("application/xml", b"<x/>"),
    ("", b"{}"),
    ("application/json; charset=nonsense", b"{}"),
    ("application/json; charset=utf-16", b"{}"),
]


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_a_body_of_another_type_is_refused_with_a_reason(
    api: Api, key: APIKey, at: At, method: str, path: str
) -> None:
    path = at(path)
    for content_type, body in CONTENT_TYPES:
        response = api(method, path, body, content_type=content_type)
        assert response.status_code in (200, 400, 415), content_type
        assert texts(key) == ["example.com", "203.0.113.7"], content_type


# Not found

NO_IDS = [
    f"keys/{2**63}/",
    f"keys/{10**40}/",
    f"keys/{'9' * 4301}/",
    "keys/0/",
    "keys/-1/",
    "keys/x/",
    "keys/%00/",
    "keys/٣/",
    f"keys/{2**63}/domains/",
    f"keys/{10**40}/ips/1/",
    "keys/{key}/domains/" + str(10**40) + "/",
    "keys/{key}/ips/" + str(2**63) + "/",
    "keys/{key}/domains/x/",
]


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE", "PUT", "POST", "OPTIONS"])
def test_an_id_that_names_nothing_is_not_found(api: Api, key: APIKey, at: At, method: str) -> None:
    for path in NO_IDS:
        status = api(method, at(path), {}).status_code
        assert status == 404 or (status == 405 and method not in ("GET", "OPTIONS")), path


@pytest.mark.parametrize(("method", "path"), [each for each in WRITES if each[1] != "keys/"])
def test_not_found_comes_before_any_field_is_judged(stranger: User, at: At, method: str, path: str) -> None:
    for body in (b'{"name": ', b"null", b'{"kind": "?"}', b"[5]", b"\xff"):
        assert Api(stranger).refused(method, at(path), body, 404) == {"detail": "Not found."}


# Methods, descriptions and pages

ROUTES = {
    "keys/": {"GET", "POST"},
    "keys/{key}/": {"GET", "PATCH", "DELETE"},
    "keys/{key}/rotate/": {"POST"},
    "keys/{key}/revoke/": {"POST"},
    "keys/{key}/domains/": {"GET", "POST", "PUT"},
    "keys/{key}/domains/{domain}/": {"GET", "PATCH", "DELETE"},
    "keys/{key}/ips/": {"GET", "POST", "PUT"},
    "keys/{key}/ips/{ip}/": {"GET", "PATCH", "DELETE"},
}


@pytest.mark.parametrize("path", ROUTES)
def test_options_describe_the_route_only_to_the_creator(api: Api, at: At, path: str, stranger: User) -> None:
    response = api("OPTIONS", at(path))
    assert response.json()["name"]
    reading = {"HEAD"} if "GET" in ROUTES[path] else set()
    assert set(response.headers["Allow"].split(", ")) == ROUTES[path] | {"OPTIONS"} | reading
    if "{" in path:
        Api(stranger).refused("OPTIONS", at(path), status=404)


PAGE_BODIES = [
    {},
    {"name": "N", "expires_at": "tomorrow"},
    dict.fromkeys(NAMES, "\ud800"),
    {"\ud800": 1},
    {"name": {"\ud800": ["\ud800"]}, "domain": [], "overlap": {}},
    b'{"name": ' + b"[" * 900 + b"]" * 900 + b"}",  # Python 3.11 can't print that.
    ["\ud800", 5],
    5,
]


@pytest.mark.filterwarnings(URLIZE)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", ROUTES)
def test_the_browsable_page_of_every_route_renders(api: Api, at: At, path: str, method: str) -> None:
    path, allowed = at(path), ROUTES[path] | {"OPTIONS"}
    for body in PAGE_BODIES if method in ("POST", "PUT", "PATCH") else [{}]:
        response = api(method, path, body, HTTP_ACCEPT="text/html")
        assert response.status_code in ((200, 201, 400) if method in allowed else (405,)), body
        assert "Django REST framework" in response.content.decode()


@pytest.mark.filterwarnings(URLIZE)
@pytest.mark.parametrize("expires_at", ["tomorrow", "\ud800", "2020-01-01T00:00:00Z"])
def test_the_browsable_form_shows_what_was_typed(api: Api, expires_at: str) -> None:
    response = api("POST", "keys/", {"name": "", "expires_at": expires_at}, HTTP_ACCEPT="text/html")
    typed = re.search(r'name="expires_at"[^>]*value="([^"]*)"', response.content.decode())
    assert typed
    assert typed[1] == expires_at.replace("\ud800", "\\ud800")


@pytest.mark.filterwarnings(URLIZE)
@pytest.mark.parametrize(("step", "fields"), [("rotate", {"overlap"}), ("revoke", set())])
def test_the_browsable_page_of_a_step_has_the_fields_of_the_step(
    api: Api, key: APIKey, step: str, fields: set[str]
) -> None:
    page = api("GET", f"keys/{key.pk}/{step}/", HTTP_ACCEPT="text/html").content.decode()
    shown = set(re.findall(r'<(?:input|select)[^>]* name="([a-z]\w*)"', page))
    assert shown - {"csrfmiddlewaretoken"} == fields


@pytest.mark.filterwarnings(URLIZE)
def test_what_the_browsable_page_fills_in_can_be_sent_as_it_is(api: Api) -> None:
    page = api("GET", "keys/", HTTP_ACCEPT="text/html").content.decode()
    filled = re.search(r"<textarea[^>]*>(.*?)</textarea>", page, re.DOTALL)
    assert filled
    body = json.loads(html.unescape(filled[1]))
    assert body.pop("name") == ""
    made = api("POST", "keys/", {**body, "name": "Shop", "allowed_domains": ["example.com"]})
    assert (made.status_code, made.json()["domain_mode"]) == (201, "listed")


@pytest.mark.filterwarnings(URLIZE)
@pytest.mark.parametrize("path", [path for path in ROUTES if "{" in path])
def test_the_browsable_page_of_someone_elses_key_shows_nothing_of_it(
    stranger: User, at: At, path: str, key: APIKey
) -> None:
    key.add_domains(["hidden.test"])
    page = Api(stranger)("GET", at(path), HTTP_ACCEPT="text/html").content.decode()
    for seen in ("Widget", key.token, key.hint, "hidden.test", "203.0.113.7"):
        assert seen not in page


@pytest.mark.filterwarnings(URLIZE)
def test_the_browsable_page_of_a_rotation_shows_the_new_token(api: Api, creator: User) -> None:
    made = APIKey.objects.create_key(name="Server", creator=creator, kind="secret")[0]
    page = api("POST", f"keys/{made.pk}/rotate/", {}, HTTP_ACCEPT="text/html").content.decode()
    assert re.search(r"sk_live_[a-z0-9]{12}[A-Za-z0-9]{32}", page)


# Someone else's change in the middle of ours


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "keys/{key}/", {"name": "N"}),
        ("PATCH", "keys/{key}/", {"domain_mode": "all"}),
        ("POST", "keys/{key}/rotate/", {}),
        ("POST", "keys/{key}/revoke/", {}),
        ("POST", "keys/{key}/domains/", "a.test"),
        ("POST", "keys/{key}/domains/", ["a.test"]),
        ("PUT", "keys/{key}/ips/", ["198.51.100.1"]),
        ("PATCH", "keys/{key}/domains/{domain}/", {"name": "N"}),
        ("DELETE", "keys/{key}/domains/{domain}/", {}),
    ],
)
def test_a_key_deleted_in_the_meantime_is_reported(
    api: Api, key: APIKey, at: At, method: str, path: str, body: Any
) -> None:
    path = at(path)
    meanwhile = Meanwhile(APIKey.objects.filter(pk=key.pk).delete, "UPDATE", "revision")
    with connection.execute_wrapper(meanwhile):
        response = api(method, path, body)
    assert meanwhile.do is None
    assert (response.status_code, list(response.json())) == (400, ["non_field_errors"])


def test_a_key_deleted_twice_at_once_is_gone(api: Api, key: APIKey) -> None:
    meanwhile = Meanwhile(APIKey.objects.filter(pk=key.pk).delete, "DELETE")
    with connection.execute_wrapper(meanwhile):
        assert api("DELETE", f"keys/{key.pk}/").status_code == 204


def test_an_entry_removed_in_the_meantime_is_reported(api: Api, key: APIKey) -> None:
    key.add_domains(["a.test"])
    path = f"keys/{key.pk}/domains/{key.allowed_domains.get(domain='a.test').pk}/"
    meanwhile = Meanwhile(lambda: key.remove_domains(["a.test"]), "UPDATE", "revision")
    with connection.execute_wrapper(meanwhile):
        response = api("PATCH", path, {"name": "N"})
    assert (response.status_code, list(response.json())) == (400, ["allowed_domains"])


def test_a_key_taken_over_in_the_meantime_is_not_found(api: Api, key: APIKey, stranger: User) -> None:
    meanwhile = Meanwhile(lambda: key.take_over(stranger), "UPDATE", "revision")
    with connection.execute_wrapper(meanwhile):
        assert api("PATCH", f"keys/{key.pk}/", {"name": "Mine still"}).status_code == 404
    key.refresh_from_db()
    assert key.name == "Widget"
