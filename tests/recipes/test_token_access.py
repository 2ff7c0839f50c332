"""The token-access recipe: two restrictions, each for its own kind of caller, sentence by sentence."""

from typing import Any

import pytest
from django.test import Client

from allowlist.models import APIKey
from example_project.configurator.demo import Addresses
from tests.calls import UNKNOWN, Answer, body
from tests.recipes import ask, load, logged_in

pytestmark = [pytest.mark.recipe("token-access"), pytest.mark.django_db(databases="__all__")]

ORDERS = "/api/v1/orders"
SITE, OTHER_SITE = "https://example.com", "https://example.org"
SERVER, OTHER_SERVER = "93.184.216.34", "93.184.216.35"
PROXY = "127.0.0.1"
DENIED = {"error": "Access denied. You don't have permission to access this."}

DOMAIN = {"domain_mode": "listed", "allowed_domains": ["example.com"]}
IP = {"ip_mode": "listed", "allowed_ips": [SERVER]}


@pytest.fixture
def owner(creator: Any) -> Client:
    """Return a browser in which the tokens' creator is logged in."""
    return logged_in(creator)


def write(client: Client, path: str, data: Any, method: str = "POST") -> Answer:
    """Send JSON to the management API."""
    return ask(f"/api/keys/{path}", method=method, data=data, client=client)


def make(client: Client, **data: Any) -> Any:
    """Make a token and return it as the API shows it."""
    answer = write(client, "", {"name": "token", **data})
    assert answer.status_code == 201, answer.content
    return body(answer)


def orders(token: str | None, origin: str | None = None, address: str = SERVER, **options: Any) -> Answer:
    """Ask for the orders: from a page of ``origin``, or as a server where None."""
    return ask(ORDERS, token, origin=origin, REMOTE_ADDR=address, **options)


def is_granted(answer: Answer) -> bool:
    """Return whether the answer is the orders; if not, it is the refusal and nothing else."""
    if answer.status_code == 200:
        assert [order["number"] for order in body(answer)["orders"]] == [1001, 1002]
        return True
    assert (answer.status_code, body(answer)) == (403, DENIED)
    return False


@pytest.mark.parametrize(
    ("restrictions", "listed_page", "unlisted_page", "listed_server", "unlisted_server"),
    [
        pytest.param({}, True, True, True, True, id="neither"),
        pytest.param(DOMAIN, True, False, False, False, id="only Domain: back end requests will NOT work"),
        pytest.param(IP, False, False, True, False, id="only IP: front end requests should NOT work"),
        pytest.param({**DOMAIN, **IP}, True, False, True, False, id="both: each by its source"),
    ],
)
def test_each_request_is_validated_by_its_source(
    owner: Client,
    restrictions: dict[str, Any],
    listed_page: bool,
    unlisted_page: bool,
    listed_server: bool,
    unlisted_server: bool,
) -> None:
    token = make(owner, **restrictions)["token"]
    assert is_granted(orders(token, SITE, SERVER)) is listed_page
    assert is_granted(orders(token, SITE, OTHER_SERVER)) is listed_page
    assert is_granted(orders(token, OTHER_SITE, SERVER)) is unlisted_page
    assert is_granted(orders(token, OTHER_SITE, OTHER_SERVER)) is unlisted_page
    assert is_granted(orders(token, None, SERVER)) is listed_server
    assert is_granted(orders(token, None, OTHER_SERVER)) is unlisted_server


def test_a_secret_token_is_for_the_back_end_alone(owner: Client) -> None:
    """“Is this API token being used from the front end (browser) or the back end (server)?”"""
    token = make(owner, kind="secret", **IP)["token"]
    assert is_granted(orders(token))
    assert not is_granted(orders(token, address=OTHER_SERVER))
    assert not is_granted(orders(token, SITE))
    refused = write(owner, "", {"name": "token", "kind": "secret", **DOMAIN})
    assert (refused.status_code, body(refused)) == (400, {"domain_mode": ["Choose one of: all."]})


@pytest.mark.parametrize(
    ("origin", "granted"),
    [
        ("https://example.com", True),
        ("http://example.com", True),
        ("https://example.com:8443", True),
        ("https://EXAMPLE.com", True),
        ("https://www.example.com", False),
        ("https://example.com.evil.test", False),
        ("https://notexample.com", False),
        ("https://com", False),
    ],
)
def test_a_request_s_domain_matches_the_listed_name_and_no_other(
    owner: Client, origin: str, granted: bool
) -> None:
    """“If the request domain matches one of the allowed domains → Access Granted”, “Example: example.com”."""
    token = make(owner, **DOMAIN)["token"]
    assert is_granted(orders(token, origin)) is granted
    assert is_granted(orders(token, referer=f"{origin}/cart?step=2")) is granted


def test_any_of_the_listed_domains_and_addresses_will_do(owner: Client) -> None:
    """“matches one of the allowed domains”, “matches one of the allowed IPs”."""
    listed = make(
        owner, allowed_domains=["example.com", "example.org"], allowed_ips=[SERVER, "2606:4700:4700::1111"]
    )
    assert (listed["domain_mode"], listed["ip_mode"]) == ("listed", "listed")
    for site in (SITE, OTHER_SITE):
        assert is_granted(orders(listed["token"], site))
    for address in (SERVER, "2606:4700:4700:0::1111"):
        assert is_granted(orders(listed["token"], address=address))
    assert not is_granted(orders(listed["token"], "https://example.net"))
    assert not is_granted(orders(listed["token"], address=OTHER_SERVER))


@pytest.mark.parametrize(
    ("path", "field", "entries"),
    [
        ("domains", "allowed_domains", [f"site{number}.example" for number in range(6)]),
        ("ips", "allowed_ips", [f"93.184.216.{number}" for number in range(6)]),
    ],
)
def test_up_to_five_may_be_listed(owner: Client, path: str, field: str, entries: list[str]) -> None:
    """“You can add up to 5 allowed domains.” “You can add up to 5 allowed IP addresses.”"""
    refused = write(owner, "", {"name": "token", field: entries})
    assert refused.status_code == 400
    assert "at most 5" in body(refused)[field][0]
    assert not APIKey.objects.exists()
    key = make(owner, **{field: entries[:5]})
    assert len(key[field]) == 5
    sixth = write(owner, f"{key['id']}/{path}/", entries[5])
    assert sixth.status_code == 400
    assert "at most 5" in body(sixth)[field][0]
    assert write(owner, f"{key['id']}/", {field: entries}, "PATCH").status_code == 400
    assert body(write(owner, f"{key['id']}/", None, "GET")) == key


@pytest.mark.parametrize(
    "entry", ["https://example.com", "http://example.com:8080", "*.example.com", "example.com/path"]
)
def test_a_domain_is_a_name_as_in_the_example(owner: Client, entry: str) -> None:
    """“Example: example.com”: neither an origin nor a wildcard; the name is offered."""
    refused = write(owner, "", {"name": "token", "allowed_domains": [entry]})
    assert refused.status_code == 400
    assert "“example.com”" in body(refused)["allowed_domains"]["0"][0]


@pytest.mark.parametrize(
    "entry",
    ["192.168.1.1", "10.0.0.1", "172.16.0.1", "127.0.0.1", "169.254.0.1", "100.64.0.1", "fd00::1", "::1"],
)
def test_internal_addresses_are_refused_the_page_s_own_example_included(owner: Client, entry: str) -> None:
    """“Example: 192.168.1.1”, and: “Do not use internal or network IPs.” The rule wins."""
    refused = write(owner, "", {"name": "token", "allowed_ips": [entry]})
    assert refused.status_code == 400
    assert "Enter your server's public IP address." in body(refused)["allowed_ips"]["0"][0]


@pytest.mark.parametrize("entry", ["93.184.216.0/24", "2606:4700::/32", "93.184.216.*"])
def test_network_addresses_are_refused(owner: Client, entry: str) -> None:
    """“Do not use internal or network IPs.” “Only static IP addresses are supported.”"""
    assert write(owner, "", {"name": "token", "allowed_ips": [entry]}).status_code == 400
    key = make(owner, **IP)
    assert write(owner, f"{key['id']}/ips/", entry).status_code == 400
    assert write(owner, f"{key['id']}/ips/", OTHER_SERVER).status_code == 201


@pytest.mark.parametrize("domains", [{}, DOMAIN], ids=["IP alone", "both"])
def test_an_empty_list_of_addresses_blocks_every_back_end_request(
    owner: Client, domains: dict[str, Any]
) -> None:
    """“If IP restriction is enabled but no IP address is added → All backend requests will be blocked.”"""
    token = make(owner, ip_mode="listed", **domains)["token"]
    for address in (SERVER, OTHER_SERVER, PROXY, "2606:4700:4700::1111"):
        assert not is_granted(orders(token, address=address))
    assert is_granted(orders(token, SITE)) is bool(domains)


@pytest.mark.parametrize("addresses", [{}, IP], ids=["domains alone", "both"])
def test_an_empty_list_of_domains_blocks_every_front_end_request(
    owner: Client, addresses: dict[str, Any]
) -> None:
    """“If the domain does not match → Access Denied”, of a list that nothing can match."""
    token = make(owner, domain_mode="listed", **addresses)["token"]
    for site in (SITE, OTHER_SITE, "http://localhost:3000"):
        assert not is_granted(orders(token, site))
    assert is_granted(orders(token)) is bool(addresses)


def test_removing_the_last_address_blocks_the_back_end_at_once(owner: Client) -> None:
    """“If IP restriction is enabled but no IP address is added”: nor is any left, it stays enabled."""
    key = make(owner, **IP)
    assert is_granted(orders(key["token"]))
    (entry,) = key["allowed_ips"]
    assert write(owner, f"{key['id']}/ips/{entry['id']}/", None, "DELETE").status_code == 204
    assert not is_granted(orders(key["token"]))


def test_either_restriction_can_be_switched_on_and_off(owner: Client) -> None:
    """“You can restrict API access based on: Domain, IP Address, Both”: each is a choice, and neither is."""
    key = make(owner)
    assert (key["domain_mode"], key["ip_mode"], key["condition"]) == ("all", "all", "by_source")
    for change, page, server in (
        (DOMAIN, True, False),
        (IP, True, True),
        ({"domain_mode": "all"}, False, True),
        ({"ip_mode": "all"}, True, True),
    ):
        assert write(owner, f"{key['id']}/", change, "PATCH").status_code == 200
        assert is_granted(orders(key["token"], SITE)) is page
        assert is_granted(orders(key["token"])) is server


@pytest.mark.parametrize("condition", ["all", "any"])
def test_no_other_way_of_joining_the_two_can_be_chosen(owner: Client, condition: str) -> None:
    """“Each request is validated based on its source (browser or server).”"""
    key = make(owner, **DOMAIN, **IP)
    for path, method in (("", "POST"), (f"{key['id']}/", "PATCH")):
        refused = write(owner, path, {"name": "token", "condition": condition}, method)
        assert (refused.status_code, body(refused)) == (400, {"condition": ["Choose one of: by_source."]})


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "https://example.com, https://example.org"},
        {"Origin": "https://example.com/path"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "null", "Referer": "https://example.com/"},
    ],
    ids=["opaque", "empty", "a list", "a path", "hidden", "opaque with Referer"],
)
def test_a_browser_without_a_readable_domain_is_denied(owner: Client, headers: dict[str, str]) -> None:
    """“Front end requests must match one of the allowed domains”, though the address is listed."""
    token = make(owner, **DOMAIN, **IP)["token"]
    assert not is_granted(orders(token, headers=headers))


def test_the_access_denied_response_is_the_page_s_to_the_letter(owner: Client) -> None:
    """“If access validation fails, the API returns: {"error": ...} HTTP Status Code: 403 Forbidden”."""
    token = make(owner, **DOMAIN, **IP)["token"]
    for answer in (orders(token, OTHER_SITE), orders(token, address=OTHER_SERVER)):
        assert answer.status_code == 403
        assert answer.reason_phrase == "Forbidden"
        assert answer["Content-Type"] == "application/json"
        assert answer.content == b'{"error":"Access denied. You don\'t have permission to access this."}'


def test_a_secret_token_in_a_url_is_denied_in_the_same_words(owner: Client) -> None:
    token = make(owner, kind="secret", **IP)["token"]
    answer = ask(f"{ORDERS}?key={token}", REMOTE_ADDR=SERVER)
    assert (answer.status_code, body(answer)) == (403, DENIED)


@pytest.mark.parametrize(
    ("token", "sentence"), [(None, "No API key was sent."), (UNKNOWN, "This API key does not work")]
)
def test_a_token_that_does_not_work_is_told_apart(token: str | None, sentence: str) -> None:
    """What fails here is not the validation of access, so the answer is a 401, in the same shape."""
    answer = orders(token, SITE)
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == "Api-Key"
    assert set(body(answer)) == {"error"}
    assert body(answer)["error"].startswith(sentence)


def test_a_refused_page_may_read_why(owner: Client) -> None:
    """“Access Denied Response”: the page's own script gets it, past the browser's CORS check."""
    token = make(owner, **DOMAIN)["token"]
    preflight = orders(
        None,
        OTHER_SITE,
        method="OPTIONS",
        headers={"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "x-api-key"},
    )
    assert preflight.status_code == 200
    assert "x-api-key" in preflight["Access-Control-Allow-Headers"]
    refused = orders(token, OTHER_SITE)
    assert not is_granted(refused)
    assert refused["Access-Control-Allow-Origin"] == OTHER_SITE


def test_behind_the_proxy_a_server_s_own_address_counts(owner: Client) -> None:
    """“If the request IP matches one of the allowed IPs”: the caller's, and not the proxy's."""
    token = make(owner, **IP)["token"]

    def via(proxy: str, forwarded: str) -> bool:
        return is_granted(orders(token, address=proxy, headers={"X-Forwarded-For": forwarded}))

    assert via(PROXY, SERVER)
    assert via(PROXY, f"{OTHER_SERVER}, {SERVER}")
    assert not via(PROXY, OTHER_SERVER)
    assert not via(PROXY, f"{SERVER}, {OTHER_SERVER}")
    assert not via(OTHER_SERVER, SERVER)
    assert not via("127.0.0.2", SERVER)
    assert not is_granted(orders(token, address=PROXY))


def test_somebody_else_s_token_is_not_found(owner: Client, stranger: Any, superuser: Any) -> None:
    """“This feature allows you to control how your API token can be used.”"""
    key = make(owner, **DOMAIN)
    for other in (logged_in(stranger), logged_in(superuser)):
        assert body(write(other, "", None, "GET")) == []
        assert write(other, f"{key['id']}/", None, "GET").status_code == 404
        assert write(other, f"{key['id']}/", {"domain_mode": "all"}, "PATCH").status_code == 404
        assert write(other, f"{key['id']}/domains/", "evil.example").status_code == 404
    assert body(write(owner, f"{key['id']}/", None, "GET")) == key


def test_the_demo_may_be_started_twice_and_tells_the_truth(creator: Any) -> None:
    demo = load("token-access", "demo")
    demo.set_up(creator, Addresses(8000))
    demo.set_up(creator, Addresses(8000))
    assert sorted(key.name for key in APIKey.objects.all()) == sorted((demo.BOTH, demo.SERVER))
    embed = demo.embed(Addresses(8000))
    assert embed.url == f"http://localhost:8000{ORDERS}"
    for host, granted in (("shop", True), ("partner", True), ("copycat", False)):
        assert is_granted(orders(embed.key, f"http://{host}.localhost:8000", PROXY)) is granted
    forwarded = {"X-Forwarded-For": demo.SERVER_ADDRESS}
    assert is_granted(orders(embed.key, address=PROXY, headers=forwarded))
    assert not is_granted(orders(embed.key, address="127.0.0.9", headers=forwarded))
    assert not is_granted(orders(embed.key, address=PROXY))
