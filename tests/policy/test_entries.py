"""Domain entries: what they may be, what they match, what is refused and what is offered instead."""

import time
from typing import Any

import pytest

from allowlist.policy.entries import DomainForm, DomainList, display, parse_domain, read_canonical
from allowlist.policy.guards import read_domain
from allowlist.policy.origins import Origin, parse_origin
from allowlist.policy.problems import EntryError, Problem, split_pasted

from .tables import ACCEPTED_DOMAINS, REFUSED_DOMAINS, accepted, matches, refused, short

FORMS = tuple(DomainForm)


@pytest.mark.parametrize(("text", "canonical", "forms"), accepted(ACCEPTED_DOMAINS), ids=short)
def test_an_accepted_text_is_stored_canonical(text: str, canonical: str, forms: set[str]) -> None:
    entry = read_domain(text, FORMS)
    assert (entry.text, set(entry.forms)) == (canonical, forms)
    assert entry == parse_domain(canonical) == parse_domain(display(canonical))
    assert DomainList([canonical]).unreadable == ()


@pytest.mark.parametrize(("text", "problem", "guesses"), refused(REFUSED_DOMAINS), ids=short)
def test_a_refusal_says_why_and_offers_what_may_be_saved(
    text: Any, problem: Problem, guesses: tuple[str, ...]
) -> None:
    with pytest.raises(EntryError) as refusal:
        read_domain(text, FORMS)
    assert (refusal.value.problem, refusal.value.guesses) == (problem, guesses)
    for guess in guesses:
        read_domain(guess, FORMS)
    assert not isinstance(text, str) or DomainList([text]).unreadable == (text,)


def test_a_refusal_carries_the_text_as_typed_but_for_blanks() -> None:
    with pytest.raises(EntryError) as refusal:
        read_domain(" Example.com/Path ", FORMS)
    assert refusal.value.text == "Example.com/Path"


@pytest.mark.parametrize(("entry", "page", "matches"), matches())
def test_an_entry_matches_its_own_places_alone(entry: str, page: str, matches: bool) -> None:
    origin = parse_origin(page)
    assert origin is not None
    assert DomainList([entry]).match(origin) == (entry if matches else None)


@pytest.mark.parametrize(
    ("page", "entry"),
    [
        ("https://example.com", "https://example.com"),
        ("https://example.com:1", "example.com"),
        ("https://a.example.com", "*.example.com"),
        ("https://a.b.example.com:1", "https://*.b.example.com:1"),
        ("https://a.b.example.com:2", "*.example.com"),
        ("https://b.example.com:1", "*.example.com"),
        ("http://a.example.org", "http://*.example.org"),
        ("https://a.example.org", "https://*.example.org"),
        ("http://a.example.org:1", None),
        ("https://example.net", None),
    ],
)
def test_the_entry_that_matched_is_told(page: str, entry: str | None) -> None:
    compiled = DomainList(
        [
            "nonsense",
            "https://example.com",
            "example.com",
            "*.example.com",
            "https://*.b.example.com:1",
            "http://*.example.org",
            "https://*.example.org",
        ]
    )
    origin = parse_origin(page)
    assert origin is not None
    assert compiled.match(origin) == entry
    assert compiled.unreadable == ("nonsense",)


@pytest.mark.parametrize(
    "text",
    [
        "https://a.example",
        "http://a.example:8080",
        "https://*.a.example:1",
        "*.a.example",
        "a.example",
        "localhost",
    ],
)
def test_a_usual_stored_entry_is_read_the_short_way(text: str) -> None:
    assert read_canonical(text) == parse_domain(text)


def test_a_long_list_costs_what_a_short_one_does() -> None:
    origin = Origin("https", "a.b.c.d.e.example.com", 443)
    short, long = (DomainList([f"*.s{n}.example.com" for n in range(count)]) for count in (25, 2500))

    def cost(compiled: DomainList) -> float:
        started = time.process_time()
        for _ in range(200):
            compiled.match(origin)
        return time.process_time() - started

    limit = 3 * min(cost(short) for _ in range(5))
    assert any(cost(long) < limit for _ in range(50))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("example.com", "example.com"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("xn--fa-hia.de", "fa\xdf.de"),
        ("*.xn--fa-hia.de", "*.fa\xdf.de"),
        ("https://xn--fa-hia.de", "https://fa\xdf.de"),
        ("https://*.xn--fa-hia.de:8443", "https://*.fa\xdf.de:8443"),
        ("http://a.xn--fa-hia.xn--p1ai:1", "http://a.fa\xdf.\u0440\u0444:1"),
    ],
)
def test_entries_are_shown_as_people_write_them(text: str, shown: str) -> None:
    assert display(text) == shown


@pytest.mark.parametrize(
    ("pasted", "entries"),
    [
        ("", []),
        (" \n,\r\n , ", []),
        ("example.com", ["example.com"]),
        ("a.com\nb.com\r\nc.com\rd.com", ["a.com", "b.com", "c.com", "d.com"]),
        ("a.com, b.com,c.com,", ["a.com", "b.com", "c.com"]),
        (" a.com \n\n b.com,\tc.com\n", ["a.com", "b.com", "c.com"]),
        ("https://a.com:1/, http://[::1]:2", ["https://a.com:1/", "http://[::1]:2"]),
        ("a.com b.com", ["a.com b.com"]),
        ("a.com\x0b\nb.com\x85", ["a.com\x0b", "b.com\x85"]),
        ("a.com\na.com", ["a.com", "a.com"]),
    ],
)
def test_a_pasted_list_is_one_entry_a_line_or_comma(pasted: str, entries: list[str]) -> None:
    assert split_pasted(pasted) == entries


@pytest.mark.parametrize(
    "text",
    [
        "a" * 100_000,
        "a." * 500,
        "xn--a." * 160,
        "xn--ls8h." * 110,
        "xn--" + "9" * 990,
        "xn--" + "a" * 500 + "-" + "z" * 490,
        "\xfc" * 1000,
        "\xfc." * 500,
        "*." * 500,
        "-" * 1000,
        "[" * 1000,
        ":" * 1000,
        "1" * 1000,
        "http://" + "1" * 900,
        "http://a:" + "1" * 900,
        "@" * 1000,
        "/" * 1000,
        "u\u0308" * 500,
    ],
    ids=lambda text: ascii(text[:12]),
)
def test_a_text_is_judged_quickly(text: str) -> None:
    def judge() -> float:
        started = time.process_time()
        with pytest.raises(EntryError):
            read_domain(text, FORMS)
        return time.process_time() - started

    assert any(judge() < 0.02 for _ in range(50))
