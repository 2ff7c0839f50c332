"""A rate limit by key and by caller that a refused caller hits too."""

import time
from typing import TYPE_CHECKING, Any

from django.core.cache import BaseCache
from rest_framework.request import Request
from rest_framework.settings import api_settings
from rest_framework.throttling import SimpleRateThrottle

from .enforcement.access import access_of
from .enforcement.client_ip import client_address

if TYPE_CHECKING:  # A project's DEFAULT_THROTTLE_CLASSES may name ours, which views read when imported.
    from rest_framework.views import APIView


class APIKeyRateThrottle(SimpleRateThrottle):
    """Allows ``rate`` requests, such as ``"60/min"``, to each caller's address with each key.

    The rate is the class's own, or that of its ``scope`` in ``DEFAULT_THROTTLE_RATES``; None is no
    limit. Callers without a valid key share a count by address alone. Windows are fixed: counts
    start anew with each period. They are kept in Django's default cache by ``add`` and ``incr``,
    which are atomic on the caches that processes share (Redis, Memcached).

    DRF asks throttles after permissions, so of a refusal it would ask none; ``IsAllowlisted`` asks the
    view's own throttles then, so that guessing and spoofing meet the limit as well.
    """

    scope = "api_key"
    num_requests: int | None
    duration: int | None
    remaining = 0.0

    def get_rate(self) -> str | None:
        """Return the scope's rate as the settings have it now (DRF's own is frozen at import)."""
        rates: Any = api_settings.DEFAULT_THROTTLE_RATES
        rate: str | None = rates.get(self.scope)
        return rate

    def get_cache_key(self, request: Request, view: "APIView") -> str:
        """Return the name of the count: the scope, the key and the caller's address."""
        key = access_of(request, view).key
        caller = client_address(request._request)
        ident = f"{'' if key is None else key.pk}:{caller}"
        return str(self.cache_format) % {"scope": self.scope, "ident": ident}

    def allow_request(self, request: Request, view: "APIView") -> bool:
        """Count the request and return whether it is within the rate."""
        if self.num_requests is None or self.duration is None:
            return True
        window, elapsed = divmod(time.time(), self.duration)
        self.remaining = self.duration - elapsed
        name = f"{self.get_cache_key(request, view)}:{int(window)}"
        return _count(self.cache, name, self.duration) <= self.num_requests

    def wait(self) -> float:
        """Return the seconds until the period ends, for ``Retry-After``."""
        return self.remaining


def _count(cache: BaseCache, name: str, seconds: int) -> int:
    """Add one to the count and return it."""
    if cache.add(name, 1, seconds):
        return 1
    try:
        return int(cache.incr(name))
    except ValueError:  # It ran out since.
        cache.set(name, 1, seconds)
        return 1
