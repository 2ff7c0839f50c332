"""The Content-Security-Policy of a frame's document: the response's own, and who may embed it."""

from typing import Any

import django
from django.http import HttpRequest, HttpResponse, HttpResponseBase

HEADER = "Content-Security-Policy"
_REPORT_ONLY = "Content-Security-Policy-Report-Only"
_DIRECTIVE = "frame-ancestors"


def set_ancestors(request: HttpRequest, response: HttpResponseBase, ancestors: str) -> None:
    """Have the one page ``ancestors`` embed the response, beside whatever its policy says.

    The policy is the one that the response would have had: the view's own header, else Django's.
    """
    if HEADER not in response.headers:
        _set_django_s(request, response)
    response.headers[HEADER] = merged(response.headers.get(HEADER, ""), ancestors)


def merged(header: str, ancestors: str) -> str:
    """Return a header's policies with one ``frame-ancestors`` in place of their own.

    Of several policies, separated by commas, browsers apply each.
    """
    *others, last = (_without_ancestors(policy) for policy in header.split(","))
    policies = [*others, [*last, f"{_DIRECTIVE} {ancestors}"]]
    return ", ".join("; ".join(directives) for directives in policies if directives)


def _without_ancestors(policy: str) -> list[str]:
    directives = [directive.strip() for directive in policy.split(";")]
    return [each for each in directives if each and each.split(maxsplit=1)[0].lower() != _DIRECTIVE]


def _set_django_s(request: HttpRequest, response: Any) -> None:
    """Set the header as Django's middleware would: from SECURE_CSP, or what a decorator set in its place.

    The middleware leaves a header that is there as it is, so it would neither add its own policy to ours.
    """
    if django.VERSION < (6,):
        return
    from django.middleware.csp import ContentSecurityPolicyMiddleware, get_nonce

    if get_nonce(request) is None:
        return  # The project doesn't use the middleware.
    had_report_only = _REPORT_ONLY in response.headers
    ContentSecurityPolicyMiddleware(HttpResponse).process_response(request, response)
    if not had_report_only:
        response.headers.pop(_REPORT_ONLY, None)  # A decorator around ours may still change it.
