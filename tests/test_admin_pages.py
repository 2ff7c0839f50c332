"""The admin's pages as people read them: what a key allows, its entries, the list of keys."""

from datetime import timedelta
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest
from django.contrib.admin.models import LogEntry
from django.db import models
from django.utils import timezone

from allowlist.forms.entry_notes import example, near_pages
from allowlist.forms.summary import Entries, summary
from allowlist.models import APIKey
from allowlist.models.lists import DOMAINS, IPS
from allowlist.policy.entries import DomainList, parse_domain
from allowlist.policy.origins import parse_origin
from tests.conftest import User
from tests.management import snapshot, texts
from tests.pages import Admin, Page
from tests.testing import statements

NONE, EXPIRED = Entries(0, 0), Entries(1, 0)
BOTH = {"domain_mode": "listed", "ip_mode": "listed"}
SITES, SERVERS = {"domain_mode": "listed"}, {"ip_mode": "listed"}
ENFORCED = "Monitor only: allows and logs what isn't listed. Once it blocks: "
NOWHERE = "Works nowhere, as no listed entry is in force; blocks everything."


@pytest.fixture
def site(creator: User) -> Admin:
    """Return the creator's admin."""
    return Admin(creator)


# One sentence for what a key allows


@pytest.mark.parametrize(
    ("fields", "counts", "sentence"),
    [
        ({}, (0, 0), "Works from anywhere."),
        (SITES, (3, 0), "Works on 3 sites; blocks everything else."),
        (SERVERS, (0, 1), "Works from 1 IP address; blocks everything else."),
        (BOTH, (3, 1), "Works on 3 sites and from 1 IP address, if both match; blocks everything else."),
        (
            BOTH | {"condition": "any"},
            (1, 2),
            "Works on 1 site or from 2 IP addresses; blocks everything else.",
        ),
        (
            BOTH | {"condition": "by_source"},
            (1, 2),
            "Works in browsers on 1 site, and on servers from 2 IP addresses; blocks everything else.",
        ),
        (
            SITES | {"condition": "by_source"},
            (2, 0),
            "Works in browsers on 2 sites; blocks servers and everything else.",
        ),
        (BOTH, (3, EXPIRED), NOWHERE),
        (BOTH | {"condition": "any"}, (EXPIRED, 1), "Works from 1 IP address; blocks everything else."),
        (SITES, (0, 0), NOWHERE),
        (SITES | {"EMPTY_LIST": "allow"}, (0, 0), "Works from anywhere."),
        (SITES | {"EMPTY_LIST": "allow"}, (EXPIRED, 0), NOWHERE),
        (SITES | {"EMPTY_LIST": "allow", "enforcement": "report"}, (0, 0), ENFORCED + NOWHERE),
        (
            SITES | {"MISSING_ORIGIN": "allow"},
            (1, 0),
            (
                "Works on 1 site; blocks everything else. Requests that name no site, such as a server's, "
                "aren't checked by domain."
            ),
        ),
        ({"enforcement": "report"}, (0, 0), ENFORCED + "Works from anywhere."),
        ({"kind": "secret"}, (0, 0), "Works on servers anywhere; blocks browsers."),
        (
            SERVERS | {"kind": "secret"},
            (0, 1),
            "Works on servers from 1 IP address; blocks browsers and everything else.",
        ),
        ({"revoked_at": timezone.now()}, (0, 0), "Revoked: every request with this key is blocked."),
        ({"expires_at": timezone.now()}, (0, 0), "Expired: every request with this key is blocked."),
        (
            {"environment": "test", "ENVIRONMENTS": ("live",)},
            (0, 0),
            "Of an environment that isn't accepted here: every request with this key is blocked.",
        ),
    ],
    ids=str,
)
def test_a_sentence_says_what_a_key_allows(
    settings: Any, fields: dict[str, Any], counts: tuple[Any, Any], sentence: str
) -> None:
    settings.ALLOWLIST = {name: value for name, value in fields.items() if name.isupper()}
    key = APIKey(name="K", **{name: value for name, value in fields.items() if name.islower()})
    domains, ips = (Entries(each, each) if isinstance(each, int) else each for each in counts)
    assert summary(key, domains, ips) == sentence


@pytest.mark.parametrize(
    ("kind", "text", "sentence"),
    [
        (DOMAINS, "example.com", "Matches https://example.com, not https://www.example.com."),
        (DOMAINS, "*.example.com", "Matches https://www.example.com, not https://example.com."),
        (DOMAINS, "https://example.com", "Matches https://example.com, not http://example.com."),
        (DOMAINS, "http://localhost:3000", "Matches http://localhost:3000, not http://localhost."),
        (DOMAINS, "http://example.com", "Matches http://example.com, not https://example.com."),
        (DOMAINS, "https://*.example.com", "Matches https://www.example.com, not https://example.com."),
        (DOMAINS, "127.0.0.1", "Matches https://127.0.0.1, not https://example.com."),
        (DOMAINS, "xn--fa-hia.de", "Matches https://faß.de, not https://www.faß.de."),
        (DOMAINS, "no domain", "Matches nothing, as it can't be read. Remove it."),
        (IPS, "203.0.113.7", "Matches this IP address alone."),
        (IPS, "203.0.113.0/24", "Matches 203.0.113.0 to 203.0.113.255, both included."),
    ],
)
def test_an_example_says_what_an_entry_matches(kind: Any, text: str, sentence: str) -> None:
    assert example(kind, text) == sentence


@pytest.mark.parametrize(
    "text", ["a.test", "*.a.test", "https://a.test:8443", "http://*.a.test", "http://[::1]"]
)
def test_the_examples_are_true(text: str) -> None:
    listed = DomainList([text])
    pages = [parse_origin(page) for page in near_pages(parse_domain(text))]
    assert [page is not None and listed.match(page) for page in pages] == [text, None]


# The list of keys


def test_the_list_says_what_each_key_does(site: Admin, creator: User) -> None:
    def make(name: str, **fields: Any) -> APIKey:
        return APIKey.objects.create_key(name=name, creator=creator, **fields)[0]

    make("Open")
    make("Listed", allowed_domains=["a.test", "b.test"], allowed_ips=["203.0.113.7"], enforcement="report")
    make("Gone").revoke()
    response: Any = site.client.get(site.base)
    cl = response.context["cl"]
    shown = {
        key.name: [getattr(cl.model_admin, name)(key) for name in ("domains", "ips")]
        for key in cl.result_list
    }
    assert shown == {
        "Open": ["Any", "Any"],
        "Listed": ["Only listed: 2 of 25", "Only listed: 1 of 25"],
        "Gone": ["Any", "Any"],
    }
    text = response.content.decode()
    assert text.count("Works from anywhere") == 1  # Not of the revoked key.
    assert text.count('allowlist-mark">Monitor only') == 1


def test_the_list_costs_the_same_for_many_keys(site: Admin, creator: User) -> None:
    sent = []
    for _ in range(2):
        APIKey.objects.create_key(name="K", creator=creator, allowed_domains=["a.test"])
        with statements() as asked:
            site.get("")
        sent.append(len(asked))
    assert sent[0] == sent[1] <= 10


# A key's page


@pytest.fixture
def key(creator: User) -> APIKey:
    """Return a key with two sites, one of them until tomorrow, and one address."""
    tomorrow = timezone.now() + timedelta(days=1)
    return APIKey.objects.create_key(
        name="Widget",
        creator=creator,
        allowed_domains=["example.com", {"domain": "b.test", "expires_at": tomorrow}],
        allowed_ips=["203.0.113.7"],
    )[0]


def page_of(key: APIKey) -> str:
    """Return the path of the key's page."""
    return f"{key.pk}/change/"


def past(entries: Any, **fields: Any) -> None:
    """Write fields of entries that no form may write."""
    models.QuerySet(entries.model).filter(pk__in=entries.values("pk")).update(**fields)


def test_a_page_says_first_what_the_key_allows_as_it_is_stored(site: Admin, key: APIKey) -> None:
    sentence = "Works on 2 sites and from 1 IP address, if both match; blocks everything else."
    page = site.get(page_of(key))
    assert sentence in page.text
    refused = site.refused(page_of(key), {**page.fields, "condition": "any", "paste_ips": "x"})
    assert sentence in refused.text
    assert "2 of 25" in refused.text


def test_all_about_one_list_stands_together(site: Admin, key: APIKey) -> None:
    for path in ("add/", page_of(key)):
        html = site.client.get(site.base + path).content.decode()
        fields = ("domain_mode", "allowed_domains-0-domain", "paste_domains", "ip_mode", "allowed_ips-0-ip")
        places = [html.index(f'name="{name}"') for name in (*fields, "paste_ips", "condition", "_save")]
        assert places == sorted(places)
        assert all(html.count(f'name="{name}"') == 1 + (name == "domain_mode") for name in fields[:3])


def test_entries_show_what_they_match_and_whether_they_are_of_use(site: Admin, key: APIKey) -> None:
    long_ago = timezone.now() - timedelta(days=91)
    past(key.allowed_domains.filter(domain="example.com"), last_matched_at=long_ago)
    past(key.allowed_domains.filter(domain="b.test"), expires_at=long_ago)
    text = site.get(page_of(key)).text
    for said in (example(DOMAINS, "example.com"), "Not matched for 90 days", "Expired", "Not matched yet"):
        assert text.count(said) == (2 if said == "Not matched yet" else 1), said
    assert "Works on 1 site and" in text


def test_an_entrys_end_is_set_kept_and_cleared_in_its_row(site: Admin, key: APIKey) -> None:
    fields = site.get(page_of(key)).fields
    before = key.allowed_domains.get(domain="b.test").expires_at
    typed = {"allowed_domains-0-expires_at": "2099-01-02 03:04", "allowed_domains-1-name": "Preview"}
    typed |= {"allowed_ips-1-ip": "203.0.113.8", "allowed_ips-1-expires_at": "2099-01-02 03:04"}
    page = site.saved(page_of(key), {**fields, **typed})
    ends = [entry.expires_at for entry in (*key.allowed_domains.all(), *key.allowed_ips.all())]
    assert [end is not None and f"{timezone.localtime(end):%F %R}" for end in (ends[0], ends[3])] == [
        "2099-01-02 03:04"
    ] * 2
    assert (ends[1], ends[2]) == (before, None)
    site.saved(page_of(key), {**page.fields, "allowed_domains-0-expires_at": ""})
    assert key.allowed_domains.get(domain="example.com").expires_at is None
    page = site.refused(page_of(key), {**page.fields, "allowed_domains-0-expires_at": "2020-01-01 00:00"})
    assert page.errors == ["This date is in the past. Choose a later one, or leave it empty."]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"is_active": False}, "(deactivated). The key keeps working; a superuser can take it over."),
        (None, "Deleted user. The key keeps working; a superuser can take it over."),
    ],
)
def test_a_creator_who_is_gone_is_marked(
    superuser: User, creator: User, key: APIKey, change: dict[str, Any] | None, said: str
) -> None:
    if change is None:
        creator.delete()
    else:
        type(creator).objects.filter(pk=creator.pk).update(**change)
    assert said in Admin(superuser).get(page_of(key)).text


def test_disabling_a_list_asks_first_and_shows_what_is_lost(site: Admin, key: APIKey) -> None:
    fields = {**site.get(page_of(key)).fields, "domain_mode": "all", "name": "Renamed"}
    before = snapshot()
    asked = Page(site.send(page_of(key), fields).content.decode())
    assert "Allowing all deletes 2 listed entries:" in asked.text
    assert "You can restore them for 30 days." in asked.text
    assert ("example.com" in asked.text, "203.0.113.7" in asked.text) == (True, False)
    assert snapshot() == before
    site.saved(page_of(key), asked.fields)
    key.refresh_from_db()
    assert (key.name, key.domain_mode, texts(key)) == ("Renamed", "all", ["203.0.113.7"])


@pytest.mark.parametrize("which", ["domains", "ips"])
def test_an_emptied_list_is_restored_in_one_step(site: Admin, key: APIKey, which: str) -> None:
    step, before = f"{key.pk}/restore-{which}/", texts(key)
    assert not any(step in link for link in site.get(page_of(key)).links)
    getattr(key, f"allow_all_{which}")()
    assert any(step in link for link in site.get(page_of(key)).links)
    asked = site.get(step)
    assert [text for text in before if text not in texts(key) and text not in asked.text] == []
    assert "Restored the list." in site.saved(step, asked.fields).messages
    key.refresh_from_db()
    assert (sorted(texts(key)), key.domain_mode, key.ip_mode) == (sorted(before), "listed", "listed")
    assert site.saved(step, {}).messages == ["There is nothing to restore."]


# Steps


@pytest.mark.parametrize(
    ("typed", "hours"),
    [
        ({}, 0),
        ({"keep": "0"}, 0),
        ({"keep": "1"}, 1),
        ({"keep": "168"}, 168),
        ({"keep": "hours", "hours": "36"}, 36),
        ({"keep": "24", "hours": "36"}, 24),
    ],
)
def test_a_rotation_keeps_the_old_token_for_a_while(
    site: Admin, key: APIKey, typed: dict[str, str], hours: int
) -> None:
    site.client.post(f"{site.base}{key.pk}/rotate/", typed)
    key.refresh_from_db()
    left = (key.previous_until or timezone.now()) - timezone.now()
    assert round(left / timedelta(hours=1)) == hours
    page = site.get(page_of(key))
    assert ("the old token works too" in page.text) is (hours > 0)
    assert any("end-old-token" in link for link in page.links) is (hours > 0)
    site.client.post(f"{site.base}{key.pk}/end-old-token/")
    key.refresh_from_db()
    assert (key.previous_digest, key.previous_until) == ("", None)


@pytest.mark.parametrize(
    ("hours", "error"),
    [
        ("", "Enter a number of hours."),
        ("0", "Ensure this value is greater than or equal to 1."),
        ("8761", "Ensure this value is less than or equal to 8760."),
        ("x", "Enter a whole number."),
    ],
)
def test_an_invalid_overlap_gets_a_sentence(site: Admin, key: APIKey, hours: str, error: str) -> None:
    before = snapshot()
    assert site.refused(f"{key.pk}/rotate/", {"keep": "hours", "hours": hours}).errors == [error]
    assert snapshot() == before


def test_expired_entries_are_removed_in_one_step_that_shows_them(site: Admin, key: APIKey) -> None:
    step = f"{key.pk}/remove-expired-domains/"
    assert not any(step in link for link in site.get(page_of(key)).links)
    past(key.allowed_domains.filter(domain="b.test"), expires_at=timezone.now())
    assert any(step in link for link in site.get(page_of(key)).links)
    asked = site.get(step)
    assert ("b.test" in asked.text, "example.com" in asked.text) == (True, False)
    assert "Removed 1 expired entry." in site.saved(step, asked.fields).messages
    assert texts(key) == ["example.com", "203.0.113.7"]
    past(key.allowed_ips.all(), expires_at=timezone.now())
    page = site.saved(f"{key.pk}/remove-expired-ips/", {})
    assert "Every listed IP address has expired" in page.messages[0]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("publishable", ['headers: {"X-API-Key": "pk_', "?key=pk_", "data-allowlist-copy"]),
        ("secret", ['curl --header "X-API-Key: $API_KEY" http://testserver/…', "data-allowlist-copy"]),
    ],
)
def test_a_new_token_comes_with_a_snippet_to_embed(site: Admin, kind: str, said: list[str]) -> None:
    fields = {**site.get("add/").fields, "name": "New", "kind": kind}
    html = unescape(site.send("add/", fields).content.decode())
    assert [snippet for snippet in said if snippet not in html] == []


# Test a request


def trial(site: Admin, key: APIKey, **request: str) -> Page:
    """Return the page that says what a request would get."""
    return site.get(f"{key.pk}/test/?{urlencode({'ip': '203.0.113.7', **request})}")


def test_the_test_page_is_prefilled_with_the_callers_address(site: Admin, key: APIKey, settings: Any) -> None:
    page = site.get(f"{key.pk}/test/")
    assert "We see you as 127.0.0.1." in page.text
    assert page.fields["ip"] == "127.0.0.1"
    assert "This request is" not in page.text
    settings.ALLOWLIST = {"TRUSTED_PROXIES": ["127.0.0.1"]}
    response: Any = site.client.get(f"{site.base}{key.pk}/test/", headers={"X-Forwarded-For": "unknown"})
    assert "see your IP address" in response.content.decode()


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (
            {"origin": "https://example.com"},
            ["This request is allowed.", "“example.com” is listed and matches."],
        ),
        (
            {"origin": "https://www.example.com"},
            ["This request is blocked: origin_not_listed.", "it doesn't cover its subdomains."],
        ),
        ({"ip": "203.0.113.9", "origin": "https://b.test"}, ["ip_not_listed", "in the same network"]),
        ({"origin": "null"}, ["This request is blocked: origin_opaque."]),
        ({"sec_fetch_site": "cross-site"}, ["This request is blocked: origin_hidden."]),
        ({"referer": "https://example.com/page"}, ["This request is allowed."]),
        ({"ip": "", "origin": "https://example.com"}, ["This request is blocked: ip_unknown."]),
        ({"ip": "nonsense"}, ["Enter an IP address such as 203.0.113.7."]),
        ({"sec_fetch_site": "nonsense"}, ["nonsense is not one of the available choices."]),
        ({"origin": "a\0b"}, ["Null characters are not allowed."]),
    ],
    ids=str,
)
def test_a_tested_request_is_explained(
    site: Admin, key: APIKey, request_: dict[str, str], said: list[str]
) -> None:
    text = trial(site, key, **request_).text
    assert [sentence for sentence in said if sentence not in text] == []


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"enforcement": "report"}, "This request is allowed, as the key only monitors."),
        ({"expires_at": timezone.now()}, "Expired: every request with this key is blocked."),
        ({"kind": "secret"}, "Rotate the key, and use a publishable key on web pages."),
        ({}, "This list doesn't count for this request."),
    ],
    ids=str,
)
def test_a_tested_request_knows_the_key(site: Admin, creator: User, fields: Any, said: str) -> None:
    lists = {} if "kind" in fields else {"allowed_domains": ["a.test"]}
    key = APIKey.objects.create_key(name="K", creator=creator, **lists, **fields)[0]
    assert said in trial(site, key, origin="https://b.test").text


def test_a_suggestion_is_added_with_one_click(site: Admin, key: APIKey, superuser: User) -> None:
    asked = f"{key.pk}/test/?origin=https://www.example.com&ip=203.0.113.7"
    assert "Add www.example.com" in site.client.get(site.base + asked).content.decode()
    assert "Add www.example.com" not in Admin(superuser).client.get(site.base + asked).content.decode()
    page = site.saved(asked, {"list": "allowed_domains", "entry": "www.example.com"})
    assert "This request is allowed." in page.text
    assert texts(key)[2] == "www.example.com"
    assert LogEntry.objects.get().get_change_message() == "Added allowed domain “www.example.com”."
    page = site.saved(asked, {"list": "allowed_ips", "entry": "nonsense"})
    assert page.messages == ["“nonsense” is a domain, not an IP address. Add it to the allowed domains."]


@pytest.mark.parametrize(
    ("added", "offered"),
    [
        ("example.org", "https://www.example.org"),
        ("https://www.example.co.uk:8443", "https://example.co.uk:8443"),
        ("www.example.org, example.org", None),
        ("www.example.org, *.example.org, https://example.org", None),
        ("shop.example.org", None),
        ("*.example.org", None),
        ("127.0.0.1", None),
        ("localhost", None),
    ],
)
def test_www_and_the_domain_without_it_are_offered_for_each_other(
    site: Admin, key: APIKey, added: str, offered: str | None
) -> None:
    page = site.saved(page_of(key), {**site.get(page_of(key)).fields, "paste_domains": added})
    links = [link for link in page.links if "/test/?" in link]
    assert ("Do you use that too?" in page.text) is (offered is not None)
    assert [parse_qs(link.partition("?")[2])["origin"] for link in links] == ([[offered]] if offered else [])
    for link in links:
        asked: Any = site.client.get(link)
        assert "Add " in asked.content.decode()
