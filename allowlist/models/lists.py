"""A key's two lists: how they differ, and what they take."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import EllipsisType
from typing import Any, NamedTuple

from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext_lazy

from ..conf import settings
from ..policy.decision import Mode
from ..policy.entries import parse_domain
from ..policy.networks import parse_ip
from ..policy.problems import EntryError
from ..policy.tokens import Kind
from ..validators import clean_domain, clean_ip

MOST_AT_ONCE = 10_000
"""How many entries one write takes, whatever the limits: more would keep the server busy for seconds."""


class Given(NamedTuple):
    """An entry that was given, read from whichever of its forms."""

    name: str | None
    text: str
    expires_at: datetime | EllipsisType | None = ...
    """When it ends: None is never, and an ellipsis that nothing was said."""


EntryInput = str | tuple[str | None, str] | Mapping[str, Any] | Given
"""An entry as people give it: a string, a (name, string) pair, or a mapping as the API has it.

A name of None leaves the name as it is.
"""


@dataclass(frozen=True, slots=True)
class Added:
    """What ``add_domains`` and ``add_ips`` did."""

    entries: list[Any]
    """The new rows, of ``AllowedDomain`` or ``AllowedIP``."""
    duplicates: list[str]
    """What was listed already or was given twice, as canonical strings."""
    in_force: bool
    """Whether the list decides anything: False while its mode is ``all``."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ListKind:
    """One of the two lists a key has."""

    field: str
    """The related name of the key's entries; errors carry it too."""
    mode: str
    """The name of the key's field that says whether the list counts."""
    column: str
    """The name of the entry's field with the canonical string."""
    limit_setting: str
    modes_setting: str
    is_for_secret_keys: bool
    clean: Callable[[str], str]
    """Returns the canonical string, or raises ValidationError where it may not be saved."""
    parse: Callable[[str], Any]
    """Returns the parsed entry, or raises EntryError where it cannot be read."""

    needs_entry: Promise
    over_limit: Any
    """The sentence with the plural form of its limit."""
    all_with_entries: Promise
    mode_is_fixed: Promise
    is_unused: Promise
    only_expired: Promise

    @property
    def limit(self) -> int | None:
        """Return how many entries a key may list, or None for no limit."""
        limit: int | None = getattr(settings(), self.limit_setting)
        return limit

    def takes(self, kind: str) -> bool:
        """Return whether keys of this ``kind`` have the list at all: secret keys have no domains."""
        return self.is_for_secret_keys or kind != Kind.SECRET

    def modes_for(self, kind: str) -> tuple[str, ...]:
        """Return the modes to choose from for a key of this ``kind``."""
        if not self.takes(kind):
            return (Mode.ALL,)
        modes: tuple[str, ...] = getattr(settings(), self.modes_setting)
        return modes

    def cleaned(self, text: str) -> str | None:
        """Return the canonical string of an entry, or None where it may not be saved."""
        try:
            return self.clean(text)
        except ValidationError:
            return None

    def canonical(self, text: str) -> str | None:
        """Return the canonical string of an entry, or None where ``text`` is not one."""
        try:
            return str(self.parse(text).text)
        except EntryError:
            return None


DOMAINS = ListKind(
    field="allowed_domains",
    mode="domain_mode",
    column="domain",
    limit_setting="MAX_DOMAINS",
    modes_setting="DOMAIN_MODES",
    is_for_secret_keys=False,
    clean=clean_domain,
    parse=parse_domain,
    needs_entry=gettext_lazy(
        "“Allow only listed domains” needs at least one domain. Add one, or choose “Allow all domains”."
    ),
    over_limit=ngettext_lazy(
        "A key can list at most %(limit)s domain. This would make %(count)s.",
        "A key can list at most %(limit)s domains. This would make %(count)s.",
        "limit",
    ),
    all_with_entries=gettext_lazy(
        "“Allow all domains” deletes the listed domains, so no domain can be added with it. Choose “Allow "
        "only listed domains”, or leave the domains out."
    ),
    mode_is_fixed=gettext_lazy("This site doesn't let you choose how domains are checked."),
    is_unused=gettext_lazy("This site doesn't restrict keys by domain."),
    only_expired=gettext_lazy(
        "Every listed domain has expired, so removing them would leave the list empty. Add a domain first, "
        "or choose “Allow all domains”."
    ),
)
IPS = ListKind(
    field="allowed_ips",
    mode="ip_mode",
    column="ip",
    limit_setting="MAX_IPS",
    modes_setting="IP_MODES",
    is_for_secret_keys=True,
    clean=clean_ip,
    parse=parse_ip,
    needs_entry=gettext_lazy(
        "“Allow only listed IPs” needs at least one IP address. Add one, or choose “Allow all IPs”."
    ),
    over_limit=ngettext_lazy(
        "A key can list at most %(limit)s IP address. This would make %(count)s.",
        "A key can list at most %(limit)s IP addresses. This would make %(count)s.",
        "limit",
    ),
    all_with_entries=gettext_lazy(
        "“Allow all IPs” deletes the listed IP addresses, so no IP address can be added with it. Choose "
        "“Allow only listed IPs”, or leave the IP addresses out."
    ),
    mode_is_fixed=gettext_lazy("This site doesn't let you choose how IP addresses are checked."),
    is_unused=gettext_lazy("This site doesn't restrict keys by IP address."),
    only_expired=gettext_lazy(
        "Every listed IP address has expired, so removing them would leave the list empty. Add an IP address "
        "first, or choose “Allow all IPs”."
    ),
)
KINDS = (DOMAINS, IPS)


def check_end(value: datetime | None, *, may_be_past: bool = False) -> None:
    """Raise ValidationError for an end that is past, or too far away for databases to count."""
    if value is None:
        return
    if not 1 < value.year < 9999:
        sentence = _("This date is too far away. Leave it empty for an entry that doesn't expire.")
        raise ValidationError(sentence, code="overflow")
    if value <= timezone.now() and not may_be_past:
        sentence = _("This date is in the past. Choose a later one, or leave it empty.")
        raise ValidationError(sentence, code="past")


def problem(kind: ListKind, sentence: str, code: str | None, index: int | None = None) -> ValidationError:
    """Return an error that knows its list and, if it is about one of several entries, which one."""
    params = {"sentence": sentence, "field": kind.field, "index": index}
    return ValidationError("%(sentence)s", code=code, params=params)


def read_given(kind: ListKind, entries: Iterable[EntryInput]) -> list[Given]:
    """Return ``entries`` one by one; the name of a string alone is None.

    Raises TypeError for one string instead of a list and for a mapping with other names, and
    ValidationError for too many entries.
    """
    if isinstance(entries, str | Mapping):
        raise TypeError(f"{kind.field} takes a list of entries, not one entry.")
    entries = list(entries)
    if len(entries) > MOST_AT_ONCE:
        sentence = _("Send at most %(most)s entries at once.") % {"most": MOST_AT_ONCE}
        raise problem(kind, sentence, "too_many")
    return [_given(kind, entry) for entry in entries]


def _given(kind: ListKind, entry: EntryInput) -> Given:
    if isinstance(entry, Given):
        return entry
    if isinstance(entry, Mapping):
        names = {kind.column, "name", "expires_at"}
        if kind.column not in entry or not entry.keys() <= names:
            raise TypeError(f"An entry of {kind.field} has {kind.column}, and maybe name and expires_at.")
        return Given(entry.get("name"), entry[kind.column], entry.get("expires_at", ...))
    if isinstance(entry, (tuple, list)):
        name, text = entry
        return Given(name, text)
    return Given(None, entry)
