"""The two signals, and who acts.

``request_refused`` is sent once for each refused request, and for each served under
``enforcement="report"``. Receivers get ``sender`` (the permission class), ``request`` (HttpRequest),
``key`` (APIKey, or None if no key was found), ``decision``, ``reason`` (the decision's) and ``source``.

``key_changed`` is sent after the commit of each change to a key by a method, the API, the admin or the pages;
not for cascades, queryset writes or ``loaddata``. Receivers get ``sender`` (APIKey), ``key`` (as changed; a
deleted one keeps its primary key), ``action`` (``created``, ``updated``, ``rotated``, ``revoked``,
``taken_over`` or ``deleted``), ``user`` (who acted, None outside a request) and ``changes``: the old and the
new value by field, and for each list a dict with the entries ``added`` and ``removed``, and the old and new
values of those ``renamed`` or given another ``expires_at``. It never holds a token.

A receiver that raises is logged and changes nothing.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.dispatch import Signal

request_refused = Signal()
key_changed = Signal()

_acting: ContextVar[Any] = ContextVar("allowlist_acting_user", default=None)


@contextmanager
def acting_as(user: Any) -> Iterator[None]:
    """Have ``key_changed`` name ``user`` for what the block changes."""
    token = _acting.set(user)
    try:
        yield
    finally:
        _acting.reset(token)


def acting_user() -> Any:
    """Return the user who acts now, or None if no request is known to."""
    return _acting.get()
