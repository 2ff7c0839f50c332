"""Whose keys a user of the admin sees and changes.

``manageable_by`` decides. A superuser also looks at everyone else's keys, without changing them.
"""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db import router
from django.db.models import QuerySet
from django.http import Http404, HttpRequest

from ..models import APIKey

if TYPE_CHECKING:
    from django.contrib.admin.options import BaseModelAdmin

    AnyAdmin = BaseModelAdmin[Any]
    ModelAdmin = admin.ModelAdmin[APIKey]
else:
    AnyAdmin, ModelAdmin = object, admin.ModelAdmin


def is_superuser(request: HttpRequest) -> bool:
    """Return whether the user is a superuser; some user models have no such field."""
    return bool(getattr(request.user, "is_superuser", False))


def own_keys(request: HttpRequest) -> QuerySet[APIKey]:
    """Return the keys that the user may change."""
    return APIKey.objects.manageable_by(request.user)


def can_change(request: HttpRequest, key: APIKey | None) -> bool:
    """Return whether the user may change ``key``; without a key, whether they may own keys at all.

    Django asks this dozens of times for one page, so the request remembers it.
    """
    if key is None:
        return True
    known = _known(request)
    if key.pk not in known:
        known[key.pk] = own_keys(request).filter(pk=key.pk).exists()
    return known[key.pk]


def can_view(request: HttpRequest, key: APIKey | None) -> bool:
    """Return whether the user may look at ``key``: their own, or any for a superuser."""
    return is_superuser(request) or can_change(request, key)


def check_owner(request: HttpRequest, key: APIKey) -> None:
    """Raise Http404 if ``key``, which the caller has locked, is no longer the user's."""
    # The lock is an update of the row, so a plain read sees what is committed, however old the snapshot is.
    keys = APIKey.objects.using(router.db_for_write(APIKey)).manageable_by(request.user)
    _known(request)[key.pk] = keys.filter(pk=key.pk).exists()
    if not can_change(request, key):
        raise Http404


def _known(request: HttpRequest) -> dict[Any, bool]:
    known: dict[Any, bool] = request.__dict__.setdefault("_allowlist_can_change", {})
    return known


class OwnerMixin(AnyAdmin):
    """Narrows Django's model permissions to the user's own keys: of the keys' admin and of its inlines."""

    def has_view_permission(self, request: HttpRequest, obj: APIKey | None = None) -> bool:
        """Return whether the user may look at the key."""
        return super().has_view_permission(request, obj) and can_view(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: APIKey | None = None) -> bool:
        """Return whether the user may change the key."""
        return super().has_change_permission(request, obj) and can_change(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: APIKey | None = None) -> bool:
        """Return whether the user may delete the key, or entries of it."""
        return super().has_delete_permission(request, obj) and can_change(request, obj)
