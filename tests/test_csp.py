"""The Content-Security-Policy of a frame's document: one page may embed it, and all else stays."""

from collections.abc import Callable
from typing import Any

import django
import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path

from allowlist.enforcement.csp import merged, set_ancestors

PAGE = "https://shop.example.com:8443"
OWN = f"frame-ancestors {PAGE}"
HEADER, REPORT_ONLY = "Content-Security-Policy", "Content-Security-Policy-Report-Only"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", OWN),
        (" ; ; ", OWN),
        ("default-src 'self'", f"default-src 'self'; {OWN}"),
        ("default-src 'self';", f"default-src 'self'; {OWN}"),
        ("upgrade-insecure-requests", f"upgrade-insecure-requests; {OWN}"),
        ("frame-ancestors 'none'", OWN),
        ("frame-ancestors", OWN),
        ("Frame-Ancestors *; img-src *", f"img-src *; {OWN}"),
        ("frame-ancestors *; frame-ancestors 'self'; img-src *", f"img-src *; {OWN}"),
        ("\tframe-ancestors\t'self' ;img-src *", f"img-src *; {OWN}"),
        ("frame-src 'self'; x-frame-ancestors *", f"frame-src 'self'; x-frame-ancestors *; {OWN}"),
        ("img-src *, script-src 'self'", f"img-src *, script-src 'self'; {OWN}"),
        ("img-src *; frame-ancestors 'none', frame-ancestors 'self'", f"img-src *, {OWN}"),
        ("frame-ancestors 'none', img-src *", f"img-src *; {OWN}"),
        (",", OWN),
    ],
)
def test_a_policy_gets_the_one_page_in_place_of_its_own(header: str, expected: str) -> None:
    assert merged(header, PAGE) == expected


def finished(view: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Return the view, with the page in its policy."""

    def finished_view(request: HttpRequest) -> HttpResponse:
        response = view(request)
        set_ancestors(request, response, PAGE)
        return response

    return finished_view


def plain(request: HttpRequest) -> HttpResponse:
    """Return a response without a policy of its own."""
    return HttpResponse("Hello")


def own_policy(request: HttpRequest) -> HttpResponse:
    """Return a response with a policy of its own."""
    return HttpResponse(headers={HEADER: "img-src *; frame-ancestors 'none'", REPORT_ONLY: "img-src data:"})


def own_report(request: HttpRequest) -> HttpResponse:
    """Return a response with a policy of its own that only reports."""
    return HttpResponse(headers={REPORT_ONLY: "img-src data:"})


urlpatterns = [
    path("plain/", finished(plain)),
    path("own/", finished(own_policy)),
    path("own-report/", finished(own_report)),
]


@pytest.fixture
def get(settings: Any) -> Callable[[str], HttpResponse]:
    """Return a function that gets a page of a project with a policy."""
    settings.ROOT_URLCONF = __name__
    settings.SECURE_CSP = {
        "default-src": ["'self'"],
        "script-src": ["'self'", "<CSP_NONCE_SENTINEL>"],
        "frame-ancestors": ["'none'"],
    }
    settings.SECURE_CSP_REPORT_ONLY = {"default-src": ["'none'"]}
    settings.MIDDLEWARE = ["django.middleware.csp.ContentSecurityPolicyMiddleware"]

    def get(name: str) -> HttpResponse:
        return Client().get(f"/{name}/")  # type: ignore[return-value]

    return get


def test_a_view_s_own_policy_is_kept(get: Callable[[str], HttpResponse], settings: Any) -> None:
    settings.MIDDLEWARE = []
    response = Client().get("/own/")
    assert response[HEADER] == f"img-src *; {OWN}"
    assert response[REPORT_ONLY] == "img-src data:"


def test_without_the_middleware_the_project_has_no_policy(
    get: Callable[[str], HttpResponse], settings: Any
) -> None:
    settings.MIDDLEWARE = []
    assert Client().get("/plain/")[HEADER] == OWN


def test_before_django_6_there_is_no_policy_but_the_view_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django.VERSION", (5, 2, 0, "final", 0))
    response = HttpResponse()
    set_ancestors(HttpRequest(), response, PAGE)
    assert response[HEADER] == OWN


if django.VERSION >= (6,):
    from django.middleware.csp import get_nonce
    from django.views.decorators.csp import csp_override, csp_report_only_override

    def nonce(request: HttpRequest) -> HttpResponse:
        """Return a response that uses the request's nonce."""
        return HttpResponse(str(get_nonce(request)))

    urlpatterns += [
        path("nonce/", finished(nonce)),
        path("override/", finished(csp_override({"img-src": ["*"]})(plain))),
        path("disabled/", finished(csp_override({})(plain))),
        path("report-only/", csp_report_only_override({"img-src": ["*"]})(finished(plain))),
    ]

    class TestDjangoSPolicy:
        @pytest.mark.parametrize(
            ("name", "policy", "report_only"),
            [
                ("plain", f"default-src 'self'; script-src 'self'; {OWN}", "default-src 'none'"),
                ("own", f"img-src *; {OWN}", "img-src data:"),
                ("own-report", f"default-src 'self'; script-src 'self'; {OWN}", "img-src data:"),
                ("override", f"img-src *; {OWN}", "default-src 'none'"),
                ("disabled", OWN, "default-src 'none'"),
                ("report-only", f"default-src 'self'; script-src 'self'; {OWN}", "img-src *"),
            ],
        )
        def test_is_merged(
            self, get: Callable[[str], HttpResponse], name: str, policy: str, report_only: str
        ) -> None:
            response = get(name)
            assert (response[HEADER], response[REPORT_ONLY]) == (policy, report_only)

        def test_has_the_nonce_that_the_document_uses(self, get: Callable[[str], HttpResponse]) -> None:
            response = get("nonce")
            assert f"script-src 'self' 'nonce-{response.content.decode()}'; {OWN}" in response[HEADER]
