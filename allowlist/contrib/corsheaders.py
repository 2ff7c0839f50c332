"""The adapter for django-cors-headers: pages may call every view that ``IsAllowlisted`` guards.

CORS isn't the enforcement. It decides whether a page may read a response, and without a preflight the view
has run by then. If CORS followed the list, a refused page would see only a failed fetch. So guarded views
are open to every page, the permission refuses, and the widget can read why.
"""

from typing import Any

from corsheaders.signals import check_request_enabled
from django.conf import settings as django_settings
from django.http import HttpRequest
from django.urls import Resolver404, resolve
from django.utils.translation import get_language_from_path, override

from ..enforcement.key_guard import KeyGuard
from ..enforcement.plain import guard_of_view
from ..permissions import enforcing


def connect() -> None:
    """Have django-cors-headers call ``is_guarded``."""
    check_request_enabled.connect(is_guarded, dispatch_uid="allowlist.contrib.corsheaders")


def is_guarded(sender: Any, request: HttpRequest, **kwargs: Any) -> bool:
    """Return whether the request's path leads to a view that enforces an allowlist.

    It is found by the view's ``permission_classes`` or its decorator, or by ``allowlist_cors`` (True or
    False) if the view has that. Sends no query: under ASGI this runs where queries aren't allowed.
    """
    if not request.META.get("HTTP_ORIGIN", "").isprintable():
        return False  # It has a line break, which the middleware could not repeat in a header.
    view = _view_at(request)
    view_class = getattr(view, "cls", None) or getattr(view, "view_class", None)
    given = getattr(view, "initkwargs", {})
    of_class = getattr(view_class, "allowlist_cors", None)
    declared = given.get("allowlist_cors", getattr(view, "allowlist_cors", of_class))
    if declared is not None:
        return bool(declared)
    if guard_of_view(view) is not None:
        return isinstance(guard_of_view(view), KeyGuard)
    classes = given.get("permission_classes", getattr(view_class, "permission_classes", ()))
    return any(True for _class in enforcing(classes))


def _view_at(request: HttpRequest) -> Any:
    """Return the view function that the path leads to, or None.

    LocaleMiddleware runs after the CORS middleware, so the path's language isn't active yet.
    """
    try:
        with override(get_language_from_path(request.path_info) or django_settings.LANGUAGE_CODE):
            return resolve(request.path_info, getattr(request, "urlconf", None)).func
    except Resolver404:
        return None
