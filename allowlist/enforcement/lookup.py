"""From a token to its key and the policy in force, in one indexed statement.

The statement reads the key's row, which holds a revision that every write to its entries renews
(see ``edits``). What was worked out of the row and the entries is kept in the process, and used only
while the database gives the same row. So nothing has to be invalidated, and any number of processes
and hosts agree as soon as a change is committed.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from hmac import compare_digest
from typing import Any
from uuid import UUID

from django.db import connections, router
from django.db.models import Q, Value

from ..conf import Settings, settings
from ..models import APIKey
from ..policy.decision import Condition, Mode, Policy
from ..policy.entries import DomainList
from ..policy.networks import IPList
from ..policy.tokens import Token
from .bounded import Bounded
from .redis_store import Store, store

logger = logging.getLogger("allowlist")

MAX_KEPT_ENTRIES = 200_000
"""How many entries a process keeps at most, a key counting as five: some 70 MB."""
_KEY_WEIGHT = 5
"""What keeping a key without entries costs, in entries."""
_ATTEMPTS = 10
_NAMES = tuple(field.attname for field in APIKey._meta.concrete_fields)
_AT = {name: position for position, name in enumerate(_NAMES)}
_ENDS = ("expires_at", "revoked_at")
"""What ends a key. SQLite's driver reads a text that is no date as None, which would be "never", and
MySQL's a date of zeros: so the database is asked whether it is NULL."""


class UnstableKeyError(Exception):
    """A key that changed between each two of many reads: nothing can be said of it."""


class Hidden(list[Any]):
    """A row's values. Reports of an error print what every function on the way held: nothing of these."""

    def __repr__(self) -> str:
        """Return the class's name alone."""
        return "<Hidden>"


@dataclass(frozen=True, slots=True)
class Lists:
    """A key's two lists, compiled, as they were at ``revision``."""

    revision: UUID
    domains: DomainList
    ips: IPList
    domain_count: int
    ip_count: int


class Row:
    """A key's row as read, with the database it was read from. Its ``repr`` shows nothing of it."""

    __slots__ = ("alias", "digest", "expires_at", "read", "revoked_at", "used_at", "values")

    def __init__(self, alias: str, read: Hidden) -> None:
        self.alias = alias
        self.read = read
        """As the database gave it: while it gives the same, all that was worked out of it holds."""
        self.values = _converted(alias, read)
        self.digest: str = self["digest"]
        self.expires_at: datetime | None = self["expires_at"]
        self.revoked_at: datetime | None = self["revoked_at"]
        self.used_at: datetime | None = self["last_used_at"]
        """When ``last_used_at`` was written, as far as this process knows."""

    def __getitem__(self, name: str) -> Any:
        return self.values[_AT[name]]

    def to_key(self) -> APIKey:
        """Return a new instance: views may change theirs without anybody else seeing it."""
        return APIKey.from_db(self.alias, _NAMES, self.values)

    def answers_to(self, token: Token, now: datetime) -> bool:
        """Return whether ``token`` is this key's, and the key neither revoked nor expired."""
        if self.revoked_at is not None or (self.expires_at is not None and self.expires_at <= now):
            return False
        if compare_digest(self.digest, token.digest):
            return True
        until = self["previous_until"]
        return until is not None and until > now and compare_digest(self["previous_digest"], token.digest)


@dataclass(frozen=True, slots=True)
class Found:
    """A key that a token may open, and the policy in force."""

    row: Row
    conf: Settings
    lists: Lists
    policy: Policy

    @property
    def weight(self) -> int:
        """Return what keeping this costs, in entries."""
        return _KEY_WEIGHT + self.lists.domain_count + self.lists.ip_count


def find(token: Token, now: datetime) -> Found | None:
    """Return the key that ``token`` opens ``now``; None if unknown, revoked or expired.

    Raises DatabaseError, UnstableKeyError, and whatever is raised where the row holds a mode,
    condition or date that is none.
    """
    alias, kept = router.db_for_write(APIKey), store()
    found = _find(alias, token, now) if kept is None else _find_pushed(kept, alias, token, now)
    return found if found is not None and found.row.answers_to(token, now) else None


def _find_pushed(kept: "Store[Found]", alias: str, token: Token, now: datetime) -> Found | None:
    """Return what ``_find`` does, without asking the database where what it said is known to be current."""
    connection = connections[alias]
    moment = None if connection.in_atomic_block else kept.current()
    if moment is None:
        return _find(alias, token, now)
    found = kept.get(token.locator, moment)
    if found is not None and found.row.alias == alias and found.conf is settings():
        return found
    found = _find(alias, token, now)
    if found is not None and connection.autocommit:
        kept.keep(token.locator, found, found.weight, moment)
    return found


def _find(alias: str, token: Token, now: datetime) -> Found | None:
    """Read the key; its lists too, unless they are kept or ``token`` does not open it.

    The row and the lists are of the same revision.
    """
    conf, name = settings(), (alias, token.locator)
    lists: Lists | None = None
    for _attempt in range(_ATTEMPTS):
        found = _kept.get(name)
        row = _read_row(alias, token.locator, None if found is None else found.row)
        if row is None:
            return None
        if found is not None and found.row is row and found.conf is conf:
            return found
        if not row.answers_to(token, now):
            return None
        if lists is None and found is not None:
            lists = found.lists
        if lists is None or lists.revision != row["revision"]:
            lists = _read_lists(row)
        if lists is not None and lists.revision == row["revision"]:
            found = Found(row, conf, lists, _policy(row, lists, conf))
            _kept.put(name, found, found.weight)
            return found
    raise UnstableKeyError(f"Key {token.locator} changed at each of {_ATTEMPTS} reads.")


def _policy(row: Row, lists: Lists, conf: Settings) -> Policy:
    empty_is_off = conf.EMPTY_LIST == "allow"
    domains_on = Mode(row["domain_mode"]) is Mode.LISTED
    ips_on = Mode(row["ip_mode"]) is Mode.LISTED
    return Policy(
        lists.domains if domains_on and (lists.domain_count or not empty_is_off) else None,
        lists.ips if ips_on and (lists.ip_count or not empty_is_off) else None,
        Condition(row["condition"]),
        conf.MISSING_ORIGIN,
    )


def _read_row(alias: str, locator: str, known: Row | None) -> Row | None:
    """Return the key's row as it is now: ``known`` itself if it is still that."""
    sql, _converters = _statement(alias)
    with connections[alias].cursor() as cursor:
        cursor.execute(sql, (locator,))
        read = Hidden(cursor.fetchone() or ())
    if not read:
        return None
    return known if known is not None and known.read == read else Row(alias, read)


def _converted(alias: str, read: Hidden) -> tuple[Any, ...]:
    """Return the row's values as the model has them."""
    _sql, converters = _statement(alias)
    connection = connections[alias]
    values = Hidden(read)
    for position, expression, functions in converters:
        for function in functions:
            values[position] = function(values[position], expression, connection)
    for name, is_null in zip(_ENDS, values[len(_NAMES) :], strict=True):
        if values[_AT[name]] is None and not is_null:
            raise ValueError(f"{name} holds what is no date.")
    return tuple(values[: len(_NAMES)])


@cache
def _statement(alias: str) -> tuple[str, list[tuple[int, Any, list[Callable[..., Any]]]]]:
    """Return the SQL that reads a key's row by locator, compiled once, and its converters."""
    ends = {f"{name}_is_null": Q((name, None)) for name in _ENDS}
    query = APIKey._base_manager.using(alias).filter(locator="?").annotate(**ends).order_by().query
    compiler = query.get_compiler(using=alias)
    sql, _params = compiler.as_sql()
    # There is one table, and a text half as long is read faster by Django, the driver and the database.
    sql = sql.replace(f"{connections[alias].ops.quote_name(APIKey._meta.db_table)}.", "")
    converters = compiler.get_converters([column for column, _sql, _alias in compiler.select])
    return sql, [(position, column, functions) for position, (functions, column) in converters.items()]


def _read_lists(row: Row) -> Lists | None:
    """Read the key's entries with the revision they are of, in one statement.

    None where the key is gone. One statement sees one state of the database; entries read after
    the row's revision by themselves could be of another.
    """
    key = APIKey._base_manager.using(row.alias).filter(pk=row["id"]).order_by()
    domains = key.values_list(Value("domain"), "revision", "allowed_domains__domain")
    ips = key.values_list(Value("ip"), "revision", "allowed_ips__ip")
    read = list(domains.union(ips, all=True).order_by())
    if not read:
        return None
    rows = [(of, text) for of, _revision, text in read if text is not None]
    texts = {kind: [text for of, text in rows if of == kind] for kind in ("domain", "ip")}
    lists = Lists(
        read[0][1],
        DomainList(texts["domain"]),
        IPList(texts["ip"]),
        len(texts["domain"]),
        len(texts["ip"]),
    )
    for text in (*lists.domains.unreadable, *lists.ips.unreadable):
        logger.error("Key %s lists %r, which cannot be read and matches nothing.", row["id"], text)
    return lists


_kept: Bounded[tuple[str, str], Found] = Bounded(MAX_KEPT_ENTRIES)
