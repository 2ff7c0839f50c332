"""The management API's routes."""

from typing import Any

from django.urls import path

from .api.views import APIKeyViewSet, DomainViewSet, IPViewSet

app_name = "allowlist"

ENTRIES: dict[str, Any] = {"get": "list", "post": "create", "put": "replace"}
ENTRY: dict[str, Any] = {"get": "retrieve", "patch": "partial_update", "delete": "destroy"}

urlpatterns = [
    path("keys/", APIKeyViewSet.as_view({"get": "list", "post": "create"}), name="key-list"),
    path("keys/<int:pk>/", APIKeyViewSet.as_view(ENTRY), name="key-detail"),
    path("keys/<int:pk>/rotate/", APIKeyViewSet.as_view({"post": "rotate"}), name="key-rotate"),
    path("keys/<int:pk>/revoke/", APIKeyViewSet.as_view({"post": "revoke"}), name="key-revoke"),
    path("keys/<int:key_pk>/domains/", DomainViewSet.as_view(ENTRIES), name="domain-list"),
    path("keys/<int:key_pk>/domains/<int:pk>/", DomainViewSet.as_view(ENTRY), name="domain-detail"),
    path("keys/<int:key_pk>/ips/", IPViewSet.as_view(ENTRIES), name="ip-list"),
    path("keys/<int:key_pk>/ips/<int:pk>/", IPViewSet.as_view(ENTRY), name="ip-detail"),
]
