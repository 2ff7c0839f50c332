"""``get_key``: a project's own credential names the key, and everything else stays as it is."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import SuspiciousOperation
from django.db.models import QuerySet
from django.middleware.csrf import get_token
from django.test import Client, RequestFactory
from django.urls import path
from django.utils import timezone
from rest_framework.authentication import SessionAuthentication
from rest_framework.permissions import AllowAny
from rest_framework.response import Response
from rest_framework.views import APIView

from allowlist.authentication import APIKeyAuthentication
from allowlist.models import APIKey
from allowlist.permissions import IsAllowlisted, IsAllowlistedQuietly
from allowlist.policy.tokens import Kind
from allowlist.throttling import APIKeyRateThrottle
from tests.redis_server import running_redis
from tests.testing import ELSEWHERE, EVIL, SHOP, UNKNOWN, body, call, make_key, reason, statements

pytestmark = [pytest.mark.django_db(databases="__all__"), pytest.mark.urls(__name__)]

CREDENTIAL = "X-Project"
"""The header in which these projects send what names the key."""


class ByName(IsAllowlisted):
    """The project's header names the key; without one, a token does."""

    def get_key(self, request: Any, view: Any) -> Any:
        """Return the key of that name."""
        name = request.headers.get(CREDENTIAL)
        return APIKey.objects.get(name=name) if name else super().get_key(request, view)


class ByNumber(IsAllowlisted):
    """The project's header is the key's primary key."""

    def get_key(self, request: Any, view: Any) -> Any:
        """Return it as it was sent."""
        return request.headers.get(CREDENTIAL)


class Quietly(IsAllowlistedQuietly):
    """The same, and returns False."""

    get_key = ByName.get_key


class ByUser(IsAllowlisted):
    """The user who is logged in names the key."""

    uses_cookies = True

    def get_key(self, request: Any, view: Any) -> Any:
        """Return the key of that user's name."""
        return APIKey.objects.filter(name=request.user.get_username()).first()


class BySession(IsAllowlisted):
    """The session names the key, in a view that authenticates nobody; without one, a token does."""

    uses_cookies = True

    def get_key(self, request: Any, view: Any) -> Any:
        """Return the primary key that the session holds."""
        return request.session.get("key") or super().get_key(request, view)


class OneAMinute(APIKeyRateThrottle):
    """A low rate."""

    rate = "1/min"


class Widget(APIView):
    """What is guarded."""

    authentication_classes: Any = [APIKeyAuthentication]
    permission_classes: Any = [ByName]

    def get(self, request: Any, **kwargs: Any) -> Response:
        """Return what the view was given."""
        access = request.allowlist
        auth = None if request.auth is None else request.auth.name
        return Response({"key": access.key.name, "auth": auth, "anonymous": request.user.is_anonymous})

    post = get


class InPath(Widget):
    """With a token in the path, for clients without a credential of the project."""

    allowlist_key_kwarg = "public_id"


class Dynamic(Widget):
    """Chooses its permission for each request."""

    permission_classes = ()

    def get_permissions(self) -> list[Any]:
        """Return it."""
        return [ByName()]


def guarded(*permissions: Any, **options: Any) -> Any:
    """Return a view."""
    return Widget.as_view(permission_classes=permissions, **options)


urlpatterns = [
    path("by-name/", guarded(ByName)),
    path("by-name/<str:public_id>/", InPath.as_view()),
    path("by-number/", guarded(ByNumber)),
    path("composed/", guarded(AllowAny & (ByName & AllowAny))),
    path("quiet/", guarded(Quietly)),
    path("both/", guarded(ByName, IsAllowlisted)),
    path("throttled/dynamic/", Dynamic.as_view(throttle_classes=[OneAMinute])),
    path("throttled/", guarded(ByName, throttle_classes=[OneAMinute])),
    path("by-user/", guarded(ByUser, authentication_classes=[APIKeyAuthentication, SessionAuthentication])),
    path("by-session/", guarded(BySession, authentication_classes=[])),
]


def send(name: Any, url: str = "/by-name/", origin: str = SHOP, **sent: Any) -> Any:
    """Send a request with the project's credential."""
    return call(url, sent.pop("token", None), {CREDENTIAL: str(name), "Origin": origin}, **sent)


@pytest.mark.parametrize("url", ["/by-name/", "/composed/", "/quiet/", "/by-name/x/", f"/by-name/{UNKNOWN}/"])
def test_view_authentication_and_permission_get_the_same_key(url: str) -> None:
    make_key(name="mine", domains=[SHOP])
    assert body(send("mine", url)) == {"key": "mine", "auth": "mine", "anonymous": True}
    refused = send("mine", url, EVIL)
    if url == "/quiet/":
        assert (refused.status_code, refused["WWW-Authenticate"]) == (401, "Api-Key")
    else:
        assert (refused.status_code, reason(refused)) == (403, "origin_not_listed")


def test_a_primary_key_will_do_and_its_row_is_read_again() -> None:
    key, _token = make_key(name="mine", domains=[SHOP])
    assert body(send(key.pk, "/by-number/"))["key"] == "mine"
    with statements() as sql:
        assert send(key.pk, "/by-number/").status_code == 200
    assert len(sql) == 1


def test_nothing_but_the_primary_key_of_what_is_returned_counts() -> None:
    key, _token = make_key(name="mine")
    ghost = APIKey(id=key.pk, name="ghost", domain_mode="listed")

    class Ghost(IsAllowlisted):
        def get_key(self, request: Any, view: Any) -> Any:
            return ghost

    answer: Any = Widget.as_view(permission_classes=[Ghost])(RequestFactory().get("/"))
    assert answer.data["key"] == "mine"


def test_without_the_project_s_credential_a_token_may_count() -> None:
    _key, token = make_key(name="mine")
    assert body(call("/by-name/", token))["key"] == "mine"
    assert body(call(f"/by-name/{token}/"))["key"] == "mine"
    assert reason(call("/by-name/")) == "key_missing"
    assert reason(call("/by-number/", token)) == "key_missing"


def test_what_is_refused_by_a_token_s_text_is_not_by_a_credential() -> None:
    make_key(name="server", kind=Kind.SECRET)
    assert send("server").status_code == 200


ENDS: dict[str, Callable[[APIKey], object]] = {
    "revoked": lambda key: key.revoke(),
    "expired": lambda key: APIKey.objects.filter(pk=key.pk).update(expires_at=timezone.now()),
    "deleted": lambda key: key.delete(),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_key_that_has_ended_is_invalid(end: Callable[[APIKey], object]) -> None:
    key, _token = make_key(name="mine")
    assert send(key.pk, "/by-number/").status_code == 200
    number = key.pk
    end(key)
    answer = send(number, "/by-number/")
    assert (answer.status_code, reason(answer)) == (401, "key_invalid")


def test_a_key_of_an_environment_left_out_is_invalid(settings: Any) -> None:
    settings.ALLOWLIST = {"ENVIRONMENTS": ("live",)}
    make_key(name="mine", environment="test")
    assert reason(send("mine")) == "key_invalid"


@pytest.mark.parametrize(
    ("url", "name"),
    [("/by-name/", "nobody's"), ("/by-number/", "x"), ("/by-number/", "1.5")],
)
def test_a_get_key_that_fails_or_returns_no_key_is_undecided(
    url: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = send(name, url)
    assert (answer.status_code, reason(answer)) == (503, "undecided")
    assert "A request could not be decided" in caplog.text


def test_a_key_that_is_not_saved_is_undecided() -> None:
    class Unsaved(IsAllowlisted):
        def get_key(self, request: Any, view: Any) -> Any:
            return APIKey()

    answer: Any = Widget.as_view(permission_classes=[Unsaved])(RequestFactory().get("/"))
    assert answer.data["reason"] == "undecided"


def test_a_suspicious_request_is_a_400_as_everywhere_in_django() -> None:
    class Suspicious(IsAllowlisted):
        def get_key(self, request: Any, view: Any) -> Any:
            raise SuspiciousOperation

    request = RequestFactory().get("/")
    with pytest.raises(SuspiciousOperation):
        Widget.as_view(permission_classes=[Suspicious])(request)


def test_each_permission_class_decides_by_its_own_key() -> None:
    """And the view is given the last one's."""
    make_key(name="by name", domains=[SHOP])
    _key, token = make_key(name="by token", domains=[SHOP, EVIL])
    served = body(send("by name", "/both/", token=token))
    assert (served["key"], served["auth"]) == ("by token", "by name")
    assert reason(send("by name", "/both/", EVIL, token=token)) == "origin_not_listed"
    assert reason(send("by name", "/both/")) == "key_missing"


@pytest.mark.parametrize("url", ["/throttled/", "/throttled/dynamic/"])
def test_a_throttle_counts_by_the_same_key(url: str) -> None:
    for name in ("one", "two"):
        make_key(name=name)
        statuses = [send(name, url, REMOTE_ADDR=ELSEWHERE).status_code for _time in range(2)]
        assert statuses == [200, 429]


def test_what_a_credential_serves_counts_as_use() -> None:
    key, _token = make_key(name="mine")
    send("mine")
    assert APIKey.objects.get(pk=key.pk).last_used_at is not None


@pytest.mark.django_db(transaction=True, databases="__all__")
@pytest.mark.needs("redis-server")
def test_with_redis_a_credential_s_key_is_cached_and_a_change_heard_of(settings: Any) -> None:
    for config in settings.DATABASES.values():
        config["ATOMIC_REQUESTS"] = False
    key, token = make_key(name="mine", domains=[SHOP])
    QuerySet(APIKey).filter(pk=key.pk).update(last_used_at=timezone.now() - timedelta(seconds=5))
    with running_redis() as redis:
        settings.ALLOWLIST = {"FRESHNESS": redis.url}
        send(key.pk, "/by-number/")
        call("/by-name/", token, {"Origin": SHOP})
        with statements() as sql:
            assert send(key.pk, "/by-number/").status_code == 200
            assert call("/by-name/", token, {"Origin": SHOP}).status_code == 200
        assert sql == []
        key.restrict_domains([EVIL])
        assert reason(send(key.pk, "/by-number/")) == "origin_not_listed"
        assert reason(call("/by-name/", token, {"Origin": SHOP})) == "origin_not_listed"


class TestCookies:
    """A page of anyone's could send a visitor's cookies."""

    @pytest.fixture
    def client(self, make_user: Any) -> Client:
        user = make_user("visitor")
        key, _token = make_key(name=user.get_username())
        client = Client(enforce_csrf_checks=True)
        client.force_login(user)
        session = client.session
        session["key"] = key.pk
        session.save()
        return client

    @pytest.mark.parametrize("url", ["/by-user/", "/by-session/"])
    def test_writing_needs_the_csrf_token_and_reading_does_not(self, client: Client, url: str) -> None:
        assert call(url, client=client).status_code == 200
        for accept in ("application/json", "text/html"):
            refused = call(url, None, {"Accept": accept}, client=client, method="POST")
            assert refused.status_code == 403
            assert b"CSRF" in refused.content
            assert "no-store" in refused["Cache-Control"]
        request = RequestFactory().get("/")
        token = get_token(request)
        client.cookies["csrftoken"] = request.META["CSRF_COOKIE"]
        sent: dict[str, str | None] = {"X-CSRFToken": token}
        assert call(url, None, sent, client=client, method="POST").status_code == 200

    def test_without_a_key_from_cookies_nothing_is_checked(self) -> None:
        _key, token = make_key()
        client = Client(enforce_csrf_checks=True)
        assert reason(call("/by-session/", client=client, method="POST")) == "key_missing"
        assert call("/by-session/", token, client=client, method="POST").status_code == 200

    def test_responses_vary_on_cookies(self) -> None:
        class ByCookie(IsAllowlisted):
            uses_cookies = True

            def get_key(self, request: Any, view: Any) -> Any:
                return request.COOKIES.get("key")

        answer = Widget.as_view(permission_classes=[ByCookie])(RequestFactory().get("/"))
        assert "Cookie" in answer["Vary"]
        assert "Cookie" not in call("/by-name/")["Vary"]
