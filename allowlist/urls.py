"""The management API's routes."""

from typing import Any

from django.urls import URLPattern, path

from .api.blocked import BlockedViewSet
from .api.views import APIKeyViewSet, DomainViewSet, EntryViewSet, IPViewSet

app_name = "allowlist"

KEYS: dict[str, Any] = {"get": "list", "post": "create"}
ENTRIES: dict[str, Any] = {"get": "list", "post": "create", "put": "replace"}
ROW: dict[str, Any] = {"get": "retrieve", "patch": "partial_update", "delete": "destroy"}


def routes(
    key_viewset: type[APIKeyViewSet] = APIKeyViewSet,
    domain_viewset: type[EntryViewSet] = DomainViewSet,
    ip_viewset: type[EntryViewSet] = IPViewSet,
    blocked_viewset: type[BlockedViewSet] = BlockedViewSet,
) -> list[URLPattern]:
    """Return the routes, served by a project's own subclasses.

    Include them as ``path("api/", include((routes(key_viewset=MyViewSet), "allowlist")))``.
    """
    key = "keys/<int:pk>/"
    return [
        path("keys/", key_viewset.as_view(KEYS, detail=False), name="key-list"),
        path(key, key_viewset.as_view(ROW), name="key-detail"),
        path(f"{key}rotate/", key_viewset.as_view({"post": "rotate"}), name="key-rotate"),
        path(f"{key}revoke/", key_viewset.as_view({"post": "revoke"}), name="key-revoke"),
        path(f"{key}check/", key_viewset.as_view({"post": "check"}), name="key-check"),
        *_entry_routes("domain", domain_viewset),
        *_entry_routes("ip", ip_viewset),
        *_blocked_routes(blocked_viewset),
    ]


def _entry_routes(name: str, viewset: type[EntryViewSet]) -> list[URLPattern]:
    entries = f"keys/<int:key_pk>/{name}s/"
    restore = viewset.as_view({"post": "restore"}, lookup_url_kwarg=viewset.key_kwarg)
    of_list = viewset.as_view(ENTRIES, lookup_url_kwarg=viewset.key_kwarg)
    return [
        path(entries, of_list, name=f"{name}-list"),
        path(f"{entries}restore/", restore, name=f"{name}-restore"),
        path(f"{entries}<int:pk>/", viewset.as_view(ROW), name=f"{name}-detail"),
    ]


def _blocked_routes(viewset: type[BlockedViewSet]) -> list[URLPattern]:
    blocked = "keys/<int:key_pk>/blocked/"
    of_key = viewset.as_view({"get": "list", "delete": "forget"}, lookup_url_kwarg=viewset.key_kwarg)
    several = viewset.as_view({"post": "allow_several"}, lookup_url_kwarg=viewset.key_kwarg)
    return [
        path(blocked, of_key, name="blocked-list"),
        path(f"{blocked}allow/", several, name="blocked-allow-several"),
        path(f"{blocked}<int:pk>/allow/", viewset.as_view({"post": "allow"}), name="blocked-allow"),
    ]


urlpatterns = routes()
