"""The decision: from a key's policy and a request's source to allowed, reason and matched entry.

Pure: no Django, no clock, no database. What products vary is a field of Policy.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from .entries import DomainList
from .networks import Address, IPList
from .origins import NoOrigin, Origin


class Mode(StrEnum):
    """Whether one of a key's two lists restricts it."""

    ALL = "all"
    LISTED = "listed"


class Condition(StrEnum):
    """How the two lists work together."""

    ALL = "all"
    """Every rule that applies must pass."""
    ANY = "any"
    """One rule that applies must pass; if none applies the request is allowed."""
    BY_SOURCE = "by_source"
    """A browser is judged by the domain rule alone, a server by the IP rule alone."""


class Rule(StrEnum):
    """Which rule refused a request."""

    DOMAIN = "domain"
    IP = "ip"
    KEY = "key"
    ERROR = "error"


class Reason(StrEnum):
    """Why a request is refused. Part of the public API: stable and never translated."""

    rule: Rule
    """The rule that refused."""

    ORIGIN_NOT_LISTED = "origin_not_listed"
    ORIGIN_OPAQUE = "origin_opaque"
    ORIGIN_MALFORMED = "origin_malformed"
    ORIGIN_HIDDEN = "origin_hidden"
    ORIGIN_MISSING = "origin_missing"
    IP_NOT_LISTED = "ip_not_listed"
    IP_UNKNOWN = "ip_unknown"
    BROWSER_NOT_ALLOWED = "browser_not_allowed"
    SERVER_NOT_ALLOWED = "server_not_allowed"
    KEY_MISSING = "key_missing"
    KEY_INVALID = "key_invalid"
    KEY_IN_URL = "key_in_url"
    SECRET_KEY_IN_BROWSER = "secret_key_in_browser"
    EMBED_TOKEN_INVALID = "embed_token_invalid"
    UNDECIDED = "undecided"


_RULES = {
    Reason.ORIGIN_NOT_LISTED: Rule.DOMAIN,
    Reason.ORIGIN_OPAQUE: Rule.DOMAIN,
    Reason.ORIGIN_MALFORMED: Rule.DOMAIN,
    Reason.ORIGIN_HIDDEN: Rule.DOMAIN,
    Reason.ORIGIN_MISSING: Rule.DOMAIN,
    Reason.SERVER_NOT_ALLOWED: Rule.DOMAIN,
    Reason.IP_NOT_LISTED: Rule.IP,
    Reason.IP_UNKNOWN: Rule.IP,
    Reason.BROWSER_NOT_ALLOWED: Rule.IP,
    Reason.KEY_MISSING: Rule.KEY,
    Reason.KEY_INVALID: Rule.KEY,
    Reason.KEY_IN_URL: Rule.KEY,
    Reason.SECRET_KEY_IN_BROWSER: Rule.KEY,
    Reason.EMBED_TOKEN_INVALID: Rule.KEY,
    Reason.UNDECIDED: Rule.ERROR,
}
for _reason, _rule in _RULES.items():
    _reason.rule = _rule

REASON_WITHOUT_ORIGIN = {
    NoOrigin.OPAQUE: Reason.ORIGIN_OPAQUE,
    NoOrigin.MALFORMED: Reason.ORIGIN_MALFORMED,
    NoOrigin.HIDDEN: Reason.ORIGIN_HIDDEN,
    NoOrigin.ABSENT: Reason.ORIGIN_MISSING,
}
"""Why a page without an origin is refused where an origin is required."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a request comes from: its page, and a function that returns its address if a rule needs it."""

    page: Origin | NoOrigin
    read_address: Callable[[], Address | None]

    @property
    def is_browser(self) -> bool:
        """Return whether the request has a header that only browsers send."""
        return self.page is not NoOrigin.ABSENT


@dataclass(frozen=True, slots=True)
class Decision:
    """The result: ``reason`` is None if allowed. The texts are those of the entries that matched, if any."""

    allowed: bool
    reason: Reason | None = None
    domain_entry: str | None = None
    ip_entry: str | None = None

    @property
    def entry(self) -> str | None:
        """Return the text of the entry that matched: the domain list's, else the IP list's."""
        return self.domain_entry or self.ip_entry


ALLOWED = Decision(True)
REFUSALS = {reason: Decision(False, reason) for reason in Reason}


@dataclass(frozen=True, slots=True)
class Policy:
    """What a key allows. A list is None if it is disabled."""

    domains: DomainList | None
    ips: IPList | None
    condition: Condition
    missing_origin: Literal["deny", "allow"]


def decide(policy: Policy, source: Source) -> Decision:
    """Return whether ``policy`` allows ``source``, with the reason or the matched entry."""
    return _JUDGES[policy.condition](policy, source)


def _judge_all(policy: Policy, source: Source) -> Decision:
    domain = _domain_rule(policy, source)
    if domain is not None and not domain.allowed:
        return domain
    ip = _ip_rule(policy, source)
    if ip is not None and not ip.allowed:
        return ip
    if domain is not None and ip is not None:
        return Decision(True, None, domain.domain_entry, ip.ip_entry)
    return domain or ip or ALLOWED


def _judge_any(policy: Policy, source: Source) -> Decision:
    domain = _domain_rule(policy, source)
    if domain is not None and domain.allowed:
        return domain
    ip = _ip_rule(policy, source)
    if ip is None or (domain is not None and not ip.allowed and source.is_browser):
        return domain or ALLOWED
    return ip


def _judge_by_source(policy: Policy, source: Source) -> Decision:
    if policy.domains is None and policy.ips is None:
        return ALLOWED
    if source.is_browser:
        return _domain_rule(policy, source) or REFUSALS[Reason.BROWSER_NOT_ALLOWED]
    return _ip_rule(policy, source) or REFUSALS[Reason.SERVER_NOT_ALLOWED]


_JUDGES = {
    Condition.ALL: _judge_all,
    Condition.ANY: _judge_any,
    Condition.BY_SOURCE: _judge_by_source,
}


def rules(policy: Policy, source: Source) -> tuple[Decision | None, Decision | None]:
    """Return what the domain rule and the IP rule find, each None if it doesn't apply to ``source``."""
    if policy.condition is not Condition.BY_SOURCE:
        return _domain_rule(policy, source), _ip_rule(policy, source)
    if source.is_browser:
        is_only_ips = policy.domains is None and policy.ips is not None
        return _domain_rule(policy, source), REFUSALS[Reason.BROWSER_NOT_ALLOWED] if is_only_ips else None
    is_only_domains = policy.ips is None and policy.domains is not None
    return REFUSALS[Reason.SERVER_NOT_ALLOWED] if is_only_domains else None, _ip_rule(policy, source)


def _domain_rule(policy: Policy, source: Source) -> Decision | None:
    """Return the domain rule's decision, or None if the rule doesn't apply."""
    if policy.domains is None:
        return None
    page = source.page
    if isinstance(page, Origin):
        entry = policy.domains.match(page)
        return Decision(True, domain_entry=entry) if entry else REFUSALS[Reason.ORIGIN_NOT_LISTED]
    if page is NoOrigin.ABSENT and policy.missing_origin == "allow":
        return None
    return REFUSALS[REASON_WITHOUT_ORIGIN[page]]


def _ip_rule(policy: Policy, source: Source) -> Decision | None:
    """Return the IP rule's decision, or None if the rule doesn't apply."""
    if policy.ips is None:
        return None
    address = source.read_address()
    if address is None:
        return REFUSALS[Reason.IP_UNKNOWN]
    entry = policy.ips.match(address)
    return Decision(True, ip_entry=entry) if entry else REFUSALS[Reason.IP_NOT_LISTED]
