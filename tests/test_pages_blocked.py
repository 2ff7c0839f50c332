"""What a key blocked, on the creator's pages: allow it, learn from it, enforce, forget it."""

from typing import Any

import pytest

from allowlist.models import APIKey, BlockedSource
from tests.conftest import User
from tests.management import texts
from tests.pages import Page, Security

PLACES = ("https://www.example.com", "https://blog.test", "https://shop.test")


@pytest.fixture
def site(creator: User) -> Security:
    """Return the creator's pages."""
    return Security(creator)


@pytest.fixture
def key(creator: User) -> APIKey:
    """Return a key that blocked three sites, and a browser that hid its page."""
    key = APIKey.objects.create_key(name="Widget", creator=creator, allowed_domains=["example.com"])[0]
    for place in PLACES:
        BlockedSource.objects.create(key=key, reason="origin_not_listed", origin=place, count=1204)
    BlockedSource.objects.create(key=key, reason="origin_hidden", count=2)
    return key


def pk_of(place: str) -> str:
    """Return the primary key of a blocked place, as forms send it."""
    return str(BlockedSource.objects.get(origin=place).pk)


def test_blocked_places_say_what_would_allow_them(site: Security, key: APIKey) -> None:
    page = site.get(f"{key.pk}/blocked/")
    assert "“https://www.example.com” isn't listed. “example.com” is, but it doesn't cover" in page.text
    assert "Requests: 1,204" in page.text
    assert "A program that isn't a browser can send any origin." in page.text
    assert "place" not in page.fields  # Nothing is selected, since anybody can plant an origin.
    assert "3,614 requests blocked" in site.get("").text.replace("3614", "3,614")


def test_one_place_or_several_are_allowed(site: Security, key: APIKey) -> None:
    page = site.saved(f"{key.pk}/blocked/", {"allow": pk_of(PLACES[0]), "place": pk_of(PLACES[1])})
    assert page.messages == ["Added to the key's lists: www.example.com."]
    several = {"place": [pk_of(place) for place in PLACES[1:]]}
    page = site.saved(f"{key.pk}/blocked/", several)
    assert texts(key) == ["example.com", "www.example.com", "https://blog.test", "https://shop.test"]
    assert BlockedSource.objects.count() == 1
    response: Any = site.client.post(f"/security/{key.pk}/blocked/", several)  # Sent from another tab.
    assert response.status_code == 404


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({}, "Select at least one place."),
        ({"place": "x"}, "Select places that this page shows."),
    ],
    ids=str,
)
def test_a_wrong_selection_gets_a_sentence(
    site: Security, key: APIKey, sent: dict[str, str], said: str
) -> None:
    response: Any = site.client.post(f"/security/{key.pk}/blocked/", sent)
    assert Page(response.content.decode()).messages == [said]


def test_a_refused_selection_stays_selected(site: Security, key: APIKey, settings: Any) -> None:
    settings.ALLOWLIST = {"MAX_DOMAINS": 2}
    chosen = {"place": [pk_of(place) for place in PLACES]}
    response: Any = site.client.post(f"/security/{key.pk}/blocked/", chosen)
    page = Page(response.content.decode())
    assert page.messages == ["A key can list at most 2 domains. This would make 4."]
    assert sorted(page.fields["place"]) == sorted(chosen["place"])
    assert texts(key) == ["example.com"]


def test_an_open_key_learns_and_then_enforces(site: Security, creator: User) -> None:
    key = APIKey.objects.create_key(name="Open", creator=creator)[0]
    fields = site.get(f"{key.pk}/start-learning/").fields
    page = site.saved(f"{key.pk}/start-learning/", fields)
    assert "Enforcing would have blocked nothing in the last 30 days." in page.text
    BlockedSource.objects.create(key=key, reason="origin_not_listed", origin=PLACES[1], count=3, reported=3)
    page = site.get(f"{key.pk}/blocked/")
    assert "Enforcing would have blocked 3 requests from 1 place in the last 30 days." in page.text
    refused = site.saved(f"{key.pk}/start-enforcing/", {})
    assert refused.messages[0].startswith("“Allow only listed domains” needs at least one domain.")
    site.saved(f"{key.pk}/blocked/", {"allow": pk_of(PLACES[1])})
    assert site.saved(f"{key.pk}/start-enforcing/", {}).messages == [
        "The key now blocks requests that aren't listed."
    ]
    key.refresh_from_db()
    assert (key.enforcement, key.domain_mode, texts(key)) == ("enforce", "listed", ["https://blog.test"])


def test_blocked_requests_are_forgotten_after_a_question(site: Security, key: APIKey) -> None:
    assert site.saved(f"{key.pk}/forget-blocked/", {}).messages == ["Forgot all blocked requests."]
    assert "No request was blocked." in site.get(f"{key.pk}/blocked/").text


def test_a_site_that_records_nothing_says_so(site: Security, key: APIKey, settings: Any) -> None:
    settings.ALLOWLIST = {"BLOCKED_PER_KEY": 0}
    assert "This site doesn't record blocked requests." in site.get(f"{key.pk}/blocked/").text
