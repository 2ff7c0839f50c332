"""The demo of the token-access recipe: a token for pages and a server, and one for a server only."""

from collections.abc import Sequence

from django.contrib.auth.models import User

from allowlist.models import APIKey
from allowlist.models.choices import Enforcement
from allowlist.policy.tokens import Kind
from example_project.configurator.demo import SITES, Addresses
from example_project.recipes.base import Embed

BOTH, SERVER = "Front end and back end", "Back end"
SERVER_ADDRESS = "93.184.216.34"
"""A public IP address, which the recipe demands. Nobody here has one, so a proxy has to report it."""


def set_up(user: User, addresses: Addresses) -> Sequence[tuple[str, str]]:
    """Create a token with both restrictions, and one restricted by IP address only."""
    both = _find(BOTH) or _make(user, BOTH, Kind.PUBLISHABLE)
    server = _find(SERVER) or _make(user, SERVER, Kind.SECRET)
    for key in (both, server):
        key.enforcement = Enforcement.ENFORCE
        key.save()
        key.restrict_ips([("Our server", SERVER_ADDRESS)])
    both.restrict_domains([(site.name, site.host) for site in SITES.values() if site.listed])
    orders = f"{addresses.of('127.0.0.1')}/api/v1/orders"
    ours = f"-H 'X-API-Key: {both.token}' {orders}"
    forwarded = f"-H 'X-Forwarded-For: {SERVER_ADDRESS}'"
    page = next(addresses.of(site.host) for site in SITES.values() if site.listed)
    return [
        ("200, the listed server, as the proxy on this machine passes it on", f"curl -i {forwarded} {ours}"),
        ("403, this machine itself, which can't be listed", f"curl -i {ours}"),
        (
            "403, the same header from an address that isn't a proxy",
            f"curl -i --interface 127.0.0.9 {forwarded} {ours}",
        ),
        (
            "403, a page that sends the server's token",
            f"curl -i {forwarded} -H 'Origin: {page}' -H 'X-API-Key: {server.rotate()}' {orders}",
        ),
    ]


def embed(addresses: Addresses) -> Embed:
    """Return a front end that requests the orders."""
    key = _find(BOTH)
    return Embed(f"{addresses.service}/api/v1/orders", key.token if key else "")


def _find(name: str) -> APIKey | None:
    return APIKey.objects.filter(name=name, revoked_at=None, expires_at=None).first()


def _make(user: User, name: str, kind: Kind) -> APIKey:
    return APIKey.objects.create_key(name=name, creator=user, kind=kind)[0]
