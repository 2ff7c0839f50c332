"""What DRF has no public API for. It is used here alone; tests/test_upstream.py fails when it changes."""

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.http import HttpRequest, HttpResponseBase
from rest_framework.exceptions import APIException, ErrorDetail, PermissionDenied
from rest_framework.request import Request

from ..policy.decision import Reason
from .access import Access, access_of, accesses
from .credentials import KeySource
from .responses import CHALLENGE, Refusal, set_headers

logger = logging.getLogger("allowlist")


class RefusalDetail(ErrorDetail):
    """A refusal as one error with a message and a code, which every exception handler can read."""

    body: Any

    def __new__(cls, refusal: Refusal, reason: Reason) -> "RefusalDetail":
        """Return the message, with the reason as its code."""
        detail = super().__new__(cls, refusal.message, str(reason))
        detail.body = refusal.body
        return detail


class Refused(APIException):
    """A refusal. ``detail`` is its one error; the response has the body of the permission class."""

    def __init__(self, refusal: Refusal, reason: Reason) -> None:
        # Not super's __init__, which would copy the detail.
        self.status_code = refusal.status
        self.detail = RefusalDetail(refusal, reason)
        if refusal.status == 401:
            self.auth_header = CHALLENGE


def django_request(request: Any) -> HttpRequest:
    """Return the HttpRequest behind DRF's request, which several of DRF's requests may share."""
    inner: HttpRequest = getattr(request, "_request", request)
    return inner


def access_for(reader: KeySource, request: Any, view: Any) -> Access:
    """Return what is decided about DRF's ``request``; see ``access_of``."""
    try:
        return access_of(django_request(request), reader, view, request)
    except DjangoPermissionDenied as error:
        # Without an error of its own, DRF would authenticate again while it renders this one.
        raise PermissionDenied(str(error)) from error


def guard_response(view: Any, request: Request) -> None:
    """Have the view's response, whichever it is, carry our body and headers.

    A permission never sees the response, so the view's last step is wrapped, on this instance only.
    """
    _wrap(view, "finalize_response", _finalize_response, django_request(request))


def before_denial(view: Any, request: Request) -> None:
    """Have refusals reported and counted if the view's permissions refuse the request in the end.

    A permission that returns False doesn't learn what the others return. Only the view's
    ``permission_denied`` is called at the end.
    """
    _wrap(view, "check_throttles", _check_throttles, django_request(request))
    _wrap(view, "permission_denied", _permission_denied, django_request(request))


def _wrap(view: Any, name: str, step: Callable[..., Any], http_request: HttpRequest) -> None:
    """Have ``step`` take the place of the view's own method, which it is given; once for each instance."""
    method = getattr(view, name, None)
    if method is not None and name not in vars(view):
        setattr(view, name, partial(step, method, view, http_request))


def _finalize_response(
    method: Callable[..., HttpResponseBase],
    view: Any,
    http_request: HttpRequest,
    request: Request,
    response: HttpResponseBase,
    /,
    *args: Any,
    **kwargs: Any,
) -> HttpResponseBase:
    view.allowlist_has_responded = True
    _give_body(response)
    finalized = method(request, response, *args, **kwargs)
    set_headers(finalized, accesses(http_request))
    return finalized


def _check_throttles(
    method: Callable[..., None], view: Any, http_request: HttpRequest, request: Request
) -> None:
    for access in accesses(http_request):
        access.counted = True
    method(request)


def _permission_denied(
    method: Callable[..., None],
    view: Any,
    http_request: HttpRequest,
    request: Request,
    /,
    *args: Any,
    **kwargs: Any,
) -> None:
    refused = [access for access in accesses(http_request) if not access.served]
    # After its response a browsable view asks which forms it may show. No request is refused by that.
    if not getattr(view, "allowlist_has_responded", False):
        for access in refused:
            access.report(access.sender)
        for access in refused:
            ask_throttles(view, request, access)
    method(request, *args, **kwargs)


def ask_throttles(view: Any, request: Request, access: Access) -> None:
    """Have the view's throttles count a refusal; DRF itself asks them only about what it would serve.

    Raises Throttled. If a throttle fails the request stays refused. One request counts once, although the
    browsable API asks permissions several times.
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


def _give_body(response: Any) -> None:
    """Put the permission's body in place of what DRF's own exception handler makes of a refusal.

    Another handler's response is left as it is; what it added beside ``detail`` stays.
    """
    data = getattr(response, "data", None)
    if not isinstance(data, dict) or not isinstance(detail := data.get("detail"), RefusalDetail):
        return
    added = {name: value for name, value in data.items() if name != "detail"} if len(data) > 1 else {}
    if isinstance(detail.body, dict):
        response.data = {**detail.body, **added}
    elif isinstance(detail.body, str) or added:
        response.data = {"detail": detail.body, **added}
    else:
        response.data = detail.body
