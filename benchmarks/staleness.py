"""Measures how long another process honors a key after its revocation was committed.

Run as ``python -m benchmarks.staleness [--times 1000] [--busy 0]``, on the database that ALLOWLIST_TEST_DB
names. One process revokes keys. Another process gets a request at once, and more until it refuses: a key that
it still served is stale. A relay also delays what Redis or PostgreSQL sends to that process. ``--busy`` runs
so many processes beside it that take all the processor they get.
"""

import argparse
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import django

from tests import databases, services
from tests.other_process import Ask, other_process
from tests.postgres_line import running_line
from tests.redis_server import RedisServer, running_redis
from tests.relay import Relay

DELAYS = (0.0, 0.003, 0.02)
"""Seconds by which the relay delays what the server sends; 0 is without a relay."""
WARM_UP = 20
"""Requests until the process is connected, however late the server is."""


@contextmanager
def relayed(server: RedisServer, delay: float) -> Iterator[str]:
    """Yield the URL of a relay that delays what Redis sends by ``delay`` seconds."""

    def connect() -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(server.url.removeprefix("unix://"))
        return connection

    relay = Relay(connect, delay)
    relay.start()
    yield f"redis://127.0.0.1:{relay.port}/0"
    relay.kill()


@contextmanager
def busy(count: int) -> Iterator[None]:
    """Run processes that take all the processor they get."""
    spinning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for each in spinning:
            each.kill()
            each.wait()


def measure(ask_there: Ask, times: int) -> str:
    """Return how many revoked keys were honored after the commit, and for how long at most."""
    from allowlist.models import APIKey
    from tests.testing import INVALID, SERVED, SHOP, used_now

    stale, longest = 0, 0.0
    _key, token = APIKey.objects.create_key(name="Shop", creator=None, allowed_domains=[SHOP])
    for _ in range(WARM_UP):
        ask_there(token)
    for _ in range(times):
        key, token = APIKey.objects.create_key(name="Shop", creator=None, allowed_domains=[SHOP])
        used_now(key)
        if not ask_there(token) == ask_there(token) == SERVED:
            raise SystemExit("A listed page was refused.")
        key.revoke()
        revoked_at = time.perf_counter()
        if ask_there(token) != INVALID:
            stale += 1
            while ask_there(token) != INVALID:
                pass
            longest = max(longest, time.perf_counter() - revoked_at)
    return f"{stale} of {times} honored, for {longest * 1000:.1f} ms at most"


def measure_push(name: str, writer: str, reader: str, delay: float, times: int) -> None:
    """Measure with one value of FRESHNESS where keys are written, and one where they are read."""
    settings.ALLOWLIST = {"FRESHNESS": writer}
    conf.settings.cache_clear()
    with other_process({"FRESHNESS": reader}) as ask_there:
        said = measure(ask_there, times)
    print(f"{name} {delay * 1000:.0f} ms further from the reader: {said}", flush=True)


def main(times: int) -> None:
    """Measure each kind of freshness and print a line about it."""
    engine = databases.engine()
    with other_process({}) as ask_there:
        print(f"{engine}, a statement a request: {measure(ask_there, times)}", flush=True)
    if engine == "postgres":
        for delay in DELAYS:
            with running_line(delay=delay) as line:
                reader = line.freshness if delay else "postgres"
                measure_push("PostgreSQL", "postgres", reader, delay, times)
    if reason := services.absent("redis-server"):
        raise SystemExit(f"Redis freshness is left out: {reason}.")
    with ExitStack() as stack:
        server = stack.enter_context(running_redis())
        for delay in DELAYS:
            reader = stack.enter_context(relayed(server, delay)) if delay else server.url
            measure_push(f"{engine}, Redis", server.url, reader, delay, times)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=1000)
    parser.add_argument("--busy", type=int, default=0)
    arguments = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    from django.conf import settings
    from django.test.utils import setup_databases, setup_test_environment, teardown_databases

    from allowlist import conf

    setup_test_environment()
    made = setup_databases(0, False)
    try:
        with busy(arguments.busy):
            main(arguments.times)
    finally:
        teardown_databases(made, 0)
