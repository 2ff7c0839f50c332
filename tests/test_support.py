"""From “it says 403” to the cause and the mend: what a key's page says, and a refusal's body alone."""

from typing import Any, NamedTuple

import pytest

from tests.conftest import User
from tests.pages import Admin
from tests.testing import call, make_key

NOT_LISTED = (
    "Add this origin to the key's allowed domains. An entry doesn't cover subdomains such as www, "
    "and one for https:// doesn't cover http://."
)
HIDDEN = (
    "The browser hides which page sent the request. Set the page's Referrer-Policy to "
    'strict-origin-when-cross-origin, or add referrerpolicy="origin" to the element that sends the request.'
)
NULL = (
    "The page has no origin: browsers send “null” for sandboxed iframes, local files and some redirects. Add "
    "allow-same-origin to the iframe's sandbox attribute, or open the page from a website."
)
OTHER_ADDRESS = (
    "If this is your server's IP address, which may have changed, add it to the key's allowed IPs. If it is "
    "a proxy's, ask the operator of this service to add the proxy to TRUSTED_PROXIES."
)
PRIVATE = (
    "This IP address is private. Allow it only if it is your own server's. If it is a proxy's, allowing it "
    "would let in everyone behind the proxy: ask the operator of this site to add it to TRUSTED_PROXIES."
)


class Case(NamedTuple):
    """One cause: what is listed, what is sent, and the sentences that name the cause and the mend."""

    listed: str
    headers: dict[str, str]
    address: str
    body: dict[str, str | None]
    """The reason, the hint and what was seen."""
    page: str
    """What the key's page says, in “Blocked” and in “Test a request”."""
    button: str | None


CASES = {
    "www against the apex": Case(
        "example.com",
        {"Origin": "https://www.example.com"},
        "192.0.2.1",
        {"reason": "origin_not_listed", "hint": NOT_LISTED, "origin": "https://www.example.com"},
        (
            "“https://www.example.com” isn't listed. “example.com” is, but it doesn't cover its subdomains. "
            "Add “www.example.com”?"
        ),
        "www.example.com",
    ),
    "http against https": Case(
        "https://example.com",
        {"Origin": "http://example.com"},
        "192.0.2.1",
        {"reason": "origin_not_listed", "hint": NOT_LISTED, "origin": "http://example.com"},
        (
            "“http://example.com” isn't listed. “https://example.com” is, but its scheme (http or https) "
            "differs. Add “http://example.com”?"
        ),
        "http://example.com",
    ),
    "a hidden referrer": Case(
        "example.com",
        {"Sec-Fetch-Site": "cross-site"},
        "192.0.2.1",
        {"reason": "origin_hidden", "hint": HIDDEN, "origin": None},
        HIDDEN,
        None,
    ),
    "null from a sandboxed frame": Case(
        "example.com",
        {"Origin": "null"},
        "192.0.2.1",
        {"reason": "origin_opaque", "hint": NULL, "origin": None},
        NULL,
        None,
    ),
    "a server that changed its address": Case(
        "203.0.113.7",
        {},
        "203.0.113.9",
        {"reason": "ip_not_listed", "hint": OTHER_ADDRESS, "ip": "203.0.113.9"},
        (
            "“203.0.113.9” isn't listed. “203.0.113.7” is, in the same network: the server's address may "
            "have changed. Add “203.0.113.9”?"
        ),
        "203.0.113.9",
    ),
    "a proxy that isn't trusted": Case(
        "203.0.113.7",
        {"X-Forwarded-For": "203.0.113.7"},
        "10.0.0.5",
        {"reason": "ip_not_listed", "hint": OTHER_ADDRESS, "ip": "10.0.0.5"},
        PRIVATE,
        "10.0.0.5",
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_cause_and_the_mend_are_read_from_the_page_and_from_the_body(creator: User, case: Case) -> None:
    is_server = "." in case.listed and case.listed[0].isdigit()
    lists: dict[str, Any] = (
        {"ips": [case.listed], "kind": "secret"} if is_server else {"domains": [case.listed]}
    )
    key, token = make_key(creator, **lists)
    body = call("/widget/alone/", token, case.headers, REMOTE_ADDR=case.address).json()
    assert {name: body[name] for name in case.body} == case.body
    site = Admin(creator)
    blocked = site.get(f"{key.pk}/change/").text
    assert case.page in blocked
    assert (f"Allow {case.button}" in blocked) is (case.button is not None)
    names = {"Origin": "origin", "Sec-Fetch-Site": "sec_fetch_site"}
    asked = {names[name]: value for name, value in case.headers.items() if name in names}
    tested: Any = site.client.get(f"{site.base}{key.pk}/test/", {**asked, "ip": case.address})
    assert case.page in " ".join(tested.content.decode().split()).replace("&#x27;", "'").replace(
        "&quot;", '"'
    )


def test_the_test_page_says_that_a_proxy_is_not_trusted(creator: User, settings: Any) -> None:
    key, _token = make_key(creator)
    site = Admin(creator)

    def seen(**environ: str) -> str:
        return site.client.get(f"{site.base}{key.pk}/test/", **environ).content.decode()  # type: ignore[arg-type]

    proxied = {"REMOTE_ADDR": "10.0.0.5", "HTTP_X_FORWARDED_FOR": "203.0.113.7"}
    said = "site must add it to TRUSTED_PROXIES: your request has a header X-Forwarded-For"
    assert said in seen(**proxied)
    assert said not in seen(REMOTE_ADDR="10.0.0.5")
    settings.ALLOWLIST = {"TRUSTED_PROXIES": ["10.0.0.0/8"]}
    assert "We see you as 203.0.113.7." in seen(**proxied)
    settings.ALLOWLIST = {"TRUSTED_PROXIES": ["unix"]}
    assert "We see you as 203.0.113.7." in seen(**{**proxied, "REMOTE_ADDR": ""})
