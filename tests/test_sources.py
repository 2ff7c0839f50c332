"""Which page or server a request comes from, and what each key decides about it."""

from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient

from tests.testing import ELSEWHERE, EVIL, SERVER, SHOP, body, call, is_done_within, make_key, reason

pytestmark = pytest.mark.django_db(databases="__all__")

VIEW = "/widget/alone/"


def judge(headers: dict[str, str], key: dict[str, Any] | None = None, address: str = SERVER) -> str | None:
    """Return why a key that lists SHOP, or has these fields, refuses; None if it serves."""
    _, token = make_key(**({"allowed_domains": [SHOP]} if key is None else key))
    answer = call(VIEW, token, headers, REMOTE_ADDR=address)
    assert (answer.status_code == 200) is (reason(answer) is None)
    return reason(answer)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": SHOP},
        {"Origin": f" \t{SHOP}\t "},
        {"Origin": SHOP, "Referer": EVIL},
        {"Origin": SHOP, "Sec-Fetch-Site": "cross-site"},
        {"Referer": SHOP + "/a/page?with=query#and-fragment"},
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
        ({"Referer": EVIL + "/" + SHOP}, NOT_LISTED),
        ({"Origin": "null"}, OPAQUE),
        ({"Origin": "null", "Referer": SHOP}, OPAQUE),
        ({"Origin": "", "Referer": SHOP}, MALFORMED),
        ({"Origin": f"{SHOP}, {SHOP}"}, MALFORMED),
        ({"Referer": "https://me@shop.example.com/"}, MALFORMED),
        ({"Referer": "", "Sec-Fetch-Site": "same-origin"}, MALFORMED),
        ({"Sec-Fetch-Site": "same-origin"}, HIDDEN),
        ({"Sec-Fetch-Site": ""}, HIDDEN),
        ({}, MISSING),
        ({"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty", "Sec-Fetch-User": "?1"}, MISSING),
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
    _, token = make_key(domains=[SHOP])
    assert call(VIEW, token, {name: text}).status_code == 403
    assert is_done_within(0.1, lambda: call(VIEW, token, {name: text}))


@pytest.mark.parametrize(
    "raw", ["https://sh\xf6p.example.com", "\xff" * 10, "\xa0" + SHOP, SHOP + "\x85"], ids=ascii
)
def test_bytes_that_no_browser_sends_are_malformed_over_asgi(raw: str) -> None:
    _, token = make_key(domains=[SHOP])
    get: Any = async_to_sync(AsyncClient().get)
    answer = get(VIEW, headers={"X-API-Key": token, "Origin": raw})
    assert reason(answer) == "origin_malformed"
    answer = get(VIEW, headers={"X-API-Key": token, "Referer": raw})
    assert reason(answer) == "origin_malformed"


def test_a_listed_page_is_served_over_asgi() -> None:
    _, token = make_key(name="mine", domains=[SHOP])
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
Reasons = tuple[str | None, str | None]
SERVED: Reasons = (None, None)
BY_DOMAIN: dict[str, Reasons] = {
    "listed": SERVED,
    "unlisted": (NOT_LISTED, NOT_LISTED),
    "hidden": (HIDDEN, HIDDEN),
    "opaque": (OPAQUE, OPAQUE),
    "malformed": (MALFORMED, MALFORMED),
    "server": (MISSING, MISSING),
}
BY_IP: dict[str, Reasons] = dict.fromkeys(PLACES, (None, IP))
BY_EITHER: dict[str, Reasons] = {name: (None, reasons[1]) for name, reasons in BY_DOMAIN.items()}
# What a key with these lists says to each place from SERVER and from elsewhere: None is served.
DECISIONS: list[tuple[str, str, dict[str, Reasons]]] = [
    *((condition, "off", dict.fromkeys(PLACES, SERVED)) for condition in ("all", "any", "by_source")),
    ("all", "domains", BY_DOMAIN),
    ("all", "ips", BY_IP),
    ("all", "both", {**BY_DOMAIN, "listed": (None, IP)}),
    ("any", "domains", BY_DOMAIN),
    ("any", "ips", BY_IP),
    ("any", "both", {**BY_EITHER, "server": (None, IP)}),
    ("by_source", "domains", {**BY_DOMAIN, "server": (NO_SERVER, NO_SERVER)}),
    ("by_source", "ips", {**dict.fromkeys(PLACES, (NO_BROWSER, NO_BROWSER)), "server": (None, IP)}),
    ("by_source", "both", {**BY_DOMAIN, "server": (None, IP)}),
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
@pytest.mark.parametrize("place", ["listed", "server"])
def test_an_empty_list_denies_or_counts_as_off(settings: Any, condition: str, place: str) -> None:
    settings.ALLOWLIST = {"EMPTY_LIST": "deny"}
    key = {"condition": condition, "domain_mode": "listed", "ip_mode": "listed"}
    assert judge(PLACES[place], key) is not None
    settings.ALLOWLIST = {"EMPTY_LIST": "allow"}
    assert judge(PLACES[place], key) is None


def test_a_key_that_only_reports_records_what_an_empty_list_would_refuse(settings: Any) -> None:
    settings.ALLOWLIST = {"EMPTY_LIST": "allow"}
    key, token = make_key(domain_mode="listed", enforcement="report")
    answer = call(VIEW, token, {"Origin": SHOP})
    assert answer.status_code == 200
    assert answer.wsgi_request.allowlist.decision.reason == NOT_LISTED
    key.enforcement = "enforce"
    key.save()
    assert call(VIEW, token, {"Origin": SHOP}).wsgi_request.allowlist.decision.allowed


def test_the_view_gets_the_entry_that_matched() -> None:
    _, token = make_key(domains=["*.example.com"])
    assert body(call(VIEW, token, {"Origin": SHOP}))["entry"] == "*.example.com"
    _, token = make_key(ips=["203.0.113.0/24"])
    assert body(call(VIEW, token, REMOTE_ADDR=SERVER))["entry"] == "203.0.113.0/24"
