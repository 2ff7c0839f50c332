"""Permissions that people write by hand, and the cheapest and dearest possible ones."""

from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from django.db import connection
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from allowlist.enforcement import lookup
from allowlist.enforcement.cache import Cache
from allowlist.models import APIKey
from allowlist.permissions import IsAllowlisted
from benchmarks.cases import PAGES
from benchmarks.settings import SETUP


class Never(BasePermission):
    """Refuses every request: what any refusal costs in DRF and Django."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Return False."""
        return False


class Dictionary(BasePermission):
    """Grants by a dictionary in the process: no lookup can cost less."""

    pages = {token: frozenset(PAGES) for token in SETUP["tokens"].get("listed", [])}

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Return whether the key's set contains the origin."""
        pages = self.pages.get(request.META.get("HTTP_X_API_KEY", ""))
        return pages is not None and request.META.get("HTTP_ORIGIN") in pages


class OneStatement(BasePermission):
    """Grants after a statement that reads nothing: what any query costs."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Return True."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            return cursor.fetchone() is not None


class ThreeQueries(BasePermission):
    """Grants as a first version would: it reads key, domains and IP addresses, and parses each row."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Return whether the key lists the origin's host and the IP address."""
        token = request.META.get("HTTP_X_API_KEY", "")
        found = APIKey.objects.filter(locator=token[8:20], token=token, revoked_at=None).first()
        if found is None:
            return False
        page = urlsplit(request.META.get("HTTP_ORIGIN", ""))
        if not any(urlsplit(entry.domain) == page for entry in found.allowed_domains.all()):
            return False
        address = ip_address(request.META["REMOTE_ADDR"])
        return any(address in ip_network(entry.ip) for entry in found.allowed_ips.all())


class Forgetful(IsAllowlisted):
    """Decides each time as if for the first time: the process caches nothing of the key."""

    _nothing: Cache[lookup.ActivePolicy] = Cache(0)

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Return whether the key's lists allow the request."""
        cache, lookup._cache = lookup._cache, self._nothing
        try:
            return super().has_permission(request, view)
        finally:
            lookup._cache = cache
