"""A list that one change emptied can be restored, names and ends included."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import override_settings
from django.utils import timezone

from allowlist.models import AllowedDomain, APIKey, RemovedList
from allowlist.models.lists import DOMAINS, IPS
from tests.conftest import User
from tests.management import Api
from tests.testing import BLOG, SERVER, SHOP, domains, ips, refused, row, visit

pytestmark = pytest.mark.django_db

TOMORROW = timezone.now() + timedelta(days=1)


@pytest.fixture
def key(creator: User) -> APIKey:
    """Return a key with both lists."""
    return APIKey.objects.create_key(
        name="Shop",
        creator=creator,
        allowed_domains=[("Shop", SHOP), {"domain": BLOG, "expires_at": TOMORROW}],
        allowed_ips=[("Server", SERVER)],
    )[0]


def emptied_by_edit(key: APIKey) -> None:
    """Remove all as the admin does."""
    with key.editing() as edit:
        edit.domains.allow_all()


EMPTYING: dict[str, Callable[[APIKey], Any]] = {
    "switch off": lambda key: key.allow_all_domains(),
    "replace": lambda key: key.restrict_domains([]),
    "remove": lambda key: key.remove_domains([SHOP, BLOG]),
    "edit": emptied_by_edit,
}


@pytest.mark.parametrize("way", EMPTYING)
def test_a_list_emptied_by_one_change_is_restored(key: APIKey, way: str) -> None:
    before = list(key.allowed_domains.values_list("domain", "name", "expires_at"))
    with override_settings(ALLOWLIST={"EMPTY_LIST": "deny"}):
        EMPTYING[way](key)
    assert domains(key) == []
    found = key.restorable(DOMAINS)
    assert found is not None
    assert str(found) == "allowed_domains: 2"
    key.restore_domains()
    assert list(key.allowed_domains.values_list("domain", "name", "expires_at")) == before
    assert row(key).domain_mode == "listed"
    assert ips(key) == [SERVER]


def test_a_list_that_was_disabled_stays_so(creator: User) -> None:
    key, token = APIKey.objects.create_key(name="Shop", creator=creator)
    key.add_ips([SERVER])
    key.allow_all_ips()
    key.restore_ips()
    assert (row(key).ip_mode, ips(key)) == ("all", [SERVER])
    assert visit(token, None, "198.51.100.1").status == 200


def test_nothing_decides_from_what_can_be_restored(key: APIKey) -> None:
    key.allow_all_domains()
    assert visit(key.token, "https://evil.example").status == 200
    with refused("empty_list"):
        key.restrict_domains()


FORGETTING: dict[str, Callable[[APIKey], Any]] = {
    "other entries": lambda key: key.add_domains(["a.test"]),
    "an entry's save": lambda key: AllowedDomain(key=key, domain="a.test").save(),
    "many entries": lambda key: AllowedDomain.objects.bulk_create([AllowedDomain(key=key, domain="a.test")]),
    "restored": lambda key: key.restore_domains(),
}


@pytest.mark.parametrize("way", FORGETTING)
def test_it_is_forgotten_when_other_entries_are_listed(key: APIKey, way: str) -> None:
    key.allow_all_domains()
    FORGETTING[way](key)
    assert not RemovedList.objects.exists()
    with refused("nothing_to_restore") as heard:
        key.restore_domains()
    assert heard[0].field == "allowed_domains"


def test_removing_some_entries_keeps_nothing(key: APIKey) -> None:
    key.remove_domains([SHOP])
    assert key.restorable(DOMAINS) is key.restorable(IPS) is None


def test_it_is_forgotten_after_some_days(key: APIKey) -> None:
    key.allow_all_domains()
    RemovedList.objects.update(removed_at=timezone.now() - timedelta(days=3))
    assert key.restorable(DOMAINS) is not None
    with override_settings(ALLOWLIST={"BLOCKED_DAYS": 3}):
        assert key.restorable(DOMAINS) is None
        with refused("nothing_to_restore"):
            key.restore_domains()


def test_it_survives_a_rotation_and_a_take_over(key: APIKey, superuser: User) -> None:
    key.allow_all_domains()
    key.rotate()
    key.take_over(superuser)
    key.restore_domains()
    assert domains(key) == [SHOP, BLOG]


@pytest.mark.parametrize(
    ("conf", "code"),
    [
        ({"MAX_DOMAINS": 1}, "limit"),
        ({"DOMAIN_FORMS": ("host",)}, "domain_form"),
        ({"DOMAIN_MODES": ("all",)}, "mode"),
    ],
)
def test_today_s_rules_hold_or_nothing_changes(key: APIKey, conf: dict[str, Any], code: str) -> None:
    key.allow_all_domains()
    with override_settings(ALLOWLIST=conf), refused(*([code] * (2 if code == "domain_form" else 1))):
        key.restore_domains()
    assert (row(key).domain_mode, domains(key)) == ("all", [])
    key.restore_domains()
    assert domains(key) == [SHOP, BLOG]


def test_an_entry_that_has_ended_comes_back_as_it_was(key: APIKey, monkeypatch: pytest.MonkeyPatch) -> None:
    key.allow_all_domains()
    monkeypatch.setattr("django.utils.timezone.now", lambda: TOMORROW)
    key.restore_domains()
    assert [entry.in_force for entry in key.allowed_domains.all()] == [True, False]


def test_the_api_restores_each_list(key: APIKey, creator: User) -> None:
    api = Api(creator)
    key.allow_all_domains()
    shown = api.ok("POST", f"keys/{key.pk}/domains/restore/", {})
    assert [each["domain"] for each in shown] == [SHOP, BLOG]
    sentence = {"allowed_domains": ["There is nothing to restore."]}
    assert api.refused("POST", f"keys/{key.pk}/domains/restore/", {}) == sentence
    key.allow_all_ips()
    assert [each["ip"] for each in api.ok("POST", f"keys/{key.pk}/ips/restore/")] == [SERVER]
