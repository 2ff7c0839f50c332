"""One decision a request, remembered on the HttpRequest. Nothing here knows DRF."""

import logging
from collections.abc import Callable, Hashable
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware
from django.utils import timezone
from django.utils.translation import gettext as _

from ..models import APIKey
from ..models.choices import Enforcement
from ..policy.decision import REASON_WITHOUT_ORIGIN, REFUSALS, Decision, Reason, Rule, Source, decide
from ..policy.origins import NoOrigin
from ..policy.tokens import Token
from ..signals import request_refused
from .blocked import note_blocked
from .credentials import Credential, KeySource, key_in_path, read_credential
from .embedding import META as EMBED_META
from .embedding import Embedding, embedding_by, read_embedding
from .lookup import ActivePolicy, Row, find_by_pk, find_by_token, find_cached
from .sources import read_source
from .usage import is_use_due, note_use

logger = logging.getLogger("allowlist")

_WITHOUT_KEY = {
    Reason.KEY_MISSING: "Refused a request without a key",
    Reason.KEY_INVALID: "Refused a request whose key is unknown, revoked, expired or malformed",
    Reason.KEY_IN_URL: "Refused a request with a secret key in its URL",
    Reason.SECRET_KEY_IN_BROWSER: "Refused a browser's request with a secret key",
    Reason.UNDECIDED: "Refused a request that could not be decided",
}
"""The beginning of the log line for a request whose key isn't known."""

FindByToken = Callable[[Token, datetime], ActivePolicy | None]


class StillDecidingError(Exception):
    """``get_key`` asks for something that itself needs the key, such as ``request.user``."""


class Access:
    """What was decided about one request; the view finds it as ``request.allowlist``."""

    def __init__(
        self,
        request: HttpRequest,
        reader: KeySource,
        presented: Any,
        judgment: "_Judgment",
        now: datetime,
    ) -> None:
        decision, source, found, embedding = judgment
        row = None if found is None else found.row
        self.decision = decision
        self.source = source
        self.embedding = embedding
        """Which page embeds the frame whose document is asked for, or whose script sent the request."""
        self.sender = type(reader)
        self.uses_cookies = reader.uses_cookies
        self.counted = False
        """Whether the view's throttles have counted the request."""
        self._request = request
        self._presented = presented
        self._row = row
        self._decided_at = now
        self._reported = False
        is_final = decision.allowed or (reader.opens_frame and embedding is None)
        self.only_reports = not is_final and _only_reports(decision.reason, row)
        """Whether the lists refuse the request, and the key only reports that."""
        self.served = decision.allowed or self.only_reports
        """Whether the request reaches the view."""

    @cached_property
    def key(self) -> APIKey | None:
        """Return the key, an object of this request alone; None if the request has no valid key."""
        return None if self._row is None else self._row.to_key()

    @cached_property
    def embed_token(self) -> str | None:
        """Return a new embed token for the frame that is served; None without a frame."""
        return self.embedding.to_token() if self.served and self.embedding is not None else None

    @property
    def is_token_ours(self) -> bool:
        """Return whether the request sends what can only be a token of ours."""
        return isinstance(self._presented, Credential) and self._presented.is_ours

    def report(self, sender: type) -> None:
        """Report a refusal to the key's blocked sources, the log and the signal's receivers, once."""
        if self._reported or self.decision.allowed:
            return
        self._reported = True
        reason = self.decision.reason
        if self._row is not None and reason is not None:
            note_blocked(self._row, reason, self.source, self.only_reports, self._decided_at)
        if logger.isEnabledFor(logging.INFO):
            logger.info("%s: %s (%s).", self._subject(), reason, self._whence())
        if request_refused.has_listeners(sender):
            request_refused.send_robust(
                sender,
                request=self._request,
                key=self.key,
                decision=self.decision,
                reason=reason,
                source=self.source,
            )

    def _subject(self) -> str:
        reason = self.decision.reason
        if self._row is None and reason is not None:
            return _WITHOUT_KEY.get(reason, "Refused a request")
        key_id = None if self._row is None else self._row["id"]
        return f"{'Reported' if self.only_reports else 'Refused'} key {key_id}"

    def _whence(self) -> str:
        """Return where the request comes from; with its address if that is why it is refused."""
        reason, page = self.decision.reason, f"origin {self.source.page}"
        is_by_address = reason is not None and reason.rule is Rule.IP
        return f"{page}, address {self.source.read_address()}" if is_by_address else page


def _only_reports(reason: Reason | None, row: Row | None) -> bool:
    by_list = reason is not None and reason.rule in (Rule.DOMAIN, Rule.IP)
    return by_list and row is not None and row["enforcement"] == Enforcement.REPORT


def access_of(request: HttpRequest, reader: KeySource, view: Any = None, given: Any = None) -> Access:
    """Return what is decided about ``request``; decide if nobody asked before.

    ``reader`` says which key it presents, and is given ``given`` (the request as its view has it) and
    ``view``. Raises SuspiciousOperation, which Django turns into a 400, PermissionDenied for a failed
    CSRF check, and StillDecidingError. An error while deciding is a refusal, ``undecided``.
    """
    decided, path = _decided(request), key_in_path(view) or reader.in_path
    name = _name(reader, path)
    if (access := decided.get(name)) is None:
        if name in decided:
            raise StillDecidingError
        decided[name] = None
        try:
            access = decided[name] = _decide(request, reader, path, view, given)
        finally:
            if access is None:
                del decided[name]
    request.allowlist = access  # type: ignore[attr-defined]
    return access


def access_at_once(request: HttpRequest, reader: KeySource) -> Access | None:
    """Return what is decided about ``request`` if neither the database nor the project has to be asked.

    Otherwise return None: ``access_of`` has to decide, away from the event loop. Raises
    SuspiciousOperation.
    """
    decided, name = _decided(request), _name(reader, reader.in_path)
    access = decided.get(name)
    if access is None and name not in decided and _reads_token(reader):
        access = _decide_at_once(request, reader)
        if access is not None:
            decided[name] = access
    return access


def _decide_at_once(request: HttpRequest, reader: KeySource) -> Access | None:
    source, now = read_source(request), timezone.now()
    try:
        presented = read_credential(request, reader.in_path)
        judgment = _judge(request, reader, presented, source, now, find_cached)
    except SuspiciousOperation:
        raise
    except Exception:  # noqa: BLE001 - that nothing is cached, or what the decision in a thread logs
        return None
    access, found = Access(request, reader, presented, judgment, now), judgment.found
    must_write = found is not None and access.served and is_use_due(found, judgment.decision, now)
    return None if must_write else access


def _reads_token(reader: KeySource) -> bool:
    return type(reader).get_key is KeySource.get_key


def _name(reader: KeySource, path: str | None) -> Hashable:
    """Return the name of a decision. All classes that read the token share one, but for frames."""
    return (None if _reads_token(reader) and not reader.opens_frame else type(reader)), path


def accesses(request: HttpRequest) -> list[Access]:
    """Return everything that was decided about ``request``, by whichever permission class."""
    return [access for access in _decided(request).values() if access is not None]


def _decided(request: HttpRequest) -> dict[Hashable, Access | None]:
    """Return what was decided so far; None while it is being decided."""
    decided: dict[Hashable, Access | None] = request.__dict__.setdefault("_allowlist_decided", {})
    return decided


class _Judgment(NamedTuple):
    decision: Decision
    source: Source
    """Where the request comes from: as it says itself, or as a frame's embed token says."""
    found: ActivePolicy | None = None
    embedding: Embedding | None = None


def _decide(request: HttpRequest, reader: KeySource, path: str | None, view: Any, given: Any) -> Access:
    source, now = read_source(request), timezone.now()
    # If it fails, nobody knows what the key would have been read from.
    presented: Any = Ellipsis
    try:
        if _reads_token(reader):
            presented = read_credential(request, path)
        else:
            presented = reader.get_key(request if given is None else given, view)
        judgment = _judge(request, reader, presented, source, now)
    except SuspiciousOperation:
        raise
    except Exception:
        logger.exception("A request could not be decided, so it is refused.")
        judgment = _Judgment(REFUSALS[Reason.UNDECIDED], source)
    if reader.uses_cookies and not isinstance(presented, Credential | None):
        _check_csrf(request)
    access = Access(request, reader, presented, judgment, now)
    if judgment.found is not None and access.served:
        note_use(judgment.found, judgment.decision, now)
    return access


def _judge(
    request: HttpRequest,
    reader: KeySource,
    presented: Any,
    source: Source,
    now: datetime,
    find_token: FindByToken = find_by_token,
) -> _Judgment:
    found = _find(presented, source, now, find_token)
    if isinstance(found, Reason):
        return _Judgment(REFUSALS[found], source)
    if reader.opens_frame:
        return _judge_frame(request, source, found)
    if EMBED_META not in request.META:
        return _Judgment(decide(found.policy, source), source, found)
    embedding = read_embedding(request, source.page, found.row["locator"])
    if embedding is None:
        return _Judgment(REFUSALS[Reason.EMBED_TOKEN_INVALID], source, found)
    source = Source(embedding.page, source.read_address)
    return _Judgment(decide(found.policy, source), source, found, embedding)


def _judge_frame(request: HttpRequest, source: Source, found: ActivePolicy) -> _Judgment:
    """Judge the page that embeds a frame. It has to be known, whatever the key says."""
    if isinstance(source.page, NoOrigin):
        return _Judgment(REFUSALS[REASON_WITHOUT_ORIGIN[source.page]], source, found)
    embedding = embedding_by(request, source.page, found.row["locator"])
    return _Judgment(decide(found.policy, source), source, found, embedding)


def _find(presented: Any, source: Source, now: datetime, find_token: FindByToken) -> ActivePolicy | Reason:
    """Return the key that the request presents, or why it has no valid one."""
    if presented is None:
        return Reason.KEY_MISSING
    if isinstance(presented, Credential):
        if presented.looks_secret and presented.in_url:
            return Reason.KEY_IN_URL
        if presented.looks_secret and source.is_browser:
            return Reason.SECRET_KEY_IN_BROWSER
        found = None if presented.token is None else find_token(presented.token, now)
    else:
        found = find_by_pk(_primary_key(presented), now)
    return Reason.KEY_INVALID if found is None else found


def _primary_key(presented: Any) -> Any:
    pk = presented.pk if isinstance(presented, APIKey) else APIKey._meta.pk.to_python(presented)
    if pk is None:
        raise ValueError("get_key() returned a key that isn't saved.")
    return pk


def _check_csrf(request: HttpRequest) -> None:
    """Check that a page of the project sent the request, as Django does for views that use cookies."""
    # In place of a view and of what calls it, of which the check asks only whether they are exempt.
    check = CsrfViewMiddleware(HttpResponse)
    check.process_request(request)
    if check.process_view(request, HttpResponse, (), {}) is not None:
        raise PermissionDenied(
            _(
                "CSRF verification failed. Send the CSRF token with the request, from an origin that "
                "CSRF_TRUSTED_ORIGINS lists."
            )
        )
