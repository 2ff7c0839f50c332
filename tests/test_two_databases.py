"""Keys on a database that is not the default one, found by a router."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import models
from django.test import override_settings

from allowlist.models import AllowedDomain, AllowedIP, APIKey
from tests.conftest import MakeUser, User
from tests.testing import (
    BLOG,
    INVALID,
    NOT_LISTED,
    SERVED,
    SERVER,
    SHOP,
    refused,
    statements,
    used_now,
    visit,
)

pytestmark = pytest.mark.django_db(databases="__all__")

ELSEWHERE = {"allowlist", "auth", "contenttypes", "people"}


class KeysElsewhere:
    """Keys, and the users they belong to, are on the other database."""

    def db_for_write(self, model: type[models.Model], **hints: Any) -> str | None:
        """Return the other database for keys and users."""
        return "other" if model._meta.app_label in ELSEWHERE else None

    db_for_read = db_for_write


class LaggingReplica(KeysElsewhere):
    """Reads go to a replica (the default database) that has received nothing yet."""

    def db_for_read(self, model: type[models.Model], **hints: Any) -> str:
        """Return the replica."""
        return "default"


def routed(router: type) -> Any:
    return override_settings(DATABASE_ROUTERS=[f"{__name__}.{router.__name__}"])


@pytest.fixture
def elsewhere() -> Iterator[None]:
    """Route keys to the other database."""
    with routed(KeysElsewhere):
        yield


@pytest.fixture
def creator(elsewhere: None, make_user: MakeUser) -> User:
    """Return a user, who is on the other database."""
    return make_user("creator")


def make(creator: User, **fields: Any) -> tuple[APIKey, str]:
    key, token = APIKey.objects.create_key(
        name="Shop", creator=creator, allowed_domains=[SHOP], allowed_ips=[SERVER], **fields
    )
    used_now(key)
    return key, token


def test_keys_are_made_found_and_used_there_alone(creator: User) -> None:
    key, token = make(creator)
    APIKey.objects.using("other").update(last_used_at=None)
    with statements("default") as on_default, statements("other") as on_other:
        assert visit(token) == SERVED
    assert on_default == []
    assert on_other
    assert APIKey.objects.using("other").get().last_used_at is not None
    assert not APIKey.objects.using("default").exists()
    assert list(APIKey.objects.manageable_by(creator)) == [key]
    with statements("other") as on_other:
        assert visit(token) == SERVED
    assert len(on_other) == 1


def test_every_way_to_write_writes_there_and_is_seen(creator: User) -> None:
    key, token = make(creator)
    assert (visit(token), visit(token, BLOG)) == (SERVED, NOT_LISTED)
    with statements("default") as on_default:
        key.add_domains([BLOG])
        assert visit(token, BLOG) == SERVED
        AllowedDomain.objects.filter(domain=BLOG).delete()
        assert visit(token, BLOG) == NOT_LISTED
        AllowedDomain(key=key, domain=BLOG).save()
        assert visit(token, BLOG) == SERVED
        key.allowed_domains.get(domain=BLOG).delete()
        assert visit(token, BLOG) == NOT_LISTED
        AllowedDomain.objects.bulk_create([AllowedDomain(key=key, domain=BLOG)])
        assert visit(token, BLOG) == SERVED
        key.allow_all_ips()
        key.name = "Renamed"
        key.save()
        key.revoke()
        assert visit(token) == INVALID
    assert on_default == []
    assert APIKey.objects.using("other").get().name == "Renamed"
    assert not AllowedIP.objects.using("other").exists()


def test_the_rules_hold_there(creator: User) -> None:
    key, _token = make(creator)
    with refused("limit"):
        key.add_ips([f"203.0.113.{n}" for n in range(100, 130)])
    with refused("empty_list"):
        AllowedIP.objects.all().delete()
    assert AllowedIP.objects.using("other").count() == 1


def test_without_a_router_a_database_is_chosen_by_using() -> None:
    key, token = APIKey.objects.using("other").create_key(name="Shop", creator=None, allowed_domains=[SHOP])
    assert key._state.db == "other"
    key.add_domains([BLOG])
    AllowedDomain.objects.using("other").filter(domain=SHOP).delete()
    AllowedDomain(key=key, domain=SHOP).save()
    key.name = "Renamed"
    key.save()
    assert [each.domain for each in key.allowed_domains.all()] == [BLOG, SHOP]
    assert APIKey.objects.using("other").get().name == "Renamed"
    # Requests ask where the router says, which is the default database.
    assert visit(token) == INVALID


def test_the_same_primary_key_on_two_databases_is_two_keys() -> None:
    tokens = {}
    for alias, page in (("default", SHOP), ("other", BLOG)):
        key, tokens[alias] = APIKey.objects.using(alias).create_key(name=alias, creator=None)
        plain: models.QuerySet[APIKey] = models.QuerySet(APIKey, using=alias)
        plain.filter(pk=key.pk).update(id=4711, revision=uuid.UUID(int=4711))
        with APIKey.objects.using(alias).get().editing() as edit:
            edit.domains.restrict([page])
        plain.update(revision=uuid.UUID(int=4711))
    for _ in range(2):
        assert (visit(tokens["default"]), visit(tokens["default"], BLOG)) == (SERVED, NOT_LISTED)
        with routed(KeysElsewhere):
            assert (visit(tokens["other"]), visit(tokens["other"], BLOG)) == (NOT_LISTED, SERVED)


def test_what_decides_is_never_read_from_a_replica(creator: User) -> None:
    with routed(LaggingReplica):
        key, token = make(creator)
        assert not APIKey.objects.exists()
        assert (visit(token), visit(token, BLOG)) == (SERVED, NOT_LISTED)
        key.add_domains([BLOG])
        assert visit(token, BLOG) == SERVED
        AllowedDomain.objects.filter(domain=BLOG).delete()
        assert visit(token, BLOG) == NOT_LISTED
        AllowedDomain.objects.bulk_create([AllowedDomain(key=key, domain=BLOG)])
        with refused("duplicate"):
            AllowedDomain(key=key, domain=BLOG).save()
        key.revoke()
        assert visit(token) == INVALID
        with refused("revoked"):
            key.rotate()
        APIKey.objects.all().delete()
    assert not APIKey.objects.using("other").exists()
