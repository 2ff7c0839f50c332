"""What a warm request costs, counted in calls and statements: no noise touches these figures.

The bounds are a little above what was counted when they were set. A change that goes beyond one makes
every request dearer: find out why before raising it. Times are what ``benchmarks/`` measures.
"""

import sys
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import pytest
from django.test import RequestFactory
from django.test.utils import override_settings
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

import allowlist
from allowlist.permissions import IsAllowlisted
from tests.calls import EVIL, SHOP, UNKNOWN, Statements, make_key
from tests.probes import ALIASES

# PyMySQL, which stands in for a driver written in C, calls Python for each byte it reads.
pytestmark = [pytest.mark.django_db(databases=ALIASES), pytest.mark.only_on("sqlite", "postgres")]

OURS = str(Path(allowlist.__file__).parent)
ELSEWHERE = [f"https://shop{number}.example.com" for number in range(2499)]
unlimited = override_settings(ALLOWLIST={"MAX_DOMAINS": None})


class Open(APIView):
    """Guarded by nothing."""

    authentication_classes = ()
    permission_classes: Any = [AllowAny]

    def get(self, request: Request) -> Response:
        """Return an answer."""
        return Response({"title": "widget"})


class Guarded(Open):
    """Guarded by the permission."""

    permission_classes = [IsAllowlisted]


class Calls(NamedTuple):
    """How many Python functions were called."""

    ours: int
    """Of the library."""
    added: int
    """Of everything, beyond what the view without the permission calls."""


def answer(view: type[APIView], token: str, origin: str = SHOP) -> int:
    """Return the status that the view answers."""
    request = RequestFactory().get("/", headers={"X-API-Key": token, "Origin": origin})
    return view.as_view()(request).status_code


def calls(token: str, origin: str = SHOP) -> Calls:
    """Return what a request calls, once everything that is kept is kept."""
    for _ in range(2):  # The first may write last_used_at, which the second reads.
        answer(Guarded, token, origin)
    guarded, bare = (_called(view, token, origin) for view in (Guarded, Open))
    ours = [name for name in guarded if name.startswith(OURS)]
    return Calls(len(ours), len(guarded) - len(bare))


def _called(view: type[APIView], token: str, origin: str) -> list[str]:
    """Return the file of each function that is called."""
    files = []

    def note(frame: FrameType, event: str, _argument: object) -> None:  # pragma: no cover - nor is it traced
        if event == "call":
            files.append(frame.f_code.co_filename)

    sys.setprofile(note)
    try:
        answer(view, token, origin)
    finally:
        sys.setprofile(None)
    return files


def statements(token: str, origin: str = SHOP) -> int:
    """Return how many statements a warm request sends."""
    answer(Guarded, token, origin)
    with Statements() as sent:
        answer(Guarded, token, origin)
    return len(sent.texts)


def test_an_allowed_request_stays_as_cheap_as_it_is() -> None:
    _key, token = make_key(allowed_domains=[SHOP])
    assert answer(Guarded, token) == 200
    assert statements(token) == 1
    counted = calls(token)
    assert counted.ours <= 33
    assert counted.added <= 160


def test_the_statement_is_short_and_sorts_nothing() -> None:
    _key, token = make_key(allowed_domains=[SHOP])
    answer(Guarded, token)
    with Statements() as sent:
        answer(Guarded, token)
    (text,) = sent.texts
    assert "ORDER BY" not in text
    assert text.count("allowlist_apikey") == 1


def test_a_refused_request_stays_as_cheap_as_it_is() -> None:
    _key, token = make_key(allowed_domains=[SHOP])
    assert answer(Guarded, token, EVIL) == 403
    assert statements(token, EVIL) == 1
    counted = calls(token, EVIL)
    assert counted.ours <= 45
    assert counted.added <= 210


def test_an_unknown_key_stays_as_cheap_as_it_is() -> None:
    assert answer(Guarded, UNKNOWN) == 401
    assert statements(UNKNOWN) == 1
    counted = calls(UNKNOWN)
    assert counted.ours <= 34
    assert counted.added <= 200


@unlimited
@pytest.mark.parametrize("origin", [SHOP, EVIL])
def test_deciding_does_not_grow_with_the_entries(origin: str) -> None:
    _few, few = make_key(allowed_domains=[*ELSEWHERE[:24], SHOP])
    _many, many = make_key(allowed_domains=[*ELSEWHERE, SHOP])
    assert calls(many, origin) == calls(few, origin)
    assert statements(many, origin) == statements(few, origin)


@pytest.mark.parametrize("origin", [SHOP, EVIL])
def test_deciding_does_not_grow_with_the_keys(origin: str) -> None:
    _key, token = make_key(allowed_domains=[SHOP])
    alone = calls(token, origin)
    others = [make_key(allowed_domains=[SHOP])[1] for _ in range(50)]
    assert {calls(each, origin) for each in [token, *others]} == {alone}
