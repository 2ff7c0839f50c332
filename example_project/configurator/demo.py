"""What ``manage.py demo`` sets up: a user to log in as, the user's two keys, three pretend sites.

For another product, write a setup like this one, with its own ``ALLOWLIST`` and endpoints.
"""

from dataclasses import dataclass

from django.contrib.auth.models import Permission, User
from django.db import transaction

from allowlist.models import APIKey
from allowlist.models.choices import Enforcement
from allowlist.policy.decision import Condition
from allowlist.policy.tokens import Kind

LOGIN = PASSWORD = "demo"
PAGE_KEY, SERVER_KEY = "Demo: web pages", "Demo: server"
SERVER_ADDRESS = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Site:
    """A pretend site that embeds the widget."""

    host: str
    name: str
    motto: str
    listed: bool

    @property
    def look(self) -> str:
        """Return the style sheet's name for it."""
        return self.host.partition(".")[0]


SITES = {
    site.host: site
    for site in (
        Site("shop.localhost", "Fjord & Oak", "Desks made to measure, in Bergen since 1974.", True),
        Site(
            "partner.localhost",
            "Harbour Interiors",
            "We fit out offices, and sell desks by Fjord & Oak.",
            True,
        ),
        Site("copycat.localhost", "Best Desks 4 U", "Copied from Fjord & Oak, their key included.", False),
    )
}


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the demo is served."""

    port: int

    @property
    def service(self) -> str:
        """Return the origin of the service itself: API, admin, widget.js."""
        return self.of("localhost")

    def of(self, host: str) -> str:
        """Return the origin of a host of the demo, as browsers write it."""
        return f"http://{host}" if self.port == 80 else f"http://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Demo:
    """What was set up."""

    addresses: Addresses
    page_key: APIKey
    server_token: str


@transaction.atomic
def set_up(port: int) -> Demo:
    """Create what is missing and reset the rest to how the demo starts."""
    addresses, user = Addresses(port), make_user()
    page_key = _find_or_make(user, PAGE_KEY, Kind.PUBLISHABLE)
    page_key.allow_all_ips()
    listed = [(site.name, addresses.of(site.host)) for site in SITES.values() if site.listed]
    page_key.restrict_domains(listed)
    server_key = _find_or_make(user, SERVER_KEY, Kind.SECRET)
    server_key.restrict_ips([("This machine", SERVER_ADDRESS)])
    # Only the digest of a secret token is stored, so each start creates a new token to print.
    return Demo(addresses, page_key, server_key.rotate())


def find_page_key() -> APIKey | None:
    """Return the key that the pretend sites have in their pages."""
    keys = APIKey.objects.filter(name=PAGE_KEY, kind=Kind.PUBLISHABLE, creator__username=LOGIN)
    return keys.filter(revoked_at=None, expires_at=None).first()


def make_user() -> User:
    """Return the user who creates the demo's keys: staff with every model permission, not a superuser."""
    user, _created = User.objects.get_or_create(username=LOGIN)
    user.is_staff = user.is_active = True
    user.set_password(PASSWORD)
    user.save()
    apps = ("admin", "auth", "authtoken", "contenttypes", "sessions")
    user.user_permissions.set(Permission.objects.exclude(content_type__app_label__in=apps))
    return user


def _find_or_make(user: User, name: str, kind: Kind) -> APIKey:
    """Return the user's key of that name, reset to how the demo starts."""
    working = APIKey.objects.filter(creator=user, name=name, kind=kind, revoked_at=None, expires_at=None)
    key = working.first()
    if key is None:
        key, _token = APIKey.objects.create_key(name=name, creator=user, kind=kind)
    key.condition, key.enforcement = Condition.ALL, Enforcement.ENFORCE
    key.save()
    return key
