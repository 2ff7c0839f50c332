"""Django Ninja: ``auth=Allowlisted()`` guards an operation, a router or an API."""

from asyncio import get_running_loop
from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import HttpError

from ..conf import settings
from ..decorators import expect_key_kwarg, expect_permission
from ..enforcement.access import accesses
from ..enforcement.checking import Verdict, acheck, check
from ..enforcement.responses import Refusal, refusal_response, set_headers
from ..models import APIKey
from ..permissions import IsAllowlisted


class RefusedError(HttpError):
    """A refusal. Ninja responds with its status and message; with ``install``, with its body too."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.status, refusal.message)
        self.refusal = refusal


class Allowlisted:
    """Sets ``request.auth`` to the key of a request that ``permission`` grants; refuses every other request.

    Among several, put it last: it never leaves a request to the next one. ``key_kwarg`` names the path
    parameter that may hold the token. Raises TypeError for wrong use.
    """

    is_async = True
    """Whether Ninja expects an awaitable from it on an event loop. Elsewhere it takes what it gets."""

    def __init__(self, permission: type[IsAllowlisted] = IsAllowlisted, key_kwarg: str | None = None) -> None:
        expect_permission(permission)
        expect_key_kwarg(key_kwarg)
        self._permission = permission
        self._key_kwarg = key_kwarg

    @property
    def openapi_security_schema(self) -> dict[str, str]:
        """Return the scheme for Ninja's OpenAPI document."""
        return {"type": "apiKey", "in": "header", "name": settings().KEY_HEADER}

    def __call__(self, request: HttpRequest) -> Any:
        """Return the key, or an awaitable of it in an async operation; raises RefusedError."""
        kwargs = request.resolver_match.kwargs if self._key_kwarg and request.resolver_match else {}
        enforcer = self._permission.reading(kwargs, self._key_kwarg)
        try:
            get_running_loop()
        except RuntimeError:
            return _key(check(request, enforcer))
        return _akey(request, enforcer)


async def _akey(request: HttpRequest, enforcer: IsAllowlisted) -> APIKey | None:
    return _key(await acheck(request, enforcer))


def _key(verdict: Verdict) -> APIKey | None:
    if verdict.refusal is not None:
        raise RefusedError(verdict.refusal)
    return None if verdict.access is None else verdict.access.key


def install(api: NinjaAPI) -> None:
    """Give the refusals of ``api`` our body and headers."""
    api.add_exception_handler(RefusedError, _respond)


def _respond(request: HttpRequest, error: Any) -> HttpResponse:
    response = refusal_response(error.refusal)
    set_headers(response, accesses(request))
    return response
