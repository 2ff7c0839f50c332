"""IP entries: what they may be, what they match, what is refused and what is offered instead."""

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import pytest

from allowlist.policy.guards import read_ip
from allowlist.policy.networks import IPForm, IPList, parse_address, parse_ip, read_canonical, unmapped
from allowlist.policy.problems import EntryError, Problem

from .tables import ACCEPTED_IPS, REFUSED_IPS, accepted, refused, short

FORMS = tuple(IPForm)


@pytest.mark.parametrize(("text", "canonical", "forms"), accepted(ACCEPTED_IPS), ids=short)
def test_an_accepted_text_is_stored_canonical(text: str, canonical: str, forms: set[str]) -> None:
    entry = read_ip(text, FORMS, False)
    assert (entry.text, {entry.form}) == (canonical, forms)
    assert entry == parse_ip(canonical)
    assert IPList([canonical]).unreadable == ()


@pytest.mark.parametrize(("text", "problem", "guesses"), refused(REFUSED_IPS), ids=short)
def test_a_refusal_says_why_and_offers_what_may_be_saved(
    text: Any, problem: Problem, guesses: tuple[str, ...]
) -> None:
    with pytest.raises(EntryError) as refusal:
        read_ip(text, FORMS, False)
    assert (refusal.value.problem, refusal.value.guesses) == (problem, guesses)
    for guess in guesses:
        read_ip(guess, FORMS, False)
    assert not isinstance(text, str) or IPList([text]).unreadable == (text,)


@pytest.mark.parametrize(
    ("entry", "address", "matches"),
    [
        ("203.0.113.7", "203.0.113.7", True),
        ("203.0.113.7", "203.0.113.8", False),
        ("203.0.113.7", "203.0.113.6", False),
        ("2001:db8::7", "2001:0DB8::0:7", True),
        ("2001:db8::7", "2001:db8::8", False),
        ("203.0.113.0/24", "203.0.113.0", True),
        ("203.0.113.0/24", "203.0.113.255", True),
        ("203.0.113.0/24", "203.0.112.255", False),
        ("203.0.113.0/24", "203.0.114.0", False),
        ("2001:db8::/32", "2001:db8::", True),
        ("2001:db8::/32", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", True),
        ("2001:db8::/32", "2001:db9::", False),
        ("203.0.113.0/25", "203.0.113.128", False),
        ("203.0.113.7", "::ffff:203.0.113.7", True),
        ("203.0.113.0/24", "::ffff:cb00:7107", True),
        ("::ffff:203.0.113.7", "203.0.113.7", True),
        ("::ffff:203.0.113.0/120", "203.0.113.9", True),
        ("0.0.0.1", "::1", False),
        ("::1", "0.0.0.1", False),
        ("::203.0.113.7", "203.0.113.7", False),
        ("::/1", "203.0.113.7", False),
        ("::/1", "::ffff:203.0.113.7", False),
    ],
)
def test_an_entry_matches_by_value(entry: str, address: str, matches: bool) -> None:
    parsed = parse_address(address)
    assert parsed is not None
    assert IPList([entry]).match(parsed) == (entry if matches else None)


@pytest.mark.parametrize("text", ["203.0.113.7", "203.0.113.0/24", "2001:db8::7", "2001:db8::/32"])
def test_a_usual_stored_entry_is_read_the_short_way(text: str) -> None:
    network = parse_ip(text).network
    assert read_canonical(text) == (
        network.version,
        network.max_prefixlen - network.prefixlen,
        int(network.network_address) >> (network.max_prefixlen - network.prefixlen),
    )


def test_the_entry_that_matched_is_told_among_many() -> None:
    texts = ["nonsense", *(f"10.{n}.0.0/16" for n in range(200)), "203.0.113.7", "2001:db8::/32", "fe80::/64"]
    compiled = IPList(texts)
    assert compiled.match(IPv4Address("10.199.1.1")) == "10.199.0.0/16"
    assert compiled.match(IPv4Address("203.0.113.7")) == "203.0.113.7"
    assert compiled.match(IPv6Address("fe80::1")) == "fe80::/64"
    assert compiled.match(IPv4Address("203.0.113.8")) is None
    assert compiled.unreadable == ("nonsense",)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:DB8::7", "2001:db8::7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("::ffff:cb00:7107", "203.0.113.7"),
        ("0.0.0.0", "0.0.0.0"),
    ],
)
def test_an_address_is_read(text: str, address: str) -> None:
    assert str(parse_address(text)) == address


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "x", "-", "unknown", "203.0.113.7:80", "[::1]", "203.0.113.7/32", "fe80::1%eth0"),
        *(" 203.0.113.7", "203.0.113.7\n", "203.0.113.07", "127.1", "\uff11.2.3.4", "\ud800"),
        *("1" * 100_000, ":" * 100_000),
    ],
    ids=lambda text: ascii(text[:14]),
)
def test_an_address_is_nothing_else(text: str) -> None:
    assert parse_address(text) is None


def test_only_mapped_addresses_are_unmapped() -> None:
    for text in ("203.0.113.7", "::203.0.113.7", "64:ff9b::203.0.113.7", "::1"):
        assert unmapped(ip_address(text)) == ip_address(text)
    assert unmapped(IPv6Address("::ffff:203.0.113.7")) == IPv4Address("203.0.113.7")
