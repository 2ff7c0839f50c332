"""A rate limit by key and caller, which counts refused requests too."""

import time
from ipaddress import IPv6Address, IPv6Network
from typing import TYPE_CHECKING, Any

from django.core.cache import BaseCache
from django.core.exceptions import ImproperlyConfigured
from django.db import connections, router
from rest_framework.request import Request
from rest_framework.settings import api_settings
from rest_framework.throttling import SimpleRateThrottle

from .enforcement.client_ip import client_address
from .enforcement.drf import access_for, django_request
from .enforcement.lookup import schema_of
from .models import APIKey
from .permissions import IsAllowlisted, guard_of
from .policy.networks import Address

if TYPE_CHECKING:  # A project's DEFAULT_THROTTLE_CLASSES may name ours, which views read when imported.
    from rest_framework.views import APIView


class APIKeyRateThrottle(SimpleRateThrottle):
    """Allows ``rate`` requests, such as ``"60/min"``, to each caller with each key.

    A caller is an IPv4 address or an IPv6 /64 network. Callers without a valid key share a count by
    address alone. The rate is the class's own, or that of its ``scope`` in ``DEFAULT_THROTTLE_RATES``;
    None means no limit, and a scope without a rate raises ImproperlyConfigured. Windows are fixed: counts
    start again with each period. They are in Django's default cache, written by ``add`` and ``incr``,
    which are atomic on the caches that processes share (Redis, Memcached).

    DRF asks throttles after permissions, so it would never count a refusal. Our permissions have the
    view's throttles count refusals themselves, so that guessing and spoofing meet the limit as well.
    """

    scope = "api_key"
    num_requests: int | None
    duration: int | None
    remaining = 0.0

    def get_rate(self) -> str | None:
        """Return the scope's rate as the settings have it now (DRF's own is frozen at import)."""
        rates: Any = api_settings.DEFAULT_THROTTLE_RATES
        if self.scope not in rates:
            raise ImproperlyConfigured(f"DEFAULT_THROTTLE_RATES has no rate for the scope {self.scope!r}.")
        rate: str | None = rates[self.scope]
        return rate

    def get_cache_key(self, request: Request, view: "APIView") -> str:
        """Return the name of the count: the scope, the tenant, the key and the caller."""
        http_request, guard = django_request(request), guard_of(view)
        # A view that chooses its permissions by ``get_permissions`` has asked them by now.
        decided = getattr(http_request, "allowlist", None) if guard is None else None
        key = (decided or access_for(guard or IsAllowlisted(), request, view)).key
        ident = f"{'' if key is None else key.locator}:{_caller(client_address(http_request))}"
        if (schema := schema_of(connections[router.db_for_write(APIKey)])) is not None:
            ident = f"{schema}:{ident}"
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
    except ValueError:  # It expired meanwhile.
        cache.set(name, 1, seconds)
        return 1


def _caller(address: Address | None) -> str:
    """Return what identifies the caller. One person may send from a whole IPv6 /64."""
    if isinstance(address, IPv6Address):
        return str(IPv6Network((address, 64), strict=False))
    return str(address)
