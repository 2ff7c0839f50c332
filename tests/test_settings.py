"""The settings: the default, check and effect of each, and what happens if one is wrong."""

import sys
from dataclasses import fields
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.test import Client, override_settings

from allowlist.conf import Settings, errors, settings
from allowlist.models import APIKey
from tests.conftest import User
from tests.testing import (
    BLOG,
    INVALID,
    IP_NOT_LISTED,
    NOT_LISTED,
    SERVED,
    SERVER,
    SHOP,
    Outcome,
    refused,
    visit,
)

pytestmark = pytest.mark.django_db(databases="__all__")

DEFAULTS: dict[str, Any] = {
    "MAX_DOMAINS": 25,
    "MAX_IPS": 25,
    "DOMAIN_MODES": ("all", "listed"),
    "IP_MODES": ("all", "listed"),
    "CONDITIONS": ("all", "any", "by_source"),
    "DOMAIN_FORMS": ("origin", "host", "wildcard"),
    "IP_FORMS": ("address", "network"),
    "PUBLIC_IPS_ONLY": False,
    "EMPTY_LIST": "refuse",
    "MISSING_ORIGIN": "deny",
    "TRUSTED_PROXIES": (),
    "CLIENT_IP_HEADER": "X-Forwarded-For",
    "KEY_HEADER": "X-API-Key",
    "KEY_QUERY_PARAM": "key",
    "FRESHNESS": None,
    "ENVIRONMENTS": ("live", "test"),
    "MAY_HAVE_KEYS": None,
    "KEYS_OF": None,
    "BLOCKED_PER_KEY": 100,
    "BLOCKED_DAYS": 30,
    "BLOCKED_IPS": "full",
    "EMBED_MAX_AGE": 3600,
}
ONE_NUMBER = "must be a whole number above 0, or None for no limit."
NO_NETWORK = 'isn\'t a network, an IP address or "unix"'
WRONG: list[tuple[str, Any, str]] = [
    *[(name, value, ONE_NUMBER) for name in ("MAX_DOMAINS", "MAX_IPS") for value in (0, -1, True, "25", 2.5)],
    ("DOMAIN_MODES", "listed", "must be a tuple with at least one of 'all', 'listed'."),
    ("DOMAIN_MODES", (), "must be a tuple with at least one of 'all', 'listed'."),
    ("DOMAIN_MODES", None, "must be a tuple with at least one of 'all', 'listed'."),
    ("DOMAIN_MODES", ("all", "all"), "contains a value twice."),
    ("DOMAIN_MODES", ("list",), "contains 'list'. Valid values are 'all', 'listed'. Did you mean 'listed'?"),
    ("IP_MODES", ("ALL",), "contains 'ALL'. Valid values are 'all', 'listed'. Did you mean 'all'?"),
    ("IP_MODES", ["all", 7], "contains 7. Valid values are 'all', 'listed'."),
    (
        "CONDITIONS",
        ("by-source",),
        "contains 'by-source'. Valid values are 'all', 'any', 'by_source'. Did you mean 'by_source'?",
    ),
    (
        "DOMAIN_FORMS",
        ("origins",),
        "contains 'origins'. Valid values are 'origin', 'host', 'wildcard'. Did you mean 'origin'?",
    ),
    ("IP_FORMS", ({},), "contains {}. Valid values are 'address', 'network'."),
    ("PUBLIC_IPS_ONLY", 1, "must be True or False."),
    (
        "EMPTY_LIST",
        "refused",
        "is 'refused'. Valid values are 'refuse', 'deny', 'allow'. Did you mean 'refuse'?",
    ),
    ("EMPTY_LIST", None, "is None. Valid values are 'refuse', 'deny', 'allow'."),
    ("MISSING_ORIGIN", "Allow", "is 'Allow'. Valid values are 'deny', 'allow'. Did you mean 'allow'?"),
    ("TRUSTED_PROXIES", "10.0.0.0/8", 'must be a tuple of networks, such as ("10.0.0.0/8", "unix").'),
    (
        "TRUSTED_PROXIES",
        ("10.0.0.1/8",),
        f"contains '10.0.0.1/8', which {NO_NETWORK} (10.0.0.1/8 has host bits set).",
    ),
    (
        "TRUSTED_PROXIES",
        ("proxy",),
        f"contains 'proxy', which {NO_NETWORK} ('proxy' does not appear to be an IPv4 or IPv6 network).",
    ),
    (
        "TRUSTED_PROXIES",
        (10,),
        f"contains 10, which {NO_NETWORK} ('10' does not appear to be an IPv4 or IPv6 network).",
    ),
    *[
        (name, value, f"must be the name of a header as clients send it, such as {example}.")
        for name, example in (("CLIENT_IP_HEADER", "X-Forwarded-For"), ("KEY_HEADER", "X-API-Key"))
        for value in ("", "-", "HTTP_X_API_KEY", "X API Key", "X-Schlüssel", None)
    ],
    *[
        ("KEY_QUERY_PARAM", value, "must be the name of a query parameter, or None to read none.")
        for value in ("", 5, False)
    ],
    *[
        (
            "FRESHNESS",
            value,
            "must be None, 'postgres', 'postgres:<alias>', or a Redis URL, such as 'redis://127.0.0.1:6379/0'.",
        )
        for value in (
            "redis",
            "postgresql",
            "postgres://shop:secret@127.0.0.1/shop",
            "127.0.0.1:6379",
            "redis://127.0.0.1:port",
            "redis://127.0.0.1/shop",
            "http://127.0.0.1",
            0,
            True,
        )
    ],
    (
        "FRESHNESS",
        "redis://127.0.0.1:6379/0?db=shop",
        "can't be used: Invalid value for 'db' in connection URL.",
    ),
    *[
        (
            "FRESHNESS",
            f"postgres:{alias}",
            (
                f"is 'postgres:{alias}', but DATABASES has no {alias!r}. Valid values are 'postgres', "
                "'postgres:default', 'postgres:other'."
            ),
        )
        for alias in ("", "direct")
    ],
    ("ENVIRONMENTS", "live", "must be a tuple with at least one of 'live', 'test'."),
    ("ENVIRONMENTS", (), "must be a tuple with at least one of 'live', 'test'."),
    ("ENVIRONMENTS", ("prod",), "contains 'prod'. Valid values are 'live', 'test'."),
    *[
        (name, value, "must be None or the dotted path of a callable, such as 'shop.keys.keys_of'.")
        for name in ("MAY_HAVE_KEYS", "KEYS_OF")
        for value in ("", "keys_of", "shop.keys.", ".keys_of", "shop/keys.py", "shop.keys:keys_of", print, 1)
    ],
    *[
        ("BLOCKED_PER_KEY", value, "must be a whole number, or 0 to record nothing.")
        for value in (-1, None, True, "100", 2.5)
    ],
    *[
        ("BLOCKED_DAYS", value, "must be a whole number of days from 1 to 3650.")
        for value in (0, -1, 3651, None, True, "30", 2.5)
    ],
    (
        "BLOCKED_IPS",
        "networks",
        "is 'networks'. Valid values are 'full', 'network', 'none'. Did you mean 'network'?",
    ),
    ("BLOCKED_IPS", None, "is None. Valid values are 'full', 'network', 'none'. Did you mean 'none'?"),
    *[
        ("EMBED_MAX_AGE", value, "must be a whole number of seconds above 0.")
        for value in (0, -1, None, True, "3600", 2.5)
    ],
]
UNIMPORTABLE = [
    ("shop.keys.keys_of", "can't be imported: No module named 'shop'"),
    ("django.nothing", 'can\'t be imported: Module "django" does not define a'),
    ("django.VERSION", "names 'django.VERSION', which isn't callable."),
]
RIGHT: list[tuple[str, Any]] = [
    ("MAX_DOMAINS", 1),
    ("MAX_IPS", None),
    ("DOMAIN_MODES", ["all"]),
    ("CONDITIONS", ("any",)),
    ("IP_FORMS", ("network",)),
    ("PUBLIC_IPS_ONLY", True),
    ("EMPTY_LIST", "deny"),
    ("MISSING_ORIGIN", "allow"),
    ("TRUSTED_PROXIES", ["10.0.0.0/8", "2001:db8::1", "unix"]),
    ("CLIENT_IP_HEADER", "CF-Connecting-IP"),
    ("KEY_HEADER", "Widget-Key"),
    ("KEY_QUERY_PARAM", None),
    ("FRESHNESS", None),
    ("FRESHNESS", "rediss://user:password@redis.internal"),
    ("FRESHNESS", "rediss://redis.internal/0?ssl_ca_certs=/etc/redis/ca.pem"),
    ("FRESHNESS", "unix:///run/redis.sock?db=1"),
    ("FRESHNESS", "postgres"),
    ("FRESHNESS", "postgres:other"),
    ("ENVIRONMENTS", ["live"]),
    ("MAY_HAVE_KEYS", "builtins.bool"),
    ("KEYS_OF", "builtins.print"),
    ("BLOCKED_PER_KEY", 0),
    ("BLOCKED_DAYS", 1),
    ("BLOCKED_DAYS", 3650),
    ("BLOCKED_IPS", "network"),
    ("BLOCKED_IPS", "none"),
    ("EMBED_MAX_AGE", 1),
]


@pytest.mark.parametrize("missing", ["redis", "hiredis"])
def test_freshness_needs_its_packages(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    (sentence,) = errors({"FRESHNESS": "redis://127.0.0.1:6379/0"})
    assert sentence.endswith("needs redis and hiredis: pip install 'django-allowlist[redis]'.")


def test_freshness_by_postgresql_needs_either_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    assert list(errors({"FRESHNESS": "postgres"})) == []
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    (sentence,) = errors({"FRESHNESS": "postgres"})
    assert sentence.endswith("needs psycopg: pip install 'psycopg[binary]'.")


def test_an_option_that_redis_does_not_know_is_reported_at_start() -> None:
    (sentence,) = errors({"FRESHNESS": "redis://:secret@127.0.0.1:6379/0?timeuot=1"})
    assert "timeuot" in sentence
    assert "secret" not in sentence


def test_the_password_of_redis_is_not_in_the_settings_repr() -> None:
    assert "secret" not in repr(Settings(FRESHNESS="redis://:secret@127.0.0.1:6379/0"))


def reported() -> list[str]:
    """Return what the system checks report about the settings in force."""
    return [each.msg for each in checks.run_checks() if each.id == "allowlist.E001"]


class TestDefaults:
    def test_are_those_of_the_documentation(self) -> None:
        assert not hasattr(django_settings, "ALLOWLIST")
        assert {name: getattr(settings(), name) for name in DEFAULTS} == DEFAULTS
        assert not reported()
        with override_settings(ALLOWLIST={}):
            assert {name: getattr(settings(), name) for name in DEFAULTS} == DEFAULTS
            assert not reported()

    def test_there_is_no_other_setting(self) -> None:
        assert [field.name for field in fields(Settings) if field.init] == list(DEFAULTS)

    def test_hold_where_another_setting_is_given(self) -> None:
        with override_settings(ALLOWLIST={"MAX_IPS": 5}):
            assert (settings().MAX_IPS, settings().MAX_DOMAINS) == (5, 25)


class TestChecks:
    def test_every_setting_has_a_wrong_value_in_the_table(self) -> None:
        assert {name for name, _value, _sentence in WRONG} == set(DEFAULTS)

    @pytest.mark.parametrize(("name", "value", "sentence"), WRONG)
    def test_a_wrong_value_is_an_error_that_says_what_is_right(
        self, name: str, value: Any, sentence: str
    ) -> None:
        with override_settings(ALLOWLIST={name: value}):
            assert reported() == [f"ALLOWLIST[{name!r}] {sentence}"]
            with pytest.raises(ImproperlyConfigured, match=name):
                settings()

    @pytest.mark.parametrize(("name", "value"), RIGHT)
    def test_a_right_value_is_no_error_and_is_in_force(self, name: str, value: Any) -> None:
        with override_settings(ALLOWLIST={name: value}):
            assert not reported()
            assert getattr(settings(), name) == (tuple(value) if isinstance(value, list) else value)

    @pytest.mark.parametrize(
        ("name", "attribute"), [("MAY_HAVE_KEYS", "may_have_keys"), ("KEYS_OF", "keys_of")]
    )
    @pytest.mark.parametrize(("path", "sentence"), UNIMPORTABLE)
    def test_a_callable_that_is_not_there_is_an_error_once_it_is_needed(
        self, name: str, attribute: str, path: str, sentence: str
    ) -> None:
        with override_settings(ALLOWLIST={name: path}):
            (error,) = reported()
            assert error.startswith(f"ALLOWLIST[{name!r}] {sentence}")
            with pytest.raises(ImproperlyConfigured, match=name):
                getattr(settings(), attribute)

    def test_a_callable_is_imported_when_it_is_needed(self) -> None:
        assert (settings().may_have_keys, settings().keys_of) == (None, None)
        with override_settings(ALLOWLIST={"MAY_HAVE_KEYS": "builtins.bool", "KEYS_OF": "builtins.print"}):
            assert (settings().may_have_keys, settings().keys_of) == (bool, print)

    @pytest.mark.parametrize(
        ("name", "offer"),
        [
            ("MAX_DOMAIN", " Did you mean 'MAX_DOMAINS'?"),
            ("max_ips", " Did you mean 'MAX_IPS'?"),
            ("TRUSTED_PROXY", " Did you mean 'TRUSTED_PROXIES'?"),
            ("KEY_PARAM", " Did you mean 'KEY_QUERY_PARAM'?"),
            ("key_revision", ""),
            ("QUUX", ""),
            (7, ""),
        ],
    )
    def test_an_unknown_name_is_an_error_that_offers_the_nearest(self, name: Any, offer: str) -> None:
        with override_settings(ALLOWLIST={name: 1}):
            assert reported() == [f"ALLOWLIST has no setting {name!r}.{offer}"]
            with pytest.raises(ImproperlyConfigured):
                settings()

    def test_every_mistake_is_reported_at_once(self) -> None:
        with override_settings(ALLOWLIST={"MAX_IPS": 0, "MAX_IPZ": 5, "EMPTY_LIST": "no"}):
            assert len(reported()) == 3

    @pytest.mark.parametrize("value", [None, [], "MAX_IPS", 5])
    def test_a_value_that_is_not_a_dict_is_an_error(self, value: Any) -> None:
        with override_settings(ALLOWLIST=value):
            assert reported() == ["ALLOWLIST must be a dict, such as ALLOWLIST = {'MAX_DOMAINS': 25}."]

    @pytest.mark.parametrize("name", ["DOMAIN_MODES", "IP_MODES"])
    @pytest.mark.parametrize("modes", [("listed",), ["listed", "all"]])
    def test_settings_that_refuse_every_plain_new_key_are_an_error(
        self, creator: User, name: str, modes: Any
    ) -> None:
        with override_settings(ALLOWLIST={name: modes}):
            assert len(reported()) == 1
            assert f"ALLOWLIST[{name!r}] starts every new key as 'listed'" in reported()[0]
        for empty in ("deny", "allow"):
            with override_settings(ALLOWLIST={name: modes, "EMPTY_LIST": empty}):
                assert not reported()
                APIKey.objects.create_key(name="Shop", creator=creator)

    def test_wrong_modes_are_reported_once(self) -> None:
        assert len(list(errors({"DOMAIN_MODES": ("listed", "listed")}))) == 1
        assert len(list(errors({"EMPTY_LIST": "none", "IP_MODES": ("listed",)}))) == 2


class TestEffects:
    """What test_entries and test_keys don't test already."""

    @pytest.fixture
    def token(self, creator: User) -> str:
        return APIKey.objects.create_key(
            name="Shop", creator=creator, allowed_domains=[SHOP], allowed_ips=[SERVER]
        )[1]

    @pytest.mark.parametrize(
        ("name", "value", "listed", "code"),
        [
            ("MAX_DOMAINS", 1, {"allowed_domains": [SHOP, BLOG]}, "limit"),
            ("MAX_IPS", 1, {"allowed_ips": [SERVER, "203.0.113.0/24"]}, "limit"),
            ("DOMAIN_MODES", ("all",), {"allowed_domains": [SHOP]}, "mode"),
            ("IP_MODES", ("all",), {"allowed_ips": [SERVER]}, "mode"),
            ("CONDITIONS", ("all",), {"condition": "any"}, "invalid_choice"),
            ("DOMAIN_FORMS", ("origin",), {"allowed_domains": ["shop.example"]}, "domain_form"),
            ("DOMAIN_FORMS", ("origin",), {"allowed_domains": ["https://*.shop.example"]}, "domain_form"),
            ("DOMAIN_FORMS", ("host", "wildcard"), {"allowed_domains": [SHOP]}, "domain_form"),
            ("IP_FORMS", ("address",), {"allowed_ips": ["203.0.113.0/24"]}, "ip_form"),
            ("IP_FORMS", ("network",), {"allowed_ips": [SERVER]}, "ip_form"),
            ("PUBLIC_IPS_ONLY", True, {"allowed_ips": ["10.0.0.1"]}, "not_public"),
        ],
    )
    def test_at_save(self, creator: User, name: str, value: Any, listed: dict[str, Any], code: str) -> None:
        with override_settings(ALLOWLIST={name: value}), refused(code):
            APIKey.objects.create_key(name="Shop", creator=creator, **listed)
        APIKey.objects.create_key(name="Shop", creator=creator, **listed)

    def test_public_addresses_are_taken_where_no_others_are(self, creator: User) -> None:
        with override_settings(ALLOWLIST={"PUBLIC_IPS_ONLY": True}):
            APIKey.objects.create_key(name="Shop", creator=creator, allowed_ips=["8.8.8.8", "2606:4700::/32"])

    def test_of_empty_list_at_a_request(self, creator: User) -> None:
        with override_settings(ALLOWLIST={"EMPTY_LIST": "deny"}):
            _, token = APIKey.objects.create_key(
                name="Shop", creator=creator, domain_mode="listed", ip_mode="listed"
            )
            assert visit(token) == NOT_LISTED
        with override_settings(ALLOWLIST={"EMPTY_LIST": "allow"}):
            assert visit(token) == SERVED
        # Under "refuse" too, a list that is on and empty (from before, or by raw SQL) matches nothing.
        assert visit(token) == NOT_LISTED

    def test_of_missing_origin(self, token: str) -> None:
        assert visit(token, None) == Outcome(403, "origin_missing")
        with override_settings(ALLOWLIST={"MISSING_ORIGIN": "allow"}):
            assert visit(token, None) == SERVED
            assert visit(token, "null") == Outcome(403, "origin_opaque")

    def test_of_trusted_proxies_and_the_client_ip_header(self, token: str) -> None:
        def answer(**headers: str) -> int:
            sent = {"X-API-Key": token, "Origin": SHOP, **headers}
            return Client().get("/widget/alone/", headers=sent, REMOTE_ADDR="10.0.0.1").status_code

        assert answer(X_Forwarded_For=SERVER) == 403
        with override_settings(ALLOWLIST={"TRUSTED_PROXIES": ("10.0.0.0/8",)}):
            assert answer(X_Forwarded_For=SERVER) == 200
            assert answer(X_Real_IP=SERVER) == 403
        with override_settings(
            ALLOWLIST={"TRUSTED_PROXIES": ("10.0.0.0/8",), "CLIENT_IP_HEADER": "X-Real-IP"}
        ):
            assert answer(X_Forwarded_For=SERVER) == 403
            assert answer(X_Real_IP=SERVER) == 200
        with override_settings(ALLOWLIST={"TRUSTED_PROXIES": ("unix",)}):
            assert answer(X_Forwarded_For=SERVER) == 403

    def test_of_the_key_header_and_the_query_parameter(self, token: str) -> None:
        def answer(path: str = "/widget/alone/", **headers: str) -> int:
            return Client().get(path, headers={"Origin": SHOP, **headers}, REMOTE_ADDR=SERVER).status_code

        assert answer(X_API_Key=token) == answer(f"/widget/alone/?key={token}") == 200
        assert answer(Widget_Key=token) == answer(f"/widget/alone/?token={token}") == 401
        with override_settings(ALLOWLIST={"KEY_HEADER": "Widget-Key", "KEY_QUERY_PARAM": "token"}):
            assert answer(Widget_Key=token) == answer(f"/widget/alone/?token={token}") == 200
            assert answer(X_API_Key=token) == answer(f"/widget/alone/?key={token}") == 401
        with override_settings(ALLOWLIST={"KEY_QUERY_PARAM": None}):
            assert answer(f"/widget/alone/?key={token}") == 401

    def test_are_those_in_force_at_each_request(self, token: str) -> None:
        assert visit(token, None, "192.0.2.1") == Outcome(403, "origin_missing")
        with override_settings(ALLOWLIST={"MISSING_ORIGIN": "allow"}):
            assert visit(token, None, "192.0.2.1") == IP_NOT_LISTED
        assert visit(token, None, "192.0.2.1") == Outcome(403, "origin_missing")


class TestWrongSettings:
    @pytest.mark.parametrize("wrong", [{"MAX_DOMAINS": "many"}, {"EMPTY_LISTS": "allow"}, None, "x"])
    def test_serve_nobody_where_checks_were_not_run(self, creator: User, wrong: Any) -> None:
        _, token = APIKey.objects.create_key(name="Shop", creator=creator)
        assert visit(token) == SERVED
        headers = {"X-API-Key": token, "Origin": SHOP}
        with override_settings(ALLOWLIST=wrong):
            for path in ("/widget/alone/", "/widget/paired/", "/widget/both/", "/widget/either/"):
                response = Client(raise_request_exception=False).get(path, headers=headers)
                assert response.status_code >= 400
        assert visit(token) == SERVED
        assert visit(token + "x") == INVALID

    @pytest.mark.parametrize("field", ["domain_mode", "ip_mode", "condition"])
    def test_nor_do_rows_that_hold_what_is_none(self, creator: User, field: str) -> None:
        from django.db.models import QuerySet

        _, token = APIKey.objects.create_key(name="Shop", creator=creator)
        QuerySet(APIKey).update(**{field: "none"})
        assert visit(token) == Outcome(503, "undecided")
