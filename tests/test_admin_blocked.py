"""The admin's section about blocked requests: what it says of each place, and what its buttons do."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.utils import timezone

from allowlist.forms import blocked_section as blocked_section_module
from allowlist.forms.blocked_actions import learnable
from allowlist.forms.blocked_section import blocked_section
from allowlist.forms.summary import with_counts
from allowlist.models import APIKey, BlockedSource
from tests.conftest import User
from tests.management import snapshot, texts
from tests.pages import Admin, Page
from tests.testing import EVIL, call, statements

WWW, OTHER, NEW = "https://www.example.com", "https://other.example", "198.51.100.9"
SERVER_CHANGED = "If this is your server's IP address, which may have changed"
FORGED = "A program that isn't a browser can send any origin. Allow only websites that you know."


@pytest.fixture
def site(creator: User) -> Admin:
    """Return the creator's admin."""
    return Admin(creator)


@pytest.fixture
def key(creator: User) -> APIKey:
    """Return a key with a site and an address."""
    return APIKey.objects.create_key(
        name="Widget", creator=creator, allowed_domains=["example.com"], allowed_ips=["203.0.113.7"]
    )[0]


def blocked(key: APIKey, place: str, **fields: Any) -> BlockedSource:
    """Return a row about a place, an origin or an address, that the key blocked."""
    is_page = "//" in place
    where = {"origin": place} if is_page else {"ip": place}
    reason = "origin_not_listed" if is_page else "ip_not_listed"
    row = BlockedSource(key=key, **{"reason": reason, **where, **fields})
    row.save()
    return row


def page_of(key: APIKey) -> str:
    """Return the path of the key's page."""
    return f"{key.pk}/change/"


def allow(site: Admin, key: APIKey, **sent: Any) -> Page:
    """Send the form of the section, and return the next page."""
    return site.saved(f"{key.pk}/blocked/allow/", sent)


# What is said of a place


@pytest.mark.parametrize(
    ("row", "label", "advice", "suggestion"),
    [
        (
            {"place": WWW},
            "Website not listed",
            [
                (
                    "“https://www.example.com” isn't listed. “example.com” is, but it doesn't cover its "
                    "subdomains. Add “www.example.com”?"
                )
            ],
            "www.example.com",
        ),
        (
            {"place": OTHER},
            "Website not listed",
            [
                (
                    "Add this origin to the key's allowed domains. An entry doesn't cover subdomains "
                    "such as www, and one for https:// doesn't cover http://."
                )
            ],
            OTHER,
        ),
        (
            {"place": "https://example.com"},
            "Website not listed",
            ["The key's domain list doesn't block this any more."],
            "",
        ),
        (
            {"place": "203.0.113.9"},
            "IP address not listed",
            [
                (
                    "“203.0.113.9” isn't listed. “203.0.113.7” is, in the same network: the server's address "
                    "may have changed. Add “203.0.113.9”?"
                )
            ],
            "203.0.113.9",
        ),
        (
            {"place": "203.0.113.7"},
            "IP address not listed",
            ["The key's IP list doesn't block this any more."],
            "",
        ),
        (
            {"place": "", "reason": "ip_unknown"},
            "Unknown IP address",
            [
                (
                    "Ask the operator of this service to check its proxy settings (TRUSTED_PROXIES, "
                    "CLIENT_IP_HEADER)."
                )
            ],
            "",
        ),
        ({"place": "", "reason": "of_tomorrow"}, "of_tomorrow", [""], ""),
    ],
    ids=str,
)
def test_a_place_is_explained_in_words(
    key: APIKey, row: dict[str, str], label: str, advice: list[str], suggestion: str
) -> None:
    blocked(key, **row)
    [place] = blocked_section(key).places
    assert (place.label, list(place.advice), place.suggestion) == (label, advice, suggestion)


@pytest.mark.parametrize(
    ("how", "address", "stored", "advice", "suggestion"),
    [
        ("full", "192.0.2.5", "192.0.2.5", SERVER_CHANGED, "192.0.2.5"),
        ("full", "10.0.0.5", "10.0.0.5", "This IP address is private. Allow it only if", "10.0.0.5"),
        ("network", "192.0.2.5", "192.0.2.0/24", "Only the network is recorded here.", ""),
        ("network", "10.0.0.5", "10.0.0.0/24", "This IP address is private. Allow it only if", ""),
        ("none", "192.0.2.5", "", "IP addresses aren't recorded here.", ""),
    ],
)
def test_each_value_of_blocked_ips_shows_what_it_keeps(
    site: Admin, key: APIKey, settings: Any, how: str, address: str, stored: str, advice: str, suggestion: str
) -> None:
    settings.ALLOWLIST = {"BLOCKED_IPS": how}
    call("/widget/alone/", key.token, origin="https://example.com", REMOTE_ADDR=address)
    [place] = blocked_section(key).places
    assert (place.place, place.suggestion) == (stored, suggestion)
    text = site.get(page_of(key)).text
    assert advice in text
    assert (address in text) is (how == "full")


# The section


def test_a_page_shows_what_was_blocked_and_what_would_allow_it(site: Admin, key: APIKey) -> None:
    blocked(key, WWW, count=1204, reported=4)
    blocked(key, EVIL, count=9, reported=9)
    blocked(key, OTHER, last_seen_at=timezone.now() - timedelta(days=31))
    response: Any = site.client.get(site.base + page_of(key))
    text = Page(response.content.decode()).text
    shown = (
        "Blocked in the last 30 days",
        WWW,
        "1,204",
        "4 of them were let through",
        "all let through",
        FORGED,
    )
    assert [said for said in (*shown, "Allow www.example.com", "Allow selected") if said not in text] == []
    assert OTHER not in text
    assert 'name="place"' in response.content.decode()
    assert " checked" not in response.content.decode().partition('id="blocked"')[2].partition("</section>")[0]


def test_nothing_is_selected_where_no_place_can_be_allowed(site: Admin, key: APIKey) -> None:
    blocked(key, "", reason="origin_hidden")
    html = site.client.get(site.base + page_of(key)).content.decode()
    assert "Hidden page" in html
    assert "Allow selected" not in html
    assert 'name="place"' not in html


@pytest.mark.parametrize(
    ("per_key", "said"), [(100, "No request was blocked."), (0, "This site doesn't record blocked requests.")]
)
def test_a_page_without_blocked_requests_says_so(
    site: Admin, key: APIKey, settings: Any, per_key: int, said: str
) -> None:
    settings.ALLOWLIST = {"BLOCKED_PER_KEY": per_key}
    assert said in site.get(page_of(key)).text


def test_a_page_costs_the_same_for_many_blocked_places(site: Admin, key: APIKey) -> None:
    sent = []
    for number in range(2):
        for each in range(5):
            blocked(key, f"https://{number}-{each}.example")
        with statements() as asked:
            site.get(page_of(key))
        sent.append(len(asked))
    assert sent[0] == sent[1] <= 15


def test_a_long_list_of_places_has_pages(site: Admin, key: APIKey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocked_section_module, "PLACES_A_PAGE", 1)
    blocked(key, EVIL, last_seen_at=timezone.now() - timedelta(days=1))
    blocked(key, OTHER)
    first, second = (site.get(f"{page_of(key)}?blocked-page={number}").text for number in "12")
    shown = [(f"Allow {EVIL}" in text, f"Allow {OTHER}" in text) for text in (first, second)]
    assert shown == [(False, True), (True, False)]


# Allowing


def test_one_place_is_allowed_with_its_button(site: Admin, key: APIKey) -> None:
    row, kept = blocked(key, WWW), blocked(key, OTHER)
    page = allow(site, key, allow=str(row.pk))
    assert page.messages == ["Added to the key's lists: www.example.com."]
    assert texts(key) == ["example.com", "www.example.com", "203.0.113.7"]
    assert list(key.blocked_sources.all()) == [kept]
    assert LogEntry.objects.get().get_change_message() == "Added allowed domain “www.example.com”."


def test_selected_places_are_allowed_together(site: Admin, key: APIKey) -> None:
    rows = [blocked(key, place) for place in (WWW, OTHER, NEW)]
    allow(site, key, place=[str(row.pk) for row in rows])
    assert texts(key) == ["example.com", "www.example.com", OTHER, "203.0.113.7", NEW]
    assert not key.blocked_sources.exists()


@pytest.mark.parametrize(
    ("places", "error"),
    [
        ([], "Select at least one place."),
        (["x"], "Select places that this page shows."),
        (["1" * 19], "Select places that this page shows."),
        ([WWW, "https://example.com"], "“https://example.com” can't be allowed by an entry."),
        ([WWW, OTHER], "A key can list at most 2 domains. This would make 3."),
    ],
    ids=str,
)
def test_selected_places_are_allowed_all_or_none_and_stay_selected(
    site: Admin, key: APIKey, settings: Any, places: list[str], error: str
) -> None:
    settings.ALLOWLIST = {"MAX_DOMAINS": 2}
    sent = [str(blocked(key, place).pk) if "//" in place else place for place in places]
    before = snapshot()
    page = allow(site, key, place=sent)
    assert [said[: len(error)] for said in page.messages] == [error]
    assert snapshot() == before
    html = site.client.post(f"{site.base}{key.pk}/blocked/allow/", {"place": sent}, follow=True)
    boxes = [part.partition(">")[0] for part in html.content.decode().split('name="place"')[1:]]
    assert all("checked" in box for box in boxes if "x" not in sent)


def test_a_link_of_someone_else_selects_nothing(site: Admin, key: APIKey, creator: User) -> None:
    other = APIKey.objects.create_key(name="Other", creator=creator, allowed_domains=["a.test"])[0]
    row = blocked(key, WWW)
    chosen = site.client.post(f"{site.base}{other.pk}/blocked/allow/", {"place": ["x", str(row.pk)]})
    query = chosen.headers["Location"].partition("?")[2]
    for forged in (query, f"chosen={row.pk}", "chosen=x"):
        response: Any = site.client.get(f"{site.base}{page_of(key)}?{forged}")
        section = response.content.decode().partition('name="place"')[2].partition(">")[0]
        assert "checked" not in section


def test_a_place_of_another_key_is_not_found(site: Admin, key: APIKey, stranger: User) -> None:
    theirs = APIKey.objects.create_key(name="Theirs", creator=stranger, allowed_domains=["a.test"])[0]
    rows = [str(blocked(key, WWW).pk), str(blocked(theirs, OTHER).pk)]
    before = snapshot()
    for sent in ({"allow": rows[1]}, {"place": rows}, {"place": [rows[1]]}, {"allow": "999999999"}):
        response = site.client.post(f"{site.base}{key.pk}/blocked/allow/", sent)
        assert response.status_code == 404
    assert snapshot() == before
    assert BlockedSource.objects.count() == 2


def test_a_place_is_allowed_only_by_staff_who_may_add_entries(
    site: Admin, key: APIKey, creator: User
) -> None:
    creator.user_permissions.remove(Permission.objects.get(codename="add_alloweddomain"))
    row, address = blocked(key, WWW), blocked(key, NEW)
    assert "Allow www" not in site.client.get(site.base + page_of(key)).content.decode()
    before = snapshot()
    assert site.client.post(f"{site.base}{key.pk}/blocked/allow/", {"allow": row.pk}).status_code == 403
    assert snapshot() == before
    allow(site, key, allow=str(address.pk))
    assert NEW in texts(key)


def test_what_was_blocked_is_forgotten_after_a_question(site: Admin, key: APIKey) -> None:
    blocked(key, WWW)
    step = f"{key.pk}/forget-blocked/"
    assert any(step in link for link in site.get(page_of(key)).links)
    assert "You can't undo this." in site.get(step).text
    assert key.blocked_sources.exists()
    assert site.saved(step, {}).messages == ["Forgot all blocked requests."]
    assert not key.blocked_sources.exists()


# Monitor only, and learning


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ([1000, 200, 4], "Enforcing would have blocked 1,204 requests from 3 places in the last 30 days."),
        ([1, 0], "Enforcing would have blocked 1 request from 1 place in the last 30 days."),
        ([], "Enforcing would have blocked nothing in the last 30 days."),
    ],
)
def test_a_key_that_only_monitors_says_what_enforcing_would_do(
    site: Admin, key: APIKey, counts: list[int], said: str
) -> None:
    for number, count in enumerate(counts):
        blocked(key, f"https://{number}.example", count=count + 1, reported=count)
    assert "Enforcing would" not in site.get(page_of(key)).text
    key.enforcement = "report"
    key.save()
    assert said in site.get(page_of(key)).text


def test_a_key_that_only_monitors_enforces_in_one_step(site: Admin, key: APIKey) -> None:
    key.enforcement = "report"
    key.save()
    step = f"{key.pk}/start-enforcing/"
    assert step in site.client.get(site.base + page_of(key)).content.decode()
    assert site.saved(step, {}).messages == ["The key now blocks requests that aren't listed."]
    key.refresh_from_db()
    assert key.enforcement == "enforce"
    assert step not in site.client.get(site.base + page_of(key)).content.decode()
    assert "already blocks" in site.saved(step, {}).messages[0]


@pytest.mark.parametrize(
    ("sent", "modes"),
    [
        ({}, ("listed", "all")),
        ({"lists": "allowed_domains"}, ("listed", "all")),
        ({"lists": "allowed_ips"}, ("all", "listed")),
        ({"lists": "both"}, ("listed", "listed")),
    ],
    ids=str,
)
def test_an_open_key_learns_and_is_enforced(
    site: Admin, creator: User, sent: dict[str, str], modes: tuple[str, str]
) -> None:
    key, token = APIKey.objects.create_key(name="Open", creator=creator)
    assert "Nothing is blocked meanwhile." in site.get(page_of(key)).text
    asked = site.get(f"{key.pk}/start-learning/")
    assert "Both. Condition: Domain and IP must both match" in asked.text
    site.saved(f"{key.pk}/start-learning/", sent)
    key.refresh_from_db()
    assert (key.enforcement, (key.domain_mode, key.ip_mode)) == ("report", modes)
    assert call("/widget/alone/", token, origin=WWW).status_code == 200
    page = site.saved(f"{key.pk}/start-enforcing/", {})
    assert ["needs at least one" in said for said in page.messages] == [True]
    [place] = blocked_section(key).places
    allow(site, key, allow=str(place.pk))
    if modes == ("listed", "listed"):
        call("/widget/alone/", token, origin=WWW)
        [place] = blocked_section(key).places
        allow(site, key, allow=str(place.pk))
    site.saved(f"{key.pk}/start-enforcing/", {})
    key.refresh_from_db()
    assert key.enforcement == "enforce"
    assert call("/widget/alone/", token, origin=WWW).status_code == 200
    assert call("/widget/alone/", token, origin=OTHER, REMOTE_ADDR=NEW).status_code == 403


@pytest.mark.parametrize(
    ("fields", "conf", "offered"),
    [
        ({}, {}, ["allowed_domains", "allowed_ips"]),
        ({"kind": "secret"}, {}, ["allowed_ips"]),
        ({}, {"IP_MODES": ("all",)}, ["allowed_domains"]),
        ({}, {"BLOCKED_PER_KEY": 0}, []),
        ({"allowed_domains": ["a.test"]}, {}, []),
        ({"environment": "test"}, {"ENVIRONMENTS": ("live",)}, []),
        ({"enforcement": "report"}, {}, ["allowed_domains", "allowed_ips"]),
    ],
    ids=str,
)
def test_only_an_open_key_learns_what_it_may_list(
    site: Admin, creator: User, settings: Any, fields: Any, conf: Any, offered: list[str]
) -> None:
    settings.ALLOWLIST = conf
    made = APIKey.objects.create_key(name="K", creator=creator, **fields)[0]
    key = with_counts(APIKey.objects.filter(pk=made.pk)).get()
    assert [kind.field for kind in learnable(key)] == offered
    assert (f"{key.pk}/start-learning/" in str(site.get(page_of(key)).links)) is bool(offered)
    page = site.get(f"{key.pk}/start-learning/", 200 if offered else 302)
    assert ("Both." in page.text) is (len(offered) > 1)


def test_a_list_that_no_key_can_learn_is_refused(site: Admin, creator: User) -> None:
    key = APIKey.objects.create_key(name="K", creator=creator, kind="secret")[0]
    before = snapshot()
    page = site.refused(f"{key.pk}/start-learning/", {"lists": "allowed_domains"})
    assert page.errors == ["Select a valid choice. allowed_domains is not one of the available choices."]
    assert snapshot() == before


# The list of keys


def test_the_list_counts_the_blocked_requests_of_each_key(site: Admin, key: APIKey, settings: Any) -> None:
    blocked(key, WWW, count=1200)
    blocked(key, OTHER, count=4)
    blocked(key, EVIL, count=7, last_seen_at=timezone.now() - timedelta(days=31))
    page = site.get("?o=-5")
    assert "1,204 in 30 days" in page.text
    assert f"{site.base}{page_of(key)}#blocked" in page.links
    settings.ALLOWLIST = {"BLOCKED_PER_KEY": 0}
    assert "in 30 days" not in site.get("").text
