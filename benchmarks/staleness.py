"""Measures how long another process honors a key after its revocation was committed.

Run as ``python -m benchmarks.staleness [--times 1000]``, on the database that ALLOWLIST_TEST_DB names.
One process revokes keys. Another process gets a request at once, and more until it refuses: a key that it
still served is stale. With Redis freshness, a relay also delays what Redis sends to that process.
"""

import argparse
import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Thread

import django

from tests import databases, services
from tests.other_process import Ask, other_process
from tests.redis_server import RedisServer, running_redis

DELAYS = (0.003, 0.02)
"""Seconds by which the relay delays what Redis sends."""


@contextmanager
def relayed(server: RedisServer, delay: float) -> Iterator[str]:
    """Yield the URL of a relay that delays what Redis sends by ``delay`` seconds."""
    redis = server.url.removeprefix("unix://")
    path = Path(redis).with_name(f"late-{delay}.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        Thread(target=_accept, args=(listener, redis, delay), daemon=True).start()
        yield f"unix://{path}"


def _accept(listener: socket.socket, redis: str, delay: float) -> None:
    while True:
        try:
            reader, _address = listener.accept()
        except OSError:
            return
        writer = socket.socket(socket.AF_UNIX)
        writer.connect(redis)
        Thread(target=_pump, args=(reader, writer, 0.0), daemon=True).start()
        Thread(target=_pump, args=(writer, reader, delay), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket, delay: float) -> None:
    with suppress(OSError):  # One of the two hung up.
        while data := source.recv(65536):
            time.sleep(delay)
            sink.sendall(data)


def measure(ask_there: Ask, times: int) -> str:
    """Return how many revoked keys were honored after the commit, and for how long at most."""
    from allowlist.models import APIKey
    from tests.testing import INVALID, SERVED, SHOP, used_now

    stale, longest = 0, 0.0
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


def main(times: int) -> None:
    """Measure each kind of freshness and print a line about it."""
    engine = databases.engine()
    with other_process({}) as ask_there:
        print(f"{engine}, a statement a request: {measure(ask_there, times)}", flush=True)
    if reason := services.absent("redis-server"):
        raise SystemExit(f"Redis freshness is left out: {reason}.")
    with ExitStack() as stack:
        server = stack.enter_context(running_redis())
        settings.ALLOWLIST = {"FRESHNESS": server.url}
        conf.settings.cache_clear()
        for delay in (0.0, *DELAYS):
            url = stack.enter_context(relayed(server, delay)) if delay else server.url
            with other_process({"FRESHNESS": url}) as ask_there:
                said = measure(ask_there, times)
            print(f"{engine}, Redis {delay * 1000:.0f} ms further from the reader: {said}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=1000)
    arguments = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    from django.conf import settings
    from django.test.utils import setup_databases, setup_test_environment, teardown_databases

    from allowlist import conf

    setup_test_environment()
    made = setup_databases(0, False)
    try:
        main(arguments.times)
    finally:
        teardown_databases(made, 0)
