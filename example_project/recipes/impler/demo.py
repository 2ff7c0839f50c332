"""The demo of the impler recipe: a project, its creator, and a member who was invited."""

from collections.abc import Sequence

from django.contrib.auth.models import User

from example_project.configurator.demo import SITES, Addresses
from example_project.recipes.base import Embed

from .models import Project

NAME, MEMBER = "Customer list", "member"


def set_up(user: User, addresses: Addresses) -> Sequence[tuple[str, str]]:
    """Create the project, list the listed sites, and invite the member."""
    project = _find() or Project.objects.create_project(NAME, user)
    project.key.restrict_domains([addresses.of(site.host) for site in SITES.values() if site.listed])
    project.members.set([_make_member()])
    api = f"{addresses.service}/v1"
    ask = f"curl -i -H 'X-API-Key: {project.key.token}'"
    row = """-H 'Content-Type: application/json' -d '[{"name": "Ada", "email": "ada@example.com"}]'"""
    save = f"curl -i -X PUT -H 'Content-Type: application/json' {api}/projects/{project.pk}/allowed-domains"
    return [
        ("200, a server, whatever is listed", f"{ask} {api}/widget"),
        ("201, a server", f"{ask} {row} {api}/imports"),
        ("401, a page that is not listed", f"{ask} -H 'Origin: https://malicious-site.com' {api}/widget"),
        ("401, a browser that hides its page", f"{ask} -H 'Sec-Fetch-Site: cross-site' {api}/widget"),
        ("404, a member saves domains", f"""{save} -u {MEMBER}:{MEMBER} -d '{{"allowed_domains": []}}'"""),
        ("200, the creator clears the list", f"""{save} -u demo:demo -d '{{"allowed_domains": []}}'"""),
    ]


def embed(addresses: Addresses) -> Embed:
    """Return the project's widget."""
    project = _find()
    return Embed(f"{addresses.service}/v1/widget", project.key.token if project else "")


def _find() -> Project | None:
    mine = Project.objects.filter(name=NAME, key__creator__username="demo", key__revoked_at=None)
    return mine.select_related("key").first()


def _make_member() -> User:
    member, _created = User.objects.get_or_create(username=MEMBER)
    member.set_password(MEMBER)
    member.save()
    return member
