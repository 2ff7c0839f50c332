"""``key_changed``: one signal for each change, after its commit, with who acted and what changed."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from allowlist.models import AllowedDomain, AllowedIP, APIKey
from allowlist.signals import acting_as, key_changed
from tests.conftest import User
from tests.management import Api
from tests.pages import Admin

pytestmark = pytest.mark.django_db(transaction=True)

SHOP, BLOG, SERVER = "https://shop.example", "https://blog.example", "203.0.113.7"


@pytest.fixture
def key(creator: User) -> APIKey:
    """Return a key that lists one domain."""
    return APIKey.objects.create_key(name="Shop", creator=creator, allowed_domains=[("Shop", SHOP)])[0]


@pytest.fixture
def heard() -> Iterator[list[dict[str, Any]]]:
    """Return what receivers of the signal hear."""
    calls: list[dict[str, Any]] = []

    def hear(**kwargs: Any) -> None:
        del kwargs["signal"]
        calls.append(kwargs)

    key_changed.connect(hear)
    yield calls
    key_changed.disconnect(hear)


def lists(added: list[str], removed: list[str], **more: Any) -> dict[str, Any]:
    """Return what the signal reports of a list."""
    return {"added": added, "removed": removed, **more}


def renamed(key: APIKey, name: str) -> None:
    """Save another name."""
    key.name = name
    key.save()


LATER = timezone.now() + timedelta(days=1)
CHANGES: dict[str, tuple[Callable[[APIKey], Any], str, dict[str, Any]]] = {
    "save": (lambda key: renamed(key, "Blog"), "updated", {"name": ("Shop", "Blog")}),
    "add": (
        lambda key: key.add_domains([BLOG, SHOP]),
        "updated",
        {"allowed_domains": lists([BLOG], [])},
    ),
    "restrict": (
        lambda key: key.restrict_ips([SERVER]),
        "updated",
        {"ip_mode": ("all", "listed"), "allowed_ips": lists([SERVER], [])},
    ),
    "replace": (
        lambda key: key.restrict_domains([BLOG]),
        "updated",
        {"allowed_domains": lists([BLOG], [SHOP])},
    ),
    "rename an entry": (
        lambda key: key.restrict_domains([("Main", SHOP)]),
        "updated",
        {"allowed_domains": lists([], [], renamed={SHOP: ("Shop", "Main")})},
    ),
    "allow all": (
        lambda key: key.allow_all_domains(),
        "updated",
        {"domain_mode": ("listed", "all"), "allowed_domains": lists([], [SHOP])},
    ),
    "entry's save": (
        lambda key: AllowedIP(key=key, ip=SERVER).save(),
        "updated",
        {"allowed_ips": lists([SERVER], [])},
    ),
    "rotate": (lambda key: key.rotate(timedelta(hours=1)), "rotated", {}),
    "delete": (lambda key: key.delete(), "deleted", {}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_each_change_is_sent_once_with_what_changed(
    key: APIKey, heard: list[dict[str, Any]], change: str
) -> None:
    do, action, changes = CHANGES[change]
    pk, tokens = key.pk, [key.token]
    tokens.append(do(key)) if change == "rotate" else do(key)
    (call,) = heard
    assert call == {"sender": APIKey, "key": call["key"], "action": action, "user": None, "changes": changes}
    assert (call["key"].pk, call["key"].name) == (pk, "Blog" if change == "save" else "Shop")
    assert not [token for token in tokens if token in repr(call)]


def test_creating_revoking_and_taking_over_are_named(
    creator: User, superuser: User, heard: list[dict[str, Any]]
) -> None:
    key, token = APIKey.objects.create_key(name="Shop", creator=creator, allowed_ips=[SERVER])
    key.revoke()
    key.take_over(superuser)
    key.revoke()
    key.take_over(superuser)
    assert [call["action"] for call in heard] == ["created", "revoked", "taken_over"]
    created, revoked, taken_over = (call["changes"] for call in heard)
    assert created["name"] == (None, "Shop")
    assert created["ip_mode"] == (None, "listed")
    assert created["allowed_ips"] == lists([SERVER], [])
    assert revoked == {"revoked_at": (None, key.revoked_at)}
    assert taken_over == {"creator": (creator.pk, superuser.pk)}
    assert token not in repr(heard)


def test_what_changes_nothing_or_is_no_method_is_not_sent(
    key: APIKey, creator: User, heard: list[dict[str, Any]]
) -> None:
    key.save()
    key.add_domains([SHOP])
    key.restrict_domains()
    key.restrict_domains([SHOP])
    APIKey.objects.update(name="Renamed")
    AllowedDomain.objects.bulk_create([AllowedDomain(key=key, domain=BLOG)])
    AllowedDomain.objects.filter(domain=BLOG).delete()
    creator.delete()
    APIKey.objects.all().delete()
    assert heard == []


def test_it_is_sent_after_the_commit_and_not_after_a_rollback(
    key: APIKey, heard: list[dict[str, Any]]
) -> None:
    with transaction.atomic():
        key.add_domains([BLOG])
        assert heard == []
    assert len(heard) == 1
    with transaction.atomic():
        key.revoke()
        transaction.set_rollback(True)
    assert len(heard) == 1


def test_methods_called_within_one_edit_are_one_change(key: APIKey, heard: list[dict[str, Any]]) -> None:
    with key.editing() as edit:
        key.add_domains([BLOG])
        key.remove_domains([SHOP])
        edit.write(name="Blog")
        entry = key.allowed_domains.get()
        entry.name = "Blog"
        entry.save()
    assert [call["changes"] for call in heard] == [
        {
            "name": ("Shop", "Blog"),
            "allowed_domains": lists([BLOG], [SHOP], renamed={BLOG: ("", "Blog")}),
        }
    ]


def test_a_receiver_that_raises_is_logged_and_stops_nobody(
    key: APIKey, heard: list[dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    def fail(**kwargs: Any) -> None:
        raise RuntimeError("The audit log is full.")

    key_changed.connect(fail)
    try:
        key.add_domains([BLOG])
    finally:
        key_changed.disconnect(fail)
    assert len(heard) == 1
    assert "The audit log is full." in caplog.text


def test_the_user_is_who_acts_when_it_is_done(
    key: APIKey, creator: User, superuser: User, heard: list[dict[str, Any]]
) -> None:
    with transaction.atomic(), acting_as(creator):
        key.add_domains([BLOG])
        with acting_as(superuser):
            key.revoke()
    key.remove_domains([BLOG])
    assert [call["user"] for call in heard] == [creator, superuser, None]


def test_the_api_names_its_user_and_sends_one_signal_a_request(
    key: APIKey, creator: User, heard: list[dict[str, Any]]
) -> None:
    api = Api(creator)
    body = {"name": "Blog", "ip_mode": "listed", "allowed_ips": [SERVER], "enforcement": "report"}
    steps = [
        ("POST", "keys/", {"name": "New"}, "created"),
        ("PATCH", f"keys/{key.pk}/", body, "updated"),
        ("POST", f"keys/{key.pk}/domains/", BLOG, "updated"),
        ("DELETE", f"keys/{key.pk}/domains/{key.allowed_domains.get().pk}/", b"", "updated"),
        ("POST", f"keys/{key.pk}/rotate/", {}, "rotated"),
        ("POST", f"keys/{key.pk}/revoke/", {}, "revoked"),
        ("DELETE", f"keys/{key.pk}/", b"", "deleted"),
    ]
    for method, path, sent, _action in steps:
        assert api(method, path, sent).status_code < 300
    assert [call["action"] for call in heard] == [action for *_, action in steps]
    assert {call["user"] for call in heard} == {creator}


def test_the_admin_names_its_user_and_sends_one_signal_a_save(
    key: APIKey, creator: User, superuser: User, heard: list[dict[str, Any]]
) -> None:
    site = Admin(creator)
    fields = site.get(f"{key.pk}/change/").fields
    site.saved(f"{key.pk}/change/", {**fields, "name": "Blog", "paste_domains": BLOG})
    site.send(f"{key.pk}/rotate/", site.get(f"{key.pk}/rotate/").fields)
    Admin(superuser).send(f"{key.pk}/take-over/", {})
    assert [(call["action"], call["user"]) for call in heard] == [
        ("updated", creator),
        ("rotated", creator),
        ("taken_over", superuser),
    ]
    assert heard[0]["changes"] == {"name": ("Shop", "Blog"), "allowed_domains": lists([BLOG], [])}
