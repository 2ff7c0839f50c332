"""The system checks: one for each mistake, none without a mistake, and each says what to do."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from corsheaders.defaults import default_headers
from corsheaders.middleware import CorsMiddleware
from corsheaders.signals import check_request_enabled
from django.apps import apps
from django.conf import settings as django_settings
from django.core.checks import CheckMessage, run_checks
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connections
from django.test import RequestFactory
from django.views.debug import (
    ExceptionReporter,
    SafeExceptionReporterFilter,
    get_default_exception_reporter_filter,
)

from allowlist import checks

pytestmark = pytest.mark.django_db(databases="__all__")


def found(messages: list[CheckMessage], id_: str) -> list[CheckMessage]:
    """Return the messages with this id."""
    return [each for each in messages if each.id == id_]


def test_wrong_settings_keep_the_project_from_starting(settings: Any) -> None:
    settings.ALLOWLIST = {"MAX_DOMAIN": 25}
    with pytest.raises(SystemCheckError, match="Did you mean 'MAX_DOMAINS'"):
        call_command("check")


HEADERS: list[tuple[Any, dict[str, Any], bool]] = [
    (default_headers, {}, True),
    ((*default_headers, "x-api-key"), {}, False),
    ([*default_headers, "X-API-KEY"], {}, False),
    ((*default_headers, "x-api-key"), {"KEY_HEADER": "X-Widget-Key"}, True),
    ((*default_headers, "x-widget-key"), {"KEY_HEADER": "X-Widget-Key"}, False),
    (default_headers, {"KEY_HEADER": "Authorization"}, False),
    (["accept"], {"KEY_HEADER": "Authorization"}, True),
]


@pytest.mark.parametrize(("headers", "given", "warned"), HEADERS)
def test_a_key_header_that_cors_keeps_from_browsers_is_reported(
    settings: Any, headers: Any, given: dict[str, Any], warned: bool
) -> None:
    settings.CORS_ALLOW_HEADERS, settings.ALLOWLIST = headers, given
    warnings = found(run_checks(), "allowlist.W001")
    assert len(warnings) == warned
    name = given.get("KEY_HEADER", "X-API-Key")
    for warning in warnings:
        assert repr(name) in warning.msg
        assert f"CORS_ALLOW_HEADERS = (*corsheaders.defaults.default_headers, {name.lower()!r})" in str(
            warning.hint
        )


@pytest.mark.parametrize("let_through", [True, False])
def test_an_embed_token_that_cors_keeps_from_browsers_is_reported(settings: Any, let_through: bool) -> None:
    settings.CORS_ALLOW_HEADERS = [*default_headers, "x-api-key", *(["X-EMBED-TOKEN"] if let_through else [])]
    warnings = found(run_checks(), "allowlist.W009")
    assert len(warnings) == (not let_through)
    assert all("'X-Embed-Token'" in each.msg and "'x-embed-token'" in str(each.hint) for each in warnings)


CORS, COMMON = "corsheaders.middleware.CorsMiddleware", "django.middleware.common.CommonMiddleware"


class OwnCors(CorsMiddleware):
    """A project's own."""


@pytest.mark.parametrize(
    ("middleware", "said"),
    [
        ([CORS, COMMON], None),
        ([CORS], None),
        ([f"{__name__}.OwnCors", COMMON], None),
        ([COMMON], "its middleware is missing from MIDDLEWARE"),
        ([], "its middleware is missing from MIDDLEWARE"),
        ([COMMON, CORS], "after CommonMiddleware"),
        (["no.such.middleware", CORS], None),
        (["tests.test_client_ip.recording", COMMON, f"{__name__}.OwnCors"], "after CommonMiddleware"),
    ],
)
def test_a_cors_middleware_that_is_missing_or_late_is_reported(
    settings: Any, middleware: list[str], said: str | None
) -> None:
    settings.MIDDLEWARE = middleware
    warnings = found(run_checks(), "allowlist.W006")
    assert len(warnings) == (said is not None)
    assert all(said in each.msg and repr(CORS) in str(each.hint) for each in warnings if said)


@pytest.mark.parametrize("credentials", [True, False])
def test_cookies_on_views_that_every_page_can_call_are_reported(settings: Any, credentials: bool) -> None:
    settings.CORS_ALLOW_CREDENTIALS = credentials
    warnings = found(run_checks(), "allowlist.W002")
    assert len(warnings) == credentials
    assert all("authentication_classes = [APIKeyAuthentication]" in str(each.hint) for each in warnings)


def test_without_cors_headers_nothing_is_reported_or_connected(settings: Any) -> None:
    settings.CORS_ALLOW_HEADERS, settings.CORS_ALLOW_CREDENTIALS = [], True
    settings.MIDDLEWARE = [each for each in settings.MIDDLEWARE if "corsheaders" not in each]
    check_request_enabled.disconnect(dispatch_uid="allowlist.contrib.corsheaders")
    settings.INSTALLED_APPS = [each for each in settings.INSTALLED_APPS if each != "corsheaders"]
    assert checks.check_cors() == []
    assert not check_request_enabled.receivers
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "corsheaders"]
    assert len(checks.check_cors()) == 4
    assert check_request_enabled.receivers
    assert apps.is_installed("corsheaders")


def test_wrong_settings_are_reported_by_one_check(settings: Any) -> None:
    settings.CORS_ALLOW_HEADERS, settings.ALLOWLIST = [], {"KEY_HEADER": 1}
    for check in (checks.check_cors, checks.check_error_reports, checks.check_plain_http):
        assert check() == []


class Reports(SafeExceptionReporterFilter):
    """A project's own, which hides widgets too."""

    hidden_settings = re.compile("KEY|WIDGET")


@pytest.fixture
def report_by(settings: Any) -> Iterator[Callable[[str], None]]:
    """Return a function that sets the project's filter of error reports."""
    cached: Any = get_default_exception_reporter_filter  # Django caches what the setting names.

    def set_filter(path: str) -> None:
        settings.DEFAULT_EXCEPTION_REPORTER_FILTER = path
        cached.cache_clear()

    yield set_filter
    cached.cache_clear()


@pytest.mark.parametrize("name", ["X-API-Key", "Authorization", "X-Widget-Token", "X-Widget", "Site"])
@pytest.mark.parametrize("path", ["django.views.debug.SafeExceptionReporterFilter", f"{__name__}.Reports"])
def test_a_key_header_that_error_reports_print_is_reported(
    settings: Any, report_by: Callable[[str], None], name: str, path: str
) -> None:
    settings.ALLOWLIST = {"KEY_HEADER": name}
    report_by(path)
    request = RequestFactory().get("/", headers={name: "pk_live_x"})
    printed = "pk_live_x" in ExceptionReporter(request, None, None, None).get_traceback_text()
    warnings = checks.check_error_reports()
    assert len(warnings) == printed
    for warning in warnings:
        assert (warning.id, "one of " in warning.msg, "KEY" in warning.msg) == ("allowlist.W007", True, True)
        assert f"'{name}-Key'" in str(warning.hint)


def test_a_foreign_filter_of_error_reports_is_not_judged(
    settings: Any, report_by: Callable[[str], None]
) -> None:
    settings.ALLOWLIST = {"KEY_HEADER": "X-Widget"}
    report_by("builtins.object")
    assert checks.check_error_reports() == []


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({}, None),
        ({"CONDITIONS": ("all", "any")}, None),
        ({"MISSING_ORIGIN": "deny"}, None),
        ({"MISSING_ORIGIN": "allow"}, "MISSING_ORIGIN"),
        ({"CONDITIONS": ("by_source",)}, "by_source"),
        ({"CONDITIONS": ("all", "by_source")}, "by_source"),
        ({"MISSING_ORIGIN": "allow", "CONDITIONS": ("by_source",)}, "MISSING_ORIGIN"),
    ],
)
@pytest.mark.parametrize("https", [{}, {"SECURE_SSL_REDIRECT": True}, {"SECURE_HSTS_SECONDS": 60}], ids=str)
def test_a_page_on_plain_http_that_could_pass_for_a_server_is_reported(
    settings: Any, given: dict[str, Any], named: str | None, https: dict[str, Any]
) -> None:
    settings.ALLOWLIST = given
    for name, value in https.items():
        setattr(settings, name, value)
    warnings = found(run_checks(include_deployment_checks=True), "allowlist.W008")
    assert len(warnings) == (named is not None and not https)
    assert all(named in each.msg and "SECURE_SSL_REDIRECT" in str(each.hint) for each in warnings if named)


SQLITE = "django.db.backends.sqlite3"
POSTGRES = "django.db.backends.postgresql"
DATABASES: list[tuple[dict[str, Any], bool]] = [
    ({}, False),
    ({"ENGINE": SQLITE}, False),
    ({"ENGINE": SQLITE, "ATOMIC_REQUESTS": False}, False),
    ({"ENGINE": SQLITE, "ATOMIC_REQUESTS": True}, True),
    ({"ENGINE": SQLITE, "ATOMIC_REQUESTS": True, "OPTIONS": {"timeout": 30}}, True),
    ({"ENGINE": SQLITE, "ATOMIC_REQUESTS": True, "OPTIONS": {"transaction_mode": "EXCLUSIVE"}}, True),
    ({"ENGINE": SQLITE, "ATOMIC_REQUESTS": True, "OPTIONS": {"transaction_mode": "IMMEDIATE"}}, False),
    ({"ENGINE": POSTGRES, "ATOMIC_REQUESTS": True}, False),
]


@pytest.mark.parametrize(("database", "warned"), DATABASES, ids=str)
def test_sqlite_that_locks_writers_out_is_reported(
    monkeypatch: pytest.MonkeyPatch, database: dict[str, Any], warned: bool
) -> None:
    monkeypatch.setattr(django_settings, "DATABASES", {"default": {}, "mine": database})
    warnings = checks.check_sqlite()
    assert len(warnings) == warned
    for warning in warnings:
        assert (warning.id, "'mine'" in warning.msg) == ("allowlist.W003", True)
        assert "OPTIONS = {'transaction_mode': 'IMMEDIATE'}" in str(warning.hint)


def test_freshness_that_saves_no_query_is_reported(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(django_settings, "DATABASES", {"default": {}, "mine": {"ATOMIC_REQUESTS": True}})
    for wrong in ({}, {"FRESHNESS": "redis"}):
        settings.ALLOWLIST = wrong
        assert checks.check_freshness() == []
    settings.ALLOWLIST = {"FRESHNESS": "redis://127.0.0.1:6379/0"}
    (warning,) = checks.check_freshness()
    assert (warning.id, "'mine'" in warning.msg) == ("allowlist.W005", True)
    assert "non_atomic_requests" in str(warning.hint)


class KeysAt:
    """A router that writes to one database."""

    def __init__(self, alias: str) -> None:
        self._alias = alias

    def db_for_write(self, model: type, **hints: Any) -> str:
        """Return its alias."""
        return self._alias


@pytest.mark.parametrize(
    ("keys", "freshness", "problem"),
    [
        ("lite", "postgres", "but database 'lite' isn't PostgreSQL."),
        ("shop", "postgres:lite", "but database 'lite' isn't PostgreSQL."),
        ("shop", "postgres:books", "but keys are written to database 'shop', whose NAME is another."),
        ("shop", "postgres:direct", None),
        ("shop", "postgres", None),
        ("lite", "redis://127.0.0.1:6379/0", None),
        ("lite", None, None),
        ("lite", "postgres:wrong", None),
    ],
)
def test_changes_that_cannot_be_heard_of_are_reported(
    settings: Any, monkeypatch: pytest.MonkeyPatch, keys: str, freshness: str | None, problem: str | None
) -> None:
    engines = {"lite": SQLITE, "shop": POSTGRES, "direct": POSTGRES, "books": POSTGRES}
    for alias, engine in engines.items():
        database = {"ENGINE": engine, "NAME": "shop" if alias == "direct" else alias}
        monkeypatch.setitem(django_settings.DATABASES, alias, connections["default"].settings_dict | database)
    settings.DATABASE_ROUTERS = [KeysAt(keys)]
    settings.ALLOWLIST = {"FRESHNESS": freshness}
    said = [(each.id, str(each.msg).partition(", ")[2]) for each in checks.check_listening()]
    assert said == ([] if problem is None else [("allowlist.E003", problem)])


CONNECTIONS: list[tuple[dict[str, Any], bool]] = [
    ({}, False),
    ({"ENGINE": SQLITE}, False),
    ({"ENGINE": POSTGRES}, True),
    ({"ENGINE": POSTGRES, "CONN_MAX_AGE": 0}, True),
    ({"ENGINE": POSTGRES, "CONN_MAX_AGE": 60}, False),
    ({"ENGINE": POSTGRES, "CONN_MAX_AGE": None}, False),
    ({"ENGINE": POSTGRES, "OPTIONS": {"pool": True}}, False),
    ({"ENGINE": "django.db.backends.mysql"}, True),
]


@pytest.mark.parametrize(("database", "warned"), CONNECTIONS, ids=str)
def test_connecting_at_every_request_is_reported(
    monkeypatch: pytest.MonkeyPatch, database: dict[str, Any], warned: bool
) -> None:
    monkeypatch.setattr(django_settings, "DATABASES", {"default": {}, "mine": database})
    warnings = checks.check_connections()
    assert len(warnings) == warned
    for warning in warnings:
        assert (warning.id, "'mine'" in warning.msg) == ("allowlist.W004", True)
        assert "CONN_MAX_AGE" in str(warning.hint)


def test_connections_are_reported_only_at_deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    databases = {"a": {"ENGINE": SQLITE, "ATOMIC_REQUESTS": True}, "b": {"ENGINE": POSTGRES}}
    monkeypatch.setattr(django_settings, "DATABASES", databases)
    always, deploy = (run_checks(include_deployment_checks=each, databases=[]) for each in (False, True))
    assert (len(found(always, "allowlist.W003")), len(found(always, "allowlist.W004"))) == (1, 0)
    assert (len(found(deploy, "allowlist.W003")), len(found(deploy, "allowlist.W004"))) == (1, 1)
