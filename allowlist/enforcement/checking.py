"""One check for everything that isn't a DRF view: is the request served, and if not, with which response?"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple, Self

from asgiref.sync import sync_to_async
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from ..signals import request_refused
from .access import Access, access_at_once, access_of
from .credentials import KeySource
from .responses import Refusal, RefusalResponses

_HOOKS = [name for name in vars(RefusalResponses) if name.startswith("get_")]


class Enforcer(RefusalResponses, KeySource):
    """What a permission class inherits: where the key comes from, and what a refusal looks like."""

    @classmethod
    def reading(cls, kwargs: Mapping[str, Any], key_kwarg: str | None) -> Self:
        """Return an instance for one request, whose token may be in the URL's ``key_kwarg``."""
        enforcer, value = cls(), kwargs.get(key_kwarg) if key_kwarg else None
        if value is not None:
            enforcer.in_path = str(value)
        return enforcer


class Verdict(NamedTuple):
    """What becomes of a request."""

    access: Access | None
    """What was decided; None if the request failed the CSRF check."""
    refusal: Refusal | None
    """The response to a refused request; None if the request is served."""


def check(request: HttpRequest, enforcer: Enforcer) -> Verdict:
    """Decide about ``request``, and report a refusal.

    Raises SuspiciousOperation, which Django turns into a 400.
    """
    try:
        access = access_of(request, enforcer)
    except PermissionDenied as error:
        return Verdict(None, Refusal(403, {"detail": str(error)}, str(error)))
    access.report(type(enforcer))
    return Verdict(access, None if access.served else enforcer.refusal(access))


async def acheck(
    request: HttpRequest, enforcer: Enforcer, check_in_thread: Callable[..., Verdict] = check
) -> Verdict:
    """Do what ``check`` does without blocking the event loop.

    A thread does it, unless the decision needs only what is cached and nothing has to be written.
    """
    access = access_at_once(request, enforcer)
    if access is None or _calls_the_project(access, type(enforcer)):
        return await sync_to_async(check_in_thread)(request, enforcer)
    return check(request, enforcer)


def _calls_the_project(access: Access, kind: Any) -> bool:
    """Return whether a refusal runs code of the project, which may block."""
    return not access.decision.allowed and (request_refused.has_listeners(kind) or _has_own_hooks(kind))


@lru_cache(maxsize=64)
def _has_own_hooks(kind: Any) -> bool:
    return any(getattr(kind, name) is not getattr(RefusalResponses, name) for name in _HOOKS)
