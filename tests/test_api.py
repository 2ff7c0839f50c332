"""The management API over HTTP: what goes in, what comes out, and what is refused with which words."""

import html
import json
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client, override_settings
from django.utils import timezone
from rest_framework.authentication import SessionAuthentication
from rest_framework.filters import BaseFilterBackend
from rest_framework.generics import GenericAPIView
from rest_framework.pagination import PageNumberPagination
from rest_framework.permissions import AllowAny, IsAdminUser
from rest_framework.views import APIView

from allowlist.api.views import APIKeyViewSet
from allowlist.authentication import APIKeyAuthentication
from allowlist.models import AllowedDomain, APIKey
from allowlist.permissions import IsAllowlisted
from allowlist.policy.tokens import Token
from tests.conftest import MakeUser, User
from tests.management import ALL_WITH_ENTRIES, NOTHING, Api, Meanwhile, snapshot, texts
from tests.testapp.views import HeaderAuthentication, ProjectKeyViewSet

FIELDS = {
    "id", "name", "kind", "environment", "token", "domain_mode", "ip_mode", "condition", "enforcement",
    "allowed_domains", "allowed_ips", "created_at", "last_used_at", "expires_at", "revoked_at",
}  # fmt: skip
URLIZE = "ignore:The default protocol will be changed"


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
def at(key: APIKey) -> Callable[[str], str]:
    """Return a function that fills in a route."""
    domain, ip = key.allowed_domains.get().pk, key.allowed_ips.get().pk
    return lambda path: path.format(key=key.pk, domain=domain, ip=ip)


DEFAULTS: dict[str, tuple[type, str]] = {
    "DEFAULT_AUTHENTICATION_CLASSES": (APIView, "authentication_classes"),
    "DEFAULT_PERMISSION_CLASSES": (APIView, "permission_classes"),
    "DEFAULT_FILTER_BACKENDS": (GenericAPIView, "filter_backends"),
    "DEFAULT_PAGINATION_CLASS": (GenericAPIView, "pagination_class"),
}
"""Where DRF's defaults go when it is imported, which is before any test can set them."""


@pytest.fixture
def set_default(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Any], None]:
    """Return a function that gives the project another default for all views of DRF."""
    return lambda name, value: monkeypatch.setattr(*DEFAULTS[name], value)


# Reading


def test_the_list_of_keys_has_the_users_keys_alone(api: Api, key: APIKey, stranger: User) -> None:
    APIKey.objects.create_key(name="Another's", creator=stranger)
    assert [each["id"] for each in api.ok("GET", "keys/")] == [key.pk]


def test_a_key_reads_with_all_its_fields_and_both_lists(api: Api, key: APIKey) -> None:
    shown = api.ok("GET", f"keys/{key.pk}/")
    domain, ip = key.allowed_domains.get(), key.allowed_ips.get()
    assert shown.keys() == FIELDS
    assert shown["allowed_domains"] == [{"id": domain.pk, "name": "", "domain": "example.com"}]
    assert shown["allowed_ips"] == [{"id": ip.pk, "name": "", "ip": "203.0.113.7"}]
    assert (shown["name"], shown["kind"], shown["environment"]) == ("Widget", "publishable", "live")
    assert (shown["domain_mode"], shown["ip_mode"]) == ("listed", "listed")
    assert (shown["condition"], shown["enforcement"]) == ("all", "enforce")
    assert shown["token"] == key.token
    assert shown["last_used_at"] is shown["expires_at"] is shown["revoked_at"] is None


def test_times_are_shown_with_what_they_mean(api: Api, key: APIKey) -> None:
    shown = api.ok("GET", f"keys/{key.pk}/")["created_at"]
    at = datetime.fromisoformat(shown)
    now = datetime.now(UTC) if django_settings.USE_TZ else timezone.now()
    assert timedelta(0) <= now - at < timedelta(minutes=1)


def test_reading_a_key_asks_the_database_no_more_for_more_entries(
    api: Api, key: APIKey, django_assert_max_num_queries: Any
) -> None:
    key.add_domains([f"{number}.example.com" for number in range(20)])
    with django_assert_max_num_queries(8):  # session, user, key, its two lists, savepoints
        assert len(api.ok("GET", f"keys/{key.pk}/")["allowed_domains"]) == 21


def test_the_list_of_keys_asks_the_database_no_more_for_more_keys(
    api: Api, creator: User, django_assert_max_num_queries: Any
) -> None:
    for number in range(10):
        APIKey.objects.create_key(name=f"Key {number}", creator=creator, allowed_domains=["example.com"])
    with django_assert_max_num_queries(8):
        assert len(api.ok("GET", "keys/")) == 10


def test_neither_digest_nor_revision_is_shown(api: Api, key: APIKey) -> None:
    key.refresh_from_db()
    shown = api("GET", f"keys/{key.pk}/").content.decode()
    assert key.digest not in shown
    assert str(key.revision) not in shown


@pytest.mark.parametrize(
    ("segment", "column", "text"), [("domains", "domain", "example.com"), ("ips", "ip", "203.0.113.7")]
)
def test_entries_are_listed_and_read_one_by_one(
    api: Api, key: APIKey, segment: str, column: str, text: str
) -> None:
    [entry] = api.ok("GET", f"keys/{key.pk}/{segment}/")
    assert entry == {"id": entry["id"], "name": "", column: text}
    assert api.ok("GET", f"keys/{key.pk}/{segment}/{entry['id']}/") == entry


class SmallPages(PageNumberPagination):
    """A project's pagination."""

    page_size = 3


def test_entries_are_not_paginated_though_the_project_paginates(
    api: Api, key: APIKey, set_default: Callable[[str, Any], None], creator: User
) -> None:
    for _ in range(4):
        APIKey.objects.create_key(name="Another", creator=creator)
    key.add_domains([f"{number}.example.com" for number in range(9)])
    set_default("DEFAULT_PAGINATION_CLASS", SmallPages)
    assert len(api.ok("GET", "keys/")["results"]) == 3  # Keys are.
    assert len(api.ok("GET", f"keys/{key.pk}/domains/")) == 10
    assert len(api.ok("PUT", f"keys/{key.pk}/domains/", [f"{n}.test" for n in range(5)])) == 5
    assert len(api.ok("GET", f"keys/{key.pk}/")["allowed_domains"]) == 5


# Making a key


def test_a_plain_new_key_is_publishable_live_and_open(api: Api, creator: User) -> None:
    shown = api.ok("POST", "keys/", {"name": "Plain"}, 201)
    assert shown.keys() == FIELDS
    assert (shown["kind"], shown["environment"]) == ("publishable", "live")
    assert (shown["domain_mode"], shown["ip_mode"]) == ("all", "all")
    assert APIKey.objects.get(pk=shown["id"]).creator == creator


def test_a_new_key_takes_texts_and_objects_and_its_lists_are_turned_on(api: Api) -> None:
    body = {
        "name": "Both",
        "allowed_domains": ["HTTPS://Example.com/", {"name": "Ours", "domain": "*.example.com"}],
        "allowed_ips": [{"ip": "203.0.113.7"}, "2001:DB8::/32"],
    }
    shown = api.ok("POST", "keys/", body, 201)
    assert [(each["name"], each["domain"]) for each in shown["allowed_domains"]] == [
        ("", "https://example.com"),
        ("Ours", "*.example.com"),
    ]
    assert [each["ip"] for each in shown["allowed_ips"]] == ["203.0.113.7", "2001:db8::/32"]
    assert (shown["domain_mode"], shown["ip_mode"]) == ("listed", "listed")


def test_a_list_given_turns_on_its_own_mode_alone(api: Api) -> None:
    shown = api.ok("POST", "keys/", {"name": "Sites", "allowed_domains": ["example.com"]}, 201)
    assert (shown["domain_mode"], shown["ip_mode"]) == ("listed", "all")


def test_an_empty_list_given_turns_nothing_on(api: Api) -> None:
    shown = api.ok("POST", "keys/", {"name": "Open", "allowed_domains": [], "allowed_ips": []}, 201)
    assert (shown["domain_mode"], shown["ip_mode"]) == ("all", "all")


def test_a_new_keys_duplicates_are_listed_once(api: Api) -> None:
    body = {"name": "Twice", "allowed_domains": ["example.com", "EXAMPLE.com", "example.com."]}
    assert len(api.ok("POST", "keys/", body, 201)["allowed_domains"]) == 1


def test_every_field_of_a_new_key_can_be_chosen(api: Api) -> None:
    chosen = {
        "kind": "secret",
        "environment": "test",
        "ip_mode": "listed",
        "condition": "any",
        "enforcement": "report",
        "expires_at": "2099-01-02T03:04:05Z" if django_settings.USE_TZ else "2099-01-02T03:04:05",
    }
    shown = api.ok("POST", "keys/", {"name": "Server", **chosen, "allowed_ips": ["203.0.113.7"]}, 201)
    expires = datetime.fromisoformat(shown.pop("expires_at"))
    assert expires == datetime.fromisoformat(chosen.pop("expires_at"))
    assert {name: shown[name] for name in chosen} == chosen


def test_a_publishable_token_is_shown_always(api: Api) -> None:
    made = api.ok("POST", "keys/", {"name": "Page"}, 201)
    assert Token.parse(made["token"])
    assert made["token"].startswith("pk_live_")
    assert api.ok("GET", f"keys/{made['id']}/")["token"] == made["token"]
    assert api.ok("GET", "keys/")[0]["token"] == made["token"]


def test_a_secret_token_is_shown_once_by_the_answer_that_made_it(api: Api) -> None:
    made = api.ok("POST", "keys/", {"name": "Server", "kind": "secret"}, 201)
    assert Token.parse(made["token"])
    assert made["token"].startswith("sk_live_")
    path = f"keys/{made['id']}/"
    later = [
        api.ok("GET", path),
        api.ok("GET", "keys/")[0],
        api.ok("PATCH", path, {"name": "Renamed"}),
        api.ok("POST", f"{path}revoke/"),
    ]
    assert all(shown.keys() == FIELDS - {"token"} for shown in later)
    assert made["token"] not in json.dumps(later)


@pytest.mark.parametrize(
    "posted",
    [
        {"token": "pk_live_mine"},
        {"digest": "0" * 64},
        {"locator": "a" * 12},
        {"creator": 1},
        {"creator_id": 1},
        {"id": 77777},
        {"revoked_at": "2020-01-01T00:00:00"},
        {"last_used_at": "2020-01-01T00:00:00"},
        {"created_at": "2020-01-01T00:00:00"},
    ],
    ids=str,
)
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_what_no_creator_writes_is_ignored(
    api: Api, key: APIKey, creator: User, stranger: User, posted: dict[str, Any], method: str
) -> None:
    if "creator" in next(iter(posted)):
        posted = dict.fromkeys(posted, str(stranger.pk))
    if method == "POST":
        shown = api.ok("POST", "keys/", {"name": "New", **posted}, 201)
    else:
        shown = api.ok("PATCH", f"keys/{key.pk}/", posted)
    row = APIKey.objects.get(pk=shown["id"])
    assert row.creator == creator
    assert Token.parse(row.token) is not None
    assert row.pk != 77777
    assert row.revoked_at is row.last_used_at is None
    assert row.created_at.year > 2020
    assert row.digest != "0" * 64
    assert row.locator != "a" * 12


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("allowed_domain", "allowed_domains"),
        ("allowedDomains", "allowed_domains"),
        ("allowed_ip", "allowed_ips"),
        ("domain_modes", "domain_mode"),
        ("expires", "expires_at"),
    ],
)
def test_a_misspelt_field_is_refused_as_the_key_would_be_open_without_it(
    api: Api, key: APIKey, sent: str, meant: str
) -> None:
    told = {sent: [f"There is no such field. Did you mean “{meant}”?"]}
    assert api.refused("POST", "keys/", {"name": "Typo", sent: ["example.com"]}) == told
    assert api.refused("PATCH", f"keys/{key.pk}/", {sent: ["example.com"]}) == told


def test_all_with_entries_is_refused_for_a_new_key(api: Api) -> None:
    body = {"name": "Torn", "domain_mode": "all", "allowed_domains": ["example.com"]}
    shown = api.refused("POST", "keys/", body)
    assert shown["allowed_domains"] == [ALL_WITH_ENTRIES]


def test_listed_without_entries_is_refused_for_a_new_key(api: Api) -> None:
    shown = api.refused("POST", "keys/", {"name": "Empty", "ip_mode": "listed"})
    assert shown == {
        "allowed_ips": [
            "“Allow only listed IPs” needs at least one IP address. Add one, or choose “Allow all IPs”."
        ]
    }


def test_a_secret_key_with_domains_is_refused_with_a_sentence(api: Api) -> None:
    body = {"name": "Server", "kind": "secret", "allowed_domains": ["example.com"]}
    assert api.refused("POST", "keys/", body) == {
        "allowed_domains": [
            "Secret keys are for servers, so they have no domain list. List IP addresses instead."
        ]
    }


def test_a_26th_entry_is_refused_with_the_limit(api: Api) -> None:
    body = {"name": "Many", "allowed_domains": [f"{number}.example.com" for number in range(26)]}
    assert api.refused("POST", "keys/", body) == {
        "allowed_domains": ["A key can list at most 25 domains. This would make 26."]
    }


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": None}, "name"),
        ({"name": ["x"]}, "name"),
        ({"name": "a\0b"}, "name"),
        ({"name": "\ud800"}, "name"),
        ({"name": "N", "kind": "public"}, "kind"),
        ({"name": "N", "kind": "\ud800"}, "kind"),
        ({"name": "N", "kind": ["secret"]}, "kind"),
        ({"name": "N", "kind": "x" * 1_000_000}, "kind"),
        ({"name": "N", "environment": "prod"}, "environment"),
        ({"name": "N", "condition": "never"}, "condition"),
        ({"name": "N", "enforcement": None}, "enforcement"),
        ({"name": "N", "domain_mode": "none"}, "domain_mode"),
        ({"name": "N", "ip_mode": 1}, "ip_mode"),
        ({"name": "N", "expires_at": "tomorrow"}, "expires_at"),
        ({"name": "N", "expires_at": {}}, "expires_at"),
        ({"name": "N", "expires_at": 5}, "expires_at"),
        ({"name": "N", "allowed_domains": "example.com"}, "allowed_domains"),
        ({"name": "N", "allowed_domains": {"domain": "example.com"}}, "allowed_domains"),
        ({"name": "N", "allowed_domains": None}, "allowed_domains"),
        ({"name": "N", "allowed_ips": 5}, "allowed_ips"),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_a_wrong_field_is_told_under_its_name(api: Api, body: Any, field: str) -> None:
    shown = api.refused("POST", "keys/", body)
    assert list(shown) == [field]
    assert len(json.dumps(shown)) < 400


@pytest.mark.parametrize(
    "expires_at",
    [
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-12:00",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "9999-12-31T23:59:59",
    ],
)
def test_a_date_at_the_end_of_time_is_refused(api: Api, key: APIKey, expires_at: str) -> None:
    assert api.refused("POST", "keys/", {"name": "N", "expires_at": expires_at}).keys() == {"expires_at"}
    assert api.refused("PATCH", f"keys/{key.pk}/", {"expires_at": expires_at}).keys() == {"expires_at"}


@pytest.mark.parametrize("expires_at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
def test_a_date_beyond_the_end_of_time_is_refused_without_time_zones_too(
    api: Api, settings: Any, expires_at: str
) -> None:
    settings.USE_TZ = False
    assert api.refused("POST", "keys/", {"name": "N", "expires_at": expires_at}).keys() == {"expires_at"}


@pytest.mark.parametrize("expires_at", ["0002-01-01T00:00:00", "9998-12-31T23:59:59"])
def test_a_date_far_away_is_stored_and_shown(api: Api, expires_at: str) -> None:
    shown = api.ok("POST", "keys/", {"name": "N", "expires_at": expires_at}, 201)
    assert shown["expires_at"].startswith(expires_at)
    assert api.ok("GET", "keys/")[0]["expires_at"] == shown["expires_at"]


# Changing a key


def test_a_patch_changes_what_it_names_alone(api: Api, key: APIKey) -> None:
    before = api.ok("GET", f"keys/{key.pk}/")
    shown = api.ok("PATCH", f"keys/{key.pk}/", {"name": "Renamed", "enforcement": "report"})
    assert shown == {**before, "name": "Renamed", "enforcement": "report"}
    assert api.ok("GET", f"keys/{key.pk}/") == shown


def test_a_patch_of_nothing_changes_nothing(api: Api, key: APIKey) -> None:
    before = api.ok("GET", f"keys/{key.pk}/")
    assert api.ok("PATCH", f"keys/{key.pk}/", {}) == before


def test_a_patch_of_a_list_replaces_it_and_what_stays_keeps_its_row(api: Api, key: APIKey) -> None:
    kept = key.allowed_domains.get()
    shown = api.ok("PATCH", f"keys/{key.pk}/", {"allowed_domains": ["new.example.com", "example.com"]})
    assert {each["domain"]: each["id"] for each in shown["allowed_domains"]}["example.com"] == kept.pk
    assert len(shown["allowed_domains"]) == 2
    assert [each["ip"] for each in shown["allowed_ips"]] == ["203.0.113.7"]


def test_a_patch_of_a_list_that_is_off_leaves_it_off(api: Api, creator: User) -> None:
    made = APIKey.objects.create_key(name="Open", creator=creator)[0]
    shown = api.ok("PATCH", f"keys/{made.pk}/", {"allowed_domains": ["example.com"]})
    assert (shown["domain_mode"], len(shown["allowed_domains"])) == ("all", 1)


def test_a_patch_turns_a_list_off_and_empties_it(api: Api, key: APIKey) -> None:
    shown = api.ok("PATCH", f"keys/{key.pk}/", {"domain_mode": "all"})
    assert (shown["domain_mode"], shown["allowed_domains"]) == ("all", [])
    assert (shown["ip_mode"], len(shown["allowed_ips"])) == ("listed", 1)


def test_a_patch_of_modes_and_whole_lists_is_one_change(api: Api, key: APIKey) -> None:
    body = {"domain_mode": "all", "ip_mode": "listed", "allowed_ips": ["198.51.100.1"], "condition": "any"}
    shown = api.ok("PATCH", f"keys/{key.pk}/", body)
    assert (shown["domain_mode"], shown["allowed_domains"]) == ("all", [])
    assert [each["ip"] for each in shown["allowed_ips"]] == ["198.51.100.1"]
    assert shown["condition"] == "any"
    back = {"domain_mode": "listed", "allowed_domains": ["again.example.com"]}
    assert api.ok("PATCH", f"keys/{key.pk}/", back)["domain_mode"] == "listed"


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"domain_mode": "all", "allowed_domains": ["new.example.com"]}, {"allowed_domains"}),
        ({"allowed_domains": []}, {"allowed_domains"}),
        ({"name": "Renamed", "allowed_domains": ["new.example.com"], "allowed_ips": []}, {"allowed_ips"}),
        ({"name": "Renamed", "domain_mode": "all", "allowed_ips": ["example.com"]}, {"allowed_ips"}),
        ({"kind": "secret"}, {"kind"}),
        ({"environment": "test", "name": "Renamed"}, {"environment"}),
        ({"name": "Renamed", "condition": "?"}, {"condition"}),
    ],
    ids=str,
)
def test_a_patch_that_is_wrong_in_one_point_changes_nothing(
    api: Api, key: APIKey, body: Any, fields: set[str]
) -> None:
    assert api.refused("PATCH", f"keys/{key.pk}/", body).keys() == fields


def test_all_with_an_empty_list_is_no_contradiction(api: Api, key: APIKey) -> None:
    shown = api.ok("PATCH", f"keys/{key.pk}/", {"domain_mode": "all", "allowed_domains": []})
    assert shown["allowed_domains"] == []


def test_kind_and_environment_may_be_sent_back_as_they_are(api: Api, key: APIKey) -> None:
    whole = api.ok("GET", f"keys/{key.pk}/")
    assert api.ok("PATCH", f"keys/{key.pk}/", whole) == whole


def test_kind_and_environment_are_fixed_for_good(api: Api, key: APIKey) -> None:
    shown = api.refused("PATCH", f"keys/{key.pk}/", {"kind": "secret"})
    assert shown == {"kind": ["This is fixed for good. Make another key."]}


def test_a_mode_the_settings_do_not_offer_is_refused(api: Api, key: APIKey, settings: Any) -> None:
    settings.ALLOWLIST = {"DOMAIN_MODES": ("listed",), "EMPTY_LIST": "deny", "CONDITIONS": ("all",)}
    assert api.refused("PATCH", f"keys/{key.pk}/", {"domain_mode": "all"}) == {
        "allowed_domains": ["This site doesn't let you choose how domains are checked."]
    }
    assert api.refused("PATCH", f"keys/{key.pk}/", {"condition": "any"}) == {
        "condition": ["Choose one of: all."]
    }


def test_a_stale_list_cannot_lift_a_limit_made_meanwhile(api: Api, key: APIKey, settings: Any) -> None:
    key.add_domains(["b.example.com", "c.example.com"])
    settings.ALLOWLIST = {"MAX_DOMAINS": 2}
    assert len(api.ok("PATCH", f"keys/{key.pk}/", {"name": "Renamed"})["allowed_domains"]) == 3
    shown = api.refused("POST", f"keys/{key.pk}/domains/", "d.example.com")
    assert shown == {"allowed_domains": ["A key can list at most 2 domains. This would make 4."]}


def test_a_key_is_deleted_with_its_entries(api: Api, key: APIKey) -> None:
    assert api("DELETE", f"keys/{key.pk}/").status_code == 204
    assert not APIKey.objects.exists()
    assert not AllowedDomain.objects.exists()
    assert api("GET", f"keys/{key.pk}/").status_code == 404


# Rotating and revoking


def test_rotating_gives_a_new_token_and_ends_the_old_one(api: Api, key: APIKey) -> None:
    shown = api.ok("POST", f"keys/{key.pk}/rotate/")
    assert shown.keys() == FIELDS
    assert shown["token"] != key.token
    key.refresh_from_db()
    assert key.token == shown["token"]
    assert not key.previous_digest


def test_rotating_a_secret_key_shows_the_token_in_that_answer_alone(api: Api, creator: User) -> None:
    made, old = APIKey.objects.create_key(name="Server", creator=creator, kind="secret")
    new = api.ok("POST", f"keys/{made.pk}/rotate/", {})["token"]
    assert Token.parse(new)
    assert new != old
    made.refresh_from_db()
    parsed = Token.parse(new)
    assert parsed is not None
    assert (made.token, made.digest) == ("", parsed.digest)
    assert "token" not in api.ok("GET", f"keys/{made.pk}/")


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
        -1,
        "-1 00:00:00",
        366 * 86400,
        "soon",
        None,
        [],
        {},
        1e308,
        1e-400,
        "\ud800",
        "9" * 5000,
        "P999999999D",
        True,
    ],
)
def test_a_wrong_overlap_is_refused(api: Api, key: APIKey, overlap: Any) -> None:
    if overlap == 0:  # What JSON makes of a number too small to be told from nothing.
        api.ok("POST", f"keys/{key.pk}/rotate/", {"overlap": overlap})
        return
    api.refused("POST", f"keys/{key.pk}/rotate/", {"overlap": overlap})


def test_revoking_ends_the_key_and_is_told(api: Api, key: APIKey) -> None:
    shown = api.ok("POST", f"keys/{key.pk}/revoke/")
    assert shown["revoked_at"] is not None
    assert api.ok("POST", f"keys/{key.pk}/revoke/")["revoked_at"] == shown["revoked_at"]


def test_a_revoked_key_is_not_rotated(api: Api, key: APIKey) -> None:
    key.revoke()
    shown = api.refused("POST", f"keys/{key.pk}/rotate/")
    assert shown == {"non_field_errors": ["This key is revoked. Create a new one."]}


# One list


@pytest.mark.parametrize("body", ["NEW.example.com", {"domain": "NEW.example.com"}])
def test_an_entry_is_added_as_a_text_or_an_object(api: Api, key: APIKey, body: Any) -> None:
    shown = api.ok("POST", f"keys/{key.pk}/domains/", body, 201)
    assert shown == {"id": shown["id"], "name": "", "domain": "new.example.com"}
    assert texts(key) == ["example.com", "new.example.com", "203.0.113.7"]


def test_an_entry_may_have_a_name(api: Api, key: APIKey) -> None:
    shown = api.ok("POST", f"keys/{key.pk}/ips/", {"name": "Office", "ip": "198.51.100.0/24"}, 201)
    assert shown == {"id": shown["id"], "name": "Office", "ip": "198.51.100.0/24"}


def test_an_entry_that_is_listed_already_is_refused(api: Api, key: APIKey) -> None:
    assert api.refused("POST", f"keys/{key.pk}/domains/", "EXAMPLE.com.") == {
        "domain": ["“example.com” is in the list already."]
    }


def test_adding_several_skips_and_tells_what_is_listed_already(api: Api, key: APIKey) -> None:
    body = ["Example.com", "a.example.com", {"name": "B", "domain": "b.example.com"}, "A.example.com"]
    shown = api.ok("POST", f"keys/{key.pk}/domains/", body, 201)
    assert [(each["name"], each["domain"]) for each in shown["added"]] == [
        ("", "a.example.com"),
        ("B", "b.example.com"),
    ]
    assert all(isinstance(each["id"], int) for each in shown["added"])
    assert shown["duplicates"] == ["example.com", "a.example.com"]


def test_adding_several_is_all_or_nothing_and_tells_each_by_its_position(api: Api, key: APIKey) -> None:
    shown = api.refused("POST", f"keys/{key.pk}/domains/", ["a.example.com", "*.com", {"domain": "null"}])
    assert shown.keys() == {"allowed_domains"}
    assert shown["allowed_domains"].keys() == {"1", "2"}


def test_several_beyond_the_limit_are_refused(api: Api, key: APIKey) -> None:
    shown = api.refused("POST", f"keys/{key.pk}/ips/", [f"203.0.113.{number}" for number in range(26)])
    assert shown == {"allowed_ips": ["A key can list at most 25 IP addresses. This would make 26."]}


def test_put_makes_the_list_exactly_what_is_sent(api: Api, key: APIKey) -> None:
    kept = key.allowed_domains.get().pk
    shown = api.ok(
        "PUT", f"keys/{key.pk}/domains/", ["a.example.com", {"name": "Kept", "domain": "example.com"}]
    )
    assert {each["domain"]: each["name"] for each in shown} == {"a.example.com": "", "example.com": "Kept"}
    assert next(each["id"] for each in shown if each["domain"] == "example.com") == kept
    assert [each["domain"] for each in api.ok("PUT", f"keys/{key.pk}/domains/", ["c.example.com"])] == [
        "c.example.com"
    ]


def test_put_keeps_the_name_of_an_entry_sent_as_a_text(api: Api, key: APIKey) -> None:
    api.ok("PUT", f"keys/{key.pk}/domains/", [{"name": "Ours", "domain": "example.com"}])
    assert api.ok("PUT", f"keys/{key.pk}/domains/", ["example.com"])[0]["name"] == "Ours"
    assert api.ok("PUT", f"keys/{key.pk}/domains/", [{"name": "", "domain": "example.com"}])[0]["name"] == ""


def test_put_of_nothing_is_refused_while_the_list_is_on(api: Api, key: APIKey) -> None:
    api.refused("PUT", f"keys/{key.pk}/domains/", [])
    key.allow_all_domains()
    key.add_domains(["example.com"])
    assert api.ok("PUT", f"keys/{key.pk}/domains/", []) == []


@pytest.mark.parametrize(
    "body", [None, 5, True, "example.com", {}, {"domain": "example.com"}, {"0": "a.test"}, NOTHING]
)
def test_put_of_anything_but_a_list_is_refused(api: Api, key: APIKey, body: Any) -> None:
    key.allow_all_domains()
    key.add_domains(["example.com"])
    assert api.refused("PUT", f"keys/{key.pk}/domains/", body) == {
        "allowed_domains": ["Send a list of entries, as JSON."]
    }


@pytest.mark.parametrize(
    "content_type", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
)
def test_put_of_a_form_does_not_empty_the_list(api: Api, key: APIKey, content_type: str) -> None:
    key.allow_all_domains()
    key.add_domains(["example.com"])
    body = (
        b"domain=new.example.com"
        if "urlencoded" in content_type
        else (b'--x\r\nContent-Disposition: form-data; name="domain"\r\n\r\nnew.example.com\r\n--x--\r\n')
    )
    response = api("PUT", f"keys/{key.pk}/domains/", body, content_type=content_type)
    assert response.status_code == 400
    assert texts(key)[0] == "example.com"


def test_an_entry_is_renamed_and_rewritten(api: Api, key: APIKey) -> None:
    path = f"keys/{key.pk}/domains/{key.allowed_domains.get().pk}/"
    assert api.ok("PATCH", path, {"name": "Shop"})["domain"] == "example.com"
    shown = api.ok("PATCH", path, {"domain": "HTTPS://Shop.example.com/"})
    assert (shown["name"], shown["domain"]) == ("Shop", "https://shop.example.com")


def test_an_entry_is_not_rewritten_to_one_that_is_listed(api: Api, key: APIKey) -> None:
    key.add_domains(["a.example.com"])
    path = f"keys/{key.pk}/domains/{key.allowed_domains.first().pk}/"  # type: ignore[union-attr]
    assert api.refused("PATCH", path, {"domain": "a.example.com"}) == {
        "domain": ["“a.example.com” is in the list already."]
    }


def test_an_entry_never_moves_to_another_key(api: Api, key: APIKey, creator: User) -> None:
    other = APIKey.objects.create_key(name="Other", creator=creator)[0]
    entry = key.allowed_domains.get()
    api.ok("PATCH", f"keys/{key.pk}/domains/{entry.pk}/", {"key": other.pk, "key_id": other.pk})
    entry.refresh_from_db()
    assert entry.key == key


def test_an_entry_is_found_under_its_own_key_and_list_alone(api: Api, key: APIKey, creator: User) -> None:
    other = APIKey.objects.create_key(
        name="Other", creator=creator, allowed_domains=["other.example"], allowed_ips=["198.51.100.1"]
    )[0]
    other.add_ips(["198.51.100.2"])
    for path in (
        f"keys/{key.pk}/domains/{other.allowed_domains.get().pk}/",
        f"keys/{key.pk}/domains/{other.allowed_ips.last().pk}/",  # type: ignore[union-attr]
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


def test_the_last_entry_of_a_list_that_is_on_is_not_removed(api: Api, key: APIKey) -> None:
    path = f"keys/{key.pk}/domains/{key.allowed_domains.get().pk}/"
    assert api.refused("DELETE", path) == {
        "allowed_domains": [
            "“Allow only listed domains” needs at least one domain. Add one, or choose “Allow all domains”."
        ]
    }


# What is wrong with an entry, and what was meant


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "https://example.com/shop?x=1",
            (
                "“https://example.com/shop?x=1” contains a path or a query, which browsers don't send. Enter "
                "the website alone. Did you mean “https://example.com”?"
            ),
        ),
        (
            "example.com:8443",
            (
                "“example.com:8443” has a port but no scheme. Add https:// or http://. Did you mean "
                "“https://example.com:8443” or “http://example.com:8443”?"
            ),
        ),
        ("*", "“*” would match every website. To allow every website, select “Allow all domains”."),
        (
            "*.co.uk",
            (
                "“*.co.uk” would match other people's websites, because anyone can get a name below it. "
                "Enter your own website, for example “your-site.co.uk”."
            ),
        ),
        (
            ".example.com",
            (
                "“.example.com” starts with a dot. Remove the dot. Did you mean “*.example.com” or "
                "“example.com”?"
            ),
        ),
        (
            "ftp://example.com",
            (
                "“ftp://example.com” isn't a website. Enter https://example.com or example.com. Did you mean "
                "“https://example.com”?"
            ),
        ),
        ("a\ud800.com", "“a\\ud800.com” contains invisible characters. Type it instead of pasting it."),
        ("a\0.com", "“a\\x00.com” contains invisible characters. Type it instead of pasting it."),
        ("10.0.0.0/24", "“10.0.0.0/24” is an IP network, not a domain. Add it to the allowed IPs."),
        (" ", "An entry can't be empty. Enter a domain or an IP address."),
    ],
)
def test_a_bad_domain_is_told_with_what_was_meant(api: Api, key: APIKey, text: str, sentence: str) -> None:
    shown = api.refused("POST", f"keys/{key.pk}/domains/", ["good.example.com", text])
    assert shown == {"allowed_domains": {"1": [sentence]}}
    made = api.refused("POST", "keys/", {"name": "N", "allowed_domains": [{"domain": text, "name": "Bad"}]})
    assert made == {"allowed_domains": {"0": [sentence]}}
    put = api.refused("PUT", f"keys/{key.pk}/domains/", [text])
    assert put == {"allowed_domains": {"0": [sentence]}}
    patched = api.refused("PATCH", f"keys/{key.pk}/", {"allowed_domains": [text]})
    assert patched == {"allowed_domains": {"0": [sentence]}}


def test_what_is_wrong_with_either_list_is_told_at_once(api: Api, key: APIKey) -> None:
    body = {"allowed_domains": ["good.example.com", ".a.test"], "allowed_ips": ["10.0.0.300", "10.0.0.1"]}
    for refused in (
        api.refused("POST", "keys/", {"name": "N", **body}),
        api.refused("PATCH", f"keys/{key.pk}/", body),
    ):
        assert {field: list(errors) for field, errors in refused.items()} == {
            "allowed_domains": ["1"],
            "allowed_ips": ["0"],
        }


def test_what_either_list_comes_to_is_told_at_once(api: Api, key: APIKey) -> None:
    many = [f"10.0.0.{number}" for number in range(26)]
    emptied = {"domain_mode": "listed", "allowed_domains": [], "ip_mode": "listed", "allowed_ips": many}
    assert api.refused("PATCH", f"keys/{key.pk}/", emptied) == {
        "allowed_domains": [
            "“Allow only listed domains” needs at least one domain. Add one, or choose “Allow all domains”."
        ],
        "allowed_ips": ["A key can list at most 25 IP addresses. This would make 26."],
    }


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "203.0.113.7/24",
            (
                "“203.0.113.7/24” starts in the middle of its network. Enter the first IP address of the "
                "network. Did you mean “203.0.113.0/24”?"
            ),
        ),
        (
            "https://a-rather-long-name.of-a-rather-long-company.example.com",
            (
                "“https://a-rather-long-name.of-a-rather-long-company.example.com” is a domain, not an IP "
                "address. Add it to the allowed domains."
            ),
        ),
        (
            "203.0.113.8\x0b",
            "“203.0.113.8\\x0b” contains invisible characters. Type it instead of pasting it.",
        ),
    ],
)
def test_a_bad_ip_is_told_with_what_was_meant(api: Api, key: APIKey, text: str, sentence: str) -> None:
    assert api.refused("POST", f"keys/{key.pk}/ips/", [text]) == {"allowed_ips": {"0": [sentence]}}
    assert api.refused("POST", f"keys/{key.pk}/ips/", text) == {"ip": [sentence]}
    path = f"keys/{key.pk}/ips/{key.allowed_ips.get().pk}/"
    assert api.refused("PATCH", path, {"ip": text}) == {"ip": [sentence]}


@pytest.mark.parametrize(
    "entry", [None, 5, True, [], ["example.com"], {}, {"ip": "203.0.113.7"}, {"domain": 5}]
)
def test_an_entry_that_is_neither_text_nor_object_is_told_by_its_position(
    api: Api, key: APIKey, entry: Any
) -> None:
    shown = api.refused("POST", f"keys/{key.pk}/domains/", ["good.example.com", entry])
    assert shown["allowed_domains"].keys() == {"1"}


@pytest.mark.parametrize("name", ["x" * 101, "\ud800", "a\0b", [], {}, None, True])
def test_a_bad_name_of_an_entry_is_told_by_its_position(api: Api, key: APIKey, name: Any) -> None:
    body = ["good.example.com", {"domain": "named.example.com", "name": name}]
    shown = api.refused("POST", f"keys/{key.pk}/domains/", body)
    assert shown["allowed_domains"].keys() == {"1"}
    assert api.refused("POST", f"keys/{key.pk}/domains/", body[1]).keys() == {"name"}


def test_no_more_than_ten_thousand_entries_are_read_at_once(api: Api, key: APIKey, settings: Any) -> None:
    settings.ALLOWLIST = {"MAX_DOMAINS": None}
    shown = api.refused("PUT", f"keys/{key.pk}/domains/", ["x"] * 10_001)
    assert shown == {"allowed_domains": ["Ensure this field has no more than 10000 elements."]}
    assert len(api.ok("PUT", f"keys/{key.pk}/domains/", ["example.com"] * 10_000)) == 1


def test_no_more_than_a_hundred_entries_are_told_to_be_wrong_at_once(api: Api, key: APIKey) -> None:
    shown = api.refused("POST", f"keys/{key.pk}/domains/", ["x"] * 9_999)
    assert list(shown["allowed_domains"]) == [str(index) for index in range(100)]


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
    "broken": b'{"name": ',
    "not UTF-8": b'{"name": "\xff"}',
    "UTF-16": '{"name": "x"}'.encode("utf-16"),
    "binary": bytes(range(256)),
}


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_a_bad_body_is_answered_with_a_reason_at_once(
    api: Api, key: APIKey, at: Callable[[str], str], method: str, path: str
) -> None:
    path = at(path)
    for name, body in BODIES.items():
        started = time.thread_time()  # What it costs, not how busy the machine is.
        response = api(method, path, body)
        took = time.thread_time() - started
        if response.status_code == 200:  # What reads no body, or ignores a field that is none.
            assert path.endswith("revoke/") or name == "one megabyte of names", name
        else:
            assert response.status_code == 400, name
            assert response.json(), name
        assert texts(key) == ["example.com", "203.0.113.7"], name
        assert took < 1, name


CONTENT_TYPES = [
    (
        "application/x-www-form-urlencoded",
        b"domain=%00&ip=%ff&name=%00&kind=%ff&overlap=x&allowed_domains=x",
    ),
    ("multipart/form-data; boundary=x", b"garbage"),
    ("multipart/form-data", b"garbage"),
    ("text/plain", b"example.com"),
    ("application/xml", b"<x/>"),
    ("", b"{}"),
    ("application/json; charset=nonsense", b"{}"),
    ("application/json; charset=utf-16", b"{}"),
]


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_a_body_of_another_type_is_answered_with_a_reason(
    api: Api, key: APIKey, at: Callable[[str], str], method: str, path: str
) -> None:
    path = at(path)
    for content_type, body in CONTENT_TYPES:
        response = api(method, path, body, content_type=content_type)
        assert response.status_code in (200, 400, 415), content_type
        assert texts(key) == ["example.com", "203.0.113.7"], content_type


def test_a_form_makes_a_key_and_adds_an_entry(api: Api, key: APIKey) -> None:
    form = "application/x-www-form-urlencoded"
    made = api("POST", "keys/", b"name=Form&allowed_domains=a.test&allowed_domains=b.test", content_type=form)
    assert made.status_code == 201
    assert [each["domain"] for each in made.json()["allowed_domains"]] == ["a.test", "b.test"]
    added = api("POST", f"keys/{key.pk}/domains/", b"domain=c.test&name=C", content_type=form)
    assert (added.status_code, added.json()["name"]) == (201, "C")


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
def test_an_id_that_names_nothing_is_not_found(
    api: Api, key: APIKey, at: Callable[[str], str], method: str
) -> None:
    for path in NO_IDS:
        status = api(method, at(path), {}).status_code
        assert status == 404 or (status == 405 and method not in ("GET", "OPTIONS")), path


# Not found comes first


@pytest.mark.parametrize(("method", "path"), [each for each in WRITES if each[1] != "keys/"])
def test_not_found_comes_before_any_field_is_judged(
    stranger: User, at: Callable[[str], str], method: str, path: str
) -> None:
    for body in (b'{"name": ', b"null", b'{"kind": "?"}', b"[5]", b"\xff"):
        assert Api(stranger).refused(method, at(path), body, 404) == {"detail": "Not found."}


def test_a_subclass_says_what_is_not_found_in_its_own_words(api: Api, key: APIKey, stranger: User) -> None:
    assert issubclass(ProjectKeyViewSet, APIKeyViewSet)
    for client, pk in ((Api(stranger), key.pk), (api, 0)):
        assert client.refused("GET", f"/projects/{pk}/", status=404) == {"detail": "Project not found"}


# Who is let in, whatever the project's defaults


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEFAULT_PERMISSION_CLASSES", [AllowAny]),
        ("DEFAULT_PERMISSION_CLASSES", [IsAdminUser]),
        ("DEFAULT_PERMISSION_CLASSES", [IsAllowlisted]),
        ("DEFAULT_FILTER_BACKENDS", [BaseFilterBackend]),  # It raises an error when it is asked.
        ("UNAUTHENTICATED_USER", None),
    ],
)
def test_the_projects_defaults_neither_open_nor_close_it(
    set_default: Callable[[str, Any], None], settings: Any, name: str, value: Any, make_user: MakeUser
) -> None:
    member = make_user("member")
    made = APIKey.objects.create_key(name="Members", creator=member)[0]
    if name in DEFAULTS:
        set_default(name, value)
    else:
        settings.REST_FRAMEWORK = {name: value}
    assert Api(member).ok("GET", f"keys/{made.pk}/")["name"] == "Members"
    assert [each["id"] for each in Api(member).ok("GET", "keys/")] == [made.pk]
    assert Api()("GET", f"keys/{made.pk}/").status_code == 403
    assert Api()("GET", "keys/").status_code == 403


def test_the_projects_own_authentication_of_people_is_used(
    key: APIKey, creator: User, set_default: Callable[[str, Any], None]
) -> None:
    set_default("DEFAULT_AUTHENTICATION_CLASSES", [HeaderAuthentication])
    assert Api()("GET", f"keys/{key.pk}/", HTTP_X_TEST_USER=str(creator.pk)).status_code == 200
    assert Api(creator)("GET", f"keys/{key.pk}/").status_code == 401  # Sessions are not this project's way.


@pytest.mark.parametrize(
    "classes",
    [None, [APIKeyAuthentication, SessionAuthentication], [APIKeyAuthentication]],
    ids=["plain", "with keys", "keys alone"],
)
@pytest.mark.parametrize("kind", ["publishable", "secret"])
@pytest.mark.parametrize("place", ["X-API-Key", "Api-Key", "Bearer", "query"])
def test_an_api_key_is_never_a_login(
    creator: User, set_default: Callable[[str, Any], None], classes: Any, kind: str, place: str
) -> None:
    made, token = APIKey.objects.create_key(name="Open", creator=creator, kind=kind)
    if classes is not None:
        set_default("DEFAULT_AUTHENTICATION_CLASSES", classes)
    headers = {
        "X-API-Key": {"HTTP_X_API_KEY": token},
        "Api-Key": {"HTTP_AUTHORIZATION": f"Api-Key {token}"},
        "Bearer": {"HTTP_AUTHORIZATION": f"Bearer {token}"},
        "query": {},
    }[place]
    query = f"?key={token}" if place == "query" else ""
    before = snapshot()
    for path in ("keys/", f"keys/{made.pk}/", f"keys/{made.pk}/domains/"):
        for method in ("GET", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"):
            assert Api()(method, path + query, {"name": "N"}, **headers).status_code in (401, 403)
    assert snapshot() == before


def test_a_key_among_the_projects_authenticators_is_not_even_asked(
    creator: User, set_default: Callable[[str, Any], None]
) -> None:
    made, token = APIKey.objects.create_key(name="Ours", creator=creator)
    set_default("DEFAULT_AUTHENTICATION_CLASSES", [APIKeyAuthentication, SessionAuthentication])
    shown = Api(creator)("GET", "keys/", HTTP_X_API_KEY=token).json()
    assert [each["id"] for each in shown] == [made.pk]
    made.refresh_from_db()
    assert made.last_used_at is None


def test_a_login_by_session_needs_the_csrf_token(creator: User, key: APIKey) -> None:
    api = Api()
    api.client = Client(enforce_csrf_checks=True)
    api.client.force_login(creator)
    assert api("GET", f"keys/{key.pk}/").status_code == 200
    assert api("DELETE", f"keys/{key.pk}/").status_code == 403
    assert APIKey.objects.filter(pk=key.pk).exists()


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
def test_other_methods_are_not_allowed(api: Api, at: Callable[[str], str], path: str) -> None:
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE"} - ROUTES[path]:
        api.refused(method, at(path), {}, 405)
    allowed = set(api("OPTIONS", at(path)).headers["Allow"].split(", "))
    assert allowed == ROUTES[path] | {"OPTIONS"} | ({"HEAD"} if "GET" in ROUTES[path] else set())


@pytest.mark.parametrize("path", ROUTES)
def test_options_describe_the_route_to_the_creator_alone(
    api: Api, at: Callable[[str], str], path: str, stranger: User
) -> None:
    assert api("OPTIONS", at(path)).json()["name"]
    if "{" in path:
        Api(stranger).refused("OPTIONS", at(path), status=404)


@pytest.mark.filterwarnings(URLIZE)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", ROUTES)
def test_the_browsable_page_of_every_route_renders(
    api: Api, at: Callable[[str], str], path: str, method: str
) -> None:
    response = api(method, at(path), {}, HTTP_ACCEPT="text/html")
    assert response.status_code in (200, 201, 400, 405)
    assert response.status_code == 405 or method in ROUTES[path] | {"OPTIONS"}
    assert "Django REST framework" in response.content.decode()


def test_a_misspelt_overlap_ends_no_token(api: Api, key: APIKey) -> None:
    for body in ({"ovrlap": 3600}, {"overlap": 3600, "ovrlap": 3}):
        sentence = "There is no such field. Did you mean “overlap”?"
        assert api.refused("POST", f"keys/{key.pk}/rotate/", body) == {"ovrlap": [sentence]}


def test_a_misspelt_field_of_an_entry_is_refused(api: Api, key: APIKey) -> None:
    sentence = "There is no such field. Did you mean “domain”?"
    path = f"keys/{key.pk}/domains/"
    assert api.refused("POST", path, {"domain": "a.test", "domian": "b.test"}) == {"domian": [sentence]}
    entry = f"{path}{key.allowed_domains.all()[0].pk}/"
    assert api.refused("PATCH", entry, {"domian": "b.test"}) == {"domian": [sentence]}
    for method, where, body in (
        ("POST", path, ["a.test", {"domain": "b.test", "nmae": "B"}]),
        ("PATCH", f"keys/{key.pk}/", {"allowed_domains": ["a.test", {"domain": "b.test", "nmae": "B"}]}),
    ):
        refused = api.refused(method, where, body)
        assert refused == {"allowed_domains": {"1": ["There is no such field. Did you mean “name”?"]}}


@pytest.mark.filterwarnings(URLIZE)
@pytest.mark.parametrize(("step", "fields"), [("rotate", {"overlap"}), ("revoke", set())])
def test_the_browsable_page_of_a_step_asks_for_what_the_step_takes(
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
def test_the_browsable_page_of_anothers_key_shows_nothing_of_it(
    stranger: User, at: Callable[[str], str], path: str, key: APIKey
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


# Somebody else's change in the middle of ours


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
def test_a_key_deleted_meanwhile_is_told(
    api: Api, key: APIKey, at: Callable[[str], str], method: str, path: str, body: Any
) -> None:
    path = at(path)
    meanwhile = Meanwhile(APIKey.objects.filter(pk=key.pk).delete, "UPDATE", "revision")
    with connection.execute_wrapper(meanwhile):
        response = api(method, path, body)
    assert meanwhile.do is None
    assert response.status_code == 400
    assert response.json() == {"non_field_errors": ["This key was deleted in the meantime."]}


def test_a_key_deleted_twice_at_once_is_gone(api: Api, key: APIKey) -> None:
    meanwhile = Meanwhile(APIKey.objects.filter(pk=key.pk).delete, "DELETE")
    with connection.execute_wrapper(meanwhile):
        assert api("DELETE", f"keys/{key.pk}/").status_code == 204


def test_an_entry_deleted_meanwhile_is_told(api: Api, key: APIKey, at: Callable[[str], str]) -> None:
    key.add_domains(["a.test"])
    path = f"keys/{key.pk}/domains/{key.allowed_domains.get(domain='a.test').pk}/"
    meanwhile = Meanwhile(lambda: key.remove_domains(["a.test"]), "UPDATE", "revision")
    with connection.execute_wrapper(meanwhile):
        response = api("PATCH", path, {"name": "N"})
    assert response.status_code == 400
    assert response.json() == {"allowed_domains": ["This entry was removed in the meantime."]}


def test_model_permissions_are_the_admins_matter(make_user: MakeUser) -> None:
    member = make_user("member")
    assert not Permission.objects.filter(user=member).exists()
    assert Api(member).ok("POST", "keys/", {"name": "Mine"}, 201)["name"] == "Mine"


def test_it_works_under_another_prefix_and_settings_of_urls(key: APIKey, creator: User) -> None:
    with override_settings(ROOT_URLCONF="tests.testapp.urls", APPEND_SLASH=False):
        assert Api(creator)("GET", f"keys/{key.pk}").status_code == 404
        assert Api(creator)("GET", f"keys/{key.pk}/").status_code == 200
