"""The permission: a request passes if and only if its key allows the place it comes from."""

import logging
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponse, HttpResponseBase
from django.utils.cache import patch_cache_control, patch_vary_headers
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from rest_framework import status
from rest_framework.exceptions import APIException, ErrorDetail
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from .conf import settings
from .enforcement.access import Access, access_of
from .policy.decision import Reason, Rule

if TYPE_CHECKING:  # It imports DEFAULT_PERMISSION_CLASSES, which may name this module.
    from rest_framework.views import APIView

logger = logging.getLogger("allowlist")

CHALLENGE = "Api-Key"
"""The authentication scheme named in ``WWW-Authenticate``."""

Text = str | Promise


class Refused(APIException):
    """A refusal with the status and body that the permission class gives it."""

    def __init__(self, status_code: int, body: Any, reason: Reason) -> None:
        # Not super's __init__, which translates a detail that this is not.
        self.status_code = status_code
        self.detail = body
        if isinstance(body, dict):
            self.detail = {
                name: ErrorDetail(str(value), reason) if isinstance(value, Text) else value
                for name, value in body.items()
            }
        if status_code == status.HTTP_401_UNAUTHORIZED:
            self.auth_header = CHALLENGE


class IsAllowlisted(BasePermission):
    """Grants if and only if the request's key is valid and allows the page or server it comes from.

    Otherwise it raises its own answer, so that status, message and code survive whatever else the
    project has; use ``IsAllowlistedQuietly`` with ``|`` and ``~``. A subclass changes the answer by
    the attributes and ``get_`` methods; ``reason`` is one of ``allowlist.policy.decision.Reason``.
    """

    refused_status: int = status.HTTP_403_FORBIDDEN
    refused_code: str = "PERMISSION_DENIED"
    domain_message: Text = _(
        "Permission denied. Check your security settings and ensure your domain is allowlisted."
    )
    ip_message: Text = _(
        "Permission denied. Check your security settings and ensure your source IP is allowlisted."
    )
    key_missing_message: Text = _("No API key was sent. Send yours in the %(header)s header.")
    key_invalid_message: Text = _(
        "This API key does not work: it may be mistyped, revoked or expired. Its creator can see which."
    )
    key_in_url_message: Text = _(
        "A secret key was sent in the URL, which servers log. Rotate it, and send the new one in the "
        "%(header)s header."
    )
    secret_key_in_browser_message: Text = _(
        "A secret key was sent by a browser, where every visitor can copy it. Rotate it, and use a "
        "publishable key on web pages."
    )
    undecided_message: Text = _("The request could not be checked. Try again in a moment.")

    def has_permission(self, request: Request, view: "APIView") -> bool:
        """Return True, or raise Refused with status and body."""
        access = access_of(request, view)
        _keep_private(view, access)
        access.tell(type(self), getattr(request, "_request", request))
        reason = access.decision.reason
        if access.served or reason is None:
            return True
        _ask_throttles(request, view, access)
        raise self._refusal(reason)

    def get_status(self, reason: Reason) -> int:
        """Return the answer's HTTP status."""
        if reason in (Reason.KEY_MISSING, Reason.KEY_INVALID):
            return status.HTTP_401_UNAUTHORIZED
        if reason is Reason.UNDECIDED:
            return status.HTTP_503_SERVICE_UNAVAILABLE
        return self.refused_status if reason.rule in (Rule.DOMAIN, Rule.IP) else status.HTTP_403_FORBIDDEN

    def get_code(self, reason: Reason) -> str:
        """Return the answer's code, one for each kind of answer."""
        if reason in (Reason.KEY_MISSING, Reason.KEY_INVALID):
            return "UNAUTHENTICATED"
        return "UNAVAILABLE" if reason is Reason.UNDECIDED else self.refused_code

    def get_message(self, reason: Reason) -> str:
        """Return the sentence for people."""
        subject = reason.rule if reason.rule in (Rule.DOMAIN, Rule.IP) else reason
        text = str(getattr(self, f"{subject}_message"))
        return text.replace("%(header)s", settings().KEY_HEADER) if "%(header)s" in text else text

    def get_body(self, reason: Reason) -> Any:
        """Return the answer's body. It shows nothing of the key's lists."""
        return {"code": self.get_code(reason), "message": self.get_message(reason), "reason": str(reason)}

    def _refusal(self, reason: Reason) -> APIException:
        """Return the answer; where a subclass's hook fails, an answer that says nothing."""
        try:
            return Refused(self.get_status(reason), self.get_body(reason), reason)
        except Exception:
            logger.exception("%s failed to word its answer.", type(self).__name__)
            plain, undecided = IsAllowlisted(), Reason.UNDECIDED
            return Refused(plain.get_status(undecided), plain.get_body(undecided), undecided)


def _ask_throttles(request: Request, view: "APIView", access: Access) -> None:
    """Have the view's throttles count a refusal; DRF itself asks them only after it would be served.

    Raises Throttled. A throttle that fails takes nothing back: the request stays refused. One request
    counts once, although the browsable API asks permissions several times.
    """
    if access.counted:
        return
    access.counted = True
    try:
        view.check_throttles(request)
    except APIException:
        raise
    except Exception:
        logger.exception("A throttle failed to count a refusal.")


class IsAllowlistedQuietly(BasePermission):
    """Grants as ``IsAllowlisted`` does, but returns False, so that ``|`` and ``~`` ask on."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        """Return whether the request's key allows the place it comes from."""
        access = access_of(request, view)
        _keep_private(view, access)
        if access.key is not None:
            access.tell(type(self), getattr(request, "_request", request))
        return access.served

    def has_object_permission(self, request: Request, view: "APIView", obj: Any) -> bool:
        """Return the same for every object, so that ``~`` refuses and grants alike with them."""
        return access_of(request, view).served


def _key_header() -> tuple[str, ...]:
    """Return the key's header; where wrong settings name none, nobody is served anyway."""
    try:
        return (settings().KEY_HEADER,)
    except ImproperlyConfigured:
        return ()


@lru_cache(maxsize=64)
def _vary(own: str | None, key_header: tuple[str, ...]) -> str:
    """Return the view's own ``Vary`` with what a decision depends on."""
    response = HttpResponse(headers={} if own is None else {"Vary": own})
    patch_vary_headers(response, ("Origin", "Referer", "Authorization", *key_header))
    return response.headers["Vary"]


def _keep_private(view: "APIView", access: Access) -> None:
    """Have the view's answer, whichever it is, say what it depends on.

    A permission meets no response, so the view's own last step is wrapped, on this instance only.
    """
    finalize: Callable[..., HttpResponseBase] | None = getattr(view, "finalize_response", None)
    if finalize is None or "finalize_response" in vars(view):
        return

    def finalize_private(*args: Any, **kwargs: Any) -> HttpResponseBase:
        response = finalize(*args, **kwargs)
        headers = response.headers
        headers["Vary"] = _vary(headers.get("Vary"), _key_header())
        if "Cache-Control" not in headers:
            headers["Cache-Control"] = "private" if access.served else "private, no-store"
        else:
            patch_cache_control(response, private=True, **({} if access.served else {"no_store": True}))
        return response

    setattr(view, "finalize_response", finalize_private)  # noqa: B010
