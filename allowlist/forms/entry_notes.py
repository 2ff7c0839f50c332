"""What is said about an entry: what it matches, and whether it still does."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..models.entries import Entry
from ..models.lists import DOMAINS, ListKind
from ..policy.entries import DomainEntry, DomainList, display, parse_domain
from ..policy.guards import covers_strangers
from ..policy.networks import IPEntry, parse_ip
from ..policy.origins import DEFAULT_PORTS, Origin, ends_in_number
from ..policy.problems import EntryError

UNUSED_DAYS = 90
"""After so many days without a match, an entry is marked."""


def warning(entry: Entry, now: datetime) -> str:
    """Return why the entry may be superfluous: it expired, or matched nothing for long; else nothing."""
    if entry.has_expired(now):
        return _("Expired")
    since = entry.last_matched_at or entry.created_at
    if since <= now - timedelta(days=UNUSED_DAYS):
        said = ngettext("Not matched for %(days)s day", "Not matched for %(days)s days", UNUSED_DAYS)
        return said % {"days": UNUSED_DAYS}
    return ""


def last_match(entry: Entry) -> str:
    """Return the day on which the entry last matched."""
    at = entry.last_matched_at
    return _("Not matched yet") if at is None else local_date(at)


def local_date(at: datetime) -> str:
    """Return a day in the current time zone, as people write it."""
    return date_format(localtime(at) if at.tzinfo else at, "DATE_FORMAT")


def local_moment(at: datetime) -> str:
    """Return a day with its time in the current time zone, as people write it."""
    return date_format(localtime(at) if at.tzinfo else at, "DATETIME_FORMAT")


def example(kind: ListKind, text: str) -> str:
    """Return a sentence with what a stored entry matches and what it doesn't."""
    try:
        return _domain_example(parse_domain(text)) if kind is DOMAINS else _ip_example(parse_ip(text))
    except EntryError:
        return _("Matches nothing, as it can't be read. Remove it.")


def siblings(entries: list[Entry], listed: list[str]) -> Iterator[tuple[Entry, Origin]]:
    """Yield each new domain with the page that people may have meant too, unless it is listed.

    The page of example.com is www.example.com, and the other way round.
    """
    domains = DomainList(listed)
    for each in entries:
        entry = parse_domain(each.text)
        host = entry.host.removeprefix("www.") if entry.host.startswith("www.") else f"www.{entry.host}"
        is_site = not ends_in_number(host) and covers_strangers(host.removeprefix("www.").partition(".")[2])
        page = Origin(entry.scheme or "https", host, entry.port or 443)
        if is_site and not entry.wildcard and domains.match(page) is None:
            yield each, page


def _domain_example(entry: DomainEntry) -> str:
    matched, missed = (display(page) for page in near_pages(entry))
    return _("Matches %(matched)s, not %(missed)s.") % {"matched": matched, "missed": missed}


def near_pages(entry: DomainEntry) -> tuple[str, str]:
    """Return the origin of a page that the entry matches, and a near one of a page that it doesn't."""
    scheme, port = entry.scheme or "https", entry.port or 443
    apex, below = (str(Origin(scheme, host, port)) for host in (entry.host, f"www.{entry.host}"))
    if entry.wildcard:
        return below, apex
    if entry.scheme is None:
        is_address = ends_in_number(entry.host)
        return apex, str(Origin("https", "example.com", 443)) if is_address else below
    other = "http" if scheme == "https" else "https"
    missed = other if port == DEFAULT_PORTS[scheme] else scheme
    return apex, str(Origin(missed, entry.host, DEFAULT_PORTS[missed]))


def _ip_example(entry: IPEntry) -> str:
    network = entry.network
    if network.num_addresses == 1:
        return _("Matches this IP address alone.")
    ends = {"first": network[0], "last": network[-1]}
    return _("Matches %(first)s to %(last)s, both included.") % ends
