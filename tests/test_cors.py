"""The adapter for django-cors-headers: every page may read a guarded view's responses, refusals too."""

from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from corsheaders.signals import check_request_enabled
from django.conf.urls.i18n import i18n_patterns
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.test import AsyncClient
from django.urls import include, path, set_urlconf
from django.utils.translation import get_language, override
from django.views import View
from django.views.decorators.cache import cache_page
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.vary import vary_on_headers
from rest_framework.decorators import action, api_view, permission_classes
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet

from allowlist.contrib import corsheaders as cors
from allowlist.permissions import IsAllowlisted, IsAllowlistedQuietly
from tests.testing import EVIL, SHOP, call, make_key, reason, statements

pytestmark = pytest.mark.urls(__name__)
with_database = pytest.mark.django_db(databases="__all__")
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"}


class Open(APIView):
    """Guarded by nothing of ours."""

    authentication_classes = []
    permission_classes: Any = [AllowAny]

    def get(self, request: Request, **kwargs: Any) -> Response:
        """Return a response."""
        return Response({"reached": True})


class Guarded(Open):
    """Guarded."""

    permission_classes = [IsAllowlisted]


class Recipe(IsAllowlisted):
    """A subclass of the permission."""


class Dynamic(Open):
    """Chooses its permissions by the request."""

    def get_permissions(self) -> list[Any]:
        """Return them."""
        return [IsAllowlisted()]


class DeclaredDynamic(Dynamic):
    """Says so."""

    allowlist_cors = True


class DeclaredClosed(Guarded):
    """Guarded, and for no pages."""

    allowlist_cors = False


class UndeclaredOpen(Open):
    """Leaves it to ``as_view``."""

    allowlist_cors: bool | None = None


class UndeclaredGuarded(Guarded):
    """Leaves it to ``as_view``."""

    allowlist_cors: bool | None = None


class Property(Open):
    """Has its permissions by a property."""

    @property
    def permission_classes(self) -> list[Any]:  # type: ignore[override]
        """Return them."""
        return [IsAllowlisted]


class Shelf(ViewSet):
    """A viewset with an open action and a guarded one."""

    permission_classes = [AllowAny]
    authentication_classes = []

    def list(self, request: Request) -> Response:
        """Return a response."""
        return Response({})

    @action(detail=False, permission_classes=[IsAllowlisted])
    def guarded(self, request: Request) -> Response:
        """Return a response."""
        return Response({})


class Plain(View):
    """A view of Django's own."""

    def get(self, request: HttpRequest) -> HttpResponse:
        """Return a response."""
        return HttpResponse("plain")


class DeclaredPlain(Plain):
    """A view of Django's own that asks for it."""

    allowlist_cors = True


@api_view(["GET"])
@permission_classes([IsAllowlisted])
def function(request: Request) -> Response:
    """Return a response."""
    return Response({})


@api_view(["GET"])
def open_function(request: Request) -> Response:
    """Return a response."""
    return Response({})


def declared_function(request: HttpRequest) -> HttpResponse:
    """Return a response."""
    return HttpResponse()


declared_function.allowlist_cors = True  # type: ignore[attr-defined]


def composed(permission: Any) -> Any:
    """Return a view with it."""
    return Open.as_view(permission_classes=[permission])


GUARDED: dict[str, Any] = {
    "class": Guarded.as_view(),
    "subclass-of-the-permission": composed(Recipe),
    "quiet": composed(IsAllowlistedQuietly),
    "by-as-view": Open.as_view(permission_classes=[IsAllowlisted]),
    "second-of-two": Open.as_view(permission_classes=[AllowAny, IsAllowlisted]),
    "and": composed(IsAllowlisted & AllowAny),
    "and-reversed": composed(AllowAny & IsAllowlisted),
    "or": composed(IsAllowlistedQuietly | IsAuthenticated),
    "or-reversed": composed(IsAuthenticated | IsAllowlistedQuietly),
    "nested": composed(AllowAny & (IsAuthenticated | (AllowAny & IsAllowlisted))),
    "or-not": composed(IsAllowlistedQuietly | ~IsAuthenticated),
    "api-view": function,
    "action": Shelf.as_view({"get": "guarded"}, **Shelf.guarded.kwargs),
    "cache-page": cache_page(60)(Guarded.as_view()),
    "csrf-exempt": csrf_exempt(Guarded.as_view()),
    "decorated-thrice": csrf_exempt(vary_on_headers("Accept")(cache_page(60)(Guarded.as_view()))),
    "declared-dynamic": DeclaredDynamic.as_view(),
    "declared-plain": DeclaredPlain.as_view(),
    "declared-function": declared_function,
    "declared-by-as-view": UndeclaredOpen.as_view(allowlist_cors=True),
}
OPEN: dict[str, Any] = {
    "class": Open.as_view(),
    "plain": Plain.as_view(),
    "function": open_function,
    "list": Shelf.as_view({"get": "list"}),
    "not": composed(~IsAllowlistedQuietly),
    "and-not": composed(AllowAny & ~IsAllowlistedQuietly),
    "without-permissions": Open.as_view(permission_classes=[]),
    "overridden-by-as-view": Guarded.as_view(permission_classes=[AllowAny]),
    "declared-closed": DeclaredClosed.as_view(),
    "declared-closed-by-as-view": UndeclaredGuarded.as_view(allowlist_cors=False),
    "dynamic": Dynamic.as_view(),
    "property": Property.as_view(),
    "include": include(([path("deeper/", Plain.as_view())], "x")),
}
urlpatterns: list[Any] = [
    *(path(f"guarded/{name}/", view) for name, view in GUARDED.items()),
    *(path(f"open/{name}/", view) for name, view in OPEN.items()),
    path("number/<int:number>/", Guarded.as_view()),
    *i18n_patterns(path("i18n/", Guarded.as_view()), path("i18n-open/", Open.as_view())),
]


def answers_pages(answer: Any, origin: str = EVIL) -> bool:
    """Return whether the page of ``origin`` may read ``answer``."""
    allowed = answer.get("Access-Control-Allow-Origin")
    assert allowed in (None, origin)
    return bool(allowed == origin)


@pytest.mark.parametrize("name", GUARDED)
@pytest.mark.parametrize("origin", [EVIL, SHOP, "null", "http://localhost:3000", "https://[::1]:8443"])
def test_a_guarded_view_s_preflight_needs_no_key_and_no_database(name: str, origin: str) -> None:
    answer = call(f"/guarded/{name}/", None, {**PREFLIGHT, "Origin": origin}, method="OPTIONS")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answers_pages(answer, origin)
    allowed = {each.strip() for each in answer["Access-Control-Allow-Headers"].lower().split(",")}
    assert {"x-api-key", "content-type", "authorization"} <= allowed
    assert {"GET", "POST"} <= {each.strip() for each in answer["Access-Control-Allow-Methods"].split(",")}
    assert "Access-Control-Allow-Credentials" not in answer
    assert "origin" in answer["Vary"].lower()


@pytest.mark.parametrize("name", [name for name in OPEN if name != "include"])
def test_an_open_view_s_preflight_opens_nothing(name: str) -> None:
    answer = call(f"/open/{name}/", None, {**PREFLIGHT, "Origin": EVIL}, method="OPTIONS")
    assert not [header for header in answer.headers if header.lower().startswith("access-control")]


@with_database
@pytest.mark.parametrize(
    "name", ["class", "and", "api-view", "action", "cache-page", "decorated-thrice", "declared-dynamic"]
)
def test_a_page_can_read_why_it_is_refused(name: str) -> None:
    _, token = make_key(domains=[SHOP])
    refused = call(f"/guarded/{name}/", token, {"Origin": EVIL})
    assert (refused.status_code, reason(refused)) == (403, "origin_not_listed")
    assert answers_pages(refused)
    unknown = call(f"/guarded/{name}/", "nonsense", {"Origin": EVIL})
    assert (unknown.status_code, reason(unknown)) == (401, "key_invalid")
    assert answers_pages(unknown)
    served = call(f"/guarded/{name}/", token, {"Origin": SHOP})
    assert served.status_code == 200
    assert answers_pages(served, SHOP)


@with_database
def test_a_bad_request_and_a_wrong_method_are_readable_too() -> None:
    _, token = make_key()
    assert answers_pages(call("/guarded/class/", token, {"Origin": EVIL}, method="DELETE"))
    assert answers_pages(
        call("/guarded/class/?" + "&".join(f"a{n}" for n in range(1001)), None, {"Origin": EVIL})
    )


@with_database
@pytest.mark.parametrize("name", ["class", "plain", "function", "list", "declared-closed", "property"])
def test_pages_cannot_read_an_open_view(name: str) -> None:
    _, token = make_key()
    answer = call(f"/open/{name}/", token, {"Origin": EVIL})
    assert answer.status_code == 200
    assert not answers_pages(answer)


@with_database
def test_a_declared_view_of_django_s_own_is_readable() -> None:
    for name in ("declared-function", "declared-plain"):
        assert answers_pages(call(f"/guarded/{name}/", None, {"Origin": EVIL}))


@with_database
def test_an_options_request_without_preflight_headers_reaches_the_view() -> None:
    answer = call("/guarded/class/", None, {"Origin": EVIL}, method="OPTIONS")
    assert (answer.status_code, reason(answer)) == (401, "key_missing")
    assert answers_pages(answer)


@with_database
@pytest.mark.parametrize(
    "url", ["/nowhere/", "/number/x/", "/", "/guarded", "/\x00", "/xx/i18n/", "/" + "a" * 5000]
)
def test_a_path_that_leads_nowhere_is_not_opened(url: str) -> None:
    assert not answers_pages(call(url, None, {**PREFLIGHT, "Origin": EVIL}, method="OPTIONS"))
    answer = call(url, None, {"Origin": EVIL})
    assert answer.status_code in (301, 302, 404)
    assert not answers_pages(answer)


@pytest.mark.parametrize("language", ["en", "de", "pt-br"])
@pytest.mark.parametrize("before", ["en", "de", "ja"])
def test_a_path_in_any_language_is_found_whatever_language_was_active(
    settings: Any, language: str, before: str
) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.middleware.locale.LocaleMiddleware"]
    with override(before):
        sent = {**PREFLIGHT, "Origin": EVIL}
        assert answers_pages(call(f"/{language}/i18n/", None, sent, method="OPTIONS"))
        assert not answers_pages(call(f"/{language}/i18n-open/", None, sent, method="OPTIONS"))
        assert cors.is_guarded(None, _request(f"/{language}/i18n/"))
        assert cors.is_guarded(None, _request("/guarded/class/"))
    with override(before):
        cors.is_guarded(None, _request(f"/{language}/i18n/"))
        assert get_language() == before


def _request(path_info: str) -> HttpRequest:
    request = HttpRequest()
    request.path_info = path_info
    return request


def other_urlconf(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Serve another host's URLs, as a middleware."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        request.urlconf = "tests.testapp.urls"
        return get_response(request)

    return middleware


def test_the_request_s_own_urlconf_is_asked(settings: Any) -> None:
    settings.MIDDLEWARE = [f"{__name__}.other_urlconf", *settings.MIDDLEWARE]
    sent = {**PREFLIGHT, "Origin": EVIL}
    assert answers_pages(call("/widget/alone/", None, sent, method="OPTIONS"))
    assert not answers_pages(call("/widget/open/", None, sent, method="OPTIONS"))
    assert not answers_pages(call("/guarded/class/", None, sent, method="OPTIONS"))


class Elsewhere:
    """The URLs of another site, where the same paths lead to other views."""

    urlpatterns = (
        path("guarded/class/", Open.as_view()),
        path("open/class/", Guarded.as_view()),
        *i18n_patterns(path("i18n/", Open.as_view()), prefix_default_language=False),
        path("<slug:page>/", Guarded.as_view()),
    )


def test_a_path_is_cached_for_its_own_urlconf_alone(settings: Any) -> None:
    guarded: Any
    is_open: Any
    for _ in range(2):
        for of_request, of_thread, root in [
            (None, None, __name__),
            (None, Elsewhere, __name__),
            (Elsewhere, None, __name__),
            (None, None, Elsewhere),
        ]:
            settings.ROOT_URLCONF = root
            set_urlconf(of_thread)  # type: ignore[arg-type]
            guarded, is_open = _request("/guarded/class/"), _request("/open/class/")
            if of_request is not None:
                guarded.urlconf = is_open.urlconf = of_request
            is_here = (of_request or of_thread or root) == __name__
            assert cors.is_guarded(None, guarded) is is_here
            assert cors.is_guarded(None, is_open) is not is_here
    set_urlconf(None)


def test_a_path_is_resolved_again_when_the_default_language_changes(settings: Any) -> None:
    settings.ROOT_URLCONF = Elsewhere
    for language in ("en", "de", "en"):
        settings.LANGUAGE_CODE = language
        assert not cors.is_guarded(None, _request("/i18n/"))
        assert cors.is_guarded(None, _request("/i18n-open/"))
        assert cors._view_at(_request("/de/i18n/" if language == "en" else "/en/i18n/")) is not None
        assert cors._view_at(_request(f"/{language}/i18n/")) is None


def test_a_flood_of_random_paths_fills_no_memory(settings: Any) -> None:
    cached = cors._resolved.cache_info
    cors._resolved.cache_clear()
    assert cors.is_guarded(None, _request("/guarded/class/"))
    for number in range(3000):
        assert not cors.is_guarded(None, _request(f"/nowhere/{number}/"))
    assert cached().currsize == 1
    settings.ROOT_URLCONF = Elsewhere
    assert cors.is_guarded(None, _request(f"/{'a' * 5000}/"))
    assert cached().currsize == 0
    for number in range(3000):
        assert cors.is_guarded(None, _request(f"/page-{number}/"))
    assert cached().currsize == cached().maxsize == 1024
    assert not cors.is_guarded(None, _request("/guarded/class/"))


@with_database
@pytest.mark.urls("tests.testapp.urls")
@pytest.mark.parametrize(
    "url", ["/api/keys/", "/api/keys/1/domains/", "/admin/", "/admin/login/", "/backoffice/"]
)
def test_the_management_api_is_open_to_no_page(url: str) -> None:
    for method in ("OPTIONS", "GET", "POST"):
        assert not answers_pages(call(url, None, {**PREFLIGHT, "Origin": EVIL}, method=method))


@with_database
@pytest.mark.parametrize("origin", ["x\ny", "https://a\r\n .b", "\n", "a\x00b"])
def test_an_origin_that_cannot_be_repeated_gets_no_cors_header(origin: str) -> None:
    answer = call("/guarded/class/", None, {"Origin": origin})
    assert answer.status_code == 401
    assert "Access-Control-Allow-Origin" not in answer


@with_database
@pytest.mark.parametrize("origin", ["", "nonsense", "https://[", "a, b", "\xe9", "x" * 5000])
def test_a_malformed_origin_never_fails(origin: str) -> None:
    assert call("/guarded/class/", None, {"Origin": origin}).status_code == 401
    assert call("/guarded/class/", None, {**PREFLIGHT, "Origin": origin}, method="OPTIONS").status_code == 200


@with_database
def test_a_preflight_costs_no_statement() -> None:
    with statements() as sql, statements("default"):
        call("/guarded/class/", None, {**PREFLIGHT, "Origin": EVIL}, method="OPTIONS")
    assert sql == []


@with_database
def test_under_asgi_preflight_refusal_and_response_are_the_same() -> None:
    _, token = make_key(domains=[SHOP])
    client: Any = AsyncClient()
    preflight = async_to_sync(client.options)("/guarded/class/", headers={**PREFLIGHT, "Origin": EVIL})
    assert preflight.status_code == 200
    assert answers_pages(preflight)
    get = async_to_sync(client.get)
    refused = get("/guarded/class/", headers={"Origin": EVIL, "X-API-Key": token})
    assert (refused.status_code, reason(refused)) == (403, "origin_not_listed")
    assert answers_pages(refused)
    assert get("/guarded/class/", headers={"Origin": SHOP, "X-API-Key": token}).status_code == 200
    assert not answers_pages(get("/open/class/", headers={"Origin": EVIL}))


def test_connecting_twice_asks_once() -> None:
    def receivers() -> int:
        return sum(each[0][0] == "allowlist.contrib.corsheaders" for each in check_request_enabled.receivers)

    assert receivers() == 1
    cors.connect()
    assert receivers() == 1
