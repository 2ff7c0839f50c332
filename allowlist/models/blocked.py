"""What a key refused, summed up by place."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import wraps
from typing import Any

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy

from ..conf import settings
from .tracked import owner_of

Flush = Callable[[str | None], None]
"""Writes what this process counted of the key with this locator; of every key if it is None."""

before_reading: list[Flush] = []
"""Called before rows are read. ``enforcement.blocked``, which counts, adds its own: models import nothing
from there."""


def oldest_shown() -> datetime:
    """Return when a place must have been refused last to be shown."""
    return timezone.now() - timedelta(days=settings().BLOCKED_DAYS)


def _after_flush(method: Any) -> Any:
    """Return the queryset's method with a flush before it."""

    @wraps(method)
    def flushed(rows: Any, *args: Any, **kwargs: Any) -> Any:
        key = owner_of(rows)
        for flush in before_reading:
            flush(None if key is None else key.locator)
        return method(rows, *args, **kwargs)

    return flushed


class BlockedSourceQuerySet(models.QuerySet["BlockedSource"]):
    """Blocked sources. Whatever reads them first has this process write what it counted."""

    iterator = _after_flush(models.QuerySet.iterator)
    count = _after_flush(models.QuerySet.count)
    exists = _after_flush(models.QuerySet.exists)
    aggregate = _after_flush(models.QuerySet.aggregate)
    delete = _after_flush(models.QuerySet.delete)

    def _fetch_all(self) -> None:
        # What iterates, slices and gets ends here, also what an async view awaits.
        if self._result_cache is None:
            self._fetch_after_flush()
        super()._fetch_all()

    _fetch_after_flush = _after_flush(lambda rows: None)


class BlockedSourceManager(models.Manager.from_queryset(BlockedSourceQuerySet)):  # type: ignore[misc]
    """The manager behind ``BlockedSource.objects`` and ``key.blocked_sources``."""

    def get_queryset(self) -> BlockedSourceQuerySet:
        """Return the rows of the last BLOCKED_DAYS."""
        shown: BlockedSourceQuerySet = super().get_queryset().filter(last_seen_at__gt=oldest_shown())
        return shown


class BlockedSource(models.Model):
    """A place that a key refused, and how often."""

    key = models.ForeignKey("allowlist.APIKey", on_delete=models.CASCADE, related_name="blocked_sources")
    reason = models.CharField(gettext_lazy("reason"), max_length=30)
    origin = models.CharField(gettext_lazy("origin"), max_length=300, blank=True)
    ip = models.CharField(gettext_lazy("IP address"), max_length=50, blank=True)
    count = models.PositiveBigIntegerField(gettext_lazy("requests"), default=1)
    reported = models.PositiveBigIntegerField(gettext_lazy("of these served"), default=0)
    first_seen_at = models.DateTimeField(gettext_lazy("first seen"), default=timezone.now)
    last_seen_at = models.DateTimeField(gettext_lazy("last seen"), default=timezone.now, db_index=True)

    objects = BlockedSourceManager()

    class Meta:
        ordering = ("-last_seen_at", "-pk")
        verbose_name = gettext_lazy("blocked source")
        verbose_name_plural = gettext_lazy("blocked sources")
        constraints = [
            models.UniqueConstraint(fields=["key", "reason", "origin", "ip"], name="allowlist_blocked_once")
        ]

    def __str__(self) -> str:
        """Return the place, or the reason if the place isn't known."""
        return self.origin or self.ip or self.reason
