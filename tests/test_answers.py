"""What a caller gets: status, body and headers, whatever else guards the view."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from django.core.cache import cache
from django.http import JsonResponse
from django.test import RequestFactory
from django.urls import path
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy, override
from django.views.decorators.cache import cache_control, cache_page
from django.views.decorators.vary import vary_on_headers
from rest_framework import authentication as drf
from rest_framework.decorators import action, api_view, authentication_classes, permission_classes
from rest_framework.generics import GenericAPIView
from rest_framework.permissions import AllowAny, BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView, exception_handler
from rest_framework.viewsets import ViewSet
from rest_framework_simplejwt.authentication import JWTAuthentication

from allowlist.authentication import APIKeyAuthentication
from allowlist.models import APIKey
from allowlist.permissions import IsAllowlisted, IsAllowlistedQuietly
from allowlist.policy.decision import Reason
from tests.testing import (
    DOMAIN_MESSAGE,
    ELSEWHERE,
    EVIL,
    IP_MESSAGE,
    SERVER,
    SHOP,
    UNKNOWN,
    body,
    call,
    make_key,
    reason,
    set_raw,
    statements,
    writes,
)

pytestmark = [pytest.mark.django_db(databases="__all__"), pytest.mark.urls(__name__)]

ROOT = Path(__file__).parent.parent
AUTHENTICATORS: dict[str, list[Any]] = {
    "nothing": [],
    "ours": [APIKeyAuthentication],
    "session": [drf.SessionAuthentication],
    "basic": [drf.BasicAuthentication],
    "token": [drf.TokenAuthentication],
    "ours-session": [APIKeyAuthentication, drf.SessionAuthentication],
    "session-ours": [drf.SessionAuthentication, APIKeyAuthentication],
    "ours-basic": [APIKeyAuthentication, drf.BasicAuthentication],
    "basic-ours": [drf.BasicAuthentication, APIKeyAuthentication],
    "ours-token": [APIKeyAuthentication, drf.TokenAuthentication],
    "token-ours": [drf.TokenAuthentication, APIKeyAuthentication],
    "ours-jwt": [APIKeyAuthentication, JWTAuthentication],
    "session-basic-ours-token": [
        drf.SessionAuthentication,
        drf.BasicAuthentication,
        APIKeyAuthentication,
        drf.TokenAuthentication,
    ],
}


class Echo(APIView):
    """Returns what it got of the request. ``seen`` holds the keys it got."""

    permission_classes = [IsAllowlisted]
    seen: ClassVar[list[APIKey]] = []

    def get(self, request: Request, **kwargs: Any) -> Response:
        """Return a response."""
        access = getattr(request, "allowlist", None)
        if access is None:
            return Response({"key": None})
        self.seen.append(access.key)
        found = {
            "key": access.key.name if access.key else None,
            "auth": getattr(request.auth, "name", None),
            "same": request.auth is access.key,
            "anonymous": request.user.is_anonymous,
            "allowed": access.decision.allowed,
            "entry": access.decision.entry,
            "reason": access.decision.reason,
        }
        if access.key:
            access.key.name = "changed by the view"
        return Response(found)

    def post(self, request: Request, **kwargs: Any) -> Response:
        """Return a response."""
        return self.get(request)


class HasTeapot(BasePermission):
    """Grants if and only if the request has an X-Teapot header, and the object one too."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Return whether the header is there."""
        return "X-Teapot" in request.headers

    def has_object_permission(self, request: Request, view: APIView, obj: Any) -> bool:
        """Return whether the header is there."""
        return "X-Teapot" in request.headers


class Objects(GenericAPIView[Any]):
    """Asks for an object's permission."""

    permission_classes: Any = [IsAllowlisted]

    def get(self, request: Request, **kwargs: Any) -> Response:
        """Return a response."""
        self.check_object_permissions(request, "the object")
        return Response({"key": "an object"})


class Shelf(ViewSet):
    """A viewset with one open and one guarded action."""

    def list(self, request: Request) -> Response:
        """Return a response."""
        return Response({"key": "the list"})

    @action(detail=False, permission_classes=[IsAllowlisted])
    def guarded(self, request: Request) -> Response:
        """Return a response."""
        return Response({"key": "the action"})


@api_view(["GET", "POST"])
@permission_classes([IsAllowlisted])
@authentication_classes([APIKeyAuthentication])
def function(request: Any) -> Response:
    """Return a response."""
    return Response({"key": request.allowlist.key.name, "auth": request.auth.name})


class Unauthorized(IsAllowlisted):
    """A recipe: 401 and a sentence."""

    refused_status = 401
    refused_code = "UNAUTHORIZED"
    domain_message = "Domain not allowed"


class ErrorOnly(IsAllowlisted):
    """A recipe: one sentence for everything."""

    def get_body(self, reason: Reason) -> Any:
        """Return the body."""
        return {"error": "Access denied. You don't have permission to access this."}


class PlainText(IsAllowlisted):
    """A recipe: a body that is a text."""

    def get_body(self, reason: Reason) -> Any:
        """Return the body."""
        return f"No: {reason}"


class Sentence(IsAllowlisted):
    """A recipe: one sentence for every reason of the domain rule."""

    domain_message = "Not on this domain."
    ip_message = "Not from this address."


class Hinting(IsAllowlisted):
    """A recipe: its own hint, with what was seen of the request."""

    def get_hint(self, reason: Reason) -> str:
        """Return the hint."""
        assert self.access
        return f"{self.access.source.page} is not welcome."


class Listing(IsAllowlisted):
    """A recipe: a body that is a list."""

    def get_body(self, reason: Reason) -> Any:
        """Return the body."""
        return ["No", reason]


class Nested(IsAllowlisted):
    """A recipe: a body with other things than texts in it."""

    def get_body(self, reason: Reason) -> Any:
        """Return the body."""
        return {"error": {"reasons": [reason]}, "retry": False}


def with_status(status: Any) -> type[IsAllowlisted]:
    """Return a permission that gives refusals a status."""
    return type(f"Status_{status}", (IsAllowlisted,), {"get_status": lambda self, reason: status})


def failing(hook: str) -> type[IsAllowlisted]:
    """Return a permission whose ``hook`` raises."""

    def fail(self: Any, reason: Reason) -> Any:
        raise RuntimeError("a secret of the project")

    return type(f"Failing_{hook}", (IsAllowlisted,), {hook: fail})


class Counting(IsAllowlisted):
    """Counts how often it is asked."""

    asked = 0

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Count."""
        type(self).asked += 1
        return super().has_permission(request, view)


class WithHeaders(Echo):
    """Sets headers of its own."""

    def get(self, request: Any, **kwargs: Any) -> Response:
        """Return a response."""
        headers = {"Cache-Control": "public, max-age=60", "Vary": "Accept-Language, origin"}
        return Response({"key": request.allowlist.key.name}, headers=headers)


class InPath(Echo):
    """Takes the key from the path as well."""

    allowlist_key_kwarg = "public_id"


class Delegating(InPath):
    """Calls another view, for another key, in the same request."""

    def get(self, request: Any, **kwargs: Any) -> Any:
        """Return a response."""
        return InPath.as_view()(request._request, public_id=request.query_params["other"])


class CachedInside(Echo):
    """Caches what its handler returns, for each key by itself."""

    asked = 0

    @method_decorator(cache_page(60))
    @method_decorator(vary_on_headers("Origin", "Referer", "Authorization", "X-API-Key"))
    def get(self, request: Request, **kwargs: Any) -> Any:
        """Answer at once: what DRF renders later is `private` by then, and stored nowhere."""
        type(self).asked += 1
        return JsonResponse({"key": request.allowlist.key.name})  # type: ignore[attr-defined]


def view_with(permission: Any, authenticators: list[Any] | None = None) -> Any:
    """Return a view that ``permission`` guards."""
    return Echo.as_view(permission_classes=[permission], authentication_classes=authenticators or [])


HOOKS = ["get_status", "get_code", "get_message", "get_hint", "get_body"]
NO_STATUS = [None, "403", 200, 399, 600, 403.0, True]
RECIPES: list[type[IsAllowlisted]] = [
    Unauthorized,
    ErrorOnly,
    PlainText,
    Listing,
    Nested,
    Sentence,
    Hinting,
    Counting,
    *map(failing, HOOKS),
    *map(with_status, [*NO_STATUS, 400, 599]),
]
COMPOSED = {
    "and": IsAllowlisted & HasTeapot,
    "and-reversed": HasTeapot & IsAllowlisted,
    "and-quiet": IsAllowlistedQuietly & HasTeapot,
    "or": IsAllowlistedQuietly | HasTeapot,
    "or-reversed": HasTeapot | IsAllowlistedQuietly,
    "not": ~IsAllowlistedQuietly,
    "quiet": IsAllowlistedQuietly,
}
urlpatterns = [
    *(path(f"with/{name}/", view_with(IsAllowlisted, them)) for name, them in AUTHENTICATORS.items()),
    *(path(f"recipe/{each.__name__}/", view_with(each, [drf.SessionAuthentication])) for each in RECIPES),
    *(path(f"composed/{name}/", view_with(each)) for name, each in COMPOSED.items()),
    *(
        path(f"objects/{name}/", Objects.as_view(permission_classes=[each], authentication_classes=[]))
        for name, each in COMPOSED.items()
    ),
    path(
        "authenticated/",
        Echo.as_view(permission_classes=[AllowAny], authentication_classes=[APIKeyAuthentication]),
    ),
    path(
        "authenticated/then-jwt/",
        Echo.as_view(permission_classes=[AllowAny], authentication_classes=AUTHENTICATORS["ours-jwt"]),
    ),
    path("composed/quiet-paired/", view_with(IsAllowlistedQuietly, [APIKeyAuthentication])),
    path("alone/", Echo.as_view()),
    path("function/", function),
    path("shelf/", Shelf.as_view({"get": "list"}, permission_classes=[AllowAny])),
    path("shelf/guarded/", Shelf.as_view({"get": "guarded"}, **Shelf.guarded.kwargs)),
    path("headers/", WithHeaders.as_view()),
    path("cached/", cache_page(60)(WithHeaders.as_view())),
    path(
        "cached/<str:public_id>/",
        cache_page(60)(InPath.as_view()),
    ),
    path("delegating/<str:public_id>/", Delegating.as_view()),
    path("cached-inside/", CachedInside.as_view()),
    path("public/", cache_control(public=True)(WithHeaders.as_view())),
]


@dataclass(frozen=True)
class Case:
    """A request that is refused, and what it is answered."""

    status: int
    code: str
    message: str
    reason: str
    key: Mapping[str, Any] = field(default_factory=dict)
    sent: Mapping[str, str | None] = field(default_factory=dict)
    address: str = ELSEWHERE
    query: str = ""
    row: Mapping[str, Any] = field(default_factory=dict)
    saw: Mapping[str, str | None] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return the reason."""
        return self.reason


DOMAINS: dict[str, Any] = {"allowed_domains": [SHOP, "*.listed.example"]}
IPS: dict[str, Any] = {"allowed_ips": [SERVER, "192.0.2.0/24"]}
SECRET = {"kind": "secret"}
BY_SOURCE = {"condition": "by_source"}
NO_KEY = "No API key was sent. Send yours in the X-API-Key header."
BAD_KEY = "This API key does not work: it may be mistyped, revoked or expired. Its creator can see which."
DENIED = (403, "PERMISSION_DENIED")
IN_URL = (
    "A secret key was sent in the URL, which servers log. Rotate it, and send the new one in the "
    "X-API-Key header."
)
SERVERS_ONLY = "Permission denied. This key accepts requests from servers only."
PAGES_ONLY = "Permission denied. This key accepts requests from web pages only."
IN_BROWSER = (
    "A secret key was sent by a browser, where every visitor can copy it. Rotate it, and use a publishable "
    "key on web pages."
)
UNDECIDED = "The request could not be checked. Try again in a moment."
PLAIN = {
    "code": "UNAVAILABLE",
    "message": UNDECIDED,
    "reason": "undecided",
    "hint": "Send the request again in a moment.",
}
FROM_EVIL, NO_ORIGIN = {"origin": EVIL}, {"origin": None}
CASES = [
    Case(401, "UNAUTHENTICATED", NO_KEY, "key_missing", sent={"X-API-Key": None}),
    Case(401, "UNAUTHENTICATED", BAD_KEY, "key_invalid", sent={"X-API-Key": UNKNOWN}),
    Case(401, "UNAUTHENTICATED", BAD_KEY, "key_invalid", sent={"X-API-Key": "pk_live_short"}),
    Case(401, "UNAUTHENTICATED", BAD_KEY, "key_invalid", row={"revoked_at": timedelta(0)}),
    Case(401, "UNAUTHENTICATED", BAD_KEY, "key_invalid", row={"expires_at": timedelta(0)}),
    Case(*DENIED, DOMAIN_MESSAGE, "origin_not_listed", DOMAINS, {"Origin": EVIL}, saw=FROM_EVIL),
    Case(*DENIED, DOMAIN_MESSAGE, "origin_not_listed", DOMAINS, {"Referer": EVIL + "/page"}, saw=FROM_EVIL),
    Case(*DENIED, DOMAIN_MESSAGE, "origin_opaque", DOMAINS, {"Origin": "null"}, saw=NO_ORIGIN),
    Case(*DENIED, DOMAIN_MESSAGE, "origin_malformed", DOMAINS, {"Origin": "<script>"}, saw=NO_ORIGIN),
    Case(*DENIED, DOMAIN_MESSAGE, "origin_hidden", DOMAINS, {"Sec-Fetch-Site": "cross-site"}, saw=NO_ORIGIN),
    Case(*DENIED, DOMAIN_MESSAGE, "origin_missing", DOMAINS, saw=NO_ORIGIN),
    Case(*DENIED, IP_MESSAGE, "ip_not_listed", IPS, saw={"ip": ELSEWHERE}),
    Case(*DENIED, IP_MESSAGE, "ip_unknown", IPS, address="", saw={"ip": None}),
    Case(*DENIED, DOMAIN_MESSAGE, "origin_not_listed", {**DOMAINS, **IPS}, {"Origin": EVIL}, saw=FROM_EVIL),
    Case(*DENIED, IP_MESSAGE, "ip_not_listed", {**DOMAINS, **IPS}, {"Origin": SHOP}, saw={"ip": ELSEWHERE}),
    Case(
        *DENIED,
        SERVERS_ONLY,
        "browser_not_allowed",
        {**IPS, **BY_SOURCE},
        {"Origin": EVIL},
        saw={"origin": EVIL, "ip": ELSEWHERE},
    ),
    Case(*DENIED, PAGES_ONLY, "server_not_allowed", {**DOMAINS, **BY_SOURCE}, {}, SERVER, saw=NO_ORIGIN),
    Case(*DENIED, IN_URL, "key_in_url", SECRET, {"X-API-Key": None}, query="?key={token}"),
    Case(*DENIED, IN_BROWSER, "secret_key_in_browser", SECRET, {"Origin": SHOP}),
    Case(503, "UNAVAILABLE", UNDECIDED, "undecided", row={"domain_mode": "odd"}),
]


@pytest.mark.parametrize("authenticators", AUTHENTICATORS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_refusal_is_the_same_whatever_authenticates(case: Case, authenticators: str) -> None:
    key, token = make_key(**case.key)
    for column, value in case.row.items():
        if isinstance(value, timedelta):
            APIKey.objects.filter(pk=key.pk).update(**{column: timezone.now() - value})
        else:
            set_raw(key, column, value)
    url = f"/with/{authenticators}/" + case.query.format(token=token)
    answer = call(url, token, case.sent, REMOTE_ADDR=case.address)
    assert answer.status_code == case.status
    assert body(answer) == {
        "code": case.code,
        "message": case.message,
        "reason": case.reason,
        "hint": IsAllowlisted().get_hint(Reason(case.reason)),
        **case.saw,
    }
    assert answer.get("WWW-Authenticate") == ("Api-Key" if case.status == 401 else None)
    for listed in ("shop.example.com", "listed.example", SERVER, "192.0.2", token):
        assert listed not in answer.content.decode()


def test_every_reason_has_a_hint_that_says_what_to_do(settings: Any) -> None:
    settings.ALLOWLIST = {"KEY_HEADER": "X-Widget"}
    hints = {reason: IsAllowlisted().get_hint(reason) for reason in Reason}
    assert len(set(hints.values())) == len(Reason)
    for words, hinted in (
        ("Referrer-Policy", Reason.ORIGIN_HIDDEN),
        ("referrerpolicy", Reason.ORIGIN_HIDDEN),
        ("secret key", Reason.ORIGIN_MISSING),
        ("TRUSTED_PROXIES", Reason.IP_UNKNOWN),
        ("X-Widget header", Reason.KEY_MISSING),
    ):
        assert words in hints[hinted]


@pytest.mark.parametrize("authenticators", AUTHENTICATORS)
def test_a_listed_page_is_served_whatever_authenticates(authenticators: str) -> None:
    _, token = make_key(name="mine", **DOMAINS, **IPS)
    answer = call(f"/with/{authenticators}/", token, {"Origin": SHOP}, REMOTE_ADDR=SERVER)
    assert answer.status_code == 200
    paired = "ours" in authenticators
    assert body(answer) == {
        "key": "mine",
        "auth": "mine" if paired else None,
        "same": paired,
        "anonymous": True,
        "allowed": True,
        "entry": SHOP,
        "reason": None,
    }


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE", "PATCH"])
def test_every_method_is_judged(method: str) -> None:
    _, token = make_key(**DOMAINS)
    assert call("/alone/", token, {"Origin": EVIL}, method=method).status_code == 403
    assert call("/alone/", None, {"Origin": SHOP}, method=method).status_code == 401
    allowed = 200 if method in ("GET", "HEAD", "POST", "OPTIONS") else 405
    assert call("/alone/", token, {"Origin": SHOP}, method=method).status_code == allowed


@pytest.mark.parametrize("paired", ["alone", "with/ours"])
def test_a_warm_request_sends_one_statement_and_the_view_none_for_the_key(paired: str) -> None:
    _, token = make_key(**DOMAINS)
    call(f"/{paired}/", token, {"Origin": SHOP})
    with statements() as sql:
        assert call(f"/{paired}/", token, {"Origin": SHOP}).status_code == 200
    assert len(sql) == 1


def test_each_request_has_a_key_object_of_its_own() -> None:
    _, token = make_key(name="mine")
    Echo.seen.clear()
    names = [body(call("/with/ours/", token))["key"] for _ in range(2)]
    assert names == ["mine", "mine"]
    first, second = Echo.seen
    assert first == second
    assert first is not second


def test_a_view_called_within_another_decides_by_its_own_key() -> None:
    _, outer = make_key(name="outer", **DOMAINS)
    _, inner = make_key(name="inner", **DOMAINS)
    _, other = make_key(name="other", domains=[EVIL])
    assert body(call(f"/delegating/{outer}/?other={inner}", None, {"Origin": SHOP}))["key"] == "inner"
    assert reason(call(f"/delegating/{outer}/?other={other}", None, {"Origin": SHOP})) == "origin_not_listed"


def test_authentication_alone_sets_no_key_that_does_not_work_from_there() -> None:
    _, token = make_key(name="mine", **DOMAINS)
    assert body(call("/authenticated/", token, {"Origin": SHOP}))["auth"] == "mine"
    refused = body(call("/authenticated/", token, {"Origin": EVIL}))
    assert (refused["auth"], refused["allowed"], refused["reason"]) == (None, False, "origin_not_listed")
    assert body(call("/authenticated/"))["auth"] is None


def test_a_refused_token_is_not_left_to_the_next_authenticator() -> None:
    """JWTAuthentication would say that it isn't valid for any of its token types."""
    _, token = make_key(name="mine", **DOMAINS)
    bearer = {"Authorization": f"Bearer {token}"}
    assert body(call("/with/ours-jwt/", None, {**LISTED, **bearer}))["auth"] == "mine"
    refused = call("/with/ours-jwt/", None, {**UNLISTED, **bearer})
    assert (refused.status_code, reason(refused)) == (403, "origin_not_listed")
    unknown = call("/with/ours-jwt/", None, {"Authorization": f"Bearer {UNKNOWN}"})
    assert (unknown.status_code, reason(unknown)) == (401, "key_invalid")
    before_jwt = body(call("/authenticated/then-jwt/", None, {**UNLISTED, **bearer}))
    assert (before_jwt["auth"], before_jwt["anonymous"]) == (None, True)


@pytest.mark.parametrize("token", ["nonsense", None])
def test_anything_but_our_token_is_left_to_the_next_authenticator(token: str | None) -> None:
    answer = call("/authenticated/then-jwt/", token, {"Authorization": "Bearer x.y.z"})
    assert (answer.status_code, body(answer)["code"]) == (401, "token_not_valid")


def test_our_headers_stay_when_an_authenticator_after_ours_raises() -> None:
    answer = call("/with/ours-jwt/", None, {"Authorization": "Bearer x.y.z"})
    assert (answer.status_code, body(answer)["code"]) == (401, "token_not_valid")
    assert directives(answer) == {"private", "no-store"}
    assert {"origin", "referer", "authorization", "x-api-key"} <= set(varies_on(answer))
    assert "Cache-Control" not in call("/authenticated/then-jwt/", None, {"Authorization": "Bearer x.y.z"})


def test_a_recipe_may_have_no_anonymous_user(settings: Any) -> None:
    settings.REST_FRAMEWORK = {"UNAUTHENTICATED_USER": None}
    _, token = make_key(name="mine")
    assert body(call("/function/", token)) == {"key": "mine", "auth": "mine"}


def test_function_views_and_viewset_actions_are_guarded() -> None:
    _, token = make_key(name="mine", **DOMAINS)
    for url, served in (("/function/", "mine"), ("/shelf/guarded/", "the action")):
        assert reason(call(url, token, {"Origin": EVIL})) == "origin_not_listed"
        assert reason(call(url)) == "key_missing"
        assert body(call(url, token, {"Origin": SHOP}))["key"] == served
    assert body(call("/shelf/"))["key"] == "the list"


BY_DEFAULT = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
import tests.settings
tests.settings.REST_FRAMEWORK = {{
    "DEFAULT_PERMISSION_CLASSES": ["allowlist.permissions.IsAllowlisted"],
    "DEFAULT_AUTHENTICATION_CLASSES": ["allowlist.authentication.APIKeyAuthentication"],
}}
{}
import django
django.setup()
from django.http import Http404
from django.test import RequestFactory
from rest_framework.views import APIView
from allowlist.permissions import IsAllowlisted
assert APIView.permission_classes == [IsAllowlisted]
answer = APIView.as_view()(RequestFactory().get("/"))
assert (answer.status_code, answer.data["reason"]) == (401, "key_missing"), answer.data
"""
WITHOUT_CORS = 'tests.settings.INSTALLED_APPS.remove("corsheaders")'


@pytest.mark.parametrize("first", ["", WITHOUT_CORS], ids=["cors-adapter-first", "views-first"])
def test_permission_and_authentication_may_be_the_defaults(first: str) -> None:
    command = [sys.executable, "-W", "error", "-c", BY_DEFAULT.format(first)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


LISTED, UNLISTED = {"Origin": SHOP}, {"Origin": EVIL}
TEAPOT = {"X-Teapot": "short and stout"}


@pytest.mark.parametrize("folder", ["composed", "objects"])
@pytest.mark.parametrize(
    ("name", "headers", "status"),
    [
        ("and", LISTED, 403),
        ("and", {**LISTED, **TEAPOT}, 200),
        ("and", {**UNLISTED, **TEAPOT}, 403),
        ("and-reversed", LISTED, 403),
        ("and-reversed", {**LISTED, **TEAPOT}, 200),
        ("and-reversed", {**UNLISTED, **TEAPOT}, 403),
        ("and-quiet", {**LISTED, **TEAPOT}, 200),
        ("and-quiet", {**UNLISTED, **TEAPOT}, 403),
        ("or", LISTED, 200),
        ("or", UNLISTED, 403),
        ("or", {**UNLISTED, **TEAPOT}, 200),
        ("or-reversed", LISTED, 200),
        ("or-reversed", UNLISTED, 403),
        ("or-reversed", {**UNLISTED, **TEAPOT}, 200),
        ("not", LISTED, 403),
        ("not", UNLISTED, 200),
        ("quiet", LISTED, 200),
        ("quiet", UNLISTED, 403),
    ],
)
def test_permissions_compose(folder: str, name: str, headers: dict[str, str], status: int) -> None:
    _, token = make_key(**DOMAINS)
    assert call(f"/{folder}/{name}/", token, headers).status_code == status


def test_our_response_survives_an_and() -> None:
    _, token = make_key(**DOMAINS)
    for name in ("and", "and-reversed"):
        assert reason(call(f"/composed/{name}/", token, {**UNLISTED, **TEAPOT})) == "origin_not_listed"


def test_the_quiet_permission_s_401_names_our_scheme() -> None:
    answer = call("/composed/quiet-paired/")
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Api-Key")


def test_the_quiet_permission_leaves_the_words_to_drf() -> None:
    _, token = make_key(**DOMAINS)
    said = {"detail": "You do not have permission to perform this action."}
    assert body(call("/composed/or/", token, UNLISTED)) == said
    assert body(call("/composed/or/")) == said


@pytest.mark.parametrize(
    ("recipe", "status", "answer"),
    [
        (
            "Unauthorized",
            401,
            {
                "code": "UNAUTHORIZED",
                "message": "Domain not allowed",
                "reason": "origin_not_listed",
                "hint": (
                    "Add this origin to the key's allowed domains. An entry doesn't cover "
                    "subdomains such as www, and one for https:// doesn't cover http://."
                ),
                "origin": EVIL,
            },
        ),
        ("ErrorOnly", 403, {"error": "Access denied. You don't have permission to access this."}),
        ("PlainText", 403, {"detail": "No: origin_not_listed"}),
        ("Listing", 403, ["No", "origin_not_listed"]),
        ("Nested", 403, {"error": {"reasons": ["origin_not_listed"]}, "retry": False}),
    ],
)
def test_a_recipe_is_a_small_subclass(recipe: str, status: int, answer: Any) -> None:
    _, token = make_key(**DOMAINS)
    refused = call(f"/recipe/{recipe}/", token, UNLISTED)
    assert (refused.status_code, body(refused)) == (status, answer)
    assert refused.get("WWW-Authenticate") == ("Api-Key" if status == 401 else None)
    assert call(f"/recipe/{recipe}/", token, LISTED).status_code == 200


def test_a_recipe_s_domain_message_speaks_for_the_whole_domain_rule() -> None:
    for fields, headers, said in (
        (DOMAINS, UNLISTED, Sentence.domain_message),
        ({**DOMAINS, **BY_SOURCE}, {}, Sentence.domain_message),
        (IPS, {}, Sentence.ip_message),
        ({**IPS, **BY_SOURCE}, UNLISTED, SERVERS_ONLY),
    ):
        _, token = make_key(**fields)
        assert body(call("/recipe/Sentence/", token, headers))["message"] == said


def test_a_message_of_one_reason_is_more_than_that_of_its_rule() -> None:
    class Both(Sentence):
        server_not_allowed_message = "No servers."

    said = [Both().get_message(each) for each in (Reason.SERVER_NOT_ALLOWED, Reason.ORIGIN_MISSING)]
    assert said == ["No servers.", Sentence.domain_message]


def test_a_hook_has_what_was_decided_of_its_own_request() -> None:
    """The instance that all requests share keeps nothing of it."""
    _, token = make_key(**DOMAINS)
    assert body(call("/recipe/Hinting/", token, UNLISTED))["hint"] == f"{EVIL} is not welcome."
    assert body(call("/recipe/Hinting/", token))["hint"] == "absent is not welcome."
    assert IsAllowlisted.access is None


@pytest.mark.parametrize("status", NO_STATUS)
def test_a_status_that_is_not_an_error_is_not_believed(status: Any, caplog: pytest.LogCaptureFixture) -> None:
    _, token = make_key(**DOMAINS)
    refused = call(f"/recipe/Status_{status}/", token, UNLISTED)
    assert (refused.status_code, body(refused)) == (503, PLAIN)
    assert f"get_status() returned {status!r}" in caplog.text


@pytest.mark.parametrize("status", [400, 599])
def test_any_error_status_is_believed(status: int) -> None:
    _, token = make_key(**DOMAINS)
    assert call(f"/recipe/Status_{status}/", token, UNLISTED).status_code == status


def test_a_recipe_status_is_for_refusals_by_list_only() -> None:
    _, token = make_key(kind="secret")
    assert call("/recipe/Unauthorized/").status_code == 401
    assert body(call("/recipe/Unauthorized/"))["code"] == "UNAUTHENTICATED"
    assert call("/recipe/Unauthorized/", token, LISTED).status_code == 403


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_that_raises_refuses_and_is_logged_and_shows_nothing(
    hook: str, caplog: pytest.LogCaptureFixture
) -> None:
    _, token = make_key(**DOMAINS)
    answer = call(f"/recipe/Failing_{hook}/", token, UNLISTED)
    assert answer.status_code == 503
    assert body(answer) == PLAIN
    errors = [each for each in caplog.records if each.name == "allowlist" and each.levelname == "ERROR"]
    assert [each.getMessage() for each in errors] == [f"Failing_{hook} failed to make a response."]
    assert errors[0].exc_info
    assert "a secret of the project" in str(errors[0].exc_info[1])
    assert call(f"/recipe/Failing_{hook}/", token, LISTED).status_code == 200


JSON_API = "rest_framework_json_api.exceptions.exception_handler"
STANDARDIZED = "drf_standardized_errors.handler.exception_handler"


def with_status_code(error: Exception, context: Any) -> Response:
    """Add the status to the body, as DRF's documentation shows."""
    response = exception_handler(error, context)
    assert response
    response.data["status_code"] = response.status_code
    return response


@pytest.mark.parametrize("handler", [JSON_API, STANDARDIZED])
@pytest.mark.parametrize(
    ("url", "detail"), [("/alone/", DOMAIN_MESSAGE), ("/recipe/PlainText/", "No: origin_not_listed")]
)
def test_another_exception_handler_gets_one_error(settings: Any, handler: str, url: str, detail: str) -> None:
    settings.REST_FRAMEWORK = {"EXCEPTION_HANDLER": handler}
    settings.JSON_API_UNIFORM_EXCEPTIONS = True
    _, token = make_key(**DOMAINS)
    refused = call(url, token, UNLISTED)
    (error,) = body(refused)["errors"]
    assert (refused.status_code, error["detail"], error["code"]) == (403, detail, "origin_not_listed")
    unknown = call(url)
    assert (unknown.status_code, unknown["WWW-Authenticate"]) == (401, "Api-Key")


def test_what_a_handler_adds_to_drf_s_own_stays_beside_our_body(settings: Any) -> None:
    settings.REST_FRAMEWORK = {"EXCEPTION_HANDLER": f"{__name__}.with_status_code"}
    _, token = make_key(**DOMAINS)
    said = body(call("/alone/", token, UNLISTED))
    assert (said["reason"], said["status_code"]) == ("origin_not_listed", 403)
    said = body(call("/recipe/PlainText/", token, UNLISTED))
    assert said == {"detail": "No: origin_not_listed", "status_code": 403}


@pytest.mark.parametrize("origin", [SHOP, EVIL])
def test_the_browsable_page_asks_often_and_decides_and_writes_once(
    origin: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "allowlist")
    _, token = make_key(**DOMAINS)
    Counting.asked = 0
    with statements() as sql:
        answer = call("/recipe/Counting/", token, {"Origin": origin, "Accept": "text/html"})
    assert answer["Content-Type"].startswith("text/html")
    assert Counting.asked > 3
    # When the key was used, and when its entry matched.
    assert len(writes(sql)) == (2 if origin == SHOP else 0)
    assert sum("previous_digest" in text for text in sql) == 1
    refusals = [each for each in caplog.messages if each.startswith("Refused")]
    assert len(refusals) == (0 if origin == SHOP else 1)
    assert answer.status_code == (200 if origin == SHOP else 403)


def directives(answer: Any) -> set[str]:
    """Return what ``Cache-Control`` says."""
    return {each.strip() for each in answer["Cache-Control"].split(",")}


def varies_on(answer: Any) -> list[str]:
    """Return what the response varies on, sorted."""
    return sorted(each.strip().lower() for each in answer["Vary"].split(","))


def test_a_response_is_private_and_a_refusal_is_never_stored() -> None:
    _, token = make_key(**DOMAINS)
    assert directives(call("/alone/", token, LISTED)) == {"private"}
    assert directives(call("/alone/", token, UNLISTED)) == {"private", "no-store"}
    assert directives(call("/alone/")) == {"private", "no-store"}
    assert directives(call("/alone/", token, LISTED, method="PUT")) == {"private"}
    assert directives(call("/composed/quiet/", token, UNLISTED)) == {"private", "no-store"}


def test_every_response_varies_on_what_it_was_judged_by(settings: Any) -> None:
    settings.ALLOWLIST = {"KEY_HEADER": "X-Widget-Key"}
    _, token = make_key(**DOMAINS)
    judged_by = {"origin", "referer", "authorization", "x-widget-key"}
    for headers in (LISTED, UNLISTED):
        answer = call("/alone/", None, {**headers, "X-Widget-Key": token})
        assert judged_by <= set(varies_on(answer))


def test_the_view_s_own_headers_are_kept() -> None:
    _, token = make_key(**DOMAINS)
    answer = call("/headers/", token, LISTED)
    assert directives(answer) == {"private", "max-age=60"}
    varied = varies_on(answer)
    assert len(varied) == len(set(varied))
    assert {"accept-language", "origin", "referer", "authorization", "x-api-key"} <= set(varied)


def test_public_outside_the_view_is_the_project_s_wish_and_still_varies() -> None:
    _, token = make_key(**DOMAINS)
    assert {"origin", "x-api-key"} <= set(varies_on(call("/public/", token, LISTED)))


def test_nobody_is_served_another_s_cached_answer() -> None:
    _, token = make_key(name="mine", **DOMAINS)
    _, other = make_key(name="theirs", **DOMAINS)
    _, servers = make_key(name="a server's", **IPS)
    assert body(call("/cached/", token, LISTED))["key"] == "mine"
    assert call("/cached/", token, UNLISTED).status_code == 403
    assert call("/cached/", None, LISTED).status_code == 401
    assert body(call("/cached/", other, LISTED))["key"] == "theirs"
    assert call("/cached/", servers, LISTED, REMOTE_ADDR=SERVER).status_code == 200
    assert call("/cached/", servers, LISTED, REMOTE_ADDR=ELSEWHERE).status_code == 403
    assert body(call("/cached/", token, LISTED))["key"] == "mine"


def test_a_cached_response_ends_with_the_key_and_a_refusal_with_its_cause() -> None:
    key, token = make_key(**DOMAINS)
    assert [call("/cached/", token, each).status_code for each in (LISTED, UNLISTED)] == [200, 403]
    key.add_domains([EVIL])
    assert call("/cached/", token, UNLISTED).status_code == 200
    key.revoke()
    assert call("/cached/", token, LISTED).status_code == 401


def test_keys_in_paths_and_queries_share_no_cached_answer() -> None:
    _, token = make_key(name="mine", **DOMAINS)
    _, other = make_key(name="theirs", domains=[EVIL])
    for url in ("/cached/{}/", "/cached/?key={}"):
        assert body(call(url.format(token), None, LISTED))["key"] == "mine"
        assert call(url.format(token), None, UNLISTED).status_code == 403
        assert body(call(url.format(other), None, UNLISTED))["key"] == "theirs"


def test_a_cache_around_the_handler_serves_no_refused_place() -> None:
    _, token = make_key(**DOMAINS)
    assert call("/cached-inside/", token, LISTED).status_code == 200
    assert call("/cached-inside/", token, UNLISTED).status_code == 403
    assert call("/cached-inside/", None, LISTED).status_code == 401


def test_a_cache_around_the_handler_that_varies_keeps_keys_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CachedInside, "asked", 0)
    tokens = {name: make_key(name=name, **DOMAINS)[1] for name in ("mine", "theirs")}
    for _time in range(2):
        for name, token in tokens.items():
            assert body(call("/cached-inside/", token, LISTED))["key"] == name
    assert CachedInside.asked == 2


def test_a_site_wide_cache_serves_nobody_another_s_answer(settings: Any) -> None:
    settings.MIDDLEWARE = [
        "django.middleware.cache.UpdateCacheMiddleware",
        *settings.MIDDLEWARE,
        "django.middleware.cache.FetchFromCacheMiddleware",
    ]
    cache.clear()
    _, token = make_key(**DOMAINS)
    assert call("/alone/", token, LISTED).status_code == 200
    assert call("/alone/", token, UNLISTED).status_code == 403
    assert call("/alone/", None, LISTED).status_code == 401


def test_a_permission_asked_outside_a_view_has_nothing_to_wrap() -> None:
    _, token = make_key(**DOMAINS)
    request = Request(RequestFactory().get("/", headers={"X-API-Key": token, "Origin": SHOP}))
    assert IsAllowlisted().has_permission(request, object())  # type: ignore[arg-type]
    assert IsAllowlistedQuietly().has_permission(request, object())  # type: ignore[arg-type]


def test_messages_are_translated_and_reasons_and_codes_are_not() -> None:
    class Translated(IsAllowlisted):
        domain_message = gettext_lazy("Yes")

    with override("de"):
        said = Translated().get_body(Reason.ORIGIN_NOT_LISTED)
    assert (said["message"], said["reason"]) == ("Ja", "origin_not_listed")
