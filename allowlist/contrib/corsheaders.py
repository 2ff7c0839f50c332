"""The adapter for django-cors-headers: pages may call every view that ``IsAllowlisted`` guards.

CORS isn't the enforcement. It decides whether a page may read a response, and without a preflight the view
has run by then. If CORS followed the list, a refused page would see only a failed fetch. So guarded views
are open to every page, the permission refuses, and the widget can read why.
"""

from functools import lru_cache
from typing import Any

from corsheaders.signals import check_request_enabled
from django.conf import settings as django_settings
from django.core.signals import setting_changed
from django.http import HttpRequest
from django.urls import Resolver404, URLResolver, get_resolver, get_urlconf
from django.utils.translation import get_language_from_path, override

from ..enforcement.key_guard import KeyGuard
from ..enforcement.plain import guard_of_view
from ..permissions import enforcing

_LONGEST = 200
"""The longest path that is cached: anybody can send long ones, and a thousand of them fill the memory."""


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
    """Return the view function that the path leads to, or None."""
    path, urlconf = request.path_info, getattr(request, "urlconf", None)
    resolver = get_resolver(get_urlconf() if urlconf is None else urlconf)
    find = _resolved if len(path) <= _LONGEST else _resolved.__wrapped__
    try:
        return find(resolver, path)
    except Resolver404:
        return None


@lru_cache(maxsize=1024)
def _resolved(resolver: URLResolver, path: str) -> Any:
    """Return the view function at ``path``; raise Resolver404, which is not cached, if there is none.

    LocaleMiddleware runs after the CORS middleware, so the path's language isn't active yet.
    """
    with override(get_language_from_path(path) or django_settings.LANGUAGE_CODE):
        return resolver.resolve(path).func


def _forget(**kwargs: Any) -> None:
    _resolved.cache_clear()


# A resolver is replaced when ROOT_URLCONF changes, and remains when the languages do.
setting_changed.connect(_forget, dispatch_uid="allowlist.contrib.corsheaders")
