"""A key and the policy in force, in one indexed statement.

The statement reads the key's row, which has a revision that every change to its entries renews. What
was compiled from the row and the entries is cached in the process, and used only while the database
returns the same row. So nothing has to be invalidated, and any number of processes and hosts agree as
soon as a change is committed.
"""

import logging
from dataclasses import dataclass
from datetime import datetime
from hmac import compare_digest
from typing import Any
from uuid import UUID

from django.db import connections, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import CharField, Value
from django.db.models.functions import Cast

from ..conf import Settings, settings
from ..models import APIKey
from ..models.lists import DOMAINS, IPS
from ..models.policies import policy_in_force
from ..policy.decision import Policy
from ..policy.entries import DomainList
from ..policy.networks import IPList
from ..policy.tokens import Token
from . import statement
from .cache import Cache
from .freshness import Epoch, store_of
from .statement import RedactedRow

logger = logging.getLogger("allowlist")

MAX_CACHED_ENTRIES = 200_000
"""How many entries a process caches at most, a key counting as five: about 70 MB."""
_KEY_WEIGHT = 5
"""What it costs to cache a key without entries, in entries."""
_ATTEMPTS = 10
_AT = {name: position for position, name in enumerate(statement.NAMES)}


class NotCachedError(Exception):
    """The database has to be asked for a key."""


class UnstableKeyError(Exception):
    """The key changed between each two of many reads, so no state of it can be decided by."""


Name = tuple[str, str | None, str, Any]
"""How a row is found: the database and the tenant whose rows they are, and the value of a unique column."""


def schema_of(connection: BaseDatabaseWrapper) -> str | None:
    """Return the schema of the tenant that is served now; None if the database has one tenant.

    django-tenants sets it for each request. What is cached or counted for one tenant must never serve
    another.
    """
    schema: str | None = getattr(connection, "schema_name", None)
    return schema


@dataclass(frozen=True, slots=True)
class Lists:
    """A key's two lists, compiled, as they were at ``revision``."""

    revision: UUID
    domains: DomainList
    ips: IPList
    until: datetime | None
    """When the next entry ends, and the lists have to be compiled again; None if no entry does."""
    matched_at: dict[tuple[str, str], datetime | None]
    """When each entry last matched, as far as this process knows, by column and text."""


class Row:
    """A key's row, with the database it was read from. Its ``repr`` shows none of its values."""

    __slots__ = ("alias", "digest", "environment", "expires_at", "read", "revoked_at", "used_at", "values")

    def __init__(self, connection: BaseDatabaseWrapper, read: RedactedRow) -> None:
        self.alias = connection.alias
        self.read = read
        """As the database returned it. While it returns the same, what was compiled from it holds."""
        self.values = statement.converted(connection, read)
        self.digest: str = self["digest"]
        self.environment: str = self["environment"]
        self.expires_at: datetime | None = self["expires_at"]
        self.revoked_at: datetime | None = self["revoked_at"]
        self.used_at: datetime | None = self["last_used_at"]
        """When ``last_used_at`` was written, as far as this process knows."""

    def __getitem__(self, name: str) -> Any:
        return self.values[_AT[name]]

    def to_key(self) -> APIKey:
        """Return a new instance, which a view may change without anyone else seeing it."""
        return APIKey.from_db(self.alias, statement.NAMES, self.values)

    def is_active(self, now: datetime) -> bool:
        """Return whether the key works here now: not revoked, not expired, of an accepted environment."""
        if self.revoked_at is not None or (self.expires_at is not None and self.expires_at <= now):
            return False
        return self.environment in settings().ENVIRONMENTS

    def is_opened_by(self, token: Token | None, now: datetime) -> bool:
        """Return whether the key is active, and ``token`` its own; None if it was found without a token."""
        if not self.is_active(now):
            return False
        if token is None or compare_digest(self.digest, token.digest):
            return True
        until = self["previous_until"]
        return until is not None and until > now and compare_digest(self["previous_digest"], token.digest)


@dataclass(slots=True)
class ActivePolicy:
    """A key's row and the policy in force, compiled."""

    row: Row
    conf: Settings
    lists: Lists
    policy: Policy
    read_at: Epoch | None = None
    """The epoch in which it was read; None: it may only be used if the database returns the same row."""

    def holds(self, epoch: Epoch, now: datetime) -> bool:
        """Return whether it is in force in ``epoch``, so that the database needn't be asked."""
        until = self.lists.until
        is_current = epoch.covers(self.read_at) and self.conf is settings()
        return is_current and (until is None or until > now)


def find_by_token(token: Token, now: datetime) -> ActivePolicy | None:
    """Return the key that ``token`` opens now; None if unknown, revoked, expired or not accepted here."""
    return _find("locator", token.locator, now, token)


def find_by_pk(pk: Any, now: datetime) -> ActivePolicy | None:
    """Return the key with this primary key; None if unknown, revoked, expired or not accepted here."""
    return _find("id", pk, now, None)


def find_cached(token: Token, now: datetime) -> ActivePolicy | None:
    """Return what ``find_by_token`` would if it needn't ask the database; else raise NotCachedError.

    Touches no connection, and no tenant's policy: only a connection knows which tenant is served.
    """
    alias = router.db_for_write(APIKey)
    store = store_of(_cache, alias)
    epoch = None if store is None else store.current(may_connect=False)
    cached = _cache.get((alias, None, "locator", token.locator))
    if epoch is None or cached is None or not cached.holds(epoch, now):
        raise NotCachedError
    return cached if cached.row.is_opened_by(token, now) else None


def _find(column: str, value: Any, now: datetime, token: Token | None) -> ActivePolicy | None:
    """Return the key whose ``column`` is ``value``, with its policy ``now``, if ``token`` opens it.

    Raises DatabaseError, UnstableKeyError, and ValueError, TypeError or ValidationError for a row with an
    invalid mode, condition or date.
    """
    connection = connections[router.db_for_write(APIKey)]
    store = store_of(_cache, connection.alias)
    name = connection.alias, schema_of(connection), column, value
    epoch = None if store is None or connection.in_atomic_block else store.current()
    cached = _cache.get(name)
    if cached is not None and cached.lists.until is not None and cached.lists.until <= now:
        cached = None
    if store is None or epoch is None:
        return _read(connection, name, cached, now, token)
    if cached is not None and cached.holds(epoch, now):
        return cached if cached.row.is_opened_by(token, now) else None
    found = _read(connection, name, cached, now, token)
    if found is not None and connection.autocommit:
        store.confirm(found, epoch)
    return found


def _read(
    connection: BaseDatabaseWrapper,
    name: Name,
    cached: ActivePolicy | None,
    now: datetime,
    token: Token | None,
) -> ActivePolicy | None:
    """Read the key's row. Read its lists too, unless they are cached or the row isn't accepted.

    The row and the lists are of the same revision.
    """
    conf, lists = settings(), None if cached is None else cached.lists
    for _attempt in range(_ATTEMPTS):
        row = _read_row(connection, name, None if cached is None else cached.row)
        if row is None or not row.is_opened_by(token, now):
            return None
        if cached is not None and cached.row is row and cached.conf is conf:
            return cached
        if lists is None or lists.revision != row["revision"]:
            lists = _read_lists(row, now)
        if lists is not None and lists.revision == row["revision"]:
            policy = policy_in_force(row, lists.domains, lists.ips, conf)
            found = ActivePolicy(row, conf, lists, policy)
            weight = _KEY_WEIGHT + lists.domains.count + lists.ips.count
            # Changes are announced by locator, whichever column the row was found by.
            _cache.put(name, row["locator"], found, weight)
            return found
    _alias, _schema, column, value = name
    raise UnstableKeyError(f"The key with {column} {value} changed at each of {_ATTEMPTS} reads.")


def _read_row(connection: BaseDatabaseWrapper, name: Name, known: Row | None) -> Row | None:
    """Return the key's row as it is now: ``known`` itself while the database returns the same."""
    _alias, _schema, column, value = name
    read = statement.read(connection, column, value)
    if known is not None and known.read == read:
        return known
    return Row(connection, read) if read else None


def _read_lists(row: Row, now: datetime) -> Lists | None:
    """Read the key's entries with the revision they are of; None if the key has been deleted.

    One statement sees one state of the database. Entries read by themselves, after the row, could be
    of another revision.
    """
    key = APIKey._base_manager.using(row.alias).filter(pk=row["id"]).order_by()
    # A string, since the ORM would make a UUID of it for each of 2,500 entries.
    revision = Cast("revision", CharField(max_length=36))
    domains, ips = (
        key.values_list(
            revision,
            Value(kind.column),
            *(f"{kind.field}__{name}" for name in (kind.column, "expires_at", "last_matched_at")),
        )
        for kind in (DOMAINS, IPS)
    )
    read = list(domains.union(ips, all=True).order_by())
    if not read:
        return None
    lists = _compiled(read, now)
    for text in (*lists.domains.unreadable, *lists.ips.unreadable):
        logger.error("Key %s lists %r, which cannot be read and matches nothing.", row["id"], text)
    return lists


def _compiled(read: list[Any], now: datetime) -> Lists:
    """Return the two lists without the entries that have ended. An empty list is one row without text."""
    texts: dict[str, list[str]] = {DOMAINS.column: [], IPS.column: []}
    expired = dict.fromkeys(texts, 0)
    ends, matched_at = [], {}
    for _revision, column, text, expires_at, last_matched_at in read:
        if text is None:
            continue
        matched_at[column, text] = last_matched_at
        if expires_at is not None and expires_at <= now:
            expired[column] += 1
            continue
        texts[column].append(text)
        if expires_at is not None:
            ends.append(expires_at)
    return Lists(
        UUID(read[0][0]),
        DomainList(texts[DOMAINS.column], expired[DOMAINS.column]),
        IPList(texts[IPS.column], expired[IPS.column]),
        min(ends, default=None),
        matched_at,
    )


_cache: Cache[ActivePolicy] = Cache(MAX_CACHED_ENTRIES)
