"""One table of requests through every door: DRF, plain views, async views, classes, Ninja, WebSockets."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, NamedTuple

import pytest
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views import View
from ninja import NinjaAPI
from rest_framework.response import Response
from rest_framework.views import APIView

from allowlist.contrib import channels, ninja
from allowlist.decorators import allowlisted
from allowlist.models import APIKey
from allowlist.permissions import IsAllowlisted
from tests.testing import (
    DOMAIN_MESSAGE,
    ELSEWHERE,
    EVIL,
    IP_MESSAGE,
    SERVER,
    SHOP,
    UNKNOWN,
    Reply,
    body,
    call,
    call_async,
    make_key,
    set_raw,
)
from tests.websockets import echo, open_socket

pytestmark = [pytest.mark.django_db(databases="__all__"), pytest.mark.urls(__name__)]


# The doors


def seen(request: Any) -> dict[str, Any]:
    """Return what a view of any kind returns here."""
    return {"key": request.allowlist.key.name, "reason": request.allowlist.decision.reason}


class DRF(APIView):
    """A view of DRF's."""

    authentication_classes = ()
    permission_classes = (IsAllowlisted,)
    allowlist_key_kwarg = "public_id"

    def get(self, request: Any, **kwargs: Any) -> Response:
        """Return a response."""
        return Response(seen(request))

    post = get


guard = allowlisted(key_kwarg="public_id")


@guard
def plain(request: HttpRequest, **kwargs: Any) -> HttpResponse:
    """Return a response."""
    return JsonResponse(seen(request))


@guard
async def asynchronous(request: HttpRequest, **kwargs: Any) -> HttpResponse:
    """Return a response."""
    return JsonResponse(seen(request))


@method_decorator(guard, name="dispatch")
class ClassBased(View):
    """A class with sync handlers."""

    def get(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        """Return a response."""
        return JsonResponse(seen(request))

    post = get


@method_decorator(guard, name="dispatch")
class AsyncClassBased(View):
    """A class with async handlers."""

    async def get(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        """Return a response."""
        return JsonResponse(seen(request))

    async def post(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        """Return a response."""
        return JsonResponse(seen(request))


api = NinjaAPI(auth=ninja.Allowlisted(key_kwarg="public_id"))
ninja.install(api)
METHODS = ["GET", "HEAD", "OPTIONS", "POST"]


@api.api_operation(METHODS, "/sync/")
def operation(request: Any) -> Any:
    """Return a response."""
    assert request.auth is request.allowlist.key
    return seen(request)


@api.api_operation(METHODS, "/sync/{public_id}/")
def operation_in_path(request: Any, public_id: str) -> Any:
    """Return a response."""
    return operation(request)


@api.api_operation(METHODS, "/async/")
async def async_operation(request: Any) -> Any:
    """Return a response."""
    return operation(request)


@api.api_operation(METHODS, "/async/{public_id}/")
async def async_operation_in_path(request: Any, public_id: str) -> Any:
    """Return a response."""
    return operation(request)


VIEWS: dict[str, Any] = {
    "drf": DRF.as_view(),
    "plain": plain,
    "async": asynchronous,
    "class": ClassBased.as_view(),
    "async-class": AsyncClassBased.as_view(),
}
ninja_urls = api.urls
for view in (VIEWS["async"], VIEWS["async-class"], *(each.callback for each in ninja_urls[0])):
    transaction.non_atomic_requests(view)
urlpatterns = [
    *(path(f"{name}/", view) for name, view in VIEWS.items()),
    *(path(f"{name}/<str:public_id>/", view) for name, view in VIEWS.items()),
    path("ninja/", ninja_urls),
]


class Door(NamedTuple):
    """A kind of view, with the URL that it has here, and the kind of server that calls it."""

    url: str
    send: Callable[..., Reply]
    has_headers: bool = True
    """Whether a served response is promised our headers."""


REFERENCE = Door("/drf/", call)
DOORS = [
    Door("/plain/", call),
    Door("/async/", call_async),
    Door("/class/", call),
    Door("/async-class/", call),
    Door("/async-class/", call_async),
    Door("/ninja/sync/", call, has_headers=False),
    Door("/ninja/async/", call_async, has_headers=False),
]


# The requests


class Row(NamedTuple):
    """A request, and what it gets: 200 without a reason, or with the reason that the key only reports."""

    name: str
    status: int
    reason: str | None = None
    message: str = ""
    shows: Mapping[str, str | None] = {}
    """What the refusal's body shows of the request."""
    key: Mapping[str, Any] = {}
    change: Callable[[APIKey], object] = bool
    """What happens to the key before."""
    settings: Mapping[str, Any] = {}
    place: str = "X-API-Key"
    token: str | None = None
    """What is sent instead of the key's token."""
    origin: str | None = None
    headers: Mapping[str, str] = {}
    ip: str = SERVER
    method: str = "GET"


LISTED = {"domains": [SHOP]}
SERVERS = {"ips": [SERVER, "2001:db8::/32"]}
BOTH = {**LISTED, **SERVERS}
SECRET = {"kind": "secret"}
NO_KEY = "No API key was sent. Send yours in the X-API-Key header."
BAD_KEY = "This API key does not work: it may be mistyped, revoked or expired. Its creator can see which."
SERVERS_ONLY = "Permission denied. This key accepts requests from servers only."
PAGES_ONLY = "Permission denied. This key accepts requests from web pages only."
IN_URL = (
    "A secret key was sent in the URL, which servers log. Rotate it, and send the new one in the X-API-Key "
    "header."
)
IN_BROWSER = (
    "A secret key was sent by a browser, where every visitor can copy it. Rotate it, and use a publishable "
    "key on web pages."
)
UNDECIDED = "The request could not be checked. Try again in a moment."
PROXY = {"TRUSTED_PROXIES": ("10.0.0.0/8",)}


def expire(key: APIKey) -> None:
    """End a key."""
    APIKey.objects.filter(pk=key.pk).update(expires_at=timezone.now() - timedelta(minutes=1))


def missing(name: str, **more: Any) -> Row:
    """Return a request without a key."""
    return Row(name, 401, "key_missing", NO_KEY, **more)


def invalid(name: str, **more: Any) -> Row:
    """Return a request whose key isn't valid."""
    return Row(name, 401, "key_invalid", BAD_KEY, **more)


def by_domain(name: str, reason: str, shown: str | None, **more: Any) -> Row:
    """Return a request that the domain rule refuses."""
    return Row(name, 403, reason, DOMAIN_MESSAGE, {"origin": shown}, **{"key": LISTED, **more})


def by_ip(name: str, reason: str, shown: str | None, **more: Any) -> Row:
    """Return a request that the IP rule refuses."""
    return Row(name, 403, reason, IP_MESSAGE, {"ip": shown}, **{"key": SERVERS, **more})


def by_kind(name: str, reason: str, message: str, shows: dict[str, str | None], **more: Any) -> Row:
    """Return a request of a kind that the key doesn't accept."""
    return Row(name, 403, reason, message, shows, **more)


BY_SOURCE = {"condition": "by_source"}
ROWS = [
    # Where the key is.
    Row("an open key", 200),
    Row("Authorization: Api-Key", 200, place="Api-Key"),
    Row("Authorization: Bearer", 200, place="Bearer"),
    Row("the query", 200, place="query"),
    Row("the path", 200, place="path"),
    missing("nothing", place="nowhere"),
    missing("an empty header", token=""),
    missing("someone else's Bearer", place="Bearer", token="a.b.c"),
    missing("someone else's query", place="query", token="secret-sauce"),
    invalid("an unknown token", token=UNKNOWN),
    invalid("nonsense", token="nonsense"),
    invalid("100 kB", token="x" * 100_000),
    invalid("nonsense in the path", place="path", token="nonsense"),
    invalid("two keys", headers={"Authorization": "Api-Key nonsense"}, token=UNKNOWN),
    # What became of the key.
    invalid("a revoked key", change=APIKey.revoke),
    invalid("an expired key", change=expire),
    invalid("a deleted key", change=APIKey.delete),
    invalid("a rotated key", change=APIKey.rotate),
    Row("an old token that still works", 200, change=lambda key: key.rotate(timedelta(hours=1))),
    invalid("a test key", key={"environment": "test"}, settings={"ENVIRONMENTS": ("live",)}),
    # Secret keys.
    Row("a secret key from a server", 200, key=SECRET),
    Row("a secret key in the query", 403, "key_in_url", IN_URL, key=SECRET, place="query"),
    Row("a secret key in the path", 403, "key_in_url", IN_URL, key=SECRET, place="path"),
    Row("a secret key from a page", 403, "secret_key_in_browser", IN_BROWSER, key=SECRET, origin=SHOP),
    by_ip("a secret key elsewhere", "ip_not_listed", ELSEWHERE, key={**SECRET, **SERVERS}, ip=ELSEWHERE),
    # The domain list.
    Row("a listed page", 200, key=LISTED, origin=SHOP),
    Row("a listed page by Referer", 200, key=LISTED, headers={"Referer": f"{SHOP}/a?b#c"}),
    Row("a subdomain", 200, key={"domains": ["*.example.com"]}, origin="http://a.b.example.com:8000"),
    by_domain("another page", "origin_not_listed", EVIL, origin=EVIL),
    by_domain("another page by Referer", "origin_not_listed", EVIL, headers={"Referer": f"{EVIL}/"}),
    by_domain(
        "another scheme", "origin_not_listed", "http://shop.example.com", origin="http://shop.example.com"
    ),
    by_domain("Origin before Referer", "origin_not_listed", EVIL, origin=EVIL, headers={"Referer": SHOP}),
    by_domain("null", "origin_opaque", None, origin="null", headers={"Referer": SHOP}),
    by_domain("an empty Origin", "origin_malformed", None, origin="", headers={"Referer": SHOP}),
    by_domain("two Origins", "origin_malformed", None, origin=f"{SHOP}, {SHOP}"),
    by_domain("userinfo", "origin_malformed", None, origin="https://shop.example.com@evil.example.net"),
    by_domain("a hidden page", "origin_hidden", None, headers={"Sec-Fetch-Site": "cross-site"}),
    by_domain("a server", "origin_missing", None),
    Row("a server that may", 200, key=LISTED, settings={"MISSING_ORIGIN": "allow"}),
    by_domain("a HEAD request", "origin_not_listed", EVIL, origin=EVIL, method="HEAD"),
    by_domain("an OPTIONS request", "origin_not_listed", EVIL, origin=EVIL, method="OPTIONS"),
    by_domain("a POST request", "origin_not_listed", EVIL, origin=EVIL, method="POST"),
    Row("a served POST request", 200, key=LISTED, origin=SHOP, method="POST"),
    # The IP list.
    Row("a listed server", 200, key=SERVERS),
    Row("a listed network", 200, key=SERVERS, ip="2001:db8::7"),
    by_ip("another server", "ip_not_listed", ELSEWHERE, ip=ELSEWHERE),
    by_ip("no address", "ip_unknown", None, ip=""),
    by_ip("a forged header", "ip_not_listed", ELSEWHERE, ip=ELSEWHERE, headers={"X-Forwarded-For": SERVER}),
    Row(
        "a trusted proxy",
        200,
        key=SERVERS,
        settings=PROXY,
        ip="10.0.0.1",
        headers={"X-Forwarded-For": SERVER},
    ),
    # Both.
    Row("both", 200, key=BOTH, origin=SHOP),
    by_ip("both, elsewhere", "ip_not_listed", ELSEWHERE, key=BOTH, origin=SHOP, ip=ELSEWHERE),
    by_domain("both, another page", "origin_not_listed", EVIL, key=BOTH, origin=EVIL),
    Row("any, by its address", 200, key={**BOTH, "condition": "any"}, origin=EVIL),
    Row("by source, a page", 200, key={**BOTH, **BY_SOURCE}, origin=SHOP, ip=ELSEWHERE),
    by_ip("by source, a server", "ip_not_listed", ELSEWHERE, key={**BOTH, **BY_SOURCE}, ip=ELSEWHERE),
    by_kind(
        "servers only",
        "browser_not_allowed",
        SERVERS_ONLY,
        {"origin": SHOP, "ip": SERVER},
        key={**SERVERS, **BY_SOURCE},
        origin=SHOP,
    ),
    by_kind("pages only", "server_not_allowed", PAGES_ONLY, {"origin": None}, key={**LISTED, **BY_SOURCE}),
    # Keys that only report, and what can't be decided.
    Row("report only", 200, "origin_not_listed", key={**LISTED, "enforcement": "report"}, origin=EVIL),
    Row(
        "an unreadable key", 503, "undecided", UNDECIDED, change=lambda key: set_raw(key, "domain_mode", "?")
    ),
    Row("wrong settings", 503, "undecided", UNDECIDED, settings={"NONSENSE": 1}),
]


def sent(row: Row, url: str, token: str) -> tuple[str, dict[str, str]]:
    """Return the row's URL and headers, with the token in its place."""
    headers = dict(row.headers)
    if row.place == "query":
        url += f"?key={token}"
    elif row.place == "path":
        url += f"{token}/"
    elif row.place in ("Api-Key", "Bearer"):
        headers["Authorization"] = f"{row.place} {token}"
    elif row.place != "nowhere":
        headers[row.place] = token
    return url, headers


def send(door: Door, row: Row, token: str) -> Reply:
    """Send the row's request to the door."""
    url, headers = sent(row, door.url, token)
    at = {"ip" if door.send is call_async else "REMOTE_ADDR": row.ip}
    return door.send(url, None, headers, origin=row.origin, method=row.method, **at)


def our_headers(reply: Reply) -> dict[str, Any]:
    """Return the headers that a guarded view's response has from us."""
    vary = {name.strip() for name in reply.get("Vary", "").split(",")}
    others = {"Accept", "Cookie", "origin"}
    return {
        "Cache-Control": reply.get("Cache-Control"),
        "WWW-Authenticate": reply.get("WWW-Authenticate"),
        "Vary": vary - others,
    }


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_every_door_responds_alike(row: Row, settings: Any) -> None:
    key, token = make_key(**row.key)
    row.change(key)
    settings.ALLOWLIST = row.settings
    token = token if row.token is None else row.token
    reference = send(REFERENCE, row, token)
    assert reference.status_code == row.status
    if row.method != "HEAD":
        expected = {"key": "widget", "reason": row.reason}
        if row.status != 200:
            code = {401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 503: "UNAVAILABLE"}[row.status]
            hint = body(reference)["hint"]
            expected = {"code": code, "message": row.message, "reason": row.reason, "hint": hint, **row.shows}
        assert body(reference) == expected
    for door in DOORS:
        reply = send(door, row, token)
        assert (door, reply.status_code) == (door, row.status)
        if row.method != "HEAD":
            assert (door, body(reply)) == (door, body(reference))
        if door.has_headers or row.status != 200:
            assert (door, our_headers(reply)) == (door, our_headers(reference))
    if row.method == "GET":
        assert handshake(row, token) == (f"widget, {row.reason}" if row.status == 200 else (4403, row.reason))


def handshake(row: Row, token: str) -> Any:
    """Return what a WebSocket says that the row's request opens, or what it is closed with."""
    url, headers = sent(row, "/", token)
    if row.origin is not None:
        headers["Origin"] = row.origin
    kwargs = {"public_id": token} if row.place == "path" else {}
    app = channels.Allowlisted(echo, readable=True, key_kwarg="public_id")
    said, _protocol = open_socket(app, url, *headers.items(), ip=row.ip, kwargs=kwargs)
    return said
