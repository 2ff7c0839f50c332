"""The demo of the innkept recipe: the hotel's live key on its pages, and a test key for local work."""

from collections.abc import Sequence

from django.contrib.auth.models import User

from allowlist.models import APIKey
from allowlist.models.choices import Enforcement
from allowlist.policy.tokens import Environment
from example_project.configurator.demo import SITES, Addresses
from example_project.recipes.base import Embed

LIVE, LOCAL = "Our website", "Local work"


def set_up(user: User, addresses: Addresses) -> Sequence[tuple[str, str]]:
    """Create a live key that lists the listed sites, and a test key for this machine."""
    live = _find_or_make(user, LIVE, Environment.LIVE)
    live.restrict_domains([(site.name, site.host) for site in SITES.values() if site.listed])
    local = _find_or_make(user, LOCAL, Environment.TEST)
    local.restrict_domains(["localhost", "127.0.0.1"])
    config = f"{addresses.of('127.0.0.1')}/api/widget/v1/config"
    ask = f"curl -i -H 'X-API-Key: {live.token}'"
    spoof = f"{ask} -H 'Origin: {addresses.of('shop.localhost')}' {config}"
    test = f"curl -i -H 'X-API-Key: {local.token}' -H 'Origin: http://localhost:5173' {config}"
    return [
        ("403, a server sends no origin", f"{ask} {config}"),
        ("403, a browser strips its origin", f"{ask} -H 'Sec-Fetch-Site: cross-site' {config}"),
        ("200, a server spoofs a listed page", spoof),
        ("429, after 60 in a minute", f"while {spoof} --fail-with-body; do :; done"),
        ("200, local work with the test key", test),
    ]


def embed(addresses: Addresses) -> Embed:
    """Return the configurator, which shows its own sentence when it is refused."""
    live = _find(LIVE)
    config = f"{addresses.service}/api/widget/v1/config"
    return Embed(config, live.token if live else "", script="configurator/widget.js")


def _find_or_make(user: User, name: str, environment: Environment) -> APIKey:
    key = _find(name) or APIKey.objects.create_key(name=name, creator=user, environment=environment)[0]
    key.enforcement = Enforcement.ENFORCE
    key.save()
    return key


def _find(name: str) -> APIKey | None:
    return APIKey.objects.filter(name=name, revoked_at=None, expires_at=None).first()
