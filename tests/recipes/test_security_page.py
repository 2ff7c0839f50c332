"""The security-page recipe: a domain list, an address list and their condition, sentence by sentence."""

from typing import Any

import pytest
from django.test import Client

from allowlist.models import APIKey
from allowlist.policy.tokens import Kind
from example_project.configurator.demo import Addresses
from tests.calls import Answer, body, reason
from tests.pages import Admin, rows
from tests.recipes import ask, load

pytestmark = [pytest.mark.django_db, pytest.mark.recipe("security-page")]

RESOURCES = "/v1/resources"
SITE, OTHER_SITE = "https://example.com", "https://example.net"
SERVER, OTHER_SERVER = "203.0.113.7", "198.51.100.9"
DOMAIN_DENIED = "Permission denied. Check your security settings and ensure your domain is allowlisted."
IP_DENIED = "Permission denied. Check your security settings and ensure your source IP is allowlisted."
ONLY_DOMAINS = {"domain_mode": "listed", "allowed_domains": ["example.com"]}
ONLY_IPS = {"ip_mode": "listed", "allowed_ips": [SERVER]}
TITLES = {"allowed_domains": "Domains", "allowed_ips": "IP addresses"}
LISTS = pytest.mark.parametrize(
    ("mode", "field", "column", "entry"),
    [
        pytest.param("domain_mode", "allowed_domains", "domain", "example.com", id="domains"),
        pytest.param("ip_mode", "allowed_ips", "ip", SERVER, id="ips"),
    ],
)


@pytest.fixture
def tab(creator: Any) -> Admin:
    """Return the admin of the project's creator, whose "Security" is the page's tab."""
    return Admin(creator)


@pytest.fixture
def key(creator: Any) -> APIKey:
    """Return the key of a new project."""
    return APIKey.objects.create_key(name="Project", creator=creator)[0]


def write(tab: Admin, key: APIKey, path: str, data: Any, method: str = "POST") -> Answer:
    """Send JSON to the management API."""
    return ask(f"/api/keys/{key.pk}/{path}", method=method, data=data, client=tab.client)


def change(tab: Admin, key: APIKey, **fields: Any) -> Any:
    """PATCH the key and return it as it is shown then."""
    answer = write(tab, key, "", fields, "PATCH")
    assert answer.status_code == 200, answer.content
    return body(answer)


def refused(tab: Admin, key: APIKey, **fields: Any) -> Any:
    """PATCH the key, which has to be refused; return why."""
    answer = write(tab, key, "", fields, "PATCH")
    assert answer.status_code == 400, answer.content
    return body(answer)


def path(key: APIKey) -> str:
    """Return the path of the key's page in the admin."""
    return f"{key.pk}/change/"


def fields(tab: Admin, key: APIKey, **typed: Any) -> dict[str, Any]:
    """Return the form of the key's page, with some of it filled in."""
    return {**tab.get(path(key)).fields, **typed}


def resources(key: APIKey, origin: str | None = None, address: str = OTHER_SERVER, **options: Any) -> Answer:
    """Make an API call: from a page of ``origin``, or as a server where None."""
    return ask(RESOURCES, key.token, origin=origin, REMOTE_ADDR=address, **options)


def is_permitted(key: APIKey, origin: str | None = None, address: str = OTHER_SERVER) -> bool:
    """Return whether the call is answered with the resources; if not, it is the page's error response."""
    answer = resources(key, origin, address)
    if answer.status_code == 200:
        assert body(answer) == {"resources": ["rooms", "rates"]}
        return True
    said = body(answer)
    assert (answer.status_code, said["code"]) == (403, "PERMISSION_DENIED")
    assert said["message"] in (DOMAIN_DENIED, IP_DENIED)
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


def test_origins_that_are_not_registered_get_a_403(tab: Admin, key: APIKey) -> None:
    """'restrict which origins are permitted to make API calls … Requests from origins not registered in
    the Allowlist return an HTTP 403 status code with an error response.'
    """
    change(tab, key, **ONLY_DOMAINS)
    assert is_permitted(key, SITE)
    assert resources(key, OTHER_SITE).status_code == 403
    assert set(body(resources(key, OTHER_SITE))) == {"code", "message", "reason"}
    # Without a key there is no list that could permit anything.
    assert ask(RESOURCES, origin=SITE).status_code == 401


def test_the_lists_are_managed_in_one_place_by_the_project_s_creator(
    tab: Admin, key: APIKey, stranger: Any
) -> None:
    """'Configure and manage the Domain/IP Allowlist from the Security tab'"""
    text = tab.get(path(key)).text
    controls = ("Allow all domains", "Allow only listed domains", "Allow all IPs", "Allow only listed IPs")
    conditions = ("Domain and IP must both match", "Domain or IP can match")
    assert [word for word in ("Security", *controls, *conditions) if word not in text] == []
    assert "Browsers by domain, servers by IP" not in text
    other = Admin(stranger)
    other.get(path(key), status=404)
    assert write(other, key, "", {"domain_mode": "all"}, "PATCH").status_code == 404
    assert write(other, key, "domains/", ["example.net"]).status_code == 404


def test_the_domain_list_is_for_browsers(tab: Admin, key: APIKey) -> None:
    """'use the Domain Name Allowlist for requests originating from web browsers'"""
    change(tab, key, **ONLY_DOMAINS)
    assert permitted(key) == [(SITE, SERVER), (SITE, OTHER_SERVER)]


def test_the_ip_list_is_for_servers(tab: Admin, key: APIKey) -> None:
    """'and the Source IP Allowlist for requests from fixed network environments'"""
    change(tab, key, **ONLY_IPS)
    assert permitted(key) == [(SITE, SERVER), (OTHER_SITE, SERVER), (None, SERVER)]


def test_by_default_both_allow_all_origins(tab: Admin, key: APIKey) -> None:
    """'By default, both options are set to allow all origins.'"""
    shown = body(write(tab, key, "", None, "GET"))
    assert (shown["domain_mode"], shown["ip_mode"]) == ("all", "all")
    form = fields(tab, key)
    assert (form["domain_mode"], form["ip_mode"]) == ("all", "all")
    new = tab.get("add/").fields
    assert (new["domain_mode"], new["ip_mode"]) == ("all", "all")
    assert permitted(key) == CALLS


def test_each_method_is_enabled_by_itself(tab: Admin, key: APIKey) -> None:
    """'Enable only the method that fits your environment to allow only the necessary origins.'"""
    assert change(tab, key, **ONLY_IPS)["domain_mode"] == "all"
    assert change(tab, key, ip_mode="all", **ONLY_DOMAINS)["ip_mode"] == "all"


# Register a domain, register a source IP


@LISTS
def test_a_list_is_enabled_and_entries_are_added_to_it(
    tab: Admin, key: APIKey, mode: str, field: str, column: str, entry: str
) -> None:
    """'Click the [Allow only listed domains] button to enable … Enter the Domain in the [Domain] field.
    Click the [Add] button on the right to add the Domain to [Allowed Domains].' And the same for IPs.
    """
    filled = rows(fields(tab, key, **{mode: "listed"}), field, ("Head office", entry))
    page = tab.saved(path(key), filled)
    assert page.fields[mode] == "listed"
    assert (page.fields[f"{field}-0-name"], page.fields[f"{field}-0-{column}"]) == ("Head office", entry)
    assert is_permitted(key, SITE, SERVER)
    assert not is_permitted(key, OTHER_SITE, OTHER_SERVER)
    added = write(
        tab, key, f"{column}s/", {"name": "", column: {"domain": "example.org", "ip": "192.0.2.1"}[column]}
    )
    assert added.status_code == 201
    assert is_permitted(key, "https://example.org", "192.0.2.1")


@LISTS
@pytest.mark.parametrize("name", ["Head office", "", None])
def test_a_description_is_optional(
    tab: Admin, key: APIKey, mode: str, field: str, column: str, entry: str, name: str | None
) -> None:
    """'Optionally enter a description for the domain in the [Name] field.' And for the IP."""
    sent = {column: entry} if name is None else {column: entry, "name": name}
    shown = change(tab, key, **{mode: "listed", field: [sent]})[field]
    assert [(each["name"], each[column]) for each in shown] == [(name or "", entry)]


@pytest.mark.parametrize(
    ("domain", "permits", "refuses"),
    [
        ("example.com", ["https://example.com", "http://example.com:8080"], ["https://www.example.com"]),
        ("*.example.com", ["https://www.example.com", "https://a.b.example.com"], ["https://example.com"]),
        ("https://example.com", ["https://example.com"], ["http://example.com", "https://example.com:8443"]),
        ("http://localhost:3000", ["http://localhost:3000"], ["http://localhost", "http://localhost:3001"]),
    ],
)
def test_a_domain_may_be_a_host_its_subdomains_or_one_origin(
    tab: Admin, key: APIKey, domain: str, permits: list[str], refuses: list[str]
) -> None:
    """'Enter the Domain in the [Domain] field.' 'restricts resource access from unauthorized origins
    based on Domain'
    """
    change(tab, key, domain_mode="listed", allowed_domains=[domain])
    assert [origin for origin in permits + refuses if is_permitted(key, origin)] == permits


@pytest.mark.parametrize(
    ("ip", "permits", "refuses"),
    [
        ("203.0.113.7", ["203.0.113.7", "::ffff:203.0.113.7"], ["203.0.113.8"]),
        ("203.0.113.0/24", ["203.0.113.0", "203.0.113.255"], ["203.0.112.255", "203.0.114.0"]),
        ("2001:db8::7", ["2001:db8:0::7"], ["2001:db8::8"]),
        ("2001:db8::/32", ["2001:db8:ffff::1"], ["2001:db9::"]),
        ("10.0.0.5", ["10.0.0.5"], ["10.0.0.6"]),
    ],
)
def test_a_source_ip_may_be_an_address_or_a_network(
    tab: Admin, key: APIKey, ip: str, permits: list[str], refuses: list[str]
) -> None:
    """'Enter the IP address in the [Source IP] field.' 'requests from fixed network environments'"""
    change(tab, key, ip_mode="listed", allowed_ips=[ip])
    assert [address for address in permits + refuses if is_permitted(key, None, address)] == permits


@LISTS
def test_at_least_one_entry_is_needed_to_activate_a_list(
    tab: Admin, key: APIKey, mode: str, field: str, column: str, entry: str
) -> None:
    """'At least one Domain must be registered to activate the [Allow only listed domains] condition'"""
    needed = f"{TITLES[field]}: a list that is switched on needs an entry. Add one, or allow all instead."
    assert refused(tab, key, **{mode: "listed"}) == {field: [needed]}
    assert refused(tab, key, **{mode: "listed", field: []}) == {field: [needed]}
    assert tab.refused(path(key), fields(tab, key, **{mode: "listed"})).errors == [needed]
    assert permitted(key) == CALLS
    # It may be registered before, or at the same time, and the last one stays while the list is on.
    assert write(tab, key, f"{column}s/", entry).status_code == 201
    assert permitted(key) == CALLS
    shown = change(tab, key, **{mode: "listed"})
    (kept,) = shown[field]
    removal = write(tab, key, f"{column}s/{kept['id']}/", None, "DELETE")
    assert (removal.status_code, body(removal)) == (400, {field: [needed]})
    assert not is_permitted(key, OTHER_SITE, OTHER_SERVER)


@LISTS
def test_a_list_holds_25_entries_and_no_26th(
    tab: Admin, key: APIKey, mode: str, field: str, column: str, entry: str
) -> None:
    """'with a maximum of 25'"""
    texts = [{"domain": f"site{each}.example.com", "ip": f"192.0.2.{each}"}[column] for each in range(25)]
    change(tab, key, **{mode: "listed", field: texts})
    told = f"{TITLES[field]}: a key may list at most 25; this would make 26."
    assert refused(tab, key, **{field: [*texts, entry]}) == {field: [told]}
    one_more = write(tab, key, f"{column}s/", {column: entry})
    assert (one_more.status_code, body(one_more)) == (400, {field: [told]})
    paste = {"allowed_domains": "paste_domains", "allowed_ips": "paste_ips"}[field]
    assert tab.refused(path(key), fields(tab, key, **{paste: entry})).errors == [told]
    assert [each[column] for each in body(write(tab, key, "", None, "GET"))[field]] == texts
    # One that goes makes room, and the other list has a limit of its own.
    change(tab, key, **{field: [*texts[1:], entry]})
    change(tab, key, **{**ONLY_DOMAINS, **ONLY_IPS, field: texts})


@LISTS
def test_switching_back_resets_the_list(
    tab: Admin, key: APIKey, mode: str, field: str, column: str, entry: str
) -> None:
    """'Switching the domain permission condition from [Allow only listed domains] back to [Allow all
    domains] will reset the [Allowed Domains] list.' And the same for IPs.
    """
    lists = {**ONLY_DOMAINS, **ONLY_IPS}
    for switch_back in (
        lambda: tab.saved(path(key), fields(tab, key, **{mode: "all"})),
        lambda: change(tab, key, **{mode: "all"}),
    ):
        change(tab, key, **lists)
        switch_back()
        shown = body(write(tab, key, "", None, "GET"))
        assert (shown[mode], shown[field]) == ("all", [])
        # The other list stays as it was.
        (other,) = {"allowed_domains", "allowed_ips"} - {field}
        assert len(shown[other]) == 1
        # Switched on again, it starts empty.
        assert field in refused(tab, key, **{mode: "listed"})


# Setting conditions


BOTH = {**ONLY_DOMAINS, **ONLY_IPS}


def test_the_condition_is_one_of_two_and_both_must_match_by_default(tab: Admin, key: APIKey) -> None:
    """'you can set the resource access condition to either [Domain and IP must both match] or [Domain or
    IP can match] The default setting is [Domain and IP must both match].'
    """
    assert change(tab, key, **BOTH)["condition"] == "all"
    assert tab.get("add/").fields["condition"] == "all"
    assert change(tab, key, condition="any")["condition"] == "any"
    assert refused(tab, key, condition="by_source") == {"condition": ["Choose one of: all, any."]}


def test_domain_and_ip_must_both_match(tab: Admin, key: APIKey) -> None:
    """'An AND condition where both the Domain and IP must be registered in the Allowlist'"""
    change(tab, key, **BOTH)
    assert permitted(key) == [(SITE, SERVER)]


def test_domain_or_ip_can_match(tab: Admin, key: APIKey) -> None:
    """'An OR condition where either the Domain or the IP must be registered in the Allowlist'"""
    change(tab, key, condition="any", **BOTH)
    assert permitted(key) == [(SITE, SERVER), (SITE, OTHER_SERVER), (OTHER_SITE, SERVER), (None, SERVER)]


@pytest.mark.parametrize("condition", ["all", "any"])
def test_the_condition_counts_only_where_both_lists_are_on(tab: Admin, key: APIKey, condition: str) -> None:
    """'When both [Allow only listed domains] and [Allow only listed IPs] are enabled, you can set the
    resource access condition'
    """
    change(tab, key, condition=condition)
    assert permitted(key) == CALLS
    change(tab, key, **ONLY_DOMAINS)
    assert permitted(key) == [(SITE, SERVER), (SITE, OTHER_SERVER)]
    change(tab, key, domain_mode="all", **ONLY_IPS)
    assert permitted(key) == [(SITE, SERVER), (OTHER_SITE, SERVER), (None, SERVER)]


def test_a_condition_counts_once_it_is_saved(tab: Admin, key: APIKey) -> None:
    """'After selecting one of the two conditions, click the [Save Changes] button to save your settings.'"""
    change(tab, key, **BOTH)
    chosen = fields(tab, key, condition="any")
    assert not is_permitted(key, SITE, OTHER_SERVER)
    tab.saved(path(key), chosen)
    assert is_permitted(key, SITE, OTHER_SERVER)


# Error response


@pytest.mark.parametrize(
    ("lists", "origin", "address", "message", "why"),
    [
        pytest.param(ONLY_DOMAINS, OTHER_SITE, SERVER, DOMAIN_DENIED, "origin_not_listed", id="domain"),
        pytest.param(ONLY_DOMAINS, None, SERVER, DOMAIN_DENIED, "origin_missing", id="domain, a server"),
        pytest.param(ONLY_IPS, SITE, OTHER_SERVER, IP_DENIED, "ip_not_listed", id="IP, a browser"),
        pytest.param(ONLY_IPS, None, OTHER_SERVER, IP_DENIED, "ip_not_listed", id="IP, a server"),
        pytest.param(BOTH, OTHER_SITE, SERVER, DOMAIN_DENIED, "origin_not_listed", id="and, the domain"),
        pytest.param(BOTH, SITE, OTHER_SERVER, IP_DENIED, "ip_not_listed", id="and, the IP"),
        pytest.param(BOTH, None, SERVER, DOMAIN_DENIED, "origin_missing", id="and, a listed server"),
        pytest.param(
            {**BOTH, "condition": "any"}, OTHER_SITE, OTHER_SERVER, DOMAIN_DENIED, "origin_not_listed",
            id="or, a browser",
        ),
        pytest.param(
            {**BOTH, "condition": "any"}, None, OTHER_SERVER, IP_DENIED, "ip_not_listed", id="or, a server"
        ),
    ],
)  # fmt: skip
def test_the_error_response_is_the_page_s_and_names_domain_or_ip(
    tab: Admin, key: APIKey, lists: Any, origin: str | None, address: str, message: str, why: str
) -> None:
    """'"code": "PERMISSION_DENIED", "message": "Permission denied. Check your security settings and ensure
    your domain is allowlisted."' 'The error message may reference Domain or Source IP depending on the
    type of request.'
    """
    change(tab, key, **lists)
    answer = resources(key, origin, address)
    assert (answer.status_code, answer["Content-Type"]) == (403, "application/json")
    assert body(answer) == {"code": "PERMISSION_DENIED", "message": message, "reason": why}


def test_the_remedy_for_an_origin_that_is_not_registered_is_to_add_it(tab: Admin, key: APIKey) -> None:
    """'the current origin is not registered — Add the Domain Name or Source IP to the Allowlist'"""
    change(tab, key, **BOTH)
    assert not is_permitted(key, OTHER_SITE, OTHER_SERVER)
    assert write(tab, key, "domains/", "example.net").status_code == 201
    assert body(resources(key, OTHER_SITE))["message"] == IP_DENIED
    assert write(tab, key, "ips/", OTHER_SERVER).status_code == 201
    assert is_permitted(key, OTHER_SITE, OTHER_SERVER)


@LISTS
@pytest.mark.parametrize(
    "typo", ["exmaple", "example.com/login", "htps://example.com", "203.0.113", "1.2.3.4/24 "]
)
def test_formatting_errors_are_told_when_they_are_registered(
    tab: Admin, key: APIKey, mode: str, field: str, column: str, entry: str, typo: str
) -> None:
    """'The value registered in the Allowlist does not match the actual request origin — Review the
    registered entries and check for typos or formatting errors.'
    """
    told = refused(tab, key, **{mode: "listed", field: [entry, typo]})
    (sentence,) = told[field]["1"]
    assert typo.strip() in sentence
    assert permitted(key) == CALLS


def test_a_typo_is_corrected_where_it_stands(tab: Admin, key: APIKey) -> None:
    """'Review the registered entries and check for typos'"""
    change(tab, key, domain_mode="listed", allowed_domains=["exmaple.com"])
    assert not is_permitted(key, SITE)
    tab.saved(path(key), fields(tab, key, **{"allowed_domains-0-domain": "example.com"}))
    assert is_permitted(key, SITE)


def test_with_both_toggles_disabled_nothing_is_refused(tab: Admin, key: APIKey) -> None:
    """'Verify that the Domain and Source IP Allowlist toggles are disabled. When a toggle is enabled, only
    origins registered in the Allowlist are permitted.'
    """
    change(tab, key, **BOTH)
    assert permitted(key) == [(SITE, SERVER)]
    change(tab, key, domain_mode="all", ip_mode="all")
    assert permitted(key) == CALLS


# Security recommendations


def test_a_key_kept_on_a_server_is_secret_and_restricted_by_ip(tab: Admin, creator: Any) -> None:
    """'Store API Keys in environment variables … rather than embedding them directly in source code.'
    'enable the Source IP Allowlist to block requests from non-permitted IPs.'
    """
    key, token = APIKey.objects.create_key(
        name="Server", creator=creator, kind=Kind.SECRET, allowed_ips=[SERVER]
    )
    assert "token" not in body(write(tab, key, "", None, "GET"))
    allowed, denied = (ask(RESOURCES, token, REMOTE_ADDR=address) for address in (SERVER, OTHER_SERVER))
    assert (allowed.status_code, denied.status_code) == (200, 403)
    assert body(denied)["message"] == IP_DENIED
    assert reason(ask(RESOURCES, token, origin=SITE, REMOTE_ADDR=SERVER)) == "secret_key_in_browser"


def test_keys_are_rotated(tab: Admin, key: APIKey) -> None:
    """'Rotate API keys periodically.'"""
    change(tab, key, **ONLY_DOMAINS)
    old = key.token
    new = body(write(tab, key, "rotate/", {}))["token"]
    assert [ask(RESOURCES, token, origin=SITE).status_code for token in (old, new)] == [401, 200]
    assert ask(RESOURCES, new, origin=OTHER_SITE).status_code == 403


@LISTS
def test_an_entry_that_is_removed_opens_nothing_any_more(
    tab: Admin, key: APIKey, mode: str, field: str, column: str, entry: str
) -> None:
    """'Remove entries that are no longer in use to eliminate unnecessary access paths.'"""
    rest = {"domain": "example.org", "ip": "192.0.2.1"}[column]
    shown = change(tab, key, **{mode: "listed", field: [entry, rest]})[field]
    assert is_permitted(key, SITE, SERVER)
    assert write(tab, key, f"{column}s/{shown[0]['id']}/", None, "DELETE").status_code == 204
    assert not is_permitted(key, SITE, SERVER)


# Our demo


def test_the_demo_may_be_started_twice_and_tells_the_truth(creator: Any, settings: Any) -> None:
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
    statuses = [
        resources(both, f"http://{name}.localhost:8000", demo.HERE).status_code
        for name in ("shop", "partner", "copycat")
    ]
    assert statuses == [200, 200, 403]
