"""The demo of the security-page recipe: two projects with both lists on, each with its condition."""

from collections.abc import Sequence

from django.contrib.auth.models import User

from allowlist.models import APIKey
from allowlist.models.choices import Enforcement
from allowlist.policy.decision import Condition
from example_project.configurator.demo import SITES, Addresses
from example_project.recipes.base import Embed

BOTH, EITHER = "Both must match", "Either can match"
HERE, OFFICE = "127.0.0.1", "127.0.0.9"


def set_up(user: User, addresses: Addresses) -> Sequence[tuple[str, str]]:
    """Create one project that works from listed pages on this machine, and one for pages or the office."""
    both = _restricted(user, BOTH, Condition.ALL, ("This machine", HERE))
    either = _restricted(user, EITHER, Condition.ANY, ("The office", OFFICE))
    resources = f"{addresses.of(HERE)}/v1/resources"
    page = f"-H 'Origin: {addresses.of('shop.localhost')}'"
    ask_both = f"curl -i -H 'X-API-Key: {both.token}' {resources}"
    ask_either = f"curl -i -H 'X-API-Key: {either.token}' {resources}"
    return [
        ("200, both match", f"{ask_both} {page}"),
        ("403, the domain is missing", ask_both),
        ("403, the IP does not match", f"{ask_both} {page} --interface {OFFICE}"),
        ("200, the domain matches", f"{ask_either} {page}"),
        ("200, the IP matches", f"{ask_either} --interface {OFFICE}"),
        ("403, neither matches", ask_either),
    ]


def embed(addresses: Addresses) -> Embed:
    """Return a front end that requests the resources of the first project."""
    key = _find(BOTH)
    return Embed(f"{addresses.service}/v1/resources", key.token if key else "")


def _restricted(user: User, name: str, condition: Condition, ip: tuple[str, str]) -> APIKey:
    """Return the key of that name, which lists the listed sites and the IP address."""
    key = _find(name) or APIKey.objects.create_key(name=name, creator=user)[0]
    key.restrict_domains([(site.name, site.host) for site in SITES.values() if site.listed])
    key.restrict_ips([ip])
    key.condition, key.enforcement = condition, Enforcement.ENFORCE
    key.save()
    return key


def _find(name: str) -> APIKey | None:
    return APIKey.objects.filter(name=name, revoked_at=None, expires_at=None).first()
