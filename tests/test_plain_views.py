"""``@allowlisted``: plain Django views, sync, async and class-based, guarded as DRF views are."""

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth import aget_user, get_user, login
from django.core.exceptions import SuspiciousOperation
from django.db import connections, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.test import AsyncRequestFactory, Client, RequestFactory
from django.urls import include, path
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import cache_page
from django.views.decorators.csrf import csrf_exempt
from rest_framework.decorators import api_view
from rest_framework.permissions import BasePermission
from rest_framework.throttling import BaseThrottle, ScopedRateThrottle, UserRateThrottle
from rest_framework.views import APIView

from allowlist.contrib.corsheaders import is_guarded
from allowlist.decorators import allowlisted
from allowlist.enforcement.lookup import NotCachedError, find_cached
from allowlist.models import APIKey, BlockedSource
from allowlist.permissions import IsAllowlisted, IsAllowlistedQuietly
from allowlist.policy.decision import Reason
from allowlist.policy.tokens import Token
from allowlist.signals import request_refused
from allowlist.throttling import APIKeyRateThrottle
from allowlist.view_checks import check_guarded_views
from tests.clock import Clock
from tests.redis_server import running_redis
from tests.testing import BLOG, EVIL, SHOP, body, call, call_async, make_key, reason, used_now

pytestmark = [pytest.mark.django_db(databases="__all__"), pytest.mark.urls(__name__)]


def seen(request: Any) -> dict[str, Any]:
    """Return what a view sees of the request."""
    request.session["visits"] = request.session.get("visits", 0) + 1
    return {
        "key": request.allowlist.key.name,
        "anonymous": request.user.is_anonymous and get_user(request).is_anonymous,
        "session": dict(request.session),
        "saved": request.session.session_key is not None or not request.session.is_empty(),
    }


@allowlisted
def function(request: HttpRequest, **kwargs: Any) -> HttpResponse:
    """Return what the view sees."""
    return JsonResponse(seen(request))


@transaction.non_atomic_requests
@allowlisted
async def async_function(request: Any, **kwargs: Any) -> HttpResponse:
    """Return what the view sees."""
    assert (await request.auser()).is_anonymous
    assert (await aget_user(request)).is_anonymous
    return JsonResponse(seen(request))


@method_decorator(allowlisted, name="dispatch")
class ClassBased(View):
    """A class with sync handlers."""

    def get(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        """Return what the view sees."""
        return JsonResponse(seen(request))

    post = get


@method_decorator(allowlisted(), name="dispatch")
class AsyncClassBased(View):
    """A class with async handlers."""

    async def get(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        """Return what the view sees."""
        return JsonResponse(seen(request))

    async def post(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        """Return what the view sees."""
        return JsonResponse(seen(request))


class Unauthorized(IsAllowlisted):
    """A recipe."""

    refused_status = 401
    domain_message = "Domain not allowed"


class ByName(IsAllowlisted):
    """The project's header names the key; without one, a token does."""

    def get_key(self, request: Any, view: Any) -> Any:
        """Return the key of that name."""
        assert view is None
        name = request.headers.get("X-Project")
        return APIKey.objects.get(name=name) if name else super().get_key(request, view)


class BySession(IsAllowlisted):
    """The session names the key."""

    uses_cookies = True

    def get_key(self, request: Any, view: Any) -> Any:
        """Return the primary key that the session holds."""
        return request.session.get("key")


class Suspicious(IsAllowlisted):
    """Refuses to read the request."""

    def get_key(self, request: Any, view: Any) -> Any:
        """Raise what Django turns into a 400."""
        raise SuspiciousOperation


class Broken(IsAllowlisted):
    """A recipe whose body fails."""

    def get_body(self, reason: Reason) -> Any:
        """Fail."""
        raise RuntimeError


class Unwritable(IsAllowlisted):
    """A recipe whose body can't be JSON."""

    def get_body(self, reason: Reason) -> Any:
        """Return an object."""
        return {"code": object()}


class Querying(IsAllowlisted):
    """A recipe whose body asks the database."""

    def get_body(self, reason: Reason) -> Any:
        """Return how many keys there are."""
        return {"keys": APIKey.objects.count()}


class Bare(IsAllowlisted):
    """A recipe whose body is a string."""

    def get_body(self, reason: Reason) -> Any:
        """Return it."""
        return f"Für Sie: {reason}"


class TwoAMinute(APIKeyRateThrottle):
    """A low rate."""

    rate = "2/min"


class VisitorsTwice(UserRateThrottle):
    """A throttle of DRF's, which asks for the user."""

    rate = "2/min"


class Scoped(ScopedRateThrottle):
    """A throttle of DRF's, which asks the view for its scope."""

    THROTTLE_RATES = {"widget": "2/min"}


class HasTeapot(IsAllowlisted):
    """Checks something else, which only DRF asks for."""

    def has_permission(self, request: Any, view: Any) -> bool:
        """Return whether the header is there."""
        return "X-Teapot" in request.headers and super().has_permission(request, view)


class DRFView(APIView):
    """A view of DRF's."""


class Failing(BaseThrottle):
    """A throttle that does not work."""

    def allow_request(self, request: Any, view: Any) -> bool:
        """Fail."""
        raise ConnectionError("The counts are out of reach.")


def plain(**options: Any) -> Any:
    """Return a guarded view."""

    @allowlisted(**options)
    def view(request: Any, **kwargs: Any) -> HttpResponse:
        return JsonResponse({"key": request.allowlist.key.name})

    return view


def public(request: Any) -> HttpResponse:
    """Return a response that says anyone may cache it."""
    return HttpResponse(request.allowlist.key.name, headers={"Cache-Control": "public", "Vary": "Accept"})


def async_plain(**options: Any) -> Any:
    """Return a guarded async view."""

    @transaction.non_atomic_requests
    @allowlisted(**options)
    async def view(request: Any, **kwargs: Any) -> HttpResponse:
        return JsonResponse({"key": request.allowlist.key.name})

    return view


RECIPES = [Unauthorized, ByName, BySession, Suspicious, Broken, Unwritable, Querying, Bare]
THROTTLES = [TwoAMinute, VisitorsTwice, Scoped, Failing]
urlpatterns = [
    path("function/", function),
    path("class/", ClassBased.as_view()),
    path("async/", async_function),
    path("async-class/", transaction.non_atomic_requests(AsyncClassBased.as_view())),
    path("exempt/outside/", csrf_exempt(plain())),
    path("exempt/inside/", allowlisted(csrf_exempt(lambda request: JsonResponse({"key": "exempt"})))),
    path("public/", allowlisted(public)),
    path("cached/", cache_page(60)(allowlisted(public))),
    path("open/", lambda request: HttpResponse()),
    *(path(f"recipe/{each.__name__}/", plain(permission=each)) for each in RECIPES),
    *(path(f"recipe/{each.__name__}/async/", async_plain(permission=each)) for each in RECIPES),
    path("path/<str:public_id>/", plain(key_kwarg="public_id")),
    path("path/<str:public_id>/own/", plain(key_kwarg="public_id", permission=ByName)),
    path("path/<str:public_id>/async/", async_plain(key_kwarg="public_id")),
    *(
        path(f"throttled/{each.__name__}/{way}", view(throttle_classes=[each], throttle_scope="widget"))
        for each in THROTTLES
        for way, view in (("", plain), ("async/", async_plain))
    ),
]
WAYS = ["/function/", "/class/", "/async/", "/async-class/"]


@pytest.fixture
def token() -> str:
    """Return the token of a key that lists the shop."""
    return make_key(domains=[SHOP])[1]


SENDERS = [call, call_async]


class TestVisitor:
    """A visitor's cookie counts for nothing in a guarded view."""

    @pytest.fixture
    def client(self, make_user: Any) -> Client:
        client = Client()
        client.force_login(make_user("visitor"))
        session = client.session
        session["visits"] = 10
        session.save()
        return client

    @pytest.mark.parametrize("every", [False, True])
    @pytest.mark.parametrize("url", WAYS)
    @pytest.mark.parametrize("origin", [SHOP, EVIL])
    def test_nobody_s_user_and_session(
        self, client: Client, token: str, settings: Any, *, every: bool, url: str, origin: str
    ) -> None:
        settings.SESSION_SAVE_EVERY_REQUEST = every
        reply = call(url, token, origin=origin, client=client)
        if origin == SHOP:
            session = {"visits": 1}
            assert body(reply) == {"key": "widget", "anonymous": True, "session": session, "saved": False}
        else:
            assert reason(reply) == "origin_not_listed"
        assert not reply.cookies
        assert "Cookie" not in reply["Vary"]
        assert client.session["visits"] == 10

    def test_a_view_that_logs_someone_in_saves_nothing(self, token: str, make_user: Any) -> None:
        user, request = make_user(), RequestFactory().get("/", headers={"X-API-Key": token, "Origin": SHOP})
        stored: list[Any] = []

        @allowlisted
        def view(request: HttpRequest) -> HttpResponse:
            login(request, user, "django.contrib.auth.backends.ModelBackend")
            request.session.flush()
            request.session.save()
            stored.append((request.session.load(), request.session.exists("x")))
            return HttpResponse()

        assert view(request).status_code == 200
        assert stored == [({}, False)]


class TestExemptions:
    """Cookies count for nothing, so pages of others can do no harm with them."""

    @pytest.mark.parametrize("url", [*WAYS, "/exempt/outside/", "/exempt/inside/"])
    def test_csrf_checks_and_login_pass_guarded_views_by(self, token: str, settings: Any, url: str) -> None:
        login_required = "django.contrib.auth.middleware.LoginRequiredMiddleware"
        settings.MIDDLEWARE = [*settings.MIDDLEWARE, login_required]
        client = Client(enforce_csrf_checks=True)
        method = "GET" if "async/" in url else "POST"
        assert call(url, token, origin=SHOP, client=client, method=method).status_code == 200
        assert reason(call(url, token, origin=EVIL, client=client, method=method)) == "origin_not_listed"

    def test_a_key_from_cookies_needs_the_csrf_token_to_write(self) -> None:
        key, _token = make_key()
        client, url = Client(enforce_csrf_checks=True), "/recipe/BySession/"
        session = client.session
        session["key"] = key.pk
        session.save()
        assert body(call(url, client=client)) == {"key": "widget"}
        refused = call(url, client=client, method="POST")
        assert (refused.status_code, "CSRF" in body(refused)["detail"]) == (403, True)
        assert refused["Cache-Control"] == "private, no-store"
        request = RequestFactory().get("/")
        csrf = get_token(request)
        client.cookies["csrftoken"] = request.META["CSRF_COOKIE"]
        served = call(url, None, {"X-CSRFToken": csrf}, client=client, method="POST")
        assert (served.status_code, "Cookie" in served["Vary"]) == (200, True)


class TestResponses:
    """Status, body and headers are the permission's."""

    def test_headers_of_what_is_served_and_refused(self, token: str) -> None:
        served = call("/public/", token, origin=SHOP)
        assert served["Cache-Control"] == "private"
        assert served["Vary"].startswith("Accept, Origin, Referer, Authorization, X-API-Key")
        refused = call("/public/", token, origin=EVIL)
        assert (refused["Cache-Control"], refused["Content-Type"]) == (
            "private, no-store",
            "application/json",
        )
        assert call("/public/")["WWW-Authenticate"] == "Api-Key"

    def test_no_cache_serves_one_caller_s_response_to_another(self, token: str) -> None:
        statuses = [call("/cached/", token, origin=origin).status_code for origin in (SHOP, EVIL, SHOP)]
        assert statuses == [200, 403, 200]

    @pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "DELETE"])
    def test_every_method_is_judged(self, token: str, method: str) -> None:
        for url in ("/function/", "/class/"):
            assert call(url, token, origin=EVIL, method=method).status_code == 403

    @pytest.mark.parametrize("send", SENDERS)
    @pytest.mark.parametrize(
        ("recipe", "status", "expected"),
        [
            ("Unauthorized", 401, {"message": "Domain not allowed", "origin": EVIL}),
            ("Bare", 403, {"detail": "Für Sie: origin_not_listed"}),
            ("Querying", 403, {"keys": 1}),
            ("Broken", 503, {"reason": "undecided"}),
            ("Unwritable", 503, {"reason": "undecided"}),
        ],
    )
    def test_a_recipe_s_response(
        self, token: str, send: Any, recipe: str, status: int, expected: dict[str, Any]
    ) -> None:
        url = f"/recipe/{recipe}/" + ("async/" if send is call_async else "")
        refused = send(url, token, origin=EVIL)
        assert (refused.status_code, refused.get("WWW-Authenticate")) == (
            status,
            "Api-Key" if status == 401 else None,
        )
        assert expected.items() <= body(refused).items()

    @pytest.mark.parametrize("url", ["/recipe/Suspicious/", "/recipe/Suspicious/async/"])
    def test_a_suspicious_request_is_a_400_as_everywhere_in_django(self, url: str) -> None:
        assert call(url).status_code == 400


class TestKeys:
    """Where a plain view's key comes from."""

    @pytest.mark.parametrize("end", ["", "own/", "async/"])
    def test_the_path_may_hold_the_key(self, token: str, end: str) -> None:
        assert body(call(f"/path/{token}/{end}", origin=SHOP))["key"] == "widget"
        assert reason(call(f"/path/{token}/{end}", origin=EVIL)) == "origin_not_listed"
        assert reason(call(f"/path/nonsense/{end}", origin=SHOP)) == "key_invalid"

    @pytest.mark.parametrize("send", SENDERS)
    def test_a_project_s_own_credential_names_the_key(self, send: Any) -> None:
        make_key(name="mine", domains=[SHOP])
        url = "/recipe/ByName/" + ("async/" if send is call_async else "")
        assert body(send(url, None, {"X-Project": "mine", "Origin": SHOP}))["key"] == "mine"
        assert send(url, None, {"X-Project": "nobody's"}).status_code == 503

    def test_a_permission_s_signal_names_it_and_a_blocked_row_is_kept(self, token: str) -> None:
        senders: list[Any] = []

        def receive(sender: Any, **kwargs: Any) -> None:
            senders.append((sender, kwargs["key"].name))

        request_refused.connect(receive)
        try:
            for send, url in ((call, "/recipe/Unauthorized/"), (call_async, "/recipe/Unauthorized/async/")):
                send(url, token, origin=EVIL)
        finally:
            request_refused.disconnect(receive)
        assert senders == [(Unauthorized, "widget")] * 2
        [blocked] = BlockedSource.objects.values("origin", "count")
        assert blocked == {"origin": EVIL, "count": 2}


@pytest.mark.usefixtures("clock")
class TestThrottles:
    """DRF's throttles count what is served and what is refused."""

    @pytest.mark.parametrize("throttle", ["TwoAMinute", "VisitorsTwice", "Scoped"])
    @pytest.mark.parametrize("way", ["", "async/"])
    @pytest.mark.parametrize("origin", [SHOP, EVIL])
    def test_too_many_requests_get_drf_s_response(
        self, token: str, throttle: str, way: str, origin: str, clock: Clock
    ) -> None:
        url = f"/throttled/{throttle}/{way}"
        allowed = 200 if origin == SHOP else 403
        statuses = [call(url, token, origin=origin).status_code for _time in range(2)]
        assert statuses == [allowed, allowed]
        many = call(url, token, origin=origin)
        wait = many["Retry-After"]
        sentence = f"Request was throttled. Expected available in {wait} seconds."
        assert (many.status_code, body(many)) == (429, {"detail": sentence})
        assert many["Content-Type"] == "application/json"
        assert "Origin" in many["Vary"]

    def test_a_throttle_that_fails_leaves_a_refusal_refused(self, token: str) -> None:
        assert call("/throttled/Failing/", token, origin=EVIL).status_code == 403
        with pytest.raises(ConnectionError):
            call("/throttled/Failing/", token, origin=SHOP)


class TestAsync:
    """An async view's guard never blocks the event loop."""

    def test_code_of_the_project_runs_in_a_thread(self) -> None:
        """Although what is refused here needs no query of ours."""
        counted: list[int] = []

        def receive(**kwargs: Any) -> None:
            counted.append(APIKey.objects.count())

        assert body(call_async("/recipe/Querying/async/")) == {"keys": 0}
        request_refused.connect(receive)
        try:
            assert reason(call_async("/async/")) == "key_missing"
        finally:
            request_refused.disconnect(receive)
        assert counted == [0]

    @pytest.mark.django_db(transaction=True, databases="__all__")
    @pytest.mark.needs("redis-server")
    def test_no_tenant_s_policy_is_used_without_asking_who_is_served(
        self, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for config in settings.DATABASES.values():
            config["ATOMIC_REQUESTS"] = False
        text = make_key(domains=[SHOP])[1]
        token = Token.parse(text)
        assert token is not None
        with running_redis() as redis:
            settings.ALLOWLIST = {"FRESHNESS": redis.url}
            monkeypatch.setattr(connections["default"], "schema_name", "tenant", raising=False)
            assert call("/function/", text, origin=SHOP).status_code == 200
            with pytest.raises(NotCachedError):
                find_cached(token, timezone.now())
            monkeypatch.undo()
            assert call("/function/", text, origin=SHOP).status_code == 200
            assert find_cached(token, timezone.now()) is not None

    @pytest.mark.django_db(transaction=True, databases="__all__")
    @pytest.mark.needs("redis-server")
    def test_with_a_cached_key_no_thread_is_needed(self, settings: Any) -> None:
        for config in settings.DATABASES.values():
            config["ATOMIC_REQUESTS"] = False
        key, token = make_key(domains=[SHOP])
        used_now(key)
        with running_redis() as redis:
            settings.ALLOWLIST = {"FRESHNESS": redis.url}
            assert call_async("/async/", token, origin=SHOP).status_code == 200
            assert async_to_sync(without_threads)(token) == [200, 403, 401, 401]
            key.restrict_domains([EVIL])
            replies = [call_async("/async/", token, origin=page) for page in (SHOP, EVIL)]
            assert [reply.status_code for reply in replies] == [403, 200]

    @pytest.mark.django_db(transaction=True, databases="__all__")
    @pytest.mark.needs("redis-server")
    def test_what_has_to_be_written_of_a_cached_key_is_written(self, settings: Any) -> None:
        for config in settings.DATABASES.values():
            config["ATOMIC_REQUESTS"] = False
        key, token = make_key(domains=[SHOP, BLOG])
        with running_redis() as redis:
            settings.ALLOWLIST = {"FRESHNESS": redis.url}
            for page in (SHOP, BLOG):
                assert call_async("/async/", token, origin=page).status_code == 200
        assert None not in key.allowed_domains.values_list("last_matched_at", flat=True)


async def without_threads(token: str) -> list[int]:
    """Return the statuses of requests to an async view while the thread for synchronous code is busy."""
    free, busy = threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def occupy() -> None:
        loop.call_soon_threadsafe(busy.set)
        free.wait(10)

    task = asyncio.create_task(sync_to_async(occupy)())
    await busy.wait()
    try:
        statuses = []
        for sent in ({"X-API-Key": token, "Origin": SHOP}, {"X-API-Key": token}, {}, {"X-API-Key": "x"}):
            request = AsyncRequestFactory().get("/", headers=sent)
            statuses.append((await asyncio.wait_for(async_plain()(request), 5)).status_code)
        return statuses
    finally:
        free.set()
        await task


def test_pages_may_read_what_guarded_views_respond() -> None:
    for url in [*WAYS, "/exempt/outside/", "/exempt/inside/", "/cached/", "/path/x/async/"]:
        assert is_guarded(None, RequestFactory().get(url)), url
    assert not is_guarded(None, RequestFactory().get("/open/"))


def view(request: HttpRequest) -> HttpResponse:
    """Return a response."""
    return HttpResponse()


async def async_view(request: HttpRequest) -> HttpResponse:
    """Return a response."""
    return HttpResponse()


def in_a_class_body() -> None:
    class Widget(View):
        @allowlisted
        def dispatch(self, *args: Any, **kwargs: Any) -> Any:
            return super().dispatch(*args, **kwargs)


use: Any = allowlisted
WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "a class": (lambda: use(ClassBased), '@method_decorator(allowlisted, name="dispatch") above'),
    "a method": (in_a_class_body, '@method_decorator(allowlisted, name="dispatch") above'),
    "a DRF view": (lambda: use(DRFView.as_view()), "permission_classes = [IsAllowlisted]"),
    "a DRF class": (lambda: use(DRFView), "permission_classes = [IsAllowlisted]"),
    "a DRF function": (lambda: use(api_view()(view)), "permission_classes = [IsAllowlisted]"),
    "twice": (lambda: use(allowlisted(view)), "guarded already"),
    "twice, async": (lambda: use(csrf_exempt(allowlisted(async_view))), "guarded already"),
    "a guarded class": (lambda: use(ClassBased.as_view()), "guarded already"),
    "no view": (lambda: use("app.views.view"), "got 'app.views.view', which isn't a view"),
    "None": (lambda: use(None), "got None, which isn't a view"),
    "two views": (lambda: use(view, view), "takes one view"),
    "the permission": (lambda: use(Unauthorized), "@allowlisted(permission=Unauthorized)"),
    "a typing error": (lambda: use(permision=Unauthorized), "Did you mean 'permission'?"),
    "no permission": (lambda: use(permission=BasePermission), "must be IsAllowlisted or a subclass"),
    "a quiet one": (lambda: use(permission=IsAllowlistedQuietly), "must be IsAllowlisted or a sub"),
    "an instance": (lambda: use(permission=IsAllowlisted()), "must be IsAllowlisted or a subclass"),
    "with more": (lambda: use(permission=HasTeapot), "Move what it checks to get_key()"),
    "a kwarg's value": (lambda: use(key_kwarg="<str:key>"), "the name of a URL kwarg"),
    "a throttle": (lambda: use(throttle_classes=TwoAMinute()), "a list of DRF throttle classes"),
    "no throttles": (lambda: use(throttle_classes=["TwoAMinute"]), "a list of DRF throttle classes"),
    "a scope": (lambda: use(throttle_scope="x"), "no effect without throttle_classes"),
}


@pytest.mark.parametrize(("wrong", "sentence"), WRONG.values(), ids=WRONG)
def test_wrong_use_fails_at_import_and_says_what_to_write(wrong: Callable[[], Any], sentence: str) -> None:
    with pytest.raises(TypeError) as caught:
        wrong()
    assert sentence in str(caught.value)


def test_under_api_view_nothing_is_served(token: str) -> None:
    request = RequestFactory().get("/", headers={"X-API-Key": token, "Origin": SHOP})
    with pytest.raises(TypeError, match=r"permission_classes = \[IsAllowlisted\]"):
        api_view()(allowlisted(view))(request)


def test_a_callable_that_isn_t_a_function_is_guarded_as_well(token: str) -> None:
    request = RequestFactory().get("/", headers={"X-API-Key": token})
    assert allowlisted(partial(view))(request).status_code == 403


def test_other_decorators_may_stand_between(token: str) -> None:
    @method_decorator([allowlisted, csrf_exempt], name="dispatch")
    class Widget(ClassBased):
        dispatch = View.dispatch

    request = RequestFactory().post("/", headers={"X-API-Key": token})
    assert Widget.as_view()(request).status_code == 403


@method_decorator(allowlisted, name="get")
class OneHandler(ClassBased):
    """Guarded on one method alone."""

    dispatch = View.dispatch


@method_decorator(allowlisted(permission=Unauthorized), name="dispatch")
class Twice(ClassBased):
    """Guarded, as its base is."""


@method_decorator([allowlisted, allowlisted], name="dispatch")
class TwiceAtOnce(View):
    """Guarded twice by one decorator."""


@method_decorator(allowlisted, name="dispatch")
class Decorated(DRFView):
    """A view of DRF's with a plain view's guard."""


@method_decorator(csrf_exempt, name="dispatch")
class Right(ClassBased):
    """Guarded once, with another decorator around it."""


class Misplaced:
    """Class-based views that are guarded in the wrong place, which no decorator can see."""

    urlpatterns = [
        path("one/", OneHandler.as_view()),
        path("", include([path("twice/", cache_page(60)(Twice.as_view()))])),
        path("twice/at/once/", TwiceAtOnce.as_view()),
        path("drf/", Decorated.as_view()),
        path("right/", Right.as_view()),
        path("drf/right/", DRFView.as_view()),
        *urlpatterns,
    ]


def test_a_system_check_finds_classes_that_are_guarded_in_the_wrong_place(settings: Any) -> None:
    assert check_guarded_views() == []
    settings.ROOT_URLCONF = Misplaced
    names = f"{__name__}."
    assert [error.msg.removeprefix(names) for error in check_guarded_views()] == [
        "OneHandler has a guard on get() alone: other methods are open, and the CSRF check stays.",
        "Twice is guarded twice.",
        "TwiceAtOnce is guarded twice.",
        "Decorated is a DRF view, and a decorator guards it.",
    ]
    settings.ROOT_URLCONF = None
    assert check_guarded_views() == []


@pytest.mark.parametrize("kind", [Twice, TwiceAtOnce])
def test_a_class_that_is_guarded_twice_serves_nobody(kind: Any, token: str) -> None:
    request = RequestFactory().get("/", headers={"X-API-Key": token, "Origin": SHOP})
    with pytest.raises(TypeError, match="guarded already"):
        kind.as_view()(request)
