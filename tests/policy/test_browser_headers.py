"""What three browser engines really sent (``tests/data/``), judged by a list of the page's origin."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from allowlist.policy.decision import Condition, Policy, Reason, Source, decide
from allowlist.policy.entries import DomainList, parse_domain
from allowlist.policy.origins import read_page

RECORDED = json.loads((Path(__file__).parent.parent / "data/browser_headers.json").read_text("utf-8"))
CHROMIUM, FIREFOX, WEBKIT = ENGINES = ("Chromium 156", "Firefox ESR 153", "WebKitGTK 2.50")
ALLOWED = None
OPAQUE, HIDDEN, NOT_LISTED = Reason.ORIGIN_OPAQUE, Reason.ORIGIN_HIDDEN, Reason.ORIGIN_NOT_LISTED

Outcome = Reason | None
REFUSED: dict[str, Outcome | dict[str, Outcome]] = {
    # A page without an origin of its own says null.
    "fetch GET via redirect on a third site (shop -> other -> api)": OPAQUE,
    "fetch POST 307 via third site": OPAQUE,
    "sandboxed iframe: fetch GET": OPAQUE,
    "sandboxed iframe: fetch GET + X-API-Key": OPAQUE,
    "sandboxed iframe: fetch POST text": OPAQUE,
    "sandboxed iframe: form POST": OPAQUE,
    "sandboxed iframe: EventSource": OPAQUE,
    "data: iframe fetch GET": OPAQUE,
    "page with CSP: sandbox allow-scripts: fetch GET": OPAQUE,
    "RP no-referrer: form POST in iframe": OPAQUE,
    "RP same-origin: form POST in iframe": OPAQUE,
    # Without CORS there is no Origin, and a referrer policy may take the Referer too.
    "<script src referrerpolicy=no-referrer>": HIDDEN,
    "sandboxed iframe: fetch no-cors GET": HIDDEN,
    "RP no-referrer: fetch GET no-cors": HIDDEN,
    "RP no-referrer: <script src>": HIDDEN,
    "RP no-referrer: <iframe src> GET": HIDDEN,
    "RP same-origin: fetch GET no-cors": HIDDEN,
    "RP same-origin: <script src>": HIDDEN,
    "RP same-origin: <iframe src> GET": HIDDEN,
    "no-referrer page, same-origin fetch GET": HIDDEN,
    "no-referrer page, same-origin <script src>": HIDDEN,
    # Here the engines differ.
    "sandboxed iframe: <script src>": {CHROMIUM: HIDDEN, FIREFOX: ALLOWED, WEBKIT: ALLOWED},
    "sandboxed iframe: sendBeacon": {CHROMIUM: OPAQUE, FIREFOX: OPAQUE, WEBKIT: ALLOWED},
    "RP no-referrer: fetch POST no-cors": {CHROMIUM: ALLOWED, FIREFOX: OPAQUE, WEBKIT: OPAQUE},
    "RP no-referrer: sendBeacon": {CHROMIUM: ALLOWED, FIREFOX: OPAQUE, WEBKIT: OPAQUE},
    "RP same-origin: fetch POST no-cors": {CHROMIUM: ALLOWED, FIREFOX: OPAQUE, WEBKIT: OPAQUE},
    "RP same-origin: sendBeacon": {CHROMIUM: ALLOWED, FIREFOX: OPAQUE, WEBKIT: OPAQUE},
}
"""The cases that an engine refuses. In all other cases the page sends its origin, and is allowed."""


class Sent(NamedTuple):
    """One request of one engine: the page's origin as its owner would type it, and the headers."""

    case: str
    engine: str
    page: str
    headers: Mapping[str, str]

    @property
    def expected(self) -> Outcome:
        """Return what the request is to come to."""
        outcome = REFUSED.get(self.case)
        return outcome[self.engine] if isinstance(outcome, dict) else outcome


SENT = [
    Sent(row["case"], engine, row["page"], row["sent"])
    for row in RECORDED["rows"]
    for engine in row["engines"]
]


def outcome(headers: Mapping[str, str], *listed: str, **policy: Any) -> Outcome:
    """Return the reason why a request is refused where ``listed`` are listed, None where it is not."""
    domains = DomainList(parse_domain(text).text for text in listed)
    page = read_page(headers.get("Origin"), headers.get("Referer"), headers.get("Sec-Fetch-Site"))
    missing = policy.get("missing_origin", "deny")
    return decide(Policy(domains, None, Condition.ALL, missing), Source(page, lambda: None)).reason


def test_every_request_is_decided_as_its_engine_s_headers_allow() -> None:
    wrong = [sent for sent in SENT if outcome(sent.headers, sent.page) != sent.expected]
    assert wrong == []


def test_every_request_is_refused_where_another_site_is_listed() -> None:
    """For the same reason, or as another site; ``allowed.example`` is what a page tried to forge."""
    shops = ("*.shop.example", "https://shop.example")
    others = ("https://allowed.example", "https://other.example:8443", *shops)
    for sent in SENT:
        assert outcome(sent.headers, *others) is (sent.expected or NOT_LISTED), sent


def test_no_browser_is_taken_for_a_server() -> None:
    for sent in SENT:
        assert outcome(sent.headers, sent.page, missing_origin="allow") is sent.expected, sent


@pytest.mark.parametrize("missing", ["deny", "allow"])
def test_a_server_sends_nothing_that_a_browser_does(missing: str) -> None:
    expected = Reason.ORIGIN_MISSING if missing == "deny" else ALLOWED
    assert outcome({"User-Agent": "curl/8.0"}, "https://shop.example", missing_origin=missing) is expected


def test_every_case_of_the_table_was_recorded_and_every_engine_is_in_it() -> None:
    assert set(REFUSED) <= {sent.case for sent in SENT}
    assert {sent.engine for sent in SENT} == set(ENGINES)
    assert len(SENT) == 370
