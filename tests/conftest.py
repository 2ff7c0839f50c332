"""Marks for services and databases, and fixtures that work with any user model."""

import itertools
import os
import signal
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core.cache import cache

from allowlist.testing import reset
from tests import databases, services
from tests.clock import Clock

User = Any
"""A user, of whichever model this run has."""
MakeUser = Callable[..., User]

STRICT = os.environ.get("ALLOWLIST_CI") == "1"
"""Whether a test may be skipped only for a missing service."""


def pytest_sessionstart() -> None:
    """End the run if its database is missing. On SIGTERM, drop the test databases as after Control-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    name = databases.engine()
    if name != "sqlite" and (reason := services.absent(name)):
        pytest.exit(f"ALLOWLIST_TEST_DB={name}, but {reason}.", returncode=2)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the tests of other databases than this run's."""
    wrong = [item for item in items if not _is_on_its_database(item)]
    if wrong:
        config.hook.pytest_deselected(items=wrong)
        items[:] = [item for item in items if item not in wrong]


def _is_on_its_database(item: pytest.Item) -> bool:
    mark = item.get_closest_marker("only_on")
    return mark is None or databases.engine() in mark.args


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose services are missing, with the reason."""
    for reason in _absences(item):
        pytest.skip(reason)


def _absences(item: pytest.Item) -> list[str]:
    names = {name for mark in item.iter_markers("needs") for name in mark.args}
    return [reason for name in sorted(names) if (reason := services.absent(name))]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Under ALLOWLIST_CI=1, fail a test that was skipped although no service is missing."""
    report = yield
    if STRICT and report.skipped and not hasattr(report, "wasxfail") and not _absences(item):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped although every service it needs is here."
    return report


@pytest.fixture(autouse=True)
def _empty_cache() -> Iterator[None]:
    """Start each test with an empty cache, without the throttle counts of other tests."""
    cache.clear()
    yield
    cache.clear()


@pytest.fixture(autouse=True)
def _nothing_counted() -> None:
    """Start each test without refusals that other tests counted."""
    reset()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return the clock that throttles and the cache read. It stands still until a test moves it."""
    clock = Clock()
    monkeypatch.setattr("time.time", clock)
    return clock


@pytest.fixture
def make_user(db: None) -> MakeUser:
    """Return a function that creates users of this run's model, with the name it is given."""
    numbers = itertools.count(1)

    def make(name: str = "", *, permissions: bool = False, **fields: Any) -> User:
        model = get_user_model()
        name = name or f"user{next(numbers)}"
        login = f"{name}@example.com" if model.USERNAME_FIELD == "email" else name
        user = model._default_manager.create_user(
            **{model.USERNAME_FIELD: login}, password="password", **fields
        )
        if permissions:
            user.user_permissions.set(Permission.objects.all())
        return user

    return make


@pytest.fixture
def creator(make_user: MakeUser) -> User:
    """Return a staff user with every model permission, who creates the test's keys."""
    return make_user("creator", is_staff=True, permissions=True)


@pytest.fixture
def stranger(make_user: MakeUser) -> User:
    """Return a staff user with every model permission, who created none of the keys."""
    return make_user("stranger", is_staff=True, permissions=True)


@pytest.fixture
def superuser(make_user: MakeUser) -> User:
    """Return a superuser, who created none of the keys."""
    return make_user("root", is_staff=True, is_superuser=True)
