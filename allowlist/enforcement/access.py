"""One request, one decision, remembered on the HttpRequest as ``request.allowlist``."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime, timedelta
from functools import cached_property, partial
from typing import Any

from django.core.exceptions import SuspiciousOperation
from django.db import connections, transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from rest_framework.request import Request

from ..models import APIKey
from ..models.keys import REPORT
from ..policy.decision import REFUSALS, Decision, Reason, Rule, Source, decide
from ..policy.tokens import Token, looks_secret
from ..signals import request_refused
from .credentials import Presented, read_key
from .lookup import Found, Row, find
from .sources import read_source

logger = logging.getLogger("allowlist")

USED_AGAIN = timedelta(minutes=1)
"""How often a key's ``last_used_at`` is written at most."""


class Access:
    """What was decided of one request; the view finds it as ``request.allowlist``."""

    def __init__(
        self, decision: Decision, source: Source, row: Row | None = None, in_path: str | None = None
    ) -> None:
        self.decision = decision
        self.source = source
        self.in_path = in_path
        self.counted = False
        """Whether the view's throttles were asked about the refusal."""
        self._row = row
        self._told = False
        self.reported = self._is_reported()
        """Whether the lists refuse the request and the key asks to serve it all the same."""
        self.served = decision.allowed or self.reported
        """Whether the request is let in, be it only to report it."""

    @cached_property
    def key(self) -> APIKey | None:
        """Return the key, an object of this request's own; None where none was found."""
        return None if self._row is None else self._row.to_key()

    def _is_reported(self) -> bool:
        reason, row = self.decision.reason, self._row
        by_list = reason is not None and reason.rule in (Rule.DOMAIN, Rule.IP)
        return by_list and row is not None and row["enforcement"] == REPORT

    def _whence(self) -> str:
        """Return what the request comes from; its address where that refused it."""
        reason, page = self.decision.reason, f"origin {self.source.page}"
        is_by_address = reason is not None and reason.rule is Rule.IP
        return f"{page}, address {self.source.read_address()}" if is_by_address else page

    def tell(self, sender: type, request: HttpRequest) -> None:
        """Tell the log and the signal's receivers of a refusal, once."""
        if self._told or self.decision.allowed:
            return
        self._told = True
        reason = self.decision.reason
        if logger.isEnabledFor(logging.INFO):
            verb = "Reported" if self.reported else "Refused"
            key_id = None if self._row is None else self._row["id"]
            logger.info("%s key %s: %s (%s).", verb, key_id, reason, self._whence())
        if not request_refused.has_listeners(sender):
            return
        answers = request_refused.send_robust(
            sender, request=request, key=self.key, decision=self.decision, reason=reason, source=self.source
        )
        for receiver, error in answers:
            if isinstance(error, Exception):
                logger.error("%r failed to hear of a refusal.", receiver, exc_info=error)


def access_of(request: Request, view: Any) -> Access:
    """Return what is decided of ``request``; decide it if this is the first to ask.

    Never raises for what a client sends, SuspiciousOperation apart (Django answers it with 400); an
    error while deciding is a refusal with the reason ``undecided``.
    """
    http_request: HttpRequest = getattr(request, "_request", request)
    in_path = _key_in_path(view)
    known = getattr(http_request, "allowlist", None)
    if isinstance(known, Access) and known.in_path == in_path:
        return known
    access = _decide(http_request, in_path)
    http_request.allowlist = access  # type: ignore[attr-defined]
    return access


def _key_in_path(view: Any) -> str | None:
    name = getattr(view, "allowlist_key_kwarg", None)
    value = getattr(view, "kwargs", {}).get(name) if name else None
    return None if value is None else str(value)


def _decide(request: HttpRequest, in_path: str | None) -> Access:
    source, now = read_source(request), timezone.now()
    try:
        decision, row = _decision(source, read_key(request, in_path), now)
    except SuspiciousOperation:
        raise
    except Exception:
        logger.exception("A request could not be decided, so it is refused.")
        decision, row = REFUSALS[Reason.UNDECIDED], None
    access = Access(decision, source, row, in_path)
    if row is not None and access.served:
        _note_use_once_a_minute(row, now)
    return access


def _decision(source: Source, presented: Presented | None, now: datetime) -> tuple[Decision, Row | None]:
    if presented is None:
        return REFUSALS[Reason.KEY_MISSING], None
    if looks_secret(presented.text):
        if presented.in_url:
            return REFUSALS[Reason.KEY_IN_URL], None
        if source.is_browser:
            return REFUSALS[Reason.SECRET_KEY_IN_BROWSER], None
    token = Token.parse(presented.text)
    found: Found | None = None if token is None else find(token, now)
    if found is None:
        return REFUSALS[Reason.KEY_INVALID], None
    return decide(found.policy, source), found.row


def _note_use_once_a_minute(row: Row, now: datetime) -> None:
    """Write ``last_used_at`` if that was not done for a minute.

    Under ATOMIC_REQUESTS only once the request's transaction is committed: the row would be locked for
    as long as the view takes, and whoever holds the key could keep its creator from revoking it.
    """
    if row.used_at is not None and row.used_at > now - USED_AGAIN:
        return
    connection = connections[row.alias]
    is_requests_own = connection.settings_dict["ATOMIC_REQUESTS"] and connection.in_atomic_block
    # Within a savepoint at once: so it is in a TestCase, whose transaction is never committed.
    if is_requests_own and not connection.savepoint_ids:
        transaction.on_commit(partial(_note_use, row, now), using=row.alias)
    else:
        _note_use(row, now)


def _note_use(row: Row, now: datetime) -> None:
    """Write ``last_used_at`` if others did not for a minute; wait for no lock, never fail."""
    stale = Q(last_used_at=None) | Q(last_used_at__lte=now - USED_AGAIN)
    key = APIKey.objects.using(row.alias).filter(pk=row["id"])
    try:
        if not _write_use(key.filter(stale), row, now):
            # Others wrote it, or will: what is kept with Redis would not show it for seconds.
            row.used_at = key.values_list("last_used_at", flat=True).first()
    except Exception as error:  # noqa: BLE001 - the request is decided, and served
        logger.warning("last_used_at of key %s has to wait: %s", row["id"], error)


def _write_use(rows: "QuerySet[APIKey]", row: Row, now: datetime) -> bool:
    """Write in a savepoint, so that a failure leaves the request's own transaction usable.

    Returns False where the row is locked, or others wrote it meanwhile.
    """
    connection = connections[row.alias]
    is_sqlite = connection.vendor == "sqlite"
    skip = connection.features.has_select_for_update_skip_locked
    unlocked = rows.select_for_update(skip_locked=skip, nowait=not skip)
    with (
        _sqlite_without_waiting(connection) if is_sqlite else nullcontext(),
        transaction.atomic(using=row.alias),
    ):
        is_ours = is_sqlite or unlocked.values_list("pk", flat=True).first() is not None
        if not is_ours or not rows.update(last_used_at=now):
            return False
        transaction.on_commit(partial(setattr, row, "used_at", now), using=row.alias)
        return True


@contextmanager
def _sqlite_without_waiting(connection: Any) -> Iterator[None]:
    """Answer "database is locked" at once instead of after the connection's timeout."""
    connection.ensure_connection()  # With Redis, nothing may have been asked of the database yet.
    raw = connection.connection
    (before,) = raw.execute("PRAGMA busy_timeout").fetchone()
    raw.execute("PRAGMA busy_timeout = 0")
    try:
        yield
    finally:
        raw.execute(f"PRAGMA busy_timeout = {before:d}")
