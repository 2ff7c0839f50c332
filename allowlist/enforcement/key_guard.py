"""The guard of a plain view that a key opens: the permission's rules, and DRF's throttles."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponseBase

from .access import accesses
from .checking import Enforcer, acheck, check
from .plain import Guard
from .responses import refusal_response, set_headers
from .throttles import Throttles


class KeyGuard(Guard):
    """Has a view run if the rules of ``enforcer`` and the throttles let the request in."""

    def __init__(
        self, enforcer: type[Enforcer], key_kwarg: str | None = None, throttles: Throttles | None = None
    ) -> None:
        self._enforcer = enforcer
        self._key_kwarg = key_kwarg
        self._throttles = throttles

    def judge(self, request: HttpRequest, kwargs: Mapping[str, Any]) -> HttpResponseBase | None:
        """Return a refusal, DRF's response to too many requests, or None."""
        access, refusal = check(request, self._enforcer.reading(kwargs, self._key_kwarg))
        if access is not None and self._throttles is not None:
            too_many = self._throttles.count(request, kwargs, access)
            if too_many is not None:
                return too_many
        return None if refusal is None else refusal_response(refusal)

    async def ajudge(self, request: HttpRequest, kwargs: Mapping[str, Any]) -> HttpResponseBase | None:
        """Do what ``judge`` does; in a thread if throttles count, since their cache may block."""
        if self._throttles is not None:
            return await super().ajudge(request, kwargs)
        _access, refusal = await acheck(request, self._enforcer.reading(kwargs, self._key_kwarg))
        return None if refusal is None else refusal_response(refusal)

    def finish(self, request: HttpRequest, response: HttpResponseBase) -> None:
        """Have the response say what it depends on."""
        set_headers(response, accesses(request))
