"""Keys: how they are made, rotated, ended and handed over, and what nobody writes by hand."""

import hashlib
import math
import pickle
import re
from datetime import timedelta
from inspect import isfunction
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.db.models.signals import post_save
from django.template import Context, Template
from django.test import override_settings
from django.utils import timezone

from allowlist.models import AllowedDomain, AllowedIP, APIKey
from allowlist.models.key_life import KeyLife
from allowlist.models.key_lists import KeyLists
from allowlist.models.keysets import WRITTEN_BY
from allowlist.policy.tokens import Environment, Kind, Token
from tests.conftest import MakeUser, User
from tests.testing import (
    BLOG,
    INVALID,
    IP_NOT_LISTED,
    NOT_LISTED,
    SERVED,
    SERVER,
    SHOP,
    domains,
    ips,
    refused,
    rolled_back,
    row,
    visit,
)

pytestmark = pytest.mark.django_db(databases="__all__")

SHAPE = re.compile(r"(pk|sk)_(live|test)_[a-z0-9]{12}([A-Za-z0-9]{32})")


def make(creator: User, **fields: Any) -> tuple[APIKey, str]:
    return APIKey.objects.create_key(name="Shop", creator=creator, **fields)


class TestCreate:
    def test_a_plain_key_is_publishable_and_live_and_restricts_nothing(self, creator: User) -> None:
        key, token = make(creator)
        stored = row(key)
        assert (stored.name, stored.creator) == ("Shop", creator)
        assert (stored.kind, stored.environment, stored.enforcement) == ("publishable", "live", "enforce")
        assert (stored.domain_mode, stored.ip_mode, stored.condition) == ("all", "all", "all")
        assert (stored.last_used_at, stored.expires_at, stored.revoked_at) == (None, None, None)
        assert abs(stored.created_at - timezone.now()) < timedelta(minutes=1)
        assert stored.token == token
        assert visit(token) == SERVED

    def test_a_list_given_turns_its_mode_on_and_leaves_the_other(self, creator: User) -> None:
        key, token = make(creator, allowed_domains=[SHOP, ("Blog", BLOG)])
        assert (row(key).domain_mode, row(key).ip_mode) == ("listed", "all")
        assert [(each.name, each.domain) for each in key.allowed_domains.all()] == [
            ("", SHOP),
            ("Blog", BLOG),
        ]
        assert visit(token) == SERVED
        assert visit(token, "https://elsewhere.example") == NOT_LISTED

    def test_both_lists_may_be_given_at_once(self, creator: User) -> None:
        key, token = make(
            creator, allowed_domains=[SHOP], allowed_ips=(SERVER, ("Office", "198.51.100.0/24"))
        )
        assert (key.domain_mode, key.ip_mode) == ("listed", "listed")
        assert ips(key) == [SERVER, "198.51.100.0/24"]
        assert visit(token, ip="192.0.2.1") == IP_NOT_LISTED

    def test_entries_may_come_from_a_generator(self, creator: User) -> None:
        key, _ = make(creator, allowed_domains=(each for each in [SHOP, BLOG]))
        assert (row(key).domain_mode, domains(key)) == ("listed", [SHOP, BLOG])

    def test_the_key_made_can_be_saved_without_reading_it_anew(self, creator: User) -> None:
        key, _ = make(creator, allowed_domains=[SHOP])
        key.name = "Renamed"
        key.save()
        assert (row(key).name, row(key).domain_mode) == ("Renamed", "listed")

    @override_settings(
        ALLOWLIST={"CONDITIONS": ("by_source", "all"), "IP_MODES": ("listed", "all"), "EMPTY_LIST": "deny"}
    )
    def test_the_first_choice_of_each_setting_is_a_new_keys(self, creator: User) -> None:
        key, _ = make(creator)
        assert (row(key).condition, row(key).domain_mode, row(key).ip_mode) == ("by_source", "all", "listed")

    @override_settings(ALLOWLIST={"DOMAIN_MODES": ("all",)})
    def test_entries_are_refused_where_keys_are_never_restricted_by_that_list(self, creator: User) -> None:
        with refused("mode") as told:
            make(creator, allowed_domains=[SHOP])
        assert told[0].field == "allowed_domains"
        assert not APIKey.objects.exists()

    def test_listed_without_an_entry_is_refused(self, creator: User) -> None:
        with refused("empty_list"):
            make(creator, domain_mode="listed")
        assert not APIKey.objects.exists()

    @pytest.mark.parametrize(("meaning", "answer"), [("deny", NOT_LISTED), ("allow", SERVED)])
    def test_listed_without_an_entry_is_made_where_empty_lists_may_be(
        self, creator: User, meaning: str, answer: Any
    ) -> None:
        with override_settings(ALLOWLIST={"EMPTY_LIST": meaning}):
            key, token = make(creator, domain_mode="listed")
            assert (row(key).domain_mode, visit(token)) == ("listed", answer)

    def test_all_together_with_entries_is_refused(self, creator: User) -> None:
        with refused("all_with_entries") as told:
            make(creator, ip_mode="all", allowed_ips=[SERVER])
        assert told[0].field == "allowed_ips"
        assert not APIKey.objects.exists()

    def test_one_bad_entry_leaves_nothing_and_each_is_told_with_its_place(self, creator: User) -> None:
        with refused("scheme", "public_suffix") as told:
            make(creator, allowed_domains=[SHOP, "ftp://shop.example", BLOG, "*.co.uk"])
        assert [(each.field, each.place) for each in told] == [("allowed_domains", 1), ("allowed_domains", 3)]
        assert "ftp://shop.example" in told[0].sentence
        assert not APIKey.objects.exists()
        assert not AllowedDomain.objects.exists()

    def test_a_bad_second_list_leaves_nothing_of_the_first(self, creator: User) -> None:
        with refused("host_bits"):
            make(creator, allowed_domains=[SHOP], allowed_ips=["203.0.113.7/24"])
        assert not APIKey.objects.exists()
        assert not AllowedDomain.objects.exists()

    def test_more_than_the_limit_leaves_nothing(self, creator: User) -> None:
        with refused("limit"):
            make(creator, allowed_ips=[f"203.0.113.{number}" for number in range(26)])
        assert not APIKey.objects.exists()
        assert not AllowedIP.objects.exists()

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("name", ""),
            ("name", "x" * 101),
            ("name", "a\0b"),
            ("kind", "public"),
            ("environment", "staging"),
            ("domain_mode", "none"),
            ("ip_mode", ""),
            ("condition", "or"),
            ("enforcement", "log"),
            ("expires_at", "tomorrow"),
        ],
    )
    def test_a_wrong_value_is_refused_under_its_fields_name(
        self, creator: User, field: str, value: str
    ) -> None:
        with pytest.raises(ValidationError) as caught:
            APIKey.objects.create_key(**{"name": "Shop", "creator": creator, field: value})
        assert list(caught.value.error_dict) == [field]
        assert not APIKey.objects.exists()

    @override_settings(ALLOWLIST={"CONDITIONS": ("all",)})
    def test_a_condition_that_is_no_choice_here_is_refused_with_the_choices(self, creator: User) -> None:
        with refused("invalid_choice") as told:
            make(creator, condition="any")
        assert (told[0].field, told[0].sentence) == ("condition", "Choose one of: all.")

    @pytest.mark.parametrize("field", ["token", "digest", "revoked_at", "last_used_at", "nmae"])
    def test_what_is_no_field_to_choose_is_a_type_error(self, creator: User, field: str) -> None:
        with pytest.raises(TypeError, match=f"create_key\\(\\) doesn't take {field}"):
            make(creator, **{field: None})

    def test_one_text_for_a_list_is_a_type_error(self, creator: User) -> None:
        with pytest.raises(TypeError, match="allowed_domains takes a list of entries, not one entry"):
            make(creator, allowed_domains=SHOP)
        assert not APIKey.objects.exists()

    def test_an_unsaved_creator_is_a_value_error(self) -> None:
        with pytest.raises(ValueError, match="a user that is saved"):
            APIKey.objects.create_key(name="Shop", creator=AnonymousUser())  # type: ignore[arg-type]
        assert not APIKey.objects.exists()

    def test_a_key_may_be_made_for_nobody(self) -> None:
        key, token = APIKey.objects.create_key(name="Shop", creator=None)
        assert (row(key).creator, visit(token)) == (None, SERVED)

    def test_no_other_way_makes_a_key(self, creator: User) -> None:
        key, _ = make(creator)
        copy = row(key)
        copy.pk, copy._state.adding = None, True
        for attempt in (
            lambda: APIKey(name="Shop", creator=creator).save(),
            lambda: APIKey.objects.create(name="Shop"),
            lambda: APIKey.objects.get_or_create(name="New"),
            lambda: APIKey.objects.update_or_create(name="New"),
            lambda: APIKey.objects.bulk_create([APIKey(name="Shop")]),
            lambda: key.save(force_insert=True),
            copy.save,
        ):
            with pytest.raises(TypeError, match=r"create_key\(\)"):
                attempt()
        assert APIKey.objects.count() == 1

    def test_a_users_own_manager_makes_the_user_the_creator(self, creator: User, superuser: User) -> None:
        key, _ = creator.allowlist_keys.create_key(name="Shop", allowed_domains=[SHOP])
        assert (key.creator, row(key).creator, domains(key)) == (creator, creator, [SHOP])
        other, _ = creator.allowlist_keys.filter(name="None").create_key(name="Shop", creator=superuser)
        assert row(other).creator == superuser
        with pytest.raises(TypeError, match="takes a creator"):
            APIKey.objects.create_key(name="Shop")

    @pytest.mark.django_db(transaction=True, databases="__all__")
    def test_an_error_report_of_a_failing_commit_shows_no_secret_token(self, creator: User) -> None:
        """The key exists by then, so the token in the report would work."""

        def fail() -> None:
            raise RuntimeError("The mail server is down.")

        def receive(**kwargs: Any) -> None:
            transaction.on_commit(fail)

        post_save.connect(receive, sender=APIKey)
        try:
            with pytest.raises(RuntimeError) as caught:
                make(creator, kind="secret")
        finally:
            post_save.disconnect(receive, sender=APIKey)
        assert APIKey.objects.get().kind == "secret"
        frames = [each.frame for each in caught.traceback if "/allowlist/" in str(each.path)]
        assert {"create_key", "insert"} <= {frame.code.name for frame in frames}
        assert [frame for frame in frames if SHAPE.search(repr(frame.f_locals))] == []


class TestSecretKeys:
    def test_the_token_is_not_stored_but_its_digest_is(self, creator: User) -> None:
        key, token = make(creator, kind="secret")
        assert token.startswith("sk_live_")
        values = {str(value) for value in APIKey.objects.filter(pk=key.pk).values()[0].values()}
        assert not [value for value in values if token[-32:] in value]
        assert hashlib.sha256(token.encode()).hexdigest() in values
        assert visit(token, None) == SERVED

    def test_have_no_domain_list(self, creator: User) -> None:
        with refused("secret_key"):
            make(creator, kind="secret", allowed_domains=[SHOP])
        with refused("invalid_choice"):
            make(creator, kind="secret", domain_mode="listed")
        key, _ = make(creator, kind="secret", allowed_ips=[SERVER])
        for attempt in (
            lambda: key.add_domains([SHOP]),
            lambda: key.restrict_domains([SHOP]),
            lambda: key.restrict_domains(),
            lambda: AllowedDomain(key=key, domain=SHOP).save(),
            lambda: key.allowed_domains.create(domain=SHOP),
            lambda: AllowedDomain.objects.bulk_create([AllowedDomain(key=key, domain=SHOP)]),
        ):
            with refused("secret_key") as told:
                attempt()
            assert "List IP addresses instead" in told[0].sentence
        assert (row(key).domain_mode, domains(key)) == ("all", [])

    @override_settings(ALLOWLIST={"DOMAIN_MODES": ("listed",), "EMPTY_LIST": "deny"})
    def test_can_be_made_where_every_publishable_key_has_a_domain_list(self, creator: User) -> None:
        key, token = make(creator, kind="secret")
        assert (row(key).domain_mode, visit(token, None)) == ("all", SERVED)

    def test_turning_the_domain_list_off_is_nothing_to_refuse(self, creator: User) -> None:
        key, _ = make(creator, kind="secret")
        key.allow_all_domains()
        assert row(key).domain_mode == "all"

    def test_are_judged_by_their_ip_list(self, creator: User) -> None:
        _, token = make(creator, kind="secret", allowed_ips=[SERVER])
        assert visit(token, None) == SERVED
        assert visit(token, None, "203.0.113.9") == IP_NOT_LISTED


class TestTokens:
    @pytest.mark.parametrize("kind", Kind)
    @pytest.mark.parametrize("environment", Environment)
    def test_tell_their_kind_and_environment_and_hold_128_random_bits(
        self, creator: User, kind: Kind, environment: Environment
    ) -> None:
        key, token = make(creator, kind=kind, environment=environment)
        match = SHAPE.fullmatch(token)
        assert match
        assert match[1] == {"publishable": "pk", "secret": "sk"}[kind]
        assert match[2] == environment
        assert len(match[3]) * math.log2(62) >= 128
        assert token.startswith(key.hint.removesuffix("…"))

    def test_are_never_made_twice_and_use_the_whole_alphabet(self) -> None:
        made = [Token.make(Kind.SECRET, Environment.LIVE).text for _ in range(300)]
        secrets = [token[-32:] for token in made]
        assert len(set(secrets)) == len({token[:20] for token in made}) == 300
        assert len(set("".join(secrets))) == 62

    def test_and_digests_are_not_in_what_is_printed_of_a_key(self, creator: User) -> None:
        for kind in Kind:
            key, token = make(creator, kind=kind)
            for shown in (str(key), repr(key), f"{key}", repr(Token.parse(token)), str(row(key))):
                assert token[-32:] not in shown
                assert key.digest not in shown
            assert str(key) == f"Shop ({token[:20]}…)"

    def test_the_start_that_is_shown_opens_nothing(self, creator: User) -> None:
        key, token = make(creator)
        assert visit(key.hint) == visit(key.hint.removesuffix("…")) == visit(token[:-1]) == INVALID

    def test_another_secret_behind_the_same_start_opens_nothing(self, creator: User) -> None:
        _, token = make(creator)
        assert visit(token[:20] + "A" * 32) == INVALID


class TestExpiry:
    def test_a_key_works_until_then_and_not_at_that_instant(
        self, creator: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        instant = timezone.now() + timedelta(hours=1)
        _, token = make(creator, expires_at=instant)
        for now, answer in (
            (instant - timedelta(milliseconds=1), SERVED),
            (instant, INVALID),
            (instant + timedelta(days=1), INVALID),
        ):
            monkeypatch.setattr("django.utils.timezone.now", lambda now=now: now)
            assert visit(token) == answer

    @pytest.mark.parametrize(("minutes", "answer"), [(-1, INVALID), (1, SERVED), (None, SERVED)])
    def test_is_set_and_lifted_by_saving(self, creator: User, minutes: int | None, answer: Any) -> None:
        key, token = make(creator, expires_at=timezone.now() - timedelta(days=1))
        assert visit(token) == INVALID
        key.expires_at = None if minutes is None else timezone.now() + timedelta(minutes=minutes)
        key.save()
        assert visit(token) == answer

    @pytest.mark.parametrize("year", [1, 9999])
    def test_so_far_away_that_databases_cannot_count_there_is_refused(self, creator: User, year: int) -> None:
        instant = timezone.now().replace(year=year, month=12, day=31)
        with refused("overflow") as told:
            make(creator, expires_at=instant)
        assert told[0].field == "expires_at"
        key, token = make(creator)
        key.expires_at = instant
        with refused("overflow"):
            key.save()
        assert visit(token) == SERVED


class TestRotate:
    def test_gives_a_new_token_and_ends_the_old_at_once(self, creator: User) -> None:
        key, old = make(creator, allowed_domains=[SHOP])
        new = key.rotate()
        assert SHAPE.fullmatch(new)
        assert (new[:20], new[-32:] != old[-32:]) == (old[:20], True)
        assert (visit(old), visit(new), visit(new, BLOG)) == (INVALID, SERVED, NOT_LISTED)
        assert key.token == row(key).token == new

    def test_of_a_secret_key_stores_the_digest_alone(self, creator: User) -> None:
        key, old = make(creator, kind="secret")
        new = key.rotate(timedelta(hours=1))
        assert row(key).token == key.token == ""
        assert row(key).digest == hashlib.sha256(new.encode()).hexdigest()
        assert visit(old, None) == visit(new, None) == SERVED

    def test_with_an_overlap_lets_both_work_and_then_the_new_alone(
        self, creator: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        key, old = make(creator)
        new = key.rotate(overlap=timedelta(minutes=10))
        assert (visit(old), visit(new)) == (SERVED, SERVED)
        until = row(key).previous_until
        assert until is not None
        monkeypatch.setattr("django.utils.timezone.now", lambda: until)
        assert (visit(old), visit(new)) == (INVALID, SERVED)

    def test_again_within_an_overlap_ends_the_oldest(self, creator: User) -> None:
        key, first = make(creator)
        second = key.rotate(timedelta(hours=1))
        third = key.rotate(timedelta(hours=1))
        assert [visit(first), visit(second), visit(third)] == [INVALID, SERVED, SERVED]

    def test_without_overlap_within_an_overlap_ends_all_old_ones(self, creator: User) -> None:
        key, first = make(creator)
        second = key.rotate(timedelta(hours=1))
        third = key.rotate()
        assert [visit(first), visit(second), visit(third)] == [INVALID, INVALID, SERVED]

    @pytest.mark.parametrize(
        "overlap", [timedelta(seconds=-1), timedelta(days=365, seconds=1), timedelta.max]
    )
    def test_refuses_a_negative_or_overlong_overlap(self, creator: User, overlap: timedelta) -> None:
        key, token = make(creator)
        with refused("overlap"):
            key.rotate(overlap)
        assert visit(token) == SERVED

    def test_takes_an_overlap_of_a_year(self, creator: User) -> None:
        key, token = make(creator)
        key.rotate(timedelta(days=365))
        assert visit(token) == SERVED

    def test_refuses_a_revoked_key_even_through_a_stale_instance(self, creator: User) -> None:
        key, token = make(creator)
        stale = row(key)
        key.revoke()
        for each in (key, stale):
            with refused("revoked"):
                each.rotate(timedelta(hours=1))
        assert visit(token) == INVALID

    def test_of_a_stale_instance_ends_the_token_in_force(self, creator: User) -> None:
        key, _ = make(creator)
        stale = row(key)
        second = key.rotate()
        third = stale.rotate(timedelta(hours=1))
        assert [visit(second), visit(third)] == [SERVED, SERVED]
        assert visit(stale.rotate()) == SERVED
        assert [visit(second), visit(third)] == [INVALID, INVALID]


class TestRevoke:
    def test_ends_the_key_for_good(self, creator: User) -> None:
        key, old = make(creator)
        new = key.rotate(timedelta(hours=1))
        key.revoke()
        assert row(key).revoked_at == key.revoked_at is not None
        assert visit(old) == visit(new) == INVALID

    def test_a_second_time_changes_nothing(self, creator: User, monkeypatch: pytest.MonkeyPatch) -> None:
        key, _ = make(creator)
        stale = row(key)
        key.revoke()
        first = row(key).revoked_at
        monkeypatch.setattr("django.utils.timezone.now", lambda: first + timedelta(days=1) if first else None)
        key.revoke()
        stale.revoke()
        assert row(key).revoked_at == key.revoked_at == stale.revoked_at == first

    def test_of_a_key_that_was_deleted_is_refused(self, creator: User) -> None:
        key, _ = make(creator)
        APIKey.objects.all().delete()
        with refused("deleted"):
            key.revoke()


def keys_named_after(user: User) -> Q:
    """Return a project's rule: a user has the keys with the user's own name."""
    return Q(name=user.get_username())


def no_rule(user: User) -> None:
    """Return what a rule returns that forgot its last line."""


def empty_rule(user: User) -> Q:
    """Return a condition that would be true of every key."""
    return Q()


def failing_rule(user: User) -> Q:
    """Raise, as a rule that has a mistake in it does."""
    raise LookupError("No such team.")


def misspelled_rule(user: User) -> Q:
    """Return a condition about a field that keys don't have."""
    return Q(nmae="Shop")


class TestKeysOf:
    def test_replaces_the_creator(self, creator: User, stranger: User, superuser: User) -> None:
        shared, _ = APIKey.objects.create_key(name=stranger.get_username(), creator=creator)
        with override_settings(ALLOWLIST={"KEYS_OF": f"{__name__}.keys_named_after"}):
            assert list(APIKey.objects.manageable_by(stranger)) == [shared]
            assert not APIKey.objects.exclude(pk=shared.pk).manageable_by(stranger).exists()
            assert not APIKey.objects.manageable_by(creator).exists()
            assert not APIKey.objects.manageable_by(AnonymousUser()).exists()
        assert list(APIKey.objects.manageable_by(creator)) == [shared]

    @pytest.mark.parametrize("rule", ["no_rule", "empty_rule", "failing_rule", "misspelled_rule"])
    def test_gives_nobody_a_key_where_it_gives_no_condition(
        self, creator: User, rule: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        make(creator)
        with override_settings(ALLOWLIST={"KEYS_OF": f"{__name__}.{rule}"}):
            assert not APIKey.objects.manageable_by(creator).exists()
        assert "KEYS_OF" in caplog.text


class TestStatus:
    def test_says_whether_a_key_works_and_active_finds_those_that_do(self, creator: User) -> None:
        keys = {
            name: make(creator, expires_at=expires)[0]
            for name, expires in (
                ("open", None),
                ("later", timezone.now() + timedelta(days=1)),
                ("over", timezone.now() - timedelta(seconds=1)),
                ("revoked", None),
                ("revoked and over", timezone.now() - timedelta(days=1)),
            )
        }
        keys["revoked"].revoke()
        keys["revoked and over"].revoke()
        assert {name: str(row(key).status) for name, key in keys.items()} == {
            "open": "active",
            "later": "active",
            "over": "expired",
            "revoked": "revoked",
            "revoked and over": "revoked",
        }
        with override_settings(ALLOWLIST={"ENVIRONMENTS": ("test",)}):
            assert list(APIKey.objects.active()) == [keys["open"], keys["later"]]
            assert row(keys["open"]).status == "active"


class TestWhoseKeys:
    def test_a_key_is_managed_by_its_creator_alone(
        self, creator: User, stranger: User, superuser: User
    ) -> None:
        key, _ = make(creator)
        orphan, _ = APIKey.objects.create_key(name="Nobody's", creator=None)
        assert list(APIKey.objects.manageable_by(creator)) == [key]
        for other in (stranger, superuser, AnonymousUser()):
            assert not APIKey.objects.manageable_by(other).exists()
        assert orphan not in APIKey.objects.manageable_by(creator)

    def test_users_who_are_not_saved_manage_nothing(self) -> None:
        APIKey.objects.create_key(name="Nobody's", creator=None)
        unsaved = get_user_model()(pk=None)
        assert not APIKey.objects.manageable_by(unsaved).exists()

    def test_it_narrows_what_it_is_called_on(self, creator: User) -> None:
        make(creator)
        key, _ = APIKey.objects.create_key(name="Blog", creator=creator)
        assert list(APIKey.objects.filter(name="Blog").manageable_by(creator)) == [key]

    def test_taking_over_moves_the_key_whole(self, creator: User, superuser: User) -> None:
        key, token = make(creator, allowed_domains=[SHOP])
        key.take_over(superuser)
        assert row(key).creator == key.creator == superuser
        assert not APIKey.objects.manageable_by(creator).exists()
        assert (visit(token), visit(token, BLOG)) == (SERVED, NOT_LISTED)

    def test_nobody_who_is_not_saved_takes_a_key_over(self, creator: User) -> None:
        key, _ = make(creator)
        nobodies: list[Any] = [get_user_model()(), AnonymousUser(), get_user_model()(pk=creator.pk)]
        for nobody in nobodies:
            with pytest.raises(ValueError, match=r"take_over\(\) takes a user that is saved"):
                key.take_over(nobody)
        assert row(key).creator == creator

    def test_a_deleted_users_key_works_on_and_can_be_taken_over(
        self, make_user: MakeUser, superuser: User
    ) -> None:
        leaver = make_user("leaver")
        key, token = make(leaver, allowed_domains=[SHOP])
        leaver.delete()
        assert (row(key).creator, visit(token), visit(token, BLOG)) == (None, SERVED, NOT_LISTED)
        row(key).take_over(superuser)
        assert row(key).creator == superuser

    def test_users_deleted_by_a_queryset_leave_their_keys_too(self, make_user: MakeUser) -> None:
        leaver = make_user("leaver")
        key, token = make(leaver)
        get_user_model()._default_manager.filter(pk=leaver.pk).delete()
        assert (row(key).creator, visit(token)) == (None, SERVED)


BY_HAND: dict[str, Any] = {
    "id": 987654,
    "domain_mode": "all",
    "ip_mode": "listed",
    "kind": "secret",
    "environment": "test",
    "locator": "x" * 12,
    "token": "x",
    "digest": "x",
    "previous_digest": "x",
    "previous_until": timezone.now() + timedelta(days=9),
    "revision": "2f6b4e5e-6c0f-4d0b-9a55-0d3a4e0f6c11",
    "created_at": timezone.now() - timedelta(days=9),
    "creator_id": None,
    "revoked_at": timezone.now() - timedelta(days=9),
    "last_used_at": timezone.now() - timedelta(days=9),
}


MAY_BE_UPDATED = {"creator_id", "created_at", "revoked_at", "last_used_at"}


class TestByHand:
    def test_every_field_that_a_method_writes_is_tried_here(self) -> None:
        writable = {"name", "condition", "enforcement", "expires_at"}
        assert set(BY_HAND) == set(WRITTEN_BY) == {f.attname for f in APIKey._meta.concrete_fields} - writable

    @pytest.mark.parametrize("field", BY_HAND)
    def test_assigned_and_saved_raises_and_names_the_method(self, creator: User, field: str) -> None:
        key, _ = make(creator, allowed_domains=[SHOP])
        for instance in (key, row(key), APIKey.objects.only("pk", "name").get()):
            before = APIKey.objects.filter(name="Shop").values()[0]
            instance.name = "Renamed"
            setattr(instance, field, BY_HAND[field])
            for fields in (None, ["name", field], ["name"]):
                with pytest.raises(ValueError, match=re.escape(WRITTEN_BY[field])):
                    instance.save(update_fields=fields)
            assert APIKey.objects.values()[0] == before

    @pytest.mark.parametrize("field", [name for name in BY_HAND if name not in MAY_BE_UPDATED])
    def test_a_querysets_update_raises_and_names_the_method(self, creator: User, field: str) -> None:
        key, _ = make(creator, allowed_domains=[SHOP])
        before = APIKey.objects.values()[0]
        with pytest.raises(ValueError, match=re.escape(WRITTEN_BY[field])):
            APIKey.objects.filter(pk=key.pk).update(name="Renamed", **{field: BY_HAND[field]})
        if field != "id":
            setattr(key, field, BY_HAND[field])
            with pytest.raises(ValueError, match="yourself"), transaction.atomic():
                APIKey.objects.bulk_update([key], [field])
        assert APIKey.objects.values()[0] == before

    def test_names_may_be_updated_in_bulk(self, creator: User) -> None:
        key, _ = make(creator)
        key.name = "Renamed"
        assert APIKey.objects.bulk_update([key], ["name"]) == 1
        assert row(key).name == "Renamed"


class TestSave:
    def test_writes_name_condition_enforcement_and_expiry(self, creator: User) -> None:
        key, _ = make(creator)
        instant = timezone.now() + timedelta(days=1)
        key.name, key.condition, key.enforcement, key.expires_at = "New", "any", "report", instant
        key.save()
        stored = row(key)
        assert (stored.name, stored.condition, stored.enforcement) == ("New", "any", "report")
        assert stored.expires_at == instant

    @pytest.mark.parametrize(
        ("field", "value"),
        [("name", ""), ("condition", "or"), ("enforcement", "off"), ("expires_at", "soon")],
    )
    def test_refuses_wrong_values(self, creator: User, field: str, value: str) -> None:
        key, _ = make(creator)
        setattr(key, field, value)
        with pytest.raises(ValidationError) as caught:
            key.save()
        assert list(caught.value.error_dict) == [field]

    def test_an_edit_writes_a_key_s_own_fields_alone(self, creator: User) -> None:
        key, _ = make(creator)
        with key.editing() as edit, pytest.raises(TypeError, match="write\\(\\) doesn't take digest"):
            edit.write(digest="x")

    def test_refuses_a_condition_that_is_no_choice_here_but_keeps_one_stored(self, creator: User) -> None:
        key, _ = make(creator, condition="any")
        with override_settings(ALLOWLIST={"CONDITIONS": ("all", "by_source")}):
            key.name = "Renamed"
            key.save()
            other, _ = make(creator)
            other.condition = "any"
            with refused("invalid_choice"):
                other.save()
        assert (row(key).name, row(key).condition, row(other).condition) == ("Renamed", "any", "all")

    def test_of_nothing_changed_sends_nothing(self, creator: User, django_assert_num_queries: Any) -> None:
        key, _ = make(creator)
        with django_assert_num_queries(0):
            key.save()

    def test_of_an_unknown_field_or_argument_raises(self, creator: User) -> None:
        key, _ = make(creator)
        with pytest.raises(ValueError, match="APIKey has no field nonsense"):
            key.save(update_fields=["name", "nonsense"])  # type: ignore[misc]
        with pytest.raises(TypeError, match="bogus"):
            key.save(bogus=1)  # type: ignore[call-arg]

    def test_enforcing_is_judged_by_the_lists_as_they_are(self, creator: User) -> None:
        key, _ = make(creator, enforcement="report")
        key.restrict_domains([])
        assert (row(key).domain_mode, domains(key)) == ("listed", [])
        key.add_domains([SHOP])
        key.remove_domains([SHOP])
        key.enforcement = "enforce"
        with refused("empty_list"):
            key.save()
        assert row(key).enforcement == "report"
        key.add_domains([SHOP])
        key.save()
        assert row(key).enforcement == "enforce"

    def test_with_update_fields_writes_those_alone_and_the_rest_later(self, creator: User) -> None:
        key, _ = make(creator)
        key.name, key.enforcement = "New", "report"
        key.save(update_fields=["name"])
        assert (row(key).name, row(key).enforcement) == ("New", "enforce")
        key.save()
        assert row(key).enforcement == "report"

    def test_of_a_stale_instance_carries_nothing_back(self, creator: User) -> None:
        key, old = make(creator)
        stale, pickled = row(key), pickle.dumps(row(key))
        fresh = row(key)
        fresh.restrict_domains([SHOP])
        fresh.restrict_ips([SERVER])
        fresh.condition, fresh.enforcement = "any", "report"
        fresh.expires_at = timezone.now() + timedelta(days=1)
        fresh.save()
        new = fresh.rotate()
        fresh.revoke()
        APIKey.objects.update(last_used_at=timezone.now())
        before = APIKey.objects.values()[0]
        for instance in (stale, pickle.loads(pickled)):  # noqa: S301
            instance.name = "Renamed"
            instance.save()
        after = APIKey.objects.values()[0]
        assert after == before | {"name": "Renamed", "revision": after["revision"]}
        assert visit(old) == visit(new) == INVALID

    def test_of_a_deferred_instance_carries_nothing_back(self, creator: User) -> None:
        key, _ = make(creator)
        only, deferred = APIKey.objects.only("name").get(), APIKey.objects.defer("condition").get()
        row(key).restrict_domains([SHOP])
        for number, instance in enumerate((only, deferred)):
            instance.name = f"Renamed {number}"
            instance.save()
            assert instance.condition == "all"
            assert (row(key).name, row(key).domain_mode) == (f"Renamed {number}", "listed")
        only.condition = "any"
        only.save()
        assert row(key).condition == "any"

    def test_after_reading_anew_starts_from_what_was_read(self, creator: User) -> None:
        key, _ = make(creator)
        stale = row(key)
        key.condition = "any"
        key.save()
        stale.refresh_from_db()
        stale.condition = "all"
        stale.save()
        assert row(key).condition == "all"
        stale.domain_mode = "listed"
        stale.refresh_from_db(fields=["domain_mode"])
        stale.save()
        assert row(key).domain_mode == "all"

    def test_reading_some_fields_anew_keeps_what_was_changed_of_others(self, creator: User) -> None:
        key, _ = make(creator)
        key.name = "New"
        key.refresh_from_db(fields=["condition"])
        key.save()
        assert row(key).name == "New"

    def test_after_a_rollback_writes_again_what_was_lost(self, creator: User) -> None:
        key, token = make(creator)
        key.expires_at = timezone.now() - timedelta(days=1)
        with rolled_back():
            key.save()
            assert visit(token) == INVALID
        assert visit(token) == SERVED
        key.save()
        assert visit(token) == INVALID

    def test_takes_back_what_it_wrote_in_the_same_transaction(self, creator: User) -> None:
        key, token = make(creator)
        with transaction.atomic():
            key.expires_at = timezone.now() - timedelta(days=1)
            key.save()
            assert visit(token) == INVALID
            key.expires_at = None
            key.save()
            assert visit(token) == SERVED

    @pytest.mark.django_db(transaction=True, databases="__all__")
    def test_after_a_commit_is_no_change_any_more(self, creator: User) -> None:
        key, _ = make(creator)
        key.condition = "any"
        key.save()
        APIKey.objects.update(condition="by_source")
        key.name = "Renamed"
        key.save()
        assert row(key).condition == "by_source"

    @pytest.mark.django_db(transaction=True, databases="__all__")
    @pytest.mark.parametrize("freshness", [None, "unix:///nowhere.sock"])
    def test_without_autocommit_waits_for_the_commit_as_other_writes_do(
        self, creator: User, settings: Any, freshness: str | None
    ) -> None:
        settings.ALLOWLIST = {"FRESHNESS": freshness}
        key, _ = make(creator)
        transaction.set_autocommit(False)
        try:
            APIKey.objects.update(condition="any")
            key.name = "Renamed"
            key.save()
            transaction.commit()
        finally:
            transaction.rollback()
            transaction.set_autocommit(True)
        assert (row(key).name, row(key).condition) == ("Renamed", "any")

    def test_on_a_row_deleted_meanwhile_raises(self, creator: User) -> None:
        key, _ = make(creator)
        APIKey.objects.all().delete()
        key.name = "Renamed"
        with refused("deleted"):
            key.save()
        assert not APIKey.objects.exists()


class TestInTemplates:
    WRITES = [
        name
        for name, member in {**vars(KeyLists), **vars(KeyLife), **vars(APIKey)}.items()
        if isfunction(member) and name[0] != "_" and name not in {"check_fields", "explain", "restorable"}
    ]
    """The key's own methods: each of them writes, but for the one that only checks."""

    def test_nothing_that_writes_is_called(self, creator: User) -> None:
        key, _ = make(creator, allowed_domains=[SHOP], allowed_ips=[SERVER])
        before = [APIKey.objects.values().get(), domains(key), ips(key)]
        assert {"rotate", "revoke", "allow_all_domains", "delete"} < set(self.WRITES)
        named = "".join(
            f"{{{{ key.{name} }}}}{{% with done=key.{name} %}}{{% endwith %}}" for name in self.WRITES
        )
        named += "{{ entry.delete }}{{ entry.save }}{{ keys.delete }}{{ entries.delete }}"
        held = {
            "key": key,
            "entry": key.allowed_domains.get(),
            "keys": APIKey.objects.all(),
            "entries": key.allowed_domains.all(),
        }
        assert Template(named).render(Context(held)) == ""
        assert [APIKey.objects.values().get(), domains(key), ips(key)] == before

    def test_every_method_of_a_key_says_that_it_writes(self) -> None:
        assert [name for name in self.WRITES if not getattr(APIKey, name).alters_data] == []
