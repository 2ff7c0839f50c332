"""IP entries: what they may be, what they match, what is refused and what is offered instead."""

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import pytest

from allowlist.policy.guards import read_ip
from allowlist.policy.networks import IPForm, IPList, parse_address, parse_ip, read_canonical, unmapped
from allowlist.policy.problems import EntryError, Problem

FORMS = tuple(IPForm)
ADDRESS, NETWORK = IPForm.ADDRESS, IPForm.NETWORK

ACCEPTED = [
    pytest.param("203.0.113.7", "203.0.113.7", ADDRESS, id="ipv4-address"),
    pytest.param("2001:db8::7", "2001:db8::7", ADDRESS, id="ipv6-address"),
    pytest.param("203.0.113.0/24", "203.0.113.0/24", NETWORK, id="ipv4-network"),
    pytest.param("2001:db8::/32", "2001:db8::/32", NETWORK, id="ipv6-network"),
    pytest.param(" 203.0.113.7\n", "203.0.113.7", ADDRESS, id="blanks-around"),
    pytest.param("2001:DB8::7", "2001:db8::7", ADDRESS, id="lower-case"),
    pytest.param("2001:0db8:0:0:0:0:0:7", "2001:db8::7", ADDRESS, id="compressed"),
    pytest.param("2001:db8:0:0::/32", "2001:db8::/32", NETWORK, id="compressed-network"),
    pytest.param("203.0.113.7/32", "203.0.113.7", ADDRESS, id="ipv4-network-of-one-is-the-address"),
    pytest.param("2001:db8::7/128", "2001:db8::7", ADDRESS, id="ipv6-network-of-one-is-the-address"),
    pytest.param("::ffff:203.0.113.7", "203.0.113.7", ADDRESS, id="mapped-address-is-ipv4"),
    pytest.param("::FFFF:cb00:7107", "203.0.113.7", ADDRESS, id="mapped-address-in-hexadecimal"),
    pytest.param("::ffff:203.0.113.0/120", "203.0.113.0/24", NETWORK, id="mapped-network-is-ipv4"),
    pytest.param("::ffff:203.0.113.7/128", "203.0.113.7", ADDRESS, id="mapped-network-of-one"),
    pytest.param("::ffff:10.0.0.0/104", "10.0.0.0/8", NETWORK, id="mapped-network-of-the-widest"),
    pytest.param("10.0.0.0/8", "10.0.0.0/8", NETWORK, id="private-and-widest"),
    pytest.param("127.0.0.1", "127.0.0.1", ADDRESS, id="loopback"),
    pytest.param("::1", "::1", ADDRESS, id="ipv6-loopback"),
    pytest.param("fe80::1", "fe80::1", ADDRESS, id="link-local"),
    pytest.param("2000::/3", "2000::/3", NETWORK, id="ipv6-may-be-wide"),
    pytest.param("::/1", "::/1", NETWORK, id="ipv6-up-to-half"),
    pytest.param("255.255.255.254", "255.255.255.254", ADDRESS, id="next-to-broadcast"),
    pytest.param("0.0.0.0/8", "0.0.0.0/8", NETWORK, id="network-with-the-unspecified-address"),
]
REFUSED = [
    pytest.param("", Problem.EMPTY, (), id="empty"),
    pytest.param(" \t\n", Problem.EMPTY, (), id="blank"),
    pytest.param(None, Problem.NOT_TEXT, (), id="none"),
    pytest.param(3405803783, Problem.NOT_TEXT, (), id="number"),
    pytest.param("1" * 1001, Problem.TOO_LONG, (), id="1001-characters"),
    pytest.param("1" * 100_000, Problem.TOO_LONG, (), id="100-kB"),
    pytest.param("203.0.113.7,203.0.113.8", Problem.SEVERAL, (), id="comma"),
    pytest.param("203.0.113.7;203.0.113.8", Problem.SEVERAL, (), id="semicolon"),
    pytest.param("203.0.113.7\n203.0.113.8", Problem.SEVERAL, (), id="two-lines"),
    pytest.param("203.0.113.7 203.0.113.8", Problem.SPACES, (), id="space"),
    pytest.param("203.0.113.7\x00", Problem.CONTROL, (), id="nul"),
    pytest.param("203.0.113.7\x0b", Problem.CONTROL, (), id="vertical-tab-at-the-end"),
    pytest.param("203.0.113.7\ud800", Problem.CONTROL, (), id="surrogate"),
    pytest.param("fe80::1%eth0", Problem.ZONE, ("fe80::1",), id="zone-id"),
    pytest.param("fe80::1%25eth0", Problem.ZONE, ("fe80::1",), id="encoded-zone-id"),
    pytest.param("fe80::%eth0/64", Problem.ZONE, ("fe80::",), id="zone-id-in-a-network"),
    pytest.param("::ffff:1.2.3.4%1", Problem.ZONE, ("::ffff:1.2.3.4",), id="zone-id-of-a-mapped-address"),
    pytest.param("203.0.113.0/024", Problem.PREFIX, ("203.0.113.0/24",), id="padded-prefix"),
    pytest.param("10.0.0.0/08", Problem.PREFIX, ("10.0.0.0/8",), id="slash-08"),
    pytest.param("10.0.0.1/08", Problem.PREFIX, ("10.0.0.0/8",), id="slash-08-and-host-bits"),
    pytest.param("2001:db8::/032", Problem.PREFIX, ("2001:db8::/32",), id="padded-ipv6-prefix"),
    pytest.param("203.0.113.0/255.255.255.0", Problem.PREFIX, ("203.0.113.0/24",), id="net-mask"),
    pytest.param(
        "203.0.113.7/255.255.255.0", Problem.PREFIX, ("203.0.113.0/24",), id="net-mask-and-host-bits"
    ),
    pytest.param("203.0.113.0/0.0.0.255", Problem.PREFIX, ("203.0.113.0/24",), id="host-mask"),
    pytest.param("2001:db8::/ffff:ffff::", Problem.PREFIX, (), id="ipv6-mask"),
    pytest.param("203.0.113.0/33", Problem.PREFIX, (), id="ipv4-prefix-over-32"),
    pytest.param("2001:db8::/129", Problem.PREFIX, (), id="ipv6-prefix-over-128"),
    pytest.param("203.0.113.0/", Problem.PREFIX, (), id="no-prefix"),
    pytest.param("203.0.113.0/+24", Problem.PREFIX, (), id="signed-prefix"),
    pytest.param("203.0.113.0/-1", Problem.PREFIX, (), id="negative-prefix"),
    pytest.param("203.0.113.0/24/24", Problem.PREFIX, (), id="two-prefixes"),
    pytest.param("203.0.113.0/\u0662\u0664", Problem.PREFIX, (), id="prefix-in-arabic-digits"),
    pytest.param("203.0.113.0/00", Problem.PREFIX, (), id="slash-00-is-not-offered-as-slash-0"),
    pytest.param("203.0.113.7/24", Problem.HOST_BITS, ("203.0.113.0/24",), id="host-bits"),
    pytest.param("2001:db8::1/32", Problem.HOST_BITS, ("2001:db8::/32",), id="ipv6-host-bits"),
    pytest.param("::ffff:203.0.113.7/120", Problem.HOST_BITS, ("203.0.113.0/24",), id="mapped-host-bits"),
    pytest.param("203.0.113.7/7", Problem.HOST_BITS, (), id="host-bits-of-a-network-too-wide-to-offer"),
    pytest.param("8.0.0.0/7", Problem.TOO_WIDE, (), id="ipv4-wider-than-8"),
    pytest.param("0.0.0.0/0", Problem.EVERY_ADDRESS, (), id="all-ipv4"),
    pytest.param("::/0", Problem.EVERY_ADDRESS, (), id="all-ipv6"),
    pytest.param("::ffff:0:0/96", Problem.EVERY_ADDRESS, (), id="all-ipv4-mapped"),
    pytest.param("::ffff:8.0.0.0/103", Problem.TOO_WIDE, (), id="mapped-wider-than-8"),
    pytest.param("224.0.0.1", Problem.MULTICAST, (), id="multicast"),
    pytest.param("239.0.0.0/8", Problem.MULTICAST, (), id="multicast-network"),
    pytest.param("ff02::1", Problem.MULTICAST, (), id="ipv6-multicast"),
    pytest.param("ff00::/8", Problem.MULTICAST, (), id="ipv6-multicast-network"),
    pytest.param("::ffff:224.0.0.1", Problem.MULTICAST, (), id="mapped-multicast"),
    pytest.param("0.0.0.0", Problem.UNSPECIFIED, (), id="unspecified"),
    pytest.param("0.0.0.0/32", Problem.UNSPECIFIED, (), id="unspecified-as-a-network"),
    pytest.param("::", Problem.UNSPECIFIED, (), id="ipv6-unspecified"),
    pytest.param("::ffff:0.0.0.0", Problem.UNSPECIFIED, (), id="mapped-unspecified"),
    pytest.param("255.255.255.255", Problem.BROADCAST, (), id="broadcast"),
    pytest.param("::ffff:255.255.255.255", Problem.BROADCAST, (), id="mapped-broadcast"),
    pytest.param("203.0.113.7:443", Problem.IP_PORT, ("203.0.113.7",), id="port"),
    pytest.param("[2001:db8::7]:443", Problem.IP_PORT, ("2001:db8::7",), id="ipv6-port"),
    pytest.param("[2001:DB8::7]", Problem.IP_PORT, ("2001:DB8::7",), id="brackets"),
    pytest.param("999.0.113.7:443", Problem.IP_PORT, (), id="port-after-no-address"),
    pytest.param("203.0.113.*", Problem.IP_WILDCARD, ("203.0.113.0/24",), id="star"),
    pytest.param("203.0.*.*", Problem.IP_WILDCARD, ("203.0.0.0/16",), id="two-stars"),
    pytest.param("203.0.*", Problem.IP_WILDCARD, ("203.0.0.0/16",), id="star-for-the-rest"),
    pytest.param("203.*", Problem.IP_WILDCARD, ("203.0.0.0/8",), id="star-after-one-octet"),
    pytest.param("999.*", Problem.IP_WILDCARD, (), id="star-after-no-octet"),
    pytest.param("203.0.113.07", Problem.ODD_IPV4, ("203.0.113.7",), id="leading-zero"),
    pytest.param("203.000.113.7", Problem.ODD_IPV4, ("203.0.113.7",), id="leading-zeros-of-zero"),
    pytest.param("010.0.0.0/8", Problem.ODD_IPV4, ("10.0.0.0/8",), id="leading-zero-in-a-network"),
    pytest.param("203.0.113.256", Problem.ODD_IPV4, (), id="octet-over-255"),
    pytest.param("0x7f.1", Problem.ODD_IPV4, (), id="hexadecimal"),
    pytest.param("127.1", Problem.ODD_IPV4, (), id="short-ipv4"),
    pytest.param("203.0.113/24", Problem.ODD_IPV4, (), id="short-ipv4-network"),
    pytest.param("2130706433", Problem.ODD_IPV4, (), id="one-number"),
    pytest.param("1.2.3.4.5", Problem.ODD_IPV4, (), id="five-octets"),
    pytest.param("example.com", Problem.DOMAIN_AS_IP, (), id="domain"),
    pytest.param("https://example.com", Problem.DOMAIN_AS_IP, (), id="origin"),
    pytest.param("http://203.0.113.7", Problem.DOMAIN_AS_IP, (), id="origin-of-an-address"),
    pytest.param("localhost", Problem.DOMAIN_AS_IP, (), id="localhost"),
    pytest.param("*.example.com", Problem.DOMAIN_AS_IP, (), id="wildcard-domain"),
    pytest.param("9gag.com", Problem.DOMAIN_AS_IP, (), id="domain-that-starts-with-a-digit"),
    pytest.param("example.com:8080", Problem.DOMAIN_AS_IP, (), id="domain-with-port"),
    pytest.param("example.com/path", Problem.DOMAIN_AS_IP, (), id="domain-with-path"),
    pytest.param("b\xfccher.de", Problem.DOMAIN_AS_IP, (), id="unicode-domain"),
    pytest.param("*", Problem.EVERY_ADDRESS, (), id="star-alone"),
    pytest.param("*.*.*.*", Problem.EVERY_ADDRESS, (), id="stars-alone"),
    pytest.param("203.0.113.7-203.0.113.9", Problem.NOT_AN_ADDRESS, (), id="range"),
    pytest.param("12345::", Problem.NOT_AN_ADDRESS, (), id="ipv6-group-over-16-bits"),
    pytest.param("2001:db8::g", Problem.NOT_AN_ADDRESS, (), id="no-hexadecimal-digit"),
    pytest.param("2001:db8", Problem.NOT_AN_ADDRESS, (), id="short-ipv6"),
    pytest.param("[2001:db8::7", Problem.NOT_AN_ADDRESS, (), id="unclosed-bracket"),
    pytest.param("/24", Problem.NOT_AN_ADDRESS, (), id="prefix-alone"),
    pytest.param("12345::/16", Problem.NOT_AN_ADDRESS, (), id="network-of-no-address"),
    pytest.param("\uff11.2.3.4", Problem.NOT_AN_ADDRESS, (), id="full-width-digit"),
]


@pytest.mark.parametrize(("text", "canonical", "form"), ACCEPTED)
def test_an_accepted_text_is_stored_canonical(text: str, canonical: str, form: IPForm) -> None:
    entry = read_ip(text, FORMS, False)
    assert (entry.text, entry.form) == (canonical, form)
    assert entry == parse_ip(canonical)
    assert IPList([canonical]).unreadable == ()


@pytest.mark.parametrize(("text", "problem", "guesses"), REFUSED)
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
        pytest.param("203.0.113.7", "203.0.113.7", True, id="the-address"),
        pytest.param("203.0.113.7", "203.0.113.8", False, id="the-next-address"),
        pytest.param("203.0.113.7", "203.0.113.6", False, id="the-address-before"),
        pytest.param("2001:db8::7", "2001:0DB8::0:7", True, id="ipv6-by-value"),
        pytest.param("2001:db8::7", "2001:db8::8", False, id="another-ipv6"),
        pytest.param("203.0.113.0/24", "203.0.113.0", True, id="first-of-the-network"),
        pytest.param("203.0.113.0/24", "203.0.113.255", True, id="last-of-the-network"),
        pytest.param("203.0.113.0/24", "203.0.112.255", False, id="before-the-network"),
        pytest.param("203.0.113.0/24", "203.0.114.0", False, id="after-the-network"),
        pytest.param("2001:db8::/32", "2001:db8::", True, id="first-of-the-ipv6-network"),
        pytest.param(
            "2001:db8::/32", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", True, id="last-of-the-ipv6-network"
        ),
        pytest.param("2001:db8::/32", "2001:db9::", False, id="after-the-ipv6-network"),
        pytest.param("203.0.113.0/25", "203.0.113.128", False, id="odd-prefix"),
        pytest.param("203.0.113.7", "::ffff:203.0.113.7", True, id="mapped-address-is-ipv4"),
        pytest.param("203.0.113.0/24", "::ffff:cb00:7107", True, id="mapped-address-in-an-ipv4-network"),
        pytest.param("::ffff:203.0.113.7", "203.0.113.7", True, id="mapped-entry-is-ipv4"),
        pytest.param("::ffff:203.0.113.0/120", "203.0.113.9", True, id="mapped-network-is-ipv4"),
        pytest.param("0.0.0.1", "::1", False, id="same-number-of-another-version"),
        pytest.param("::1", "0.0.0.1", False, id="same-number-of-the-other-version"),
        pytest.param("::203.0.113.7", "203.0.113.7", False, id="compatible-is-not-mapped"),
        pytest.param("::/1", "203.0.113.7", False, id="ipv6-network-over-the-mapped-ones"),
        pytest.param("::/1", "::ffff:203.0.113.7", False, id="mapped-address-under-an-ipv6-network"),
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
