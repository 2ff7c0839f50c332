"""The innkept recipe: a publishable key, locked to the domains you actually run on, sentence by sentence."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.test import Client
from django.utils import timezone

from allowlist.models import APIKey
from example_project.configurator.demo import Addresses
from example_project.configurator.models import Lead
from tests.calls import Answer, body, call, reason, set_raw
from tests.clock import MINUTE, Clock
from tests.pages import Admin
from tests.recipes import ask, load

pytestmark = [pytest.mark.django_db, pytest.mark.recipe("innkept")]

CONFIG, SUBMIT = "/api/widget/v1/config", "/api/widget/v1/submit"
HOTEL, COPYCAT = "https://example.com", "https://copycat.example.net"
LEAD = {"name": "Ada", "email": "ada@example.org", "choices": {"size": "120", "wood": "oak"}}
SENTENCE = "This configurator isn't authorised on this domain."
CALLER, OTHER_CALLER = "198.51.100.9", "203.0.113.7"


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


def config(key: APIKey, origin: str | None = None, **options: Any) -> Answer:
    """Load the widget's config from a page of ``origin``."""
    return ask(CONFIG, key.token, origin=origin, **options)


def submit(key: APIKey, origin: str | None = None, **options: Any) -> Answer:
    """Submit a lead from a page of ``origin``."""
    return ask(SUBMIT, key.token, method="POST", data=LEAD, origin=origin, **options)


def works(key: APIKey, *origins: str) -> list[str]:
    """Return those of ``origins`` on which the widget loads."""
    return [origin for origin in origins if config(key, origin).status_code == 200]


def page_of(key: APIKey) -> str:
    """Return the path of the key's page in the dashboard."""
    return f"{key.pk}/change/"


def typed(dashboard: Admin, key: APIKey, **fields: str) -> dict[str, Any]:
    """Return the form of the key's page with some fields filled in."""
    return {**dashboard.get(page_of(key)).fields, **fields}


def save(dashboard: Admin, key: APIKey, **fields: str) -> None:
    """Fill in some fields of the key's page and save it."""
    dashboard.saved(page_of(key), typed(dashboard, key, **fields))


def complaints(dashboard: Admin, key: APIKey, **fields: str) -> str:
    """Fill in some fields of the key's page and return why it is not saved."""
    return " ".join(dashboard.refused(page_of(key), typed(dashboard, key, **fields)).errors)


def write(client: Client, key: APIKey, path: str, data: Any, method: str = "POST") -> Answer:
    """Send JSON to the management API."""
    return ask(f"/api/keys/{key.pk}/{path}", method=method, data=data, client=client)


# How it works


def test_the_publishable_key_is_no_secret(locked: APIKey, dashboard: Admin) -> None:
    """'Your publishable key sits in the HTML of any page … so by definition, it's not a secret.'"""
    assert locked.token.startswith("pk_live_")
    assert write(dashboard.client, locked, "", None, "GET").json()["token"] == locked.token
    assert locked.token in dashboard.get(page_of(locked)).text
    # It may stand in an address, too, as the query parameter of an <img> or <iframe>.
    assert ask(f"{CONFIG}?key={locked.token}", origin=HOTEL).status_code == 200


def test_a_copied_key_brings_no_fake_leads(locked: APIKey) -> None:
    """'stops anyone else from picking it up and using it on their own site to spam your CRM with fake
    leads'
    """
    assert submit(locked, COPYCAT).status_code == 403
    assert not Lead.objects.exists()
    assert submit(locked, HOTEL).status_code == 201
    assert [(lead.key, lead.email) for lead in Lead.objects.all()] == [(locked, LEAD["email"])]


@pytest.mark.parametrize(
    ("origin", "referer", "allowed"),
    [
        pytest.param(HOTEL, None, True, id="origin listed"),
        pytest.param(COPYCAT, None, False, id="origin not listed"),
        pytest.param(None, f"{HOTEL}/book?room=2", True, id="referer listed"),
        pytest.param(None, f"{COPYCAT}/book", False, id="referer not listed"),
        pytest.param(HOTEL, f"{COPYCAT}/", True, id="origin listed, whatever the referer"),
        pytest.param(COPYCAT, f"{HOTEL}/", False, id="origin not listed, whatever the referer"),
        pytest.param("null", f"{HOTEL}/", False, id="origin null, whatever the referer"),
        pytest.param(None, None, False, id="neither"),
    ],
)
def test_both_endpoints_check_origin_or_referer(
    locked: APIKey, origin: str | None, referer: str | None, allowed: bool
) -> None:
    """'For every request to /api/widget/v1/config and /api/widget/v1/submit, we check the Origin (or
    Referer) header against the allowlist on your publishable key.'
    """
    answers = [ask_it(locked, origin, referer=referer) for ask_it in (config, submit)]
    assert [answer.status_code for answer in answers] == ([200, 201] if allowed else [403, 403])


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        pytest.param({"Origin": COPYCAT}, "origin_not_listed", id="another site"),
        pytest.param({"Origin": f"{HOTEL}.example.net"}, "origin_not_listed", id="a look-alike"),
        pytest.param({"Origin": "null"}, "origin_opaque", id="null"),
        pytest.param({"Origin": ""}, "origin_malformed", id="empty"),
        pytest.param({"Origin": f"{HOTEL}/path"}, "origin_malformed", id="no origin's form"),
        pytest.param({"Referer": COPYCAT}, "origin_not_listed", id="referer"),
        pytest.param({}, "origin_missing", id="no header"),
    ],
)
def test_a_header_that_is_not_on_the_list_is_a_403(locked: APIKey, headers: dict[str, str], why: str) -> None:
    """'If the header isn't on the list, we return 403 Forbidden.'"""
    answer = config(locked, headers=headers)
    assert (answer.status_code, answer.reason_phrase) == (403, "Forbidden")
    assert (body(answer)["code"], reason(answer)) == ("PERMISSION_DENIED", why)
    # What is listed is nobody else's business.
    assert "example.com" not in answer.content.decode()


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": HOTEL},
        {"Origin": COPYCAT},
        {"Origin": "http://localhost:3000"},
        {"Origin": "null"},
        {"Referer": f"{COPYCAT}/page"},
        {"Sec-Fetch-Site": "cross-site"},
        {},
    ],
    ids=str,
)
def test_an_empty_allowlist_accepts_all_origins(key: APIKey, headers: dict[str, str]) -> None:
    """'If the allowlist is empty, all origins are accepted.'"""
    assert config(key, headers=headers).status_code == 200
    key.add_domains(["hotel.example.org"])
    assert config(key, headers=headers).status_code == 403
    key.remove_domains(["hotel.example.org"])
    assert config(key, headers=headers).status_code == 200


# Setting the allowlist


def test_the_dashboard_has_the_creator_s_keys(
    locked: APIKey, dashboard: Admin, stranger: Any, make_user: Any
) -> None:
    """'Open API keys in the dashboard. Click the key you want to restrict.' Nobody else's are there."""
    APIKey.objects.create_key(name="Another hotel", creator=stranger)
    page = dashboard.get("")
    assert [link for link in page.links if link.endswith("/change/")] == [dashboard.base + page_of(locked)]
    assert "Another hotel" not in page.text
    for somebody in (stranger, make_user("colleague", is_staff=True, permissions=True)):
        other = Admin(somebody)
        other.get(page_of(locked), status=404)
        assert write(other.client, locked, "domains/", ["copycat.example.net"]).status_code == 404
    assert works(locked, HOTEL, COPYCAT) == [HOTEL]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_domains_are_added_one_per_line_and_count_once_saved(
    key: APIKey, dashboard: Admin, newline: str
) -> None:
    """'Add domains, one per line. Use the bare hostname — no protocol, no path. Save.'"""
    pasted = newline.join(["example.com", "  *.example.com ", "", "Hotel.Example.ORG", "example.com"])
    save(dashboard, key, paste_domains=pasted)
    listed = [entry.domain for entry in key.allowed_domains.all()]
    assert listed == ["example.com", "*.example.com", "hotel.example.org"]
    origins = (HOTEL, "https://www.example.com", "https://hotel.example.org", COPYCAT)
    assert works(key, *origins) == list(origins[:3])


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_list_of_domains_is_added_over_the_api(key: APIKey, dashboard: Admin, method: str) -> None:
    """'Add domains, one per line.' Over the API a line is an element of the list."""
    answer = write(dashboard.client, key, "domains/", ["example.com", "*.example.com"], method)
    assert answer.status_code == {"POST": 201, "PUT": 200}[method]
    assert works(key, HOTEL, "https://www.example.com", COPYCAT) == [HOTEL, "https://www.example.com"]


def test_there_is_no_limit_to_the_lines(key: APIKey, dashboard: Admin) -> None:
    """'Add domains, one per line.' The page knows of no limit."""
    names = [f"hotel{number}.example.com" for number in range(60)]
    save(dashboard, key, paste_domains="\n".join(names))
    assert works(key, f"https://{names[-1]}", HOTEL) == [f"https://{names[-1]}"]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("https://example.com", "example.com"),
        ("http://example.com", "example.com"),
        ("https://example.com:8443", "example.com"),
        ("https://*.example.com", "*.example.com"),
        ("example.com/book", "example.com"),
        ("https://example.com/book?room=2", "example.com"),
        ("example.com:8080", "example.com"),
    ],
)
def test_what_is_no_bare_hostname_is_refused_and_the_hostname_offered(
    key: APIKey, dashboard: Admin, text: str, meant: str
) -> None:
    """'Use the bare hostname — no protocol, no path.'"""
    offered = f"Did you mean “{meant}”"
    assert offered in complaints(dashboard, key, paste_domains=f"hotel.example.org\n{text}")
    by_row = {"allowed_domains-0-domain": text}
    assert offered in complaints(dashboard, key, **by_row)
    answer = write(dashboard.client, key, "domains/", ["hotel.example.org", text])
    assert answer.status_code == 400
    assert offered in body(answer)["allowed_domains"]["1"][0]
    assert not key.allowed_domains.exists()


def test_a_bare_hostname_is_that_host_with_either_scheme_and_any_port(locked: APIKey) -> None:
    """'Use the bare hostname — no protocol, no path.'"""
    origins = (HOTEL, "http://example.com", "https://example.com:8443", "http://example.com:8080")
    assert works(locked, *origins) == list(origins)


def test_a_key_has_a_list_of_domains_and_nothing_else_to_restrict_it(
    locked: APIKey, dashboard: Admin
) -> None:
    """'Lock your publishable key to the domains you actually run on.' No addresses, no conditions."""
    names = dashboard.get(page_of(locked)).fields
    assert set(names) >= {"paste_domains", "allowed_domains-0-domain"}
    hidden = ("domain_mode", "ip_mode", "condition", "paste_ips")
    assert [name for name in names if name in hidden or name.startswith("allowed_ips")] == []
    assert write(dashboard.client, locked, "ips/", ["203.0.113.7"]).status_code == 400
    for change in ({"domain_mode": "all"}, {"ip_mode": "listed"}, {"condition": "any"}):
        assert write(dashboard.client, locked, "", change, "PATCH").status_code == 400
    assert works(locked, HOTEL, COPYCAT) == [HOTEL]


# Wildcards


@pytest.mark.parametrize(
    ("origin", "matches"),
    [
        ("https://www.example.com", True),
        ("https://book.example.com", True),
        ("https://preview.example.com", True),
        ("https://a.b.example.com", True),
        ("http://book.example.com:8080", True),
        ("https://BOOK.example.com", True),
        ("https://example.com", False),
        ("https://badexample.com", False),
        ("https://www.example.com.copycat.example.net", False),
        ("https://www.example.org", False),
    ],
)
def test_a_wildcard_matches_subdomains_but_not_the_domain_itself(
    key: APIKey, origin: str, matches: bool
) -> None:
    """'*.example.com matches www.example.com, book.example.com, preview.example.com — but not
    example.com itself.'
    """
    key.add_domains(["*.example.com"])
    assert works(key, origin) == ([origin] if matches else [])


def test_listed_separately_both_are_covered(key: APIKey, dashboard: Admin) -> None:
    """'To cover both, list them separately'"""
    both = (HOTEL, "https://www.example.com")
    key.add_domains(["example.com"])
    assert works(key, *both) == [HOTEL]
    save(dashboard, key, paste_domains="*.example.com")
    assert works(key, *both) == list(both)


# Local development


LOCAL = ("http://localhost", "http://localhost:5173", "http://127.0.0.1:8000", "https://localhost:3000")


def test_localhost_is_added_while_testing_and_removed_before_going_live(
    locked: APIKey, dashboard: Admin
) -> None:
    """'Add localhost and 127.0.0.1 while testing. Remove them before going live.'"""
    assert works(locked, *LOCAL) == []
    save(dashboard, locked, paste_domains="localhost\n127.0.0.1")
    assert works(locked, HOTEL, *LOCAL) == [HOTEL, *LOCAL]
    ticked = {"allowed_domains-1-DELETE": "on", "allowed_domains-2-DELETE": "on"}
    save(dashboard, locked, **ticked)
    assert works(locked, HOTEL, *LOCAL) == [HOTEL]


def test_a_test_key_for_local_work_leaves_the_live_key_to_production(
    locked: APIKey, dashboard: Admin
) -> None:
    """'use a separate test publishable key (pk_test_…) for local work and reserve the live key for
    production'
    """
    wanted = {"name": "Local work", "environment": "test", "allowed_domains": ["localhost", "127.0.0.1"]}
    made = body(ask("/api/keys/", method="POST", data=wanted, client=dashboard.client))
    local = APIKey.objects.get(pk=made["id"])
    assert made["token"].startswith("pk_test_")
    assert locked.token.startswith("pk_live_")
    assert works(local, HOTEL, *LOCAL) == list(LOCAL)
    assert works(locked, HOTEL, *LOCAL) == [HOTEL]
    local.revoke()
    assert works(local, *LOCAL) == []
    assert works(locked, HOTEL) == [HOTEL]


# What rejected requests look like


def test_the_page_embeds_the_widget_that_says_it_is_not_authorised(creator: Any, settings: Any) -> None:
    """'The widget displays a small error: "This configurator isn't authorised on this domain."'"""
    settings.RECIPE = "innkept"
    load("innkept", "demo").set_up(creator, Addresses(8000))
    pages = [Client().get("/", headers={"Host": f"{name}.localhost:8000"}) for name in ("shop", "copycat")]
    live = APIKey.objects.get(environment="live")
    tag = (
        f'src="http://localhost:8000/static/configurator/widget.js" data-url="http://localhost:8000{CONFIG}"'
    )
    for page in pages:
        assert f'{tag} data-key="{live.token}"' in page.content.decode()
    widget = finders.find("configurator/widget.js")
    assert isinstance(widget, str)
    assert f'403: "{SENTENCE}"' in Path(widget).read_text()


def test_the_browser_s_console_shows_a_403_from_the_api(locked: APIKey) -> None:
    """'The browser console shows a 403 from the API.' Not a request that CORS blocked."""
    asked = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "x-api-key"}
    preflight = call(CONFIG, None, {"Origin": COPYCAT, **asked}, method="OPTIONS")
    assert preflight.status_code == 200
    assert "x-api-key" in preflight["Access-Control-Allow-Headers"]
    answer = config(locked, COPYCAT)
    assert answer.status_code == 403
    for each in (preflight, answer):
        assert each["Access-Control-Allow-Origin"] == COPYCAT


def test_last_used_at_does_not_advance_on_a_refusal(locked: APIKey, dashboard: Admin) -> None:
    """'In the dashboard, you'll see the Last used at timestamp on the key not advancing.'"""
    earlier = timezone.now() - timedelta(days=400)
    set_raw(locked, "last_used_at", earlier)
    shown = _last_used(dashboard, locked)
    refused = [config(locked, COPYCAT), submit(locked, COPYCAT), config(locked)]
    assert [answer.status_code for answer in refused] == [403] * 3
    locked.refresh_from_db()
    assert locked.last_used_at == earlier
    assert _last_used(dashboard, locked) == shown
    assert config(locked, HOTEL).status_code == 200
    locked.refresh_from_db()
    assert locked.last_used_at is not None
    assert timezone.now() - locked.last_used_at < timedelta(minutes=1)
    assert _last_used(dashboard, locked) != shown


def _last_used(dashboard: Admin, key: APIKey) -> str:
    """Return what the key's page says of its last use."""
    _before, _label, after = dashboard.get(page_of(key)).text.partition("Last used:")
    return after.partition("Revoked:")[0]


@pytest.mark.parametrize("site", ["cross-site", "same-site", "same-origin", "none"])
def test_a_browser_that_strips_the_origin_is_refused_where_a_list_is_set(key: APIKey, site: str) -> None:
    """'Some browsers strip the Origin header on cross-origin requests in unusual setups … If you've set
    an allowlist and the widget breaks, try testing in a different browser'
    """
    stripped = {"Sec-Fetch-Site": site}
    assert config(key, headers=stripped).status_code == 200
    key.add_domains(["example.com"])
    answer = config(key, headers=stripped)
    assert (answer.status_code, reason(answer)) == (403, "origin_hidden")
    assert config(key, HOTEL, headers=stripped).status_code == 200
    assert config(key, referer=f"{HOTEL}/", headers=stripped).status_code == 200


# What it doesn't protect against


def test_a_spoofed_origin_is_served_but_hits_the_rate_limit(locked: APIKey, clock: Clock) -> None:
    """'A motivated attacker can spoof the Origin header on a non-browser request — but they still hit
    your rate limits'
    """
    assert [config(locked, HOTEL).status_code for _time in range(59)] == [200] * 59
    assert submit(locked, HOTEL).status_code == 201
    for answer in (config(locked, HOTEL), submit(locked, HOTEL)):
        assert answer.status_code == 429
        assert answer["Retry-After"] == "60"
    assert Lead.objects.count() == 1
    clock.advance(MINUTE)
    assert submit(locked, HOTEL).status_code == 201


@pytest.mark.parametrize("headers", [{"Origin": COPYCAT}, {}, {"Sec-Fetch-Site": "cross-site"}], ids=str)
def test_a_refused_caller_hits_the_rate_limit_too(
    locked: APIKey, clock: Clock, headers: dict[str, str]
) -> None:
    """'they still hit your rate limits': refused requests count as well."""
    refused = [config(locked, headers=headers).status_code for _time in range(60)]
    assert refused == [403] * 60
    answer = config(locked, headers=headers)
    assert (answer.status_code, answer["Retry-After"]) == (429, "60")
    # A listed name does not help any more, nor does another address that is only claimed.
    for claimed in ("203.0.113.8", "127.0.0.1"):
        assert config(locked, HOTEL, headers={"X-Forwarded-For": claimed}).status_code == 429


def test_the_limit_is_one_caller_s_with_one_key(locked: APIKey, creator: Any, clock: Clock) -> None:
    """'your rate limits': who is over them takes nothing from other visitors, nor from other keys."""
    other = APIKey.objects.create_key(name="Other", creator=creator, allowed_domains=["example.com"])[0]
    over = [config(locked, HOTEL, REMOTE_ADDR=CALLER).status_code for _time in range(61)]
    assert over == [200] * 60 + [429]
    assert config(locked, HOTEL, REMOTE_ADDR=OTHER_CALLER).status_code == 200
    assert config(other, HOTEL, REMOTE_ADDR=CALLER).status_code == 200


def test_guessing_keys_hits_the_limit(clock: Clock) -> None:
    """'they still hit your rate limits': so does who has no key at all."""
    guesses = [ask(CONFIG, f"pk_live_{number:044d}", origin=HOTEL).status_code for number in range(61)]
    assert guesses == [401] * 60 + [429]


def test_the_demo_may_be_started_twice_and_tells_the_truth(creator: Any, clock: Clock) -> None:
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
