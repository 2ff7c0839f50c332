"""What comes near: how little a listed entry differs from the page or address that it doesn't match."""

from typing import Any

import pytest

from allowlist.policy.decision import Condition, Policy, Reason, Rule, Source
from allowlist.policy.entries import DomainList
from allowlist.policy.explanation import Difference, Explanation, Listed, edits, explain
from allowlist.policy.networks import IPList, parse_address
from allowlist.policy.origins import NoOrigin, read_page


def explained(
    page: str | None = None,
    ip: str | None = None,
    *,
    domains: list[str] | None = None,
    ips: list[str] | None = None,
    condition: Condition = Condition.ALL,
    unsavable: str = "",
) -> Explanation:
    """Return the explanation of a request from ``page`` and ``ip``; a list of None is disabled."""
    address = None if ip is None else parse_address(ip)
    policy = Policy(
        None if domains is None else DomainList(domains),
        None if ips is None else IPList(ips),
        condition,
        "deny",
    )
    return explain(
        policy,
        Source(read_page(page, None, None), lambda: address),
        [Listed(text, f"Name of {text}") for text in domains or ()],
        [Listed(text, "") for text in ips or ()],
        lambda rule, text: text != unsavable,
    )


PAGES = [
    # the page, the entry, the difference, the suggestion
    ("http://example.com", "https://example.com", "scheme", "http://example.com"),
    ("http://example.com:8080", "https://example.com:8443", "scheme", "http://example.com:8080"),
    ("http://a.example.com", "https://*.example.com", "scheme", "http://a.example.com"),
    ("https://example.com:8443", "https://example.com", "port", "https://example.com:8443"),
    ("https://a.example.com:8443", "https://*.example.com", "port", "https://a.example.com:8443"),
    ("https://www.example.com", "example.com", "subdomain", "www.example.com"),
    ("https://a.b.example.com", "https://example.com", "subdomain", "https://a.b.example.com"),
    ("https://example.com", "www.example.com", "parent", "example.com"),
    ("https://example.com", "https://www.example.com", "parent", "https://example.com"),
    ("https://example.com", "*.example.com", "parent", "example.com"),
    ("https://exampel.com", "example.com", "typo", "exampel.com"),
    ("https://shop.example.co", "https://shop.example.com", "typo", "https://shop.example.co"),
    ("https://www.exampel.com", "*.example.com", "typo", "www.exampel.com"),
    # More than one thing differs.
    ("http://www.example.com", "https://example.com", None, None),
    ("https://exampel.com:8443", "https://example.com", None, None),
    ("https://exampel.com", "https://www.example.com", None, None),
    ("https://shpo.exampel.com", "shop.example.com", None, None),
    ("https://elsewhere.test", "example.com", None, None),
    ("https://notexample.com", "example.com", None, None),
    ("https://example.com.evil.test", "example.com", None, None),
    ("http://[::2]", "http://[::1]", None, None),
    ("https://a.test", "not readable at all", None, None),
]


@pytest.mark.parametrize(("page", "entry", "difference", "suggestion"), PAGES)
def test_an_entry_is_near_if_one_thing_differs(
    page: str, entry: str, difference: str | None, suggestion: str | None
) -> None:
    verdict = explained(page, domains=[entry]).rules[0]
    assert (verdict.passed, verdict.reason) == (False, Reason.ORIGIN_NOT_LISTED)
    assert [(near.entry, near.difference, near.suggestion) for near in verdict.nearest] == (
        [(entry, difference, suggestion)] if difference else []
    )


def test_the_nearest_three_come_first_with_their_names() -> None:
    listed = [
        "exampel.com",
        "www.example.com",
        "https://example.com:8443",
        "http://example.com",
        "*.example.com",
    ]
    nearest = explained("https://example.com", domains=listed).rules[0].nearest
    assert [near.entry for near in nearest] == [listed[3], listed[2], listed[1]]
    assert [near.name for near in nearest] == [f"Name of {near.entry}" for near in nearest]


@pytest.mark.parametrize(
    ("ip", "entry", "is_near"),
    [
        ("203.0.113.8", "203.0.113.7", True),
        ("203.0.113.8", "203.0.200.0/24", True),
        ("203.1.113.8", "203.0.113.7", False),
        ("2001:db8:1:2::1", "2001:db8:1::7", True),
        ("2001:db8:2::1", "2001:db8:1::7", False),
        ("203.0.113.8", "2001:db8::/32", False),
        ("203.0.113.8", "not readable", False),
    ],
)
def test_an_address_is_near_in_the_same_16_or_48_bits(ip: str, entry: str, is_near: bool) -> None:
    (_domain, verdict) = explained(ip=ip, ips=[entry]).rules
    assert verdict.reason is Reason.IP_NOT_LISTED
    assert [(near.entry, near.difference, near.suggestion) for near in verdict.nearest] == (
        [(entry, Difference.NETWORK, ip)] if is_near else []
    )


def test_addresses_come_by_the_longest_common_prefix() -> None:
    verdict = explained(ip="203.0.113.8", ips=["203.0.1.1", "203.0.113.9", "203.0.113.128/25"]).rules[1]
    assert [near.entry for near in verdict.nearest] == ["203.0.113.9", "203.0.113.128/25", "203.0.1.1"]


def test_what_could_not_be_listed_is_not_suggested() -> None:
    (near,) = (
        explained("https://www.example.com", domains=["example.com"], unsavable="www.example.com")
        .rules[0]
        .nearest
    )
    assert (near.difference, near.suggestion) == (Difference.SUBDOMAIN, None)


ONLY_IPS: Any = {"ips": ["203.0.113.7"]}
ONLY_DOMAINS: Any = {"domains": ["example.com"]}


def test_a_rule_that_does_not_apply_or_passes_has_nothing_near() -> None:
    domain, ip = explained("https://www.example.com", "203.0.113.7", **ONLY_IPS).rules
    assert (domain.rule, domain.applies, domain.passed, domain.reason, domain.nearest) == (
        Rule.DOMAIN,
        False,
        None,
        None,
        (),
    )
    assert (ip.rule, ip.applies, ip.passed, ip.entry, ip.nearest) == (Rule.IP, True, True, "203.0.113.7", ())


def test_by_source_only_the_rule_of_the_source_applies() -> None:
    both: Any = {"domains": ["example.com"], "ips": ["203.0.113.7"], "condition": Condition.BY_SOURCE}
    page, server = explained("https://example.com", **both), explained(ip="203.0.113.7", **both)
    assert [verdict.applies for verdict in (*page.rules, *server.rules)] == [True, False, False, True]
    by_source = Condition.BY_SOURCE
    browser = explained("https://example.com", condition=by_source, **ONLY_IPS)
    assert browser.rules[1].reason is browser.decision.reason is Reason.BROWSER_NOT_ALLOWED
    machine = explained(condition=by_source, **ONLY_DOMAINS)
    assert machine.rules[0].reason is machine.decision.reason is Reason.SERVER_NOT_ALLOWED
    assert (machine.page, machine.ip) == (NoOrigin.ABSENT, None)


@pytest.mark.parametrize(
    ("one", "other", "count"),
    [("", "", 0), ("a", "", 1), ("example", "exampel", 2), ("kitten", "sitting", 3), ("shop", "shops", 1)],
)
def test_edits_are_counted(one: str, other: str, count: int) -> None:
    assert edits(one, other) == edits(other, one) == count
