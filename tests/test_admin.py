"""The admin over HTTP: what creators see and type, what it writes, and what it reports."""

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
from tests.testapp.models import Project
from tests.testing import statements

if TYPE_CHECKING:
    TabularInline = admin.TabularInline[Project, APIKey]
else:
    TabularInline = admin.TabularInline

TOKEN = re.compile(r"[ps]k_(?:live|test)_[a-z0-9]{12}[A-Za-z0-9]{32}")
LISTED = {"domain_mode": "listed"}
CONFIRMED = {"_empty_lists": "1"}
"""What the page that asks before a list is emptied sends along."""


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
    """Return the fields of the page that creates a key, with some typed."""
    return {**site.get("add/").fields, "name": "New", **typed}


def change(key: APIKey) -> str:
    """Return the path of the key's page."""
    return f"{key.pk}/change/"


def token_in(response: Any) -> str:
    """Return the only token that a response shows."""
    [token] = set(TOKEN.findall(response.content.decode()))
    assert isinstance(token, str)
    return token


# Creating a key


def test_a_created_key_shows_its_token(site: Admin, creator: User) -> None:
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


def test_a_secret_token_is_shown_once_and_stored_nowhere(site: Admin) -> None:
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
def test_each_button_that_creates_a_key_shows_the_token(site: Admin, button: str) -> None:
    fields = new(site)
    response: Any = site.client.post(f"{site.base}add/", {**fields, button: "1"})
    assert token_in(response) == APIKey.objects.get().token


@pytest.mark.parametrize("kind", ["publishable", "secret"])
def test_a_popup_hands_over_a_key_unless_its_token_is_shown_once(site: Admin, kind: str) -> None:
    response: Any = site.client.post(f"{site.base}add/?_popup=1", {**new(site, kind=kind), "_popup": "1"})
    key = APIKey.objects.get()
    if kind == "secret":
        parsed = Token.parse(token_in(response))
        assert parsed is not None
        assert key.digest == parsed.digest
    else:
        chosen = {"value": str(key.pk), "obj": str(key)}
        assert json.loads(response.context_data["popup_response_data"]) == chosen
        assert not TOKEN.search(response.content.decode())


def test_a_key_is_created_with_rows_and_pasted_lists(site: Admin) -> None:
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


def test_duplicates_in_a_new_key_are_reported(site: Admin) -> None:
    fields = rows(new(site, **LISTED), "allowed_domains", ("", "example.com"), ("", "EXAMPLE.com"))
    response = site.send("add/", {**fields, "paste_domains": "a.test, faß.de, xn--fa-hia.de"})
    assert texts(APIKey.objects.get()) == ["example.com", "a.test", "xn--fa-hia.de"]
    assert "Already listed: example.com, faß.de." in response.content.decode()


@pytest.mark.parametrize(
    ("typed", "error"),
    [
        ({"name": ""}, "This field is required."),
        ({"name": "x" * 101}, "Ensure this value has at most 100 characters (it has 101)."),
        ({"name": "a\0b"}, "Null characters are not allowed."),
        ({"kind": "public"}, "Select a valid choice. public is not one of the available choices."),
        ({"domain_mode": ""}, "This field is required."),
        ({"paste_domains": "example.com"}, ALL_WITH_ENTRIES),
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
def test_an_invalid_key_gets_a_sentence_and_keeps_what_was_typed(
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


def test_every_invalid_line_of_a_pasted_list_is_reported(site: Admin) -> None:
    page = site.refused("add/", new(site, **LISTED, paste_domains="a.test, *, null\n.b.test"))
    assert [error.split("”")[0] for error in page.errors] == ["“*", "“null", "“.b.test"]
    assert page.fields["paste_domains"] == "a.test, *, null\n.b.test"


# Changing a key


ROWS: dict[str, tuple[Fields, list[tuple[int | None, str, str]]]] = {
    "each in its own way": (
        {"0-name": "Apex", "1-domain": "https://SHOP.example.org", "2-name": "Blog", "2-domain": "Blog.test"},
        [(0, "Apex", "example.com"), (1, "Shop", "https://shop.example.org"), (None, "Blog", "blog.test")],
    ),
    "two swap their entries": (
        {"0-domain": "https://shop.example.com", "1-domain": "example.com"},
        [(0, "", "https://shop.example.com"), (1, "Shop", "example.com")],
    ),
    "a removed entry is added again": (
        {"0-DELETE": "on", "2-name": "Again", "2-domain": "example.com"},
        [(1, "Shop", "https://shop.example.com"), (None, "Again", "example.com")],
    ),
    "one takes over a removed entry": (
        {"0-DELETE": "on", "1-domain": "example.com"},
        [(1, "Shop", "example.com")],
    ),
    "another spelling is no change": (
        {"0-domain": "EXAMPLE.com."},
        [(0, "", "example.com"), (1, "Shop", "https://shop.example.com")],
    ),
}
"""What is typed into the rows of the key's domains, and the rows after that: which, name, domain."""


@pytest.mark.parametrize("case", ROWS)
def test_rows_are_changed_in_one_save(site: Admin, key: APIKey, case: str) -> None:
    typed, after = ROWS[case]
    pks = [entry.pk for entry in key.allowed_domains.all()]
    fields = site.get(change(key)).fields
    site.saved(change(key), fields | {f"allowed_domains-{name}": value for name, value in typed.items()})
    stored = key.allowed_domains.values_list("pk", "name", "domain")
    assert [(pks.index(pk) if pk in pks else None, *rest) for pk, *rest in stored] == after


def test_two_rows_cannot_have_the_same_entry(site: Admin, key: APIKey) -> None:
    fields = site.get(change(key)).fields
    page = site.refused(change(key), {**fields, "allowed_domains-1-domain": "Example.com"})
    assert page.errors == ["“example.com” is in the list already."]
    assert page.fields["allowed_domains-1-domain"] == "Example.com"


def test_what_is_pasted_or_typed_is_added_and_duplicates_are_reported(site: Admin, key: APIKey) -> None:
    fields = rows(site.get(change(key)).fields, "allowed_ips", ("Twice", "203.0.113.7"))
    fields |= {"paste_domains": "EXAMPLE.com\nnew.example.com", "paste_ips": "203.0.113.8"}
    page = site.saved(change(key), fields)
    assert texts(key) == [
        "example.com",
        "https://shop.example.com",
        "new.example.com",
        "203.0.113.7",
        "203.0.113.8",
    ]
    assert key.allowed_ips.get(ip="203.0.113.7").name == ""
    assert page.messages[:2] == ["Already listed: example.com.", "Already listed: 203.0.113.7."]
    assert page.fields["paste_domains"] == ""


@pytest.mark.parametrize("by", ["row", "paste"])
def test_a_list_is_not_disabled_and_added_to_in_one_save(site: Admin, key: APIKey, by: str) -> None:
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


@pytest.mark.parametrize(
    ("typed", "modes", "listed", "notes"),
    [
        ({"domain_mode": "all", **CONFIRMED}, ("all", "all"), [], []),
        (
            {"ip_mode": "listed", "paste_ips": "203.0.113.7"},
            ("listed", "listed"),
            ["a.test", "203.0.113.7"],
            [],
        ),
        (
            {"domain_mode": "all", "ip_mode": "listed", "paste_ips": "::1", **CONFIRMED},
            ("all", "listed"),
            ["::1"],
            [],
        ),
        (
            {"paste_ips": "203.0.113.7"},
            ("listed", "all"),
            ["a.test", "203.0.113.7"],
            ["The new IPs have no effect while “Allow all IPs” is selected."],
        ),
    ],
)
def test_modes_and_lists_are_changed_in_one_save(
    site: Admin, creator: User, typed: Fields, modes: tuple[str, str], listed: list[str], notes: list[str]
) -> None:
    made = APIKey.objects.create_key(name="K", creator=creator, allowed_domains=["a.test"])[0]
    page = site.saved(change(made), {**site.get(change(made)).fields, **typed})
    made.refresh_from_db()
    assert ((made.domain_mode, made.ip_mode), texts(made)) == (modes, listed)
    assert page.messages[:-1] == notes


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
        (
            {"expires_at_0": "9999-12-31", "expires_at_1": "23:59:59"},
            "This date is too far away. Leave it empty for a key that does not expire.",
        ),
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
def test_an_invalid_change_gets_a_sentence_and_keeps_what_was_typed(
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


def test_a_corrected_change_is_saved(site: Admin, key: APIKey) -> None:
    fields = {**site.get(change(key)).fields, "name": "Renamed", "paste_domains": "a.test, *"}
    fields |= {"expires_at_0": "2099-01-02", "expires_at_1": "03:04:05"}
    page = site.refused(change(key), rows(fields, "allowed_domains", ("Blog", "blog.example.com")))
    site.saved(change(key), {**page.fields, "paste_domains": "a.test"})
    key.refresh_from_db()
    assert (key.name, key.expires_at is not None) == ("Renamed", True)
    assert texts(key)[2:4] == ["blog.example.com", "a.test"]


def test_problems_of_both_lists_are_reported_together(site: Admin, key: APIKey) -> None:
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


@pytest.mark.parametrize("field", ["allowed_domains-TOTAL_FORMS", "allowed_domains-INITIAL_FORMS"])
@pytest.mark.parametrize("value", ["", "x", "-1", "100000", "9" * 400])
def test_a_broken_management_form_changes_nothing(site: Admin, key: APIKey, field: str, value: str) -> None:
    before = texts(key)
    assert site.send(change(key), {**site.get(change(key)).fields, field: value}).status_code in (200, 302)
    assert texts(key) == before


def test_the_expiry_date_is_set_and_cleared(site: Admin, key: APIKey) -> None:
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


def test_kind_environment_token_and_creator_cannot_be_posted(
    site: Admin, key: APIKey, stranger: User
) -> None:
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


# What the settings let creators choose


@pytest.mark.parametrize(
    ("conf", "field", "other"),
    [
        ({"DOMAIN_MODES": ("listed",), "EMPTY_LIST": "deny"}, "domain_mode", "all"),
        ({"IP_MODES": ("all",)}, "ip_mode", "all"),
        ({"CONDITIONS": ("by_source",)}, "condition", "any"),
    ],
)
def test_one_choice_hides_the_control(
    site: Admin, key: APIKey, settings: Any, conf: dict[str, Any], field: str, other: str
) -> None:
    assert field in site.get("add/").fields
    settings.ALLOWLIST = conf
    assert field not in site.get("add/").fields
    assert field not in site.get(change(key)).fields
    stored = getattr(key, field)
    site.saved(change(key), {**site.get(change(key)).fields, field: other})
    key.refresh_from_db()
    assert getattr(key, field) == stored
    [value] = next(iter(conf.values()))
    site.send("add/", new(site))
    assert getattr(APIKey.objects.get(name="New"), field) == value


LISTS = [("DOMAIN_MODES", "allowed_domains", "paste_domains"), ("IP_MODES", "allowed_ips", "paste_ips")]


@pytest.mark.parametrize(("setting", "field", "box"), LISTS)
def test_a_list_that_cannot_hold_entries_is_hidden(
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


def test_a_new_key_starts_with_the_first_choice_of_the_settings(site: Admin, settings: Any) -> None:
    settings.ALLOWLIST = {
        "CONDITIONS": ("any", "all"),
        "DOMAIN_MODES": ("listed", "all"),
        "EMPTY_LIST": "allow",
    }
    fields = site.get("add/").fields
    assert (fields["condition"], fields["domain_mode"], fields["ip_mode"]) == ("any", "listed", "all")


def test_a_key_keeps_a_choice_that_the_settings_no_longer_offer(
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


# Ownership narrows Django's permissions and never widens them


@pytest.fixture
def narrow(make_user: MakeUser) -> Callable[..., APIKey]:
    """Return a function that creates a key of a user with these model permissions only."""

    def make(*codenames: str) -> APIKey:
        user = make_user("narrow", is_staff=True)
        permissions = Permission.objects.filter(content_type__app_label="allowlist", codename__in=codenames)
        assert len(permissions) == len(codenames)
        user.user_permissions.set(permissions)
        return APIKey.objects.create_key(name="K", creator=user, allowed_domains=["a.test", "b.test"])[0]

    return make


@pytest.mark.parametrize(
    ("permissions", "typed", "after"),
    [
        (
            {"view_alloweddomain", "view_allowedip", "add_allowedip"},
            {"paste_domains": "c.test", "allowed_domains-2-domain": "d.test", "paste_ips": "203.0.113.7"},
            ["a.test", "b.test", "203.0.113.7"],
        ),
        (
            {"view_alloweddomain", "add_alloweddomain"},
            {"allowed_domains-0-domain": "c.test", "allowed_domains-1-DELETE": "on"},
            ["a.test", "b.test"],
        ),
        (
            {"view_alloweddomain", "change_alloweddomain"},
            {"allowed_domains-1-DELETE": "on"},
            ["a.test", "b.test"],
        ),
        (set(), {"domain_mode": "all", **CONFIRMED}, []),
    ],
    ids=str,
)
def test_permissions_for_entries_narrow_what_is_saved(
    narrow: Callable[..., APIKey], permissions: set[str], typed: Fields, after: list[str]
) -> None:
    key = narrow("view_apikey", "change_apikey", *permissions)
    site = Admin(key.creator)
    page = site.get(change(key))
    assert ("a.test" in page.text) is ("view_alloweddomain" in permissions)
    assert ("paste_domains" in page.fields) is ("add_alloweddomain" in permissions)
    site.saved(change(key), {**page.fields, "allowed_domains-TOTAL_FORMS": "3", **typed})
    assert texts(key) == after


def test_permission_to_view_shows_no_controls(narrow: Callable[..., APIKey]) -> None:
    made = narrow("view_apikey", "view_alloweddomain")
    site = Admin(made.creator)
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
        ("rotate", "The key gets a new token. Choose how long the current token keeps working."),
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
    pages = [link.split("/")[-2] for link in links if str(key.pk) in link.split("/")]
    assert pages[:3] == ["test", "rotate", "revoke"]
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
def test_a_step_on_a_key_revoked_in_another_tab_is_refused(
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


def test_the_list_shows_names_hints_and_status_but_no_token(site: Admin, key: APIKey) -> None:
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


GUESSES = """
digest digest__startswith previous_digest__gt token__startswith locator__contains revision pk__in creator
creator__id creator__password__startswith name__startswith allowed_ips allowed_domains__domain__contains
project__name
"""


@pytest.mark.parametrize("lookup", GUESSES.split())
def test_lookups_that_could_guess_a_digest_are_refused(site: Admin, key: APIKey, lookup: str) -> None:
    assert site.client.get(f"{site.base}?{lookup}=a").status_code == 400


@pytest.mark.parametrize(
    "query", ["kind__nonsense=1", "kind__in=", "domain_mode__isnull=x", "p=x", "o=99", "all=", "e=1"]
)
def test_an_invalid_query_of_the_list_is_not_an_error(site: Admin, key: APIKey, query: str) -> None:
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


def test_the_history_names_changes_without_duplicates(site: Admin, key: APIKey) -> None:
    fields = rows(
        site.get(change(key)).fields, "allowed_domains", ("Twice", "example.com"), ("Blog", "b.test")
    )
    fields |= {"name": "Renamed", "paste_domains": "example.com, new.test", "paste_ips": "203.0.113.8"}
    site.saved(change(key), fields)
    said = LogEntry.objects.get().get_change_message()
    assert said == (
        "Changed Name. Added allowed domain “Blog: b.test”. Added allowed domain “new.test”. "
        "Added allowed IP address “203.0.113.8”."
    )
    assert said in site.get(f"{key.pk}/history/").text


def test_save_as_new_creates_a_key_of_ones_own(site: Admin, key: APIKey, creator: User) -> None:
    fields = {**site.get(change(key)).fields, "kind": "publishable", "environment": "live"}
    response: Any = site.client.post(site.base + change(key), {**fields, "_saveasnew": "1"})
    assert response.status_code == 200
    assert texts(key) == ["example.com", "https://shop.example.com", "203.0.113.7"]
    assert {each.creator for each in APIKey.objects.all()} == {creator}


@pytest.mark.parametrize(
    ("path", "typed", "actions"),
    [
        ("add/", {"name": "New", "paste_domains": "a.test", **LISTED}, ["created"]),
        ("{pk}/change/", {"paste_ips": "203.0.113.8", "domain_mode": "all", **CONFIRMED}, ["updated"]),
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


def test_a_custom_site_links_only_to_itself(creator: User, key: APIKey, superuser: User) -> None:
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


@pytest.mark.parametrize(("limit", "shown"), [(200, "80"), (201, "81"), (None, "81")])
def test_a_page_of_rows_has_a_blank_row_unless_the_list_is_full(
    site: Admin, large: APIKey, settings: Any, limit: int | None, shown: str
) -> None:
    settings.ALLOWLIST = {"MAX_DOMAINS": limit}
    assert site.get(change(large)).fields["allowed_domains-TOTAL_FORMS"] == shown


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


def test_a_page_looks_up_the_owner_once(site: Admin, key: APIKey, creator: User) -> None:
    with statements() as asked:
        site.get(change(key))
    assert sum("creator_id" in sql.partition("WHERE")[2] for sql in asked) == 2  # And once to find it.


@pytest.mark.parametrize("seen", ["", "x", "e30:x:y", "\x00"])
def test_rows_without_what_they_showed_are_compared_with_the_database(
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
        ("creator__id__exact={creator}", 200),
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
    with timezone.override("UTC"):  # Any other needs MariaDB's tables of time zones.
        assert site.client.get(site.base + "?" + query.format(creator=key.creator_id)).status_code == status


@pytest.fixture
def editable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a key's own fields be edited in the list."""
    fields = ("name", "condition", "enforcement", "expires_at")
    monkeypatch.setattr(APIKeyAdmin, "list_editable", fields)
    monkeypatch.setattr(APIKeyAdmin, "list_display", ("hint", *fields))


@pytest.mark.usefixtures("editable")
def test_the_list_writes_only_the_fields_that_were_edited(site: Admin, key: APIKey, creator: User) -> None:
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
def test_a_superuser_cannot_edit_others_keys_in_the_list(superuser: User, key: APIKey) -> None:
    site = Admin(superuser)
    fields = site.get("").fields
    before = snapshot()
    assert site.send("", {**fields, "form-0-name": "Mine"}).status_code == 302
    assert snapshot() == before


@pytest.mark.usefixtures("editable")
def test_a_key_deleted_while_the_list_is_saved_is_reported(site: Admin, key: APIKey) -> None:
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


# Two tabs, and someone else's change in the middle of ours


def test_a_rename_from_an_old_tab_does_not_open_the_key(site: Admin, creator: User) -> None:
    made = APIKey.objects.create_key(name="Open", creator=creator)[0]
    old_tab = site.get(change(made)).fields
    made.restrict_domains(["a.test"])
    made.restrict_ips(["203.0.113.7"])
    site.saved(change(made), {**old_tab, "name": "Renamed"})
    made.refresh_from_db()
    assert (made.name, made.domain_mode, made.ip_mode) == ("Renamed", "listed", "listed")
    assert texts(made) == ["a.test", "203.0.113.7"]


def test_a_rename_from_an_old_tab_restores_no_other_field(site: Admin, key: APIKey) -> None:
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
    said = "Changed Name. Changed Name for allowed domain “Apex: moved.example.com”."
    assert LogEntry.objects.get().get_change_message() == said


def test_an_old_tab_that_was_refused_restores_nothing_either(site: Admin, creator: User) -> None:
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


def test_a_key_deleted_in_another_tab_is_not_found(site: Admin, key: APIKey) -> None:
    old_tab = site.get(change(key)).fields
    key.delete()
    assert site.send(change(key), old_tab).status_code == 404
    for path in ("delete/", "revoke/", "rotate/", "history/"):
        assert site.client.post(f"{site.base}{key.pk}/{path}").status_code == 404


def test_a_key_deleted_while_it_is_saved_is_reported(site: Admin, key: APIKey) -> None:
    fields = site.get(change(key)).fields
    meanwhile = Meanwhile(APIKey.objects.filter(pk=key.pk).delete, "UPDATE", "revision")
    with connection.execute_wrapper(meanwhile):
        # It deletes on this same connection, so that the refusal brings the key back.
        page = site.refused(change(key), {**fields, "name": "Renamed"})
    assert page.errors == ["This key was deleted in the meantime."]


@pytest.mark.parametrize("step", ["rotate", "revoke"])
def test_a_key_deleted_while_a_step_is_taken_is_reported(site: Admin, key: APIKey, step: str) -> None:
    meanwhile = Meanwhile(APIKey.objects.filter(pk=key.pk).delete, "UPDATE", "revision")
    with connection.execute_wrapper(meanwhile):
        response = site.client.post(f"{site.base}{key.pk}/{step}/")
    assert response.status_code == 302
    assert "This key was deleted in the meantime." in site.get("").messages
    assert not LogEntry.objects.exists()


def test_a_row_removed_while_it_is_saved_is_reported(site: Admin, key: APIKey) -> None:
    fields = {**site.get(change(key)).fields, "allowed_domains-0-name": "Apex", "name": "Renamed"}
    meanwhile = Meanwhile(lambda: key.remove_domains(["example.com"]), "UPDATE", "revision")
    with connection.execute_wrapper(meanwhile):
        page = site.refused(change(key), fields)
    assert meanwhile.do is None
    assert any("removed in the meantime" in error for error in page.errors)
    key.refresh_from_db()
    assert key.name == "Widget"


def test_deleting_several_keys_checks_their_owner_under_the_lock(
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
def test_a_missing_key_is_not_found(superuser: User, pk: str, path: str) -> None:
    site = Admin(superuser)
    for method in ("get", "post"):
        assert getattr(site.client, method)(f"{site.base}{pk}/{path}/").status_code == 404
