"""``manage.py allowlist``: what each subcommand does, prints and refuses."""

import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.test import override_settings
from django.utils import timezone

from allowlist.management import reading, tables
from allowlist.models import APIKey, BlockedSource
from allowlist.signals import key_changed
from tests.command_line import Shell
from tests.conftest import MakeUser, User
from tests.management import Api, snapshot, texts
from tests.testapp.models import Invoice
from tests.testing import (
    BLOG,
    ELSEWHERE,
    EVIL,
    SERVER,
    SHOP,
    UNKNOWN,
    ToOther,
    domains,
    ips,
    make_key,
    row,
    visit,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """Return what runs the command."""
    return Shell(monkeypatch, capsys)


@pytest.fixture
def key(creator: User) -> APIKey:
    """Return a key that lists a page and a server."""
    return make_key(creator, [SHOP], [SERVER])[0]


def user_name(user: User) -> str:
    return str(user.get_username())


# What each subcommand does

BOTH = ([SHOP], [SERVER])
CHANGES: dict[str, tuple[dict[str, Any], tuple[list[str], list[str]]]] = {
    "set KEY --name Blog": ({"name": "Blog"}, BOTH),
    "set KEY --condition any --enforcement report": ({"condition": "any", "enforcement": "report"}, BOTH),
    f"add KEY --domain {BLOG} --domain {SHOP}": ({}, ([SHOP, BLOG], [SERVER])),
    f"add KEY --ip {ELSEWHERE}": ({}, ([SHOP], [SERVER, ELSEWHERE])),
    f"restrict KEY domains --domain {BLOG}": ({}, ([BLOG], [SERVER])),
    f"restrict KEY ips --ip {ELSEWHERE}": ({}, ([SHOP], [ELSEWHERE])),
    "allow-all KEY domains": ({"domain_mode": "all"}, ([], [SERVER])),
    "allow-all KEY ips": ({"ip_mode": "all"}, ([SHOP], [])),
    "revoke KEY": ({"status": "revoked"}, BOTH),
    "take-over KEY --creator USER": ({"creator": "stranger"}, BOTH),
    "rotate KEY": ({}, BOTH),
}


@pytest.mark.parametrize("line", CHANGES)
def test_a_change_is_made_shown_and_announced_once_without_a_user(
    shell: Shell, key: APIKey, stranger: User, line: str, django_capture_on_commit_callbacks: Any
) -> None:
    heard: list[Any] = []

    def hear(user: Any, **kwargs: Any) -> None:
        heard.append(user)

    words = {"KEY": str(key.pk), "USER": user_name(stranger)}
    key_changed.connect(hear)
    with django_capture_on_commit_callbacks(execute=True):
        shown = shell.data(*(words.get(word, word) for word in line.split()))
    key_changed.disconnect(hear)
    fields, lists = CHANGES[line]
    stored = row(key)
    for name, value in fields.items():
        assert getattr(stored, name) == (stranger if name == "creator" else value)
    assert (domains(key), ips(key)) == lists
    assert [entry["domain"] for entry in shown["allowed_domains"]] == lists[0]
    assert heard == [None]


def test_a_key_is_created_with_its_lists_and_its_token_is_printed(shell: Shell, creator: User) -> None:
    words = ("create", "Shop", "--creator", user_name(creator), "--domain", SHOP, "--ip", SERVER)
    shown = shell.data(*words, "--condition", "any", "--expires", "7d")
    key = APIKey.objects.get()
    assert (key.creator, key.condition, key.kind, key.environment) == (creator, "any", "publishable", "live")
    assert timedelta(days=6) < (key.expires_at or timezone.now()) - timezone.now() <= timedelta(days=7)
    assert (key.domain_mode, key.ip_mode, texts(key)) == ("listed", "listed", [SHOP, SERVER])
    assert visit(shown["token"]).status == 200


def test_a_secret_token_is_printed_once(shell: Shell, creator: User) -> None:
    words = ("create", "Server", "--creator", user_name(creator), "--ip", SERVER, "--secret", "--test")
    token = shell.data(*words)["token"]
    assert token.startswith("sk_test_")
    assert "It isn't shown again." in shell.ok("create", *words[1:])
    assert "token" not in shell.data("show", token)
    assert token not in shell.ok("show", token)
    rotated = shell.ok("rotate", token)
    assert APIKey.objects.get(locator=token[8:20]).hint[:-1] in rotated.rpartition("Token")[2]


def test_the_old_token_works_for_the_overlap(shell: Shell, key: APIKey) -> None:
    new = shell.data("rotate", key.pk, "--overlap", "1h")["token"]
    assert [visit(token, SHOP).status for token in (key.token, new)] == [200, 200]
    assert shell.data("show", key.token)["id"] == key.pk
    shell.ok("rotate", key.pk)
    assert shell("show", key.token).err.startswith("CommandError: No key has this token.")


def test_keys_read_as_the_api_reads_them(shell: Shell, key: APIKey, creator: User, stranger: User) -> None:
    make_key(stranger, name="other", kind="secret")
    assert shell.data("list", "--creator", user_name(creator)) == [Api(creator).ok("GET", f"keys/{key.pk}/")]
    assert [each["name"] for each in shell.data("list")] == ["widget", "other"]
    assert shell.data("show", key.pk) == Api(creator).ok("GET", f"keys/{key.pk}/")


def test_entries_last_as_long_as_asked_and_expired_ones_are_removed(
    shell: Shell, key: APIKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.ok("add", key.pk, "--domain", BLOG, "--for", "24h")
    assert "until" in shell.ok("show", key.pk)
    later = timezone.now() + timedelta(hours=25)
    monkeypatch.setattr("django.utils.timezone.now", lambda: later)
    shell.ok("remove", key.pk, "--expired")
    assert domains(key) == [SHOP]


def test_entries_are_read_from_files_and_from_standard_input(
    shell: Shell, key: APIKey, tmp_path: Path
) -> None:
    file = tmp_path / "domains.txt"
    file.write_text(f"\ufeff{BLOG}\n\n{SHOP}, https://third.example\n", encoding="utf-8")
    shell.ok("add", key.pk, "--domain-file", file, "--ip-file", "-", stdin=f"{ELSEWHERE}\n")
    assert domains(key) == [SHOP, BLOG, "https://third.example"]
    assert ips(key) == [SERVER, ELSEWHERE]
    file.write_text("")
    assert shell("restrict", key.pk, "domains", "--domain-file", file).status == 1
    shell.ok("remove", key.pk, "--domain-file", "-", stdin=f"{SHOP}\n{BLOG}\n")
    assert domains(key) == ["https://third.example"]


def test_a_list_that_was_emptied_is_restored(shell: Shell, key: APIKey) -> None:
    shell.ok("allow-all", key.pk, "domains")
    assert "Works from 1 IP address; blocks everything else." in shell.ok("show", key.pk)
    assert "Works from anywhere." in shell.ok("allow-all", key.pk, "ips")
    shell.ok("restore", key.pk, "domains")
    shell.ok("restore", key.pk, "ips")
    assert texts(key) == [SHOP, SERVER]


def test_what_is_listed_already_or_has_no_effect_is_said(shell: Shell, creator: User) -> None:
    key, _token = make_key(creator)
    shell.ok("add", key.pk, "--domain", SHOP)
    printed = shell.ok("add", key.pk, "--domain", SHOP)
    assert f"Listed already: {SHOP}" in printed
    assert f"manage.py allowlist restrict {key.pk} domains" in printed


# Which key


def test_a_key_is_named_by_id_locator_or_token(shell: Shell, key: APIKey) -> None:
    names = (key.pk, key.locator, key.hint, key.token)
    assert [shell.data("show", name)["id"] for name in names] == [key.pk] * 4
    assert shell.data("show", "-", stdin=f" {key.token}\n")["id"] == key.pk
    assert shell("show", "-", stdin="").status == 1


def test_a_token_comes_from_whatever_stands_for_standard_input(
    key: APIKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(key.token))
    call_command("allowlist", "revoke", "-")
    assert row(key).revoked_at is not None
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(CommandError, match="“-” can't be read"):
        call_command("allowlist", "show", "-")


@pytest.mark.parametrize("name", ["0", "9" * 18, "9" * 50, "x", "a" * 12, "", "٣", "TOKEN", "a\nb", UNKNOWN])
def test_a_name_without_a_key_is_refused_and_no_token_repeated(shell: Shell, key: APIKey, name: str) -> None:
    name = key.token[:-1] + "~" if name == "TOKEN" else name
    ran = shell("revoke", name)
    assert (ran.status, ran.out, ran.err.count("\n")) == (1, "", 1)
    assert key.token[20:-2] not in ran.err
    assert UNKNOWN not in ran.err
    assert row(key).revoked_at is None


# What a request would get, and what was refused


def test_explain_prints_why_and_ends_with_the_verdict(shell: Shell, key: APIKey, creator: User) -> None:
    headers = {"origin": "https://www.shop.example.com", "ip": SERVER}
    words = ("explain", key.pk, "--origin", headers["origin"], "--ip", SERVER)
    ran = shell(*words, "--json")
    assert (ran.status, ran.data) == (1, Api(creator).ok("POST", f"keys/{key.pk}/check/", headers))
    assert ran.err.startswith("CommandError: Blocked: origin_not_listed. Add this origin")
    text = " ".join(shell(*words).out.split())
    assert f"“{SHOP}” is, but it doesn't cover its subdomains. Add “{headers['origin']}”?" in text
    assert "allowed" in shell.ok("explain", key.pk, "--origin", SHOP, "--ip", SERVER)
    assert "not checked" in shell("explain", make_key(creator, (), [SERVER])[0].pk).out


EXPLAINED: dict[str, tuple[Callable[[APIKey], Any], list[str], str]] = {
    "revoked": (
        lambda key: key.revoke(),
        [],
        "Blocked: key_invalid. Revoked: every request with this key is blocked.",
    ),
    "monitored": (lambda key: key.allow_all_ips(), [], "origin_missing"),
    "empty origin": (lambda key: None, ["--origin", "", "--ip", SERVER], "origin_malformed"),
    "no address": (lambda key: None, ["--ip", "nowhere"], "“nowhere” isn't an IP address."),
}


@pytest.mark.parametrize("case", EXPLAINED)
def test_explain_refuses(shell: Shell, key: APIKey, case: str) -> None:
    prepare, words, sentence = EXPLAINED[case]
    prepare(key)
    ran = shell("explain", key.pk, *words)
    assert ran.status == 1
    assert sentence in ran.err


def test_a_key_that_only_monitors_is_blocked_but_served(shell: Shell, key: APIKey) -> None:
    shell.ok("set", key.pk, "--enforcement", "report")
    ran = shell("explain", key.pk, "--origin", EVIL)
    assert ran.status == 1
    assert "blocked, but served" in ran.out


def test_blocked_prints_what_a_key_refused(shell: Shell, key: APIKey, creator: User) -> None:
    visit(key.token, EVIL)
    visit(key.token, EVIL)
    shown = shell.ok("blocked", key.pk)
    assert shown.splitlines()[1].split()[0::3] == ["2", "origin_not_listed"]
    assert EVIL in shown
    assert shell.data("blocked", key.pk) == Api(creator).ok("GET", f"keys/{key.pk}/blocked/")


def test_prune_deletes_old_rows_and_keys_that_nothing_needs(shell: Shell, creator: User) -> None:
    keys = [make_key(creator, name=name)[0] for name in ("old", "used", "working")]
    Invoice.objects.create(key=keys[1])
    for key in keys[:2]:
        key.revoke()
    old = timezone.now() - timedelta(days=31)
    for at in (old, timezone.now()):
        BlockedSource.objects.create(key=keys[2], reason="origin_not_listed", origin=at, last_seen_at=at)
    assert shell.data("prune") == {"blocked": 1, "keys": 0, "in_use": []}
    assert shell.data("prune", "--revoked-before", "2020-01-01")["keys"] == 0
    day_after = f"{timezone.localtime() + timedelta(days=1):%Y-%m-%d}"
    assert shell.data("prune", "--revoked-before", day_after) == {
        "blocked": 0,
        "keys": 1,
        "in_use": [str(keys[1])],
    }
    assert [key.name for key in APIKey.objects.all()] == ["used", "working"]
    assert BlockedSource.objects.count() == 1
    assert "used" in shell.ok("prune", "--revoked-before", day_after)


# What is refused

WRONG_USAGE = [
    "",
    "frobnicate",
    "show",
    "show 1 2",
    "list --bogus",
    "create",
    "create Shop",
    "create Shop --creator a --dom x",
    "set KEY",
    "set KEY --condition most",
    "set KEY --expires soon",
    "set KEY --expires 2027-02-30",
    "set KEY --expires 9999999w",
    "add KEY",
    "add KEY --domain a.example --for soon",
    "add KEY --domain a.example --for 999999w",
    "restrict KEY",
    "restrict KEY pages",
    "restrict KEY domains --ip 203.0.113.7",
    "rotate KEY --overlap -1h",
    "take-over KEY",
    "show KEY --database nowhere",
    "add - --domain-file -",
    "prune --revoked-before 7",
]
REFUSED = {
    "create Shop --creator nobody": "There is no user whose",
    "create Shop --creator USER --domain https://*": "entry 1: “https://*” would match every website.",
    "create Shop --creator USER --secret --domain a.example": "Secret keys are for servers",
    f"create {'x' * 101} --creator USER": "name: Ensure this value has at most 100 characters",
    "create S\udcff --creator USER": "isn't valid UTF-8",
    "set KEY --name ": "name: This field cannot be blank.",
    "set KEY --expires 9999-12-31": "expires_at: This date is too far away.",
    f"add KEY --domain {BLOG} --ip {SHOP}": "is a domain, not an IP address.",
    "add KEY --domain-file /nowhere": "“/nowhere” can't be read: No such file or directory.",
    "add KEY --domain-file /proc/self/mem": "can't be read",
    "add KEY --domain-file /dev/zero": "“/dev/zero” is larger than 50 MB.",
    "create Shop --creator a\udcff": "There is no user whose",
    "add KEY --domain-file TMP": "isn't UTF-8 text: see byte 2.",
    "remove KEY --domain b.example": "“b.example” isn't in the list.",
    f"remove KEY --domain {SHOP}": "needs at least one domain.",
    "restore KEY domains": "There is nothing to restore.",
    "rotate KEY --overlap 366d": "The overlap must be between 0 and 365 days.",
    "take-over KEY --creator nobody": "There is no user whose",
}


@pytest.mark.parametrize("line", WRONG_USAGE)
def test_wrong_usage_ends_with_2_and_writes_nothing(shell: Shell, key: APIKey, line: str) -> None:
    before = snapshot()
    words = [str(key.pk) if word == "KEY" else word for word in line.split()]
    ran = shell(*words)
    assert (ran.status, ran.out, snapshot()) == (2, "", before)
    assert ran.err
    with pytest.raises(CommandError) as caught:
        call_command("allowlist", *words)
    assert caught.value.returncode == 2


@pytest.mark.parametrize("line", REFUSED)
def test_what_is_not_valid_ends_with_1_and_writes_nothing(
    shell: Shell, key: APIKey, creator: User, tmp_path: Path, line: str
) -> None:
    (tmp_path / "latin").write_bytes("bü".encode("latin-1"))
    words = {"KEY": str(key.pk), "USER": user_name(creator), "TMP": str(tmp_path / "latin")}
    before = snapshot()
    ran = shell(*(words.get(word, word) for word in line.split(" ")))
    assert (ran.status, ran.out, snapshot()) == (1, "", before)
    assert REFUSED[line] in ran.err


def test_a_database_that_fails_ends_with_a_sentence(shell: Shell, key: APIKey) -> None:
    def fail(*args: Any) -> None:
        raise OperationalError("no such table: \x1b[31mkeys.")

    with connection.execute_wrapper(fail):
        ran = shell("list")
    assert (ran.status, ran.out) == (1, "")
    assert (
        ran.err == "CommandError: The database reports: no such table: \\x1b[31mkeys. Nothing was changed.\n"
    )


@override_settings(ALLOWLIST={"MAX_DOMAIN": 1})
def test_a_wrong_setting_ends_with_a_sentence(shell: Shell, key: APIKey) -> None:
    ran = shell("show", key.pk)
    assert ran.status == 1
    assert "Did you mean 'MAX_DOMAINS'?" in ran.err


# What is printed


def test_nothing_printed_steers_a_terminal(shell: Shell, creator: User) -> None:
    evil = "\x1b[31m\x9b\x7f\u202e\r\nred"
    key, _token = make_key(creator, [(evil, SHOP)], name=evil)
    visit(key.token, EVIL)
    BlockedSource.objects.update(origin=f"https://a{evil}")
    for words in (["list"], ["show", key.pk], ["blocked", key.pk], ["explain", key.pk, "--origin", evil]):
        for json in ([], ["--json"]):
            ran = shell(*words, *json)
            assert not [char for char in ran.out + ran.err if not char.isprintable() and char != "\n"]
    assert shell.data("show", key.pk)["name"] == evil


def test_tables_are_80_columns_wide(shell: Shell, creator: User) -> None:
    key, _token = make_key(creator, [("n" * 100, f"https://{'a' * 60}.{'b' * 60}.example")], name="店 " * 40)
    visit(key.token, f"https://{'c' * 60}.{'d' * 60}.example")
    for words in (["list"], ["show", key.pk], ["blocked", key.pk], ["explain", key.pk]):
        printed = shell(*words).out
        assert max(map(tables.columns, printed.splitlines())) <= tables.WIDTH


def test_a_terminal_that_lacks_a_character_gets_its_escape(shell: Shell, creator: User) -> None:
    make_key(creator, name="Müller")
    out = io.TextIOWrapper(io.BytesIO(), "ascii")
    call_command("allowlist", "list", stdout=out)
    out.seek(0)
    assert "M\\xfcller" in out.read()


MOMENTS: dict[str, datetime | None] = {
    "2027-01-31": datetime(2027, 1, 30, 10, tzinfo=UTC),
    "2027-01-31T18:00": datetime(2027, 1, 31, 4, tzinfo=UTC),
    "2027-01-31T18:00Z": datetime(2027, 1, 31, 18, tzinfo=UTC),
    "never": None,
}


@pytest.mark.parametrize("text", MOMENTS)
def test_a_date_is_read_in_the_projects_time_zone(shell: Shell, key: APIKey, text: str) -> None:
    shell.ok("set", key.pk, "--expires", "30m")
    shell.ok("set", key.pk, "--expires", text)
    assert row(key).expires_at == MOMENTS[text]


@override_settings(USE_TZ=False)
def test_without_time_zones_a_date_is_local() -> None:
    assert reading.date("2027-01-31") == datetime(2027, 1, 31)  # noqa: DTZ001
    assert reading.date("2027-01-31T18:00Z") == datetime(2027, 2, 1, 8)  # noqa: DTZ001
    assert tables.moment(datetime(2027, 1, 31)) == "2027-01-31 00:00"  # noqa: DTZ001


# Which database


@pytest.mark.django_db(databases=["default", "other"])
def test_the_database_is_the_one_that_is_named(shell: Shell, creator: User, make_user: MakeUser) -> None:
    make_key(creator)
    get_user_model()._default_manager.db_manager("other").create_user(
        **{get_user_model().USERNAME_FIELD: "other@example.com"}, password="password"
    )
    words = ("--creator", "other@example.com", "--database", "other")
    made = shell.data("create", "There", "--domain", SHOP, *words)
    assert [each["name"] for each in shell.data("list", "--database", "other")] == ["There"]
    shell.ok("add", made["id"], "--domain", BLOG, "--database", "other")
    key = APIKey.objects.using("other").get()
    assert (domains(key), key.name) == ([SHOP, BLOG], "There")
    assert "other@example.com" in shell.ok("show", made["id"], "--database", "other")
    assert shell("create", "Here", *words[:2]).status == 1
    assert APIKey.objects.get().name == "widget"


@pytest.mark.django_db(databases=["default", "other"])
def test_a_database_that_routers_do_not_write_to_is_refused(shell: Shell, key: APIKey) -> None:
    with override_settings(DATABASE_ROUTERS=[f"{ToOther.__module__}.{ToOther.__name__}"]):
        ran = shell("revoke", key.pk, "--database", "default")
    assert (ran.status, row(key).revoked_at) == (1, None)
    assert "Your database routers write keys to “other”, not to “default”." in ran.err
