"""How many statements a warm request sends. ``benchmarks/`` measures the time."""

import pytest
from django.test import RequestFactory
from django.test.utils import override_settings
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from allowlist.permissions import IsAllowlisted
from tests.testing import ALIASES, EVIL, SHOP, UNKNOWN, make_key, statements

pytestmark = pytest.mark.django_db(databases=ALIASES)

ELSEWHERE = [f"https://shop{number}.example.com" for number in range(2499)]


class Guarded(APIView):
    """Guarded by the permission."""

    authentication_classes = ()
    permission_classes = (IsAllowlisted,)

    def get(self, request: Request) -> Response:
        """Return a response."""
        return Response({"title": "widget"})


def answer(token: str, origin: str = SHOP) -> int:
    """Return the status of a request from a page of ``origin``."""
    request = RequestFactory().get("/", headers={"X-API-Key": token, "Origin": origin})
    return Guarded.as_view()(request).status_code


def cost(token: str, origin: str = SHOP) -> int:
    """Return how many statements a warm request sends."""
    answer(token, origin)
    with statements() as sql:
        answer(token, origin)
    return len(sql)


@pytest.mark.parametrize(("origin", "status"), [(SHOP, 200), (EVIL, 403)])
def test_a_warm_request_sends_one_statement(origin: str, status: int) -> None:
    _key, token = make_key(domains=[SHOP])
    assert answer(token, origin) == status
    assert cost(token, origin) == 1


def test_an_unknown_key_costs_one_statement() -> None:
    assert answer(UNKNOWN) == 401
    assert cost(UNKNOWN) == 1


def test_the_statement_is_short_and_sorts_nothing() -> None:
    _key, token = make_key(domains=[SHOP])
    answer(token)
    with statements() as sql:
        answer(token)
    (text,) = sql
    assert "ORDER BY" not in text
    assert text.count("allowlist_apikey") == 1


@override_settings(ALLOWLIST={"MAX_DOMAINS": None})
@pytest.mark.parametrize("origin", [SHOP, EVIL])
def test_statements_do_not_grow_with_entries_or_keys(origin: str) -> None:
    tokens = [make_key(domains=[*ELSEWHERE, SHOP])[1], *(make_key()[1] for _ in range(20))]
    assert [cost(token, origin) for token in tokens] == [1] * len(tokens)
