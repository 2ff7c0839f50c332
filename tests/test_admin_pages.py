"""The admin's pages as people read them: what a key allows, its entries, the list of keys."""

from typing import Any

import pytest
from django.utils import timezone

from allowlist.admin.examples import example, near_pages
from allowlist.admin.summary import Entries, summary
from allowlist.models import APIKey
from allowlist.models.lists import DOMAINS, IPS
from allowlist.policy.entries import DomainList, parse_domain
from allowlist.policy.origins import parse_origin
from tests.conftest import User
from tests.pages import Admin
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
