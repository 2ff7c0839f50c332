"""Origins: which page a browser says is calling.

A *host* is a DNS name, a plain IPv4 address or a bracketed IPv6 address. Everything here reads the one
spelling that browsers send; any other is malformed. `urllib.parse` must not decide, because it and
browsers disagree on URLs such as ``https://evil.com\\@allowed.com``.

Sources: RFC 6454 section 6.2 and the Fetch standard for ``Origin``, RFC 9110 section 10.1.3 for
``Referer``, the URL standard for hosts.
"""

import re
from enum import StrEnum
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import NamedTuple

DEFAULT_PORTS = {"http": 80, "https": 443}
MAX_HOST = 253
MAX_LABEL = 63
MAX_ORIGIN = len("https://") + MAX_HOST + len(".:65535")

_LABEL = rf"[a-z0-9_](?:[a-z0-9_-]{{0,{MAX_LABEL - 2}}}[a-z0-9_])?"
NAME = rf"{_LABEL}(?:\.{_LABEL})*"
"""The pattern of a DNS name in lower case; its length is checked apart."""
_NAME = re.compile(NAME)
_NUMERIC_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PORT = re.compile(r"[1-9][0-9]{0,4}")
# Bounded, so that a huge header is refused without trying many ways to read it.
_AUTHORITY = (
    r"(?P<scheme>https?)://"
    rf"(?P<host>\[[0-9a-f:.]{{2,45}}\]|[a-z0-9._-]{{1,{MAX_HOST + 1}}})(?::(?P<port>[0-9]{{1,5}}))?"
)
_ORIGIN = re.compile(_AUTHORITY, re.ASCII | re.IGNORECASE)
_REFERER = re.compile(rf"{_AUTHORITY}(?:[/?#].*)?", re.ASCII | re.IGNORECASE)


class Origin(NamedTuple):
    """A page's scheme, host and port, in lower case, without a trailing dot, and always with a port."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        """Return ``scheme://host[:port]`` as browsers write it, without a default port."""
        port = "" if self.port == DEFAULT_PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}"


class NoOrigin(StrEnum):
    """Why a request has no origin to compare."""

    OPAQUE = "opaque"
    """``Origin: null``: a sandboxed frame, a ``data:`` or ``file:`` page, a cross-site redirect."""
    MALFORMED = "malformed"
    """A header that no browser sends."""
    HIDDEN = "hidden"
    """A browser that hides its page: it sent ``Sec-Fetch-Site`` and neither of the other headers."""
    ABSENT = "absent"
    """No header that a browser would send. The caller counts as a server."""


def read_page(origin: str | None, referer: str | None, sec_fetch_site: str | None) -> Origin | NoOrigin:
    """Return the origin of the page that called, or why there is none.

    Each argument is a header's value, or None if the request doesn't have the header. If ``Origin`` is
    present, it decides alone; ``Referer`` counts only in its absence. ``Sec-Fetch-Site`` distinguishes a
    browser from a server and never lets a request in. Never raises.
    """
    if origin is not None:
        text = origin.strip(" \t")
        if text == "null":
            return NoOrigin.OPAQUE
        return parse_origin(text) or NoOrigin.MALFORMED
    if referer is not None:
        return _parse_referer(referer.strip(" \t")) or NoOrigin.MALFORMED
    return NoOrigin.ABSENT if sec_fetch_site is None else NoOrigin.HIDDEN


def parse_origin(text: str) -> Origin | None:
    """Return the origin that ``text`` spells, or None if it isn't ``http(s)://host[:port]``."""
    return _parse_origin(text) if len(text) <= MAX_ORIGIN else None


@lru_cache(maxsize=4096)
def _parse_origin(text: str) -> Origin | None:
    """Read a header once: a few pages send most requests. Long texts aren't cached, to save memory."""
    return _from_match(_ORIGIN.fullmatch(text))


def _parse_referer(text: str) -> Origin | None:
    """Return the origin of an absolute http(s) URL; its path, query and fragment are ignored."""
    if not (text.isascii() and text.isprintable()):
        return None
    return _from_match(_REFERER.fullmatch(text))


def _from_match(match: re.Match[str] | None) -> Origin | None:
    if match is None:
        return None
    scheme, host, port = match["scheme"].lower(), parse_host(match["host"].lower()), match["port"]
    number = DEFAULT_PORTS[scheme] if port is None else parse_port(port)
    if host is None or number is None:
        return None
    return Origin(scheme, host, number)


def parse_port(text: str) -> int | None:
    """Return the port that ``text`` spells: 1 to 65535 without leading zeros, else None."""
    if not _PORT.fullmatch(text):
        return None
    port = int(text)
    return port if port <= 65535 else None


def parse_host(text: str) -> str | None:
    """Return the host that the lower-case ASCII ``text`` spells, canonical, or None.

    One trailing dot is dropped and IPv6 is compressed. A name whose last label is a number must be a
    plain IPv4 address (the URL standard's "ends in a number"). Punycode is compared as it is; what it
    decodes to is judged when an entry is read.
    """
    if text.startswith("["):
        return _parse_ipv6_host(text)
    name = text.removesuffix(".")
    if len(name) > MAX_HOST or not _NAME.fullmatch(name):
        return None
    return None if ends_in_number(name) and not _is_plain_ipv4(name) else name


def ends_in_number(name: str) -> bool:
    """Return whether browsers would read ``name`` as an IPv4 address (URL standard, host parser)."""
    return _NUMERIC_LABEL.fullmatch(name.rpartition(".")[2]) is not None


def _is_plain_ipv4(name: str) -> bool:
    try:
        return str(IPv4Address(name)) == name
    except AddressValueError:
        return False


def _parse_ipv6_host(text: str) -> str | None:
    try:
        address = IPv6Address(text[1:-1])
    except AddressValueError:
        return None
    return f"[{ipv6_text(address)}]"


def ipv6_text(address: IPv6Address) -> str:
    """Return the compressed text of an address, as browsers write it.

    How the standard library writes mapped addresses depends on its version; browsers always write them
    like this.
    """
    if address.ipv4_mapped is None:
        return str(address)
    mapped = int(address.ipv4_mapped)
    return f"::ffff:{mapped >> 16:x}:{mapped & 0xFFFF:x}"
