"""The creator's pages over HTTP: what customers see and type, what it writes, and what it says."""

import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.contrib.messages import get_messages
from django.contrib.sessions.models import Session
from django.contrib.staticfiles import finders
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection
from django.db.models import QuerySet
from django.db.models.signals import post_save
from django.http import QueryDict
from django.template import engines
from django.test import Client, RequestFactory
from django.urls import include
from django.urls import path as route
from django.utils import timezone

from allowlist.forms.summary import with_counts
from allowlist.models import APIKey
from allowlist.pages.key_forms import KeyForms
from allowlist.pages.key_pages import KeyView
from allowlist.policy.tokens import Token
from allowlist.signals import key_changed
from tests.conftest import User
from tests.management import ALL_WITH_ENTRIES, Meanwhile, snapshot, texts
from tests.pages import Fields, Page, Security, rows
from tests.testapp.models import Invoice
from tests.testing import statements

ROOT = Path(__file__).parent.parent
TOKEN = re.compile(r"[ps]k_(?:live|test)_[a-z0-9]{12}[A-Za-z0-9]{32}")
WIRE = 40_000
"""How many bytes a page may have."""
FOREIGN = re.compile(
    r"""<\w[^<>]*\s(?:src|href|action)=["']?(?:https?:)?//|url\(|@import|style=|\son\w+=|<style"""
)
"""What would load from another host, or break under ``default-src 'self'``."""


@pytest.fixture
def site(creator: User) -> Security:
    """Return the creator's pages."""
    return Security(creator)


@pytest.fixture
def key(creator: User) -> APIKey:
    """Return a publishable key with two sites and one address."""
    return APIKey.objects.create_key(
        name="Widget",
        creator=creator,
        allowed_domains=["example.com", ("Shop", "https://shop.example.com")],
        allowed_ips=["203.0.113.7"],
    )[0]


def new(site: Security, **typed: Any) -> Fields:
    """Return the fields of the page that creates a key, with some typed."""
    return {**site.get("create/").fields, "name": "New", **typed}


# Creating a key


def test_a_key_is_created_with_its_lists_and_leads_to_its_token(site: Security, creator: User) -> None:
    fields = rows(new(site, domain_mode="listed"), "allowed_domains", ("Shop", "Shop.example.com"))
    page = site.saved("create/", {**fields, "paste_domains": "a.test\nhttps://b.test/\nA.test"})
    made = APIKey.objects.get()
    assert (made.creator, made.domain_mode) == (creator, "listed")
    assert texts(made) == ["shop.example.com", "a.test", "https://b.test"]
    assert TOKEN.findall(page.text)[0] == made.token
    assert page.messages == ["Created the key.", "Already listed: a.test."]
    assert f'src="http://testserver/…?key={made.token}"' in page.text
    assert f'"X-API-Key": "{made.token}"' in page.text


def test_a_secret_token_is_shown_once_and_stored_nowhere(site: Security) -> None:
    sent: Any = site.send("create/", new(site, kind="secret", environment="test"))
    shown: Any = site.client.get(sent.headers["Location"])
    [token] = set(TOKEN.findall(shown.content.decode()))
    made, parsed = APIKey.objects.get(), Token.parse(token)
    assert parsed is not None
    assert (made.digest, made.token) == (parsed.digest, "")
    secret = token.removeprefix(f"sk_test_{made.locator}")
    assert secret not in "".join(str(each) for each in (sent.headers, sent.cookies, shown.cookies))
    assert all(secret not in str(session.get_decoded()) for session in Session.objects.all())
    assert shown.headers["Cache-Control"] == "private, no-store"
    site.client.cookies["allowlist_token"] = sent.cookies["allowlist_token"].value
    again = site.get(f"{made.pk}/token/")
    assert not TOKEN.search(again.text)
    assert "The token was shown once. If it is lost, rotate the key." in again.text


def test_a_secret_token_needs_both_the_session_and_the_cookie(site: Security) -> None:
    fields = new(site, kind="secret")
    for cookie in ("", "00", "xx"):
        sent: Any = site.send("create/", {**fields, "once": f"{cookie}-"})
        site.client.cookies["allowlist_token"] = cookie
        assert not TOKEN.search(site.client.get(sent.headers["Location"]).content.decode())


def test_a_form_that_is_sent_twice_creates_one_key(site: Security) -> None:
    fields = new(site)
    site.saved("create/", fields)
    page = site.saved("create/", fields)
    assert page.messages == ["This form was sent before, and created this key."]
    assert APIKey.objects.count() == 1
    site.saved("create/", new(site))
    assert APIKey.objects.count() == 2


def test_a_form_s_number_is_of_use_to_its_user_alone(site: Security, creator: User, stranger: User) -> None:
    fields = new(site)
    site.saved("create/", fields)
    other = Security(stranger)
    other.saved("create/", {**new(other), "once": fields["once"]})
    assert APIKey.objects.get(creator=stranger) != APIKey.objects.get(creator=creator)


def test_forms_without_a_number_create_a_key_each(site: Security) -> None:
    for _time in range(2):
        site.saved("create/", {**new(site), "once": ""})
    assert APIKey.objects.count() == 2


def test_what_another_table_refuses_is_not_taken_for_a_form_sent_twice(site: Security) -> None:
    def refuse(**_kwargs: Any) -> None:
        raise IntegrityError("refused")

    post_save.connect(refuse, APIKey)
    try:
        with pytest.raises(IntegrityError, match="refused"):
            site.send("create/", new(site))
    finally:
        post_save.disconnect(refuse, APIKey)
    assert not APIKey.objects.exists()


@pytest.mark.parametrize(
    ("typed", "error"),
    [
        ({"name": ""}, "This field is required."),
        ({"paste_domains": "example.com"}, ALL_WITH_ENTRIES),
        ({"domain_mode": "listed", "paste_domains": "a.test\n*.com"}, "“*.com” would match other people's"),
        (
            {"kind": "secret", "paste_domains": "a.test"},
            "Secret keys are for servers, so they have no domain",
        ),
    ],
    ids=str,
)
def test_an_invalid_key_gets_a_sentence_and_keeps_what_was_typed(
    site: Security, typed: Fields, error: str
) -> None:
    fields = rows(new(site, paste_ips="198.51.100.1", **typed), "allowed_ips", ("Office", "198.51.100.2"))
    page = site.refused("create/", fields)
    assert any(each.startswith(error) for each in page.errors), page.errors
    assert not APIKey.objects.exists()
    assert {name: page.fields[name] for name in fields if "csrf" not in name} == {
        name: value for name, value in fields.items() if "csrf" not in name
    }


def test_a_deployment_with_one_environment_creates_keys_of_it(site: Security, settings: Any) -> None:
    settings.ALLOWLIST = {"ENVIRONMENTS": ["test"]}
    assert "Environment" not in site.get("create/").text
    site.saved("create/", {**new(site), "environment": "live"})
    assert APIKey.objects.get().environment == "test"


# A key's settings


def test_rows_and_the_box_are_saved_in_one_step(site: Security, key: APIKey) -> None:
    fields = site.get(f"{key.pk}/").fields
    fields |= {"allowed_domains-0-name": "Apex", "allowed_domains-1-DELETE": "on", "enforcement": "report"}
    fields |= {"paste_ips": "203.0.113.8, 203.0.113.7", "allowed_ips-0-expires_at": "2099-01-02T03:04"}
    page = site.saved(f"{key.pk}/", rows(fields, "allowed_domains", ("Blog", "blog.test")))
    assert texts(key) == ["example.com", "blog.test", "203.0.113.7", "203.0.113.8"]
    key.refresh_from_db()
    assert (key.enforcement, key.allowed_domains.get(domain="example.com").name) == ("report", "Apex")
    assert page.fields["allowed_ips-0-expires_at"] == "2099-01-02T03:04"
    assert page.messages == ["Saved.", "Already listed: 203.0.113.7."]


@pytest.mark.parametrize(
    ("typed", "error"),
    [
        ({"name": ""}, "This field is required."),
        ({"allowed_domains-0-domain": "a b"}, "“a b” contains a space. Enter one entry without spaces."),
        (
            {"allowed_domains-0-DELETE": "on", "allowed_domains-1-DELETE": "on"},
            "“Allow only listed domains” needs at least one domain. Add one, or choose “Allow all domains”.",
        ),
        ({"paste_ips": "203.0.113.7/24"}, "“203.0.113.7/24” starts in the middle of its network. Enter the"),
        ({"paste_domains": "\n".join(f"{n}.test" for n in range(24))}, "A key can list at most 25 domains."),
        ({"allowed_domains-1-domain": "EXAMPLE.com"}, "“example.com” is in the list already."),
        ({"expires_at": "9999-12-31T23:59"}, "This date is too far away. Leave it empty for a key that"),
        (
            {"allowed_ips-0-expires_at": "2001-01-01T00:00"},
            "This date is in the past. Choose a later one, or",
        ),
    ],
    ids=str,
)
def test_an_invalid_change_gets_a_sentence_beside_its_field(
    site: Security, key: APIKey, typed: Fields, error: str
) -> None:
    fields = {**site.get(f"{key.pk}/").fields, "name": "Renamed", "condition": "any", **typed}
    before = snapshot()
    page = site.refused(f"{key.pk}/", fields)
    assert len(page.errors) == 1
    assert page.errors[0].startswith(error)
    assert snapshot() == before
    assert {name: page.fields.get(name) for name in typed} == typed
    assert (page.fields["name"], page.fields["condition"]) == (typed.get("name", "Renamed"), "any")
    assert "Works on 2 sites and from 1 IP address, if both match; blocks everything else." in page.text


def test_the_valid_lines_of_the_box_are_added_and_the_others_stay(site: Security, key: APIKey) -> None:
    fields = {**site.get(f"{key.pk}/").fields, "paste_domains": "new-shop.com\na b\n*.com"}
    refused = site.refused(f"{key.pk}/", fields)
    assert "2 entries can't be added. The errors above say why." in refused.text
    assert "Add the valid entry" in refused.text
    page = site.saved(f"{key.pk}/", {**refused.fields, "_add_valid": "1"})
    assert "new-shop.com" in texts(key)
    assert page.fields["paste_domains"] == "a b\n*.com"
    assert site.get(f"{key.pk}/").fields["paste_domains"] == ""


def test_emptying_a_list_is_asked_about_and_can_be_undone(site: Security, key: APIKey) -> None:
    fields = {**site.get(f"{key.pk}/").fields, "domain_mode": "all", "name": "Renamed"}
    asked = Page(site.send(f"{key.pk}/", fields).content.decode())
    assert "Allowing all deletes 2 listed entries:" in asked.text
    assert "Shop: https://shop.example.com" in asked.text
    assert len(texts(key)) == 3
    page = site.saved(f"{key.pk}/", asked.fields)
    key.refresh_from_db()
    assert (key.name, key.domain_mode, texts(key)) == ("Renamed", "all", ["203.0.113.7"])
    assert f"/security/{key.pk}/restore-domains/" in page.links
    site.saved(f"{key.pk}/restore-domains/", {})
    assert texts(key) == ["example.com", "https://shop.example.com", "203.0.113.7"]
    again = site.saved(f"{key.pk}/restore-domains/", {})
    assert again.messages == ["There is nothing to restore."]


def test_the_condition_is_shown_while_both_lists_are_enabled(site: Security, key: APIKey) -> None:
    assert "condition" in site.get(f"{key.pk}/").fields
    key.allow_all_ips()
    assert "condition" not in site.get(f"{key.pk}/").fields
    assert "condition" not in site.get("create/").fields


SHAPES: list[tuple[dict[str, Any], list[str], list[str]]] = [
    (
        {"DOMAIN_MODES": ["listed"], "IP_MODES": ["all"], "EMPTY_LIST": "allow", "CONDITIONS": ["all"]},
        ["While the list is empty, every domain is allowed."],
        ["Allow all domains", "Allowed IPs"],
    ),
    (
        {"DOMAIN_MODES": ["listed"], "EMPTY_LIST": "deny"},
        ["While the list is empty, no domain is allowed.", "Allow all IPs"],
        ["Allow only listed domains"],
    ),
    (
        {"DOMAIN_FORMS": ["host"], "PUBLIC_IPS_ONLY": True},
        ["example.com is this host", "Enter the server's public IP address."],
        ["is exactly this origin", "is every subdomain"],
    ),
    (
        {"DOMAIN_FORMS": ["origin"], "IP_FORMS": ["address"], "MISSING_ORIGIN": "allow"},
        ["is exactly this origin", "Requests from servers, which name no domain, aren't affected."],
        ["is this host", "is every IP address of a network"],
    ),
]


@pytest.mark.parametrize(("conf", "shown", "hidden"), SHAPES, ids=str)
def test_settings_shape_the_page(
    site: Security, settings: Any, conf: dict[str, Any], shown: list[str], hidden: list[str]
) -> None:
    settings.ALLOWLIST = conf
    text = site.get("create/").text
    assert [each for each in shown if each not in text] == []
    assert [each for each in hidden if each in text] == []


def test_a_secret_key_has_no_domain_list(site: Security, creator: User) -> None:
    made = APIKey.objects.create_key(name="Server", creator=creator, kind="secret")[0]
    page = site.get(f"{made.pk}/")
    assert "Allowed domains" not in page.text
    site.saved(f"{made.pk}/", {**page.fields, "ip_mode": "listed", "paste_ips": "203.0.113.9"})
    assert texts(made) == ["203.0.113.9"]
    assert "curl --header" in site.get(f"{made.pk}/token/").text


def test_a_monitoring_key_may_list_nothing_yet(site: Security, creator: User) -> None:
    made = APIKey.objects.create_key(name="Learning", creator=creator)[0]
    fields = {**site.get(f"{made.pk}/").fields, "domain_mode": "listed", "enforcement": "report"}
    page = site.saved(f"{made.pk}/", fields)
    made.refresh_from_db()
    assert (made.domain_mode, made.enforcement) == ("listed", "report")
    assert "Monitor only" in page.text


def test_a_long_list_is_paged_searched_and_never_loses_a_row(
    site: Security, creator: User, settings: Any
) -> None:
    settings.ALLOWLIST = {"MAX_DOMAINS": None}
    names = [f"s{number}.example.com" for number in range(3000)]
    made = APIKey.objects.create_key(name="Long", creator=creator, allowed_domains=names)[0]
    pasted = "\n".join(f"p{number}.example.net" for number in range(300))
    last = f"{made.pk}/?allowed_domains-page=120"
    fields = site.get(last).fields
    assert fields["allowed_domains-24-domain"] == names[-1]
    site.saved(last, {**fields, "allowed_domains-24-DELETE": "on", "paste_domains": pasted})
    assert made.allowed_domains.count() == 3299
    found = site.get(f"{made.pk}/?allowed_domains-search=S1234.")
    assert found.fields["allowed_domains-0-domain"] == names[1234]
    assert found.fields["allowed_domains-INITIAL_FORMS"] == "1"
    assert site.get(f"{made.pk}/?allowed_domains-search=%00").fields["allowed_domains-INITIAL_FORMS"] == "25"


def test_a_search_leaves_room_only_below_the_limit(site: Security, creator: User) -> None:
    entries = [f"s{number}.example.com" for number in range(25)]
    made = APIKey.objects.create_key(name="Full", creator=creator, allowed_domains=entries)[0]
    fields = site.get(f"{made.pk}/?allowed_domains-search=s24").fields
    assert (fields["allowed_domains-0-domain"], "allowed_domains-1-domain" in fields) == (entries[24], False)


def test_the_form_leads_back_to_a_page_of_this_site_alone(site: Security, key: APIKey) -> None:
    fields = site.get(f"{key.pk}/").fields
    for wanted, leads_to in (
        ("/project/7/", "/project/7/"),
        ("https://evil.example/", f"/security/{key.pk}/"),
        ("//evil.example/", f"/security/{key.pk}/"),
    ):
        assert site.send(f"{key.pk}/", {**fields, "next": wanted}).headers["Location"] == leads_to


# Steps


def test_a_rotation_shows_the_new_token_once_and_is_not_repeated(site: Security, creator: User) -> None:
    made, old = APIKey.objects.create_key(name="Server", creator=creator, kind="secret")
    question = site.get(f"{made.pk}/rotate/")
    assert "Hours" in question.text.split()  # No field of the pages has a colon.
    fields = {**question.fields, "keep": "24"}
    page = site.saved(f"{made.pk}/rotate/", fields)
    [token] = set(TOKEN.findall(page.text))
    assert token != old
    before = snapshot()
    again = site.saved(f"{made.pk}/rotate/", fields)
    said = "The token was rotated after you opened this page. Nothing was changed."
    assert (again.messages, [each["token"] for each in snapshot()[0]]) == (
        [said],
        [each["token"] for each in before[0]],
    )
    assert snapshot()[0][0]["digest"] == before[0][0]["digest"]
    assert "the old token works too." in again.text
    assert site.saved(f"{made.pk}/end-old-token/", {}).messages == ["Ended the old token."]
    assert site.refused(f"{made.pk}/rotate/", {"keep": "hours"}).errors == ["Enter a number of hours."]


def test_a_key_is_revoked_and_deleted_after_a_question(site: Security, key: APIKey) -> None:
    assert "The key stops working immediately." in site.get(f"{key.pk}/revoke/").text
    page = site.saved(f"{key.pk}/revoke/", {})
    assert (page.messages, APIKey.objects.get().status) == (["Revoked the key."], "revoked")
    assert site.saved(f"{key.pk}/revoke/", {}).messages == ["This key is already revoked."]
    assert "Revoked: every request with this key is blocked." in site.get("").text
    assert "The key and its lists are deleted" in site.get(f"{key.pk}/delete/").text
    page = site.saved(f"{key.pk}/delete/", {})
    assert (page.messages, APIKey.objects.count()) == (["Deleted the key."], 0)
    assert "This API key was deleted, or it isn't yours." in site.get(f"{key.pk}/delete/", 404).text


def test_a_key_that_another_model_needs_is_kept(site: Security, key: APIKey) -> None:
    Invoice.objects.create(key=key)
    said = "This key can't be deleted because it is still used by: invoice. Revoke it instead."
    assert site.saved(f"{key.pk}/delete/", {}).messages == [said]


def test_expired_entries_are_removed_in_one_step(site: Security, key: APIKey) -> None:
    last: QuerySet[Any] = QuerySet(key.allowed_domains.model).filter(domain="example.com")
    last.update(expires_at=timezone.now() - timedelta(days=1))
    assert "Expired" in site.get(f"{key.pk}/").text
    assert site.saved(f"{key.pk}/remove-expired-domains/", {}).messages == ["Removed 1 expired entry."]
    assert texts(key) == ["https://shop.example.com", "203.0.113.7"]


def test_a_request_is_tested_and_what_is_near_is_added(site: Security, key: APIKey) -> None:
    asked = site.get(f"{key.pk}/check/")
    assert "We see you as 127.0.0.1." in asked.text
    assert asked.fields["ip"] == "127.0.0.1"
    path = f"{key.pk}/check/?origin=https://www.example.com&ip=203.0.113.7"
    text = site.get(path).text
    assert "This request is blocked: origin_not_listed." in text
    assert "“example.com” is, but it doesn't cover its subdomains. Add “www.example.com”?" in text
    page = site.saved(path, {"list": "allowed_domains", "entry": "www.example.com"})
    assert page.messages == ["“www.example.com” is listed."]
    assert "This request is allowed." in page.text
    assert site.saved(path, {"list": "allowed_domains", "entry": "www.example.com"}).messages == page.messages
    assert "“*”" in site.saved(path, {"list": "allowed_domains", "entry": "*"}).messages[0]
    assert site.get(f"{key.pk}/check/?ip=x").errors == ["Enter an IP address such as 203.0.113.7."]


# Who, and how


def test_an_expired_login_leads_back_to_the_page_and_says_what_was_lost(key: APIKey) -> None:
    visitor = Client()
    page = f"/security/{key.pk}/"
    response: Any = visitor.post(page, {"name": "Renamed"})
    assert response.headers["Location"] == f"/accounts/login/?next={page}"
    said = [str(each) for each in get_messages(response.wsgi_request)]
    assert said == ["You were logged out, so nothing was saved. Please log in again."]
    assert "messages" not in Client().get(page).cookies


def test_a_key_taken_over_in_between_is_not_written(site: Security, key: APIKey, stranger: User) -> None:
    fields = {**site.get(f"{key.pk}/").fields, "name": "Renamed"}
    take = Meanwhile(lambda: key.take_over(stranger), "UPDATE", "allowlist_apikey")
    with connection.execute_wrapper(take):
        response: Any = site.send(f"{key.pk}/", fields)
    assert response.status_code == 404
    assert "This API key was deleted, or it isn't yours." in response.content.decode()
    assert APIKey.objects.get().name == "Widget"


def test_a_key_deleted_in_between_is_missed_with_a_sentence(site: Security, key: APIKey) -> None:
    fields = {**site.get(f"{key.pk}/").fields, "name": "Renamed"}
    gone = Meanwhile(lambda: APIKey.objects.filter(pk=key.pk).delete(), "UPDATE", "allowlist_apikey")
    with connection.execute_wrapper(gone):
        assert site.send(f"{key.pk}/", fields).status_code == 404


def test_a_change_is_the_users_in_the_signal(
    site: Security, key: APIKey, creator: User, django_capture_on_commit_callbacks: Any
) -> None:
    heard: list[Any] = []

    def hear(user: Any, action: str, **kwargs: Any) -> None:
        heard.append((user, action))

    key_changed.connect(hear)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            site.saved(f"{key.pk}/", {**site.get(f"{key.pk}/").fields, "name": "Renamed"})
            site.saved("create/", new(site))
    finally:
        key_changed.disconnect(hear)
    assert heard == [(creator, "updated"), (creator, "created")]


@pytest.mark.parametrize("without", [None, "django.middleware.csrf.CsrfViewMiddleware"])
def test_a_form_without_a_csrf_token_is_refused(
    creator: User, key: APIKey, settings: Any, without: str | None
) -> None:
    settings.MIDDLEWARE = [each for each in settings.MIDDLEWARE if each != without]
    client = Client(enforce_csrf_checks=True)
    client.force_login(creator)
    for path in ("create/", f"{key.pk}/", f"{key.pk}/rotate/", f"{key.pk}/delete/", f"{key.pk}/check/"):
        assert client.post(f"/security/{path}", {"name": "x"}).status_code == 403
    page = Page(client.get(f"/security/{key.pk}/").content.decode())
    assert client.post(f"/security/{key.pk}/", page.fields).status_code == 302


def deny(user: Any) -> bool:
    """Say that nobody may have keys."""
    return False


def test_may_have_keys_comes_before_any_404(site: Security, key: APIKey, settings: Any) -> None:
    settings.ALLOWLIST = {"MAY_HAVE_KEYS": f"{__name__}.deny"}
    for path in ("", "create/", f"{key.pk}/", "987654321/", f"{key.pk}/rotate/"):
        assert "Your account can't have API keys." in site.get(path, 403).text
        assert site.send(path, {}).status_code == 403


def test_pages_are_small_and_ask_the_database_at_most_ten_times(site: Security, creator: User) -> None:
    lists: dict[str, Any] = {
        "allowed_domains": [(f"Shop {n}", f"https://shop{n}.example.com") for n in range(25)],
        "allowed_ips": [(f"Server {n}", f"203.0.113.{n}") for n in range(25)],
    }
    keys = [APIKey.objects.create_key(name=f"K{n}", creator=creator, **lists)[0] for n in range(5)]
    own = ("", "blocked/", "token/", "check/?origin=https://x.test&ip=", "rotate/", "delete/")
    for path in ("", "create/", *(f"{keys[0].pk}/{each}" for each in own)):
        with statements() as asked:
            response: Any = site.client.get(f"/security/{path}")
        html = response.content.decode()
        assert response.status_code == 200
        assert len(response.content) < WIRE, path
        assert len(asked) <= 10, path
        assert not FOREIGN.search(html), path
        assert response.headers["Cache-Control"] == "private, no-store"
    assert "K0" in site.get("").text


def test_static_files_load_nothing() -> None:
    for name in ("pages.css", "pages.js", "copy.js"):
        text = Path(str(finders.find(f"allowlist/{name}"))).read_text()
        assert not re.search(r"https?://|url\(|@import", text)
        assert len(text) < WIRE / 4


# In pages of a project's own


def test_the_tag_puts_a_keys_settings_into_any_page(key: APIKey, creator: User, stranger: User) -> None:
    for user, shown in ((creator, True), (stranger, False), (AnonymousUser(), False)):
        request = RequestFactory().get("/project/7/")
        request.user = user
        template = engines["django"].from_string("{% load allowlist %}{% allowlist_key key %}")
        html = template.render({"key": key}, request)
        assert ("example.com" in html) is shown
        assert shown or not html.strip()
        if shown:
            page = Page(html)
            assert (page.fields["next"], f'action="/security/{key.pk}/"' in html) == ("/project/7/", True)
            client = Client()
            client.force_login(creator)
            response: Any = client.post(f"/security/{key.pk}/", {**page.fields, "name": "Renamed"})
            assert response.headers["Location"] == "/project/7/"
            assert client.post(f"/security/{key.pk}/", {**page.fields, "name": ""}).status_code == 200


def test_pages_work_below_a_prefix_that_captures(site: Security, key: APIKey, settings: Any) -> None:
    settings.ROOT_URLCONF = f"{__name__}"
    site.base = "/orgs/7/security/"
    page = site.get("")
    assert f"/orgs/7/security/{key.pk}/" in page.links
    fields = {**site.get(f"{key.pk}/").fields, "paste_domains": "another-site.com"}
    page = site.saved(f"{key.pk}/", fields)
    assert page.messages[-1].startswith("“another-site.com” doesn't match https://www.another-site.com.")
    assert site.saved(f"{key.pk}/delete/", {}).messages == ["Deleted the key."]


urlpatterns = [
    route("security/", include("allowlist.pages.urls")),
    route("orgs/<int:org>/security/", include("allowlist.pages.urls", namespace="org_keys")),
    route("own/<str:pk>/", KeyView.as_view()),
]


@pytest.mark.parametrize("pk", ["x", "9" * 40, "%00", "-1", "1.5"])
def test_what_a_route_captures_may_be_anything(site: Security, settings: Any, pk: str) -> None:
    settings.ROOT_URLCONF = f"{__name__}"
    assert site.client.get(f"/own/{pk}/").status_code == 404


def test_what_is_about_no_field_is_said_above_the_form(key: APIKey) -> None:
    forms = KeyForms(with_counts(APIKey.objects.all()).get(), {"name": "Renamed"}, QueryDict())
    forms.is_valid()
    forms.show(ValidationError("Someone else is editing this key.", code="busy"))
    assert forms.form.non_field_errors() == ["Someone else is editing this key."]


WITHOUT_ADMIN = """
from django.conf import settings
settings.configure(
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "allowlist"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    ROOT_URLCONF="allowlist.pages.urls",
)
import django
django.setup()
from django.urls import reverse
print(reverse("key-list"))
"""


def test_a_project_without_the_admin_has_the_pages() -> None:
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT_ADMIN], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert (run.stdout, run.stderr) == ("/\n", "")
