"""Tables of hostile headers. Each row is another idea, and each group names its source.

``pages`` has the headers of the calling page, ``chains`` of the address, ``keys`` of the key.
"""

from collections.abc import Mapping
from typing import NamedTuple

LISTED = (
    *("https://shop.example.com", "https://shop.example.com:8443", "http://localhost:3000"),
    *("http://[::1]:3000", "http://[::ffff:cb00:7107]", "host.example.com", "127.0.0.1"),
    *("https://*.wild.example.com", "*.any.example.org"),
    *("https://xn--fa-hia.de", "*.xn--bcher-kva.example"),
)
"""The domain list that the rows of pages are tried against, as it is stored."""
PROXIES = ("10.0.0.0/8", "2001:db8:ffff::/48")
"""The proxies that the rows of chains are tried behind; the IP list is the one server's address."""

SERVER = "203.0.113.7"
"""The one address that the IP list has."""

OK = "allowed"
NOT_LISTED = "origin_not_listed"
OPAQUE = "origin_opaque"
MALFORMED = "origin_malformed"
HIDDEN = "origin_hidden"
MISSING = "origin_missing"
IP_NOT_LISTED = "ip_not_listed"
IP_UNKNOWN = "ip_unknown"
KEY_MISSING = "key_missing"
KEY_INVALID = "key_invalid"
SECRET_IN_BROWSER = "secret_key_in_browser"


class Row(NamedTuple):
    """One request: its headers, and what becomes of it."""

    id: str
    headers: Mapping[str, str]
    expected: str


class Group(NamedTuple):
    """Rows of one kind, and where the kind is known from."""

    name: str
    source: str
    rows: tuple[Row, ...]


def group(name: str, source: str, header: str, *rows: tuple[str, str, str]) -> Group:
    """Return a group of rows with one header: id, value, expected."""
    return Group(name, source, tuple(Row(each, {header: value}, expected) for each, value, expected in rows))


def wire(text: str) -> str:
    """Return ``text``, sent as UTF-8, as WSGI passes it on: decoded as latin-1."""
    return text.encode().decode("latin-1")
