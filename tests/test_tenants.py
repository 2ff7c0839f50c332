"""With django-tenants, nothing cached, counted or written for one tenant touches another."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests import databases
from tests.redis_server import running_redis

ROOT = Path(__file__).parent.parent

pytestmark = [pytest.mark.slow, pytest.mark.needs("postgres")]


@pytest.fixture
def database() -> Iterator[str]:
    """Return the name of an empty database on PostgreSQL."""
    at, name = databases.postgres(), databases.test_name("tenants")
    reached = {"host": at["HOST"], "port": at["PORT"], "user": at["USER"], "password": at["PASSWORD"]}
    with closing(psycopg.connect(dbname=at["NAME"], autocommit=True, **reached)) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        yield name
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def outcome(database: str, freshness: str) -> Any:
    """Return what the scenario prints."""
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.tenants.settings",
        "ALLOWLIST_TENANTS_DB": database,
        "ALLOWLIST_TENANTS_FRESHNESS": freshness,
    }
    command = [sys.executable, "-m", "tests.tenants.scenario"]
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    # Migrating says more before.
    return json.loads(run.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    "freshness", ["", "postgres", pytest.param("redis", marks=pytest.mark.needs("redis-server"))]
)
def test_tenants_of_one_database_are_kept_apart(freshness: str, database: str) -> None:
    if freshness == "redis":
        with running_redis() as redis:
            told = outcome(database, redis.url)
    else:
        told = outcome(database, freshness)
    assert told == {
        "own keys": ["a", "b"],
        "the other's key": ["key_invalid", "key_invalid"],
        "by number": ["a", "b"],
        "the other's page": ["origin_not_listed", "origin_not_listed"],
        "throttled": ["a", "b"],
        "throttled again": [429, 429],
        "after a's change": ["origin_not_listed", "b"],
        "by number, after a's change": ["origin_not_listed", "b"],
        "the other's last use is unchanged": True,
        "blocked": [{"https://c.example": 6}, {"https://d.example": 2}],
    }
