"""What the tests of both servers that push changes start with."""

import pytest

from allowlist.models import APIKey
from tests.clock import Clock
from tests.conftest import User
from tests.pushing import standing_clock
from tests.testing import SHOP, used_now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return a clock that stands still."""
    return standing_clock(monkeypatch)


@pytest.fixture
def key(creator: User) -> APIKey:
    """Return a key that lists a page; its use is noted already."""
    key, _token = APIKey.objects.create_key(name="Shop", creator=creator, allowed_domains=[SHOP])
    used_now(key)
    return key
