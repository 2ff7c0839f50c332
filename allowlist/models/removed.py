"""Lists that were emptied, kept so that their creator can restore them. Nothing decides from them."""

from datetime import timedelta
from typing import Any

from django.db import models
from django.utils import timezone

from ..conf import settings
from .lists import ListKind

Key = Any
"""An ``APIKey``, whose module imports this one."""


class RemovedListQuerySet(models.QuerySet["RemovedList"]):
    """Removed lists, for as long as they can be restored."""

    def of(self, key: Key, kind: ListKind) -> "RemovedListQuerySet":
        """Return the list of this ``kind`` that ``key`` lost, if any."""
        return self.filter(key=key, field=kind.field)

    def restorable(self) -> "RemovedListQuerySet":
        """Return those that aren't forgotten yet: after ``BLOCKED_DAYS`` they are."""
        return self.filter(removed_at__gt=timezone.now() - timedelta(days=settings().BLOCKED_DAYS))


class RemovedList(models.Model):
    """What a list held before one change emptied it."""

    key = models.ForeignKey("allowlist.APIKey", on_delete=models.CASCADE, related_name="removed_lists")
    field = models.CharField(max_length=20)
    """``allowed_domains`` or ``allowed_ips``."""
    mode = models.CharField(max_length=6)
    """The list's mode before it was emptied."""
    entries = models.JSONField()
    """The entries: for each its text, its name and its end as ISO 8601 or null."""
    removed_at = models.DateTimeField(default=timezone.now)

    objects = RemovedListQuerySet.as_manager()

    class Meta:
        ordering = ("pk",)
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["key", "field"], name="allowlist_removed_once")]

    def __str__(self) -> str:
        """Return which list it was, and how long."""
        return f"{self.field}: {len(self.entries)}"
