"""``@embeddable``: the view that serves a frame's document judges the page that embeds the frame."""

import html
import re
from collections.abc import Callable
from typing import Any

import django
import pytest
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.template.response import SimpleTemplateResponse
from django.test import Client, RequestFactory, override_settings
from django.urls import path
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import cache_page
from django.views.decorators.clickjacking import xframe_options_deny
from rest_framework.views import APIView

from allowlist.contrib.corsheaders import is_guarded
from allowlist.decorators import allowlisted, embeddable
from allowlist.enforcement.access import access_of
from allowlist.enforcement.frame_guard import FrameRefused
from allowlist.models import BlockedSource
from allowlist.permissions import IsAllowlisted
from tests.testapp.views import AloneView
from tests.testing import (
    BLOG,
    ELSEWHERE,
    EVIL,
    SERVER,
    SHOP,
    UNKNOWN,
    Reply,
    call,
    call_async,
    make_key,
    reason,
)

pytestmark = [pytest.mark.django_db(databases="__all__"), pytest.mark.urls(__name__)]

OWN = "http://testserver"
FRAME = {"Sec-Fetch-Dest": "iframe", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
ANYBODY = "default-src 'none'; frame-ancestors *"


def document(request: Any, **kwargs: Any) -> HttpResponse:
    """Return the frame's document, which has the token."""
    request.session["visits"] = 1
    return HttpResponse(f"{request.user}|{request.allowlist.key.name}|{request.allowlist.embed_token}")


@embeddable
def frame(request: HttpRequest) -> HttpResponse:
    """Serve a frame."""
    return document(request)


@embeddable()
async def async_frame(request: HttpRequest) -> HttpResponse:
    """Serve a frame."""
    return document(request)


@method_decorator(embeddable, name="dispatch")
class Frame(View):
    """Serves a frame."""

    def get(self, request: HttpRequest) -> HttpResponse:
        """Return the frame's document."""
        return document(request)

    post = get


@method_decorator(embeddable, name="dispatch")
class AsyncFrame(View):
    """Serves a frame."""

    async def get(self, request: HttpRequest) -> HttpResponse:
        """Return the frame's document."""
        return document(request)


@embeddable
def own_headers(request: HttpRequest) -> HttpResponse:
    """Serve a frame with headers of its own that say who may embed and store it."""
    return HttpResponse(
        headers={
            "Content-Security-Policy": "img-src *; frame-ancestors 'none'",
            "Cache-Control": "public, max-age=60",
            "X-Frame-Options": "DENY",
            "Vary": "Accept-Language",
        }
    )


@embeddable
def template(request: HttpRequest) -> HttpResponse:
    """Serve a frame from a template that is rendered after the view."""
    response = SimpleTemplateResponse("allowlist/embed_refused.html", {"message": "Rendered"})
    response.add_post_render_callback(own_policy)
    return response


def own_policy(response: HttpResponse) -> None:
    """Set a policy when the response is rendered."""
    response["Content-Security-Policy"] = "img-src *"


@embeddable
def broken(request: HttpRequest) -> HttpResponse:
    """Fail."""
    raise RuntimeError


urlpatterns = [
    path("sync/", frame),
    path("async/", async_frame),
    path("class/", Frame.as_view()),
    path("async-class/", AsyncFrame.as_view()),
    path("in-path/<str:public_id>/", embeddable(key_kwarg="public_id")(document)),
    path("own-headers/", own_headers),
    path("template/", template),
    path("stream/", embeddable(lambda request: StreamingHttpResponse([b"streamed"]))),
    path("broken/", broken),
    path("cached/", cache_page(60)(frame)),
    path("denied/", xframe_options_deny(frame)),
    path("widget/", AloneView.as_view()),
]
WAYS = ["sync", "async", "class", "async-class"]


def embed(
    token: str | None, referer: str | None = f"{SHOP}/", headers: Any = None, url: str = "sync", **more: Any
) -> Reply:
    """Ask for a frame's document as a browser does for a page of ``referer``."""
    query = f"?key={token}" if token else ""
    return call(
        f"/{url}/{query}",
        None,
        {**FRAME, **(headers or {})},
        referer=referer,
        **{"REMOTE_ADDR": SERVER, **more},
    )


def sentence(reply: Reply) -> str:
    """Return what a refusal's page says: one paragraph, and its beginning as the title."""
    (title,), (text,) = (
        re.findall(f"<{tag}>(.*?)</{tag}>", reply.content.decode(), re.DOTALL) for tag in ("title", "p")
    )
    assert text.startswith(title)
    return html.unescape(text).strip()


def assert_refused(reply: Reply, status: int = 403) -> None:
    """Assert that the response is a page that any page may embed, nobody stores, and has no token."""
    assert reply.status_code == status
    assert reply["Content-Type"] == "text/html; charset=utf-8"
    assert reply["Content-Security-Policy"] == ANYBODY
    assert "X-Frame-Options" not in reply
    assert reply["Cache-Control"] == "private, no-store"
    assert "|" not in reply.content.decode()


@pytest.fixture(autouse=True)
def _clickjacking(settings: Any) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.middleware.clickjacking.XFrameOptionsMiddleware"]


# What a listed page gets


@pytest.mark.parametrize("url", WAYS)
def test_a_listed_page_s_frame_has_its_headers_and_a_token_that_works(url: str) -> None:
    _key, token = make_key(domains=[SHOP, BLOG], name="mine")
    reply = embed(token, url=url)
    user, name, embed_token = reply.content.decode().split("|")
    assert (reply.status_code, user, name) == (200, "AnonymousUser", "mine")
    assert reply["Content-Security-Policy"] == f"frame-ancestors {SHOP}"
    assert "X-Frame-Options" not in reply
    assert reply["Cache-Control"] == "private, no-store"
    assert "Referer" in reply["Vary"]
    assert not reply.cookies
    sent = {"X-Embed-Token": embed_token, "Origin": OWN}
    assert call("/widget/", token, sent).status_code == 200
    assert reason(call("/widget/", token, {**sent, "Origin": SHOP})) == "embed_token_invalid"


@pytest.mark.parametrize("url", WAYS)
def test_it_works_under_asgi(url: str) -> None:
    _key, token = make_key(domains=[SHOP])
    reply = call_async(f"/{url}/?key={token}", None, {**FRAME, "Referer": f"{SHOP}/"})
    assert (reply.status_code, reply["Content-Security-Policy"]) == (200, f"frame-ancestors {SHOP}")
    assert_refused(call_async(f"/{url}/?key={token}", None, {**FRAME, "Referer": f"{EVIL}/"}))
    assert_refused(call_async(f"/{url}/?key={token}", None, {**FRAME, "Sec-Fetch-Dest": "document"}))


@pytest.mark.parametrize(
    ("referer", "named"),
    [
        ("https://shop.example.com/", "https://shop.example.com"),
        ("https://shop.example.com:443/a?b=c", "https://shop.example.com"),
        ("https://SHOP.example.com./", "https://shop.example.com"),
        ("http://shop.example.com:8080/", "http://shop.example.com:8080"),
        ("https://a.b.wild.example/", "https://a.b.wild.example"),
    ],
)
def test_the_policy_names_the_embedding_origin_alone_with_its_port(referer: str, named: str) -> None:
    _key, token = make_key(domains=["shop.example.com", "*.wild.example", BLOG])
    reply = embed(token, referer)
    assert reply["Content-Security-Policy"] == f"frame-ancestors {named}"
    assert "blog" not in str(reply.headers) + reply.content.decode()


def test_a_key_without_lists_takes_any_page_that_says_who_it_is() -> None:
    _key, token = make_key()
    assert embed(token, f"{EVIL}/")["Content-Security-Policy"] == f"frame-ancestors {EVIL}"


def test_the_key_may_be_in_the_path() -> None:
    _key, token = make_key(domains=[SHOP])
    assert embed(None, url=f"in-path/{token}").status_code == 200
    assert_refused(embed(None, url=f"in-path/{UNKNOWN}"), 401)
    assert_refused(embed(None, f"{EVIL}/", url=f"in-path/{token}"))


def test_the_view_s_own_headers_are_merged_or_replaced() -> None:
    _key, token = make_key(domains=[SHOP])
    reply = embed(token, url="own-headers")
    assert reply["Content-Security-Policy"] == f"img-src *; frame-ancestors {SHOP}"
    assert reply["Cache-Control"] == "private, no-store"
    assert "X-Frame-Options" not in reply
    assert {"Accept-Language", "Referer", "X-Embed-Token"} <= set(reply["Vary"].split(", "))


def test_a_template_s_policy_is_merged_once_it_is_rendered() -> None:
    _key, token = make_key(domains=[SHOP])
    reply = embed(token, url="template")
    assert "Rendered" in reply.content.decode()
    assert reply["Content-Security-Policy"] == f"img-src *; frame-ancestors {SHOP}"


def test_a_stream_has_the_headers() -> None:
    _key, token = make_key(domains=[SHOP])
    assert embed(token, url="stream")["Content-Security-Policy"] == f"frame-ancestors {SHOP}"


def test_no_cache_around_the_view_keeps_a_token() -> None:
    _key, token = make_key(domains=[SHOP, BLOG])
    first, second = (embed(token, f"{page}/", url="cached") for page in (SHOP, BLOG))
    assert second["Content-Security-Policy"] == f"frame-ancestors {BLOG}"
    assert first.content != second.content


def test_a_visitor_s_session_counts_for_nothing(make_user: Any, settings: Any) -> None:
    _key, token = make_key(domains=[SHOP])
    client = Client()
    client.force_login(make_user("visitor"))
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
    reply = embed(token, client=client)
    assert reply.content.decode().startswith("AnonymousUser|")
    assert "visits" not in client.session


def test_a_view_that_fails_is_a_500_that_no_page_may_embed() -> None:
    _key, token = make_key(domains=[SHOP])
    reply = embed(token, url="broken", client=Client(raise_request_exception=False))
    assert (reply.status_code, reply["X-Frame-Options"]) == (500, "DENY")


# What others get


NAMES_ORIGIN = 'Add referrerpolicy="origin" to the iframe.'
CASES: list[tuple[str, dict[str, Any], str | None, dict[str, str | None], str, str]] = [
    ("unlisted", {}, f"{EVIL}/", {}, "origin_not_listed", f"Add {EVIL} to the key's allowed domains."),
    ("parent", {}, "https://example.com/", {}, "origin_not_listed", "Add https://example.com to"),
    ("hidden", {}, None, {}, "origin_hidden", NAMES_ORIGIN),
    ("absent", {}, None, {"Sec-Fetch-Site": None, "Sec-Fetch-Dest": None}, "origin_missing", NAMES_ORIGIN),
    ("malformed", {}, f"{SHOP}:0/", {}, "origin_malformed", "scheme, host, and port"),
    ("split", {}, f"{SHOP}\r\nX-Frame-Options: ALLOWALL", {}, "origin_malformed", "scheme, host"),
    ("semicolon", {}, f"{SHOP}; script-src *", {}, "origin_malformed", "scheme, host"),
    ("comma", {}, f"{SHOP}, *", {}, "origin_malformed", "scheme, host"),
    ("markup", {}, "https://<b>/", {}, "origin_malformed", "scheme, host"),
    ("userinfo", {}, "https://evil@shop.example.com/", {}, "origin_malformed", "scheme, host"),
    ("opaque", {}, f"{SHOP}/", {"Origin": "null"}, "origin_opaque", "The page has no origin"),
    ("unlisted origin", {}, f"{SHOP}/", {"Origin": EVIL}, "origin_not_listed", f"Add {EVIL} to"),
]


@pytest.mark.parametrize(
    ("fields", "referer", "headers", "expected", "said"),
    [case[1:] for case in CASES],
    ids=[case[0] for case in CASES],
)
@pytest.mark.parametrize("url", ["sync", "async"])
def test_a_refused_page_gets_a_sentence(
    fields: dict[str, Any], referer: str, headers: dict[str, Any], expected: str, said: str, url: str
) -> None:
    key, token = make_key(domains=[SHOP, BLOG], **fields)
    reply = embed(token, referer, headers, url)
    assert_refused(reply)
    assert said in sentence(reply)
    assert "blog" not in reply.content.decode()
    (row,) = BlockedSource.objects.filter(key=key)
    assert (row.reason, row.reported) == (expected, 0)


UNKNOWN_PAGES: list[tuple[str | None, dict[str, str | None], str]] = [
    (None, {}, "origin_hidden"),
    (None, {"Sec-Fetch-Site": "same-origin"}, "origin_hidden"),
    (None, {"Sec-Fetch-Site": None}, "origin_missing"),
    ("about:blank", {}, "origin_malformed"),
    (f"{SHOP}/", {"Origin": "null"}, "origin_opaque"),
]
LENIENT: list[dict[str, Any]] = [
    {},
    {"ips": [SERVER]},
    {"ips": [SERVER], "domains": [SHOP], "condition": "any"},
    {"ips": [SERVER], "condition": "by_source"},
    {"domains": [SHOP], "enforcement": "report"},
    {"enforcement": "report"},
]


@pytest.mark.parametrize("fields", LENIENT, ids=str)
def test_an_unknown_page_is_refused_whatever_the_key_and_the_settings_say(fields: dict[str, Any]) -> None:
    key, token = make_key(**fields)
    with override_settings(ALLOWLIST={"MISSING_ORIGIN": "allow", "EMPTY_LIST": "allow"}):
        for referer, headers, expected in UNKNOWN_PAGES:
            assert_refused(embed(token, referer, headers))
            assert BlockedSource.objects.filter(key=key, reason=expected, reported=0), expected
    key.refresh_from_db()
    assert key.last_used_at is None


def test_a_key_that_only_reports_shows_the_frame_on_an_unlisted_page() -> None:
    key, token = make_key(domains=[SHOP], enforcement="report")
    reply = embed(token, f"{EVIL}/")
    assert (reply.status_code, reply["Content-Security-Policy"]) == (200, f"frame-ancestors {EVIL}")
    assert BlockedSource.objects.get(key=key).reported == 1


def test_the_visitor_s_address_is_judged_too() -> None:
    key, token = make_key(domains=[SHOP], ips=[SERVER])
    assert embed(token).status_code == 200
    reply = embed(token, REMOTE_ADDR=ELSEWHERE)
    assert_refused(reply)
    assert "your source IP is allowlisted" in sentence(reply)
    key.condition = "any"
    key.save()
    assert embed(token, REMOTE_ADDR=ELSEWHERE).status_code == 200


def test_a_key_that_does_not_work_is_reported_in_the_frame(settings: Any) -> None:
    key, token = make_key(domains=[SHOP])
    _secret, secret_token = make_key(ips=[SERVER], kind="secret", name="secret")
    key.revoke()
    for sent, status, said in (
        (None, 401, "The URL of this frame has no API key. Add your key to the URL."),
        (token, 401, "This API key does not work"),
        (UNKNOWN, 401, "This API key does not work"),
        (secret_token, 403, "a secret key, which every visitor can read. Rotate the key"),
    ):
        reply = embed(sent)
        assert_refused(reply, status)
        assert said in sentence(reply)
        assert reply.get("WWW-Authenticate") == ("Api-Key" if status == 401 else None)
    settings.ALLOWLIST = {"MAX_IPS": "many"}
    assert_refused(embed(token), 503)


NOT_FRAMES: list[dict[str, str]] = [
    *[
        {"Sec-Fetch-Dest": dest}
        for dest in (
            "document",
            "empty",
            "script",
            "image",
            "worker",
            "fencedframe",
            "",
            "IFRAME",
            "iframe, iframe",
        )
    ],
    {"Sec-Purpose": "prefetch"},
    {"Sec-Purpose": "prefetch;prerender"},
    {"Purpose": "Prefetch"},
]


@pytest.mark.parametrize("headers", NOT_FRAMES, ids=str)
def test_no_script_no_person_and_no_prefetch_gets_a_token(headers: dict[str, str]) -> None:
    key, token = make_key(domains=[SHOP])
    reply = embed(token, headers=headers)
    assert_refused(reply)
    assert sentence(reply) == "This page works only in a frame of another page."
    assert not BlockedSource.objects.filter(key=key)


@pytest.mark.parametrize("dest", ["iframe", "frame", "object", "embed", None])
def test_every_kind_of_frame_is_served(dest: str | None) -> None:
    _key, token = make_key(domains=[SHOP])
    assert embed(token, headers={"Sec-Fetch-Dest": dest}).status_code == 200


def test_an_embed_token_opens_no_frame() -> None:
    _key, token = make_key(domains=[SHOP])
    embed_token = embed(token).content.decode().split("|")[2]
    assert_refused(embed(token, f"{OWN}/", {"X-Embed-Token": embed_token}))
    assert embed(token, headers={"X-Embed-Token": "forged"}).status_code == 200


def test_what_else_is_decided_about_the_request_opens_no_frame() -> None:
    _key, token = make_key()
    request = RequestFactory().get(f"/?key={token}", headers=FRAME)
    assert access_of(request, IsAllowlisted()).served
    assert_refused(frame(request))


def test_a_host_that_no_browser_could_name_is_a_bad_request() -> None:
    _key, token = make_key(domains=[SHOP])
    assert embed(token, HTTP_HOST="a..b").status_code == 400


@pytest.mark.parametrize("method", ["HEAD", "POST", "OPTIONS", "PUT"])
def test_every_method_is_judged(method: str) -> None:
    _key, token = make_key(domains=[SHOP])
    assert embed(token, f"{EVIL}/", url="class", method=method).status_code == 403
    assert embed(token, url="class", method=method)["Content-Security-Policy"] == f"frame-ancestors {SHOP}"


def test_a_template_of_the_project_says_it_in_other_words(settings: Any) -> None:
    _key, token = make_key(domains=[SHOP])
    words = {"allowlist/embed_refused.html": "<title>{{ message }}</title><p>{{ message }} Call us.</p>"}
    loaders = [("django.template.loaders.locmem.Loader", words)]
    backend = "django.template.backends.django.DjangoTemplates"
    settings.TEMPLATES = [{"BACKEND": backend, "OPTIONS": {"loaders": loaders}}]
    assert sentence(embed(token, f"{EVIL}/")).endswith("allowlisted. Call us.")


def test_without_templates_the_sentence_is_there_all_the_same(
    settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    _key, token = make_key(domains=[SHOP])
    settings.TEMPLATES = []
    reply = embed(token, None)
    assert_refused(reply)
    assert sentence(reply) == f"The page that embeds this frame hides its origin. {NAMES_ORIGIN}"
    assert "allowlist/embed_refused.html can't be rendered." in caplog.text


@pytest.mark.parametrize("templates", [True, False])
def test_a_sentence_never_becomes_markup(settings: Any, templates: bool) -> None:
    settings.TEMPLATES = settings.TEMPLATES if templates else []
    page = FrameRefused(403, "<script>alert(1)</script>", '"><img src=x>').content.decode()
    assert "<script" not in page
    assert "<img" not in page


def test_a_frame_s_document_is_open_to_no_script_of_another_page() -> None:
    for url in WAYS:
        assert not is_guarded(None, RequestFactory().get(f"/{url}/"))


if django.VERSION >= (6,):
    from django.middleware.csp import get_nonce

    @embeddable
    def nonce(request: HttpRequest) -> HttpResponse:
        """Serve a frame whose template uses the nonce."""
        return SimpleTemplateResponse("allowlist/embed_refused.html", {"message": get_nonce(request)})

    urlpatterns.append(path("nonce/", nonce))

    def test_django_s_policy_is_merged_with_the_nonce_of_a_template(settings: Any) -> None:
        _key, token = make_key(domains=[SHOP])
        settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.middleware.csp.ContentSecurityPolicyMiddleware"]
        settings.SECURE_CSP = {"script-src": ["<CSP_NONCE_SENTINEL>"], "frame-ancestors": ["'none'"]}
        reply = embed(token, url="nonce")
        policy = f"script-src 'nonce-{sentence(reply)}'; frame-ancestors {SHOP}"
        assert reply["Content-Security-Policy"] == policy
        assert_refused(embed(token, f"{EVIL}/", url="nonce"))


# Wrong use


use: Any = embeddable
WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "a class": (lambda: use(Frame), '@method_decorator(embeddable, name="dispatch") above'),
    "a DRF view": (lambda: use(APIView.as_view()), "Serve the frame's document with a plain Django view"),
    "a permission": (lambda: use(IsAllowlisted), "IsAllowlisted isn't a function view"),
    "twice": (lambda: use(frame), "guarded already"),
    "on an allowlisted view": (lambda: use(allowlisted(document)), "guarded already"),
    "under allowlisted": (lambda: allowlisted(frame), "guarded already"),
    "two views": (lambda: use(document, document), "embeddable() takes one view"),
    "a typing error": (lambda: use(key_kwargs="x"), "'key_kwargs'. Did you mean 'key_kwarg'?"),
    "a permission's name": (lambda: use(permission=IsAllowlisted), "has no argument 'permission'"),
    "a kwarg's value": (lambda: use(key_kwarg="<str:key>"), "the name of a URL kwarg"),
    "no view": (lambda: use("app.views.view"), "embeddable() got 'app.views.view', which isn't a view"),
}


@pytest.mark.parametrize(("wrong", "said"), WRONG.values(), ids=WRONG)
def test_wrong_use_fails_at_import_and_says_what_to_write(wrong: Callable[[], Any], said: str) -> None:
    with pytest.raises(TypeError) as caught:
        wrong()
    assert said in str(caught.value)
