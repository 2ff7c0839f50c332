"""FRESHNESS in servers of several processes: each caches its own keys, and each hears of a change."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.demo_server import PATIENCE, ROOT, free_port
from tests.redis_server import running_redis
from tests.servers.running import SERVERS, Endpoint, Server, Site, prepared, running, site_environment, sqlite
from tests.servers.wire import ask, raw
from tests.testing import SHOP

pytestmark = [pytest.mark.slow, pytest.mark.needs("redis-server")]

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
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Return a site whose processes use a Redis of the tests' own."""
    with running_redis() as redis, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SITE_REDIS", redis.url)
        folder = tmp_path_factory.mktemp("kept")
        yield prepared(folder, sqlite(folder))


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
    with closing(sqlite3.connect(Path(site.database["NAME"]), timeout=PATIENCE)) as database, database:
        database.execute("UPDATE allowlist_apikey SET revoked_at = '2026-01-01 00:00:00' WHERE id = ?", (pk,))


@pytest.mark.parametrize("server", WORKERS, ids=lambda server: server.name)
def test_every_process_knows_a_change_before_its_next_request(site: Site, server: Server) -> None:
    endpoint = Endpoint(free_port())
    with running(server, endpoint, site, ()) as log, changing(site) as change:
        for _ in range(3):
            pk, token = cached_key(site, endpoint, change)
            change("revoke", pk)
            assert answers(endpoint, token) == {REVOKED}
    assert "Traceback" not in log.read_text()
