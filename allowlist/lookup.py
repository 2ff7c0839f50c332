"""From a token to its key and the policy in force, in one indexed statement.

The statement reads the key's row, which holds a revision that every write to its entries renews
(see ``edits``). The compiled entries are kept in the process under that revision and used only
while the row still has it. So nothing has to be invalidated, and any number of processes and hosts
agree as soon as a change is committed.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from hmac import compare_digest
from threading import Lock
from typing import Any
from uuid import UUID

from django.db import connections, router
from django.db.models import Value
from django.utils import timezone

from .conf import settings
from .models import APIKey
from .policy.decision import Condition, Mode, Policy
from .policy.entries import DomainList
from .policy.networks import IPList
from .policy.tokens import Token

logger = logging.getLogger("allowlist")

MAX_KEPT_ENTRIES = 200_000
"""How many compiled entries a process keeps, of all keys together: some 60 MB."""
_ATTEMPTS = 10
_NAMES = tuple(field.attname for field in APIKey._meta.concrete_fields)
_AT = {name: position for position, name in enumerate(_NAMES)}


class UnstableKeyError(Exception):
    """A key that changed between each two of many reads: nothing can be said of it."""


@dataclass(frozen=True, slots=True)
class Lists:
    """A key's two lists, compiled, as they were at ``revision``."""

    revision: UUID
    domains: DomainList
    ips: IPList
    domain_count: int
    ip_count: int

    @property
    def weight(self) -> int:
        """Return what keeping this costs, in entries."""
        return 1 + self.domain_count + self.ip_count


class Row:
    """A key's row as read, with the database it was read from."""

    __slots__ = ("alias", "values")

    def __init__(self, alias: str, values: tuple[Any, ...]) -> None:
        self.alias = alias
        self.values = values

    def __getitem__(self, name: str) -> Any:
        return self.values[_AT[name]]

    def to_key(self) -> APIKey:
        """Return a new instance: views may change theirs without anybody else seeing it."""
        return APIKey.from_db(self.alias, _NAMES, self.values)

    def answers_to(self, token: Token, now: datetime) -> bool:
        """Return whether ``token`` is this key's, and the key neither revoked nor expired."""
        expires_at = self["expires_at"]
        if self["revoked_at"] is not None or (expires_at is not None and expires_at <= now):
            return False
        digest = token.digest
        if compare_digest(self["digest"], digest):
            return True
        until = self["previous_until"]
        return until is not None and until > now and compare_digest(self["previous_digest"], digest)


@dataclass(frozen=True, slots=True)
class Found:
    """A key that a token opens, and the policy in force."""

    row: Row
    policy: Policy


def find(token: Token) -> Found | None:
    """Return the key that ``token`` opens now; None if unknown, revoked or expired.

    Raises DatabaseError, ValueError where the row holds a mode or condition that is none, and
    UnstableKeyError.
    """
    alias = router.db_for_write(APIKey)
    for _attempt in range(_ATTEMPTS):
        row = _read_row(alias, token.locator)
        if row is None or not row.answers_to(token, timezone.now()):
            return None
        lists = _kept.get(row) or _read_lists(row)
        if lists is not None and lists.revision == row["revision"]:
            return Found(row, _policy(row, lists))
    raise UnstableKeyError(f"Key {token.locator} changed at each of {_ATTEMPTS} reads.")


def _policy(row: Row, lists: Lists) -> Policy:
    conf = settings()
    empty_is_off = conf.EMPTY_LIST == "allow"
    domains_on = Mode(row["domain_mode"]) is Mode.LISTED
    ips_on = Mode(row["ip_mode"]) is Mode.LISTED
    return Policy(
        lists.domains if domains_on and (lists.domain_count or not empty_is_off) else None,
        lists.ips if ips_on and (lists.ip_count or not empty_is_off) else None,
        Condition(row["condition"]),
        conf.MISSING_ORIGIN,
    )


def _read_row(alias: str, locator: str) -> Row | None:
    sql, converters = _statement(alias)
    connection = connections[alias]
    with connection.cursor() as cursor:
        cursor.execute(sql, (locator,))
        read = cursor.fetchone()
    if read is None:
        return None
    values = list(read)
    for position, expression, functions in converters:
        for function in functions:
            values[position] = function(values[position], expression, connection)
    return Row(alias, tuple(values))


@cache
def _statement(alias: str) -> tuple[str, list[tuple[int, Any, list[Callable[..., Any]]]]]:
    """Return the SQL that reads a key's row by locator, compiled once, and its converters."""
    query = APIKey._base_manager.using(alias).filter(locator="?").query
    compiler = query.get_compiler(using=alias)
    sql, _params = compiler.as_sql()
    converters = compiler.get_converters([column for column, _sql, _alias in compiler.select])
    return sql, [(position, column, functions) for position, (functions, column) in converters.items()]


def _read_lists(row: Row) -> Lists | None:
    """Read and keep the key's entries with the revision they are of, in one statement.

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
    _kept.put(row, lists)
    return lists


class _Kept:
    """The compiled lists of the keys last read, up to MAX_KEPT_ENTRIES; the oldest go first."""

    def __init__(self) -> None:
        self._lists: dict[tuple[str, Any], Lists] = {}
        self._weight = 0
        self._lock = Lock()

    def get(self, row: Row) -> Lists | None:
        """Return the lists of the row's revision, if they are kept."""
        lists = self._lists.get((row.alias, row["id"]))
        return lists if lists is not None and lists.revision == row["revision"] else None

    def put(self, row: Row, lists: Lists) -> None:
        """Keep ``lists``, and forget the oldest while there are too many."""
        with self._lock:
            self._forget((row.alias, row["id"]))
            self._lists[row.alias, row["id"]] = lists
            self._weight += lists.weight
            while self._weight > MAX_KEPT_ENTRIES:
                self._forget(next(iter(self._lists)))

    def _forget(self, at: tuple[str, Any]) -> None:
        if gone := self._lists.pop(at, None):
            self._weight -= gone.weight


_kept = _Kept()
