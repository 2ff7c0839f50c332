"""What a key allows, in one sentence."""

from typing import Any, NamedTuple

from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ..conf import settings
from ..models import APIKey
from ..models.choices import Enforcement, Status
from ..models.explaining import ENVIRONMENT, status_here
from ..models.lists import DOMAINS, IPS, KINDS, ListKind
from ..policy.decision import Condition, Mode
from ..policy.tokens import Kind
from .entry_notes import local_moment

STATUS_LABELS: dict[str, Promise] = {
    Status.ACTIVE: gettext_lazy("Active"),
    Status.REVOKED: gettext_lazy("Revoked"),
    Status.EXPIRED: gettext_lazy("Expired"),
    ENVIRONMENT: gettext_lazy("Not accepted here"),
}
IDLE: dict[str, Promise] = {
    Status.REVOKED: gettext_lazy("Revoked: every request with this key is blocked."),
    Status.EXPIRED: gettext_lazy("Expired: every request with this key is blocked."),
    ENVIRONMENT: gettext_lazy(
        "Of an environment that isn't accepted here: every request with this key is blocked."
    ),
}
ANYWHERE = gettext_lazy("Works from anywhere.")
ANY_SERVER = gettext_lazy("Works on servers anywhere; blocks browsers.")
NOWHERE = gettext_lazy("Works nowhere, as no listed entry is in force; blocks everything.")
TOGETHER: dict[str, Promise] = {
    Condition.ALL: gettext_lazy("Works %(sites)s and %(ips)s, if both match; blocks everything else."),
    Condition.ANY: gettext_lazy("Works %(sites)s or %(ips)s; blocks everything else."),
    Condition.BY_SOURCE: gettext_lazy(
        "Works in browsers %(sites)s, and on servers %(ips)s; blocks everything else."
    ),
}
"""With both lists, by condition."""
SITES_ALONE: dict[str, Promise] = {
    **dict.fromkeys(Condition, gettext_lazy("Works %(sites)s; blocks everything else.")),
    Condition.BY_SOURCE: gettext_lazy("Works in browsers %(sites)s; blocks servers and everything else."),
}
IPS_ALONE: dict[str, Promise] = {
    **dict.fromkeys(Condition, gettext_lazy("Works %(ips)s; blocks everything else.")),
    Condition.BY_SOURCE: gettext_lazy("Works on servers %(ips)s; blocks browsers and everything else."),
}


class Entries(NamedTuple):
    """How many entries a list has."""

    total: int
    in_force: int
    """Those that have not expired."""


def with_counts(keys: QuerySet[APIKey]) -> QuerySet[APIKey]:
    """Return the keys as ``count_entries`` takes them, with the numbers in the same statement."""
    unexpired = Q(expires_at=None) | Q(expires_at__gt=timezone.now())
    counts = {}
    for kind in KINDS:
        counts[f"{kind.field}_total"] = _counted(kind, Q())
        counts[f"{kind.field}_in_force"] = _counted(kind, unexpired)
    return keys.annotate(**counts)


def _counted(kind: ListKind, which: Q) -> Coalesce:
    rows: Any = APIKey._meta.get_field(kind.field).related_model
    of_key = rows.objects.filter(which, key=OuterRef("pk")).order_by().values("key")
    return Coalesce(Subquery(of_key.annotate(count=Count("pk")).values("count")), 0)


def count_entries(key: APIKey, kind: ListKind) -> Entries:
    """Return how many entries the list has of a key read by ``with_counts``."""
    return Entries(*(getattr(key, f"{kind.field}_{each}") for each in Entries._fields))


def count_label(count: int, limit: int | None) -> str:
    """Return how full a list is: 3 of 25, or 3 without a limit."""
    return str(count) if limit is None else _("%(count)s of %(limit)s") % {"count": count, "limit": limit}


def old_token_until(key: APIKey) -> str:
    """Return until when the token before the last rotation works; nothing if it doesn't."""
    until = key.previous_until
    if not key.previous_digest or until is None or until <= timezone.now():
        return ""
    return local_moment(until)


def restricts(key: APIKey, kind: ListKind, total: int) -> bool:
    """Return whether the list restricts the key; an empty one doesn't where the settings say so."""
    is_off = settings().EMPTY_LIST == "allow" and key.enforcement != Enforcement.REPORT
    return getattr(key, kind.mode) == Mode.LISTED and (total > 0 or not is_off)


def is_open(key: APIKey, domains: int, ips: int) -> bool:
    """Return whether neither list, with so many entries, restricts the key."""
    return not (restricts(key, DOMAINS, domains) or restricts(key, IPS, ips))


def summary(key: APIKey, domains: Entries, ips: Entries) -> str:
    """Return what the key allows: where it works, and whether it blocks the rest."""
    if idle := IDLE.get(status_here(key)):
        return str(idle)
    sentence = _places(
        key,
        domains.in_force if restricts(key, DOMAINS, domains.total) else None,
        ips.in_force if restricts(key, IPS, ips.total) else None,
    )
    if key.enforcement == Enforcement.REPORT:
        return _("Monitor only: allows and logs what isn't listed. Once it blocks: %(sentence)s") % {
            "sentence": sentence
        }
    return sentence


def _places(key: APIKey, sites: int | None, ips: int | None) -> str:
    """Return where the key works, given how many entries are in force; None is no restriction."""
    if sites is None and ips is None:
        return str(ANY_SERVER if key.kind == Kind.SECRET else ANYWHERE)
    counts = [count for count in (sites, ips) if count is not None]
    if not (min(counts) if key.condition == Condition.ALL else max(counts)):
        return str(NOWHERE)
    sentences = TOGETHER if sites and ips else SITES_ALONE if sites else IPS_ALONE
    # A secret key works on servers alone, whatever its condition.
    condition = Condition.BY_SOURCE if key.kind == Kind.SECRET else key.condition
    sentence: str = sentences[condition] % {"sites": _on_sites(sites or 0), "ips": _from_ips(ips or 0)}
    if sites and condition != Condition.BY_SOURCE and settings().MISSING_ORIGIN == "allow":
        sentence += " " + _("Requests that name no site, such as a server's, aren't checked by domain.")
    return sentence


def _on_sites(count: int) -> str:
    return ngettext("on %(count)s site", "on %(count)s sites", count) % {"count": count}


def _from_ips(count: int) -> str:
    return ngettext("from %(count)s IP address", "from %(count)s IP addresses", count) % {"count": count}
