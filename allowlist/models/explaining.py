"""What a request would get, and why: the decision's own words, and what comes near."""

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Any, TypeVar

from django.utils import timezone

from ..conf import settings
from ..policy.decision import Mode, Policy, Reason, Rule, Source
from ..policy.entries import DomainList
from ..policy.explanation import Listed, RuleVerdict, explain
from ..policy.networks import Address, IPList, parse_address, unmapped
from ..policy.origins import read_page
from ..policy.tokens import Kind
from .choices import Enforcement, Status
from .list_rules import Key, plain_rows
from .lists import DOMAINS, IPS, ListKind
from .policies import policy_in_force

Compiled = TypeVar("Compiled", DomainList, IPList)

ENVIRONMENT = "environment"
"""The status of a key whose environment ``ENVIRONMENTS`` leaves out."""


@dataclass(frozen=True, slots=True)
class KeyExplanation:
    """What a request with a key would get."""

    allowed: bool
    reason: Reason | None
    served: bool
    """Whether the request would reach the view: a key that only reports serves what it refuses."""
    key_status: str
    """``active``, ``revoked``, ``expired`` or ``environment``."""
    page: str
    """The origin as read, or ``opaque``, ``malformed``, ``hidden`` or ``absent``."""
    ip: str | None
    rules: tuple[RuleVerdict, RuleVerdict]
    """The domain rule's verdict, then the IP rule's."""


def explain_key(
    key: Key,
    origin: str | None,
    referer: str | None,
    sec_fetch_site: str | None,
    ip: str | IPv4Address | IPv6Address | None,
) -> KeyExplanation:
    """Return what a request with these headers from this address would get; see ``APIKey.explain``."""
    address = read_address(ip)
    source = Source(read_page(origin, referer, sec_fetch_site), lambda: address)
    domains, ips = (listed_entries(key, kind) for kind in (DOMAINS, IPS))
    policy = compiled_policy(key, domains, ips)
    lists = {Rule.DOMAIN: (DOMAINS, domains), Rule.IP: (IPS, ips)}
    found = explain(policy, source, domains, ips, lambda rule, text: _may_list(key, *lists[rule], text))
    status = status_here(key)
    reason = _key_reason(key, status, source) or found.decision.reason
    is_by_list = reason is not None and reason.rule in (Rule.DOMAIN, Rule.IP)
    served = reason is None or (is_by_list and key.enforcement == Enforcement.REPORT)
    return KeyExplanation(
        reason is None,
        reason,
        served,
        status,
        str(found.page),
        None if address is None else str(address),
        found.rules,
    )


def status_here(key: Key) -> str:
    """Return the key's status, or ``environment`` if this deployment doesn't accept the key's."""
    if key.status == Status.ACTIVE and key.environment not in settings().ENVIRONMENTS:
        return ENVIRONMENT
    return str(key.status)


def read_address(ip: str | IPv4Address | IPv6Address | None) -> Address | None:
    """Return the address that ``ip`` spells, None for None; raise ValueError for anything else."""
    if ip is None or isinstance(ip, (IPv4Address, IPv6Address)):
        return ip if ip is None else unmapped(ip)
    address = parse_address(ip.strip())
    if address is None:
        raise ValueError(f"{ip!r} isn't an IP address.")
    return address


def _key_reason(key: Key, status: str, source: Source) -> Reason | None:
    """Return why the key itself is refused, in the order in which a request is checked."""
    if key.kind == Kind.SECRET and source.is_browser:
        return Reason.SECRET_KEY_IN_BROWSER
    return None if status == Status.ACTIVE else Reason.KEY_INVALID


def listed_entries(key: Key, kind: ListKind) -> list[Listed]:
    """Return the entries of one of the key's lists, as stored."""
    model: Any = key._meta.get_field(kind.field).related_model
    rows, now = plain_rows(model, key._state.db).filter(key_id=key.pk).order_by("pk"), timezone.now()
    return [Listed(row.text, row.name, row.has_expired(now)) for row in rows]


def compiled_policy(key: Key, domains: list[Listed], ips: list[Listed]) -> Policy:
    """Return the policy in force of a key with these entries."""
    return policy_in_force(vars(key), _compiled(DomainList, domains), _compiled(IPList, ips), settings())


def _compiled(compile_: Callable[[list[str], int], Compiled], listed: list[Listed]) -> Compiled:
    texts = [each.text for each in listed if not each.has_expired]
    return compile_(texts, len(listed) - len(texts))


def _may_list(key: Key, kind: ListKind, listed: list[Listed], text: str) -> bool:
    """Return whether the key's list would take ``text``, under the settings and limits in force."""
    has_room = kind.limit is None or len(listed) < kind.limit or text in {each.text for each in listed}
    return Mode.LISTED in kind.modes_for(key.kind) and has_room and kind.cleaned(text) is not None
