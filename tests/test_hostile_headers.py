"""Every row of the table of hostile headers, sent to a view: none is served by mistake, none fails."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.calls import EVIL, Answer, call, make_key, reason
from tests.hostile import LISTED, OK, PROXIES, SERVER, Group
from tests.hostile.chains import CHAINS
from tests.hostile.keys import KEYS
from tests.hostile.pages import COMBINED, ORIGINS, REFERERS, referers

pytestmark = pytest.mark.django_db(databases="__all__")


def told(headers: Mapping[str, str], token: str, **environ: Any) -> tuple[int, str]:
    """Return the status and reason that a request is answered; ``{token}`` stands for the token."""
    filled = {name: text.replace("{token}", token) for name, text in headers.items()}
    answer: Answer = call("/widget/paired/", None, filled, **environ)
    return answer.status_code, reason(answer) or OK


def due(expected: str) -> tuple[int, str]:
    """Return the status and reason that a row is to be answered."""
    statuses = {OK: 200, "key_missing": 401, "key_invalid": 401}
    return statuses.get(expected, 403), expected


@pytest.mark.parametrize("group", [*ORIGINS, *REFERERS, *COMBINED, referers()], ids=lambda group: group.name)
def test_each_row_of_a_page_is_answered_as_the_table_says(group: Group) -> None:
    _, token = make_key(allowed_domains=LISTED)
    answers = {row.id: told({**row.headers, "X-API-Key": token}, token) for row in group.rows}
    assert answers == {row.id: due(row.expected) for row in group.rows}


@pytest.mark.parametrize("group", CHAINS, ids=lambda group: group.name)
def test_each_row_of_a_chain_is_answered_as_the_table_says(settings: Any, group: Group) -> None:
    settings.ALLOWLIST = {"TRUSTED_PROXIES": PROXIES}
    _, token = make_key(allowed_ips=[SERVER])
    sent = {row.id: {**row.headers, "X-API-Key": token} for row in group.rows}
    behind = {name: told(headers, token, REMOTE_ADDR="10.0.0.1") for name, headers in sent.items()}
    assert behind == {row.id: due(row.expected) for row in group.rows}
    direct = {name: told(headers, token, REMOTE_ADDR="198.51.100.9") for name, headers in sent.items()}
    assert direct == dict.fromkeys(sent, due("ip_not_listed"))


@pytest.mark.parametrize("group", KEYS, ids=lambda group: group.name)
def test_each_row_of_a_key_is_answered_as_the_table_says(group: Group) -> None:
    _, token = make_key()
    answers = {row.id: told({"Origin": EVIL, **row.headers}, token) for row in group.rows}
    assert answers == {row.id: due(row.expected) for row in group.rows}
