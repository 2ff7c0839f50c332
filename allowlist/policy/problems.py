"""What can be wrong with an entry: a name for each problem, and the error that carries it."""

import re
import unicodedata
from enum import StrEnum

MAX_ENTRY = 1000
"""Longest text that is read at all, in characters. The longest valid entry has fewer than 300."""
_INVISIBLE = {"Cc", "Cs", "Co"}
"""Unicode's control characters, surrogates and private characters. ada-url judges all others: it has a
newer Unicode than some Pythons, and a character that they don't know may be a letter of a name."""
_BLANKS = " \t\r\n\xa0\u3000"
"""What may stand around an entry. ``str.strip()`` would drop control characters such as U+000B too."""


class Problem(StrEnum):
    """Why an entry is refused. ``allowlist.validators`` has a sentence for each problem."""

    EMPTY = "empty"
    TOO_LONG = "too_long"
    NOT_TEXT = "not_text"
    SEVERAL = "several"
    SPACES = "spaces"
    CONTROL = "control"

    NULL = "null"
    EVERYTHING = "everything"
    SCHEME = "scheme"
    NO_HOST = "no_host"
    USERINFO = "userinfo"
    PATH = "path"
    BACKSLASH = "backslash"
    PERCENT = "percent"
    PORT = "port"
    HOST_PORT = "host_port"
    BARE_IPV6 = "bare_ipv6"
    BRACKETS = "brackets"
    NETWORK_AS_DOMAIN = "network_as_domain"
    WILDCARD = "wildcard"
    WILDCARD_ADDRESS = "wildcard_address"
    LEADING_DOT = "leading_dot"
    EMPTY_LABEL = "empty_label"
    LONG_LABEL = "long_label"
    LONG_HOST = "long_host"
    HYPHEN = "hyphen"
    HOST = "host"
    PUNYCODE = "punycode"
    ODD_IPV4 = "odd_ipv4"
    SINGLE_LABEL = "single_label"

    ZONE = "zone"
    PREFIX = "prefix"
    HOST_BITS = "host_bits"
    TOO_WIDE = "too_wide"
    EVERY_ADDRESS = "every_address"
    IP_PORT = "ip_port"
    IP_WILDCARD = "ip_wildcard"
    MULTICAST = "multicast"
    UNSPECIFIED = "unspecified"
    BROADCAST = "broadcast"
    DOMAIN_AS_IP = "domain_as_ip"
    NOT_AN_ADDRESS = "not_an_address"

    PUBLIC_SUFFIX = "public_suffix"
    DOMAIN_FORM = "domain_form"
    IP_FORM = "ip_form"
    NOT_PUBLIC = "not_public"


class EntryError(ValueError):
    """An entry that may not be saved: the problem, the text, and guesses at what was meant.

    A parser guesses freely. ``guards`` drops the guesses that could not be saved either.
    """

    def __init__(self, problem: Problem, text: str, *guesses: str) -> None:
        super().__init__(problem, text, *guesses)
        self.problem = problem
        self.text = text
        self.guesses = guesses


def check_text(text: object) -> str:
    """Return ``text`` without surrounding blanks, or raise EntryError if it isn't one entry."""
    if not isinstance(text, str):
        raise EntryError(Problem.NOT_TEXT, repr(text))
    text = text.strip(_BLANKS)
    if not text:
        raise EntryError(Problem.EMPTY, text)
    if len(text) > MAX_ENTRY:
        raise EntryError(Problem.TOO_LONG, text)
    if "," in text or ";" in text or "\n" in text or "\r" in text:
        raise EntryError(Problem.SEVERAL, text)
    if not text.isprintable() and any(map(_is_invisible, text)):
        raise EntryError(Problem.CONTROL, text)
    if any(map(str.isspace, text)):
        raise EntryError(Problem.SPACES, text)
    return text


def _is_invisible(char: str) -> bool:
    return unicodedata.category(char) in _INVISIBLE and char != "\t"


def split_pasted(text: str) -> list[str]:
    """Return the entries of a pasted list, one per line or separated by commas, without blank ones."""
    parts = (part.strip(_BLANKS) for part in re.split(r"[\r\n,]", text))
    return [part for part in parts if part]
