"""Domain entries: the sites a key's creator lists.

    https://example.com           that origin, default port                    ``origin``
    http://localhost:3000         that exact origin                            ``origin``
    http://[::1]:3000             that exact origin                            ``origin``
    https://*.example.com         that scheme and port, any subdomain at       ``origin`` + ``wildcard``
                                  any depth, not example.com itself
    example.com, 127.0.0.1        that host, http or https, any port           ``host``
    *.example.com                 any subdomain at any depth, http or https,   ``wildcard``
                                  any port, not example.com itself

The canonical text is in lower case, with Unicode as punycode (UTS46 non-transitional, as in browsers),
without a default port, a trailing slash or a trailing dot. It parses to itself. One parser serves saving
and matching; ``guards`` has what only saving refuses.
"""

import re
from collections.abc import Iterable
from enum import StrEnum
from ipaddress import AddressValueError, IPv6Address
from typing import NamedTuple

from .hosts import PUNYCODE, in_unicode, read_host
from .networks import parse_ip
from .origins import (
    DEFAULT_PORTS,
    MAX_HOST,
    NAME,
    Origin,
    ends_in_number,
    ipv6_text,
    parse_port,
)
from .problems import EntryError, Problem, check_text

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):(.*)", re.ASCII | re.IGNORECASE)
_WILDCARD = "*."
_NETWORKS = {Problem.HOST_BITS, Problem.TOO_WIDE, Problem.EVERY_ADDRESS, Problem.MULTICAST}
"""What can be wrong with a text that is still a network."""

# What `read_canonical` reads. `(?(1)…)`: there is a port only if there is a scheme.
_CANONICAL = re.compile(rf"(?:(https?)://)?(\*\.)?({NAME})(?(1)(?::([0-9]{{1,5}}))?)", re.ASCII)


class DomainForm(StrEnum):
    """The forms of a domain entry; ``https://*.example.com`` has the first and the last."""

    ORIGIN = "origin"
    HOST = "host"
    WILDCARD = "wildcard"


class DomainEntry(NamedTuple):
    """One site or pattern of sites; ``scheme`` and ``port`` are None if the entry matches any."""

    scheme: str | None
    host: str
    port: int | None
    wildcard: bool

    @property
    def forms(self) -> frozenset[DomainForm]:
        """Return the forms that a recipe must allow for this entry to be saved."""
        if self.scheme is None:
            return frozenset({DomainForm.WILDCARD if self.wildcard else DomainForm.HOST})
        return frozenset({DomainForm.ORIGIN} | ({DomainForm.WILDCARD} if self.wildcard else set()))

    @property
    def text(self) -> str:
        """Return the canonical text."""
        host = f"{_WILDCARD}{self.host}" if self.wildcard else self.host
        if self.scheme is None or self.port is None:
            return host
        return str(Origin(self.scheme, host, self.port))


class DomainList:
    """The domain entries of one key, compiled: a look-up takes as long among 2,500 entries as among 25."""

    __slots__ = ("_hosts", "_origins", "_wildcards", "count", "unreadable")

    def __init__(self, texts: Iterable[str], expired: int = 0) -> None:
        """Compile stored ``texts``; a text that can't be read matches nothing and is in ``unreadable``.

        ``expired`` is how many more entries there are that have ended: they match nothing, but count.
        """
        unreadable: list[str] = []
        self.count = expired
        self._origins: dict[Origin, str] = {}
        self._hosts: dict[str, str] = {}
        self._wildcards: dict[str, dict[tuple[str | None, int | None], str]] = {}
        for text in texts:
            self.count += 1
            try:
                self._add(read_canonical(text) or parse_domain(text), text)
            except EntryError:
                unreadable.append(text)
        self.unreadable = tuple(unreadable)

    def _add(self, entry: DomainEntry, text: str) -> None:
        if entry.wildcard:
            self._wildcards.setdefault(entry.host, {})[entry.scheme, entry.port] = text
        elif entry.scheme is None or entry.port is None:
            self._hosts[entry.host] = text
        else:
            self._origins[Origin(entry.scheme, entry.host, entry.port)] = text

    def match(self, origin: Origin) -> str | None:
        """Return the text of an entry that matches ``origin``, or None."""
        text = self._origins.get(origin) or self._hosts.get(origin.host)
        if text is None and self._wildcards:
            return self._match_wildcard(origin)
        return text

    def _match_wildcard(self, origin: Origin) -> str | None:
        _, dot, parent = origin.host.partition(".")
        while dot:
            if of_parent := self._wildcards.get(parent):
                text = of_parent.get((None, None)) or of_parent.get((origin.scheme, origin.port))
                if text is not None:
                    return text
            _, dot, parent = parent.partition(".")
        return None


def display(text: str) -> str:
    """Return an entry's canonical text as people write it: punycode as Unicode."""
    if PUNYCODE not in text:
        return text
    head, separator, rest = text.rpartition("://")
    host, colon, port = rest.partition(":")
    shown = in_unicode(host.removeprefix(_WILDCARD))
    star = _WILDCARD if host.startswith(_WILDCARD) else ""
    return f"{head}{separator}{star}{shown}{colon}{port}"


def read_canonical(text: str) -> DomainEntry | None:
    """Return what ``parse_domain`` does for most canonical texts, at a sixth of its cost, else None.

    Left to the parser: punycode, IP addresses and bare names, which take more than a pattern to judge,
    and every host whose last label starts with a digit, as an address's does.
    """
    match = _CANONICAL.fullmatch(text)
    if match is None or PUNYCODE in text:
        return None
    scheme, star, host, port = match.groups()
    if len(host) > MAX_HOST or host[host.rfind(".") + 1].isdigit():
        return None
    if scheme is None:
        is_whole = star or "." in host or host == "localhost"
        return DomainEntry(None, host, None, star is not None) if is_whole else None
    number = DEFAULT_PORTS[scheme] if port is None else parse_port(port)
    return None if number is None else DomainEntry(scheme, host, number, star is not None)


def parse_domain(text: str) -> DomainEntry:
    """Return the entry that ``text`` spells, or raise EntryError with guesses at what was meant."""
    text = check_text(text)
    _check_whole(text)
    scheme, rest = _split_scheme(text)
    rest = rest.removesuffix("/")
    _check_authority(text, scheme, rest)
    host, port = _split_port(text, scheme, rest)
    wildcard = host.startswith(_WILDCARD)
    _check_shape(text, scheme, host)
    name = _host(text, scheme, host.removeprefix(_WILDCARD), wildcard)
    number = None if scheme is None else _port(text, scheme, name, port)
    return DomainEntry(scheme, name, number, wildcard)


def _check_whole(text: str) -> None:
    """Refuse a text that isn't meant as a site's name."""
    if text.lower() == "null":
        raise EntryError(Problem.NULL, text)
    if _is_ipv6(text):
        raise EntryError(Problem.BARE_IPV6, text, *_both(f"[{text}]"))
    if text.startswith("["):
        raise EntryError(Problem.BARE_IPV6, text, *_both(text))
    if "/" in text and _is_network(text):
        raise EntryError(Problem.NETWORK_AS_DOMAIN, text)


def _split_scheme(text: str) -> tuple[str | None, str]:
    """Return the scheme (None without one) and what follows it."""
    if text.startswith("//"):
        raise EntryError(Problem.SCHEME, text, *_both(text[2:]))
    match = _SCHEME.fullmatch(text)
    if match is None:
        return None, text
    scheme, rest = match[1].lower(), match[2]
    if scheme in DEFAULT_PORTS and rest.startswith("//"):
        return scheme, rest[2:]
    if scheme in DEFAULT_PORTS:
        raise EntryError(Problem.SCHEME, text, f"{scheme}://{rest.lstrip('/')}")
    if "." in scheme or not rest or rest[0].isdigit() or ("@" in rest and not rest.startswith("//")):
        return None, text
    meant = {"ws": "http", "wss": "https", "ftp": "https"}.get(scheme)
    raise EntryError(Problem.SCHEME, text, *([f"{meant}:{rest}"] if meant else []))


def _check_authority(text: str, scheme: str | None, rest: str) -> None:
    """Refuse everything that can't be in ``host[:port]``."""
    prefix = "" if scheme is None else f"{scheme}://"
    if "\\" in rest:
        raise EntryError(Problem.BACKSLASH, text)
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    if "@" in authority:
        raise EntryError(Problem.USERINFO, text, prefix + authority.rpartition("@")[2])
    if authority != rest:
        raise EntryError(Problem.PATH, text, prefix + authority)
    if "%" in rest:
        raise EntryError(Problem.PERCENT, text)
    if rest.partition(":")[0] in {"*", "*.*"}:
        raise EntryError(Problem.EVERYTHING, text)


def _split_port(text: str, scheme: str | None, rest: str) -> tuple[str, str | None]:
    """Return the host, and the text of the port or None."""
    if rest.removeprefix(_WILDCARD).startswith("["):
        host, bracket, tail = rest.partition("]")
        if not bracket or (tail and not tail.startswith(":")):
            raise EntryError(Problem.BRACKETS, text)
        return host + bracket, tail[1:] if tail else None
    host, colon, port = rest.partition(":")
    if ":" in port:
        if scheme and (bracketed := _bracketed(rest)):
            raise EntryError(Problem.BRACKETS, text, *(f"{scheme}://{each}" for each in bracketed))
        raise EntryError(Problem.PORT, text, f"{scheme or 'https'}://{host}")
    if colon and scheme is None:
        if parse_port(port) is None:
            raise EntryError(Problem.PORT, text, host)
        raise EntryError(Problem.HOST_PORT, text, *_both(rest))
    return host, port if colon else None


def _bracketed(rest: str) -> list[str]:
    """Return the ways to read ``rest`` as an IPv6 address without brackets, with or without a port."""
    head, _, tail = rest.rpartition(":")
    with_port = [f"[{head}]:{tail}"] if _is_ipv6(head) and parse_port(tail) else []
    return with_port + ([f"[{rest}]"] if _is_ipv6(rest) else [])


def _port(text: str, scheme: str, host: str, port: str | None) -> int:
    if port is None:
        return DEFAULT_PORTS[scheme]
    number = parse_port(port)
    if number is None:
        meant = port.lstrip("0")
        guess = f"{scheme}://{host}:{meant}" if parse_port(meant) else f"{scheme}://{host}"
        raise EntryError(Problem.PORT, text, guess)
    return number


def _host(text: str, scheme: str | None, host: str, wildcard: bool) -> str:
    """Return the canonical host, or raise EntryError."""
    if ".." in host:
        raise EntryError(Problem.EMPTY_LABEL, text, re.sub(r"\.{2,}", ".", text))
    canonical = read_host(host, text)
    is_address = canonical.startswith("[") or ends_in_number(canonical)
    if ends_in_number(canonical) and host.removesuffix(".") != canonical:
        raise EntryError(Problem.ODD_IPV4, text, f"{scheme}://{canonical}" if scheme else canonical)
    if is_address and wildcard:
        raise EntryError(Problem.WILDCARD_ADDRESS, text)
    if scheme is None and not wildcard and "." not in canonical and canonical != "localhost":
        raise EntryError(Problem.SINGLE_LABEL, text, *_both(canonical))
    return canonical


def _check_shape(text: str, scheme: str | None, host: str) -> None:
    """Refuse stars and dots in the wrong places, with a guess at the pattern that was meant."""
    prefix = "" if scheme is None else f"{scheme}://"
    host = host.removeprefix(_WILDCARD)
    if "*" in host:
        parent = host.rpartition("*")[2].lstrip(".-")
        raise EntryError(Problem.WILDCARD, text, f"{prefix}*.{parent}")
    if not host.strip("."):
        raise EntryError(Problem.NO_HOST, text)
    if host.startswith("."):
        bare = host.lstrip(".")
        raise EntryError(Problem.LEADING_DOT, text, f"{prefix}*.{bare}", f"{prefix}{bare}")
    if host.startswith("-") or host.endswith("-") or "-." in host or ".-" in host:
        raise EntryError(Problem.HYPHEN, text)


def _is_ipv6(text: str) -> bool:
    try:
        return bool(ipv6_text(IPv6Address(text)))
    except AddressValueError:
        return False


def _is_network(text: str) -> bool:
    try:
        return bool(parse_ip(text))
    except EntryError as error:
        return error.problem in _NETWORKS


def _both(host: str) -> tuple[str, str]:
    """Return the https and the http origin of ``host``."""
    return f"https://{host}", f"http://{host}"
