"""The tables of hostile headers, sent to a view: none is served by mistake, none fails."""

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from tests.hostile import LISTED, OK, PROXIES, SERVER, Group, Row
from tests.hostile.chains import CHAINS
from tests.hostile.keys import KEYS
from tests.hostile.pages import FOREIGN, PAGES
from tests.testing import EVIL, Reply, call, make_key, reason

pytestmark = pytest.mark.django_db(databases="__all__")


def outcome(headers: Mapping[str, str], token: str, **environ: Any) -> tuple[int, str]:
    """Return the status and reason of the response; ``{token}`` stands for the token."""
    filled = {name: text.replace("{token}", token) for name, text in headers.items()}
    answer: Reply = call("/widget/paired/", None, filled, **environ)
    return answer.status_code, reason(answer) or OK


def due(expected: str) -> tuple[int, str]:
    """Return the status and reason that a row must have."""
    statuses = {OK: 200, "key_missing": 401, "key_invalid": 401}
    return statuses.get(expected, 403), expected


def first_of_each_kind(group: Group) -> Iterable[Row]:
    """Return one row for each header and outcome: ``policy/test_origins`` tries them all."""
    return {(*row.headers, row.expected): row for row in reversed(group.rows)}.values()


@pytest.mark.parametrize("group", PAGES, ids=lambda group: group.name)
def test_each_kind_of_page_is_answered_as_the_table_says(group: Group) -> None:
    _, token = make_key(domains=LISTED)
    for row in first_of_each_kind(group):
        assert outcome({**row.headers, "X-API-Key": token}, token) == due(row.expected), row.id


def test_headers_that_name_a_listed_site_but_are_not_read_let_nobody_in() -> None:
    _, token = make_key(domains=LISTED)
    sent = {**FOREIGN, "X-API-Key": token}
    assert outcome(sent, token) == due("origin_missing")
    assert outcome({**sent, "Origin": EVIL}, token) == due("origin_not_listed")
    assert outcome({**sent, "Origin": "null"}, token) == due("origin_opaque")


@pytest.mark.parametrize("group", CHAINS, ids=lambda group: group.name)
def test_each_row_of_a_chain_is_answered_as_the_table_says(settings: Any, group: Group) -> None:
    settings.ALLOWLIST = {"TRUSTED_PROXIES": PROXIES}
    _, token = make_key(ips=[SERVER])
    sent = {row.id: {**row.headers, "X-API-Key": token} for row in group.rows}
    behind = {name: outcome(headers, token, REMOTE_ADDR="10.0.0.1") for name, headers in sent.items()}
    assert behind == {row.id: due(row.expected) for row in group.rows}
    direct = {name: outcome(headers, token, REMOTE_ADDR="198.51.100.9") for name, headers in sent.items()}
    assert direct == dict.fromkeys(sent, due("ip_not_listed"))


@pytest.mark.parametrize("group", KEYS, ids=lambda group: group.name)
def test_each_row_of_a_key_is_answered_as_the_table_says(group: Group) -> None:
    _, token = make_key()
    answers = {row.id: outcome({"Origin": EVIL, **row.headers}, token) for row in group.rows}
    assert answers == {row.id: due(row.expected) for row in group.rows}
