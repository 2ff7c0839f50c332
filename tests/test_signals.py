"""How a refusal is reported: once, with enough to act on, and never with the token."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.dispatch import Signal
from django.http import HttpRequest
from django.urls import path
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from allowlist.authentication import APIKeyAuthentication
from allowlist.permissions import IsAllowlisted, IsAllowlistedQuietly
from allowlist.policy.decision import Decision, Reason, Source
from allowlist.signals import request_refused
from tests.testing import ELSEWHERE, EVIL, SERVER, SHOP, UNKNOWN, call, make_key, set_raw, statements

pytestmark = [pytest.mark.django_db(databases="__all__"), pytest.mark.urls(__name__)]


class Widget(APIView):
    """A guarded view."""

    authentication_classes = [APIKeyAuthentication]
    permission_classes = [IsAllowlisted]

    def get(self, request: Any) -> Response:
        """Return a response."""
        return Response({"allowed": request.allowlist.decision.allowed})

    post = get


class Recipe(IsAllowlisted):
    """A subclass."""


class Grants(BasePermission):
    """Grants if and only if the request has an X-Teapot header."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Return whether the header is there."""
        return "X-Teapot" in request.headers


class Reads(BasePermission):
    """Grants reading, and no object."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Return whether the request only reads."""
        return request.method == "GET"

    def has_object_permission(self, request: Request, view: APIView, obj: Any) -> bool:
        """Return False."""
        return False


class OneObject(Widget):
    """Lets teapots at the view, and nobody who is not listed at its object."""

    authentication_classes = []
    permission_classes = [IsAllowlistedQuietly | Reads]

    def get(self, request: Any) -> Response:
        """Ask for an object."""
        self.check_object_permissions(request, "the object")
        return super().get(request)


QUIET = {
    "or": IsAllowlistedQuietly | Grants,
    "or-reversed": Grants | IsAllowlistedQuietly,
    "and-reversed": Grants & IsAllowlistedQuietly,
    "not": ~IsAllowlistedQuietly,
    "reading": IsAllowlistedQuietly | Reads,
}
urlpatterns = [
    path("widget/", Widget.as_view()),
    path("recipe/", Widget.as_view(permission_classes=[Recipe])),
    path("twice/", Widget.as_view(permission_classes=[IsAllowlistedQuietly | IsAllowlisted])),
    *(
        path(f"quiet/{name}/", Widget.as_view(authentication_classes=[], permission_classes=[permission]))
        for name, permission in QUIET.items()
    ),
    path("quiet/objects/", OneObject.as_view()),
]


class Heard(list[dict[str, Any]]):
    """What a receiver was sent."""

    def __call__(self, **sent: Any) -> None:
        """Note it."""
        self.append(sent)


@pytest.fixture
def heard() -> Iterator[Heard]:
    """Return what the signal sends during the test."""
    receiver = Heard()
    request_refused.connect(receiver)
    yield receiver
    request_refused.disconnect(receiver)


@pytest.fixture(autouse=True)
def _log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "allowlist")


def said(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """Return level and text of what our logger said."""
    return [(each.levelname, each.getMessage()) for each in caplog.records if each.name == "allowlist"]


def test_the_signal_is_django_s() -> None:
    assert isinstance(request_refused, Signal)


def test_a_refusal_is_reported_once_with_all_that_is_known(
    heard: Heard, caplog: pytest.LogCaptureFixture
) -> None:
    key, token = make_key(domains=[SHOP])
    assert call("/widget/", token, {"Origin": EVIL}).status_code == 403
    (sent,) = heard
    assert set(sent) == {"signal", "sender", "request", "key", "decision", "reason", "source"}
    assert sent["sender"] is IsAllowlisted
    assert type(sent["request"]).__mro__[-2] is HttpRequest
    assert sent["request"].path == "/widget/"
    assert sent["key"] == key
    assert sent["decision"] == Decision(False, Reason.ORIGIN_NOT_LISTED)
    assert sent["reason"] is Reason.ORIGIN_NOT_LISTED
    assert isinstance(sent["source"], Source)
    assert str(sent["source"].page) == EVIL
    assert str(sent["source"].read_address()) == "127.0.0.1"
    assert said(caplog) == [("INFO", f"Refused key {key.pk}: origin_not_listed (origin {EVIL}).")]


def test_a_served_request_is_not_reported(heard: Heard, caplog: pytest.LogCaptureFixture) -> None:
    _, token = make_key(domains=[SHOP])
    assert call("/widget/", token, {"Origin": SHOP}).status_code == 200
    assert heard == []
    assert said(caplog) == []


def test_the_sender_is_the_recipe_s_class(heard: Heard) -> None:
    call("/recipe/")
    assert [sent["sender"] for sent in heard] == [Recipe]
    only_of_recipe = Heard()
    request_refused.connect(only_of_recipe, sender=Recipe)
    call("/widget/")
    call("/recipe/")
    assert len(only_of_recipe) == 1


@pytest.mark.parametrize(
    "headers", [{"Origin": EVIL, "Accept": "text/html"}, {"Origin": EVIL}], ids=["page", "json"]
)
@pytest.mark.parametrize("method", ["GET", "OPTIONS", "HEAD", "POST"])
@pytest.mark.parametrize("url", ["/widget/", "/twice/"])
def test_a_request_is_reported_once(
    heard: Heard, caplog: pytest.LogCaptureFixture, headers: dict[str, str], method: str, url: str
) -> None:
    _, token = make_key(domains=[SHOP])
    assert call(url, token, headers, method=method).status_code == 403
    assert (len(heard), len(said(caplog))) == (1, 1)
    call(url, token, headers, method=method)
    assert (len(heard), len(said(caplog))) == (2, 2)


SAID: list[tuple[str, dict[str, Any], dict[str, str], str]] = [
    ("origin_opaque", {"allowed_domains": [SHOP]}, {"Origin": "null"}, "opaque"),
    ("origin_malformed", {"allowed_domains": [SHOP]}, {"Origin": "x\nRefused key 1: forged"}, "malformed"),
    ("origin_hidden", {"allowed_domains": [SHOP]}, {"Sec-Fetch-Site": "cross-site"}, "hidden"),
    ("origin_missing", {"allowed_domains": [SHOP]}, {}, "absent"),
    ("origin_not_listed", {"allowed_domains": [SHOP]}, {"Referer": EVIL + "/?secret=1"}, EVIL),
    ("ip_not_listed", {"allowed_ips": [SERVER]}, {"Origin": SHOP}, f"{SHOP}, address {ELSEWHERE}"),
    ("ip_not_listed", {"allowed_ips": [SERVER]}, {}, f"absent, address {ELSEWHERE}"),
    (
        "browser_not_allowed",
        {"allowed_ips": [SERVER], "condition": "by_source"},
        {"Origin": SHOP},
        f"{SHOP}, address {ELSEWHERE}",
    ),
]


@pytest.mark.parametrize(("reason", "fields", "headers", "origin"), SAID)
def test_the_log_line_says_key_reason_and_where_from(
    caplog: pytest.LogCaptureFixture,
    reason: str,
    fields: dict[str, Any],
    headers: dict[str, str],
    origin: str,
) -> None:
    key, token = make_key(**fields)
    call("/widget/", token, headers, REMOTE_ADDR=ELSEWHERE)
    assert said(caplog) == [("INFO", f"Refused key {key.pk}: {reason} (origin {origin}).")]


@pytest.mark.parametrize(
    ("token", "headers", "expected", "begins"),
    [
        (None, {}, "key_missing", "Refused a request without a key"),
        (
            "nonsense",
            {},
            "key_invalid",
            "Refused a request whose key is unknown, revoked, expired or malformed",
        ),
        (UNKNOWN, {}, "key_invalid", "Refused a request whose key is unknown, revoked, expired or malformed"),
        (
            "sk_live_x",
            {"Origin": SHOP},
            "secret_key_in_browser",
            "Refused a browser's request with a secret key",
        ),
    ],
)
def test_a_refusal_without_a_key_is_reported_in_a_plain_sentence(
    heard: Heard,
    caplog: pytest.LogCaptureFixture,
    token: str | None,
    headers: dict[str, str],
    expected: str,
    begins: str,
) -> None:
    call("/widget/", token, headers)
    (sent,) = heard
    assert (sent["key"], sent["reason"]) == (None, expected)
    ((level, line),) = said(caplog)
    assert level == "INFO"
    assert line == f"{begins}: {expected} (origin {headers.get('Origin', 'absent')})."


def test_an_error_is_reported_as_undecided(heard: Heard) -> None:
    key, token = make_key()
    set_raw(key, "condition", "odd")
    assert call("/widget/", token).status_code == 503
    assert [sent["reason"] for sent in heard] == [Reason.UNDECIDED]


def test_a_key_that_only_reports_serves_and_reports(heard: Heard, caplog: pytest.LogCaptureFixture) -> None:
    key, token = make_key(domains=[SHOP], enforcement="report")
    answer = call("/widget/", token, {"Origin": EVIL})
    assert (answer.status_code, answer.json()) == (200, {"allowed": False})
    (sent,) = heard
    assert (sent["key"], sent["decision"].allowed, sent["reason"]) == (key, False, "origin_not_listed")
    assert said(caplog) == [("INFO", f"Reported key {key.pk}: origin_not_listed (origin {EVIL}).")]
    assert call("/widget/", token, {"Origin": SHOP}).json() == {"allowed": True}
    assert len(heard) == 1


@pytest.mark.parametrize(
    ("fields", "headers", "served"),
    [
        ({"allowed_ips": [SERVER]}, {}, True),
        ({"allowed_ips": [SERVER], "condition": "by_source"}, {"Origin": SHOP}, True),
        ({"allowed_domains": [SHOP], "condition": "by_source"}, {}, True),
        ({"allowed_domains": [SHOP]}, {"Origin": "null"}, True),
        ({"kind": "secret", "allowed_ips": [SERVER]}, {"Origin": SHOP}, False),
    ],
)
def test_reporting_serves_what_the_lists_refuse_and_nothing_else(
    heard: Heard, fields: dict[str, Any], headers: dict[str, str], served: bool
) -> None:
    _, token = make_key(**fields, enforcement="report")
    assert (call("/widget/", token, headers, REMOTE_ADDR=ELSEWHERE).status_code == 200) is served
    assert len(heard) == 1


@pytest.mark.parametrize("kind", ["publishable", "secret"])
def test_the_token_is_in_no_log_line_and_in_no_signal(
    heard: Heard, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    key, token = make_key(kind=kind, ips=[SERVER])
    caplog.set_level("DEBUG")
    for headers in ({}, {"Origin": EVIL}, {"Sec-Fetch-Site": "none"}):
        call("/widget/", token, headers, REMOTE_ADDR=ELSEWHERE)
        call("/widget/", None, {**headers, "Authorization": f"Bearer {token}"}, REMOTE_ADDR=ELSEWHERE)
    set_raw(key, "condition", "odd")
    call("/widget/", token)
    ours = [each for each in caplog.records if each.name == "allowlist"]
    assert len(ours) == 8
    for record in ours:
        text = record.getMessage() + str(record.exc_info) + str(record.args)
        assert token[20:] not in text
    for sent in heard:
        shown = " ".join(repr(value) for name, value in sent.items() if name != "request")
        assert token[20:] not in shown


def test_a_receiver_that_raises_changes_nothing_and_is_logged(
    heard: Heard, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(**sent: Any) -> None:
        raise RuntimeError("a receiver's own error")

    request_refused.disconnect(heard)
    request_refused.connect(fails)
    request_refused.connect(heard)
    try:
        _, token = make_key(domains=[SHOP])
        answer = call("/widget/", token, {"Origin": EVIL})
    finally:
        request_refused.disconnect(fails)
    assert answer.status_code == 403
    assert b"own error" not in answer.content
    assert len(heard) == 1
    (failure,) = [each for each in caplog.records if each.levelname == "ERROR"]
    assert "fails in Signal.send_robust() (a receiver's own error)" in failure.getMessage()


def test_a_report_s_failing_receiver_does_not_refuse() -> None:
    def fails(**sent: Any) -> None:
        raise RuntimeError

    request_refused.connect(fails)
    try:
        _, token = make_key(domains=[SHOP], enforcement="report")
        assert call("/widget/", token, {"Origin": EVIL}).status_code == 200
    finally:
        request_refused.disconnect(fails)


def test_reporting_costs_no_statement(heard: Heard) -> None:
    _, token = make_key(domains=[SHOP])
    call("/widget/", token, {"Origin": EVIL})
    with statements() as sql:
        call("/widget/", token, {"Origin": EVIL})
        assert heard[-1]["key"].name == "widget"
    assert len(sql) == 1


QUIETLY = [
    ("or", {}, IsAllowlistedQuietly),
    ("or-reversed", {}, IsAllowlistedQuietly),
    ("and-reversed", {"X-Teapot": "yes"}, IsAllowlistedQuietly),
    ("objects", {}, IsAllowlistedQuietly),
]


@pytest.mark.parametrize(("url", "headers", "sender"), QUIETLY)
@pytest.mark.parametrize("accept", ["application/json", "text/html"])
def test_a_quiet_refusal_is_reported_once_if_the_request_is_refused(
    heard: Heard, url: str, headers: dict[str, str], sender: type, accept: str
) -> None:
    key, token = make_key(domains=[SHOP])
    sent = {**headers, "Origin": EVIL, "Accept": accept}
    assert call(f"/quiet/{url}/", token, sent).status_code == 403
    assert [(each["key"], each["sender"]) for each in heard] == [(key, sender)]
    assert call(f"/quiet/{url}/", None, sent).status_code == 403
    assert [each["reason"] for each in heard] == ["origin_not_listed", "key_missing"]
    assert call(f"/quiet/{url}/", token, {**sent, "Origin": SHOP}).status_code == 200
    assert len(heard) == 2


def test_a_key_that_only_reports_is_reported_by_the_quiet_permission_too(heard: Heard) -> None:
    key, token = make_key(domains=[SHOP], enforcement="report")
    assert call("/quiet/or/", token, {"Origin": EVIL}).status_code == 200
    assert [(each["key"], each["reason"]) for each in heard] == [(key, "origin_not_listed")]


@pytest.mark.parametrize("url", ["or", "not", "reading"])
@pytest.mark.parametrize("accept", ["application/json", "text/html"])
def test_a_quiet_refusal_of_a_served_request_is_not_reported(
    heard: Heard, caplog: pytest.LogCaptureFixture, url: str, accept: str
) -> None:
    """The browsable page of "reading" asks whether it may show a form to write, which nobody sent."""
    _, token = make_key(domains=[SHOP])
    sent = {"Origin": EVIL, "X-Teapot": "yes", "Accept": accept}
    for each in (token, None):
        assert call(f"/quiet/{url}/", each, sent).status_code == 200
    assert heard == []
    assert said(caplog) == []
