"""What can be wrong with an entry: one name for each way, and the error that carries it."""

import unicodedata
from enum import StrEnum

MAX_ENTRY = 1000
"""Longest entry text read at all, in characters; the longest valid one has under 300."""
_UNWRITABLE = {"Cc", "Cs", "Co"}
"""Unicode's controls, surrogates and private characters. Which others a host may have, ada-url knows by
a newer Unicode than some Pythons do: what is unassigned to them may be a name's letter."""


class Problem(StrEnum):
    """Why an entry is refused. ``allowlist.validators`` has the sentence for each."""

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
    """An entry that may not be saved: the problem, the text, and what was probably meant.

    Whoever raises it guesses freely; ``guards`` keeps of the guesses what could itself be saved.
    """

    def __init__(self, problem: Problem, text: str, *guesses: str) -> None:
        super().__init__(problem, text, *guesses)
        self.problem = problem
        self.text = text
        self.guesses = guesses


def check_text(text: object) -> str:
    """Return ``text`` without surrounding white space, or raise EntryError if it is not one entry."""
    if not isinstance(text, str):
        raise EntryError(Problem.NOT_TEXT, repr(text))
    text = text.strip()
    if not text:
        raise EntryError(Problem.EMPTY, text)
    if len(text) > MAX_ENTRY:
        raise EntryError(Problem.TOO_LONG, text)
    if "," in text or ";" in text or "\n" in text or "\r" in text:
        raise EntryError(Problem.SEVERAL, text)
    if any(char.isspace() for char in text):
        raise EntryError(Problem.SPACES, text)
    if any(unicodedata.category(char) in _UNWRITABLE for char in text):
        raise EntryError(Problem.CONTROL, text)
    return text


def split_pasted(text: str) -> list[str]:
    """Return the entries of a pasted list, one per line or separated by commas; blanks are skipped."""
    parts = (part.strip() for line in text.splitlines() for part in line.split(","))
    return [part for part in parts if part]
