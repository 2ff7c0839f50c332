"""The admin over HTTP: what creators see, type and are told, and what is done about it."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.contrib.sessions.models import Session
from django.db import connection
from django.utils import timezone

from allowlist.admin import APIKeyAdmin
from allowlist.models import AllowedDomain, APIKey
from allowlist.policy.tokens import Token
from allowlist.signals import key_changed
from tests.conftest import MakeUser, User
from tests.management import ALL_WITH_ENTRIES, Meanwhile, snapshot, texts
from tests.pages import Admin, Fields, rows
from tests.probes import statements
from tests.testapp.models import Project

if TYPE_CHECKING:
    TabularInline = admin.TabularInline[Project, APIKey]
else:
    TabularInline = admin.TabularInline

TOKEN = re.compile(r"[ps]k_(?:live|test)_[a-z0-9]{12}[A-Za-z0-9]{32}")
LISTED = {"domain_mode": "listed"}


@pytest.fixture
def key(creator: User) -> APIKey:
    """Return a publishable key with two sites and one address."""
    return APIKey.objects.create_key(
        name="Widget",
        creator=creator,
        allowed_domains=["example.com", ("Shop", "https://shop.example.com")],
        allowed_ips=["203.0.113.7"],
    )[0]


@pytest.fixture
def site(creator: User) -> Admin:
    """Return the creator's admin."""
    return Admin(creator)


def new(site: Admin, **typed: Any) -> Fields:
    """Return the fields of the page that makes a key, with some typed."""
    return {**site.get("add/").fields, "name": "New", **typed}


def change(key: APIKey) -> str:
    """Return the path of the key's page."""
    return f"{key.pk}/change/"


def token_in(response: Any) -> str:
    """Return the one token that an answer shows."""
    [token] = set(TOKEN.findall(response.content.decode()))
    assert isinstance(token, str)
    return token


# Making a key


def test_a_key_is_made_and_its_token_shown(site: Admin, creator: User) -> None:
    response = site.send("add/", new(site))
    made = APIKey.objects.get()
    assert (made.name, made.creator, made.kind) == ("New", creator, "publishable")
    assert token_in(response) == made.token
    assert "no-store" in response.headers["Cache-Control"]
    assert token_in(site.client.get(site.base + change(made))) == made.token


def test_the_form_says_what_allowing_all_does_to_a_list(site: Admin) -> None:
    text = site.get("add/").text
    for label in ("Allow all domains", "Allow all IPs"):
        assert f"Entries have no effect while “{label}” is selected. Selecting it deletes them." in text


def test_a_secret_token_is_shown_in_that_answer_and_kept_nowhere(site: Admin) -> None:
    response = site.send("add/", new(site, kind="secret", environment="test"))
    token = token_in(response)
    made = APIKey.objects.get()
    parsed = Token.parse(token)
    assert parsed is not None
    assert (made.digest, made.token, made.environment) == (parsed.digest, "", "test")
    secret = token.removeprefix(f"sk_test_{made.locator}")
    assert response.status_code == 200
    assert secret not in str(response.headers) + str(response.cookies)
    for session in Session.objects.all():
        assert secret not in str(session.get_decoded())
    for entry in LogEntry.objects.all():
        assert secret not in entry.object_repr + entry.change_message
    for path in ("", change(made), f"{made.pk}/history/", f"{made.pk}/delete/", f"{made.pk}/rotate/"):
        assert secret not in site.client.get(site.base + path).content.decode()
    assert secret not in site.client.get("/admin/").content.decode()


@pytest.mark.parametrize("button", ["_save", "_continue", "_addanother"])
def test_whichever_button_makes_the_key_the_token_is_shown(site: Admin, button: str) -> None:
    fields = new(site)
    response: Any = site.client.post(f"{site.base}add/", {**fields, button: "1"})
    assert token_in(response) == APIKey.objects.get().token


def test_a_key_made_in_a_popup_goes_to_the_field_that_asked(site: Admin) -> None:
    response: Any = site.client.post(f"{site.base}add/?_popup=1", {**new(site), "_popup": "1"})
    key = APIKey.objects.get()
    assert json.loads(response.context_data["popup_response_data"]) == {"value": str(key.pk), "obj": str(key)}
    assert not TOKEN.search(response.content.decode())


def test_a_secret_key_made_in_a_popup_shows_its_token_which_comes_never_again(site: Admin) -> None:
    typed = {**new(site, kind="secret"), "_popup": "1"}
    parsed = Token.parse(token_in(site.client.post(f"{site.base}add/?_popup=1", typed)))
    assert parsed is not None
    assert APIKey.objects.get().digest == parsed.digest


def test_a_key_is_made_with_rows_and_pasted_lists_at_once(site: Admin) -> None:
    fields = rows(new(site, **LISTED, ip_mode="listed"), "allowed_domains", ("Shop", "Shop.example.com"))
    fields |= {
        "paste_domains": "https://A.test/, b.test\n\n c.test",
        "paste_ips": "203.0.113.7\r\n2001:DB8::1",
    }
    site.send("add/", fields)
    made = APIKey.objects.get()
    assert texts(made) == [
        "shop.example.com",
        "https://a.test",
        "b.test",
        "c.test",
        "203.0.113.7",
        "2001:db8::1",
    ]
    assert made.allowed_domains.get(domain="shop.example.com").name == "Shop"
    assert (made.domain_mode, made.ip_mode) == ("listed", "listed")


def test_a_new_keys_duplicates_are_told(site: Admin) -> None:
    fields = rows(new(site, **LISTED), "allowed_domains", ("", "example.com"), ("", "EXAMPLE.com"))
    response = site.send("add/", {**fields, "paste_domains": "a.test, faß.de, xn--fa-hia.de"})
    assert texts(APIKey.objects.get()) == ["example.com", "a.test", "xn--fa-hia.de"]
    assert "Already listed: example.com, faß.de." in response.content.decode()


def test_a_new_key_with_entries_has_to_say_that_its_list_is_on(site: Admin) -> None:
    fields = rows(new(site), "allowed_domains", ("", "example.com"))
    page = site.refused("add/", fields)
    assert page.errors == [ALL_WITH_ENTRIES]
    assert not APIKey.objects.exists()


@pytest.mark.parametrize(
    ("typed", "error"),
    [
        ({"name": ""}, "This field is required."),
        ({"name": "x" * 101}, "Ensure this value has at most 100 characters (it has 101)."),
        ({"name": "a\0b"}, "Null characters are not allowed."),
        ({"kind": "public"}, "Select a valid choice. public is not one of the available choices."),
        ({"domain_mode": ""}, "This field is required."),
        ({"expires_at_0": "soon", "expires_at_1": "12:00"}, "Enter a valid date."),
        (
            LISTED,
            "“Allow only listed domains” needs at least one domain. Add one, or choose “Allow all domains”.",
        ),
        (
            {"kind": "secret", **LISTED},
            "Secret keys have no domain list. Choose “Allow all domains”, and list the servers' IPs instead.",
        ),
        (
            {"kind": "secret", "paste_domains": "example.com"},
            "Secret keys are for servers, so they have no domain list. List IP addresses instead.",
        ),
        (
            {**LISTED, "paste_domains": "example.com:80"},
            (
                "“example.com:80” has a port but no scheme. Add https:// or http://. Did you mean "
                "“https://example.com:80” or “http://example.com:80”?"
            ),
        ),
        (
            {"ip_mode": "listed", "paste_ips": "203.0.113.7/24"},
            (
                "“203.0.113.7/24” starts in the middle of its network. Enter the first IP address of the "
                "network. Did you mean “203.0.113.0/24”?"
            ),
        ),
        (
            {**LISTED, "paste_domains": " ".join(f"{number}.test," for number in range(26))},
            "A key can list at most 25 domains. This would make 26.",
        ),
    ],
    ids=str,
)
def test_a_key_that_cannot_be_made_is_refused_with_a_sentence_and_all_that_was_typed(
    site: Admin, typed: Fields, error: str
) -> None:
    fields = {**new(site), "paste_ips": "198.51.100.1", "condition": "any", **typed}
    fields = rows(fields, "allowed_ips", ("Office", "198.51.100.2"))
    page = site.refused("add/", fields)
    assert error in page.errors
    assert not APIKey.objects.exists()
    kept = {name: value for name, value in page.fields.items() if name in fields and "csrf" not in name}
    assert kept == {
        name: value.strip() if "paste" in name else value for name, value in fields.items() if name in kept
    }
    assert page.fields["allowed_ips-0-name"] == "Office"


def test_every_wrong_line_of_a_pasted_list_is_told(site: Admin) -> None:
    page = site.refused("add/", new(site, **LISTED, paste_domains="a.test, *, null\n.b.test"))
    assert [error.split("”")[0] for error in page.errors] == ["“*", "“null", "“.b.test"]
    assert page.fields["paste_domains"] == "a.test, *, null\n.b.test"


# Changing a key


def test_a_row_is_added_renamed_rewritten_and_removed_in_one_save(site: Admin, key: APIKey) -> None:
    key.add_domains(["old.example.com"])
    first, second, third = key.allowed_domains.all()
    fields = rows(site.get(change(key)).fields, "allowed_domains", ("Blog", "Blog.example.com"))
    fields |= {
        "allowed_domains-0-name": "Apex",
        "allowed_domains-1-domain": "https://SHOP.example.org",
        "allowed_domains-2-DELETE": "on",
    }
    site.saved(change(key), fields)
    after = {entry.pk: (entry.name, entry.domain) for entry in key.allowed_domains.all()}
    assert after.pop(first.pk) == ("Apex", "example.com")
    assert after.pop(second.pk) == ("Shop", "https://shop.example.org")
    assert third.pk not in after
    assert list(after.values()) == [("Blog", "blog.example.com")]


def test_two_rows_may_swap_their_texts(site: Admin, key: APIKey) -> None:
    first, second = key.allowed_domains.all()
    fields = site.get(change(key)).fields
    fields |= {"allowed_domains-0-domain": second.domain, "allowed_domains-1-domain": first.domain}
    site.saved(change(key), fields)
    assert list(key.allowed_domains.values_list("pk", "domain")) == [
        (first.pk, second.domain),
        (second.pk, first.domain),
    ]


def test_a_removed_text_may_be_typed_anew_in_the_same_save(site: Admin, key: APIKey) -> None:
    fields = rows(site.get(change(key)).fields, "allowed_domains", ("Again", "example.com"))
    site.saved(change(key), {**fields, "allowed_domains-0-DELETE": "on"})
    assert key.allowed_domains.get(domain="example.com").name == "Again"


def test_a_row_takes_over_the_text_of_a_removed_one(site: Admin, key: APIKey) -> None:
    fields = site.get(change(key)).fields
    fields |= {"allowed_domains-0-DELETE": "on", "allowed_domains-1-domain": "example.com"}
    site.saved(change(key), fields)
    assert list(key.allowed_domains.values_list("name", "domain")) == [("Shop", "example.com")]


def test_a_text_typed_in_another_spelling_is_no_change(site: Admin, key: APIKey) -> None:
    before = snapshot()[1]
    fields = site.get(change(key)).fields
    site.saved(change(key), {**fields, "allowed_domains-0-domain": "EXAMPLE.com."})
    assert snapshot()[1] == before


def test_two_rows_do_not_get_the_same_text(site: Admin, key: APIKey) -> None:
    fields = site.get(change(key)).fields
    page = site.refused(change(key), {**fields, "allowed_domains-1-domain": "Example.com"})
    assert page.errors == ["“example.com” is in the list already."]
    assert page.fields["allowed_domains-1-domain"] == "Example.com"


def test_pasting_adds_to_the_list_and_tells_what_is_listed_already(site: Admin, key: APIKey) -> None:
    fields = site.get(change(key)).fields
    fields |= {"paste_domains": "EXAMPLE.com\nnew.example.com", "paste_ips": "203.0.113.7, 203.0.113.8"}
    page = site.saved(change(key), fields)
    assert texts(key) == [
        "example.com",
        "https://shop.example.com",
        "new.example.com",
        "203.0.113.7",
        "203.0.113.8",
    ]
    assert "Already listed: example.com, 203.0.113.7." in page.messages
    assert page.fields["paste_domains"] == ""


def test_an_added_row_that_is_listed_already_is_skipped_and_told(site: Admin, key: APIKey) -> None:
    fields = rows(site.get(change(key)).fields, "allowed_ips", ("Twice", "203.0.113.7"))
    page = site.saved(change(key), fields)
    assert "Already listed: 203.0.113.7." in page.messages
    assert key.allowed_ips.get().name == ""


def test_a_list_is_turned_off_and_emptied(site: Admin, key: APIKey) -> None:
    fields = site.get(change(key)).fields
    site.saved(change(key), {**fields, "domain_mode": "all"})
    key.refresh_from_db()
    assert (key.domain_mode, texts(key)) == ("all", ["203.0.113.7"])


@pytest.mark.parametrize("by", ["row", "paste"])
def test_a_list_is_not_turned_off_and_added_to_in_one_save(site: Admin, key: APIKey, by: str) -> None:
    fields = {**site.get(change(key)).fields, "domain_mode": "all", "name": "Renamed"}
    if by == "row":
        fields = rows(fields, "allowed_domains", ("", "new.test"))
    else:
        fields["paste_domains"] = "new.test"
    before = snapshot()
    page = site.refused(change(key), fields)
    assert page.errors == [ALL_WITH_ENTRIES]
    assert snapshot() == before
    assert (page.fields["name"], page.fields["domain_mode"]) == ("Renamed", "all")


def test_a_list_is_turned_on_with_the_entries_of_the_same_save(site: Admin, creator: User) -> None:
    made = APIKey.objects.create_key(name="Open", creator=creator)[0]
    fields = {**site.get(change(made)).fields, **LISTED, "paste_domains": "a.test"}
    site.saved(change(made), fields)
    made.refresh_from_db()
    assert (made.domain_mode, texts(made)) == ("listed", ["a.test"])


def test_a_list_that_is_off_may_be_filled_and_stays_off(site: Admin, creator: User) -> None:
    made = APIKey.objects.create_key(name="Open", creator=creator)[0]
    site.saved(change(made), {**site.get(change(made)).fields, "paste_domains": "a.test"})
    made.refresh_from_db()
    assert (made.domain_mode, texts(made)) == ("all", ["a.test"])


def test_one_list_may_be_turned_off_while_the_other_is_turned_on(site: Admin, creator: User) -> None:
    made = APIKey.objects.create_key(name="K", creator=creator, allowed_domains=["a.test"])[0]
    fields = {**site.get(change(made)).fields, "domain_mode": "all", "ip_mode": "listed", "condition": "any"}
    site.saved(change(made), rows(fields, "allowed_ips", ("", "203.0.113.7")))
    made.refresh_from_db()
    assert (made.domain_mode, made.ip_mode, made.condition) == ("all", "listed", "any")
    assert texts(made) == ["203.0.113.7"]


@pytest.mark.parametrize(
    ("typed", "error"),
    [
        ({"name": ""}, "This field is required."),
        (
            {
                "allowed_domains-0-DELETE": "on",
                "allowed_domains-1-DELETE": "on",
                "allowed_domains-2-name": "",
                "allowed_domains-2-domain": "",
                "enforcement": "enforce",
            },
            "“Allow only listed domains” needs at least one domain. Add one, or choose “Allow all domains”.",
        ),
        ({"allowed_domains-0-domain": ""}, "An entry can't be empty. Enter a domain or an IP address."),
        (
            {"allowed_domains-1-domain": "*"},
            "“*” would match every website. To allow every website, select “Allow all domains”.",
        ),
        (
            {"allowed_ips-0-ip": "https://a-rather-long-name-of-a-site-and-no-ip.example.com"},
            (
                "“https://a-rather-long-name-of-a-site-and-no-ip.example.com” is a domain, not an IP "
                "address. Add it to the allowed domains."
            ),
        ),
        ({"allowed_domains-0-name": "x" * 101}, "Ensure this value has at most 100 characters (it has 101)."),
        ({"paste_domains": "a b"}, "“a b” contains a space. Enter one entry without spaces."),
        (
            {"paste_ips": "x\ud7ff\x07"},
            "“x\\ud7ff\\x07” contains invisible characters. Type it instead of pasting it.",
        ),
        (
            {"paste_ips": "203.0.113.8\x0b", "allowed_ips-0-ip": "203.0.113.9\x0b"},
            "“203.0.113.9\\x0b” contains invisible characters. Type it instead of pasting it.",
        ),
        (
            {"paste_ips": "203.0.113.8\x0b"},
            "“203.0.113.8\\x0b” contains invisible characters. Type it instead of pasting it.",
        ),
    ],
    ids=str,
)
def test_a_refused_change_names_what_is_wrong_and_keeps_all_that_was_typed(
    site: Admin, key: APIKey, typed: Fields, error: str
) -> None:
    fields = rows(site.get(change(key)).fields, "allowed_domains", ("Blog", "blog.example.com"))
    fields |= {"name": "Renamed", "enforcement": "report", "paste_ips": "198.51.100.1", **typed}
    before = snapshot()
    page = site.refused(change(key), fields)
    assert page.errors == [error]
    assert snapshot() == before
    typed_again = {name: page.fields.get(name) for name in fields if "csrf" not in name}
    assert typed_again == {name: value for name, value in fields.items() if "csrf" not in name}


def test_a_refused_change_that_is_put_right_is_saved(site: Admin, key: APIKey) -> None:
    fields = {**site.get(change(key)).fields, "name": "Renamed", "paste_domains": "a.test, *"}
    page = site.refused(change(key), rows(fields, "allowed_domains", ("Blog", "blog.example.com")))
    site.saved(change(key), {**page.fields, "paste_domains": "a.test"})
    key.refresh_from_db()
    assert key.name == "Renamed"
    assert texts(key)[2:4] == ["blog.example.com", "a.test"]


def test_what_either_list_comes_to_is_told_at_once(site: Admin, key: APIKey) -> None:
    many = {"domains": [f"{number}.test" for number in range(24)], "ips": [f"10.0.0.{n}" for n in range(25)]}
    typed = {f"paste_{which}": ", ".join(entries) for which, entries in many.items()}
    assert site.refused(change(key), {**site.get(change(key)).fields, **typed}).errors == [
        "A key can list at most 25 domains. This would make 26.",
        "A key can list at most 25 IP addresses. This would make 26.",
    ]


def test_a_26th_row_is_refused_with_the_limit(site: Admin, key: APIKey) -> None:
    key.add_domains([f"{number}.example.com" for number in range(23)])
    fields = site.get(change(key)).fields
    assert fields["allowed_domains-TOTAL_FORMS"] == "25"  # No blank row is offered.
    page = site.refused(change(key), rows(fields, "allowed_domains", ("", "one.more")))
    assert page.errors == ["A key can list at most 25 domains. This would make 26."]


def test_no_more_than_ten_thousand_entries_are_pasted_at_once(site: Admin, key: APIKey) -> None:
    pasted = ",".join(["x"] * 10_001)
    page = site.refused(change(key), {**site.get(change(key)).fields, "paste_domains": pasted})
    assert page.errors == ["Send at most 10000 entries at once."]


def test_a_hundred_thousand_rows_are_refused(site: Admin, key: APIKey) -> None:
    fields = {**site.get(change(key)).fields, "allowed_domains-TOTAL_FORMS": "100000"}
    before = snapshot()
    assert site.send(change(key), fields).status_code == 200
    assert snapshot() == before


@pytest.mark.parametrize("field", ["allowed_domains-TOTAL_FORMS", "allowed_domains-INITIAL_FORMS"])
@pytest.mark.parametrize("value", ["", "x", "-1", "9" * 400])
def test_a_broken_management_form_changes_nothing(site: Admin, key: APIKey, field: str, value: str) -> None:
    before = texts(key)
    assert site.send(change(key), {**site.get(change(key)).fields, field: value}).status_code in (200, 302)
    assert texts(key) == before


def test_expiry_is_set_and_taken_away(site: Admin, key: APIKey) -> None:
    fields = site.get(change(key)).fields
    site.saved(change(key), {**fields, "expires_at_0": "2099-01-02", "expires_at_1": "03:04:05"})
    key.refresh_from_db()
    assert key.expires_at is not None
    at = timezone.localtime(key.expires_at) if timezone.is_aware(key.expires_at) else key.expires_at
    assert at.isoformat()[:19] == "2099-01-02T03:04:05"
    fields = site.get(change(key)).fields
    assert fields["expires_at_0"] == "2099-01-02"
    site.saved(change(key), {**fields, "expires_at_0": "", "expires_at_1": ""})
    key.refresh_from_db()
    assert key.expires_at is None


@pytest.mark.parametrize("date", ["0001-01-01", "9999-12-31"])
def test_a_date_at_the_end_of_time_is_refused(site: Admin, key: APIKey, date: str) -> None:
    fields = {**site.get(change(key)).fields, "expires_at_0": date, "expires_at_1": "23:59:59"}
    assert site.refused(change(key), fields).errors == [
        "This date is too far away. Leave it empty for a key that does not expire."
    ]


def test_kind_environment_token_and_creator_are_not_typed(site: Admin, key: APIKey, stranger: User) -> None:
    fields = site.get(change(key)).fields
    assert not fields.keys() & {"kind", "environment", "token", "creator", "revoked_at", "last_used_at"}
    posted = {
        "kind": "secret",
        "environment": "test",
        "token": "pk_live_mine",
        "digest": "0" * 64,
        "creator": str(stranger.pk),
        "creator_id": str(stranger.pk),
        "revoked_at_0": "2020-01-01",
        "revoked_at_1": "00:00",
        "last_used_at": "2020-01-01",
    }
    before = APIKey.objects.values().get()
    site.saved(change(key), {**fields, **posted})
    after = APIKey.objects.values().get()
    assert {**after, "revision": None} == {**before, "revision": None}


def test_a_secret_key_has_no_domain_list_on_its_page(site: Admin, creator: User) -> None:
    made = APIKey.objects.create_key(name="Server", creator=creator, kind="secret")[0]
    page = site.get(change(made))
    assert "allowed_ips-TOTAL_FORMS" in page.fields
    assert not page.fields.keys() & {"allowed_domains-TOTAL_FORMS", "paste_domains", "domain_mode"}
    fields = rows(
        {**page.fields, "allowed_domains-INITIAL_FORMS": "0", "allowed_domains-TOTAL_FORMS": "0"},
        "allowed_domains",
        ("", "example.com"),
    )
    site.saved(change(made), {**fields, "paste_domains": "example.com", "domain_mode": "listed"})
    made.refresh_from_db()
    assert (texts(made), made.domain_mode) == ([], "all")


# What the settings leave to choose

ONE_CHOICE: list[tuple[dict[str, Any], str]] = [
    ({"DOMAIN_MODES": ("listed",), "EMPTY_LIST": "deny"}, "domain_mode"),
    ({"IP_MODES": ("all",)}, "ip_mode"),
    ({"CONDITIONS": ("by_source",)}, "condition"),
]


@pytest.mark.parametrize(("conf", "field"), ONE_CHOICE, ids=lambda value: str(value))
def test_one_choice_hides_the_control(
    site: Admin, key: APIKey, settings: Any, conf: dict[str, Any], field: str
) -> None:
    assert field in site.get("add/").fields
    settings.ALLOWLIST = conf
    assert field not in site.get("add/").fields
    assert field not in site.get(change(key)).fields
    [value] = next(iter(conf.values()))
    site.send("add/", new(site))
    assert getattr(APIKey.objects.get(name="New"), field) == value


LISTS = [("DOMAIN_MODES", "allowed_domains", "paste_domains"), ("IP_MODES", "allowed_ips", "paste_ips")]


@pytest.mark.parametrize(("setting", "field", "box"), LISTS)
def test_a_list_that_may_hold_nothing_is_left_out(
    site: Admin, key: APIKey, creator: User, settings: Any, setting: str, field: str, box: str
) -> None:
    bare = APIKey.objects.create_key(name="Bare", creator=creator)[0]
    rows_of, pages = f"{field}-TOTAL_FORMS", ("add/", change(bare))
    assert [page for page in pages if {rows_of, box} - set(site.get(page).fields)] == []
    settings.ALLOWLIST = {setting: ("all",)}
    assert [page for page in pages if {rows_of, box} & set(site.get(page).fields)] == []
    site.saved(change(bare), {**site.get(change(bare)).fields, "name": "Renamed"})
    # What was listed before can still be seen, and removed.
    assert site.get(change(key)).fields[f"{field}-INITIAL_FORMS"] != "0"
    getattr(key, f"allow_all_{field.removeprefix('allowed_')}")()
    assert rows_of not in site.get(change(key)).fields


def test_a_control_that_is_hidden_is_not_posted_by_hand(site: Admin, key: APIKey, settings: Any) -> None:
    settings.ALLOWLIST = {"DOMAIN_MODES": ("listed",), "EMPTY_LIST": "deny"}
    site.saved(change(key), {**site.get(change(key)).fields, "domain_mode": "all"})
    key.refresh_from_db()
    assert key.domain_mode == "listed"


def test_all_controls_hidden_leave_no_empty_section(site: Admin, settings: Any, make_user: MakeUser) -> None:
    settings.ALLOWLIST = {"DOMAIN_MODES": ("all",), "IP_MODES": ("all",), "CONDITIONS": ("all",)}
    user = make_user("adder", is_staff=True)
    user.user_permissions.set(
        Permission.objects.filter(content_type__app_label="allowlist", codename="add_apikey")
    )
    assert "Security" not in Admin(user).get("add/").text


def test_the_first_choice_of_the_settings_is_a_new_keys(site: Admin, settings: Any) -> None:
    settings.ALLOWLIST = {
        "CONDITIONS": ("any", "all"),
        "DOMAIN_MODES": ("listed", "all"),
        "EMPTY_LIST": "allow",
    }
    fields = site.get("add/").fields
    assert (fields["condition"], fields["domain_mode"], fields["ip_mode"]) == ("any", "listed", "all")


def test_what_the_settings_no_longer_offer_is_kept_by_a_key_that_has_it(
    site: Admin, key: APIKey, creator: User, settings: Any
) -> None:
    key.condition = "by_source"
    key.save()
    settings.ALLOWLIST = {"CONDITIONS": ("all", "any")}
    fields = site.get(change(key)).fields
    assert fields["condition"] == "by_source"
    site.saved(change(key), {**fields, "name": "Renamed"})
    key.refresh_from_db()
    assert (key.name, key.condition) == ("Renamed", "by_source")
    assert site.refused("add/", new(site, condition="by_source")).errors == [
        "Select a valid choice. by_source is not one of the available choices."
    ]


def test_no_limit_offers_rows_without_end(site: Admin, key: APIKey, settings: Any) -> None:
    settings.ALLOWLIST = {"MAX_DOMAINS": None}
    fields = site.get(change(key)).fields
    site.saved(change(key), {**fields, "paste_domains": ",".join(f"{number}.test" for number in range(40))})
    assert key.allowed_domains.count() == 42


# Who of the staff may do what: ownership narrows Django's permissions, and never widens them


@pytest.fixture
def narrow(make_user: MakeUser) -> Callable[..., User]:
    """Return a function that makes a creator with these model permissions alone."""

    def make(*codenames: str) -> User:
        user = make_user("narrow", is_staff=True)
        permissions = Permission.objects.filter(content_type__app_label="allowlist", codename__in=codenames)
        assert len(permissions) == len(codenames)
        user.user_permissions.set(permissions)
        return user

    return make


def test_who_may_not_add_entries_cannot_paste_them(narrow: Callable[..., User]) -> None:
    user = narrow("view_apikey", "change_apikey", "view_alloweddomain", "view_allowedip", "add_allowedip")
    made = APIKey.objects.create_key(name="K", creator=user, allowed_domains=["a.test"])[0]
    site = Admin(user)
    fields = site.get(change(made)).fields
    assert "paste_domains" not in fields
    fields = rows(fields, "allowed_domains", ("", "row.test"))
    site.saved(change(made), {**fields, "paste_domains": "b.test", "paste_ips": "203.0.113.7"})
    assert texts(made) == ["a.test", "203.0.113.7"]


def test_who_may_not_change_or_delete_entries_does_not(narrow: Callable[..., User]) -> None:
    user = narrow("view_apikey", "change_apikey", "view_alloweddomain", "add_alloweddomain")
    made = APIKey.objects.create_key(name="K", creator=user, allowed_domains=["a.test", "b.test"])[0]
    site = Admin(user)
    fields = site.get(change(made)).fields
    fields |= {"allowed_domains-0-domain": "c.test", "allowed_domains-1-DELETE": "on"}
    site.saved(change(made), fields)
    assert texts(made) == ["a.test", "b.test"]


def test_a_mode_may_be_changed_by_who_may_not_see_the_entries(narrow: Callable[..., User]) -> None:
    user = narrow("view_apikey", "change_apikey")
    made = APIKey.objects.create_key(name="K", creator=user, allowed_domains=["a.test"])[0]
    site = Admin(user)
    page = site.get(change(made))
    assert "a.test" not in page.text
    site.saved(change(made), {**page.fields, "domain_mode": "all"})
    made.refresh_from_db()
    assert made.domain_mode == "all"


def test_who_may_only_look_is_shown_no_controls(narrow: Callable[..., User]) -> None:
    user = narrow("view_apikey", "view_alloweddomain")
    made = APIKey.objects.create_key(name="K", creator=user, allowed_domains=["a.test"])[0]
    site = Admin(user)
    page = site.get(change(made))
    assert "a.test" in page.text
    assert not page.fields.keys() & {"name", "domain_mode", "paste_domains", "paste_ips"}
    before = snapshot()
    assert site.send(change(made), {"name": "Renamed"}).status_code == 403
    for step in ("rotate", "revoke", "take-over"):
        assert site.client.post(f"{site.base}{made.pk}/{step}/").status_code == 403
    assert snapshot() == before


# Steps: rotate, revoke, take over


@pytest.mark.parametrize(
    ("step", "question"),
    [
        ("rotate", "The key gets a new token. The current token stops working immediately."),
        ("revoke", "The key stops working immediately. You can't undo this."),
    ],
)
def test_a_step_asks_before_it_acts(site: Admin, key: APIKey, step: str, question: str) -> None:
    before = snapshot()
    page = site.get(f"{key.pk}/{step}/")
    assert question in page.text
    assert any(link.endswith(f"{key.pk}/change/") for link in page.links)
    assert snapshot() == before
    assert not LogEntry.objects.exists()


def test_the_keys_page_links_to_its_steps(site: Admin, key: APIKey) -> None:
    links = site.get(change(key)).links
    assert [link.split("/")[-2] for link in links if str(key.pk) in link.split("/")][:2] == [
        "rotate",
        "revoke",
    ]
    key.revoke()
    assert not any("rotate" in link or "revoke" in link for link in site.get(change(key)).links)


@pytest.mark.parametrize("kind", ["publishable", "secret"])
def test_rotating_shows_the_new_token_and_logs_no_token(site: Admin, creator: User, kind: str) -> None:
    made, old = APIKey.objects.create_key(name="K", creator=creator, kind=kind)
    response: Any = site.client.post(f"{site.base}{made.pk}/rotate/")
    new_token = token_in(response)
    made.refresh_from_db()
    parsed = Token.parse(new_token)
    assert parsed is not None
    assert (made.digest, new_token != old) == (parsed.digest, True)
    assert "no-store" in response.headers["Cache-Control"]
    entry = LogEntry.objects.get()
    assert (entry.get_change_message(), entry.object_id) == ("Rotated the token.", str(made.pk))
    assert not TOKEN.search(entry.object_repr + entry.change_message)
    shown = site.client.get(site.base + change(made)).content.decode()
    assert (new_token in shown) is (kind == "publishable")


def test_revoking_ends_the_key_and_is_logged(site: Admin, key: APIKey) -> None:
    response: Any = site.client.post(f"{site.base}{key.pk}/revoke/", follow=True)
    key.refresh_from_db()
    assert key.revoked_at is not None
    assert "Revoked the key." in response.content.decode()
    assert LogEntry.objects.get().get_change_message() == "Revoked the key."
    assert "Revoked the key." in site.get(f"{key.pk}/history/").text


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("step", ["rotate", "revoke"])
def test_a_step_on_a_key_revoked_in_another_tab_is_told(
    site: Admin, key: APIKey, step: str, method: str
) -> None:
    key.revoke()
    before = snapshot()
    response: Any = getattr(site.client, method)(f"{site.base}{key.pk}/{step}/", follow=True)
    assert "This key is already revoked." in response.content.decode()
    assert snapshot() == before
    assert not LogEntry.objects.exists()


def test_a_superuser_takes_a_key_over_in_one_logged_step(superuser: User, creator: User, key: APIKey) -> None:
    site = Admin(superuser)
    assert "You become the key's creator" in site.get(f"{key.pk}/take-over/").text
    key.refresh_from_db()
    assert key.creator == creator
    response: Any = site.client.post(f"{site.base}{key.pk}/take-over/", follow=True)
    said = f"Took the key over from {creator}."
    assert said in response.content.decode()
    assert (LogEntry.objects.get().get_change_message(), LogEntry.objects.get().user) == (said, superuser)
    key.refresh_from_db()
    assert key.creator == superuser
    assert site.get(change(key)).fields["name"] == "Widget"
    assert Admin(creator).client.get(f"{site.base}{key.pk}/change/").status_code == 404
    again: Any = site.client.post(f"{site.base}{key.pk}/take-over/", follow=True)
    assert "This key is already yours." in again.content.decode()
    assert LogEntry.objects.count() == 1


def test_the_key_of_a_deleted_user_is_taken_over(superuser: User, creator: User, key: APIKey) -> None:
    creator.delete()
    key.refresh_from_db()
    assert key.creator is None
    response: Any = Admin(superuser).client.post(f"/admin/allowlist/apikey/{key.pk}/take-over/", follow=True)
    assert "Took the key over. It had no creator." in response.content.decode()


def test_steps_need_the_csrf_token(creator: User, key: APIKey) -> None:
    site = Admin()
    site.client = type(site.client)(enforce_csrf_checks=True)
    site.client.force_login(creator)
    assert site.client.post(f"{site.base}{key.pk}/revoke/").status_code == 403
    page = site.get(f"{key.pk}/revoke/")
    assert site.client.post(f"{site.base}{key.pk}/revoke/", page.fields).status_code == 302


# Lists, searches, actions


def test_the_list_shows_what_tells_keys_apart_and_no_whole_token(site: Admin, key: APIKey) -> None:
    APIKey.objects.create_key(name="Old", creator=key.creator, expires_at=timezone.now() - timedelta(days=1))
    APIKey.objects.create_key(name="Gone", creator=key.creator)[0].revoke()
    page = site.get("")
    for said in ("Widget", key.hint, "Active", "Expired", "Revoked", "Allow only listed domains"):
        assert said in page.text
    assert not TOKEN.search(page.text)


def test_keys_are_searched_by_name_and_filtered_by_modes(site: Admin, key: APIKey) -> None:
    APIKey.objects.create_key(name="Open", creator=key.creator, kind="secret")
    for query, found in (
        ("q=widg", {"Widget"}),
        ("q=op", {"Open"}),
        ("q=" + key.token, set()),
        ("q=%00", {"Open", "Widget"}),
        ("domain_mode__exact=listed", {"Widget"}),
        ("kind__exact=secret", {"Open"}),
        ("ip_mode__exact=all", {"Open"}),
        ("environment__exact=live", {"Open", "Widget"}),
    ):
        page = site.get(f"?{query}")
        assert {name for name in ("Open", "Widget") if name in page.text} == found, query


@pytest.mark.parametrize(
    "lookup",
    [
        "digest__startswith",
        "digest",
        "previous_digest__gt",
        "token__startswith",
        "locator__contains",
        "revision",
        "creator__password__startswith",
        "creator__id",
        "creator",
        "name__startswith",
        "allowed_domains__domain__contains",
        "pk__in",
        "allowed_ips",
        "project__name",
    ],
)
def test_guesses_by_raw_lookups_are_refused(site: Admin, key: APIKey, lookup: str) -> None:
    assert site.client.get(f"{site.base}?{lookup}=a").status_code == 400


@pytest.mark.parametrize(
    "query", ["kind__nonsense=1", "kind__in=", "domain_mode__isnull=x", "p=x", "o=99", "all=", "e=1"]
)
def test_a_broken_query_of_the_list_is_no_error(site: Admin, key: APIKey, query: str) -> None:
    assert site.client.get(f"{site.base}?{query}", follow=True).status_code in (200, 400)


@pytest.mark.parametrize("field", ["digest", "token", "locator", "creator", "revision", "nonsense"])
@pytest.mark.parametrize("path", ["", "add/", "{key}/change/", "{key}/delete/"])
def test_a_key_is_addressed_by_its_id_alone(site: Admin, key: APIKey, field: str, path: str) -> None:
    response = site.client.get(f"{site.base}{path.format(key=key.pk)}?_to_field={field}")
    assert response.status_code == 400


def test_popups_work(site: Admin, key: APIKey) -> None:
    assert "Widget" in site.get("?_popup=1&_to_field=id").text
    fields = site.get(f"{change(key)}?_popup=1&_to_field=id").fields
    response = site.send(f"{change(key)}?_popup=1", {**fields, "name": "Renamed"})
    assert response.status_code == 200
    assert "Renamed" in response.content.decode()
    key.refresh_from_db()
    assert key.name == "Renamed"


def test_the_delete_action_deletes_the_users_keys(site: Admin, key: APIKey) -> None:
    fields = {"action": "delete_selected", "_selected_action": [str(key.pk)]}
    asked: Any = site.client.post(site.base, fields)
    assert "example.com" in asked.content.decode()
    assert APIKey.objects.exists()
    site.client.post(site.base, {**fields, "post": "yes"})
    assert not APIKey.objects.exists()
    assert not AllowedDomain.objects.exists()


def test_a_key_is_deleted_after_a_question(site: Admin, key: APIKey) -> None:
    asked = site.get(f"{key.pk}/delete/")
    assert "example.com" in asked.text
    site.client.post(f"{site.base}{key.pk}/delete/", asked.fields)
    assert not APIKey.objects.exists()
    assert LogEntry.objects.get().is_deletion()


def test_the_history_tells_changes_in_words_without_tokens(site: Admin, key: APIKey) -> None:
    fields = rows(site.get(change(key)).fields, "allowed_domains", ("Blog", "blog.example.com"))
    site.saved(change(key), {**fields, "name": "Renamed", "domain_mode": "listed"})
    page = site.get(f"{key.pk}/history/")
    assert "Changed Name." in page.text
    assert "Blog: blog.example.com" in page.text
    assert not TOKEN.search(page.text)


def test_the_history_names_pasted_entries_and_no_duplicates(site: Admin, key: APIKey) -> None:
    fields = rows(site.get(change(key)).fields, "allowed_domains", ("Twice", "example.com"))
    site.saved(change(key), {**fields, "paste_domains": "example.com, new.test", "paste_ips": "203.0.113.8"})
    assert LogEntry.objects.get().get_change_message() == (
        "Added allowed domain “new.test”. Added allowed IP address “203.0.113.8”."
    )


def test_there_is_neither_save_as_new_nor_view_on_site(site: Admin, key: APIKey) -> None:
    response: Any = site.client.get(site.base + change(key))
    assert "_saveasnew" not in response.content.decode()
    assert not any("/r/" in link for link in site.get(change(key)).links)


def test_save_as_new_by_hand_makes_a_key_of_ones_own(site: Admin, key: APIKey, creator: User) -> None:
    fields = {**site.get(change(key)).fields, "kind": "publishable", "environment": "live"}
    response: Any = site.client.post(site.base + change(key), {**fields, "_saveasnew": "1"})
    assert response.status_code == 200
    assert texts(key) == ["example.com", "https://shop.example.com", "203.0.113.7"]
    assert {each.creator for each in APIKey.objects.all()} == {creator}


@pytest.mark.parametrize(
    ("path", "typed", "actions"),
    [
        ("add/", {"name": "New", "paste_domains": "a.test", **LISTED}, ["created"]),
        ("{pk}/change/", {"name": "New", "paste_ips": "203.0.113.8", "domain_mode": "all"}, ["updated"]),
        ("{pk}/change/", {}, []),
        ("{pk}/rotate/", {}, ["rotated"]),
        ("{pk}/revoke/", {}, ["revoked"]),
        ("{pk}/delete/", {}, ["deleted"]),
        ("", {"action": "delete_selected", "_selected_action": "{pk}", "post": "yes"}, ["deleted"]),
        ("{pk}/take-over/", {}, ["taken_over"]),
    ],
)
def test_each_write_sends_one_signal_with_its_user(
    creator: User,
    superuser: User,
    key: APIKey,
    django_capture_on_commit_callbacks: Any,
    path: str,
    typed: Fields,
    actions: list[str],
) -> None:
    visitor = superuser if actions == ["taken_over"] else creator
    site, path = Admin(visitor), path.format(pk=key.pk)
    fields = {**site.get(path).fields, **typed}
    sent: list[Any] = []

    def receive(**kwargs: Any) -> None:
        sent.append((kwargs["action"], kwargs["user"], kwargs["key"].pk))

    key_changed.connect(receive)
    with django_capture_on_commit_callbacks(execute=True):
        typed = {name: str(value).format(pk=key.pk) for name, value in fields.items()}
        assert site.client.post(site.base + path, typed).status_code in (200, 302)
    key_changed.disconnect(receive)
    pk = APIKey.objects.latest("pk").pk if actions == ["created"] else key.pk
    assert sent == [(action, visitor, pk) for action in actions]


# A custom admin site


def test_a_custom_site_keeps_to_itself(creator: User, key: APIKey, superuser: User) -> None:
    site = Admin(creator, "backoffice")
    page = site.get(change(key))
    steps = [link for link in page.links if "rotate" in link or "revoke" in link]
    assert steps == [f"/backoffice/allowlist/apikey/{key.pk}/{step}/" for step in ("rotate", "revoke")]
    assert not any(link.startswith("/admin/") for link in page.links)
    for path in ("revoke/", "rotate/"):
        links = site.get(f"{key.pk}/{path}").links
        assert f"/backoffice/allowlist/apikey/{key.pk}/change/" in links
        assert not any(link.startswith("/admin/") for link in links)
    assert token_in(site.client.post(f"{site.base}{key.pk}/rotate/"))
    made: Any = site.send("add/", new(site))
    assert "/backoffice/allowlist/apikey/" in made.content.decode()
    assert "/admin/" not in made.content.decode().replace("static/admin/", "")
    taken = Admin(superuser, "backoffice").client.post(f"{site.base}{key.pk}/take-over/")
    assert taken.headers["Location"] == f"/backoffice/allowlist/apikey/{key.pk}/change/"


# Lists of hundreds and thousands


@pytest.fixture
def large(creator: User, settings: Any) -> APIKey:
    """Return a key with 200 domains and 200 addresses."""
    settings.ALLOWLIST = {"MAX_DOMAINS": None, "MAX_IPS": None}
    return APIKey.objects.create_key(
        name="Large",
        creator=creator,
        allowed_domains=[f"{number}.test" for number in range(200)],
        allowed_ips=[f"203.0.113.{number}" for number in range(200)],
    )[0]


def test_a_key_with_hundreds_of_entries_is_saved(site: Admin, large: APIKey) -> None:
    first, last = f"{large.pk}/change/", f"{large.pk}/change/?allowed_domains-page=3"
    page = site.saved(first, {**site.get(first).fields, "allowed_ips-0-DELETE": "on", "name": "Renamed"})
    assert (page.fields["name"], page.fields["allowed_ips-0-ip"]) == ("Renamed", "203.0.113.1")
    fields = site.get(last).fields
    assert (fields["allowed_domains-39-domain"], fields["allowed_domains-40-domain"]) == ("199.test", "")
    page = site.saved(last, {**fields, "allowed_domains-39-name": "Last", "allowed_domains-0-DELETE": "on"})
    assert page.fields["allowed_domains-38-name"] == "Last"  # It is still the list's last page.
    wanted = [f"{number}.test" for number in range(200) if number != 160]
    assert texts(large) == [*wanted, *(f"203.0.113.{number}" for number in range(1, 200))]
    assert large.allowed_domains.get(domain="199.test").name == "Last"


def test_the_pages_of_a_list_are_linked_and_keep_the_rest_of_the_query(site: Admin, large: APIKey) -> None:
    change = f"{large.pk}/change/"
    links = site.get(f"{change}?allowed_ips-page=2&_popup=1").links
    for page in (2, 3):
        assert f"?allowed_ips-page=2&_popup=1&allowed_domains-page={page}#allowed_domains-group" in links
    for nonsense, first in (("x", "0.test"), ("0", "160.test"), ("99", "160.test"), ("", "0.test")):
        fields = site.get(f"{change}?allowed_domains-page={nonsense}").fields
        assert fields["allowed_domains-0-domain"] == first
    large.add_domains([f"{number}.test" for number in range(200, 1000)])
    assert "…" in site.get(f"{change}").text


def test_a_refused_page_of_rows_is_shown_again(site: Admin, large: APIKey) -> None:
    last = f"{large.pk}/change/?allowed_domains-page=3"
    fields = {**site.get(last).fields, "allowed_domains-39-domain": "*", "allowed_domains-3-name": "Kept"}
    large.remove_domains(["165.test"])
    page = site.refused(last, fields)
    assert [error.split("”")[0] for error in page.errors] == ["“165.test", "“*"]
    assert page.fields["allowed_domains-3-name"] == "Kept"
    assert page.fields["allowed_domains-38-domain"] == "198.test"


def test_a_page_costs_the_same_however_long_the_lists_are(site: Admin, large: APIKey) -> None:
    sent = []
    for _ in range(2):
        with statements() as asked:
            response = site.client.get(site.base + change(large))
        sent.append((len(asked), len(response.content)))
        large.add_domains([f"{number}.example" for number in range(2_500)])
    assert sent[0][0] == sent[1][0] <= 15
    assert sent[1][1] - sent[0][1] < 2_000


def test_a_page_looks_up_once_whose_the_key_is(site: Admin, key: APIKey, creator: User) -> None:
    with statements() as asked:
        site.get(change(key))
    assert sum("creator_id" in sql.partition("WHERE")[2] for sql in asked) == 2  # And once to find it.


@pytest.mark.parametrize("seen", ["", "x", "e30:x:y", "\x00"])
def test_rows_that_do_not_say_what_they_showed_are_compared_with_what_is_stored(
    site: Admin, key: APIKey, seen: str
) -> None:
    fields = {**site.get(change(key)).fields, "allowed_domains-SEEN": seen, "allowed_domains-0-name": "Apex"}
    site.saved(change(key), fields)
    assert list(key.allowed_domains.values_list("name", "domain")) == [
        ("Apex", "example.com"),
        ("Shop", "https://shop.example.com"),
    ]


# A project's own subclass


class BigFilter(admin.SimpleListFilter):
    """A filter with a parameter of its own."""

    title, parameter_name = "size", "size"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        return [("big", "Big")]

    def queryset(self, request: Any, queryset: Any) -> Any:
        return queryset.none() if self.value() else queryset


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("created_at__year=2026", 200),
        ("expires_at__isnull=True", 200),
        ("size=big", 200),
        ("creator__id__exact=1", 200),
        ("creator__password__startswith=a", 400),
        ("created_at2=1", 400),
        ("digest__startswith=a", 400),
    ],
)
def test_a_subclass_has_filters_of_its_own(
    site: Admin, key: APIKey, monkeypatch: pytest.MonkeyPatch, query: str, status: int
) -> None:
    monkeypatch.setattr(APIKeyAdmin, "date_hierarchy", "created_at")
    filters = (("expires_at", admin.DateFieldListFilter), BigFilter, "creator")
    monkeypatch.setattr(APIKeyAdmin, "list_filter", filters)
    assert site.client.get(f"{site.base}?{query}").status_code == status


@pytest.fixture
def editable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a key's own fields be edited in the list."""
    fields = ("name", "condition", "enforcement", "expires_at")
    monkeypatch.setattr(APIKeyAdmin, "list_editable", fields)
    monkeypatch.setattr(APIKeyAdmin, "list_display", ("hint", *fields))


@pytest.mark.usefixtures("editable")
def test_the_list_edits_rows_without_carrying_anything_back(site: Admin, key: APIKey, creator: User) -> None:
    other = APIKey.objects.create_key(name="Other", creator=creator)[0]
    old_tab = site.get("").fields
    APIKey.objects.filter(pk=key.pk).update(condition="any")
    APIKey.objects.filter(pk=other.pk).update(name="Renamed elsewhere")
    [row] = [name for name, value in old_tab.items() if value == "Widget" and "initial" not in name]
    site.send("", {**old_tab, row: "Renamed"})
    assert "1 API key was changed successfully." in site.get("").messages
    stored = list(APIKey.objects.order_by("pk").values_list("name", "condition"))
    assert stored == [("Renamed", "any"), ("Renamed elsewhere", "all")]
    assert LogEntry.objects.get().get_change_message() == "Changed Name."


@pytest.mark.usefixtures("editable")
def test_the_list_shows_a_superuser_others_keys_without_letting_them_edit(
    superuser: User, key: APIKey
) -> None:
    site = Admin(superuser)
    fields = site.get("").fields
    before = snapshot()
    site.send("", {**fields, "form-0-name": "Mine"})
    assert snapshot() == before


@pytest.mark.usefixtures("editable")
def test_a_key_deleted_while_the_list_is_saved_is_told(site: Admin, key: APIKey) -> None:
    fields = site.get("").fields
    meanwhile = Meanwhile(APIKey.objects.filter(pk=key.pk).delete, "UPDATE", "revision")
    with connection.execute_wrapper(meanwhile):
        site.send("", {**fields, "form-0-name": "Renamed"})
    assert "This key was deleted in the meantime." in site.get("").messages


def test_a_check_names_fields_that_the_list_cannot_edit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(APIKeyAdmin, "list_editable", ("domain_mode", "condition"))
    monkeypatch.setattr(APIKeyAdmin, "list_display", ("name", "domain_mode", "condition"))
    [error] = APIKeyAdmin(APIKey, admin.site).check()
    assert error.id == "allowlist.E002"
    assert error.msg == "list_editable contains 'domain_mode', which the list of keys can't write."


class ProjectInline(TabularInline):
    """What a project links to its keys."""

    model = Project
    extra = 0


def test_a_subclass_has_inlines_of_its_own(superuser: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(APIKeyAdmin, "inlines", (*APIKeyAdmin.inlines, ProjectInline))
    site = Admin(superuser)
    fields = {**new(site), "project-TOTAL_FORMS": "1", "project-0-name": "Shop"}
    assert token_in(site.send("add/", fields))
    assert APIKey.objects.get().project.name == "Shop"


# Two tabs, and somebody else's change in the middle of ours


def test_a_rename_from_an_old_tab_does_not_open_the_key(site: Admin, creator: User) -> None:
    made = APIKey.objects.create_key(name="Open", creator=creator)[0]
    old_tab = site.get(change(made)).fields
    made.restrict_domains(["a.test"])
    made.restrict_ips(["203.0.113.7"])
    site.saved(change(made), {**old_tab, "name": "Renamed"})
    made.refresh_from_db()
    assert (made.name, made.domain_mode, made.ip_mode) == ("Renamed", "listed", "listed")
    assert texts(made) == ["a.test", "203.0.113.7"]


def test_a_rename_from_an_old_tab_carries_no_other_field_back(site: Admin, key: APIKey) -> None:
    old_tab = site.get(change(key)).fields
    expires = timezone.now() + timedelta(days=1)
    APIKey.objects.filter(pk=key.pk).update(condition="any", expires_at=expires)
    key.enforcement = "report"
    key.save()
    entry = key.allowed_domains.first()
    assert entry is not None
    entry.domain = "moved.example.com"
    entry.save()
    key.revoke()
    site.saved(change(key), {**old_tab, "name": "Renamed", "allowed_domains-0-name": "Apex"})
    key.refresh_from_db()
    entry.refresh_from_db()
    assert (key.name, key.condition, key.enforcement) == ("Renamed", "any", "report")
    assert key.expires_at is not None
    assert key.revoked_at is not None
    assert (entry.name, entry.domain) == ("Apex", "moved.example.com")


def test_an_old_tab_that_was_refused_still_carries_nothing_back(site: Admin, creator: User) -> None:
    made = APIKey.objects.create_key(name="Open", creator=creator)[0]
    old_tab = site.get(change(made)).fields
    made.restrict_domains(["a.test"])
    page = site.refused(change(made), {**old_tab, "name": "Renamed", "paste_ips": "x"})
    site.saved(change(made), {**page.fields, "paste_ips": ""})
    made.refresh_from_db()
    assert (made.domain_mode, texts(made)) == ("listed", ["a.test"])


def test_rows_added_in_another_tab_stay(site: Admin, key: APIKey) -> None:
    old_tab = site.get(change(key)).fields
    key.add_domains(["other-tab.test"])
    site.saved(change(key), rows(old_tab, "allowed_domains", ("", "this-tab.test")))
    assert texts(key)[2:4] == ["other-tab.test", "this-tab.test"]


def test_a_row_removed_in_another_tab_is_named(site: Admin, key: APIKey) -> None:
    old_tab = rows(site.get(change(key)).fields, "allowed_domains", ("", "new.test"))
    key.remove_domains(["example.com"])
    before = snapshot()
    page = site.refused(change(key), {**old_tab, "name": "Renamed"})
    assert "“example.com” was removed after you opened this page. Reload the page." in page.errors
    assert snapshot() == before
    site.saved(change(key), {**old_tab, "allowed_domains-0-DELETE": "on"})
    assert texts(key)[:2] == ["https://shop.example.com", "new.test"]


def test_a_list_turned_off_in_another_tab_is_told(site: Admin, key: APIKey) -> None:
    old_tab = site.get(change(key)).fields
    key.allow_all_domains()
    page = site.refused(change(key), {**old_tab, "allowed_domains-0-name": "Apex"})
    assert "“example.com” was removed after you opened this page. Reload the page." in page.errors
    key.refresh_from_db()
    assert key.domain_mode == "all"


def test_a_key_deleted_in_another_tab_is_not_found(site: Admin, key: APIKey) -> None:
    old_tab = site.get(change(key)).fields
    key.delete()
    assert site.send(change(key), old_tab).status_code == 404
    for path in ("delete/", "revoke/", "rotate/", "history/"):
        assert site.client.post(f"{site.base}{key.pk}/{path}").status_code == 404


def test_a_key_deleted_while_it_is_saved_is_told(site: Admin, key: APIKey) -> None:
    fields = site.get(change(key)).fields
    meanwhile = Meanwhile(APIKey.objects.filter(pk=key.pk).delete, "UPDATE", "revision")
    with connection.execute_wrapper(meanwhile):
        # It deletes on this same connection, so that the refusal brings the key back.
        page = site.refused(change(key), {**fields, "name": "Renamed"})
    assert page.errors == ["This key was deleted in the meantime."]


@pytest.mark.parametrize("step", ["rotate", "revoke"])
def test_a_key_deleted_while_a_step_is_taken_is_told(site: Admin, key: APIKey, step: str) -> None:
    meanwhile = Meanwhile(APIKey.objects.filter(pk=key.pk).delete, "UPDATE", "revision")
    with connection.execute_wrapper(meanwhile):
        response = site.client.post(f"{site.base}{key.pk}/{step}/")
    assert response.status_code == 302
    assert "This key was deleted in the meantime." in site.get("").messages
    assert not LogEntry.objects.exists()


def test_a_row_removed_while_it_is_saved_is_told(site: Admin, key: APIKey) -> None:
    fields = {**site.get(change(key)).fields, "allowed_domains-0-name": "Apex", "name": "Renamed"}
    meanwhile = Meanwhile(lambda: key.remove_domains(["example.com"]), "UPDATE", "revision")
    with connection.execute_wrapper(meanwhile):
        page = site.refused(change(key), fields)
    assert meanwhile.do is None
    assert any("removed in the meantime" in error for error in page.errors)
    key.refresh_from_db()
    assert key.name == "Widget"


def test_a_deletion_of_several_asks_under_the_lock_whose_they_are(
    superuser: User, creator: User, make_user: MakeUser
) -> None:
    second = make_user("second", is_superuser=True)
    keys = [APIKey.objects.create_key(name="Ours", creator=superuser)[0] for _ in range(2)]
    picked = {"action": "delete_selected", "_selected_action": [str(key.pk) for key in keys], "post": "yes"}
    meanwhile = Meanwhile(
        lambda: APIKey.objects.filter(pk=keys[1].pk).update(creator=second), "UPDATE", "revision"
    )
    with connection.execute_wrapper(meanwhile):
        assert Admin(superuser).client.post("/admin/allowlist/apikey/", picked).status_code == 404
    assert APIKey.objects.count() == 2
    assert not LogEntry.objects.exists()


def test_a_key_deleted_twice_at_once_is_gone(site: Admin, key: APIKey) -> None:
    fields = site.get(f"{key.pk}/delete/").fields
    meanwhile = Meanwhile(APIKey.objects.filter(pk=key.pk).delete, "DELETE")
    with connection.execute_wrapper(meanwhile):
        assert site.client.post(f"{site.base}{key.pk}/delete/", fields).status_code == 302


@pytest.mark.parametrize("pk", ["0", "x", "9" * 30, "%00", "1_2F", "../1", "٣"])
@pytest.mark.parametrize("path", ["change", "delete", "history", "rotate", "revoke", "take-over"])
def test_a_key_that_there_is_not_is_not_found(superuser: User, pk: str, path: str) -> None:
    site = Admin(superuser)
    for method in ("get", "post"):
        assert getattr(site.client, method)(f"{site.base}{pk}/{path}/").status_code == 404
