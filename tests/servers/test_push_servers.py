"""FRESHNESS in servers of several processes: each caches its own keys, and each hears of a change."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.demo_server import PATIENCE, ROOT, free_port
from tests.redis_server import running_redis
from tests.servers.running import (
    SERVERS,
    Endpoint,
    Server,
    Site,
    postgres,
    prepared,
    running,
    site_environment,
    sqlite,
)
from tests.servers.wire import ask, raw
from tests.testing import SHOP

pytestmark = pytest.mark.slow

Change = Callable[..., Any]
SERVED, REVOKED = "200", "401 key_invalid"
FLAGS = {
    "gunicorn": ("--workers=2", "--preload"),
    "gunicorn-gthread": ("--workers=2",),
    "uvicorn": ("--workers=2",),
    "daphne": (),
}
WORKERS = [replace(SERVERS[name], command=(*SERVERS[name].command, *flags)) for name, flags in FLAGS.items()]


@pytest.fixture(scope="module")
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Return a site to whose processes Redis or the site's PostgreSQL pushes changes."""
    folder = tmp_path_factory.mktemp("kept")
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        if request.param == "redis":
            patch.setenv("SITE_FRESHNESS", stack.enter_context(running_redis()).url)
            yield prepared(folder, sqlite(folder))
        else:
            patch.setenv("SITE_FRESHNESS", "postgres")
            yield prepared(folder, stack.enter_context(postgres()))


@contextmanager
def changing(site: Site) -> Iterator[Change]:
    """Run another process of the site; yield a function that makes it create and change keys."""
    command = [sys.executable, "-m", "benchmarks.changer"]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, env=site_environment(site.database), **pipes) as process:
        to, told = process.stdin, process.stdout
        assert to
        assert told

        def change(*words: Any) -> Any:
            print(json.dumps(words), file=to, flush=True)
            return json.loads(told.readline())

        yield change
        to.close()


def answers(endpoint: Endpoint, token: str) -> set[str]:
    """Return what the processes respond, with so many requests at once that each process gets some."""
    request = raw(f"X-API-Key: {token}", f"Origin: {SHOP}")
    with ThreadPoolExecutor(8) as pool:
        return set(pool.map(lambda _: ask(endpoint, request).said, range(64)))


def cached_key(site: Site, endpoint: Endpoint, change: Change) -> tuple[int, str]:
    """Return a key with its token, which a process still serves after another program revoked the key.

    A process that comes up late, or waits before it tries to reach Redis again, caches nothing yet.
    """

    def attempt() -> tuple[int, str] | None:
        pk, token = change("create", "cached")
        assert answers(endpoint, token) == {SERVED}
        revoke_behind_their_backs(site, pk)
        return (pk, token) if SERVED in answers(endpoint, token) else None

    return next(found for _ in range(100 * PATIENCE) if (found := attempt()))


def revoke_behind_their_backs(site: Site, pk: int) -> None:
    """Revoke as other programs do, without an announcement."""
    at = site.database
    connection: Any
    if "PORT" in at:
        reached = {"host": at["HOST"], "port": at["PORT"], "user": at["USER"], "password": at["PASSWORD"]}
        connection = psycopg.connect(dbname=at["NAME"], **reached)
    else:
        connection = sqlite3.connect(Path(at["NAME"]), timeout=PATIENCE)
    with closing(connection), connection:
        connection.execute(
            f"UPDATE allowlist_apikey SET revoked_at = '2026-01-01 00:00:00' WHERE id = {pk:d}"  # noqa: S608
        )


@pytest.mark.parametrize(
    ("site", "server"),
    [
        pytest.param(line, server, marks=pytest.mark.needs(needed), id=f"{line}-{server.name}")
        for line, needed in (("redis", "redis-server"), ("postgres", "postgres"))
        for server in WORKERS
        if (line, server.name) != ("postgres", "daphne")  # uvicorn's processes are as asynchronous.
    ],
    indirect=["site"],
)
def test_every_process_knows_a_change_before_its_next_request(site: Site, server: Server) -> None:
    endpoint = Endpoint(free_port())
    with running(server, endpoint, site, ()) as log, changing(site) as change:
        for _ in range(3):
            pk, token = cached_key(site, endpoint, change)
            change("revoke", pk)
            # PostgreSQL pushes it some milliseconds after the commit.
            allowance = 0 if "sqlite3" in site.database["ENGINE"] else 100
            assert any(answers(endpoint, token) == {REVOKED} for _ in range(1 + allowance))
    assert "Traceback" not in log.read_text()
