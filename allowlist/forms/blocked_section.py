"""What a key's page says about blocked requests."""

from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import OuterRef, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce
from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ..conf import settings
from ..enforcement.responses import RefusalResponses
from ..models import APIKey, BlockedSource
from ..models.blocked import oldest_shown
from ..models.choices import Enforcement
from ..models.lists import DOMAINS, IPS, ListKind
from ..models.suggestions import Suggestions
from ..policy.decision import Reason
from ..policy.entries import display
from ..validators import near_sentence
from .entry_notes import example, local_date, local_moment

LABELS: dict[str, Promise] = {
    Reason.ORIGIN_NOT_LISTED: gettext_lazy("Website not listed"),
    Reason.ORIGIN_OPAQUE: gettext_lazy("Page without an origin (null)"),
    Reason.ORIGIN_MALFORMED: gettext_lazy("Malformed origin"),
    Reason.ORIGIN_HIDDEN: gettext_lazy("Hidden page"),
    Reason.ORIGIN_MISSING: gettext_lazy("No website named"),
    Reason.IP_NOT_LISTED: gettext_lazy("IP address not listed"),
    Reason.IP_UNKNOWN: gettext_lazy("Unknown IP address"),
    Reason.BROWSER_NOT_ALLOWED: gettext_lazy("Web page, but servers only"),
    Reason.SERVER_NOT_ALLOWED: gettext_lazy("Server, but web pages only"),
}
"""The reasons for which a place is recorded, in a few words."""
NOT_LISTED = {Reason.ORIGIN_NOT_LISTED: DOMAINS, Reason.IP_NOT_LISTED: IPS}
SETTLED: dict[str, Promise] = {
    DOMAINS.field: gettext_lazy("The key's domain list doesn't block this any more."),
    IPS.field: gettext_lazy("The key's IP list doesn't block this any more."),
}
NOT_RECORDED: dict[str, Promise] = {
    "network": gettext_lazy(
        "Only the network is recorded here. Add your server's own IP address to the key's allowed IPs."
    ),
    "none": gettext_lazy(
        "IP addresses aren't recorded here. Add your server's IP address to the key's allowed IPs."
    ),
}
"""What to do about an address of which ``BLOCKED_IPS`` leaves out the end, or all."""
PRIVATE = gettext_lazy(
    "This IP address is private. Allow it only if it is your own server's. If it is a proxy's, allowing it "
    "would let in everyone behind the proxy: ask the operator of this site to add it to TRUSTED_PROXIES."
)
PRIVATE_NETWORKS = [
    ip_network(each)
    for each in (
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
        *("::1", "fc00::/7", "fe80::/10"),
    )
]
"""Where a site's own proxies have their addresses."""
PLACES_A_PAGE = 100


@dataclass(frozen=True, slots=True)
class BlockedPlace:
    """One place that a key blocked, or would have blocked, in words."""

    pk: int
    place: str
    """The origin or IP address as people write it; empty if it isn't known."""
    label: str
    """The reason, in a few words."""
    count: str
    served: str
    """How many of the requests were let through; empty if none were."""
    first_seen: str
    last_seen: str
    advice: tuple[str, ...]
    """What to do, in sentences."""
    kind: ListKind | None
    """The list that can allow this place, None if none can."""
    suggestion: str
    """The entry that would allow this place alone, as people write it; empty if no entry can."""
    example: str
    """What that entry matches."""


@dataclass(frozen=True, slots=True)
class BlockedSection:
    """What a key's page says about blocked requests."""

    places: list[BlockedPlace]
    page: Page[BlockedSource]
    """The page of rows that the places are."""
    days: int
    is_recorded: bool
    """Whether the settings have anything recorded."""
    monitored: str
    """What the key would have blocked, if it only monitors."""


def blocked_section(key: APIKey, page_number: str | None = None) -> BlockedSection:
    """Return what the key's page says about blocked requests, by the key's lists as they are now."""
    conf, rows = settings(), list(key.blocked_sources.all())
    page = Paginator(rows, PLACES_A_PAGE).get_page(page_number)
    suggestions = Suggestions(key)
    return BlockedSection(
        [_blocked_place(row, suggestions) for row in page],
        page,
        conf.BLOCKED_DAYS,
        conf.BLOCKED_PER_KEY > 0,
        _monitored(rows) if key.enforcement == Enforcement.REPORT else "",
    )


def with_blocked(keys: QuerySet[APIKey]) -> QuerySet[APIKey]:
    """Return the keys as ``blocked_in_words`` takes them, with the number in the same statement."""
    # A plain queryset: showing the list of keys doesn't write what this process counted.
    rows: QuerySet[BlockedSource] = QuerySet(BlockedSource).filter(
        key=OuterRef("pk"), last_seen_at__gt=oldest_shown()
    )
    total = rows.order_by().values("key").annotate(total=Sum("count")).values("total")
    return keys.annotate(blocked_count=Coalesce(Subquery(total), 0))


def blocked_in_words(key: APIKey) -> str:
    """Return how many requests of a key, read by ``with_blocked``, were blocked: 12 in 30 days."""
    count: int = key.blocked_count  # type: ignore[attr-defined]
    days = settings().BLOCKED_DAYS
    said = ngettext("%(count)s in %(days)s day", "%(count)s in %(days)s days", days)
    return said % {"count": number(count), "days": days} if count else "0"


def _blocked_place(row: BlockedSource, suggestions: Suggestions) -> BlockedPlace:
    found = suggestions.of(row)
    return BlockedPlace(
        row.pk,
        display(row.origin) or row.ip,
        str(LABELS.get(row.reason, row.reason)),
        number(row.count),
        _served(row),
        local_date(row.first_seen_at),
        local_moment(row.last_seen_at),
        tuple(_advice(row, suggestions)),
        None if found is None else found[0],
        "" if found is None else display(found[1]),
        "" if found is None else example(*found),
    )


def _advice(row: BlockedSource, suggestions: Suggestions) -> list[str]:
    if suggestions.is_settled(row):
        return [str(SETTLED[NOT_LISTED[Reason(row.reason)].field])]
    near = suggestions.near(row)
    private = [str(PRIVATE)] if row.reason == Reason.IP_NOT_LISTED and is_private(row.ip) else []
    if near is None:
        return private or [_hint(row)]
    return [near_sentence(near, row.origin or row.ip), *private]


def _hint(row: BlockedSource) -> str:
    if row.reason == Reason.IP_NOT_LISTED and ("/" in row.ip or not row.ip):
        return str(NOT_RECORDED["network" if row.ip else "none"])
    return RefusalResponses().get_hint(Reason(row.reason)) if row.reason in LABELS else ""


def is_private(ip: str) -> bool:
    """Return whether an address, or a network as ``BLOCKED_IPS`` keeps it, is one of a site's own."""
    try:
        network: Any = ip_network(ip)
    except ValueError:
        return False
    return any(network.version == own.version and network.subnet_of(own) for own in PRIVATE_NETWORKS)


def _served(row: BlockedSource) -> str:
    if not row.reported:
        return ""
    if row.reported >= row.count:
        return _("all let through")
    said = ngettext("%(count)s of them was let through", "%(count)s of them were let through", row.reported)
    return said % {"count": number(row.reported)}


def _monitored(rows: list[BlockedSource]) -> str:
    """Return what the key would have blocked if it had enforced its lists."""
    served = [row.reported for row in rows if row.reported]
    days = settings().BLOCKED_DAYS
    in_days = ngettext("in the last day", "in the last %(count)s days", days) % {"count": days}
    if not served:
        return _("Enforcing would have blocked nothing %(in_days)s.") % {"in_days": in_days}
    total, places = sum(served), len(served)
    return _("Enforcing would have blocked %(requests)s from %(places)s %(in_days)s.") % {
        "requests": ngettext("%(count)s request", "%(count)s requests", total) % {"count": number(total)},
        "places": ngettext("%(count)s place", "%(count)s places", places) % {"count": number(places)},
        "in_days": in_days,
    }


def number(count: int) -> str:
    """Return a number as people write it in the current language: 1,204."""
    return str(number_format(count, force_grouping=True))
