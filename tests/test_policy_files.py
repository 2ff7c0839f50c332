"""``manage.py allowlist export`` and ``import``: policies as a file, all of them or none."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db.models import QuerySet
from django.test import override_settings
from django.utils import timezone

from allowlist.models import AllowedDomain, APIKey
from allowlist.signals import key_changed
from tests.command_line import Ran, Shell
from tests.conftest import User
from tests.management import snapshot, texts
from tests.testing import BLOG, SERVER, SHOP, domains, ips, make_key, row, visit

pytestmark = pytest.mark.django_db

ENDED = "https://ended.example"
Policy = dict[str, Any]


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """Return what runs the command."""
    return Shell(monkeypatch, capsys)


@pytest.fixture
def keys(creator: User) -> list[APIKey]:
    """Return a key with entries of all sorts, an open one whose list is disabled, and a secret one."""
    soon = timezone.now() + timedelta(days=1)
    listed = [(" Shop ", SHOP), BLOG, {"domain": ENDED, "expires_at": soon}]
    page, _token = make_key(creator, listed, [SERVER], name=" Widget ", condition="any", expires_at=soon)
    QuerySet(AllowedDomain).filter(domain=ENDED).update(expires_at=timezone.now() - timedelta(days=1))
    open_key, _token = make_key(creator, name="open")
    open_key.add_domains([BLOG])
    secret, _token = make_key(creator, (), [SERVER], name="server", kind="secret", environment="test")
    return [page, open_key, secret]


@pytest.fixture
def load(shell: Shell, tmp_path: Path) -> Callable[..., Ran]:
    """Return what imports policies from a file."""

    def load(policies: Any, *words: str) -> Ran:
        file = tmp_path / "keys.json"
        data = policies if isinstance(policies, bytes) else json.dumps(policies).encode()
        file.write_bytes(data)
        return shell("import", file, *words)

    return load


def stored() -> Any:
    """Return all rows as a policy has them: without when anything was used or written."""
    rows = [each for table in snapshot() for each in table]
    return [{name: value for name, value in each.items() if name != "revision"} for each in rows]


def test_an_export_has_the_policy_and_nothing_that_opens_a_key(shell: Shell, keys: list[APIKey]) -> None:
    page, open_key, secret = keys
    printed = shell.ok("export")
    for key in keys:
        assert not [each for each in (key.token, key.digest) if each and each in printed]
    first, second, third = json.loads(printed)
    assert (first["locator"], first["name"], first["condition"]) == (page.locator, " Widget ", "any")
    assert first["allowed_domains"][0] == {"domain": SHOP, "name": " Shop ", "expires_at": None}
    assert (second["domain_mode"], third["kind"], third["environment"]) == ("all", "secret", "test")
    assert json.loads(shell.ok("export", open_key.locator, secret.pk)) == [second, third]
    page.revoke()
    assert [each["name"] for each in shell.data("export")] == ["open", "server"]
    assert [each["name"] for each in shell.data("export", page.pk)] == [" Widget "]


def test_importing_what_was_exported_changes_nothing(
    shell: Shell, keys: list[APIKey], load: Any, django_capture_on_commit_callbacks: Any
) -> None:
    before, policies = stored(), shell.data("export")
    with django_capture_on_commit_callbacks() as callbacks:
        ran = load(policies)
    assert (ran.status, ran.err, callbacks, stored()) == (0, "", [], before)
    assert "Keys changed: 0, created: 0, unchanged: 3." in ran.out
    assert "allowed_domains: These entries have no effect while domain_mode is “all”." in ran.out


def test_an_import_makes_keys_what_the_file_says_and_prints_the_diff(
    shell: Shell, keys: list[APIKey], load: Any, django_capture_on_commit_callbacks: Any
) -> None:
    first, second, third = shell.data("export")
    first |= {
        "name": "Shop",
        "expires_at": None,
        "allowed_domains": [{"domain": SHOP, "name": "Main"}, ENDED],
    }
    second |= {"domain_mode": "listed"}
    del third["allowed_ips"]
    before = stored()
    trial = load([first, second, third], "--dry-run")
    assert (trial.status, stored()) == (0, before)
    assert "This was a dry run: nothing was written." in trial.out
    heard: list[Any] = []

    def hear(action: str, user: Any, **kwargs: Any) -> None:
        heard.append((action, user))

    key_changed.connect(hear)
    with django_capture_on_commit_callbacks(execute=True):
        ran = load([first, second, third])
    key_changed.disconnect(hear)
    assert ran.status == 0
    assert ran.out == trial.out.replace("This was a dry run: nothing was written.\n", "")
    for line in (
        "  name:  Widget  -> Shop",
        f"  allowed_domains: - {BLOG}",
        f"  allowed_domains: {SHOP}:  Shop  -> Main",
        "  domain_mode: all -> listed",
        f"{keys[2].locator} server: unchanged",
        "Keys changed: 2, created: 0, unchanged: 1.",
    ):
        assert line in ran.out.splitlines()
    assert (domains(keys[0]), row(keys[1]).domain_mode, ips(keys[2])) == ([SHOP, ENDED], "listed", [SERVER])
    assert heard == [("updated", None)] * 2
    assert "unchanged: 3." in load([first, second, third]).out


def test_an_unknown_key_is_refused_or_created_with_a_new_token(
    shell: Shell, keys: list[APIKey], creator: User, load: Any
) -> None:
    policies, tokens = shell.data("export"), [key.token for key in keys]
    keys[0].delete()
    keys[2].delete()
    before = stored()
    ran = load([{**policies[1], "name": "changed"}, policies[0]])
    assert (ran.status, ran.out, stored()) == (1, "", before)
    assert f"There is no key “{keys[0].locator}”. To create it, add --create --creator USER." in ran.err
    words = ("--create", "--creator", creator.get_username())
    trial = load(policies, *words, "--dry-run", "--json").data
    assert [(each["action"], "token" in each) for each in trial["keys"]] == [
        ("created", False),
        ("unchanged", False),
        ("created", False),
    ]
    made = load(policies, *words, "--json").data["keys"]
    assert shell.data("export") == [policies[1], policies[0], policies[2]]
    assert made[0]["token"] not in tokens
    assert (visit(made[0]["token"]).status, visit(tokens[0]).status) == (200, 401)
    assert APIKey.objects.get(locator=keys[0].locator).creator == creator
    again = load(policies, *words)
    assert "unchanged: 3." in again.out
    QuerySet(APIKey).filter(locator=keys[0].locator).delete()
    printed = load(policies, *words).out
    assert "  condition: any\n" in printed
    assert APIKey.objects.get(locator=keys[0].locator).digest
    assert f"  token: pk_live_{keys[0].locator}" in printed


@override_settings(ALLOWLIST={"CONDITIONS": ["any"], "DOMAIN_MODES": ["listed"], "EMPTY_LIST": "deny"})
def test_what_a_file_leaves_out_is_a_new_keys_default(creator: User, load: Any) -> None:
    words = ("--create", "--creator", creator.get_username())
    policy = {"locator": "a" * 12, "name": "Shop"}
    assert load([policy], *words).status == 0
    key = APIKey.objects.get()
    assert (key.condition, key.domain_mode, key.ip_mode) == ("any", "listed", "all")
    assert "unchanged: 1." in load([policy]).out
    assert "name: This field cannot be blank." in load([{"locator": "b" * 12}], *words).err
    policy |= {"locator": "b" * 12, "domain_mode": "all"}
    assert "domain_mode: Choose one of: listed." in load([policy], *words).err


BROKEN: dict[str, tuple[Any, str]] = {
    "no JSON": (b'[\n  {"locator": oops}\n]', "keys.json” isn't valid JSON: see line 2, column 15"),
    "empty": (b"", "isn't valid JSON: see line 1, column 1"),
    "NaN": (b'[{"locator": NaN}]', "NaN isn't a number of JSON"),
    "twice in an object": (b'[{"name": "a", "name": "b"}]', "“name” is in one object twice"),
    "too deep": (b"[" * 100_000, "isn't valid JSON: it nests too deep"),
    "a long number": (b"[" + b"9" * 5000 + b"]", "or a number is too long"),
    "latin-1": ("[{'name': 'ü'}]".encode("latin-1"), "isn't UTF-8 text: see byte 12."),
    "no list": ({"keys": []}, "must be a list of keys, as export prints it."),
    "no objects": ([1], "key 1: Invalid data. Expected a dictionary"),
}
WRONG: dict[str, tuple[Policy, str]] = {
    "misspelled": (
        {"alowed_ips": []},
        "key 1, alowed_ips: Unknown field “alowed_ips”. Did you mean “allowed_ips”?",
    ),
    "in an entry": (
        {"ip_mode": "listed", "allowed_ips": [{"ip": SERVER, "id": 1}]},
        "key 1, allowed_ips, entry 1: “id” is read-only. Leave it out.",
    ),
    "no mode": ({"allowed_ips": [SERVER]}, "key 1, allowed_ips: Give ip_mode too"),
    "no kind of mode": ({"ip_mode": "some"}, 'ip_mode: "some" is not a valid choice.'),
    "another kind": ({"kind": "secret"}, "key 1, kind: This can't be changed."),
    "a wide wildcard": (
        {"domain_mode": "listed", "allowed_domains": [SHOP, "*.com"]},
        "key 1, allowed_domains, entry 2: “*.com” would match other people's websites",
    ),
    "too many": (
        {"ip_mode": "listed", "allowed_ips": [f"198.51.100.{number}" for number in range(26)]},
        "key 1, allowed_ips: A key can list at most 25 IP addresses.",
    ),
    "emptied": ({"ip_mode": "listed", "allowed_ips": []}, "needs at least one IP address"),
    "a date": ({"expires_at": "tomorrow"}, "expires_at: Datetime has wrong format."),
    "a locator": ({"locator": "../../x\x1b"}, "key 1, locator: This isn't the locator of a key."),
    "no locator": ({"locator": ...}, "key 1, locator: This field is required."),
    "a NUL": ({"name": "a\0"}, "key 1, name: Null characters are not allowed."),
    "a surrogate": ({"name": "\ud800"}, "key 1, name: Surrogate characters are not allowed"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_refused_with_its_place(keys: list[APIKey], load: Any, case: str) -> None:
    before, (data, sentence) = stored(), BROKEN[case]
    ran = load(data)
    assert (ran.status, ran.out, stored()) == (1, "", before)
    assert sentence in ran.err


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_policy_is_refused_with_its_place_and_no_other_loaded(
    shell: Shell, keys: list[APIKey], load: Any, case: str
) -> None:
    before, (wrong, sentence) = stored(), WRONG[case]
    _page, right, other = shell.data("export")
    policy = {"locator": keys[0].locator, **wrong}
    policy = {name: value for name, value in policy.items() if value is not ...}
    ran = load([policy, {**right, "name": "renamed"}, other])
    ran_last = load([{**right, "name": "renamed"}, policy])
    for each, place in ((ran, "key 1"), (ran_last, "key 2")):
        assert (each.status, each.out, stored()) == (1, "", before)
        assert sentence.replace("key 1", place) in each.err
        assert all(char.isprintable() for char in each.err.replace("\n", ""))


def test_a_locator_that_is_there_twice_is_refused(shell: Shell, keys: list[APIKey], load: Any) -> None:
    ran = load(shell.data("export") * 2)
    assert ran.status == 1
    assert f"The locator “{keys[0].locator}” is there twice." in ran.err


@pytest.mark.parametrize("words", [["--create"], ["--creator", "USER"]])
def test_create_and_creator_go_together(creator: User, load: Any, words: list[str]) -> None:
    ran = load([], *(creator.get_username() if word == "USER" else word for word in words))
    assert (ran.status, "Give --create and --creator together." in ran.err) == (2, True)


@override_settings(REST_FRAMEWORK={"DATETIME_FORMAT": "%d.%m.%Y", "DATETIME_INPUT_FORMATS": ["%d.%m.%Y"]})
def test_a_file_is_the_same_whatever_the_projects_formats(
    shell: Shell, keys: list[APIKey], load: Any
) -> None:
    before = stored()
    assert load(shell.data("export")).status == 0
    assert stored() == before


def test_stricter_settings_bind_only_what_is_new(shell: Shell, keys: list[APIKey], load: Any) -> None:
    policies = shell.data("export")
    with override_settings(ALLOWLIST={"DOMAIN_FORMS": ["host"], "MAX_DOMAINS": 1}):
        assert "unchanged: 3." in load(policies).out
        policies[0]["allowed_domains"].append("https://new.example")
        assert "isn't in a form that can be listed here" in load(policies).err
    assert texts(keys[0]) == [SHOP, BLOG, ENDED, SERVER]


def test_a_large_file_is_refused_in_one_sentence(load: Any) -> None:
    names = [{"locator": f"{number:012}", "name": "x" * 10_000} for number in range(1000)]
    ran = load(names)
    assert ran.status == 1
    assert ran.err.count("\n") == 20
