"""Addresses and networks: where a server calls from.

    203.0.113.7         that address                        form ``address``
    2001:db8::7         that address                        form ``address``
    203.0.113.0/24      every address of that network       form ``network``
    2001:db8::/32       every address of that network       form ``network``

An IPv4-mapped IPv6 address or network counts as IPv4. One parser serves saving and matching.
"""

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import (
    AddressValueError,
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import NamedTuple

from .origins import ends_in_number
from .problems import EntryError, Problem, check_text

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

WIDEST_IPV4 = 8
_OCTET = "(?:[0-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5])"
_USUAL_IPV4 = re.compile(rf"(?:[1-9]|[1-9][0-9]|1[0-9]{{2}}|2[01][0-9]|22[0-3])(?:\.{_OCTET}){{3}}", re.ASCII)
_USUAL_IPV6 = re.compile(r"(?!ff)[1-9a-f][0-9a-f]{0,3}:[0-9a-f:]+", re.ASCII)
_BROADCAST = IPv4Address("255.255.255.255")
_PREFIX = re.compile(r"0|[1-9][0-9]{0,2}", re.ASCII)
_ADDRESS = re.compile(r"[0-9a-f:.]+", re.ASCII | re.IGNORECASE)
_IPV4_LIKE = re.compile(r"[0-9]+(?:\.[0-9]+){3}", re.ASCII)
_STAR_TAIL = re.compile(r"((?:[0-9]{1,3}\.){1,3})\*(?:\.\*)*", re.ASCII)
_SHORT_IPV4 = re.compile(r"[0-9a-fx.]+", re.ASCII | re.IGNORECASE)
_WITH_PORT = re.compile(r"([0-9.]+):[0-9]+|\[([0-9a-f:.]+)\](?::[0-9]+)?", re.ASCII | re.IGNORECASE)
_NOT_PUBLIC = tuple(
    ip_network(text)
    for text in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
        *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15"),
        *("198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        *("::/96", "::ffff:0:0/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32"),
        *("2002::/16", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/9", "ff00::/8"),
    )
)
"""The networks that IANA's special-purpose and multicast registries keep off the public internet.

We don't use ``is_global``: Python versions disagree on it, and it calls a network global that contains
a private one. The few anycast services inside these networks don't matter, since they send no requests.
"""


class IPForm(StrEnum):
    """The two forms of an IP entry."""

    ADDRESS = "address"
    NETWORK = "network"


@dataclass(frozen=True, slots=True)
class IPEntry:
    """One address or network: its canonical text and what it matches."""

    text: str
    network: Network

    @property
    def form(self) -> IPForm:
        """Return the form that a recipe must allow for this entry to be saved."""
        single = self.network.prefixlen == self.network.max_prefixlen
        return IPForm.ADDRESS if single else IPForm.NETWORK


class IPList:
    """The IP entries of one key, compiled: a look-up takes as long among 2,500 entries as among 25."""

    __slots__ = ("_networks", "count", "unreadable")

    def __init__(self, texts: Iterable[str], expired: int = 0) -> None:
        """Compile stored ``texts``; a text that can't be read matches nothing and is in ``unreadable``.

        ``expired`` is how many more entries there are that have ended: they match nothing, but count.
        """
        unreadable: list[str] = []
        self.count = expired
        networks: dict[tuple[int, int], dict[int, str]] = {}
        for text in texts:
            self.count += 1
            try:
                version, shift, first = read_canonical(text) or _block(parse_ip(text).network)
            except EntryError:
                unreadable.append(text)
                continue
            networks.setdefault((version, shift), {})[first] = text
        self._networks = tuple((version, shift, nets) for (version, shift), nets in networks.items())
        self.unreadable = tuple(unreadable)

    def match(self, address: Address) -> str | None:
        """Return the text of an entry that matches ``address``, or None."""
        version, number = address.version, int(address)
        for of_version, shift, networks in self._networks:
            if of_version == version and (text := networks.get(number >> shift)) is not None:
                return text
        return None


class Block(NamedTuple):
    """A network in numbers: how many bits of its addresses vary, and the number in front of these bits."""

    version: int
    shift: int
    first: int


def _block(network: Network) -> Block:
    shift = network.max_prefixlen - network.prefixlen
    return Block(network.version, shift, int(network.network_address) >> shift)


def read_canonical(text: str) -> Block | None:
    """Return the network that ``parse_ip`` reads in most canonical texts, at a third of the cost, else None.

    Left to the parser: what lies in ``0.0.0.0/8``, ``224.0.0.0/3``, ``::/4`` and ``ff00::/8``, where some
    entries are refused or read as others.
    """
    address, slash, prefix = text.partition("/")
    if _USUAL_IPV4.fullmatch(address):
        version, bits, widest, number = 4, 32, WIDEST_IPV4, int.from_bytes(map(int, address.split(".")))
    elif _USUAL_IPV6.fullmatch(address):
        try:
            version, bits, widest, number = 6, 128, 1, int(IPv6Address(address))
        except AddressValueError:
            return None
    else:
        return None
    if not slash:
        return Block(version, 0, number)
    shift = bits - int(prefix) if _PREFIX.fullmatch(prefix) else -1
    if not 0 <= shift <= bits - widest or number & ((1 << shift) - 1):
        return None
    return Block(version, shift, number >> shift)


def parse_address(text: str) -> Address | None:
    """Return the address that ``text`` spells (a mapped one as IPv4), or None. No zone ids."""
    if not _ADDRESS.fullmatch(text):
        return None
    try:
        return unmapped(ip_address(text))
    except ValueError:
        return None


def is_public(network: Network) -> bool:
    """Return whether every address of ``network`` is globally routable and none is multicast."""
    return not any(network.overlaps(special) for special in _NOT_PUBLIC)


def unmapped(address: Address) -> Address:
    """Return the IPv4 address behind an IPv4-mapped IPv6 one, any other as it is."""
    return getattr(address, "ipv4_mapped", None) or address


def parse_ip(text: str) -> IPEntry:
    """Return the IP entry that ``text`` spells, or raise EntryError with guesses at what was meant."""
    text = check_text(text)
    address, slash, prefix = text.partition("/")
    if "%" in text:
        raise EntryError(Problem.ZONE, text, text.partition("%")[0])
    if not _ADDRESS.fullmatch(address):
        raise _not_an_address(text)
    if slash and not _PREFIX.fullmatch(prefix):
        raise EntryError(Problem.PREFIX, text, *_masks(text))
    return _entry(text, _network(text, bool(slash)))


def _network(text: str, has_prefix: bool) -> Network:
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        if has_prefix and parse_address(text.partition("/")[0]):
            raise EntryError(Problem.PREFIX, text) from None
        raise _not_an_address(text) from None
    if has_prefix and ip_address(text.partition("/")[0]) != network.network_address:
        raise EntryError(Problem.HOST_BITS, text, str(unmapped_network(network)))
    return unmapped_network(network)


def unmapped_network(network: Network) -> Network:
    """Return the IPv4 network behind an IPv4-mapped IPv6 one, any other as it is."""
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is None or network.prefixlen < 96:
        return network
    return IPv4Network((mapped, network.prefixlen - 96))


def _entry(text: str, network: Network) -> IPEntry:
    first = network.network_address
    if network.prefixlen == 0:
        raise EntryError(Problem.EVERY_ADDRESS, text)
    if network.version == 4 and network.prefixlen < WIDEST_IPV4:
        raise EntryError(Problem.TOO_WIDE, text)
    if network.is_multicast:
        raise EntryError(Problem.MULTICAST, text)
    if network.prefixlen == network.max_prefixlen:
        if first.is_unspecified:
            raise EntryError(Problem.UNSPECIFIED, text)
        if first == _BROADCAST:
            raise EntryError(Problem.BROADCAST, text)
        return IPEntry(str(first), network)
    return IPEntry(str(network), network)


def _masks(text: str) -> tuple[str, ...]:
    """Return the network that a net mask, a host mask or a padded prefix (``/08``) means."""
    address, _, mask = text.partition("/")
    if mask.isascii() and mask.isdigit():
        return (f"{address}/{mask.lstrip('0')}",)
    with suppress(ValueError):
        return (str(ip_network(text, strict=False)),)
    return ()


def _not_an_address(text: str) -> EntryError:
    """Return what ``text`` is instead of an address, with the address or network that was meant."""
    if not text.strip("*."):
        return EntryError(Problem.EVERY_ADDRESS, text)
    if match := _WITH_PORT.fullmatch(text):
        return EntryError(Problem.IP_PORT, text, match[1] or match[2])
    if match := _STAR_TAIL.fullmatch(text):
        octets = match[1].split(".")[:-1]
        meant = ".".join((octets + ["0"] * 4)[:4]) + f"/{8 * len(octets)}"
        return EntryError(Problem.IP_WILDCARD, text, meant)
    if _IPV4_LIKE.fullmatch(text.partition("/")[0]):
        octets = [octet.lstrip("0") or "0" for octet in text.partition("/")[0].split(".")]
        meant = ".".join(octets) + "".join(text.partition("/")[1:])
        return EntryError(Problem.ODD_IPV4, text, meant)
    host = text.partition("/")[0].lower()
    if _SHORT_IPV4.fullmatch(host) and ends_in_number(host):
        return EntryError(Problem.ODD_IPV4, text)
    if "://" in text or _is_domain_like(host):
        return EntryError(Problem.DOMAIN_AS_IP, text)
    return EntryError(Problem.NOT_AN_ADDRESS, text)


def _is_domain_like(host: str) -> bool:
    name, _, port = host.partition(":")
    return any(char.isalpha() for char in name) and (not port or port.isdigit())
