"""Frames: the page that embeds one is judged, for the frame's document and for what its scripts send."""

from dataclasses import replace
from typing import Any, NamedTuple

import pytest
from django.core import signing
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.test import RequestFactory, override_settings
from django.urls import include, path

from allowlist.decorators import allowlisted
from allowlist.enforcement.embedding import Embedding, read_embedding
from allowlist.models import APIKey, BlockedSource
from allowlist.permissions import IsAllowlisted
from allowlist.policy.origins import Origin
from tests.clock import Clock
from tests.testapp.views import AloneView, PairedView, PathView
from tests.testing import (
    BLOG,
    ELSEWHERE,
    EVIL,
    IP_NOT_LISTED,
    NOT_LISTED,
    SERVED,
    SERVER,
    SHOP,
    UNKNOWN,
    Outcome,
    Reply,
    body,
    call,
    is_done_within,
    make_key,
    reason,
)

pytestmark = [pytest.mark.django_db(databases="__all__"), pytest.mark.urls(__name__)]

OWN = "http://testserver"
"""The origin that serves the frame's document and is called by its scripts."""
SHOP_ORIGIN, OWN_ORIGIN = Origin("https", "shop.example.com", 443), Origin("http", "testserver", 80)
INVALID_TOKEN = Outcome(403, "embed_token_invalid")
HOUR = 3600


class ByName(IsAllowlisted):
    """Takes the key by the name that the path has."""

    def get_key(self, request: Any, view: Any) -> APIKey:
        """Return the key."""
        return APIKey.objects.get(name=view.kwargs["name"])


@allowlisted
def plain(request: HttpRequest) -> HttpResponse:
    """Return a response."""
    return JsonResponse({})


@allowlisted
async def asynchronous(request: HttpRequest) -> HttpResponse:
    """Return a response."""
    return JsonResponse({})


urlpatterns = [
    path(
        "widget/",
        include(
            [
                path("alone/", AloneView.as_view()),
                path("paired/", PairedView.as_view()),
                path("in-path/<str:public_id>/", PathView.as_view()),
                path("plain/", plain),
                path("async/", asynchronous),
                path("named/<str:name>/", AloneView.as_view(permission_classes=[ByName])),
            ]
        ),
    ),
]


def embed_token(key: APIKey, **changes: Any) -> str:
    """Return the token of a frame on the shop's page."""
    return replace(Embedding(key.locator, SHOP_ORIGIN, OWN_ORIGIN), **changes).to_token()


def send(token: str, embed: str | None, headers: Any = None, view: str = "alone", **options: Any) -> Reply:
    """Send what a frame's script sends: a POST, which carries the frame's own origin."""
    sent = {"X-Embed-Token": embed, "Origin": OWN, **(headers or {})}
    return call(f"/widget/{view}/", token, sent, **{"method": "POST", "REMOTE_ADDR": SERVER, **options})


def outcome(reply: Reply) -> Outcome:
    """Return how a request to a guarded view ended; the test views have no POST, but are reached."""
    return Outcome(200 if reply.status_code == 405 else reply.status_code, reason(reply))


# What a frame's scripts send


@pytest.mark.parametrize("view", ["alone", "paired", "in-path/{token}", "plain", "async"])
def test_a_listed_page_s_frame_is_served_with_its_token_alone(view: str) -> None:
    key, token = make_key(domains=[SHOP])
    view = view.format(token=token)
    assert outcome(send(token, embed_token(key), view=view)) == SERVED
    assert outcome(send(token, None, view=view)) == NOT_LISTED
    elsewhere = embed_token(key, page=Origin("https", "blog.example", 443))
    assert outcome(send(token, elsewhere, view=view)) == NOT_LISTED
    assert outcome(send(token, "forged", view=view)) == INVALID_TOKEN


def test_without_the_header_a_frame_is_judged_by_its_own_origin() -> None:
    _key, token = make_key(domains=[OWN])
    assert outcome(send(token, None)) == SERVED


class Sent(NamedTuple):
    """What one kind of request from inside a frame carries, and how it ends."""

    name: str
    headers: dict[str, str | None]
    served: bool
    method: str = "GET"


NO_ORIGIN: dict[str, str | None] = {"Origin": None}
SAME_ORIGIN = {**NO_ORIGIN, "Sec-Fetch-Site": "same-origin"}
REQUESTS = [
    Sent("a POST", {}, True, "POST"),
    Sent("a GET, which has no Origin", {**NO_ORIGIN, "Referer": f"{OWN}/frame/?key=pk_live_x"}, True),
    Sent("a GET under no-referrer", SAME_ORIGIN, True),
    Sent("a HEAD under no-referrer", SAME_ORIGIN, True, "HEAD"),
    Sent("no browser's POST", SAME_ORIGIN, False, "POST"),
    Sent("a GET of another page that hides", {**NO_ORIGIN, "Sec-Fetch-Site": "cross-site"}, False),
    Sent("a GET of a neighbour that hides", {**NO_ORIGIN, "Sec-Fetch-Site": "same-site"}, False),
    Sent("a GET typed by a person", {**NO_ORIGIN, "Sec-Fetch-Site": "none"}, False),
    Sent("two values of one header", {**NO_ORIGIN, "Sec-Fetch-Site": "same-origin, same-origin"}, False),
    Sent("a program", NO_ORIGIN, False),
    Sent("an unlisted page", {"Origin": EVIL}, False),
    Sent("the embedding page itself", {"Origin": SHOP}, False),
    Sent("an unlisted page that says same-origin", {"Origin": EVIL, "Sec-Fetch-Site": "same-origin"}, False),
    Sent("an unlisted page's GET", {**NO_ORIGIN, "Referer": f"{EVIL}/{OWN}/"}, False),
    Sent("a sandboxed frame", {"Origin": "null", "Referer": f"{OWN}/frame/"}, False, "POST"),
    Sent("the frame's host on another port", {"Origin": f"{OWN}:8000"}, False),
    Sent("the frame's host on https", {"Origin": "https://testserver"}, False),
    Sent("a malformed origin", {"Origin": f"{OWN}, {OWN}"}, False),
    Sent("an empty origin", {"Origin": "", "Referer": f"{OWN}/"}, False),
]


@pytest.mark.parametrize("sent", REQUESTS, ids=lambda sent: sent.name)
@pytest.mark.parametrize("mode", ["all", "listed"])
def test_a_token_counts_only_from_the_frame_s_own_document(sent: Sent, mode: str) -> None:
    key, token = make_key(domains=[SHOP] if mode == "listed" else ())
    reply = send(token, embed_token(key), sent.headers, method=sent.method)
    assert reply.status_code in ((200, 405) if sent.served else (403,))
    if not sent.served:
        assert reason(reply) == "embed_token_invalid"


def test_a_hidden_request_counts_only_for_the_host_that_it_is_sent_to() -> None:
    key, token = make_key(domains=[SHOP])
    for host, served in (
        ("testserver", True),
        ("testserver:80", True),
        ("other.testserver", False),
        ("a..b", False),
    ):
        with override_settings(ALLOWED_HOSTS=["*"]):
            reply = send(token, embed_token(key), SAME_ORIGIN, method="GET", HTTP_HOST=host)
        assert outcome(reply) == (SERVED if served else INVALID_TOKEN), host


def test_behind_a_proxy_the_frame_s_origin_is_https() -> None:
    key, token = make_key(domains=[SHOP])
    embed = embed_token(key, document=Origin("https", "testserver", 443))
    assert outcome(send(token, embed, SAME_ORIGIN, method="GET")) == INVALID_TOKEN
    with override_settings(SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https")):
        reply = send(
            token, embed, {**SAME_ORIGIN, "X-Forwarded-Proto": "https"}, method="GET", HTTP_HOST="testserver"
        )
    assert outcome(reply) == SERVED


def test_a_forged_host_is_a_bad_request_as_everywhere_in_django() -> None:
    key, token = make_key(domains=[SHOP])
    with override_settings(ALLOWED_HOSTS=["testserver"]):
        reply = call(
            "/widget/alone/", token, {**SAME_ORIGIN, "X-Embed-Token": embed_token(key)}, HTTP_HOST="evil"
        )
    assert reply.status_code == 400


def test_an_api_on_another_host_serves_the_frame_s_origin() -> None:
    key, token = make_key(domains=[SHOP])
    embed = embed_token(key, document=Origin("https", "frames.service.com", 8443))
    assert outcome(send(token, embed, {"Origin": "https://frames.service.com:8443"})) == SERVED
    assert outcome(send(token, embed, {"Origin": "https://frames.service.com"})) == INVALID_TOKEN
    assert outcome(send(token, embed)) == INVALID_TOKEN


def bad_tokens(key: APIKey) -> list[str]:
    """Return tokens that never count, among them honest ones of someone else."""
    good = embed_token(key)
    payload = [key.locator, SHOP, OWN]
    with override_settings(SECRET_KEY="someone else's"):
        foreign = embed_token(key)
    return [
        "",
        " ",
        ":",
        "::",
        "null",
        good[:-1],
        good[1:],
        f"{good}, {good}",
        f"{good}\0",
        f"{good}é",
        f"{good}\udcff",
        "\udcff",
        "\0" * 100,
        foreign,
        signing.dumps(payload, salt="another"),
        signing.dumps(payload),
        "9" * 100_000,
        f"{good}{':' * 100_000}",
        embed_token(make_key()[0]),
        UNKNOWN,
    ]


def test_a_forged_token_is_refused() -> None:
    key, token = make_key(domains=[SHOP])
    for bad in bad_tokens(key):
        assert outcome(send(token, bad)) == INVALID_TOKEN, bad[:80]


def test_a_token_of_another_key_is_refused_also_where_both_list_the_page() -> None:
    (a, token_a), (b, token_b) = make_key(domains=[SHOP]), make_key(domains=[SHOP])
    assert outcome(send(token_a, embed_token(b))) == outcome(send(token_b, embed_token(a))) == INVALID_TOKEN


def test_a_removed_domain_and_a_revoked_key_stop_the_next_request() -> None:
    key, token = make_key(domains=[SHOP, BLOG])
    embed = embed_token(key)
    assert outcome(send(token, embed)) == SERVED
    key.remove_domains([SHOP])
    assert outcome(send(token, embed)) == NOT_LISTED
    key.add_domains([SHOP])
    assert outcome(send(token, embed)) == SERVED
    key.revoke()
    assert outcome(send(token, embed)) == Outcome(401, "key_invalid")


def test_a_token_survives_the_rotation_of_its_key_and_of_the_secret() -> None:
    key, _token = make_key(domains=[SHOP])
    embed = embed_token(key)
    token = key.rotate()
    assert outcome(send(token, embed)) == SERVED
    with override_settings(SECRET_KEY="new", SECRET_KEY_FALLBACKS=["tests"]):
        assert outcome(send(token, embed)) == SERVED
    with override_settings(SECRET_KEY="new"):
        assert outcome(send(token, embed)) == INVALID_TOKEN


@pytest.mark.parametrize("max_age", [None, 60])
def test_a_token_ends_at_its_age_and_is_renewed_from_half_of_it(clock: Clock, max_age: int | None) -> None:
    key, token = make_key(domains=[SHOP])
    age = max_age or HOUR
    with override_settings(ALLOWLIST={"EMBED_MAX_AGE": max_age} if max_age else {}):
        embed = embed_token(key)
        clock.advance(age // 2)
        assert "X-Embed-Token" not in send(token, embed)
        clock.advance(1)
        fresh = send(token, embed)["X-Embed-Token"]
        clock.advance(age // 2 - 1)
        assert outcome(send(token, embed)) == SERVED
        clock.advance(1)
        assert outcome(send(token, embed)) == INVALID_TOKEN
        assert outcome(send(token, fresh)) == SERVED


@pytest.mark.parametrize("view", ["plain", "async"])
def test_a_plain_view_s_response_carries_a_fresh_token_too(clock: Clock, view: str) -> None:
    key, token = make_key(domains=[SHOP])
    embed = embed_token(key)
    clock.advance(HOUR - 1)
    assert outcome(send(token, send(token, embed, view=view)["X-Embed-Token"])) == SERVED


def test_a_refused_request_gets_no_fresh_token(clock: Clock) -> None:
    key, token = make_key(domains=[SHOP])
    embed = embed_token(key)
    clock.advance(HOUR - 1)
    key.restrict_domains([BLOG])
    reply = send(token, embed)
    assert (outcome(reply), "X-Embed-Token" in reply) == (NOT_LISTED, False)


def test_the_visitor_s_address_is_judged_as_ever() -> None:
    key, token = make_key(domains=[SHOP], ips=[SERVER])
    embed = embed_token(key)
    assert outcome(send(token, embed)) == SERVED
    assert outcome(send(token, embed, REMOTE_ADDR=ELSEWHERE)) == IP_NOT_LISTED
    key.condition = "any"
    key.save()
    assert outcome(send(token, embed, REMOTE_ADDR=ELSEWHERE)) == SERVED
    key.condition = "by_source"
    key.save()
    assert outcome(send(token, embed, REMOTE_ADDR=ELSEWHERE)) == SERVED


def test_a_secret_key_stays_refused_in_a_browser() -> None:
    key, token = make_key(ips=[SERVER], kind="secret")
    assert outcome(send(token, embed_token(key))) == Outcome(403, "secret_key_in_browser")


def test_a_refusal_of_the_token_says_to_reload_the_frame() -> None:
    _key, token = make_key(domains=[SHOP])
    reply = send(token, "forged")
    assert body(reply) == {
        "code": "PERMISSION_DENIED",
        "message": "The frame's embed token doesn't work: it is too old, or of another key or page.",
        "reason": "embed_token_invalid",
        "hint": "Reload the frame. If it has a sandbox attribute, add allow-same-origin there.",
    }
    assert "no-store" in reply["Cache-Control"]


def test_a_bad_token_is_logged_and_never_recorded_or_only_reported(caplog: pytest.LogCaptureFixture) -> None:
    key, token = make_key(domains=[SHOP], enforcement="report")
    with caplog.at_level("INFO", "allowlist"):
        assert outcome(send(token, "forged")) == INVALID_TOKEN
    logged = [each.getMessage() for each in caplog.records if each.name == "allowlist"]
    assert logged == [f"Refused key {key.pk}: embed_token_invalid (origin {OWN})."]
    assert not BlockedSource.objects.filter(key=key)


def test_what_is_recorded_and_said_is_the_embedding_page() -> None:
    key, token = make_key(domains=[BLOG])
    assert body(send(token, embed_token(key)))["origin"] == SHOP
    (row,) = BlockedSource.objects.filter(key=key)
    assert (row.origin, row.reason, row.reported) == (SHOP, "origin_not_listed", 0)
    key.enforcement = "report"
    key.save()
    assert outcome(send(token, embed_token(key))) == SERVED


def test_an_own_permission_names_the_key_and_takes_the_token() -> None:
    key, _token = make_key(domains=[SHOP])
    view = f"named/{key.name}"
    assert outcome(send("", embed_token(key), view=view)) == SERVED
    assert outcome(send("", embed_token(make_key(name="other")[0]), view=view)) == INVALID_TOKEN


def test_responses_vary_on_the_token() -> None:
    key, token = make_key(domains=[SHOP])
    for embed in (None, "forged", embed_token(key)):
        assert "X-Embed-Token" in send(token, embed)["Vary"]


def test_a_huge_token_costs_no_more_than_an_honest_one() -> None:
    key, _token = make_key(domains=[SHOP])
    request = RequestFactory().post("/", headers={"X-Embed-Token": embed_token(key) + ":" * 10_000_000})
    assert is_done_within(0.002, lambda: read_embedding(request, OWN_ORIGIN, key.locator))
