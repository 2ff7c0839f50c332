"""The system checks: there where something is wrong, silent where nothing is, and they say what to do."""

import itertools
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

from allowlist import checks

pytestmark = pytest.mark.django_db(databases="__all__")

RIGHT: list[dict[str, Any]] = [
    {},
    {"MAX_DOMAINS": None, "MAX_IPS": 1},
    {"DOMAIN_MODES": ["listed"], "EMPTY_LIST": "deny"},
    {"FRESHNESS": "redis://127.0.0.1:6379/0"},
    {"DOMAIN_MODES": ("listed", "all"), "EMPTY_LIST": "allow"},
    {"TRUSTED_PROXIES": ("10.0.0.0/8", "::1", "unix")},
    {"KEY_QUERY_PARAM": None, "KEY_HEADER": "X-Widget-Key", "CLIENT_IP_HEADER": "X-Real-IP"},
    {
        "CONDITIONS": ("by_source",),
        "DOMAIN_FORMS": ("host",),
        "IP_FORMS": ("address",),
        "PUBLIC_IPS_ONLY": True,
    },
]
WRONG: list[tuple[Any, str]] = [
    ("a text", "must be a dict"),
    (None, "must be a dict"),
    ({"MAX_DOMAIN": 25}, "Did you mean 'MAX_DOMAINS'?"),
    ({"max_ips": 25}, "Did you mean 'MAX_IPS'?"),
    ({"MAX_DOMAINS": 0}, "above 0, or None"),
    ({"MAX_IPS": True}, "above 0, or None"),
    ({"MAX_IPS": "25"}, "above 0, or None"),
    ({"DOMAIN_MODES": ()}, "at least one of 'all', 'listed'"),
    ({"DOMAIN_MODES": "all"}, "must be a tuple"),
    ({"IP_MODES": ("al",)}, "Did you mean 'all'?"),
    ({"CONDITIONS": ("all", "all")}, "names something twice"),
    ({"CONDITIONS": ("or",)}, "it may hold 'all', 'any', 'by_source'"),
    ({"DOMAIN_FORMS": ("hosts",)}, "Did you mean 'host'?"),
    ({"IP_FORMS": ("cidr",)}, "'address', 'network'"),
    ({"PUBLIC_IPS_ONLY": 1}, "True or False"),
    ({"EMPTY_LIST": "refused"}, "Did you mean 'refuse'?"),
    ({"MISSING_ORIGIN": None}, "'deny', 'allow'"),
    ({"TRUSTED_PROXIES": "10.0.0.0/8"}, "must be a tuple of networks"),
    ({"TRUSTED_PROXIES": ("10.0.0.1/8",)}, "holds '10.0.0.1/8'"),
    ({"TRUSTED_PROXIES": ("proxy.example",)}, 'no network, address or "unix"'),
    ({"TRUSTED_PROXIES": (10,)}, "holds 10"),
    ({"CLIENT_IP_HEADER": "HTTP_X_FORWARDED_FOR"}, "such as"),
    ({"KEY_HEADER": ""}, "such as X-API-Key"),
    ({"KEY_QUERY_PARAM": ""}, "or None to turn it off"),
    ({"FRESHNESS": "redis"}, "such as 'redis://127.0.0.1:6379/0'"),
    ({"DOMAIN_MODES": ("listed",)}, "Put 'all' first, or set EMPTY_LIST to 'deny'"),
    ({"IP_MODES": ("listed", "all")}, "Put 'all' first, or set EMPTY_LIST to 'deny'"),
]


def found(messages: list[CheckMessage], id_: str) -> list[CheckMessage]:
    """Return those with this id."""
    return [each for each in messages if each.id == id_]


@pytest.mark.parametrize("given", RIGHT, ids=str)
def test_right_settings_pass(settings: Any, given: dict[str, Any]) -> None:
    settings.ALLOWLIST = given
    assert checks.check_settings() == []


def test_no_settings_at_all_pass(settings: Any) -> None:
    assert not hasattr(settings, "ALLOWLIST")
    assert found(run_checks(), "allowlist.E001") == []


@pytest.mark.parametrize(("given", "sentence"), WRONG, ids=str)
def test_wrong_settings_end_the_start_with_a_sentence_that_says_what_to_do(
    settings: Any, given: Any, sentence: str
) -> None:
    settings.ALLOWLIST = given
    (error,) = found(run_checks(), "allowlist.E001")
    assert sentence in error.msg
    assert "ALLOWLIST" in error.msg
    with pytest.raises(SystemCheckError):
        call_command("check")


def test_every_mistake_is_told_at_once(settings: Any) -> None:
    settings.ALLOWLIST = {"MAX_DOMAINS": 0, "MAX_IPS": 0, "TYPO": 1}
    assert len(found(run_checks(), "allowlist.E001")) == 3


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
def test_a_key_header_that_browsers_may_not_send_is_told(
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


CORS, COMMON = "corsheaders.middleware.CorsMiddleware", "django.middleware.common.CommonMiddleware"


class OwnCors(CorsMiddleware):
    """A project's own."""


@pytest.mark.parametrize(
    ("middleware", "said"),
    [
        ([CORS, COMMON], None),
        ([CORS], None),
        ([f"{__name__}.OwnCors", COMMON], None),
        ([COMMON], "MIDDLEWARE lacks it"),
        ([], "MIDDLEWARE lacks it"),
        ([COMMON, CORS], "after CommonMiddleware"),
        (["no.such.middleware", CORS], None),
        (["tests.test_client_ip.recording", COMMON, f"{__name__}.OwnCors"], "after CommonMiddleware"),
    ],
)
def test_a_cors_middleware_that_is_missing_or_late_is_told(
    settings: Any, middleware: list[str], said: str | None
) -> None:
    settings.MIDDLEWARE = middleware
    warnings = found(run_checks(), "allowlist.W006")
    assert len(warnings) == (said is not None)
    assert all(said in each.msg and repr(CORS) in str(each.hint) for each in warnings if said)


@pytest.mark.parametrize("credentials", [True, False])
def test_cookies_on_views_open_to_every_page_are_told(settings: Any, credentials: bool) -> None:
    settings.CORS_ALLOW_CREDENTIALS = credentials
    warnings = found(run_checks(), "allowlist.W002")
    assert len(warnings) == credentials
    assert all("authentication_classes = [APIKeyAuthentication]" in str(each.hint) for each in warnings)


def test_without_cors_headers_there_is_nothing_to_tell_of_it_and_nothing_to_connect(settings: Any) -> None:
    settings.CORS_ALLOW_HEADERS, settings.CORS_ALLOW_CREDENTIALS = [], True
    settings.MIDDLEWARE = [each for each in settings.MIDDLEWARE if "corsheaders" not in each]
    check_request_enabled.disconnect(dispatch_uid="allowlist.contrib.corsheaders")
    settings.INSTALLED_APPS = [each for each in settings.INSTALLED_APPS if each != "corsheaders"]
    assert checks.check_cors() == []
    assert not check_request_enabled.receivers
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "corsheaders"]
    assert len(checks.check_cors()) == 3
    assert check_request_enabled.receivers
    assert apps.is_installed("corsheaders")


def test_wrong_settings_are_told_by_their_own_check_alone(settings: Any) -> None:
    settings.CORS_ALLOW_HEADERS, settings.ALLOWLIST = [], {"KEY_HEADER": 1}
    assert checks.check_cors() == []


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
def test_sqlite_that_would_lock_writers_out_is_told(
    monkeypatch: pytest.MonkeyPatch, database: dict[str, Any], warned: bool
) -> None:
    monkeypatch.setattr(django_settings, "DATABASES", {"default": {}, "mine": database})
    warnings = checks.check_sqlite()
    assert len(warnings) == warned
    for warning in warnings:
        assert (warning.id, "'mine'" in warning.msg) == ("allowlist.W003", True)
        assert "OPTIONS = {'transaction_mode': 'IMMEDIATE'}" in str(warning.hint)


def test_freshness_that_transactions_keep_from_saving_anything_is_told(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(django_settings, "DATABASES", {"default": {}, "mine": {"ATOMIC_REQUESTS": True}})
    for wrong in ({}, {"FRESHNESS": "redis"}):
        settings.ALLOWLIST = wrong
        assert checks.check_freshness() == []
    settings.ALLOWLIST = {"FRESHNESS": "redis://127.0.0.1:6379/0"}
    (warning,) = checks.check_freshness()
    assert (warning.id, "'mine'" in warning.msg) == ("allowlist.W005", True)
    assert "non_atomic_requests" in str(warning.hint)


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
def test_connecting_anew_at_every_request_is_told(
    monkeypatch: pytest.MonkeyPatch, database: dict[str, Any], warned: bool
) -> None:
    monkeypatch.setattr(django_settings, "DATABASES", {"default": {}, "mine": database})
    warnings = checks.check_connections()
    assert len(warnings) == warned
    for warning in warnings:
        assert (warning.id, "'mine'" in warning.msg) == ("allowlist.W004", True)
        assert "CONN_MAX_AGE" in str(warning.hint)


def test_connections_are_told_of_at_deployment_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(django_settings, "DATABASES", {"default": {"ENGINE": POSTGRES}})
    assert found(run_checks(databases=[]), "allowlist.W004") == []
    assert len(found(run_checks(include_deployment_checks=True, databases=[]), "allowlist.W004")) == 1


def test_sqlite_is_told_of_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        django_settings, "DATABASES", {"default": {"ENGINE": SQLITE, "ATOMIC_REQUESTS": True}}
    )
    assert len(found(run_checks(databases=[]), "allowlist.W003")) == 1


def test_each_check_has_an_id_and_a_hint_of_its_own(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.CORS_ALLOW_HEADERS, settings.CORS_ALLOW_CREDENTIALS = [], True
    databases = {"a": {"ENGINE": SQLITE, "ATOMIC_REQUESTS": True}, "b": {"ENGINE": POSTGRES}}
    monkeypatch.setattr(django_settings, "DATABASES", databases)
    settings.ALLOWLIST = {"FRESHNESS": "redis://127.0.0.1:6379/0"}
    told = [
        *checks.check_cors(),
        *checks.check_sqlite(),
        *checks.check_connections(),
        *checks.check_freshness(),
    ]
    assert [each.id for each in told] == [f"allowlist.W00{number}" for number in range(1, 6)]
    assert all(a.hint != b.hint for a, b in itertools.combinations(told, 2))
