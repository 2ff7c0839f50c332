"""``allowlist.testing``: what the tests of projects use."""

import re
import threading
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.models import QuerySet
from django.test import TestCase, override_settings
from rest_framework.test import APIClient

from allowlist.models import APIKey, BlockedSource
from allowlist.testing import AllowlistClient, flush, make_key, reset
from tests.testing import BLOG, ELSEWHERE, EVIL, SERVER, SHOP, body, reason

GUIDE = Path(__file__).parent.parent / "docs/how-to/testing.md"
VIEW = "/widget/alone/"


def written() -> int:
    """Return how many blocked rows there are, without writing what is counted."""
    return QuerySet(BlockedSource).count()


class InATestCase(TestCase):
    """With Django's own test runner."""

    def setUp(self) -> None:
        """Block a request."""
        self.key, self.token = make_key(domains=[SHOP])
        self.reply = AllowlistClient(self.token, origin=EVIL).get(VIEW)

    def test_counts_are_written_by_reading_in_the_tests_own_transaction(self) -> None:
        assert (self.reply.status_code, written()) == (403, 0)
        assert connection.in_atomic_block
        assert self.key.blocked_sources.get().origin == EVIL
        assert "allowlist-blocked" not in {thread.name for thread in threading.enumerate()}

    def test_the_next_test_starts_without_the_rows_of_this_one(self) -> None:
        flush()
        assert written() == BlockedSource.objects.count() == 1
        AllowlistClient(self.token, origin=EVIL).get(VIEW)
        reset()
        flush()
        assert self.key.blocked_sources.get().count == 1


@pytest.mark.django_db
@pytest.mark.urls("example_project.urls")
def test_the_guide_has_a_test_that_passes() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(code, str(GUIDE), "exec"), names)  # noqa: S102 - our own page
    names["test_only_the_shop_reads_the_config"]()


@pytest.mark.django_db
def test_a_key_is_restricted_to_what_is_listed(creator: Any) -> None:
    key, token = make_key(creator, [SHOP], [("Backend", SERVER)], name="Shop", condition="any")
    assert (key.creator, key.name, key.condition, key.token) == (creator, "Shop", "any", token)
    assert (key.domain_mode, key.ip_mode) == ("listed", "listed")
    assert APIKey.objects.get(pk=make_key()[0].pk).domain_mode == "all"


@pytest.mark.django_db
def test_the_client_calls_from_where_it_is_told_or_the_request_says() -> None:
    _key, token = make_key(domains=[SHOP], ips=[SERVER])
    client = AllowlistClient(token, SHOP, SERVER)
    assert isinstance(client, APIClient)
    assert client.get(VIEW).status_code == 200
    assert reason(client.get(VIEW, headers={"Origin": BLOG})) == "origin_not_listed"
    assert body(client.get(VIEW, REMOTE_ADDR=ELSEWHERE))["ip"] == ELSEWHERE
    client.origin = client.ip = None
    assert reason(client.get(VIEW)) == "origin_missing"
    assert reason(AllowlistClient().get(VIEW)) == "key_missing"
    with override_settings(ALLOWLIST={"KEY_HEADER": "X-Shop-Key"}):
        assert reason(client.get(VIEW)) == "origin_missing"
