"""The security page: a domain list, an address list and their condition, sentence by sentence."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

from allowlist.models import APIKey
from allowlist.policy.tokens import Kind
from example_project.configurator.demo import Addresses
from tests.pages import Admin, rows
from tests.recipes import load
from tests.testing import DOMAIN_MESSAGE, IP_MESSAGE, Reply, body, call, reason

pytestmark = [pytest.mark.django_db, pytest.mark.recipe("security-page")]

RESOURCES = "/v1/resources"
SITE, OTHER_SITE = "https://example.com", "https://example.net"
SERVER, OTHER_SERVER = "203.0.113.7", "198.51.100.9"
LISTS = pytest.mark.parametrize(
    ("which", "column", "entry"), [("domains", "domain", "example.com"), ("ips", "ip", SERVER)]
)


@pytest.fixture
def key(creator: Any) -> APIKey:
    """Return the key of a new project."""
    return APIKey.objects.create_key(name="Project", creator=creator)[0]


@pytest.fixture
def restricted(key: APIKey) -> APIKey:
    """Return the key, restricted to a site and a server."""
    key.restrict_domains(["example.com"])
    key.restrict_ips([SERVER])
    return key


@pytest.fixture
def tab(creator: Any) -> Admin:
    """Return the admin of the project's creator, whose "Security" is the page's tab."""
    return Admin(creator)


def resources(key: APIKey, origin: str | None = None, address: str = OTHER_SERVER) -> Reply:
    """Make an API call: from a page of ``origin``, or as a server where None."""
    return call(RESOURCES, key.token, origin=origin, REMOTE_ADDR=address)


def is_permitted(key: APIKey, origin: str | None = None, address: str = OTHER_SERVER) -> bool:
    """Return whether the response shows the resources; if not, it is the page's error response."""
    response = resources(key, origin, address)
    if response.status_code == 200:
        assert body(response) == {"resources": ["rooms", "rates"]}
        return True
    assert (response.status_code, body(response)["code"]) == (403, "PERMISSION_DENIED")
    assert body(response)["message"] in (DOMAIN_MESSAGE, IP_MESSAGE)
    return False


CALLS: list[tuple[str | None, str]] = [
    (SITE, SERVER),
    (SITE, OTHER_SERVER),
    (OTHER_SITE, SERVER),
    (OTHER_SITE, OTHER_SERVER),
    (None, SERVER),
    (None, OTHER_SERVER),
]


def permitted(key: APIKey) -> list[tuple[str | None, str]]:
    """Return those of all kinds of calls that are permitted."""
    return [call for call in CALLS if is_permitted(key, *call)]


# Security settings


def test_by_default_both_allow_all_origins(key: APIKey) -> None:
    """'By default, both options are set to allow all origins.'"""
    assert (key.domain_mode, key.ip_mode) == ("all", "all")
    assert permitted(key) == CALLS


def test_the_domain_list_is_for_browsers(key: APIKey) -> None:
    """'use the Domain Name Allowlist for requests originating from web browsers', and 'Enable only the
    method that fits your environment'
    """
    key.restrict_domains(["example.com"])
    assert permitted(key) == [(SITE, SERVER), (SITE, OTHER_SERVER)]
    assert key.ip_mode == "all"


def test_the_ip_list_is_for_servers(key: APIKey) -> None:
    """'and the Source IP Allowlist for requests from fixed network environments'"""
    key.restrict_ips([SERVER])
    assert permitted(key) == [(SITE, SERVER), (OTHER_SITE, SERVER), (None, SERVER)]
    assert key.domain_mode == "all"


def test_without_a_key_a_listed_origin_is_refused_too(restricted: APIKey) -> None:
    """'Using API Keys together with the Security feature strengthens protection'"""
    assert call(RESOURCES, origin=SITE, REMOTE_ADDR=SERVER).status_code == 401


# Register a domain, register a source IP


@LISTS
def test_a_list_is_enabled_and_entries_are_added_in_the_tab(
    tab: Admin, key: APIKey, which: str, column: str, entry: str
) -> None:
    """'Click the [Allow only listed domains] button to enable … Enter the Domain in the [Domain] field.
    Click the [Add] button on the right to add the Domain to [Allowed Domains].' And the same for IPs,
    with a description in the [Name] field.
    """
    page, mode, field = f"{key.pk}/change/", f"{column}_mode", f"allowed_{which}"
    text = tab.get(page).text
    labels = ("Domain and IP must both match", "Domain or IP can match")
    assert [label for label in labels if label not in text] == []
    filled = rows({**tab.get(page).fields, mode: "listed"}, field, ("Head office", entry))
    saved = tab.saved(page, filled).fields
    assert [saved[mode], saved[f"{field}-0-name"], saved[f"{field}-0-{column}"]] == [
        "listed",
        "Head office",
        entry,
    ]
    assert is_permitted(key, SITE, SERVER)
    assert not is_permitted(key, OTHER_SITE, OTHER_SERVER)


def test_the_lists_are_managed_by_the_project_s_creator(key: APIKey, stranger: Any) -> None:
    """'Configure and manage the Domain/IP Allowlist from the Security tab on the project detail page.'"""
    Admin(stranger).get(f"{key.pk}/change/", status=404)


@pytest.mark.parametrize(
    ("domain", "permits", "refuses"),
    [
        ("example.com", ["https://example.com", "http://example.com:8080"], ["https://www.example.com"]),
        ("*.example.com", ["https://www.example.com", "https://a.b.example.com"], ["https://example.com"]),
        ("https://example.com", ["https://example.com"], ["http://example.com", "https://example.com:8443"]),
    ],
)
def test_a_domain_may_be_a_host_its_subdomains_or_one_origin(
    key: APIKey, domain: str, permits: list[str], refuses: list[str]
) -> None:
    """'Enter the Domain in the [Domain] field.' 'restricts resource access from unauthorized origins
    based on Domain'
    """
    key.restrict_domains([domain])
    assert [origin for origin in permits + refuses if is_permitted(key, origin)] == permits


@pytest.mark.parametrize(
    ("ip", "permits", "refuses"),
    [
        ("203.0.113.7", ["203.0.113.7", "::ffff:203.0.113.7"], ["203.0.113.8"]),
        ("203.0.113.0/24", ["203.0.113.0", "203.0.113.255"], ["203.0.112.255", "203.0.114.0"]),
        ("2001:db8::/32", ["2001:db8:ffff::1"], ["2001:db9::"]),
    ],
)
def test_a_source_ip_may_be_an_address_or_a_network(
    key: APIKey, ip: str, permits: list[str], refuses: list[str]
) -> None:
    """'Enter the IP address in the [Source IP] field.' 'requests from fixed network environments'"""
    key.restrict_ips([ip])
    assert [address for address in permits + refuses if is_permitted(key, None, address)] == permits


@LISTS
def test_at_least_one_entry_is_needed_to_enable_a_list(
    key: APIKey, which: str, column: str, entry: str
) -> None:
    """'At least one Domain must be registered to activate the [Allow only listed domains] condition'"""
    restrict, remove = getattr(key, f"restrict_{which}"), getattr(key, f"remove_{which}")
    with pytest.raises(ValidationError):
        restrict([])
    assert permitted(key) == CALLS
    restrict([entry])
    with pytest.raises(ValidationError):
        remove([entry])
    assert not is_permitted(key, OTHER_SITE, OTHER_SERVER)


@LISTS
def test_a_list_holds_25_entries_and_no_26th(key: APIKey, which: str, column: str, entry: str) -> None:
    """'with a maximum of 25'"""
    entries = [{"domain": f"site{each}.example.com", "ip": f"192.0.2.{each}"}[column] for each in range(25)]
    getattr(key, f"restrict_{which}")(entries)
    with pytest.raises(ValidationError, match="25"):
        getattr(key, f"add_{which}")([entry])
    # An entry removed makes room.
    getattr(key, f"remove_{which}")(entries[:1])
    getattr(key, f"add_{which}")([entry])


@LISTS
def test_switching_back_resets_the_list(restricted: APIKey, which: str, column: str, entry: str) -> None:
    """'Switching the domain permission condition from [Allow only listed domains] back to [Allow all
    domains] will reset the [Allowed Domains] list.' And the same for IPs.
    """
    getattr(restricted, f"allow_all_{which}")()
    counts = {"domains": restricted.allowed_domains.count(), "ips": restricted.allowed_ips.count()}
    assert counts == {"domains": 1, "ips": 1, which: 0}


# Setting conditions


def test_the_condition_is_one_of_two_and_both_must_match_by_default(restricted: APIKey) -> None:
    """'you can set the resource access condition to either [Domain and IP must both match] or [Domain or
    IP can match] The default setting is [Domain and IP must both match].' It counts once it is saved.
    """
    assert restricted.condition == "all"
    assert permitted(restricted) == [(SITE, SERVER)]
    restricted.condition = "any"
    restricted.save()
    either = [(SITE, SERVER), (SITE, OTHER_SERVER), (OTHER_SITE, SERVER), (None, SERVER)]
    assert permitted(restricted) == either
    restricted.condition = "by_source"
    with pytest.raises(ValidationError):
        restricted.save()


@pytest.mark.parametrize("condition", ["all", "any"])
def test_the_condition_counts_only_where_both_lists_are_on(key: APIKey, condition: str) -> None:
    """'When both [Allow only listed domains] and [Allow only listed IPs] are enabled, you can set the
    resource access condition'
    """
    key.condition = condition
    key.save()
    assert permitted(key) == CALLS
    key.restrict_domains(["example.com"])
    assert permitted(key) == [(SITE, SERVER), (SITE, OTHER_SERVER)]
    key.allow_all_domains()
    key.restrict_ips([SERVER])
    assert permitted(key) == [(SITE, SERVER), (OTHER_SITE, SERVER), (None, SERVER)]


# Error response


@pytest.mark.parametrize(
    ("condition", "origin", "address", "message", "why"),
    [
        ("all", OTHER_SITE, SERVER, DOMAIN_MESSAGE, "origin_not_listed"),
        ("all", SITE, OTHER_SERVER, IP_MESSAGE, "ip_not_listed"),
        ("all", None, SERVER, DOMAIN_MESSAGE, "origin_missing"),
        ("any", OTHER_SITE, OTHER_SERVER, DOMAIN_MESSAGE, "origin_not_listed"),
        ("any", None, OTHER_SERVER, IP_MESSAGE, "ip_not_listed"),
    ],
)
def test_the_error_response_is_the_page_s_and_names_domain_or_ip(
    restricted: APIKey, condition: str, origin: str | None, address: str, message: str, why: str
) -> None:
    """'Requests from origins not registered in the Allowlist return an HTTP 403 status code with an error
    response', '"code": "PERMISSION_DENIED", "message": "Permission denied. Check your security settings
    and ensure your domain is allowlisted."' 'The error message may reference Domain or Source IP
    depending on the type of request.'
    """
    restricted.condition = condition
    restricted.save()
    response = resources(restricted, origin, address)
    assert (response.status_code, response["Content-Type"]) == (403, "application/json")
    shown = body(response)
    assert (shown["code"], shown["message"], shown["reason"]) == ("PERMISSION_DENIED", message, why)


def test_the_remedy_for_an_origin_that_is_not_registered(restricted: APIKey) -> None:
    """'the current origin is not registered — Add the Domain Name or Source IP to the Allowlist'"""
    restricted.add_domains(["example.net"])
    assert body(resources(restricted, OTHER_SITE))["message"] == IP_MESSAGE
    restricted.add_ips([OTHER_SERVER])
    assert is_permitted(restricted, OTHER_SITE, OTHER_SERVER)


@pytest.mark.parametrize("typo", ["exmaple", "example.com/login", "htps://example.com"])
def test_formatting_errors_are_reported_when_they_are_registered(key: APIKey, typo: str) -> None:
    """'The value registered in the Allowlist does not match the actual request origin — Review the
    registered entries and check for typos or formatting errors.'
    """
    with pytest.raises(ValidationError, match=typo):
        key.add_domains([typo])


def test_with_both_toggles_disabled_nothing_is_refused(restricted: APIKey) -> None:
    """'Verify that the Domain and Source IP Allowlist toggles are disabled. When a toggle is enabled, only
    origins registered in the Allowlist are permitted.'
    """
    assert permitted(restricted) == [(SITE, SERVER)]
    restricted.allow_all_domains()
    restricted.allow_all_ips()
    assert permitted(restricted) == CALLS


# Security recommendations


def test_a_key_kept_on_a_server_is_secret_and_restricted_by_ip(creator: Any) -> None:
    """'Store API Keys in environment variables … rather than embedding them directly in source code.'
    'enable the Source IP Allowlist to block requests from non-permitted IPs.'
    """
    _key, token = APIKey.objects.create_key(
        name="Server", creator=creator, kind=Kind.SECRET, allowed_ips=[SERVER]
    )
    allowed, denied = (call(RESOURCES, token, REMOTE_ADDR=address) for address in (SERVER, OTHER_SERVER))
    assert (allowed.status_code, denied.status_code) == (200, 403)
    assert reason(call(RESOURCES, token, origin=SITE, REMOTE_ADDR=SERVER)) == "secret_key_in_browser"


def test_keys_are_rotated(key: APIKey) -> None:
    """'Rotate API keys periodically.'"""
    key.restrict_domains(["example.com"])
    tokens = [key.token, key.rotate()]
    assert [call(RESOURCES, token, origin=SITE).status_code for token in tokens] == [401, 200]
    assert call(RESOURCES, tokens[1], origin=OTHER_SITE).status_code == 403


def test_an_entry_that_is_removed_opens_nothing_any_more(key: APIKey) -> None:
    """'Remove entries that are no longer in use to eliminate unnecessary access paths.'"""
    key.restrict_domains(["example.com", "example.org"])
    assert is_permitted(key, SITE)
    key.remove_domains(["example.com"])
    assert not is_permitted(key, SITE)


def test_the_demo_restores_its_keys_at_each_start(creator: Any, settings: Any) -> None:
    settings.RECIPE = "security-page"
    demo = load("security-page", "demo")
    demo.set_up(creator, Addresses(8000))
    both = APIKey.objects.get(name=demo.BOTH)
    both.condition = "any"
    both.save()
    both.allow_all_domains()
    demo.set_up(creator, Addresses(8000))
    assert sorted(key.name for key in APIKey.objects.all()) == sorted((demo.BOTH, demo.EITHER))
    both.refresh_from_db()
    assert (both.condition, both.domain_mode) == ("all", "listed")
    embed = demo.embed(Addresses(8000))
    assert (embed.url, embed.key) == (f"http://localhost:8000{RESOURCES}", both.token)
    page = Client().get("/", headers={"Host": "shop.localhost:8000"}).content.decode()
    assert f'data-url="{embed.url}" data-key="{embed.key}"' in page
    sites = [f"http://{name}.localhost:8000" for name in ("shop", "partner", "copycat")]
    assert [is_permitted(both, site, demo.HERE) for site in sites] == [True, True, False]
