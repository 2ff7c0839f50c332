"""The rate limit: by key and caller, for refused and served requests, each counted once."""

import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache.backends.locmem import LocMemCache
from django.core.exceptions import ImproperlyConfigured
from django.test import Client, RequestFactory
from django.urls import path
from django.utils import timezone
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import reload_api_settings
from rest_framework.throttling import BaseThrottle, SimpleRateThrottle
from rest_framework.views import APIView

from allowlist.permissions import IsAllowlisted, IsAllowlistedQuietly
from allowlist.policy.tokens import Kind
from allowlist.throttling import APIKeyRateThrottle
from tests.clock import MINUTE, Clock
from tests.testing import ELSEWHERE, EVIL, SERVER, SHOP, UNKNOWN, Reply, body, call, make_key, reason

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


class TwoAMinute(APIKeyRateThrottle):
    """A low rate of its own."""

    rate = "2/min"


class TwoSearchesAMinute(TwoAMinute):
    """The same rate, counted apart."""

    scope = "search"


class OneASecond(APIKeyRateThrottle):
    """A rate for bursts."""

    rate, scope = "1/sec", "burst"


class ByAddress(SimpleRateThrottle):
    """A throttle of DRF's kind, with its own way to count."""

    rate, scope = "2/min", "address"

    def get_cache_key(self, request: Request, view: APIView) -> str:
        """Return the name of the count."""
        return f"by-address-{self.get_ident(request)}"


class Failing(BaseThrottle):
    """A throttle that does not work."""

    def allow_request(self, request: Request, view: APIView) -> bool:
        """Fail."""
        raise ConnectionError("The counts are out of reach.")


class Limited(APIView):
    """A widget's endpoint with a low rate."""

    permission_classes: Any = (IsAllowlisted,)
    throttle_classes: Any = (TwoAMinute,)

    def get(self, request: Request, **kwargs: Any) -> Response:
        """Return a response."""
        return Response({"served": True})

    def post(self, request: Request, **kwargs: Any) -> Response:
        """Return a response."""
        return self.get(request)


class InPath(Limited):
    """An endpoint with the key in its path."""

    allowlist_key_kwarg = "public_id"


class NoObject(AllowAny):
    """Grants the view, and no object."""

    def has_object_permission(self, request: Request, view: APIView, obj: Any) -> bool:
        """Return False."""
        return False


class OneObject(Limited):
    """An endpoint that asks for an object's permission after the throttles have counted."""

    permission_classes = (IsAllowlistedQuietly | NoObject,)

    def get(self, request: Request, **kwargs: Any) -> Response:
        """Ask for it."""
        self.check_object_permissions(request, "the object")
        return super().get(request)


urlpatterns = [
    path("limited/", Limited.as_view()),
    path("limited/too/", Limited.as_view()),
    path("limited/<str:public_id>/", InPath.as_view()),
    path("open/", Limited.as_view(permission_classes=[AllowAny])),
    path("scoped/", Limited.as_view(throttle_classes=[APIKeyRateThrottle])),
    path("burst/", Limited.as_view(throttle_classes=[TwoAMinute, OneASecond])),
    path("search/", Limited.as_view(throttle_classes=[TwoSearchesAMinute])),
    path("other/", Limited.as_view(throttle_classes=[ByAddress])),
    path("failing/", Limited.as_view(throttle_classes=[Failing])),
    path("failing/second/", Limited.as_view(throttle_classes=[TwoAMinute, Failing])),
    path("quiet/", Limited.as_view(permission_classes=[IsAllowlistedQuietly])),
    path("quiet/or-open/", Limited.as_view(permission_classes=[IsAllowlistedQuietly | AllowAny])),
    path("quiet/object/", OneObject.as_view()),
    path("without/", Limited.as_view(throttle_classes=[])),
]


class ForgetfulCache(LocMemCache):
    """A cache that evicts a count right after it said that it has it."""

    def add(self, key: Any, *args: Any, **kwargs: Any) -> bool:
        """Add, or say that it is there and drop it."""
        added = super().add(key, *args, **kwargs)
        if not added:
            self.delete(key)
        return added


class BrokenCache(LocMemCache):
    """A cache whose server is down."""

    def add(self, *args: Any, **kwargs: Any) -> bool:
        """Fail."""
        raise ConnectionError("The cache is down.")


class DistantCache(LocMemCache):
    """A cache over a network: what it does is atomic, and takes a moment."""

    def add(self, *args: Any, **kwargs: Any) -> bool:
        """Add."""
        time.sleep(0.001)
        return super().add(*args, **kwargs)

    def incr(self, *args: Any, **kwargs: Any) -> int:
        """Count."""
        time.sleep(0.001)
        return super().incr(*args, **kwargs)


def use_cache(settings: Any, backend: type[LocMemCache]) -> None:
    """Make a class of this module the default cache."""
    settings.CACHES = {"default": {"BACKEND": f"{__name__}.{backend.__name__}"}}


def ask(
    token: str | None,
    origin: str | None = SHOP,
    address: str = ELSEWHERE,
    *,
    url: str = "/limited/",
    **headers: str,
) -> Reply:
    """Send a request from a page of ``origin`` at ``address``."""
    return call(url, token, {"Origin": origin, **headers}, REMOTE_ADDR=address)


def statuses(count: int, *args: Any, **kwargs: Any) -> list[int]:
    """Send several requests and return the statuses."""
    return [ask(*args, **kwargs).status_code for _time in range(count)]


@pytest.fixture
def token() -> str:
    """Return the token of a key that lists the shop."""
    return make_key(domains=[SHOP])[1]


@pytest.fixture(autouse=True)
def _stopped(clock: Clock) -> None:
    """Have all requests of a test in one period, unless it moves the clock."""


@pytest.fixture
def rates(settings: Any) -> Iterator[Any]:
    """Return a function that sets DEFAULT_THROTTLE_RATES for the test."""

    def change(**rates: str | None) -> None:
        settings.REST_FRAMEWORK = {"DEFAULT_THROTTLE_RATES": rates}

    yield change
    settings.REST_FRAMEWORK = {}
    del settings.REST_FRAMEWORK
    reload_api_settings(setting="REST_FRAMEWORK")


# What is counted together


def test_a_caller_is_served_up_to_the_rate(token: str) -> None:
    assert statuses(4, token) == [200, 200, 429, 429]


def test_each_key_has_its_own_count(token: str) -> None:
    _key, other = make_key(name="other", domains=[SHOP])
    assert statuses(3, token) == [200, 200, 429]
    assert statuses(3, other) == [200, 200, 429]


def test_each_caller_has_its_own_count(token: str) -> None:
    assert statuses(3, token, address=ELSEWHERE) == [200, 200, 429]
    assert statuses(3, token, address=SERVER) == [200, 200, 429]
    assert statuses(3, token, address="2001:db8::7") == [200, 200, 429]


def test_an_ipv6_caller_is_a_whole_64_network(token: str) -> None:
    """One person may have that many addresses to send from."""
    assert statuses(2, token, address="2001:db8:0:1::7") == [200, 200]
    assert ask(token, address="2001:db8:0:1:ffff:ffff:ffff:ffff").status_code == 429
    assert ask(token, address="2001:db8:0:2::7").status_code == 200


def test_an_address_spelt_otherwise_is_the_same_caller(token: str) -> None:
    assert statuses(2, token, address=SERVER) == [200, 200]
    assert ask(token, address=f"::ffff:{SERVER}").status_code == 429


def test_callers_whose_address_is_unknown_share_a_count(token: str) -> None:
    assert statuses(2, token, address="") == [200, 200]
    assert ask(token, address="no address").status_code == 429


def test_a_header_that_claims_another_address_changes_nothing(token: str) -> None:
    answers = [ask(token, **{"X-Forwarded-For": f"192.0.2.{number}"}) for number in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]


def test_behind_a_trusted_proxy_each_client_has_its_own_count(token: str, settings: Any) -> None:
    settings.ALLOWLIST = {"TRUSTED_PROXIES": ("10.0.0.0/8",)}
    for client in (ELSEWHERE, SERVER):
        forwarded = {"X-Forwarded-For": f"192.0.2.1, {client}"}
        answers = [ask(token, address="10.0.0.1", **forwarded) for _time in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]


def test_views_of_the_same_throttle_share_a_count(token: str) -> None:
    assert statuses(2, token) == [200, 200]
    assert ask(token, url="/limited/too/").status_code == 429


def test_each_scope_has_its_own_count(token: str) -> None:
    assert statuses(3, token) == [200, 200, 429]
    assert statuses(3, token, url="/search/") == [200, 200, 429]


def test_of_several_throttles_each_counts_every_request(token: str, clock: Clock) -> None:
    assert statuses(2, token, url="/burst/") == [200, 429]
    clock.advance(1)
    # What the second throttle refused was counted by the first.
    assert statuses(1, token, url="/burst/") == [429]
    clock.advance(MINUTE)
    assert statuses(1, token, url="/burst/") == [200]


def test_an_unguarded_view_counts_by_key_too(token: str) -> None:
    _key, other = make_key(name="other", domains=[SHOP])
    assert statuses(3, token, url="/open/") == [200, 200, 429]
    assert statuses(3, other, url="/open/") == [200, 200, 429]


def test_every_method_counts(token: str) -> None:
    methods = ("GET", "POST", "OPTIONS")
    answers = [call("/limited/", token, {"Origin": SHOP}, method=method) for method in methods]
    assert [answer.status_code for answer in answers] == [200, 200, 429]


# Refused callers


def test_a_refused_page_hits_the_rate(token: str) -> None:
    answers = [ask(token, EVIL) for _time in range(3)]
    assert [answer.status_code for answer in answers] == [403, 403, 429]
    assert [reason(answer) for answer in answers[:2]] == ["origin_not_listed"] * 2


def test_a_refused_server_hits_the_rate() -> None:
    _key, token = make_key(ips=[SERVER])
    answers = [ask(token, None, ELSEWHERE) for _time in range(3)]
    assert [answer.status_code for answer in answers] == [403, 403, 429]
    assert reason(answers[0]) == "ip_not_listed"


def test_refused_and_served_requests_share_a_count(token: str) -> None:
    assert [ask(token, page).status_code for page in (EVIL, SHOP, SHOP, EVIL)] == [403, 200, 429, 429]


def test_a_refused_caller_costs_the_others_nothing(token: str) -> None:
    assert statuses(3, token, EVIL, ELSEWHERE) == [403, 403, 429]
    assert statuses(2, token, SHOP, SERVER) == [200, 200]


def invalid_tokens() -> Iterator[tuple[str | None, int]]:
    """Yield what opens nothing, and the status it is answered with."""
    revoked, revoked_token = make_key(name="revoked")
    revoked.revoke()
    past = timezone.now() - timedelta(days=1)
    _expired, expired_token = make_key(name="expired", expires_at=past)
    _secret, secret_token = make_key(name="secret", kind=Kind.SECRET)
    yield from ((token, 401) for token in (None, "mistyped", UNKNOWN, revoked_token, expired_token))
    yield secret_token, 403  # Sent by a page.


def test_callers_without_a_working_key_share_a_count_by_address() -> None:
    """So guessing keys meets the limit, however many are tried."""
    for number, (token, status) in enumerate(invalid_tokens()):
        address = f"192.0.2.{number}"
        assert ask(UNKNOWN, address=address).status_code == 401
        assert ask(token, address=address).status_code == status
        assert ask("mistyped again", address=address).status_code == 429


def test_a_guess_does_not_count_against_the_key_that_works(token: str) -> None:
    assert statuses(3, UNKNOWN) == [401, 401, 429]
    assert statuses(2, token) == [200, 200]


def test_a_secret_key_in_the_path_hits_the_rate() -> None:
    _key, secret = make_key(kind=Kind.SECRET)
    answers = [ask(None, None, url=f"/limited/{secret}/") for _time in range(3)]
    assert [answer.status_code for answer in answers] == [403, 403, 429]
    assert reason(answers[0]) == "key_in_url"


def test_a_key_in_the_path_has_its_own_count(token: str) -> None:
    assert statuses(3, None, url=f"/limited/{token}/") == [200, 200, 429]
    assert statuses(2, None, url=f"/limited/{UNKNOWN}/") == [401, 401]


def test_a_reported_refusal_is_counted_once() -> None:
    _key, token = make_key(domains=[SHOP], enforcement="report")
    assert statuses(3, token, EVIL) == [200, 200, 429]


@pytest.mark.parametrize("guess", [UNKNOWN, None])
def test_what_the_quiet_permission_refuses_hits_the_rate(token: str, guess: str | None) -> None:
    assert statuses(3, guess, url="/quiet/") == [403, 403, 429]
    assert statuses(3, token, EVIL, url="/quiet/") == [403, 403, 429]


def test_what_another_permission_serves_counts_once(token: str) -> None:
    assert statuses(3, token, EVIL, url="/quiet/or-open/") == [200, 200, 429]


def test_a_refused_object_counts_once(token: str) -> None:
    assert statuses(3, token, EVIL, url="/quiet/object/") == [403, 403, 429]
    assert statuses(3, token, SHOP, SERVER, url="/quiet/object/") == [200, 200, 429]


@pytest.mark.parametrize(("page", "status"), [(SHOP, 200), (EVIL, 403)])
def test_the_browsable_api_counts_a_request_once(token: str, page: str, status: int) -> None:
    """It asks permissions again for each form that it might draw."""
    answers = [ask(token, page, Accept="text/html") for _time in range(3)]
    assert [answer.status_code for answer in answers] == [status, status, 429]


def test_a_refused_caller_hits_a_throttle_of_another_kind(token: str) -> None:
    assert statuses(3, token, EVIL, url="/other/") == [403, 403, 429]


def test_a_view_without_throttles_refuses_for_ever(token: str) -> None:
    assert statuses(5, token, EVIL, url="/without/") == [403] * 5


# The response, and time


@pytest.mark.parametrize("page", [SHOP, EVIL])
@pytest.mark.parametrize(("elapsed", "seconds"), [(0, "60"), (15, "45"), (15.5, "45"), (59.9, "1")])
def test_a_throttled_response_says_how_long_to_wait(
    token: str, clock: Clock, page: str, elapsed: float, seconds: str
) -> None:
    clock.advance(elapsed)
    statuses(2, token, page)
    answer = ask(token, page)
    assert answer.status_code == 429
    assert answer["Retry-After"] == seconds
    assert f"Expected available in {seconds} second" in body(answer)["detail"]


def test_a_throttled_response_to_a_refused_caller_is_never_stored(token: str) -> None:
    statuses(2, token, EVIL)
    answer = ask(token, EVIL)
    assert answer.status_code == 429
    assert "no-store" in answer["Cache-Control"]
    assert "Origin" in answer["Vary"]


def test_waiting_as_long_as_said_is_enough_and_less_is_not(token: str, clock: Clock) -> None:
    clock.advance(20)
    statuses(2, token)
    wait = int(ask(token)["Retry-After"])
    clock.advance(wait - 1)
    assert ask(token).status_code == 429
    clock.advance(1)
    assert statuses(3, token) == [200, 200, 429]


def test_a_period_that_is_used_up_does_not_grow(token: str, clock: Clock) -> None:
    statuses(2, token)
    for _second in range(59):
        assert ask(token).status_code == 429
        clock.advance(1)
    clock.advance(1)
    assert ask(token).status_code == 200


def test_a_count_that_the_cache_lost_starts_again(token: str, settings: Any) -> None:
    use_cache(settings, ForgetfulCache)
    assert statuses(5, token) == [200] * 5


# The rate


def test_a_rate_of_none_is_no_limit(token: str, rates: Any) -> None:
    rates(api_key=None)
    assert statuses(5, token, url="/scoped/") == [200] * 5


def test_a_scope_without_a_rate_raises_as_in_drf(token: str, rates: Any) -> None:
    with pytest.raises(ImproperlyConfigured, match="no rate for the scope 'api_key'"):
        ask(token, url="/scoped/")
    assert statuses(2, token, EVIL, url="/scoped/") == [403, 403]


def test_the_rate_is_that_of_the_scope_as_the_settings_have_it_now(token: str, rates: Any) -> None:
    rates(api_key="1/min", burst="9/min")
    assert statuses(2, token, url="/scoped/") == [200, 429]
    rates(api_key="4/min")
    # Three were asked so far, this is the fourth and the fifth.
    assert statuses(3, token, EVIL, url="/scoped/") == [403, 403, 429]


def test_the_class_s_own_rate_overrides_the_settings(token: str, rates: Any) -> None:
    rates(api_key="9/min")
    assert statuses(3, token) == [200, 200, 429]


@pytest.mark.parametrize(("rate", "seconds"), [("1/s", 1), ("1/m", 60), ("1/hour", 3600), ("1/day", 86400)])
def test_periods_are_those_of_drf(token: str, rates: Any, clock: Clock, rate: str, seconds: int) -> None:
    rates(api_key=rate)
    assert statuses(2, token, url="/scoped/") == [200, 429]
    clock.advance(seconds)
    assert statuses(2, token, url="/scoped/") == [200, 429]


# When something fails


def test_a_failing_cache_leaves_a_refusal_as_it_is(
    token: str, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    use_cache(settings, BrokenCache)
    answer = ask(token, EVIL)
    assert (answer.status_code, reason(answer)) == (403, "origin_not_listed")
    (record,) = (
        each for each in caplog.records if each.levelno == logging.ERROR and each.name == "allowlist"
    )
    assert record.message == "A throttle failed to count a refusal."
    assert record.exc_info
    assert ask(None).status_code == 401


def test_a_failing_throttle_serves_nobody(token: str) -> None:
    client = Client(raise_request_exception=False)
    served = call("/failing/", token, {"Origin": SHOP}, client=client)
    refused = call("/failing/", token, {"Origin": EVIL}, client=client)
    assert [served.status_code, refused.status_code] == [500, 403]


def test_a_failing_throttle_leaves_those_before_it_their_count(token: str) -> None:
    """DRF asks all of them first, so the failing one hides the response, not the count."""
    assert statuses(2, token, EVIL, url="/failing/second/") == [403, 403]
    assert ask(token, SHOP).status_code == 429


# Many at once


def test_requests_at_the_same_moment_are_all_counted(settings: Any) -> None:
    """Reading a count, adding to it and writing it back would lose some."""
    use_cache(settings, DistantCache)
    threads, each = 8, 25
    start = threading.Barrier(threads)

    class Often(APIKeyRateThrottle):
        rate = f"{threads * each}/day"

    def ask_once() -> bool:
        return Often().allow_request(Request(RequestFactory().get("/", REMOTE_ADDR=SERVER)), Limited())

    def ask_often() -> list[bool]:
        start.wait()
        return [ask_once() for _time in range(each)]

    with ThreadPoolExecutor(threads) as pool:
        answers = [future.result() for future in [pool.submit(ask_often) for _ in range(threads)]]
    assert answers == [[True] * each] * threads
    assert not ask_once()
