"""Whatever fails, only listed places are served, and the log says what failed."""

from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections
from django.test import Client
from django.urls import path
from django.views.debug import ExceptionReporter
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from allowlist.authentication import APIKeyAuthentication
from allowlist.enforcement import statement
from allowlist.models import APIKey
from allowlist.permissions import IsAllowlisted, IsAllowlistedQuietly
from tests.testing import (
    EVIL,
    SERVER,
    SHOP,
    UNKNOWN,
    body,
    call,
    execute,
    make_key,
    reason,
    routed_to_other,
    set_raw,
)

pytestmark = pytest.mark.urls(__name__)
with_database = pytest.mark.django_db(databases="__all__")
with_commits = pytest.mark.django_db(transaction=True, databases="__all__")


class OneRenderer(BaseContentNegotiation):
    """Reads nothing of the request, while DRF's own reads the query for ``?format=`` before all else."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        """Return the first."""
        return renderers[0], renderers[0].media_type


class Widget(APIView):
    """What must not be reached."""

    authentication_classes = []
    content_negotiation_class = OneRenderer
    permission_classes = [IsAllowlisted]

    def get(self, request: Request) -> Response:
        """Return a response."""
        return Response({"reached": True})


class Failing(Widget):
    """Fails after the permission has let the request in, with the key at hand."""

    authentication_classes = [APIKeyAuthentication]

    def get(self, request: Request) -> Response:
        """Raise."""
        key: Any = request.auth
        return Response(1 / len(key.allowed_domains.all()))


class HasTeapot(BasePermission):
    """Grants if and only if the request has an X-Teapot header."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Return whether the header is there."""
        return "X-Teapot" in request.headers


VIEWS = ["/alone/", "/paired/", "/and/"]
urlpatterns = [
    path("alone/", Widget.as_view()),
    path("paired/", Widget.as_view(authentication_classes=[APIKeyAuthentication])),
    path("and/", Widget.as_view(permission_classes=[IsAllowlisted & IsAllowlisted])),
    path("failing/", Failing.as_view()),
    path("quiet/", Widget.as_view(permission_classes=[IsAllowlistedQuietly])),
    path("or/", Widget.as_view(permission_classes=[IsAllowlistedQuietly | HasTeapot])),
]
PLACES: list[dict[str, str]] = [
    {"Origin": SHOP},
    {"Origin": EVIL},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "none"},
    {},
]
EMPTY_LISTS = pytest.mark.parametrize("empty_list", ["refuse", "deny", "allow"])


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return our log's errors."""
    return [
        each.getMessage() for each in caplog.records if (each.name, each.levelname) == ("allowlist", "ERROR")
    ]


def assert_undecided(token: str, caplog: pytest.LogCaptureFixture) -> None:
    """Assert that nobody is served, and that the log names the cause and the response does not."""
    for headers in PLACES:
        for view in VIEWS:
            caplog.clear()
            answer = call(view, token, headers, REMOTE_ADDR=SERVER)
            assert (answer.status_code, reason(answer)) == (503, "undecided")
            assert set(body(answer)) == {"code", "message", "reason", "hint"}
            assert answer.get("WWW-Authenticate") is None
            assert errors(caplog) == ["A request could not be decided, so it is refused."]
            assert "Traceback" in caplog.text
            assert token not in caplog.text
        assert call("/quiet/", token, headers, REMOTE_ADDR=SERVER).status_code == 403


@with_commits
def test_a_database_out_of_reach_refuses(caplog: pytest.LogCaptureFixture) -> None:
    nowhere = {"NAME": "/nonexistent/database.sqlite3"} if connection.vendor == "sqlite" else {"PORT": "1"}
    with routed_to_other(**nowhere, ATOMIC_REQUESTS=False):
        assert_undecided(UNKNOWN, caplog)


@with_commits
def test_a_database_that_was_never_migrated_refuses(caplog: pytest.LogCaptureFixture) -> None:
    name = {"NAME": ":memory:"} if connection.vendor == "sqlite" else {}
    with routed_to_other(**name, ATOMIC_REQUESTS=False):
        if connection.vendor != "sqlite":
            execute("ALTER TABLE [allowlist_apikey] RENAME TO away", alias="other")
        try:
            assert_undecided(UNKNOWN, caplog)
        finally:
            if connection.vendor != "sqlite":
                execute("ALTER TABLE away RENAME TO [allowlist_apikey]", alias="other")


@with_commits
def test_a_connection_that_went_away_refuses(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for config in connections.settings.values():
        monkeypatch.setitem(config, "ATOMIC_REQUESTS", False)
    _, token = make_key()
    assert call("/alone/", token).status_code == 200
    connection.connection.close()
    try:
        assert_undecided(token, caplog)
    finally:
        connection.connection = None  # PyMySQL would raise at a second close().
    assert call("/alone/", token).status_code == 200


HELD = {
    "sqlite": ("BEGIN EXCLUSIVE", "ROLLBACK"),
    "postgresql": ("BEGIN; LOCK TABLE allowlist_apikey IN ACCESS EXCLUSIVE MODE", "ROLLBACK"),
    "mysql": ("LOCK TABLES allowlist_apikey WRITE", "UNLOCK TABLES"),
}
# Not a limit for every statement: a busy machine may need that long for one that waits for nothing.
IMPATIENT: dict[str, dict[str, Any]] = {
    "sqlite": {"timeout": 0.1},
    "postgresql": {"options": "-c lock_timeout=100"},
    "mysql": {"charset": "utf8mb4", "init_command": "SET SESSION lock_wait_timeout = 1"},
}


@with_commits
def test_a_database_that_is_too_slow_refuses(caplog: pytest.LogCaptureFixture) -> None:
    _, token = make_key()
    hold, let_go = HELD[connection.vendor]
    impatient = {"NAME": connection.settings_dict["NAME"], "OPTIONS": IMPATIENT[connection.vendor]}
    holder = connections.create_connection("default")
    with closing(holder), holder.cursor() as cursor, routed_to_other(**impatient, ATOMIC_REQUESTS=False):
        assert call("/alone/", token).status_code == 200
        cursor.execute(hold)
        try:
            assert_undecided(token, caplog)
        finally:
            cursor.execute(let_go)
        assert call("/alone/", token).status_code == 200


class Lost:
    """A router that cannot say where the models live."""

    error: BaseException = Exception()

    def db_for_write(self, model: type, **hints: Any) -> str:
        """Raise."""
        raise self.error


@with_database
@pytest.mark.parametrize(
    "error",
    [
        ValueError("x"),
        AttributeError("x"),
        RecursionError("x"),
        MemoryError("x"),
        StopIteration("x"),
        APIKey.DoesNotExist("x"),
        PermissionError("x"),
    ],
    ids=repr,
)
def test_any_error_refuses(settings: Any, error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    _, token = make_key()
    Lost.error = error
    settings.DATABASE_ROUTERS = [f"{__name__}.Lost"]
    assert_undecided(token, caplog)


@with_database
@pytest.mark.parametrize("header", ["X-API-Key", "Authorization"])
@pytest.mark.parametrize("kind", ["publishable", "secret"])
@pytest.mark.parametrize("at", ["db_for_write", "is_opened_by", "converted"])
def test_a_report_of_the_error_shows_neither_token_nor_digest(
    settings: Any,
    header: str,
    kind: str,
    at: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Such reports print what every function on the way held, and what the request said."""
    key, token = make_key(kind=kind)
    if at == "db_for_write":
        Lost.error = ValueError("x")
        settings.DATABASE_ROUTERS = [f"{__name__}.Lost"]
    elif at == "is_opened_by":
        set_raw(key, "digest", "\xe9" * 64)
    else:
        monkeypatch.setattr(statement, "timezone", None)
    prefix = "Api-Key " if header == "Authorization" else ""
    answer = call("/alone/", headers={header: prefix + token})
    assert reason(answer) == "undecided"
    (record,) = [each for each in caplog.records if each.name == "allowlist" and each.exc_info]
    assert record.exc_info is not None
    for debug in (False, True):
        settings.DEBUG = debug
        reporter = ExceptionReporter(answer.wsgi_request, *record.exc_info)
        for report in (reporter.get_traceback_html(), reporter.get_traceback_text()):
            assert at in report
            assert token[-32:] not in report
            assert key.digest not in report


@with_database
@pytest.mark.parametrize("header", ["X-API-Key", "Authorization"])
def test_a_failing_views_debug_page_shows_neither_token_nor_digest(settings: Any, header: str) -> None:
    settings.DEBUG = True
    key, token = make_key(kind="secret")
    prefix = "Bearer " if header == "Authorization" else ""
    client = Client(raise_request_exception=False)
    page = call("/failing/", headers={header: prefix + token}, client=client)
    shown = page.content.decode()
    assert (page.status_code, "ZeroDivisionError" in shown) == (500, True)
    assert token[-32:] not in shown
    assert key.digest not in shown


@with_database
def test_an_error_leaves_the_word_to_another_permission(settings: Any) -> None:
    _, token = make_key()
    Lost.error = ValueError("x")
    settings.DATABASE_ROUTERS = [f"{__name__}.Lost"]
    assert call("/or/", token).status_code == 403
    assert call("/or/", token, {"X-Teapot": "yes"}).status_code == 200


@with_database
@EMPTY_LISTS
@pytest.mark.parametrize("column", ["domain_mode", "ip_mode", "condition"])
@pytest.mark.parametrize("text", ["odd", "", "LISTED", "ALL", "all ", "None"])
@pytest.mark.parametrize(
    "lists", [{}, {"allowed_domains": [SHOP], "allowed_ips": [SERVER]}], ids=["off", "on"]
)
def test_a_row_with_an_unknown_value_refuses(
    settings: Any, empty_list: str, column: str, text: str, lists: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.ALLOWLIST = {"EMPTY_LIST": empty_list}
    key, token = make_key(**lists)
    set_raw(key, column, text)
    assert_undecided(token, caplog)


@with_database
@EMPTY_LISTS
def test_a_row_made_unreadable_after_a_request_refuses(
    settings: Any, empty_list: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings.ALLOWLIST = {"EMPTY_LIST": empty_list}
    key, token = make_key(domains=[SHOP])
    assert call("/alone/", token, {"Origin": SHOP}).status_code == 200
    set_raw(key, "domain_mode", "odd")
    assert_undecided(token, caplog)


@with_database
@pytest.mark.only_on("sqlite")
def test_an_invalid_revision_refuses(caplog: pytest.LogCaptureFixture) -> None:
    key, token = make_key()
    set_raw(key, "revision", "no revision")
    assert_undecided(token, caplog)


ENDS = pytest.mark.parametrize("column", ["revoked_at", "expires_at"])
NO_DATES = ("garbage", "", " ", "never", "2026-02-30 00:00:00", "2026-01-01T", b"\xff", 0, 7.5)


@with_database
@pytest.mark.only_on("sqlite")
@pytest.mark.parametrize("use_tz", [True, False])
@ENDS
def test_an_end_that_is_not_a_date_is_not_read_as_no_end(
    settings: Any, use_tz: bool, column: str, caplog: pytest.LogCaptureFixture
) -> None:
    """SQLite stores anything, and its driver reads an invalid date as None."""
    settings.USE_TZ = use_tz
    key, token = make_key()
    for text in NO_DATES:
        set_raw(key, column, text)
        assert (text, reason(call("/alone/", token))) == (text, "undecided")
    assert_undecided(token, caplog)


@with_database
@pytest.mark.only_on("sqlite")
@pytest.mark.parametrize("use_tz", [True, False])
def test_an_overlap_with_an_invalid_end_has_ended(settings: Any, use_tz: bool) -> None:
    settings.USE_TZ = use_tz
    key, old = make_key()
    key.rotate(timedelta(hours=1))
    assert call("/alone/", old).status_code == 200
    for text in NO_DATES:
        set_raw(key, "previous_until", text)
        assert call("/alone/", old).status_code in (401, 503), text


@with_database
@pytest.mark.only_on("postgres")
@ENDS
@pytest.mark.parametrize("text", ["infinity", "-infinity"])
def test_an_end_beyond_the_calendar_refuses(column: str, text: str, caplog: pytest.LogCaptureFixture) -> None:
    key, token = make_key()
    set_raw(key, column, text)
    assert_undecided(token, caplog)


@with_database
@pytest.mark.only_on("mariadb")
@ENDS
def test_an_end_of_zeros_refuses(column: str) -> None:
    key, token = make_key()
    set_raw(key, column, "0000-00-00 00:00:00")
    assert reason(call("/alone/", token)) in ("key_invalid", "undecided")


@with_database
def test_an_invalid_digest_refuses() -> None:
    key, token = make_key()
    for digest in ("", "x", "0" * 64, "\xe9" * 64):
        set_raw(key, "digest", digest)
        assert call("/alone/", token).status_code in (401, 503)


DOMAINS = [
    "",
    "*",
    "*.*",
    "https://*",
    "https://shop.example.com/path",
    "shop.example.com,evil.example.net",
    "\x01",
    "https://shop.example.com" + "m" * 250,
]
IPS = ["", "*", "0.0.0.0/0", "::/0", "203.0.113.7/0", "203.0.113.007", "garbage"]


@with_database
@pytest.mark.parametrize("empty_list", ["refuse", "allow"])
@pytest.mark.parametrize("text", DOMAINS, ids=ascii)
def test_a_domain_that_cannot_be_read_lets_nobody_in(
    settings: Any, empty_list: str, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings.ALLOWLIST = {"EMPTY_LIST": empty_list, "MISSING_ORIGIN": "deny"}
    key, token = make_key(domains=[SHOP])
    execute("UPDATE [allowlist_alloweddomain] SET domain = %s WHERE key_id = %s", text, key.pk)
    for headers in PLACES:
        assert call("/alone/", token, headers, REMOTE_ADDR=SERVER).status_code == 403
    assert errors(caplog) == [f"Key {key.pk} lists {text!r}, which cannot be read and matches nothing."]


@with_database
@pytest.mark.parametrize("empty_list", ["refuse", "allow"])
@pytest.mark.parametrize("text", IPS)
def test_an_address_that_cannot_be_read_lets_nobody_in(
    settings: Any, empty_list: str, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings.ALLOWLIST = {"EMPTY_LIST": empty_list}
    key, token = make_key(ips=[SERVER])
    execute("UPDATE [allowlist_allowedip] SET ip = %s WHERE key_id = %s", text, key.pk)
    for headers in PLACES:
        assert call("/alone/", token, headers, REMOTE_ADDR=SERVER).status_code == 403
    assert errors(caplog) == [f"Key {key.pk} lists {text!r}, which cannot be read and matches nothing."]


@with_database
def test_an_entry_that_cannot_be_read_leaves_the_others_in_force() -> None:
    key, token = make_key(domains=[SHOP, "other.example.com"])
    execute(
        "UPDATE [allowlist_alloweddomain] SET domain = %s WHERE key_id = %s AND domain = %s",
        "nonsense!",
        key.pk,
        "other.example.com",
    )
    assert call("/alone/", token, {"Origin": SHOP}).status_code == 200
    assert call("/alone/", token, {"Origin": "https://other.example.com"}).status_code == 403


@with_database
@pytest.mark.parametrize("text", ["REPORT", "odd", ""])
def test_an_unknown_enforcement_enforces(text: str) -> None:
    key, token = make_key(domains=[SHOP])
    set_raw(key, "enforcement", text)
    assert reason(call("/alone/", token, {"Origin": EVIL})) == "origin_not_listed"


@with_database
def test_reporting_serves_no_refusal_of_the_key_and_no_error(caplog: pytest.LogCaptureFixture) -> None:
    secret, secret_token = make_key(kind="secret", enforcement="report")
    assert reason(call("/alone/", secret_token, {"Origin": SHOP})) == "secret_key_in_browser"
    assert reason(call(f"/alone/?key={secret_token}")) == "key_in_url"
    secret.revoke()
    assert reason(call("/alone/", secret_token)) == "key_invalid"
    broken, token = make_key(enforcement="report")
    set_raw(broken, "condition", "odd")
    assert_undecided(token, caplog)


@with_database
@pytest.mark.parametrize("view", [*VIEWS, "/quiet/", "/or/"])
def test_too_many_parameters_are_a_bad_request(view: str) -> None:
    _, token = make_key()
    query = "&".join(f"a{number}=1" for number in range(1001))
    assert call(f"{view}?{query}").status_code == 400
    assert call(f"{view}?{query}&key={token}").status_code == 400
    assert call(f"{view}?{query}", token).status_code == 200


@with_database
@pytest.mark.parametrize("wrong", [{"MAX_DOMAINS": -1}, {"EMPTY_LIST": "open"}, {"TYPO": 1}, "no dict"])
def test_settings_that_are_wrong_serve_nobody(settings: Any, wrong: Any) -> None:
    _, token = make_key()
    settings.ALLOWLIST = wrong
    client = Client(raise_request_exception=False)
    for view in [*VIEWS, "/quiet/"]:
        assert call(view, token, client=client).status_code >= 403


@with_database
@pytest.mark.parametrize("path", ["/alone/", "/paired/", "/and/"])
def test_wrong_settings_at_run_time_refuse_and_are_logged(
    path: str, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    _key, token = make_key(domains=[SHOP])
    settings.ALLOWLIST = {"MAX_DOMAIN": 25}
    answer = call(path, token, {"Origin": SHOP})
    assert (answer.status_code, reason(answer)) == (503, "undecided")
    assert "ALLOWLIST has no setting 'MAX_DOMAIN'" in caplog.text
