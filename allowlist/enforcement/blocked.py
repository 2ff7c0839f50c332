"""What each key refused: counted beside the request, written by a thread of its own.

A request only adds to sums in memory. A write on Django's ``request_finished`` would run in a new thread for
each request under ASGI, and leave that thread's connection open.
"""

import atexit
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from ipaddress import ip_network
from threading import Event, Lock, Thread
from typing import Any

from django.core import mail
from django.db import DatabaseError, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from ..conf import settings
from ..models.blocked import before_reading
from ..models.locks import is_contention
from ..policy.decision import Reason, Rule, Source
from ..policy.networks import Address
from ..policy.origins import Origin
from . import blocked_rows
from .lookup import Row, schema_of
from .sums import KeyName, Place, Sums, Tallies

logger = logging.getLogger("allowlist")

INTERVAL = 5.0
"""Seconds between two flushes of a process."""
MOST_STATEMENTS = 20
"""How many statements one flush sends at most."""
PATIENCE = 2.0
"""Seconds that a reader waits for a flush under way, and that the end of a process goes on trying."""

BY_ADDRESS = frozenset(
    {Reason.IP_NOT_LISTED, Reason.IP_UNKNOWN, Reason.ORIGIN_MISSING, Reason.SERVER_NOT_ALLOWED}
)
"""The reasons that are about the caller's address. The others are about its page, and visitors of a page are
nobody's business."""
_PREFIX = {4: 24, 6: 48}
"""How much of an address is kept under BLOCKED_IPS="network"."""

_sums = Sums()


def note_blocked(row: Row, reason: Reason, source: Source, is_reported: bool, now: datetime) -> None:
    """Count a request that a rule of the key refused ``now``. Never raises."""
    if reason.rule not in (Rule.DOMAIN, Rule.IP) or not settings().BLOCKED_PER_KEY:
        return
    try:
        name = KeyName(row.alias, schema_of(connections[row.alias]), row["locator"])
        _sums.count(name, _place(reason, source), is_reported, now)
        _writer.wake()
    except Exception:
        logger.exception("A blocked request could not be counted.")


def _place(reason: Reason, source: Source) -> Place:
    if reason in BY_ADDRESS:
        return Place(str(reason), "", _shown(source.read_address()))
    return Place(str(reason), str(source.page) if isinstance(source.page, Origin) else "", "")


def _shown(address: Address | None) -> str:
    """Return what BLOCKED_IPS lets be stored of an address."""
    how = settings().BLOCKED_IPS
    if address is None or how == "none":
        return ""
    if how == "network":
        return str(ip_network((address, _PREFIX[address.version]), strict=False))
    return str(address)


def flush() -> None:
    """Write what this process counted, in at most MOST_STATEMENTS statements; the rest waits."""
    with _writer.busy:
        _flush(_sums.waiting(), MOST_STATEMENTS)


def finish() -> None:
    """Write everything that this process counted, as it ends."""
    _writer.finish()


def reset() -> None:
    """Forget what this process counted and hasn't written."""
    _sums.clear()
    _writer.calm()


def write_counts(locator: str | None = None) -> None:
    """Write what this process counted of one key, or of all if ``locator`` is None.

    What another thread is writing is there once that is done.
    """
    if not _writer.busy.acquire(timeout=PATIENCE):
        return
    try:
        waiting = _sums.waiting().items()
        of_key = {name: places for name, places in waiting if locator in (None, name.locator)}
        _flush({name: places for name, places in of_key.items() if _is_served_now(name)}, None)
    finally:
        _writer.busy.release()


def _is_served_now(name: KeyName) -> bool:
    """Return whether the key is the database's own, or of the tenant that is served now."""
    return name.schema == schema_of(connections[name.alias])


before_reading.append(write_counts)


def _flush(waiting: dict[KeyName, int], most: int | None) -> None:
    """Write the keys' sums, a database or tenant at a time, while there are statements left."""
    left: dict[KeyName, Tallies] = {}
    statements = 0
    while waiting and (most is None or statements + blocked_rows.MOST_STATEMENTS <= most):
        names = _fitting(waiting)
        for name in names:
            del waiting[name]
        sent, unwritten = _write(names)
        statements += sent
        left |= unwritten
    for name, tallies in left.items():
        _sums.put_back(name, tallies)


def _fitting(waiting: dict[KeyName, int]) -> list[KeyName]:
    """Return the first key and those of the same database and tenant that one transaction takes too."""
    first, rows, names = next(iter(waiting)), 0, list[KeyName]()
    for name, places in waiting.items():
        if name[:2] == first[:2]:
            rows += min(places, settings().BLOCKED_PER_KEY)
            if names and (rows > blocked_rows.MOST_ROWS or len(names) == blocked_rows.MOST_KEYS):
                break
            names.append(name)
    return names


def _write(names: list[KeyName]) -> tuple[int, dict[KeyName, Tallies]]:
    """Write the sums of these keys; return how many statements that took, and what couldn't be written yet.

    A failure is logged once, until a write succeeds again.
    """
    alias, schema, _locator = names[0]
    sums, connection = _sums.take(names), connections[alias]
    with _counted(connection) as sent:
        try:
            with blocked_rows.in_schema(connection, schema) as is_served:
                left = blocked_rows.write(alias, sums) if is_served else {}
            _failing.discard(alias)
        except Exception as error:
            is_held = isinstance(error, OperationalError) and is_contention(error)
            left = sums if is_held else {}
            if alias not in _failing:
                _failing.add(alias)
                what = "yet" if is_held else "and are lost"
                is_surprise = not isinstance(error, DatabaseError)
                sentence = "Counts of blocked requests could not be written %s: %s"
                logger.warning(sentence, what, error, exc_info=is_surprise)
    return len(sent), left


_failing: set[str] = set()
"""The databases that the last write to failed."""


@contextmanager
def _counted(connection: BaseDatabaseWrapper) -> Iterator[list[str]]:
    """Fill the list with the statements that the block sends; close the connection if the block opened it."""
    sent: list[str] = []
    was_open = connection.connection is not None

    def count(execute: Callable[..., Any], sql: str, *args: Any) -> Any:
        sent.append(sql)
        return execute(sql, *args)

    try:
        with connection.execute_wrapper(count):
            yield sent
    finally:
        if not was_open:
            connection.close()


class Writer:
    """Flushes in a thread of its own, one a process, while there is something to write."""

    def __init__(self) -> None:
        self._ends = False
        self._renew()
        if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has no fork
            os.register_at_fork(after_in_child=self._renew)

    def wake(self) -> None:
        """Have what was counted written in a while."""
        if not self._wake.is_set():
            self._wake.set()
            self._start()

    def calm(self) -> None:
        """Write nothing until something is counted."""
        self._wake.clear()

    def _renew(self) -> None:
        """Forget the thread, which a fork leaves in the parent."""
        self.busy = Lock()
        """Held while something is written."""
        self._starting = Lock()
        self._wake = Event()
        self._thread: Thread | None = None

    def _start(self) -> None:
        """Start the thread, but not in a test run: there only the test's connection sees what it wrote."""
        with self._starting:
            if self._thread is not None or hasattr(mail, "outbox"):
                return
            self._thread = Thread(target=self._run, name="allowlist-blocked", daemon=True)
            try:
                self._thread.start()
            except RuntimeError as error:
                logger.warning("Blocked requests are only written when they are read: %s", error)
            atexit.unregister(self.finish)
            atexit.register(self.finish)

    def _run(self) -> None:
        while True:
            self._wake.wait()
            time.sleep(INTERVAL)
            if self._ends:
                return
            self._wake.clear()
            try:
                flush()
            except Exception:
                logger.exception("Counts of blocked requests were not written.")
            if len(_sums):
                self._wake.set()

    def finish(self) -> None:
        """Write everything, as the process ends; go on for PATIENCE if another writer is in the way."""
        self._ends = True
        for connection in connections.all(initialized_only=True):
            connection.close_if_unusable_or_obsolete()
        until = time.monotonic() + PATIENCE
        while len(_sums) and time.monotonic() < until:
            flush()
            if len(_sums):
                time.sleep(0.05)


_writer = Writer()
