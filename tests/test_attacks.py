"""How would I get in from a place that is not listed? Each way that came to mind, over HTTP, refused.

Each row is a request from someone who has the token (it is in the page's source) but is in no listed
place. The response must hold nothing of what the view would have returned. Look-alikes of a listed site
are in ``tests/hostile/``.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client
from django.urls import path
from django.views.decorators.cache import cache_page
from rest_framework.authentication import BasicAuthentication, SessionAuthentication
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from allowlist.authentication import APIKeyAuthentication
from allowlist.permissions import IsAllowlisted
from tests.testing import ELSEWHERE, EVIL, SERVER, SHOP, call, make_key, reason

pytestmark = [pytest.mark.django_db(databases="__all__"), pytest.mark.urls(__name__)]

TREASURE = "the widget's configuration"


class Widget(APIView):
    """What attackers want to read, or to have done."""

    authentication_classes: Any = [APIKeyAuthentication, SessionAuthentication, BasicAuthentication]
    permission_classes = [IsAllowlisted]

    def get(self, request: Request, **kwargs: Any) -> Response:
        """Return a response."""
        return Response({"treasure": TREASURE})

    post = put = patch = delete = get


class InPath(Widget):
    """Takes the key from the path as well."""

    allowlist_key_kwarg = "public_id"


urlpatterns = [
    path("widget/", Widget.as_view()),
    path("cached/", cache_page(60)(Widget.as_view())),
    path("in-path/<path:public_id>/", InPath.as_view()),
    path("by-any-path/<str:other>/", InPath.as_view()),
]

LISTED_HOST = "shop.example.com"
# The key lists https://shop.example.com, *.wild.example.com and, for hosts on any port, host.example.com.
DOMAINS = [SHOP, "*.wild.example.com", "host.example.com"]


def from_page(**headers: str) -> Any:
    """Return a row: headers of a page, underscores for hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return pytest.param(named, id=ascii(headers)[:90])


HEADERS = [
    from_page(Referer=EVIL + "/"),
    from_page(Referer="https://shop.example.com@evil.example.net/"),
    from_page(Referer=""),
    from_page(Origin="null", Referer=SHOP + "/"),
    from_page(Origin="", Referer=SHOP + "/"),
    from_page(Origin=EVIL, Referer=SHOP + "/"),
    from_page(Origin="nonsense", Referer=SHOP + "/"),
    from_page(Origin=" ", Referer=SHOP + "/"),
    from_page(Referrer=SHOP + "/"),
    from_page(Sec_Fetch_Site="same-origin"),
    from_page(Sec_Fetch_Site="none"),
    from_page(Sec_Fetch_Site=SHOP),
    from_page(Sec_Fetch_Site=""),
    from_page(Sec_Fetch_Site="same-origin", Origin=EVIL),
    from_page(Sec_Fetch_Site="same-origin", Sec_Fetch_Mode="same-origin", Referer=EVIL),
    from_page(X_Forwarded_Host=LISTED_HOST),
    from_page(X_Forwarded_Server=LISTED_HOST, Origin=EVIL),
    from_page(X_Forwarded_Proto="https", Origin="http://shop.example.com"),
    from_page(X_Forwarded_Origin=SHOP, Origin=EVIL),
    from_page(X_Original_Origin=SHOP, Origin=EVIL),
    from_page(X_Origin=SHOP, Origin=EVIL),
    from_page(Sec_WebSocket_Origin=SHOP, Origin=EVIL),
    from_page(Sec_Origin=SHOP),
    from_page(HTTP_ORIGIN=SHOP),
    from_page(From=SHOP, Via=SHOP),
    from_page(Forwarded=f"host={LISTED_HOST};proto=https;for={SERVER}", Origin=EVIL),
    from_page(Host=LISTED_HOST, Origin=EVIL),
    from_page(Host=LISTED_HOST),
    from_page(Host=LISTED_HOST, X_Forwarded_Host=LISTED_HOST, X_Forwarded_For=SERVER),
    from_page(Access_Control_Allow_Origin=SHOP, Origin=EVIL),
    from_page(Access_Control_Request_Method="GET", Origin=EVIL),
    from_page(X_Requested_With="XMLHttpRequest", Origin=EVIL),
    from_page(X_HTTP_Method_Override="OPTIONS", Origin=EVIL),
    from_page(X_HTTP_Method="OPTIONS", Origin=EVIL),
    from_page(X_Original_URL="/open/", X_Rewrite_URL="/open/", Origin=EVIL),
    from_page(Cookie="sessionid=x; allowlist=1; origin=" + SHOP, Origin=EVIL),
    from_page(Authorization="", Origin=EVIL),
    from_page(If_None_Match="*", Origin=EVIL),
    from_page(If_Modified_Since="Fri, 31 Dec 2100 00:00:00 GMT", Origin=EVIL),
    from_page(Range="bytes=0-", Origin=EVIL),
    from_page(Accept="text/html", Origin=EVIL),
    from_page(Accept="text/html", Referer=EVIL),
    from_page(Purpose="prefetch", Sec_Purpose="prefetch", Origin=EVIL),
    from_page(X_Debug="1", X_Internal="1", X_Real_IP="127.0.0.1", Origin=EVIL),
    from_page(),
]


def assert_refused(answer: Any, *expected: str) -> None:
    """Assert that the response holds nothing of the view's, and that the lists are why."""
    assert answer.status_code == 403
    assert TREASURE.encode() not in answer.content
    if answer["Content-Type"] == "application/json":
        assert reason(answer) in expected


DOMAIN_REASONS = [f"origin_{end}" for end in ("not_listed", "opaque", "malformed", "hidden", "missing")]


def test_honest_requests_are_served() -> None:
    _, token = make_key(domains=DOMAINS)
    for origin in (SHOP, f"{SHOP}.", "https://a.wild.example.com", "http://host.example.com:81"):
        assert TREASURE in call("/widget/", token, {"Origin": origin}).content.decode()
    assert TREASURE in call(f"/in-path/{token}/", None, {"Origin": SHOP}).content.decode()
    _, token = make_key(ips=[SERVER])
    assert TREASURE in call("/widget/", token, REMOTE_ADDR=SERVER).content.decode()


@pytest.mark.parametrize("headers", HEADERS)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_other_header_helps(headers: dict[str, str], method: str) -> None:
    _, token = make_key(domains=DOMAINS)
    assert_refused(call("/widget/", token, headers, method=method), *DOMAIN_REASONS)


@pytest.mark.parametrize(
    "method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "get", "BREW"]
)
def test_no_method_helps(method: str) -> None:
    _, token = make_key(domains=DOMAINS)
    answer = call("/widget/", token, {"Origin": EVIL}, method=method)
    assert answer.status_code == 403
    assert TREASURE.encode() not in answer.content


OVERRIDES: list[tuple[str, dict[str, str], str, str]] = [
    ("POST", {}, "_method=GET&_content_type=application/json", "application/x-www-form-urlencoded"),
    ("POST", {}, f"origin={SHOP}&Origin={SHOP}&HTTP_ORIGIN={SHOP}", "application/x-www-form-urlencoded"),
    ("POST", {}, json.dumps({"origin": SHOP, "referer": SHOP, "allowlist": True}), "application/json"),
    ("POST", {"X-HTTP-Method-Override": "GET"}, "", "text/plain"),
    ("POST", {"Content-Type": "text/plain"}, "not json", "text/plain"),
    ("POST", {}, "{", "application/json"),
]


@pytest.mark.parametrize(("method", "headers", "data", "kind"), OVERRIDES)
def test_no_body_helps(method: str, headers: dict[str, str], data: str, kind: str) -> None:
    _, token = make_key(domains=DOMAINS)
    for origin in ({"Origin": EVIL}, {"Origin": "null"}, {"Referer": EVIL}):
        answer = call("/widget/", token, {**headers, **origin}, method=method, data=data, content_type=kind)
        assert_refused(answer, *DOMAIN_REASONS)


QUERIES = [
    f"origin={SHOP}",
    f"Origin={SHOP}",
    f"HTTP_ORIGIN={SHOP}",
    f"referer={SHOP}",
    f"referrer={SHOP}",
    "format=json",
    "format=api",
    "method=OPTIONS",
    "_method=OPTIONS",
    "callback=alert",
    "allowlist=0",
    "enforcement=report",
    f"#{SHOP}",
    f"@{LISTED_HOST}",
    "key=",
    "key=x",
]


@pytest.mark.parametrize("query", QUERIES)
def test_no_query_helps(query: str) -> None:
    _, token = make_key(domains=DOMAINS)
    assert_refused(call(f"/widget/?{query}", token, {"Origin": EVIL}), *DOMAIN_REASONS)


# From here on the attacker has a key of their own that works from everywhere.


def test_one_s_own_key_opens_no_other_key_in_the_path() -> None:
    """The header's key decides, and it is the one the view is given."""
    victim, token = make_key(domains=DOMAINS)
    own, own_token = make_key(name="own")
    answer = call(f"/in-path/{token}/", own_token, {"Origin": EVIL})
    assert answer.wsgi_request.allowlist.key == own
    assert answer.wsgi_request.allowlist.key != victim


KEYS: list[tuple[str, dict[str, str], str]] = [
    ("/in-path/{victim}/", {}, "origin_not_listed"),
    ("/in-path/{victim}/?key={own}", {}, "origin_not_listed"),
    ("/in-path/{victim}/{own}/", {}, "key_invalid"),
    ("/in-path/{own}/{victim}/", {}, "key_invalid"),
    ("/in-path/{victim}%00/", {}, "key_invalid"),
    ("/in-path/{victim}%2F/", {}, "key_invalid"),
    ("/in-path/{victim}%20/", {}, "key_invalid"),
    ("/in-path/{victim},{own}/", {}, "key_invalid"),
    ("/in-path/x/?key={own}", {}, "key_invalid"),
    ("/in-path/x/?public_id={own}", {}, "key_invalid"),
    ("/by-any-path/{own}/", {}, "key_missing"),
    ("/by-any-path/{own}/?key={victim}", {}, "origin_not_listed"),
    ("/widget/?key={victim}", {}, "origin_not_listed"),
    ("/widget/?key={own}&key={victim}", {}, "origin_not_listed"),
    ("/widget/?key={victim},{own}", {}, "key_missing"),
    ("/widget/?key={own}", {"X-API-Key": "{victim}"}, "origin_not_listed"),
    ("/widget/", {"X-API-Key": "{victim}", "Authorization": "Bearer {own}"}, "origin_not_listed"),
    ("/widget/", {"X-API-Key": "{victim}, {own}"}, "key_invalid"),
    ("/widget/", {"X-API-Key": "{own}, {victim}"}, "key_invalid"),
    ("/widget/", {"X-API-Key": "{victim}", "X-Api-Key-Id": "{own}", "Api-Key": "{own}"}, "origin_not_listed"),
    ("/widget/?key={own}", {"Authorization": "Bearer {victim}"}, "origin_not_listed"),
]


@pytest.mark.parametrize(("url", "headers", "expected"), KEYS)
def test_no_other_key_beside_it_helps(url: str, headers: Mapping[str, str], expected: str) -> None:
    _, victim = make_key(domains=DOMAINS)
    _, own = make_key(name="own")
    sent = {name: value.format(victim=victim, own=own) for name, value in headers.items()}
    answer = call(url.format(victim=victim, own=own), None, {**sent, "Origin": EVIL})
    assert answer.status_code in (401, 403)
    assert reason(answer) == expected
    assert TREASURE.encode() not in answer.content


# From here on the key lists one server's address.

ADDRESSES: list[tuple[tuple[str, ...], str, str | None]] = [
    ((), ELSEWHERE, None),
    ((), ELSEWHERE, SERVER),
    ((), ELSEWHERE, f"{SERVER}, {SERVER}"),
    ((), "203.0.113.70", None),
    ((), "203.0.113.8", None),
    ((), "::203.0.113.7", None),
    ((), "2002:cb00:7107::1", None),
    ((), "64:ff9b::cb00:7107", None),
    ((), f"{SERVER}, {ELSEWHERE}", None),
    ((), f"{ELSEWHERE}, {SERVER}", None),
    ((), "", SERVER),
    ((), "localhost", SERVER),
    ((), "unix:", SERVER),
    ((), "127.0.0.1", SERVER),
    ((), "::1", SERVER),
    ((), "10.0.0.1", SERVER),
    (("10.0.0.0/8",), ELSEWHERE, SERVER),
    (("10.0.0.0/8",), "110.0.0.1", SERVER),
    (("10.0.0.0/8",), "::10.0.0.1", SERVER),
    (("10.0.0.0/8",), "", SERVER),
    (("10.0.0.0/8",), "10.0.0.1", f"{SERVER}, {ELSEWHERE}"),
    (("10.0.0.0/8",), "10.0.0.1", f"{SERVER}, {ELSEWHERE}, 10.0.0.2"),
    (("10.0.0.0/8",), "10.0.0.1", f"{SERVER}, 10.0.0.3, {ELSEWHERE}"),
    (("unix",), ELSEWHERE, SERVER),
    (("unix",), "127.0.0.1", SERVER),
    (("unix",), "", f"{SERVER}, {ELSEWHERE}"),
    (("unix",), "", None),
]


@pytest.mark.parametrize(("proxies", "remote", "forwarded"), ADDRESSES)
def test_no_other_address_passes_for_a_listed_one(
    settings: Any, proxies: tuple[str, ...], remote: str, forwarded: str | None
) -> None:
    settings.ALLOWLIST = {"TRUSTED_PROXIES": proxies}
    _, token = make_key(ips=[SERVER])
    headers = {"X-Forwarded-For": forwarded}
    assert_refused(call("/widget/", token, headers, REMOTE_ADDR=remote), "ip_not_listed", "ip_unknown")


# From here on the key has both lists.


@pytest.mark.parametrize(
    ("condition", "headers", "remote", "expected"),
    [
        ("all", {"Origin": SHOP}, ELSEWHERE, "ip_not_listed"),
        ("all", {"Origin": EVIL}, SERVER, "origin_not_listed"),
        ("all", {}, SERVER, "origin_missing"),
        ("all", {"Origin": "null"}, SERVER, "origin_opaque"),
        ("any", {"Origin": EVIL}, ELSEWHERE, "origin_not_listed"),
        ("any", {}, ELSEWHERE, "ip_not_listed"),
        ("by_source", {"Origin": EVIL}, SERVER, "origin_not_listed"),
        ("by_source", {"Origin": "null"}, SERVER, "origin_opaque"),
        ("by_source", {"Origin": ""}, SERVER, "origin_malformed"),
        ("by_source", {"Sec-Fetch-Site": "cross-site"}, SERVER, "origin_hidden"),
        ("by_source", {"Referer": EVIL}, SERVER, "origin_not_listed"),
        ("by_source", {}, ELSEWHERE, "ip_not_listed"),
    ],
)
def test_neither_list_is_got_around_by_the_other(
    condition: str, headers: dict[str, str], remote: str, expected: str
) -> None:
    _, token = make_key(domains=DOMAINS, ips=[SERVER], condition=condition)
    assert_refused(call("/widget/", token, headers, REMOTE_ADDR=remote), expected)


@pytest.mark.parametrize(
    "headers", [{"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": ""}, {"Referer": ""}]
)
def test_a_page_that_hides_is_refused_even_where_servers_are_served(
    settings: Any, headers: dict[str, str]
) -> None:
    settings.ALLOWLIST = {"MISSING_ORIGIN": "allow"}
    _, token = make_key(domains=DOMAINS)
    assert call("/widget/", token).status_code == 200
    assert_refused(call("/widget/", token, headers), *DOMAIN_REASONS)


# And what others were served.


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": EVIL},
        {"Origin": "null"},
        {"Referer": SHOP + "/", "Origin": EVIL},
        {},
        {"Origin": EVIL, "Cache-Control": "only-if-cached"},
        {"Origin": EVIL, "If-None-Match": "*"},
        {"Origin": EVIL, "Accept": "*/*"},
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_another_s_cached_answer_is_not_served(headers: dict[str, str], method: str) -> None:
    _, token = make_key(domains=DOMAINS)
    client = Client()
    assert call("/cached/", token, {"Origin": SHOP}, client=client).status_code == 200
    assert call("/cached/", token, headers, client=client, method=method).status_code == 403
    assert call("/cached/", None, {"Origin": SHOP}, client=client, method=method).status_code == 401


def test_a_session_or_a_password_is_no_way_past_the_lists(make_user: Any) -> None:
    user = make_user("root", is_staff=True, is_superuser=True)
    client = Client()
    client.force_login(user)
    _, token = make_key(domains=DOMAINS)
    assert_refused(call("/widget/", token, {"Origin": EVIL}, client=client), "origin_not_listed")
    assert reason(call("/widget/", None, {"Origin": SHOP}, client=client)) == "key_missing"


def test_a_served_request_before_it_on_the_same_connection_helps_nobody() -> None:
    _, token = make_key(domains=DOMAINS)
    client = Client()
    for _ in range(2):
        assert call("/widget/", token, {"Origin": SHOP}, client=client).status_code == 200
        assert_refused(call("/widget/", token, {"Origin": EVIL}, client=client), "origin_not_listed")
        assert_refused(call("/widget/", token, client=client), "origin_missing")


@pytest.mark.parametrize("change", ["remove", "restrict", "revoke", "rotate", "delete"])
def test_what_was_allowed_a_moment_ago_is_not_now(change: str) -> None:
    key, token = make_key(domains=[*DOMAINS, EVIL])
    assert call("/widget/", token, {"Origin": EVIL}).status_code == 200
    changes: dict[str, Callable[[], Any]] = {
        "remove": lambda: key.remove_domains([EVIL]),
        "restrict": lambda: key.restrict_domains(DOMAINS),
        "revoke": key.revoke,
        "rotate": key.rotate,
        "delete": key.delete,
    }
    changes[change]()
    assert call("/widget/", token, {"Origin": EVIL}).status_code in (401, 403)


def test_no_token_can_be_guessed_from_another(settings: Any) -> None:
    _, token = make_key(name="open")
    others = [
        token[:-1],
        token + "A",
        token.swapcase(),
        token.replace("pk_", "sk_"),
        token[:20] + "A" * 32,
        token[:8] + "a" * 12 + token[20:],
        quote(token[:-1] + "é"),
    ]
    for text in others:
        answer = call("/widget/", text, {"Origin": SHOP})
        assert answer.status_code in (401, 403)
        assert reason(answer) in ("key_invalid", "secret_key_in_browser")
