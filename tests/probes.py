"""How tests ask: a request from somewhere, and a write that must be refused."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import connections, transaction
from django.db.models import QuerySet
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from allowlist.models import AllowedDomain, AllowedIP, APIKey

ALIASES = [name for name, at in settings.DATABASES.items() if name == "default" or at.get("ATOMIC_REQUESTS")]
"""The databases that a request opens: all with ATOMIC_REQUESTS; emptying one after a test takes time."""

SHOP, BLOG = "https://shop.example", "https://blog.example"
SERVER, OTHER_SERVER = "203.0.113.7", "203.0.113.8"


class Answer(NamedTuple):
    """What a guarded view answered."""

    status: int
    reason: str | None


SERVED = Answer(200, None)
INVALID = Answer(401, "key_invalid")
NOT_LISTED = Answer(403, "origin_not_listed")
IP_NOT_LISTED = Answer(403, "ip_not_listed")
UNDECIDED = Answer(503, "undecided")


def ask(token: str, origin: str | None = SHOP, address: str = SERVER) -> Answer:
    """Send a request to a guarded view: from a page of ``origin``, or from a server where None."""
    headers = {"X-API-Key": token} | ({} if origin is None else {"Origin": origin})
    response = Client().get("/widget/alone/", headers=headers, REMOTE_ADDR=address)
    return Answer(response.status_code, response.json().get("reason"))


class Refusal(NamedTuple):
    """One error of a refused write."""

    code: str | None
    sentence: str
    field: str | None
    place: int | None


@contextmanager
def refused(*codes: str) -> Iterator[list[Refusal]]:
    """Expect the block to be refused with exactly these codes; fill the list with what was said."""
    heard: list[Refusal] = []
    with pytest.raises(ValidationError) as caught:
        yield heard
    heard += told(caught.value)
    assert [each.code for each in heard] == list(codes)


def told(error: ValidationError) -> list[Refusal]:
    """Return each error that a refusal tells."""
    if hasattr(error, "error_dict"):
        return [
            Refusal(each.code, each.messages[0], field, None)
            for field, errors in error.error_dict.items()
            for each in errors
        ]
    found = []
    for each in error.error_list:
        params: Any = each.params or {}
        found.append(Refusal(each.code, each.messages[0], params.get("field"), params.get("index")))
    return found


def row(key: APIKey) -> APIKey:
    """Return the key as it is in the database."""
    return APIKey.objects.using(key._state.db).get(pk=key.pk)


def domains(key: APIKey) -> list[str]:
    """Return the domains that the database lists for the key."""
    return [each.domain for each in row(key).allowed_domains.all()]


def ips(key: APIKey) -> list[str]:
    """Return the addresses that the database lists for the key."""
    return [each.ip for each in row(key).allowed_ips.all()]


def used_now(*keys: APIKey) -> None:
    """Note the keys as used and their entries as matched just now, so that requests do not write that."""
    for key in keys:
        plain: QuerySet[APIKey] = QuerySet(APIKey, using=key._state.db)
        plain.filter(pk=key.pk).update(last_used_at=timezone.now())
        for model in (AllowedDomain, AllowedIP):
            entries: QuerySet[Any] = QuerySet(model, using=key._state.db)
            entries.filter(key=key).update(last_matched_at=timezone.now())


@contextmanager
def statements(alias: str = "default") -> Iterator[list[str]]:
    """Fill the list with the SQL that the block sends, without what only opens and ends transactions."""
    sent: list[str] = []
    with CaptureQueriesContext(connections[alias]) as captured:
        yield sent
    sent += [each["sql"] for each in captured.captured_queries if not _is_framing(each["sql"])]


def _is_framing(sql: str) -> bool:
    return sql.startswith(("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE"))


@contextmanager
def rolled_back(alias: str = "default") -> Iterator[None]:
    """Undo what the block writes, as a view that fails under ATOMIC_REQUESTS does."""
    with transaction.atomic(using=alias):
        yield
        transaction.set_rollback(True, using=alias)
