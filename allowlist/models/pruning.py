"""Deletes what nobody is shown any more."""

from datetime import datetime
from typing import Any

from django.db.models import ProtectedError, RestrictedError

from .blocked import BlockedSource, oldest_shown
from .keys import APIKey
from .list_rules import plain_rows

_BATCH = 1000
"""How many rows one statement deletes, so that nobody waits for long."""


def delete_blocked(alias: str) -> int:
    """Delete the blocked rows past ``BLOCKED_DAYS``; return how many there were."""
    rows: Any = plain_rows(BlockedSource, alias).filter(last_seen_at__lte=oldest_shown()).order_by()
    deleted = 0
    while pks := list(rows.values_list("pk", flat=True)[:_BATCH]):
        deleted += plain_rows(BlockedSource, alias).filter(pk__in=pks).delete()[0]
    return deleted


def delete_revoked(alias: str, before: datetime) -> tuple[int, list[str]]:
    """Delete the keys that were revoked before then; return how many, and the others' names.

    A key that another model protects stays. Each deletion is a change of its own, as ``APIKey.delete`` is.
    """
    deleted, used = 0, []
    for key in list(APIKey.objects.using(alias).filter(revoked_at__lt=before)):
        try:
            key.delete()
            deleted += 1
        except (ProtectedError, RestrictedError):
            used.append(str(key))
    return deleted, used
