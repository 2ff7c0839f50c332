"""innkept's page: a publishable key, locked to the domains you actually run on, sentence by sentence."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import timezone

from allowlist.models import APIKey
from example_project.configurator.demo import Addresses
from example_project.configurator.models import Lead
from tests.clock import MINUTE, Clock
from tests.pages import Admin
from tests.recipes import load
from tests.testing import Reply, call, reason, set_raw

pytestmark = [pytest.mark.django_db, pytest.mark.recipe("innkept")]

CONFIG, SUBMIT = "/api/widget/v1/config", "/api/widget/v1/submit"
HOTEL, BOOKING, COPYCAT = "https://example.com", "https://book.example.com", "https://copycat.example.net"
LEAD = {"name": "Ada", "email": "ada@example.org", "choices": {"size": "120", "wood": "oak"}}
SENTENCE = "This configurator isn't authorised on this domain."
CALLER, OTHER_CALLER = "198.51.100.9", "203.0.113.7"
LOCAL = ("http://localhost", "http://localhost:5173", "http://127.0.0.1:8000", "https://localhost:3000")


@pytest.fixture
def key(creator: Any) -> APIKey:
    """Return a live key without a list yet."""
    return APIKey.objects.create_key(name="Website", creator=creator)[0]


@pytest.fixture
def locked(key: APIKey) -> APIKey:
    """Return the key, locked to the hotel's domain."""
    key.add_domains(["example.com"])
    return key


@pytest.fixture
def dashboard(creator: Any) -> Admin:
    """Return the admin of the key's creator."""
    return Admin(creator)


def config(key: APIKey, origin: str | None = None, **options: Any) -> Reply:
    """Load the widget's config from a page of ``origin``."""
    return call(CONFIG, key.token, origin=origin, **options)


def submit(key: APIKey, origin: str | None = None, **options: Any) -> Reply:
    """Submit a lead from a page of ``origin``."""
    return call(SUBMIT, key.token, method="POST", data=LEAD, origin=origin, **options)


def works(key: APIKey, *origins: str) -> list[str]:
    """Return those of ``origins`` on which the widget loads."""
    return [origin for origin in origins if config(key, origin).status_code == 200]


def save(dashboard: Admin, key: APIKey, **typed: str) -> None:
    """Fill in some fields of the key's page and save it."""
    page = f"{key.pk}/change/"
    dashboard.saved(page, {**dashboard.get(page).fields, **typed})


# How it works


def test_the_publishable_key_is_no_secret(locked: APIKey, dashboard: Admin) -> None:
    """'Your publishable key sits in the HTML of any page … so by definition, it's not a secret.'"""
    assert locked.token.startswith("pk_live_")
    assert locked.token in dashboard.get(f"{locked.pk}/change/").text
    # It may be in a URL, too, as the query parameter of an <img> or <iframe>.
    assert call(f"{CONFIG}?key={locked.token}", origin=HOTEL).status_code == 200


def test_a_copied_key_brings_no_fake_leads(locked: APIKey) -> None:
    """'stops anyone else from picking it up and using it on their own site to spam your CRM with fake
    leads'
    """
    assert submit(locked, COPYCAT).status_code == 403
    assert not Lead.objects.exists()
    assert submit(locked, HOTEL).status_code == 201
    assert [(lead.key, lead.email) for lead in Lead.objects.all()] == [(locked, LEAD["email"])]


HEADERS = [
    ({"Origin": HOTEL}, None),
    ({"Referer": f"{HOTEL}/book?room=2"}, None),
    ({"Origin": HOTEL, "Referer": f"{COPYCAT}/"}, None),
    ({"Origin": COPYCAT}, "origin_not_listed"),
    ({"Referer": f"{COPYCAT}/book"}, "origin_not_listed"),
    ({"Origin": COPYCAT, "Referer": f"{HOTEL}/"}, "origin_not_listed"),
    ({"Origin": "null", "Referer": f"{HOTEL}/"}, "origin_opaque"),
    ({"Origin": f"{HOTEL}/path"}, "origin_malformed"),
    # 'Some browsers strip the Origin header on cross-origin requests in unusual setups'
    ({"Sec-Fetch-Site": "cross-site"}, "origin_hidden"),
    ({}, "origin_missing"),
]


@pytest.mark.parametrize(("headers", "why"), HEADERS, ids=str)
def test_both_endpoints_check_origin_or_referer(
    locked: APIKey, headers: dict[str, str], why: str | None
) -> None:
    """'For every request to /api/widget/v1/config and /api/widget/v1/submit, we check the Origin (or
    Referer) header against the allowlist on your publishable key. If the header isn't on the list, we
    return 403 Forbidden.'
    """
    responses = [send(locked, headers=headers) for send in (config, submit)]
    assert [response.status_code for response in responses] == ([403, 403] if why else [200, 201])
    assert [reason(response) for response in responses] == [why, why]
    assert not why or b"example.com" not in responses[0].content


@pytest.mark.parametrize(("headers", "why"), HEADERS, ids=str)
def test_an_empty_allowlist_accepts_all_origins(
    locked: APIKey, headers: dict[str, str], why: str | None
) -> None:
    """'If the allowlist is empty, all origins are accepted.'"""
    locked.remove_domains(["example.com"])
    assert config(locked, headers=headers).status_code == 200


# Setting the allowlist


def test_domains_are_added_one_per_line_and_count_once_saved(key: APIKey, dashboard: Admin) -> None:
    """'Add domains, one per line. Use the bare hostname — no protocol, no path. Save.'"""
    more = [f"hotel{number}.example.com" for number in range(60)]
    save(dashboard, key, paste_domains="\r\n".join(["example.com", "  Book.Example.COM ", "", *more]))
    assert works(key, HOTEL, BOOKING, f"https://{more[-1]}", COPYCAT) == [
        HOTEL,
        BOOKING,
        f"https://{more[-1]}",
    ]


def test_the_list_is_its_creator_s(locked: APIKey, stranger: Any) -> None:
    """'Open API keys in the dashboard. Click the key you want to restrict.' Others don't find it."""
    Admin(stranger).get(f"{locked.pk}/change/", status=404)


@pytest.mark.parametrize(
    ("entry", "meant"),
    [
        ("https://example.com", "example.com"),
        ("https://*.example.com", "*.example.com"),
        ("example.com/book?room=2", "example.com"),
        ("example.com:8080", "example.com"),
    ],
)
def test_only_a_bare_hostname_is_accepted_and_the_hostname_offered(
    key: APIKey, entry: str, meant: str
) -> None:
    """'Use the bare hostname — no protocol, no path.'"""
    with pytest.raises(ValidationError, match=f"“{meant.replace('*', '[*]')}”"):
        key.add_domains(["hotel.example.org", entry])
    assert not key.allowed_domains.exists()


def test_a_bare_hostname_is_that_host_with_any_scheme_and_port(locked: APIKey) -> None:
    """'Use the bare hostname — no protocol, no path.'"""
    origins = (HOTEL, "http://example.com", "https://example.com:8443", "http://example.com:8080")
    assert works(locked, *origins) == list(origins)


def test_a_key_has_a_list_of_domains_and_nothing_else(locked: APIKey, dashboard: Admin) -> None:
    """'Lock your publishable key to the domains you actually run on.' No addresses, no conditions."""
    names = dashboard.get(f"{locked.pk}/change/").fields
    hidden = ("domain_mode", "ip_mode", "condition", "paste_ips")
    assert [name for name in names if name in hidden or name.startswith("allowed_ips")] == []
    for restrict in (locked.allow_all_domains, lambda: locked.restrict_ips([CALLER])):
        with pytest.raises(ValidationError):
            restrict()


# Wildcards


@pytest.mark.parametrize(
    ("host", "matches"),
    [
        ("www.example.com", True),
        ("book.example.com", True),
        ("preview.example.com", True),
        ("a.b.example.com", True),
        ("example.com", False),
        ("badexample.com", False),
        ("www.example.com.copycat.example.net", False),
    ],
)
def test_a_wildcard_matches_subdomains_but_not_the_domain_itself(
    key: APIKey, host: str, matches: bool
) -> None:
    """'*.example.com matches www.example.com, book.example.com, preview.example.com — but not
    example.com itself.'
    """
    key.add_domains(["*.example.com"])
    assert bool(works(key, f"https://{host}")) is matches


def test_listed_separately_both_are_covered(locked: APIKey) -> None:
    """'To cover both, list them separately'"""
    assert works(locked, HOTEL, BOOKING) == [HOTEL]
    locked.add_domains(["*.example.com"])
    assert works(locked, HOTEL, BOOKING) == [HOTEL, BOOKING]


# Local development


def test_localhost_is_added_for_testing_and_removed_before_going_live(locked: APIKey) -> None:
    """'Add localhost and 127.0.0.1 while testing. Remove them before going live.'"""
    assert works(locked, *LOCAL) == []
    locked.add_domains(["localhost", "127.0.0.1"])
    assert works(locked, HOTEL, *LOCAL) == [HOTEL, *LOCAL]
    locked.remove_domains(["localhost", "127.0.0.1"])
    assert works(locked, HOTEL, *LOCAL) == [HOTEL]


def test_a_test_key_for_local_work_leaves_the_live_key_alone(locked: APIKey, creator: Any) -> None:
    """'use a separate test publishable key (pk_test_…) for local work and reserve the live key for
    production'
    """
    local, token = APIKey.objects.create_key(
        name="Local work", creator=creator, environment="test", allowed_domains=["localhost", "127.0.0.1"]
    )
    assert token.startswith("pk_test_")
    assert works(local, HOTEL, *LOCAL) == list(LOCAL)
    local.revoke()
    assert works(local, *LOCAL) == []
    assert works(locked, HOTEL, *LOCAL) == [HOTEL]


# What rejected requests look like


def test_the_page_embeds_the_widget_with_its_small_error(creator: Any, settings: Any) -> None:
    """'The widget displays a small error: "This configurator isn't authorised on this domain."'"""
    settings.RECIPE = "innkept"
    load("innkept", "demo").set_up(creator, Addresses(8000))
    live = APIKey.objects.get(environment="live")
    source, url = "http://localhost:8000/static/configurator/widget.js", f"http://localhost:8000{CONFIG}"
    for name in ("shop", "copycat"):
        page = Client().get("/", headers={"Host": f"{name}.localhost:8000"}).content.decode()
        assert f'src="{source}" data-url="{url}" data-key="{live.token}"' in page
    widget = finders.find("configurator/widget.js")
    assert isinstance(widget, str)
    assert f'403: "{SENTENCE}"' in Path(widget).read_text()


def test_the_browser_s_console_shows_a_403_from_the_api(locked: APIKey) -> None:
    """'The browser console shows a 403 from the API.' CORS doesn't block the request."""
    asked = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "x-api-key"}
    preflight = call(CONFIG, method="OPTIONS", origin=COPYCAT, headers=asked)
    response = config(locked, COPYCAT)
    assert (preflight.status_code, response.status_code) == (200, 403)
    assert [each["Access-Control-Allow-Origin"] for each in (preflight, response)] == [COPYCAT, COPYCAT]


def test_last_used_at_does_not_advance_on_a_refusal(locked: APIKey) -> None:
    """'In the dashboard, you'll see the Last used at timestamp on the key not advancing.'"""
    earlier = timezone.now() - timedelta(days=400)
    set_raw(locked, "last_used_at", earlier)
    for refused in (config(locked, COPYCAT), submit(locked, COPYCAT), config(locked)):
        assert refused.status_code == 403
    locked.refresh_from_db()
    assert locked.last_used_at == earlier
    assert config(locked, HOTEL).status_code == 200
    locked.refresh_from_db()
    assert locked.last_used_at is not None
    assert locked.last_used_at > earlier


# What it doesn't protect against


def test_a_spoofed_origin_is_served_but_hits_the_rate_limit(locked: APIKey, clock: Clock) -> None:
    """'A motivated attacker can spoof the Origin header on a non-browser request — but they still hit
    your rate limits'
    """
    assert [config(locked, HOTEL).status_code for _time in range(59)] == [200] * 59
    assert submit(locked, HOTEL).status_code == 201
    for response in (config(locked, HOTEL), submit(locked, HOTEL)):
        assert (response.status_code, response["Retry-After"]) == (429, "60")
    assert Lead.objects.count() == 1
    clock.advance(MINUTE)
    assert submit(locked, HOTEL).status_code == 201


def test_refused_callers_hit_the_rate_limit_too(locked: APIKey, clock: Clock) -> None:
    """'they still hit your rate limits': with a listed origin that comes too late, and without a key."""
    assert [config(locked, COPYCAT).status_code for _time in range(60)] == [403] * 60
    assert config(locked, HOTEL, headers={"X-Forwarded-For": "203.0.113.8"}).status_code == 429
    guesses = [call(CONFIG, f"pk_live_{number:044d}", origin=HOTEL).status_code for number in range(61)]
    assert guesses == [401] * 60 + [429]


def test_the_limit_is_one_caller_s_with_one_key(locked: APIKey, creator: Any, clock: Clock) -> None:
    """'your rate limits': a caller who exceeds them takes nothing from other visitors or other keys."""
    other = APIKey.objects.create_key(name="Other", creator=creator, allowed_domains=["example.com"])[0]
    over = [config(locked, HOTEL, REMOTE_ADDR=CALLER).status_code for _time in range(61)]
    assert over == [200] * 60 + [429]
    assert config(locked, HOTEL, REMOTE_ADDR=OTHER_CALLER).status_code == 200
    assert config(other, HOTEL, REMOTE_ADDR=CALLER).status_code == 200


def test_the_demo_restores_its_key_at_each_start(creator: Any, clock: Clock) -> None:
    demo = load("innkept", "demo")
    demo.set_up(creator, Addresses(8000))
    live = APIKey.objects.get(name=demo.LIVE)
    live.add_domains(["copycat.localhost"])
    live.enforcement = "report"
    live.save()
    demo.set_up(creator, Addresses(8000))
    assert APIKey.objects.count() == 2
    assert demo.embed(Addresses(8000)).key == live.token
    sites = [f"http://{name}.localhost:8000" for name in ("shop", "partner", "copycat")]
    assert works(live, *sites) == sites[:2]
    assert works(APIKey.objects.get(name=demo.LOCAL), *sites, *LOCAL) == list(LOCAL)
