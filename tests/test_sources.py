"""Which page or server a request comes from, by its headers, and what each key makes of it."""

from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient

from tests.calls import ELSEWHERE, EVIL, SERVER, SHOP, body, call, is_done_within, make_key, reason

pytestmark = pytest.mark.django_db(databases="__all__")

VIEW = "/widget/alone/"


def judge(headers: dict[str, str], key: dict[str, Any] | None = None, address: str = SERVER) -> str | None:
    """Return the reason for which a key that lists SHOP, or as told, refuses; None if it serves."""
    _, token = make_key(**({"allowed_domains": [SHOP]} if key is None else key))
    answer = call(VIEW, token, headers, REMOTE_ADDR=address)
    assert (answer.status_code == 200) is (reason(answer) is None)
    return reason(answer)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": SHOP},
        {"Origin": "HTTPS://SHOP.Example.COM"},
        {"Origin": SHOP + ":443"},
        {"Origin": SHOP + "."},
        {"Origin": f" \t{SHOP}\t "},
        {"Origin": SHOP, "Referer": EVIL},
        {"Origin": SHOP, "Referer": "nonsense"},
        {"Origin": SHOP, "Sec-Fetch-Site": "cross-site"},
        {"Referer": SHOP},
        {"Referer": SHOP + "/"},
        {"Referer": SHOP + "/a/page?with=query#and-fragment"},
        {"Referer": SHOP + "?at=" + EVIL},
        {"Referer": SHOP + "/\\@evil"},
        {"Referer": f"\t {SHOP}/ "},
        {"Referer": SHOP, "Sec-Fetch-Site": "cross-site"},
    ],
    ids=str,
)
def test_a_listed_page_is_served(headers: dict[str, str]) -> None:
    assert judge(headers) is None


NOT_LISTED, OPAQUE, MALFORMED = "origin_not_listed", "origin_opaque", "origin_malformed"
HIDDEN, MISSING = "origin_hidden", "origin_missing"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Origin": EVIL}, NOT_LISTED),
        ({"Origin": EVIL, "Referer": SHOP}, NOT_LISTED),
        ({"Origin": "http://shop.example.com"}, NOT_LISTED),
        ({"Origin": SHOP + ":8443"}, NOT_LISTED),
        ({"Origin": "https://[::1]"}, NOT_LISTED),
        ({"Referer": EVIL + "/" + SHOP}, NOT_LISTED),
        ({"Referer": EVIL, "Sec-Fetch-Site": "same-origin"}, NOT_LISTED),
        ({"Origin": "null"}, OPAQUE),
        ({"Origin": " null\t"}, OPAQUE),
        ({"Origin": "null", "Referer": SHOP}, OPAQUE),
        ({"Origin": ""}, MALFORMED),
        ({"Origin": "", "Referer": SHOP}, MALFORMED),
        ({"Origin": "Null"}, MALFORMED),
        ({"Origin": "undefined", "Referer": SHOP}, MALFORMED),
        ({"Origin": "shop.example.com"}, MALFORMED),
        ({"Origin": "//shop.example.com"}, MALFORMED),
        ({"Origin": SHOP + "/"}, MALFORMED),
        ({"Origin": SHOP + "/page"}, MALFORMED),
        ({"Origin": SHOP + "?"}, MALFORMED),
        ({"Origin": SHOP + "#"}, MALFORMED),
        ({"Origin": f"{SHOP}, {SHOP}"}, MALFORMED),
        ({"Origin": f"{SHOP} {SHOP}"}, MALFORMED),
        ({"Origin": "https://me@shop.example.com"}, MALFORMED),
        ({"Origin": "https://shop%2eexample.com"}, MALFORMED),
        ({"Origin": "https://shop\x00.example.com"}, MALFORMED),
        ({"Origin": SHOP + "\n"}, MALFORMED),
        ({"Origin": SHOP + ":"}, MALFORMED),
        ({"Origin": SHOP + ":0443"}, MALFORMED),
        ({"Origin": SHOP + ":0"}, MALFORMED),
        ({"Origin": SHOP + ":65536"}, MALFORMED),
        ({"Origin": "file://"}, MALFORMED),
        ({"Origin": "ftp://shop.example.com"}, MALFORMED),
        ({"Origin": "chrome-extension://abcdefghijklmnop"}, MALFORMED),
        ({"Origin": "https://shöp.example.com"}, MALFORMED),
        ({"Origin": "https://sh\ufeffop.example.com"}, MALFORMED),
        ({"Origin": b"https://shop.example.com".decode("utf-16-le", "replace")}, MALFORMED),
        ({"Origin": "\xff\xfe"}, MALFORMED),
        ({"Origin": "a" * 100_000}, MALFORMED),
        ({"Origin": "https://" + "a." * 50_000 + "com"}, MALFORMED),
        ({"Referer": ""}, MALFORMED),
        ({"Referer": "/page"}, MALFORMED),
        ({"Referer": "about:blank"}, MALFORMED),
        ({"Referer": "https://me@shop.example.com/"}, MALFORMED),
        ({"Referer": "https://me:pw@shop.example.com/"}, MALFORMED),
        ({"Referer": SHOP + "\\@evil.example.net/"}, MALFORMED),
        ({"Referer": SHOP + "/caf\xe9"}, MALFORMED),
        ({"Referer": SHOP + "/a\tb"}, MALFORMED),
        ({"Referer": "", "Sec-Fetch-Site": "same-origin"}, MALFORMED),
        ({"Sec-Fetch-Site": "cross-site"}, HIDDEN),
        ({"Sec-Fetch-Site": "same-origin"}, HIDDEN),
        ({"Sec-Fetch-Site": "none"}, HIDDEN),
        ({"Sec-Fetch-Site": ""}, HIDDEN),
        ({}, MISSING),
        ({"Sec-Fetch-Mode": "cors"}, MISSING),
        ({"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty", "Sec-Fetch-User": "?1"}, MISSING),
        ({"User-Agent": "Mozilla/5.0", "Cookie": "a=b"}, MISSING),
    ],
    ids=ascii,
)
def test_any_other_is_refused_with_its_reason(headers: dict[str, str], expected: str) -> None:
    assert judge(headers) == expected


@pytest.mark.parametrize("name", ["Origin", "Referer", "Sec-Fetch-Site"])
@pytest.mark.parametrize(
    "text",
    ["a" * 100_000, "https://" + "a" * 100_000, "." * 100_000, "https://[" + ":" * 100_000, " " * 100_000],
)
def test_a_huge_header_is_judged_in_milliseconds(name: str, text: str) -> None:
    _, token = make_key(allowed_domains=[SHOP])
    assert call(VIEW, token, {name: text}).status_code == 403
    assert is_done_within(0.1, lambda: call(VIEW, token, {name: text}))


@pytest.mark.parametrize(
    "raw", ["https://sh\xf6p.example.com", "\xff" * 10, "\xa0" + SHOP, SHOP + "\x85"], ids=ascii
)
def test_bytes_that_no_browser_sends_are_malformed_over_asgi(raw: str) -> None:
    _, token = make_key(allowed_domains=[SHOP])
    get: Any = async_to_sync(AsyncClient().get)
    answer = get(VIEW, headers={"X-API-Key": token, "Origin": raw})
    assert reason(answer) == "origin_malformed"
    answer = get(VIEW, headers={"X-API-Key": token, "Referer": raw})
    assert reason(answer) == "origin_malformed"


def test_a_listed_page_is_served_over_asgi() -> None:
    _, token = make_key("mine", allowed_domains=[SHOP])
    get: Any = async_to_sync(AsyncClient().get)
    assert body(get(VIEW, headers={"X-API-Key": token, "Origin": SHOP}))["key"] == "mine"
    assert reason(get(VIEW, headers={"X-API-Key": token, "Origin": EVIL})) == "origin_not_listed"


PLACES: dict[str, dict[str, str]] = {
    "listed": {"Origin": SHOP},
    "unlisted": {"Origin": EVIL},
    "hidden": {"Sec-Fetch-Site": "cross-site"},
    "opaque": {"Origin": "null"},
    "malformed": {"Origin": "nonsense"},
    "server": {},
}
DOMAINS, IPS = {"allowed_domains": [SHOP]}, {"allowed_ips": [SERVER]}
IP = "ip_not_listed"
NO_BROWSER, NO_SERVER = "browser_not_allowed", "server_not_allowed"
# What a key with these lists says to each place from SERVER and from elsewhere: None is served.
DECISIONS: list[tuple[str, str, dict[str, tuple[str | None, str | None]]]] = [
    ("all", "off", dict.fromkeys(PLACES, (None, None))),
    ("any", "off", dict.fromkeys(PLACES, (None, None))),
    ("by_source", "off", dict.fromkeys(PLACES, (None, None))),
    (
        "all",
        "domains",
        {
            "listed": (None, None),
            "unlisted": (NOT_LISTED, NOT_LISTED),
            "hidden": (HIDDEN, HIDDEN),
            "opaque": (OPAQUE, OPAQUE),
            "malformed": (MALFORMED, MALFORMED),
            "server": (MISSING, MISSING),
        },
    ),
    ("all", "ips", dict.fromkeys(PLACES, (None, IP))),
    (
        "all",
        "both",
        {
            "listed": (None, IP),
            "unlisted": (NOT_LISTED, NOT_LISTED),
            "hidden": (HIDDEN, HIDDEN),
            "opaque": (OPAQUE, OPAQUE),
            "malformed": (MALFORMED, MALFORMED),
            "server": (MISSING, MISSING),
        },
    ),
    (
        "any",
        "domains",
        {
            "listed": (None, None),
            "unlisted": (NOT_LISTED, NOT_LISTED),
            "hidden": (HIDDEN, HIDDEN),
            "opaque": (OPAQUE, OPAQUE),
            "malformed": (MALFORMED, MALFORMED),
            "server": (MISSING, MISSING),
        },
    ),
    ("any", "ips", dict.fromkeys(PLACES, (None, IP))),
    (
        "any",
        "both",
        {
            "listed": (None, None),
            "unlisted": (None, NOT_LISTED),
            "hidden": (None, HIDDEN),
            "opaque": (None, OPAQUE),
            "malformed": (None, MALFORMED),
            "server": (None, IP),
        },
    ),
    (
        "by_source",
        "domains",
        {
            "listed": (None, None),
            "unlisted": (NOT_LISTED, NOT_LISTED),
            "hidden": (HIDDEN, HIDDEN),
            "opaque": (OPAQUE, OPAQUE),
            "malformed": (MALFORMED, MALFORMED),
            "server": (NO_SERVER, NO_SERVER),
        },
    ),
    (
        "by_source",
        "ips",
        {**dict.fromkeys(PLACES, (NO_BROWSER, NO_BROWSER)), "server": (None, IP)},
    ),
    (
        "by_source",
        "both",
        {
            "listed": (None, None),
            "unlisted": (NOT_LISTED, NOT_LISTED),
            "hidden": (HIDDEN, HIDDEN),
            "opaque": (OPAQUE, OPAQUE),
            "malformed": (MALFORMED, MALFORMED),
            "server": (None, IP),
        },
    ),
]
LISTS: dict[str, dict[str, Any]] = {"off": {}, "domains": DOMAINS, "ips": IPS, "both": {**DOMAINS, **IPS}}
ROWS = [
    pytest.param(condition, on, place, address, answers[place][at], id=f"{condition}-{on}-{place}-{address}")
    for condition, on, answers in DECISIONS
    for place in PLACES
    for at, address in enumerate((SERVER, ELSEWHERE))
]


@pytest.mark.parametrize(("condition", "on", "place", "address", "expected"), ROWS)
def test_each_condition_judges_each_place(
    condition: str, on: str, place: str, address: str, expected: str | None
) -> None:
    assert judge(PLACES[place], {"condition": condition, **LISTS[on]}, address) == expected


@pytest.mark.parametrize(
    ("condition", "on", "place", "address", "expected"),
    [
        ("all", "domains", "server", ELSEWHERE, None),
        ("all", "both", "server", SERVER, None),
        ("all", "both", "server", ELSEWHERE, IP),
        ("any", "domains", "server", ELSEWHERE, None),
        ("any", "both", "server", SERVER, None),
        ("any", "both", "server", ELSEWHERE, IP),
        ("by_source", "domains", "server", ELSEWHERE, NO_SERVER),
        ("by_source", "both", "server", ELSEWHERE, IP),
        ("all", "domains", "hidden", SERVER, HIDDEN),
        ("all", "domains", "opaque", SERVER, OPAQUE),
        ("all", "domains", "malformed", SERVER, MALFORMED),
        ("all", "domains", "unlisted", SERVER, NOT_LISTED),
        ("any", "both", "hidden", ELSEWHERE, HIDDEN),
    ],
)
def test_a_missing_origin_may_be_allowed_and_a_browser_s_never_is(
    settings: Any, condition: str, on: str, place: str, address: str, expected: str | None
) -> None:
    settings.ALLOWLIST = {"MISSING_ORIGIN": "allow"}
    assert judge(PLACES[place], {"condition": condition, **LISTS[on]}, address) == expected


@pytest.mark.parametrize("condition", ["all", "any", "by_source"])
@pytest.mark.parametrize(("empty_list", "served"), [("deny", False), ("allow", True)])
def test_an_empty_list_denies_or_counts_as_off(
    settings: Any, condition: str, empty_list: str, served: bool
) -> None:
    settings.ALLOWLIST = {"EMPTY_LIST": empty_list}
    key = {"condition": condition, "domain_mode": "listed", "ip_mode": "listed"}
    assert (judge(PLACES["listed"], key) is None) is served
    assert (judge(PLACES["server"], key) is None) is served


def test_the_entry_that_matched_is_told_to_the_view() -> None:
    _, token = make_key(allowed_domains=["*.example.com"])
    assert body(call(VIEW, token, {"Origin": SHOP}))["entry"] == "*.example.com"
    _, token = make_key(allowed_ips=["203.0.113.0/24"])
    assert body(call(VIEW, token, REMOTE_ADDR=SERVER))["entry"] == "203.0.113.0/24"
