"""The token-access page: two restrictions, each for its own kind of caller, sentence by sentence."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from allowlist.models import APIKey
from allowlist.policy.tokens import Kind
from example_project.configurator.demo import Addresses
from tests.pages import Admin
from tests.recipes import load
from tests.testing import UNKNOWN, Reply, body, call

pytestmark = [pytest.mark.recipe("token-access"), pytest.mark.django_db(databases="__all__")]

ORDERS = "/api/v1/orders"
SITE, OTHER_SITE = "https://example.com", "https://example.org"
SERVER, OTHER_SERVER = "93.184.216.34", "93.184.216.35"
PROXY = "127.0.0.1"
DENIED = {"error": "Access denied. You don't have permission to access this."}


@pytest.fixture
def key(creator: Any) -> APIKey:
    """Return a key without restrictions, whose token the tests send."""
    return APIKey.objects.create_key(name="token", creator=creator)[0]


@pytest.fixture
def restricted(key: APIKey) -> APIKey:
    """Return the key, restricted to a page and a server."""
    key.restrict_domains(["example.com"])
    key.restrict_ips([SERVER])
    return key


def orders(token: str | None, origin: str | None = None, address: str = SERVER, **options: Any) -> Reply:
    """Request the orders: from a page of ``origin``, or as a server where None."""
    return call(ORDERS, token, origin=origin, REMOTE_ADDR=address, **options)


def is_granted(response: Reply) -> bool:
    """Return whether the response shows the orders; if not, it is the refusal and nothing else."""
    if response.status_code == 200:
        assert [order["number"] for order in body(response)["orders"]] == [1001, 1002]
        return True
    assert (response.status_code, body(response)) == (403, DENIED)
    return False


def granted(key: APIKey) -> list[bool]:
    """Return whether a listed page, another page, a listed server and another server have access."""
    sources = ((SITE, OTHER_SERVER), (OTHER_SITE, SERVER), (None, SERVER), (None, OTHER_SERVER))
    return [is_granted(orders(key.token, *source)) for source in sources]


def test_each_request_is_validated_by_its_source(key: APIKey) -> None:
    """“You can restrict API access based on: Domain, IP Address, Both”, and what each choice blocks."""
    assert granted(key) == [True, True, True, True]
    key.restrict_domains(["example.com"])
    assert granted(key) == [True, False, False, False]  # “Back end requests will NOT work.”
    key.restrict_ips([SERVER])
    assert granted(key) == [True, False, True, False]
    key.allow_all_domains()
    assert granted(key) == [False, False, True, False]  # “Front end requests should NOT work.”
    key.allow_all_ips()
    assert granted(key) == [True, True, True, True]


def test_a_secret_token_is_for_the_back_end_alone(creator: Any) -> None:
    """“Is this API token being used from the front end (browser) or the back end (server)?”"""
    key, token = APIKey.objects.create_key(
        name="token", creator=creator, kind=Kind.SECRET, allowed_ips=[SERVER]
    )
    assert is_granted(orders(token))
    assert not is_granted(orders(token, address=OTHER_SERVER))
    assert not is_granted(orders(token, SITE))
    # In a URL it is denied in the same words.
    assert not is_granted(call(f"{ORDERS}?key={token}", REMOTE_ADDR=SERVER))
    with pytest.raises(ValidationError):
        key.restrict_domains(["example.com"])


@pytest.mark.parametrize(
    ("origin", "is_listed"),
    [
        ("https://example.com", True),
        ("http://example.com:8443", True),
        ("https://example.org", True),
        ("https://www.example.com", False),
        ("https://example.com.evil.test", False),
        ("https://notexample.com", False),
    ],
)
def test_a_request_must_match_one_of_the_listed_domains(key: APIKey, origin: str, is_listed: bool) -> None:
    """“If the request domain matches one of the allowed domains → Access Granted”, “Example: example.com”."""
    key.restrict_domains(["example.com", "example.org"])
    assert is_granted(orders(key.token, origin)) is is_listed
    assert is_granted(orders(key.token, referer=f"{origin}/cart?step=2")) is is_listed


def test_a_request_must_match_one_of_the_listed_addresses(key: APIKey) -> None:
    """“If the request IP matches one of the allowed IPs → Access Granted”, if not “Access Denied”."""
    key.restrict_ips([SERVER, "2606:4700:4700::1111"])
    callers = (SERVER, "2606:4700:4700:0::1111", OTHER_SERVER)
    assert [is_granted(orders(key.token, address=address)) for address in callers] == [True, True, False]


def test_up_to_five_may_be_listed(key: APIKey) -> None:
    """“You can add up to 5 allowed domains.” “You can add up to 5 allowed IP addresses.”"""
    for restrict, entries in (
        (key.restrict_domains, [f"site{number}.example" for number in range(6)]),
        (key.restrict_ips, [f"93.184.216.{number}" for number in range(6)]),
    ):
        restrict(entries[:5])
        with pytest.raises(ValidationError):
            restrict(entries)
    assert (key.allowed_domains.count(), key.allowed_ips.count()) == (5, 5)


@pytest.mark.parametrize(
    "entry", ["https://example.com", "example.com:8080", "*.example.com", "example.com/path"]
)
def test_a_domain_is_a_name_as_in_the_example(key: APIKey, entry: str) -> None:
    """“Example: example.com”: neither an origin nor a wildcard; the name is offered."""
    with pytest.raises(ValidationError, match=r"“example\.com”"):
        key.add_domains([entry])


@pytest.mark.parametrize(
    "entry", ["192.168.1.1", "127.0.0.1", "100.64.0.1", "fd00::1", "93.184.216.0/24", "93.184.216.*"]
)
def test_internal_and_network_addresses_are_refused(key: APIKey, entry: str) -> None:
    """“Do not use internal or network IPs.” The rule wins against “Example: 192.168.1.1”."""
    with pytest.raises(ValidationError):
        key.add_ips([entry])


def test_an_empty_list_blocks_every_request_of_its_kind(restricted: APIKey) -> None:
    """“If IP restriction is enabled but no IP address is added → All backend requests will be blocked.”
    And removing the last entry leaves the restriction enabled; for domains likewise.
    """
    restricted.remove_ips([SERVER])
    assert granted(restricted) == [True, False, False, False]
    restricted.restrict_domains([])
    assert granted(restricted) == [False, False, False, False]
    restricted.add_ips([SERVER])
    assert granted(restricted) == [False, False, True, False]


@pytest.mark.parametrize("condition", ["all", "any"])
def test_no_other_way_of_joining_the_two_can_be_chosen(key: APIKey, condition: str) -> None:
    """“Each request is validated based on its source (browser or server).”"""
    assert key.condition == "by_source"
    key.condition = condition
    with pytest.raises(ValidationError):
        key.save()


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "null", "Referer": "https://example.com/"}, {"Origin": ""}, {"Sec-Fetch-Site": "cross-site"}],
    ids=["opaque", "empty", "hidden"],
)
def test_a_browser_without_a_readable_domain_is_denied(restricted: APIKey, headers: dict[str, str]) -> None:
    """“Front end requests must match one of the allowed domains”, though the address is listed."""
    assert not is_granted(orders(restricted.token, headers=headers))


def test_the_access_denied_response_is_the_page_s_to_the_letter(restricted: APIKey) -> None:
    """“If access validation fails, the API returns: {"error": ...} HTTP Status Code: 403 Forbidden”."""
    for response in (orders(restricted.token, OTHER_SITE), orders(restricted.token, address=OTHER_SERVER)):
        assert (response.status_code, response.reason_phrase) == (403, "Forbidden")
        assert response["Content-Type"] == "application/json"
        assert response.content == b'{"error":"Access denied. You don\'t have permission to access this."}'
    # The refused page's script may read it.
    assert orders(restricted.token, OTHER_SITE)["Access-Control-Allow-Origin"] == OTHER_SITE


@pytest.mark.parametrize("token", [None, UNKNOWN])
def test_a_token_that_does_not_work_is_told_apart(token: str | None) -> None:
    """Access isn't what failed here, so the response is a 401, in the same shape."""
    response = orders(token, SITE)
    assert (response.status_code, response["WWW-Authenticate"]) == (401, "Api-Key")
    assert set(body(response)) == {"error"}
    assert body(response) != DENIED


def test_behind_the_proxy_a_server_s_own_address_counts(restricted: APIKey) -> None:
    """“If the request IP matches one of the allowed IPs”: the caller's, and not the proxy's."""
    for proxy, forwarded, is_listed in (
        (PROXY, SERVER, True),
        (PROXY, f"{SERVER}, {OTHER_SERVER}", False),
        (OTHER_SERVER, SERVER, False),
    ):
        response = orders(restricted.token, address=proxy, headers={"X-Forwarded-For": forwarded})
        assert is_granted(response) is is_listed


def test_a_token_is_its_creator_s(key: APIKey, stranger: Any) -> None:
    """“This feature allows you to control how your API token can be used.”"""
    Admin(stranger).get(f"{key.pk}/change/", status=404)


def test_the_demo_finds_its_keys_at_each_start(creator: Any) -> None:
    demo = load("token-access", "demo")
    demo.set_up(creator, Addresses(8000))
    demo.set_up(creator, Addresses(8000))
    assert sorted(key.name for key in APIKey.objects.all()) == sorted((demo.BOTH, demo.SERVER))
    embed = demo.embed(Addresses(8000))
    assert embed.url == f"http://localhost:8000{ORDERS}"
    for host, is_listed in (("shop", True), ("partner", True), ("copycat", False)):
        assert is_granted(orders(embed.key, f"http://{host}.localhost:8000", PROXY)) is is_listed
