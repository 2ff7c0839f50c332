"""What a key lists: every way to write it, and the rules that none of them gets past."""

import json
from collections.abc import Callable
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import transaction
from django.forms import modelform_factory
from django.test import override_settings

from allowlist.models import AllowedDomain, AllowedIP, APIKey
from allowlist.models.edits import Problems
from allowlist.models.list_edits import MOST_ERRORS
from allowlist.models.lists import DOMAINS, IPS, MOST_AT_ONCE, ListKind
from tests.conftest import User
from tests.testing import (
    BLOG,
    ELSEWHERE,
    NOT_LISTED,
    SERVED,
    SERVER,
    SHOP,
    domains,
    ips,
    refused,
    rolled_back,
    row,
    statements,
    visit,
)

pytestmark = pytest.mark.django_db(databases="__all__")

Make = Callable[..., APIKey]


@pytest.fixture
def make(creator: User) -> Make:
    """Return a function that makes a key of the creator's."""

    def make_key(**fields: Any) -> APIKey:
        key, _token = APIKey.objects.create_key(name="Shop", creator=creator, **fields)
        return key

    return make_key


@pytest.fixture
def key(make: Make) -> APIKey:
    """Return a key that lists one domain and one address."""
    return make(allowed_domains=[("Shop", SHOP)], allowed_ips=[("Server", SERVER)])


class Side:
    """One of a key's two lists with its methods, so that a rule is tested on both alike."""

    def __init__(self, which: ListKind, listed: str, new: str, spelt: str, wrong: str) -> None:
        self.which, self.listed, self.new, self.spelt, self.wrong = which, listed, new, spelt, wrong
        self.model: Any = {"allowed_domains": AllowedDomain, "allowed_ips": AllowedIP}[which.field]

    def do(self, key: APIKey, verb: str, *args: Any) -> Any:
        """Call the list's method: restrict, add, remove or allow_all."""
        return getattr(key, f"{verb}_{'domains' if self.which is DOMAINS else 'ips'}")(*args)

    def texts(self, key: APIKey) -> list[str]:
        """Return what the database lists."""
        return domains(key) if self.which is DOMAINS else ips(key)

    def mode(self, key: APIKey) -> str:
        """Return the mode in the database."""
        return str(getattr(row(key), self.which.mode))

    def entry(self, key: APIKey, text: str, **fields: Any) -> Any:
        """Return a new entry that is not saved."""
        return self.model(key=key, **{self.which.column: text}, **fields)

    def one(self, key: APIKey) -> Any:
        """Return the key's first entry as stored."""
        return self.model.objects.filter(key=key).first()

    def many(self, count: int, start: int = 0) -> list[str]:
        """Return as many entries, all different."""
        form = "https://shop{}.example" if self.which is DOMAINS else "192.0.2.{}"
        return [form.format(number) for number in range(start, start + count)]


SIDES = {
    "domains": Side(DOMAINS, SHOP, BLOG, "HTTPS://Blog.Example:443/", "https://blog.example/path"),
    "ips": Side(IPS, SERVER, ELSEWHERE, "::ffff:198.51.100.9", "198.51.100.9/24"),
}


@pytest.fixture(params=SIDES)
def side(request: pytest.FixtureRequest) -> Side:
    """Return each of the two lists."""
    return SIDES[request.param]


class TestRestrict:
    def test_makes_the_list_exactly_the_one_given(self, key: APIKey, side: Side) -> None:
        side.do(key, "restrict", [side.new, ("Named", side.many(1)[0])])
        assert side.texts(key) == [side.new, *side.many(1)]
        assert [each.name for each in side.model.objects.filter(key=key)] == ["", "Named"]
        assert side.mode(key) == getattr(key, side.which.mode) == "listed"

    def test_keeps_the_row_of_what_is_listed_already_and_its_name(self, key: APIKey, side: Side) -> None:
        before = side.one(key)
        side.do(key, "restrict", [side.new, side.listed])
        kept = side.model.objects.get(pk=before.pk)
        assert (kept.name, kept.text, kept.created_at) == (before.name, side.listed, before.created_at)

    def test_gives_what_is_listed_already_the_name_given(self, key: APIKey, side: Side) -> None:
        before = side.one(key)
        for name in ("Renamed", "Renamed", ""):
            side.do(key, "restrict", [(name, side.listed)])
            assert side.one(key).name == name
            assert side.one(key).pk == before.pk

    def test_with_none_turns_on_what_is_listed(self, make: Make, side: Side) -> None:
        key = make()
        side.do(key, "add", [side.new])
        assert side.mode(key) == "all"
        side.do(key, "restrict")
        assert (side.mode(key), side.texts(key)) == ("listed", [side.new])

    @pytest.mark.parametrize("entries", [None, [], ()])
    def test_with_nothing_listed_is_refused_and_says_what_to_do(
        self, make: Make, side: Side, entries: Any
    ) -> None:
        key = make()
        with refused("empty_list") as told:
            side.do(key, "restrict", entries)
        assert told[0].field == side.which.field
        assert told[0].sentence == str(side.which.needs_entry)
        assert side.mode(key) == getattr(key, side.which.mode) == "all"

    @pytest.mark.parametrize("meaning", ["deny", "allow"])
    def test_with_nothing_listed_is_done_where_empty_lists_may_be(
        self, make: Make, side: Side, meaning: str
    ) -> None:
        key = make()
        with override_settings(ALLOWLIST={"EMPTY_LIST": meaning}):
            side.do(key, "restrict", [])
        assert (side.mode(key), side.texts(key)) == ("listed", [])

    def test_with_an_empty_list_does_not_empty_one_that_is_on(self, key: APIKey, side: Side) -> None:
        with refused("empty_list"):
            side.do(key, "restrict", [])
        assert side.texts(key) == [side.listed]

    def test_a_bad_entry_leaves_list_and_mode_as_they_were(self, make: Make, side: Side) -> None:
        key = make()
        with refused(clean_code(side)) as told:
            side.do(key, "restrict", [side.new, side.wrong])
        assert (told[0].field, told[0].place) == (side.which.field, 1)
        assert (side.mode(key), side.texts(key)) == ("all", [])

    def test_is_refused_where_the_list_cannot_be_switched(self, make: Make, side: Side) -> None:
        key = make()
        modes = f"{side.which.mode.split('_')[0].upper()}_MODES"
        with override_settings(ALLOWLIST={modes: ("all",)}):
            for verb, argument in (("restrict", [side.new]), ("add", [side.new])):
                with refused("mode") as told:
                    side.do(key, verb, argument)
                assert told[0].field == side.which.field
        assert (side.mode(key), side.texts(key)) == ("all", [])


def clean_code(side: Side) -> str:
    """Return the code of what is wrong with the side's wrong entry."""
    return "path" if side.which is DOMAINS else "host_bits"


class TestAdd:
    def test_stores_the_canonical_text_and_returns_the_entries(self, key: APIKey, side: Side) -> None:
        added = side.do(key, "add", [("Other", side.spelt)])
        assert side.texts(key) == [side.listed, side.new]
        assert [(each.name, each.text, each.key_id) for each in added.entries] == [
            ("Other", side.new, key.pk)
        ]
        assert added.entries == list(side.model.objects.filter(pk=added.entries[0].pk))
        assert added.duplicates == []

    def test_skips_and_tells_duplicates_of_the_list_and_of_each_other(self, key: APIKey, side: Side) -> None:
        added = side.do(key, "add", [side.spelt, side.new, side.listed])
        assert [each.text for each in added.entries] == [side.new]
        assert added.duplicates == [side.new, side.listed]
        assert side.texts(key) == [side.listed, side.new]

    def test_of_duplicates_alone_adds_nothing_and_keeps_the_name(self, key: APIKey, side: Side) -> None:
        added = side.do(key, "add", [("Renamed", side.listed)])
        assert (added.entries, added.duplicates) == ([], [side.listed])
        assert side.one(key).name in {"Shop", "Server"}

    def test_tells_each_bad_entry_with_its_place_and_adds_none(self, key: APIKey, side: Side) -> None:
        with refused(
            clean_code(side), "empty", "not_text", "max_length", "null_characters_not_allowed"
        ) as told:
            side.do(
                key,
                "add",
                [
                    side.wrong,
                    side.new,
                    " ",
                    7,
                    ("x" * 101, side.many(1)[0]),
                    ("a\0", side.many(1)[0]),
                ],
            )
        assert [each.place for each in told] == [0, 2, 3, 4, 5]
        assert {each.field for each in told} == {side.which.field}
        assert side.texts(key) == [side.listed]

    def test_tells_the_first_of_very_many_bad_entries(self, key: APIKey, side: Side) -> None:
        with refused(*[clean_code(side)] * MOST_ERRORS):
            side.do(key, "add", [side.wrong] * (MOST_ERRORS + 50))

    def test_of_more_than_anybody_types_is_refused_unread(self, key: APIKey, side: Side) -> None:
        for verb in ("add", "restrict", "remove"):
            with refused("too_many") as told:
                side.do(key, verb, [side.wrong] * (MOST_AT_ONCE + 1))
            assert told[0].field == side.which.field
        side.do(key, "add", [side.new] * MOST_AT_ONCE)
        assert side.texts(key) == [side.listed, side.new]

    def test_takes_pairs_as_lists_and_pairs_without_a_name(self, key: APIKey, side: Side) -> None:
        side.do(key, "add", [["Other", side.new], (None, side.many(1)[0])])
        assert [each.name for each in side.model.objects.filter(key=key)][1:] == ["Other", ""]

    def test_of_one_text_instead_of_a_list_is_a_type_error(self, key: APIKey, side: Side) -> None:
        for verb in ("add", "restrict", "remove"):
            with pytest.raises(TypeError, match="takes a list of entries, not one entry"):
                side.do(key, verb, side.new)
        assert side.texts(key) == [side.listed]

    def test_to_a_list_that_is_off_waits_for_it_to_be_turned_on(self, creator: User) -> None:
        key, token = APIKey.objects.create_key(name="Shop", creator=creator)
        key.add_domains([SHOP])
        assert visit(token, BLOG) == SERVED
        key.restrict_domains()
        assert visit(token, BLOG) == NOT_LISTED

    def test_by_a_stale_instance_adds_to_what_is_listed_now(self, key: APIKey, side: Side) -> None:
        stale = row(key)
        list(getattr(stale, side.which.field).all())
        side.do(key, "add", [side.new])
        side.do(stale, "add", side.many(1))
        assert side.texts(key) == [side.listed, side.new, *side.many(1)]

    def test_is_seen_through_what_was_prefetched(self, key: APIKey, side: Side) -> None:
        held = APIKey.objects.prefetch_related(side.which.field).get(pk=key.pk)
        assert len(getattr(held, side.which.field).all()) == 1
        side.do(held, "add", [side.new])
        assert len(getattr(held, side.which.field).all()) == 2

    def test_tells_whether_what_is_listed_is_in_force(self, make: Make, side: Side) -> None:
        key = make()
        assert side.do(key, "add", [side.new]).in_force is False
        assert side.one(key).in_force is False
        side.do(key, "restrict")
        assert side.do(key, "add", [side.new]).in_force is True
        assert side.one(key).in_force is True


class TestRemove:
    def test_takes_entries_off_however_they_are_spelt(self, key: APIKey, side: Side) -> None:
        side.do(key, "add", [side.new, *side.many(1)])
        side.do(key, "remove", [side.spelt, (None, side.many(1)[0]), side.new])
        assert side.texts(key) == [side.listed]

    def test_tells_what_is_not_listed_and_removes_nothing(self, key: APIKey, side: Side) -> None:
        side.do(key, "add", [side.new])
        for text in (side.many(1)[0], "no entry at all \N{SNOWMAN}", "x" * 5000):
            with refused("not_listed") as told:
                side.do(key, "remove", [side.new, text])
            assert (told[0].field, told[0].place) == (side.which.field, 1)
            assert len(told[0].sentence) < 200
        assert side.texts(key) == [side.listed, side.new]

    def test_refuses_the_last_while_the_list_is_on(self, key: APIKey, side: Side) -> None:
        with refused("empty_list"):
            side.do(key, "remove", [side.listed])
        assert side.texts(key) == [side.listed]

    def test_takes_the_last_off_a_list_that_is_off(self, make: Make, side: Side) -> None:
        key = make()
        side.do(key, "add", [side.new])
        side.do(key, "remove", [side.new])
        assert side.texts(key) == []

    @pytest.mark.parametrize("meaning", ["deny", "allow"])
    def test_takes_the_last_off_where_empty_lists_may_be(self, key: APIKey, side: Side, meaning: str) -> None:
        with override_settings(ALLOWLIST={"EMPTY_LIST": meaning}):
            side.do(key, "remove", [side.listed])
        assert (side.mode(key), side.texts(key)) == ("listed", [])

    def test_of_nothing_changes_nothing(self, key: APIKey, side: Side) -> None:
        side.do(key, "remove", [])
        assert side.texts(key) == [side.listed]


class TestAllowAll:
    def test_turns_the_list_off_and_empties_it_and_leaves_the_other(self, key: APIKey, side: Side) -> None:
        other = SIDES["ips" if side.which is DOMAINS else "domains"]
        side.do(key, "allow_all")
        assert (side.mode(key), side.texts(key)) == ("all", [])
        assert (other.mode(key), other.texts(key)) == ("listed", [other.listed])
        assert getattr(key, side.which.mode) == "all"

    def test_empties_a_list_that_is_off_already(self, make: Make, side: Side) -> None:
        key = make()
        side.do(key, "add", [side.new])
        side.do(key, "allow_all")
        assert side.texts(key) == []

    def test_leaves_other_keys_alone(self, key: APIKey, make: Make, side: Side) -> None:
        other = make(**{side.which.field: [side.listed]})
        side.do(key, "allow_all")
        assert (side.mode(other), side.texts(other)) == ("listed", [side.listed])

    def test_is_refused_where_the_list_is_always_on(self, key: APIKey, side: Side) -> None:
        modes = f"{side.which.mode.split('_')[0].upper()}_MODES"
        with override_settings(ALLOWLIST={modes: ("listed",), "EMPTY_LIST": "deny"}):
            with refused("mode"):
                side.do(key, "allow_all")
            side.do(key, "add", [side.new])
        assert (side.mode(key), side.texts(key)) == ("listed", [side.listed, side.new])

    def test_a_mode_stored_that_is_no_choice_any_more_may_stay(self, make: Make, side: Side) -> None:
        key = make()
        modes = f"{side.which.mode.split('_')[0].upper()}_MODES"
        with override_settings(ALLOWLIST={modes: ("listed",), "EMPTY_LIST": "deny"}):
            side.do(key, "allow_all")
            side.do(key, "add", [side.new])
        assert (side.mode(key), side.texts(key)) == ("all", [side.new])


class TestOneChange:
    def test_of_modes_and_lists_is_judged_as_a_whole(self, key: APIKey, side: Side) -> None:
        with key.editing() as edit:
            edit.list(side.which).remove([side.listed])
            edit.list(side.which).add([side.new])
        assert side.texts(key) == [side.new]
        with key.editing() as edit:
            edit.list(side.which).allow_all()
            edit.list(side.which).restrict([side.listed])
        assert (side.mode(key), side.texts(key)) == ("listed", [side.listed])

    def test_may_pass_over_the_limit_on_its_way(self, make: Make, side: Side) -> None:
        key = make(**{side.which.field: side.many(25)})
        with key.editing() as edit:
            edit.list(side.which).add([side.new])
            edit.list(side.which).remove(side.many(1))
        assert len(side.texts(key)) == 25

    def test_may_swap_the_texts_of_two_entries(self, key: APIKey, side: Side) -> None:
        side.do(key, "add", [side.new])
        one, two = side.model.objects.filter(key=key)
        one.text, two.text = two.text, one.text
        with key.editing() as edit:
            edit.list(side.which).rewrite([(one, [side.which.column]), (two, [side.which.column])])
        assert side.texts(key) == [side.new, side.listed]

    def test_that_swaps_and_is_refused_in_between_leaves_both_texts(self, key: APIKey, side: Side) -> None:
        side.do(key, "add", [side.new])
        one, two = side.model.objects.filter(key=key)
        one.text, two.text = two.text, side.wrong
        with key.editing() as edit, refused(clean_code(side)):
            edit.list(side.which).rewrite([(one, [side.which.column]), (two, [side.which.column])])
        assert side.texts(key) == [side.listed, side.new]

    def test_that_switches_off_and_lists_is_refused_whole(self, key: APIKey, side: Side) -> None:
        other = SIDES["ips" if side.which is DOMAINS else "domains"]
        with refused("all_with_entries") as told, key.editing() as edit:
            edit.list(other.which).set(None, [other.new])
            edit.list(side.which).set("all", [side.new])
        assert told[0].field == side.which.field
        assert (side.texts(key), other.texts(key)) == ([side.listed], [other.listed])
        assert side.mode(key) == getattr(key, side.which.mode) == "listed"

    def test_switches_off_with_an_empty_list_given(self, key: APIKey, side: Side) -> None:
        with key.editing() as edit:
            edit.list(side.which).set("all", [])
        assert (side.mode(key), side.texts(key)) == ("all", [])

    def test_leaves_what_is_not_given(self, key: APIKey, side: Side) -> None:
        with key.editing() as edit:
            edit.list(side.which).set(None, None)
            edit.list(side.which).set("listed", None)
        assert (side.mode(key), side.texts(key)) == ("listed", [side.listed])

    def test_of_a_key_deleted_meanwhile_is_refused(self, key: APIKey, side: Side) -> None:
        entry = side.one(key)
        APIKey.objects.all().delete()
        for attempt in (
            lambda: side.do(key, "add", [side.new]),
            lambda: side.entry(key, side.new).save(),
            entry.save,
            entry.delete,
        ):
            with refused("deleted") as told:
                attempt()
            assert "deleted in the meantime" in told[0].sentence
        assert not side.model.objects.exists()


def test_being_busy_is_raised_at_once_and_alone() -> None:
    """The transaction may be lost, and among other errors nobody would see that they can try again."""
    problems = Problems()

    def meet(code: str) -> None:
        with problems.collected():
            raise ValidationError("Met.", code=code)

    meet("wrong")
    with refused("busy"):
        meet("busy")
    with refused("wrong"):
        problems.raise_any()


class TestLimits:
    def test_are_25_and_the_refusal_says_so(self, make: Make, side: Side) -> None:
        key = make(**{side.which.field: side.many(25)})
        attempts: list[Callable[[], Any]] = [
            lambda: side.do(key, "add", [side.new]),
            lambda: side.do(key, "restrict", [*side.many(25), side.new]),
            lambda: side.entry(key, side.new).save(),
            lambda: getattr(key, side.which.field).create(**{side.which.column: side.new}),
            lambda: side.model.objects.bulk_create([side.entry(key, side.new)]),
        ]
        for attempt in attempts:
            with refused("limit") as told:
                attempt()
            assert told[0].sentence == side.which.over_limit % {"limit": 25, "count": 26}
        assert side.texts(key) == side.many(25)

    def test_are_for_each_key_and_list(self, make: Make, side: Side) -> None:
        other = SIDES["ips" if side.which is DOMAINS else "domains"]
        key = make(**{side.which.field: side.many(25), other.which.field: other.many(25)})
        assert (len(side.texts(key)), len(other.texts(key))) == (25, 25)
        side.do(make(), "add", side.many(25))

    def test_duplicates_do_not_count(self, make: Make, side: Side) -> None:
        key = make(**{side.which.field: side.many(25)})
        side.do(key, "add", side.many(25))
        side.do(key, "restrict", side.many(25) * 2)
        assert len(side.texts(key)) == 25

    def test_may_be_lifted(self, make: Make, side: Side) -> None:
        with override_settings(ALLOWLIST={side.which.limit_setting: None}):
            key = make(**{side.which.field: side.many(200)})
        assert side.texts(key) == side.many(200)

    def test_lowered_afterwards_bind_additions_alone(self, make: Make, side: Side) -> None:
        key = make(**{side.which.field: side.many(10)})
        with override_settings(ALLOWLIST={side.which.limit_setting: 5}):
            attempts: list[Callable[[], Any]] = [
                lambda: side.do(key, "add", [side.new]),
                lambda: side.do(key, "restrict", [*side.many(7), side.new]),
                lambda: side.entry(key, side.new).save(),
            ]
            for attempt in attempts:
                with refused("limit"):
                    attempt()
            entry = side.one(key)
            entry.name, entry.text = "Renamed", side.new
            entry.save()
            side.do(key, "restrict")
            side.do(key, "restrict", side.many(8, start=1))
            side.do(key, "remove", side.many(1, start=1))
            key.name = "Renamed"
            key.save()
            assert side.texts(key) == side.many(7, start=2)
            side.do(key, "restrict", [*side.many(4, start=2), side.new])
        assert len(side.texts(key)) == 5


class TestStricterSettings:
    """What they refuse is not written anew, and what is stored works on."""

    @pytest.fixture
    def token(self, key: APIKey) -> str:
        key.add_domains(["*.platform.example", "blog.example"])
        return key.token

    def test_leave_what_is_stored_matching(self, token: str) -> None:
        with override_settings(ALLOWLIST={"DOMAIN_FORMS": ("origin",), "PUBLIC_IPS_ONLY": True}):
            assert visit(token, "https://a.platform.example") == SERVED
            assert visit(token, BLOG) == SERVED

    def test_leave_every_write_that_does_not_spell_it_anew(self, key: APIKey, token: str) -> None:
        with override_settings(ALLOWLIST={"DOMAIN_FORMS": ("origin",), "PUBLIC_IPS_ONLY": True}):
            entry = AllowedDomain.objects.get(domain="*.platform.example")
            entry.name = "Platform"
            entry.save()
            entry.full_clean()
            key.restrict_domains()
            assert key.add_domains(["*.Platform.example", "https://new.example"]).duplicates == [
                "*.platform.example"
            ]
            key.restrict_domains([("Named", "*.platform.example"), SHOP])
            key.restrict_ips([SERVER])
            with refused("domain_form"):
                key.add_domains(["*.other.example"])
            with refused("not_public"):
                key.add_ips(["203.0.113.9"])
            key.remove_domains(["*.PLATFORM.example"])
            with refused("domain_form"):
                key.add_domains(["*.platform.example"])
        assert domains(key) == [SHOP]

    def test_an_unreadable_entry_matches_nothing_and_can_be_removed(
        self, key: APIKey, token: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        for text in ("", "https://no/origin", "*"):
            raw(AllowedDomain(key=key, domain=text))
        key.add_ips(["203.0.113.9"])
        assert visit(token, "https://no") == NOT_LISTED
        assert visit(token) == SERVED
        for text in ("''", "'https://no/origin'", "'*'"):
            assert f"Key {key.pk} lists {text}, which cannot be read and matches nothing." in caplog.text
        key.remove_domains(["https://no/origin", "*"])
        assert "*" not in domains(key)

    def test_a_list_of_unreadable_entries_alone_is_not_an_empty_one(self, make: Make) -> None:
        with override_settings(ALLOWLIST={"EMPTY_LIST": "allow"}):
            key = make(domain_mode="listed")
            assert visit(key.token) == SERVED
            raw(AllowedDomain(key=key, domain=""))
            with key.editing():
                pass
            assert visit(key.token) == NOT_LISTED


def raw(entry: Any) -> None:
    """Insert a row as raw SQL does, past every guard."""
    entry.save_base(raw=True, force_insert=True)


class TestEntrySave:
    def test_makes_the_text_canonical(self, key: APIKey, side: Side) -> None:
        entry = side.entry(key, side.spelt, name="Other")
        entry.save()
        assert (entry.text, side.texts(key)) == (side.new, [side.listed, side.new])
        assert str(entry) == f"Other: {side.new}"

    def test_refuses_a_bad_text_a_bad_name_and_a_duplicate_under_their_fields(
        self, key: APIKey, side: Side
    ) -> None:
        column = side.which.column
        wrong: list[tuple[Any, str, str]] = [
            (side.entry(key, side.wrong), clean_code(side), column),
            (side.entry(key, side.listed), "duplicate", column),
            (side.entry(key, side.new, name="x" * 101), "max_length", "name"),
            (side.entry(key, side.new, name="a\0"), "null_characters_not_allowed", "name"),
        ]
        for entry, code, field in wrong:
            with refused(code) as told:
                entry.save()
            assert told[0].field == field
        assert side.texts(key) == [side.listed]

    def test_changes_name_and_text(self, key: APIKey, side: Side) -> None:
        entry = side.one(key)
        entry.name, entry.text = "Renamed", side.spelt
        entry.save()
        assert (side.one(key).name, side.one(key).text, side.one(key).pk) == ("Renamed", side.new, entry.pk)
        entry.text = side.spelt
        entry.save()
        assert side.texts(key) == [side.new]

    def test_refuses_a_change_to_a_bad_text_and_to_a_duplicate(self, key: APIKey, side: Side) -> None:
        side.do(key, "add", [side.new])
        entry = side.one(key)
        for text, code in ((side.wrong, clean_code(side)), (side.spelt, "duplicate")):
            entry.text = text
            with refused(code):
                entry.save()
        assert side.texts(key) == [side.listed, side.new]

    def test_with_update_fields_writes_those_alone_and_the_rest_later(self, key: APIKey, side: Side) -> None:
        entry = side.one(key)
        entry.name, entry.text = "Renamed", side.new
        entry.save(update_fields=["name"])
        assert (side.one(key).name, side.texts(key)) == ("Renamed", [side.listed])
        entry.save()
        assert side.texts(key) == [side.new]

    def test_of_a_stale_instance_carries_nothing_back(self, key: APIKey, side: Side) -> None:
        stale, only = side.one(key), side.model.objects.only("name").get(key=key)
        fresh = side.one(key)
        fresh.text = side.new
        fresh.save()
        for number, entry in enumerate((stale, only)):
            entry.name = f"Renamed {number}"
            entry.save()
            assert (side.one(key).name, side.texts(key)) == (f"Renamed {number}", [side.new])

    def test_after_a_rollback_writes_again_what_was_lost(self, key: APIKey, side: Side) -> None:
        entry = side.one(key)
        entry.text = side.new
        with rolled_back():
            entry.save()
        assert side.texts(key) == [side.listed]
        entry.save()
        assert side.texts(key) == [side.new]

    def test_takes_back_what_it_wrote_in_the_same_transaction(self, key: APIKey, side: Side) -> None:
        entry = side.one(key)
        with transaction.atomic():
            for text in (side.new, side.listed):
                entry.text = text
                entry.save()
                assert side.texts(key) == [text]

    def test_of_an_entry_removed_meanwhile_is_refused(self, key: APIKey, side: Side) -> None:
        entry = side.one(key)
        side.do(key, "restrict", [side.new])
        entry.name = "Renamed"
        with refused("deleted"):
            entry.save()
        assert side.texts(key) == [side.new]

    def test_of_a_key_that_is_not_saved_is_refused(self, side: Side) -> None:
        entry = side.entry(APIKey(name="Shop"), side.new)
        with refused("deleted"):
            entry.save()

    def test_of_an_unknown_field_or_argument_raises(self, key: APIKey, side: Side) -> None:
        with pytest.raises(ValueError, match="has no field nonsense"):
            side.one(key).save(update_fields=["nonsense"])
        with pytest.raises(TypeError, match="bogus"):
            side.one(key).save(bogus=1)

    def test_a_form_of_the_projects_own_hears_of_each_refusal(self, make: Make, side: Side) -> None:
        """Before it saves, so that a refusal is a message on the form and not a 500."""
        form_class = modelform_factory(side.model, fields=["key", "name", side.which.column])
        full, listing = make(**{side.which.field: side.many(25)}), make(**{side.which.field: [side.listed]})
        secret = make(kind="secret")
        tries = [
            (full, side.new, "at most 25"),
            (listing, side.wrong, None),
            (listing, side.listed, "already"),
        ]
        tries += [(secret, side.new, "Secret keys")] if side.which is DOMAINS else []
        for key, text, said in tries:
            form = form_class({"key": key.pk, side.which.column: text})
            assert not form.is_valid()
            assert said is None or said in str(form.errors)
        form = form_class({"key": listing.pk, side.which.column: side.spelt})
        assert form.is_valid()
        assert form.save().text == side.new

    def test_moves_to_no_other_key(self, key: APIKey, make: Make, side: Side) -> None:
        other, entry = make(), side.one(key)
        moves: list[Callable[[], Any]] = []
        for attribute, value in (("key", other), ("key_id", other.pk)):
            moved, deferred = side.one(key), side.model.objects.only("name").get(pk=entry.pk)
            setattr(moved, attribute, value)
            setattr(deferred, attribute, value)
            moves += [moved.save, deferred.save, partial(moved.save, update_fields=["key"])]
        for attempt in moves:
            with pytest.raises(ValueError, match="never moves"):
                attempt()
        assert (side.texts(key), side.texts(other)) == ([side.listed], [])

    def test_moves_to_no_other_key_by_its_primary_key(self, key: APIKey, make: Make, side: Side) -> None:
        other, entry = make(**{side.which.field: side.many(1)}), side.one(key)
        for to, options in ((other, {}), (key, {}), (key, {"force_update": True})):
            with pytest.raises(ValueError, match=r"Leave the id out\."):
                side.entry(to, side.new, pk=entry.pk).save(**options)
        mine = side.one(other)
        mine.pk, mine.name = entry.pk, "Renamed"
        with refused("deleted"):
            mine.save(update_fields=["name"])
        pretended = side.entry(other, side.new, pk=entry.pk)
        pretended._state.adding = False
        with pytest.raises(ValueError, match="never moves"):
            pretended.save()
        assert (side.texts(key), side.texts(other)) == ([side.listed], side.many(1))
        assert side.one(key).name in {"Shop", "Server"}

    def test_a_copy_is_a_new_entry_and_guarded_as_one(self, key: APIKey, make: Make, side: Side) -> None:
        other = make()
        copy = side.one(key)
        copy.pk, copy._state.adding = None, True
        with refused("duplicate"):
            copy.save()
        copy.key = other
        copy.save()
        assert (side.texts(key), side.texts(other)) == ([side.listed], [side.listed])

    @pytest.mark.parametrize("entry", ["faß.example", "xn--fa-hia.example"])
    def test_international_names_are_stored_as_sent_and_shown_as_written(
        self, key: APIKey, entry: str
    ) -> None:
        key.restrict_domains([entry])
        assert domains(key) == ["xn--fa-hia.example"]
        assert str(row(key).allowed_domains.get()) == "faß.example"


class TestEntryDelete:
    def test_removes_it(self, key: APIKey, side: Side) -> None:
        side.do(key, "add", [side.new])
        deleted = side.one(key).delete()
        assert deleted == (1, {side.model._meta.label: 1})
        assert side.texts(key) == [side.new]

    def test_of_the_last_is_refused_while_the_list_is_on(self, key: APIKey, side: Side) -> None:
        for attempt in (
            side.one(key).delete,
            side.model.objects.all().delete,
            getattr(key, side.which.field).all().delete,
        ):
            with refused("empty_list"):
                attempt()
        assert side.texts(key) == [side.listed]

    def test_of_one_removed_meanwhile_is_nothing(self, key: APIKey, side: Side) -> None:
        entry = side.one(key)
        side.do(key, "restrict", [side.new])
        assert entry.delete()[0] == 0


class TestQuerysets:
    def test_delete_is_all_or_nothing_over_several_keys(self, key: APIKey, make: Make, side: Side) -> None:
        other = make(**{side.which.field: [side.listed, side.new]})
        with refused("empty_list"):
            side.model.objects.filter(**{side.which.column: side.listed}).delete()
        assert (side.texts(key), side.texts(other)) == ([side.listed], [side.listed, side.new])
        side.do(key, "add", [side.new])
        entries = side.model.objects.filter(key__name="Shop", **{side.which.column: side.listed})
        assert entries.delete() == (2, {side.model._meta.label: 2})
        assert (side.texts(key), side.texts(other)) == ([side.new], [side.new])

    def test_delete_of_nothing_is_nothing(self, key: APIKey, side: Side) -> None:
        assert side.model.objects.none().delete()[0] == 0
        assert side.model.objects.filter(name="Nobody").delete()[0] == 0

    def test_delete_is_not_on_the_manager(self, side: Side) -> None:
        assert not hasattr(side.model.objects, "delete")

    def test_a_deleted_key_takes_its_entries_along(self, key: APIKey, make: Make, side: Side) -> None:
        other = make(**{side.which.field: [side.listed]})
        key.delete()
        APIKey.objects.filter(pk=other.pk).delete()
        assert not side.model.objects.exists()

    def test_update_renames_and_refuses_all_else(self, key: APIKey, make: Make, side: Side) -> None:
        other = make()
        assert side.model.objects.filter(key=key).update(name="Renamed") == 1
        assert side.one(key).name == "Renamed"
        entry = side.one(key)
        for values in ({side.which.column: side.new}, {"key": other}, {"key_id": other.pk}, {"pk": 7}):
            with pytest.raises(ValueError, match=r"restrict_domains\(\)"):
                side.model.objects.update(name="Again", **values)
        entry.text = side.new
        with pytest.raises(ValueError, match="only the names"), transaction.atomic():
            side.model.objects.bulk_update([entry], [side.which.column])
        entry.name = "Bulk"
        side.model.objects.bulk_update([entry], ["name"])
        assert (side.texts(key), side.one(key).name, side.texts(other)) == ([side.listed], "Bulk", [])

    def test_bulk_create_guards_each_entry_all_or_nothing(self, key: APIKey, make: Make, side: Side) -> None:
        other = make()
        for bad, code in ((side.wrong, clean_code(side)), (side.listed, "duplicate")):
            with refused(code):
                side.model.objects.bulk_create([side.entry(other, side.new), side.entry(key, bad)])
        assert (side.texts(key), side.texts(other)) == ([side.listed], [])
        made = side.model.objects.bulk_create(
            side.entry(each, text) for each, text in ((other, side.spelt), (key, side.new))
        )
        assert [(each.key_id, each.text) for each in made] == [(other.pk, side.new), (key.pk, side.new)]
        assert (side.texts(key), side.texts(other)) == ([side.listed, side.new], [side.new])

    @pytest.mark.parametrize("option", ["ignore_conflicts", "update_conflicts"])
    def test_bulk_create_refuses_options_that_would_bypass_the_guard(
        self, key: APIKey, side: Side, option: str
    ) -> None:
        with pytest.raises(TypeError, match=r"add_domains\(\) or add_ips\(\)"):
            side.model.objects.bulk_create([side.entry(key, side.new)], **{option: True})
        assert side.texts(key) == [side.listed]

    def test_bulk_create_takes_few_statements_and_a_batch_size(self, make: Make, side: Side) -> None:
        with override_settings(ALLOWLIST={side.which.limit_setting: 50}):
            key = make()
            with statements() as sent:
                side.model.objects.bulk_create([side.entry(key, text) for text in side.many(50)])
            assert len(sent) <= 8
            assert side.texts(key) == side.many(50)
            other = make()
            side.model.objects.bulk_create([side.entry(other, text) for text in side.many(5)], batch_size=2)
        assert side.texts(other) == side.many(5)

    def test_delete_takes_few_statements_for_many_keys(self, make: Make, side: Side) -> None:
        keys = [make() for _ in range(30)]
        for key in keys:
            side.do(key, "add", side.many(2))
        with statements() as sent:
            side.model.objects.filter(key__in=keys, **{side.which.column: side.many(1)[0]}).delete()
        assert len(sent) <= 8
        assert [side.texts(key) for key in keys] == [side.many(1, start=1)] * 30

    def test_get_or_create_and_update_or_create_pass_the_guard(self, key: APIKey, side: Side) -> None:
        rows, column = getattr(key, side.which.field), side.which.column
        assert rows.get_or_create(**{column: side.listed})[1] is False
        assert rows.get_or_create(**{column: side.new})[1] is True
        assert rows.update_or_create(**{column: side.new}, defaults={"name": "Renamed"})[1] is False
        assert [each.name for each in side.model.objects.filter(key=key)][1] == "Renamed"
        attempts: list[Callable[[], Any]] = [
            lambda: rows.get_or_create(**{column: side.wrong}),
            lambda: rows.update_or_create(**{column: side.new}, defaults={column: side.wrong}),
        ]
        for attempt in attempts:
            with refused(clean_code(side)):
                attempt()
        with refused("duplicate"):
            rows.get_or_create(**{column: side.spelt})
        assert side.texts(key) == [side.listed, side.new]

    def test_related_managers_move_no_entry(self, key: APIKey, make: Make, side: Side) -> None:
        other = make(**{side.which.field: [side.new]})
        rows = getattr(other, side.which.field)
        for move in (rows.add, lambda entry: rows.set([entry])):
            with pytest.raises(ValueError, match="only the names"), transaction.atomic():
                move(side.one(key))
        with pytest.raises(ValueError, match="never moves"), transaction.atomic():
            rows.add(side.one(key), bulk=False)
        assert (side.texts(key), side.texts(other)) == ([side.listed], [side.new])

    def test_related_managers_add_new_entries_under_the_guard(self, key: APIKey, side: Side) -> None:
        rows = getattr(key, side.which.field)
        rows.add(side.model(**{side.which.column: side.spelt}), bulk=False)
        with refused(clean_code(side)), transaction.atomic():
            rows.add(side.model(**{side.which.column: side.wrong}), bulk=False)
        assert side.texts(key) == [side.listed, side.new]
        assert not hasattr(rows, "clear")


def everything() -> list[dict[str, Any]]:
    """Return all rows, but for instants, of which JSON keeps the milliseconds alone."""
    return [
        {name: value for name, value in values.items() if not name.endswith("_at")}
        for model in (APIKey, AllowedDomain, AllowedIP)
        for values in model.objects.values()
    ]


class TestFixtures:
    def test_dumpdata_and_loaddata_bring_back_the_same_keys(
        self, key: APIKey, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        key.add_domains(["*.platform.example"])
        before = everything()
        out, path = StringIO(), tmp_path / "keys.json"
        call_command("dumpdata", "allowlist", stdout=out)
        path.write_text(out.getvalue())
        assert {each["model"] for each in json.loads(out.getvalue())} == {
            "allowlist.apikey",
            "allowlist.alloweddomain",
            "allowlist.allowedip",
        }
        assert visit(key.token) == SERVED
        APIKey.objects.all().delete()
        # A key's limit and form are of the day it was written: loaddata asks no guard.
        with override_settings(ALLOWLIST={"DOMAIN_FORMS": ("origin",), "MAX_DOMAINS": 1}):
            call_command("loaddata", str(path), verbosity=0)
        assert everything() == before
        assert visit(key.token, "https://a.platform.example") == SERVED
        assert visit(key.token, BLOG) == NOT_LISTED
