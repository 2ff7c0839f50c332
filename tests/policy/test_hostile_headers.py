"""What hostile headers of pages come to in the core; over HTTP they are in ``tests/test_hostile_headers``."""

from collections import Counter

import pytest

from allowlist.policy.decision import Condition, Policy, Source, decide
from allowlist.policy.entries import DomainList
from allowlist.policy.origins import Origin, read_page
from allowlist.policy.tokens import Token
from tests.hostile import LISTED, OK, Group, Row
from tests.hostile.chains import CHAINS
from tests.hostile.keys import KEYS
from tests.hostile.pages import AS_REFERER, COMBINED, ORIGINS, REFERERS, referers

from .oracle import covers

POLICY = Policy(DomainList(LISTED), None, Condition.ALL, "deny")
PAGES = [*ORIGINS, *REFERERS, *COMBINED, referers()]


def outcome(row: Row) -> str:
    """Return the reason that the core gives, or that it allows."""
    sent = row.headers.get
    page = read_page(sent("Origin"), sent("Referer"), sent("Sec-Fetch-Site"))
    decision = decide(POLICY, Source(page, lambda: None))
    return decision.reason or OK


@pytest.mark.parametrize("group", PAGES, ids=lambda group: group.name)
def test_each_row_of_a_page_is_decided_as_the_table_says(group: Group) -> None:
    wrong = {row.id: outcome(row) for row in group.rows if outcome(row) != row.expected}
    assert wrong == {}


@pytest.mark.parametrize("group", PAGES, ids=lambda group: group.name)
def test_each_row_that_is_allowed_is_at_a_listed_place_to_a_browser(group: Group) -> None:
    for row in group.rows:
        if row.expected == OK:
            url = row.headers.get("Origin", row.headers.get("Referer", "")).strip(" \t")
            assert any(covers(entry, url) for entry in LISTED)


def test_each_row_of_a_key_that_is_refused_is_no_token_or_an_unknown_one() -> None:
    """The look-up is asked for two rows alone; the rest never reach the database."""
    (in_header, *_) = KEYS
    asked = [row.id for row in in_header.rows if Token.parse(row.headers["X-API-Key"].strip(" \t"))]
    assert asked == ["unknown", "unknown-of-zeros", "secret-prefix-unknown"]


def test_the_table_has_over_400_rows_and_none_twice() -> None:
    rows = [
        (group.name, row) for group in [*ORIGINS, *REFERERS, *COMBINED, *CHAINS, *KEYS] for row in group.rows
    ]
    sent = Counter(tuple(row.headers.items()) for _, row in rows)
    assert [headers for headers, times in sent.items() if times > 1] == []
    ids = Counter((name, row.id) for name, row in rows)
    assert max(ids.values()) == 1
    assert len(rows) > 400


def test_what_is_read_otherwise_as_referer_is_told_row_by_row() -> None:
    ids = Counter(row.id for group in ORIGINS for row in group.rows)
    assert {name: ids[name] for name in AS_REFERER} == dict.fromkeys(AS_REFERER, 1)


def test_no_row_is_read_as_two_pages() -> None:
    for group in ORIGINS:
        for row in group.rows:
            text = row.headers["Origin"]
            as_origin, as_referer = read_page(text, None, None), read_page(None, text, None)
            assert as_origin == as_referer or not isinstance(as_origin, Origin)
