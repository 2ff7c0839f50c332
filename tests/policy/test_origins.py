"""Origins, as browsers send them: what is read, which header decides, and what is malformed."""

import time
from ipaddress import IPv6Address

import pytest

from allowlist.policy import origins
from allowlist.policy.decision import Condition, Policy, Source, decide
from allowlist.policy.entries import DomainList
from allowlist.policy.origins import Origin, ipv6_text, parse_host, parse_origin, parse_port, read_page
from tests.hostile import LISTED, MALFORMED, OK, Group, Row
from tests.hostile.pages import PAGES

from .oracle import covers

POLICY = Policy(DomainList(LISTED), None, Condition.ALL, "deny")
HUGE = next(group for group in PAGES if group.name.startswith("70 kB"))
LONGEST_LABEL = "a" * 63
LONGEST_HOST = ".".join([LONGEST_LABEL] * 3 + ["a" * 61])


def outcome(row: Row, path: str = "") -> str:
    """Return why the policy refuses a row's headers, with a path after the Referer, or that it allows."""
    sent = row.headers.get
    referer = f"{sent('Referer')}{path}" if "Referer" in row.headers else None
    page = read_page(sent("Origin"), referer, sent("Sec-Fetch-Site"))
    return decide(POLICY, Source(page, lambda: None)).reason or OK


@pytest.mark.parametrize("group", PAGES, ids=lambda group: group.name)
def test_each_row_of_the_table_is_decided_as_it_says(group: Group) -> None:
    assert {row.id: outcome(row) for row in group.rows} == {row.id: row.expected for row in group.rows}
    malformed = [row for row in group.rows if row.expected == MALFORMED and "Origin" not in row.headers]
    assert [row.id for row in malformed if outcome(row, "/path") != MALFORMED] == []


@pytest.mark.parametrize("group", PAGES, ids=lambda group: group.name)
def test_each_row_that_is_allowed_is_at_a_listed_place_to_a_browser(group: Group) -> None:
    for row in group.rows:
        if row.expected == OK:
            url = row.headers.get("Origin", row.headers.get("Referer", "")).strip(" \t")
            assert any(covers(entry, url) for entry in LISTED)


def test_the_table_has_a_thousand_rows_and_none_twice() -> None:
    sent = [tuple(row.headers.items()) for group in PAGES for row in group.rows]
    assert len(set(sent)) == len(sent) > 1000


@pytest.mark.parametrize(
    ("text", "scheme", "host", "port"),
    [
        ("https://example.com", "https", "example.com", 443),
        ("http://example.com", "http", "example.com", 80),
        ("https://example.com:443", "https", "example.com", 443),
        ("https://example.com:80", "https", "example.com", 80),
        ("https://example.com:8443", "https", "example.com", 8443),
        ("https://example.com:1", "https", "example.com", 1),
        ("https://example.com:65535", "https", "example.com", 65535),
        ("HTTPS://EXAMPLE.COM", "https", "example.com", 443),
        ("https://example.com.", "https", "example.com", 443),
        ("https://example.com.:8443", "https", "example.com", 8443),
        ("http://localhost:3000", "http", "localhost", 3000),
        ("http://127.0.0.1:8000", "http", "127.0.0.1", 8000),
        ("http://127.0.0.1.", "http", "127.0.0.1", 80),
        ("http://[::1]:3000", "http", "[::1]", 3000),
        ("http://[2001:DB8:0:0::7]", "http", "[2001:db8::7]", 80),
        ("http://[::ffff:1.2.3.4]", "http", "[::ffff:102:304]", 80),
        ("https://xn--fa-hia.de", "https", "xn--fa-hia.de", 443),
        ("https://XN--FA-HIA.DE", "https", "xn--fa-hia.de", 443),
        ("https://xn--a.example", "https", "xn--a.example", 443),
        ("https://a_b._c.example", "https", "a_b._c.example", 443),
        ("https://a--b.example", "https", "a--b.example", 443),
        ("https://1and1.com", "https", "1and1.com", 443),
        ("https://1.2.3.com", "https", "1.2.3.com", 443),
        (f"https://{LONGEST_LABEL}.com", "https", f"{LONGEST_LABEL}.com", 443),
        (f"https://{LONGEST_HOST}.:65535", "https", LONGEST_HOST, 65535),
    ],
)
def test_an_origin_is_read_by_its_parts_and_written_as_browsers_do(
    text: str, scheme: str, host: str, port: int
) -> None:
    page = Origin(scheme, host, port)
    assert read_page(f"\t {text} \t", None, None) == parse_origin(text) == parse_origin(str(page)) == page
    for rest in ("", "/", "/a/b?c=d#e", "?c", "#e", "/@evil.com", "/\\evil.com", "/%00 x"):
        assert read_page(None, f" {text}{rest}\t", None) == page


@pytest.mark.parametrize("text", ["443\n", "", "0", "00", "080", "65536", "1" * 5000, "\u0664", " 80", "8_0"])
def test_a_port_is_plain(text: str) -> None:
    assert parse_port(text) is None


def test_a_host_is_lower_case_ascii() -> None:
    assert parse_host("Example.com") is None
    assert parse_host("fa\xdf.de") is None


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("0:0:0:0:0:0:0:1", "::1"),
        ("2001:db8::", "2001:db8::"),
        ("::ffff:0.0.0.1", "::ffff:0:1"),
        ("::ffff:255.1.2.3", "::ffff:ff01:203"),
    ],
)
def test_ipv6_is_written_in_one_way_by_every_python(address: str, text: str) -> None:
    assert ipv6_text(IPv6Address(address)) == text


@pytest.mark.parametrize("row", HUGE.rows, ids=lambda row: row.id[:40])
def test_a_huge_header_costs_a_few_milliseconds(row: Row) -> None:
    def read() -> float:
        started = time.process_time()
        read_page(row.headers.get("Origin"), row.headers.get("Referer"), None)
        return time.process_time() - started

    assert any(read() < 0.01 for _ in range(50))


def test_what_is_too_long_for_an_origin_is_not_remembered() -> None:
    held = origins._parse_origin.cache_info().currsize
    assert origins.parse_origin("https://" + "a." * 1000 + "com") is None
    assert origins._parse_origin.cache_info().currsize == held
