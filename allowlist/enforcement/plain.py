"""What surrounds a guarded plain Django view, sync or async. Nothing here knows DRF."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import partial, wraps
from itertools import count
from typing import Any

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest, HttpResponseBase


class Guard(ABC):
    """Says whether a view runs, and finishes its response. One guard serves all requests to its views."""

    @abstractmethod
    def judge(self, request: HttpRequest, kwargs: Mapping[str, Any]) -> HttpResponseBase | None:
        """Return the response to a refused request, or None to have the view run."""

    async def ajudge(self, request: HttpRequest, kwargs: Mapping[str, Any]) -> HttpResponseBase | None:
        """Do what ``judge`` does without blocking the event loop."""
        return await sync_to_async(self.judge)(request, kwargs)

    @abstractmethod
    def finish(self, request: HttpRequest, response: HttpResponseBase) -> None:
        """Set the headers of a response, the view's or a refusal."""


def guarded(view: Any, guard: Guard) -> Any:
    """Return ``view``, a function, guarded by ``guard``.

    It is exempt from CSRF checks and from LoginRequiredMiddleware: a visitor's cookies count for nothing.
    Raises TypeError if the view is guarded already.
    """
    if guard_of_view(view) is not None:
        raise TypeError(f"{_name(view)} is guarded already. Remove one of the two decorators.")

    if iscoroutinefunction(view):

        @wraps(view)
        async def guarded_view(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            return await _serve_async(view, guard, request, args, kwargs)

    else:

        @wraps(view)
        def guarded_view(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            serve = _serve_async if _has_async_handlers(view) else _serve
            return serve(view, guard, request, args, kwargs)

    for name, value in (("csrf_exempt", True), ("login_required", False), ("allowlist_guard", guard)):
        setattr(guarded_view, name, value)
    # Decorators copy a view's attributes, so each use leaves one that no other use replaces.
    setattr(guarded_view, f"{_USE}{next(_numbers)}", True)
    return guarded_view


_USE = "_allowlist_guarded_"
_numbers = count()


def count_guards(view: Any) -> int:
    """Return how many guards are around ``view``. More than one can only be by ``method_decorator``."""
    return sum(name.startswith(_USE) for name in getattr(view, "__dict__", ()))


def guard_of_view(view: Any) -> Guard | None:
    """Return the guard of a plain view, also if ``method_decorator`` or other decorators surround it."""
    guard: Guard | None = getattr(view, "allowlist_guard", None)
    return guard


def _serve(view: Any, guard: Guard, request: HttpRequest, args: Any, kwargs: Any) -> HttpResponseBase:
    _expect_django_s(request)
    response = guard.judge(request, kwargs)
    _forget_visitor(request)
    if response is None:
        response = view(request, *args, **kwargs)
    guard.finish(request, response)
    return response


async def _serve_async(view: Any, guard: Guard, request: HttpRequest, args: Any, kwargs: Any) -> Any:
    _expect_django_s(request)
    response = await guard.ajudge(request, kwargs)
    _forget_visitor(request)
    if response is None:
        response = await view(request, *args, **kwargs)
    guard.finish(request, response)
    return response


def _expect_django_s(request: Any) -> None:
    if not isinstance(request, HttpRequest):
        raise TypeError(
            f"A guarded plain view was called with {type(request).__name__} instead of HttpRequest. For a "
            "DRF view, set permission_classes = [IsAllowlisted]. For a method, write "
            '@method_decorator(allowlisted, name="dispatch") above its class.'
        )


def _has_async_handlers(view: Any) -> bool:
    """Return whether ``view`` is the ``dispatch`` of such a class. It isn't async, but returns an awaitable.

    ``method_decorator`` hands on a partial of the bound method. Other decorators may be around that.
    """
    while not isinstance(view, partial):
        view = getattr(view, "__wrapped__", None)
        if view is None:
            return False
    return bool(getattr(getattr(view.func, "__self__", None), "view_is_async", False))


def _name(view: Any) -> str:
    return getattr(view, "__qualname__", None) or repr(view)


class NoSession(SessionBase):
    """An empty session that is never saved."""

    accessed = property(lambda self: False, lambda self, value: None)
    """Nothing that a response has to vary on."""

    def exists(self, session_key: str) -> bool:
        """Return False: nothing is stored."""
        return False

    def create(self) -> None:
        """Store nothing."""

    def save(self, must_create: bool = False) -> None:
        """Store nothing."""

    def delete(self, session_key: str | None = None) -> None:
        """Delete nothing."""

    def load(self) -> dict[str, Any]:
        """Return the stored session, which is empty."""
        return {}

    def is_empty(self) -> bool:
        """Return True, so that SessionMiddleware doesn't save it."""
        return True


def _forget_visitor(request: HttpRequest) -> None:
    """Have the view and what runs after it see nobody's user and session.

    SessionMiddleware would delete the cookie of an empty session, so the request has no such cookie either.
    """
    request.user = AnonymousUser()
    request.auser = _anonymous
    request.session = NoSession()
    if settings.SESSION_COOKIE_NAME in request.COOKIES:
        cookies = {**request.COOKIES}
        del cookies[settings.SESSION_COOKIE_NAME]
        request.COOKIES = cookies


async def _anonymous() -> AnonymousUser:
    return AnonymousUser()
