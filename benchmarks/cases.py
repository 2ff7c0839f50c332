"""What is measured: a table of views, requests and settings. Nothing here imports Django."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

LISTED = "https://shop25.example.com"
"""The page that sends the requests: the last of 25 that keys and CORS list."""
EVIL = "https://evil.example.net"
PAGES = [f"https://shop{number}.example.com" for number in range(1, 26)]
SERVER = "203.0.113.25"
"""The server that sends requests through a proxy: the last of 25 IP addresses."""
SERVERS = [f"203.0.113.{number}" for number in range(1, 26)]
BARE, FLOOR, HAS = "bare", "floor", "has-api-key"
PEER = "127.0.0.1"
"""The IP address that every request comes from, in-process and over HTTP."""
PEERS = [*SERVERS[:24], PEER]

ENGINES = ("sqlite", "postgres")
FEW, MANY, HUGE = 1_000, 100_000, 1_000_000

Settings = Mapping[str, Any]
BROWSER = {"X-API-Key": "{listed}", "Origin": LISTED}
"""What a widget sends. Views that don't read it receive it too, as reading headers takes time in any view."""

CORS = "corsheaders.middleware.CorsMiddleware"
OURS = ("allowlist.permissions.IsAllowlisted",)
HAS_API_KEY = "rest_framework_api_key.permissions.HasAPIKey"
AUTHENTICATED = ("rest_framework.permissions.IsAuthenticated",)
PEERS_SETTINGS: Settings = {
    # Without our app, whose CORS adapter would run on every request.
    "WITHOUT_ALLOWLIST": True,
    "MIDDLEWARE": [CORS],
    "CORS_ALLOWED_ORIGINS": PAGES,
}
REDIS_URL = os.environ.get("ALLOWLIST_REDIS_URL", "redis://127.0.0.1:6379/0")
REDIS: Settings = {"ALLOWLIST": {"FRESHNESS": REDIS_URL}}
PUSH: Settings = {"ALLOWLIST": {"FRESHNESS": "postgres"}}


@dataclass(frozen=True)
class Case:
    """One view and its request. ``headers`` name the tokens of ``fill.py`` in braces."""

    name: str
    title: str
    permissions: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    authenticators: tuple[str, ...] = ()
    settings: Settings = field(default_factory=dict)
    keys: int = FEW
    status: int = 200
    over_http: bool = True
    engines: tuple[str, ...] = ENGINES
    asgi: bool = False
    """Whether uvicorn serves it instead of gunicorn, over HTTP only."""
    is_plain: bool = False
    """Whether its view is Django's instead of DRF's. Under ASGI it is async."""
    quick: bool = True
    """Whether a quick run measures it over HTTP."""

    @property
    def setup(self) -> str:
        """Return what the cases of one process have in common."""
        return json.dumps([self.keys, self.settings, self.asgi], sort_keys=True)

    @property
    def bare(self) -> str:
        """Return the name of the same case without a check."""
        name = "plain" if self.is_plain else BARE
        return f"{name}-asgi" if self.asgi else name

    @property
    def modules(self) -> list[str]:
        """Return the packages that must be installed."""
        classes = (*self.permissions, *self.authenticators, *self.settings.get("MIDDLEWARE", ()))
        return [name.partition(".")[0] for name in classes]


def _ours(name: str, title: str, token: str, origin: str | None = LISTED, **more: Any) -> Case:
    headers = {"X-API-Key": f"{{{token}}}"} | ({} if origin is None else {"Origin": origin})
    return Case(name, title, OURS, headers | more.pop("headers", {}), **more)


CASES = (
    Case("bare", "bare DRF view", (), BROWSER),
    Case(
        "floor",
        "bare DRF view again, in another process (the noise floor)",
        headers=BROWSER,
        settings={"FLOOR": True},
        quick=False,
    ),
    Case(
        "dictionary",
        "a dictionary in the process (the limit)",
        ("benchmarks.permissions.Dictionary",),
        BROWSER,
        quick=False,
    ),
    Case(
        "statement",
        "a statement that reads nothing (the limit of one query)",
        ("benchmarks.permissions.OneStatement",),
        BROWSER,
    ),
    _ours("ours", "allowlist, 25 domains", "listed"),
    _ours("redis", "allowlist, Redis freshness", "listed", settings=REDIS),
    _ours("redis-2500", "allowlist, Redis freshness, 2,500 domains", "long", settings=REDIS, quick=False),
    _ours("push", "allowlist, PostgreSQL freshness", "listed", settings=PUSH, engines=("postgres",)),
    _ours("ours-1", "allowlist, 1 domain", "short", over_http=False),
    _ours("ours-2500", "allowlist, 2,500 domains", "long", quick=False),
    _ours("both", "allowlist, 25 domains and 25 addresses", "both", quick=False),
    _ours(
        "both-200",
        "allowlist, 25 domains and 25 addresses, 200 keys in turn",
        "both_200",
        over_http=False,
    ),
    Case(
        "first-2500",
        "allowlist, 2,500 domains, each time as if for the first time",
        ("benchmarks.permissions.Forgetful",),
        {"X-API-Key": "{long}", "Origin": LISTED},
        over_http=False,
    ),
    _ours(
        "proxy",
        "allowlist, 25 addresses, behind a proxy",
        "server",
        None,
        headers={"X-Forwarded-For": SERVER},
        settings={"ALLOWLIST": {"TRUSTED_PROXIES": [PEER]}},
        quick=False,
    ),
    _ours("cors", "allowlist, with its CORS adapter", "listed", settings={"MIDDLEWARE": [CORS]}, quick=False),
    _ours("refused", "allowlist, refused: not listed", "listed", EVIL, status=403),
    _ours(
        "unrecorded",
        "allowlist, refused: not listed, and not recorded",
        "listed",
        EVIL,
        settings={"ALLOWLIST": {"BLOCKED_PER_KEY": 0}},
        status=403,
        quick=False,
    ),
    _ours("unknown", "allowlist, refused: unknown key", "unknown", status=401, quick=False),
    Case(
        "denied",
        "a permission that only returns False",
        ("benchmarks.permissions.Never",),
        BROWSER,
        status=403,
        quick=False,
    ),
    _ours("keys-1000", "allowlist, 20 of 1,000 keys in turn", "spread", over_http=False),
    _ours("keys-100000", "allowlist, 20 of 100,000 keys in turn", "spread", keys=MANY, over_http=False),
    _ours("keys-1000000", "allowlist, 20 of 1,000,000 keys in turn", "spread", keys=HUGE, over_http=False),
    Case(
        "has-api-key",
        "djangorestframework-api-key, HasAPIKey",
        (HAS_API_KEY,),
        {"Authorization": "Api-Key {rest_framework_api_key}", "Origin": LISTED},
    ),
    Case(
        "knox",
        "django-rest-knox",
        AUTHENTICATED,
        {"Authorization": "Token {knox}", "Origin": LISTED},
        ("knox.auth.TokenAuthentication",),
        quick=False,
    ),
    Case(
        "token",
        "DRF's TokenAuthentication",
        AUTHENTICATED,
        {"Authorization": "Token {authtoken}", "Origin": LISTED},
        ("rest_framework.authentication.TokenAuthentication",),
        quick=False,
    ),
    Case(
        "simple-apikey",
        "drf-simple-apikey",
        ("drf_simple_apikey.permissions.IsActiveEntity",),
        {"Authorization": "Api-Key {drf_simple_apikey}", "Origin": LISTED},
        ("drf_simple_apikey.backends.APIKeyAuthentication",),
        quick=False,
    ),
    Case(
        "tenant-apikeys",
        "django-tenant-apikeys, 25 addresses",
        ("django_tenant_apikeys.permissions.HasAPIKeyScope",),
        {"Authorization": "Api-Key {tenant_apikeys}", "Origin": LISTED},
        ("django_tenant_apikeys.authentication.TenantAPIKeyAuthentication",),
        quick=False,
    ),
    Case(
        "cors-headers",
        "django-cors-headers, 25 origins",
        (),
        BROWSER,
        settings=PEERS_SETTINGS,
        quick=False,
    ),
    Case(
        "ip",
        "drf-ip-restrictions, 25 addresses",
        ("drf_ip_restrictions.AllowedIpList",),
        BROWSER,
        quick=False,
    ),
    Case(
        "stack",
        "HasAPIKey + cors-headers + drf-ip-restrictions",
        (HAS_API_KEY, "drf_ip_restrictions.AllowedIpList"),
        {"Authorization": "Api-Key {rest_framework_api_key}", "Origin": LISTED},
        settings=PEERS_SETTINGS,
        quick=False,
    ),
    Case("plain", "bare plain view", (), BROWSER, is_plain=True, quick=False),
    _ours("plain-ours", "allowlist, plain view", "listed", is_plain=True, quick=False),
    _ours(
        "plain-redis",
        "allowlist, plain view, Redis freshness",
        "listed",
        settings=REDIS,
        is_plain=True,
        quick=False,
    ),
    _ours(
        "plain-push",
        "allowlist, plain view, PostgreSQL freshness",
        "listed",
        settings=PUSH,
        engines=("postgres",),
        is_plain=True,
        quick=False,
    ),
    Case("plain-asgi", "bare async view, under ASGI", (), BROWSER, asgi=True, is_plain=True, quick=False),
    _ours("async", "allowlist, async view, under ASGI", "listed", asgi=True, is_plain=True, quick=False),
    _ours(
        "async-redis",
        "allowlist, async view, Redis freshness, under ASGI",
        "listed",
        settings=REDIS,
        asgi=True,
        is_plain=True,
        quick=False,
    ),
    _ours(
        "async-push",
        "allowlist, async view, PostgreSQL freshness, under ASGI",
        "listed",
        settings=PUSH,
        engines=("postgres",),
        asgi=True,
        is_plain=True,
        quick=False,
    ),
    Case("bare-asgi", "bare DRF view, under ASGI", (), BROWSER, asgi=True, quick=False),
    _ours("ours-asgi", "allowlist, 25 domains, under ASGI", "listed", asgi=True, quick=False),
    _ours(
        "pool-asgi",
        "allowlist, 25 domains, under ASGI with a connection pool",
        "listed",
        settings={"OPTIONS": {"pool": True}},
        engines=("postgres",),
        asgi=True,
        quick=False,
    ),
    _ours(
        "redis-asgi",
        "allowlist, Redis freshness, under ASGI",
        "listed",
        settings=REDIS,
        asgi=True,
        quick=False,
    ),
    Case(
        "three-queries",
        "a hand-written permission of three queries",
        ("benchmarks.permissions.ThreeQueries",),
        {"X-API-Key": "{both}", "Origin": LISTED},
        quick=False,
    ),
)
