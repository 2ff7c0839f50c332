"""Why a request is allowed or refused, and which listed entries come near it.

The verdict is ``decide``'s own. What is added is for people: how little an entry differs from what the
request came from, and the entry that would allow it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from .decision import Decision, Policy, Reason, Rule, Source, decide, rules
from .entries import DomainEntry, parse_domain
from .networks import Address, IPEntry, parse_ip
from .origins import NoOrigin, Origin
from .problems import EntryError

MOST_NEAR = 3
_MOST_EDITS = 2
_NEAR_PREFIX = {4: 16, 6: 48}
"""How many leading bits a near address shares with an entry, by IP version: one site's usual network."""


class Difference(StrEnum):
    """How an entry differs from the page or address it doesn't match, the smallest difference first."""

    EXPIRED = "expired"
    """The entry matches, but has ended."""
    SCHEME = "scheme"
    PORT = "port"
    SUBDOMAIN = "subdomain"
    """The page is below a listed host."""
    PARENT = "parent"
    """The page is above a listed host, or is a wildcard's apex."""
    TYPO = "typo"
    NETWORK = "network"
    """The address is outside, but in the same IPv4 /16 or IPv6 /48."""


_ORDER = list(Difference)


class Listed(NamedTuple):
    """An entry of a key's list, as stored."""

    text: str
    name: str
    has_expired: bool = False


@dataclass(frozen=True, slots=True)
class Near:
    """A listed entry that nearly matches."""

    entry: str
    name: str
    difference: Difference
    suggestion: str | None
    """The entry that would allow this page or address alone; None if it can't be listed."""


@dataclass(frozen=True, slots=True)
class RuleVerdict:
    """What one of the two rules finds. ``passed`` and ``reason`` are None if the rule doesn't apply."""

    rule: Rule
    applies: bool
    passed: bool | None
    reason: Reason | None
    entry: str | None
    nearest: tuple[Near, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """What ``policy`` decides of ``source``, rule by rule."""

    decision: Decision
    page: Origin | NoOrigin
    ip: Address | None
    rules: tuple[RuleVerdict, RuleVerdict]
    """The domain rule first."""


def explain(
    policy: Policy,
    source: Source,
    domains: Iterable[Listed],
    ips: Iterable[Listed],
    may_list: Callable[[Rule, str], bool],
) -> Explanation:
    """Return what ``policy`` decides of ``source``, with the listed entries that come near it.

    ``domains`` and ``ips`` are the key's entries; ``may_list`` returns whether an entry could be saved.
    """
    page, address = source.page, source.read_address()
    domain, ip = rules(policy, source)
    near_page = _near_pages(page, domains) if isinstance(page, Origin) else ()
    near_address = _near_addresses(address, ips) if address is not None else ()
    return Explanation(
        decide(policy, source),
        page,
        address,
        (
            _verdict(Rule.DOMAIN, domain, near_page, may_list),
            _verdict(Rule.IP, ip, near_address, may_list),
        ),
    )


def _verdict(
    rule: Rule, decision: Decision | None, near: Iterable[Near], may_list: Callable[[Rule, str], bool]
) -> RuleVerdict:
    if decision is None:
        return RuleVerdict(rule, applies=False, passed=None, reason=None, entry=None, nearest=())
    nearest: tuple[Near, ...] = ()
    if not decision.allowed:
        nearest = tuple(_checked(rule, each, may_list) for each in tuple(near)[:MOST_NEAR])
    return RuleVerdict(rule, True, decision.allowed, decision.reason, decision.entry, nearest)


def _checked(rule: Rule, near: Near, may_list: Callable[[Rule, str], bool]) -> Near:
    """Return ``near`` without its suggestion, if that can't be listed."""
    if near.suggestion is None or may_list(rule, near.suggestion):
        return near
    return Near(near.entry, near.name, near.difference, None)


def _near_pages(page: Origin, listed: Iterable[Listed]) -> list[Near]:
    found = []
    for text, name, has_expired in listed:
        entry = _read_listed(text)
        difference = None if entry is None else _page_difference(page, entry, has_expired)
        if entry is not None and difference is not None:
            suggestion = page.host if entry.scheme is None else str(page)
            found.append(Near(text, name, difference, suggestion))
    return sorted(found, key=lambda near: _ORDER.index(near.difference))


@lru_cache(maxsize=4096)
def _read_listed(text: str) -> DomainEntry | None:
    """Return the entry; None if it can't be read. Each place that a key refused is compared with its list."""
    try:
        return parse_domain(text)
    except EntryError:
        return None


def _page_difference(page: Origin, entry: DomainEntry, has_expired: bool) -> Difference | None:
    """Return how ``page`` misses ``entry`` by one thing; None if it misses by more, or not at all."""
    covers_host = _covers_host(page.host, entry)
    if entry.scheme is None or (entry.scheme, entry.port) == (page.scheme, page.port):
        if covers_host:
            return Difference.EXPIRED if has_expired else None
        return None if has_expired else _host_relation(page.host, entry)
    if has_expired or not covers_host:
        return None
    return Difference.SCHEME if entry.scheme != page.scheme else Difference.PORT


def _covers_host(host: str, entry: DomainEntry) -> bool:
    return host.endswith(f".{entry.host}") if entry.wildcard else host == entry.host


def _host_relation(host: str, entry: DomainEntry) -> Difference | None:
    """Return how ``host``, which the entry doesn't cover, differs from the entry's; None if by too much."""
    if not entry.wildcard and host.endswith(f".{entry.host}"):
        return Difference.SUBDOMAIN
    if entry.host == host if entry.wildcard else entry.host.endswith(f".{host}"):
        return Difference.PARENT
    return Difference.TYPO if _is_typo(host, entry) else None


def _is_typo(host: str, entry: DomainEntry) -> bool:
    """Return whether one label differs, by at most two edits. A wildcard's star stands for one label."""
    if host.startswith("[") or entry.host.startswith("["):
        return False
    labels, listed = host.split("."), entry.host.split(".")
    if entry.wildcard:
        labels = labels[1:]
    if len(labels) != len(listed):
        return False
    differing = [pair for pair in zip(labels, listed, strict=True) if pair[0] != pair[1]]
    return len(differing) == 1 and edits(*differing[0]) <= _MOST_EDITS


def edits(one: str, other: str) -> int:
    """Return the Levenshtein distance: how many characters to insert, remove or replace."""
    row = list(range(len(other) + 1))
    for count, char in enumerate(one, start=1):
        before, row[0] = row[0], count
        for column, theirs in enumerate(other, start=1):
            before, row[column] = (
                row[column],
                min(row[column] + 1, row[column - 1] + 1, before + (char != theirs)),
            )
    return row[-1]


def _near_addresses(address: Address, listed: Iterable[Listed]) -> list[Near]:
    found = []
    for text, name, has_expired in listed:
        try:
            entry = parse_ip(text)
        except EntryError:
            continue
        shared = common_bits(address, entry)
        # An entry that ended is near if it matches, any other if it doesn't.
        if shared is None or has_expired != (address in entry.network):
            continue
        difference = Difference.EXPIRED if has_expired else Difference.NETWORK
        if has_expired or shared >= _NEAR_PREFIX[address.version]:
            order = _ORDER.index(difference), -shared
            found.append((order, Near(text, name, difference, str(address))))
    return [near for _order, near in sorted(found, key=lambda pair: pair[0])]


def common_bits(address: Address, entry: IPEntry) -> int | None:
    """Return how many leading bits an address shares with an entry's; None for another IP version."""
    if address.version != entry.network.version:
        return None
    differing = int(address) ^ int(entry.network.network_address)
    return address.max_prefixlen - differing.bit_length()
