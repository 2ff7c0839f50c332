"""Sends requests while creators change keys: every response must follow from the lists of its moment.

Run as ``python -m benchmarks.soak [--minutes 5] [--freshness redis|postgres] [--calm]``. gunicorn with two
workers serves the test site on loopback, on PostgreSQL or, if that is missing, on SQLite. Threads send
allowed, refused and malformed requests. Two other processes change lists, and create, rotate and revoke
keys with the models' methods. A response is right if it follows from a state that may have been in force
during the request: a request that starts after a change was committed must see the change.

With ``--freshness`` Redis or PostgreSQL pushes changes to the workers, and what pushes is killed, paused,
made to forget and slow all the time, unless ``--calm``. What PostgreSQL pushes may arrive after the commit:
a response that follows from an earlier state is late, and wrong only after the lease of 2 s.

The exit code is 1 if a response was wrong or a 5xx, or if the workers' memory grew within a minute or more.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import mean
from threading import Event, Lock, Thread
from typing import Any

from tests import services
from tests.databases import Config
from tests.demo_server import ROOT, free_port
from tests.postgres_line import ALIAS, PostgresLine
from tests.redis_server import RedisServer, running_redis
from tests.servers import running
from tests.servers.running import APPLICATION, Endpoint, Server, Site
from tests.servers.wire import REFUSED, ask, raw

WORKERS, CLIENTS, CHANGERS, KEYS = 2, 4, 2, 4
"""Processes that serve, threads that send requests, processes that change keys, keys of each process."""
PAUSE = 0.02
"""Seconds between two changes of one process."""
LEASE = 2.0
"""For how long a process may use what it cached without a sign of life from the server, in seconds."""
DELAYS = (0.0, 0.003, 0.02)
"""By how many seconds what PostgreSQL pushes is late, in turn."""
GROWTH = 1.1
"""How much more memory the workers may use in the last third of the time than in the first."""

PAGES = [f"https://shop{number}.example.com" for number in range(6)]
ADDRESSES = [f"203.0.113.{number}" for number in range(6)]
MALFORMED_PAGES = ["https://shop0.example.com.", "https://shop0.example.com/", "javascript:alert(1)", ""]
MALFORMED_ADDRESSES = ["203.0.113", "unknown", "203.0.113.0, ", "x" * 4000]


@dataclass(frozen=True)
class State:
    """What is in force for a key between two changes. A list of None allows all."""

    tokens: frozenset[str]
    pages: frozenset[str] | None = None
    addresses: frozenset[str] | None = None

    def answer(self, token: str, page: str | None, address: str) -> str:
        """Return the response that a request must get, by the rules in the docs."""
        if token not in self.tokens:
            return "401 key_invalid"
        return self._of_page(page) or self._of_address(address) or "200"

    def _of_page(self, page: str | None) -> str | None:
        if self.pages is None:
            return None
        if page is None:
            return "403 origin_missing"
        host = page.removesuffix(".")
        if host in self.pages:
            return None
        return "403 origin_not_listed" if host in PAGES else "403 origin_malformed"

    def _of_address(self, address: str) -> str | None:
        if self.addresses is None or address in self.addresses:
            return None
        return "403 ip_not_listed" if address in ADDRESSES else "403 ip_unknown"


class Key:
    """A key's states, each with the times when its write began and when it was certainly committed."""

    def __init__(self, pk: Any, token: str) -> None:
        self.pk = pk
        self.seen = [token]
        self._states = [(0.0, 0.0, State(frozenset([token])))]
        self._lock = Lock()

    @property
    def state(self) -> State:
        """Return the last state that was committed."""
        return self._states[-1][2]

    @contextmanager
    def becoming(self, state: State) -> Iterator[None]:
        """Record that the block writes ``state``."""
        began = time.monotonic()
        with self._lock:
            self._states.append((began, float("inf"), state))
        yield
        with self._lock:
            self._states[-1] = (began, time.monotonic(), state)
            self._states = self._states[-500:]

    def possible(self, start: float, end: float) -> list[tuple[float, State]]:
        """Return the states that may have been in force at a moment between ``start`` and ``end``.

        Before them is how long before ``start`` a state was superseded; 0 for most. Only the last few
        seconds' are returned.
        """
        with self._lock:
            states = list(self._states)
        nexts = [committed for _began, committed, _state in states[1:]] + [float("inf")]
        return [
            (max(0.0, start - superseded), state)
            for (began, _committed, state), superseded in zip(states, nexts, strict=True)
            if began <= end and superseded >= start - 2 * LEASE
        ]


class Soak:
    """The keys, and the counts of the responses."""

    def __init__(self, endpoint: Endpoint, bound: float) -> None:
        self.endpoint = endpoint
        self.bound = bound
        """Seconds for which a state may be honored after it was superseded."""
        self.late: list[float] = []
        self.keys: list[Key] = []
        self.revoked: deque[Key] = deque(maxlen=8)
        self.over = Event()
        self.answers: Counter[str] = Counter()
        self.changes: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.failures: list[BaseException] = []
        self._lock = Lock()

    def count(self, said: str, expected: dict[str, float], what: str) -> None:
        """Count a response; ``expected`` says of each that is possible for how long it isn't any more."""
        with self._lock:
            self.answers[said] += 1
            late = expected.get(said, float("inf"))
            if late > self.bound:
                now = sorted(each for each, since in expected.items() if not since)
                self.wrong.append(f"{what}: {said}, not {' or '.join(now)}, {late:.3f} s late")
            elif late:
                self.late.append(late)

    def ask(self, chance: random.Random) -> None:
        """Send requests until the time is over."""
        while not self.over.is_set():
            if chance.random() < 0.1:
                self._ask_nonsense(chance)
            else:
                self._ask_by_key(chance, self._any_key(chance))

    def _any_key(self, chance: random.Random) -> Key:
        """Return a key; now and then a revoked key, which must stay revoked."""
        return chance.choice(self.revoked or self.keys) if chance.random() < 0.1 else chance.choice(self.keys)

    def _ask_by_key(self, chance: random.Random, key: Key) -> None:
        token = chance.choice([key.seen[-1], key.seen[-1], chance.choice(key.seen)])
        page = chance.choice([*PAGES, *PAGES, chance.choice(MALFORMED_PAGES), None])
        address = chance.choice([*ADDRESSES, *ADDRESSES, chance.choice(MALFORMED_ADDRESSES)])
        origin = [] if page is None else [f"Origin: {page}"]
        start = time.monotonic()
        answer = ask(self.endpoint, raw(f"X-API-Key: {token}", f"X-Forwarded-For: {address}", *origin))
        expected: dict[str, float] = {}
        for since, state in key.possible(start, time.monotonic()):
            said = state.answer(token, page, address)
            expected[said] = min(since, expected.get(said, since))
        self.count(answer.said, expected, f"key {key.pk}, {page}, {address[:20]}")

    def _ask_nonsense(self, chance: random.Random) -> None:
        line, expected = chance.choice(NONSENSE)
        self.count(ask(self.endpoint, raw(line)).said, {expected: 0.0}, line[:40])

    def change(self, chance: random.Random, changer: "Changer") -> None:
        """Change this process's keys until the time is over."""
        keys = [changer.create() for _ in range(KEYS)]
        self.keys += keys
        while not self.over.wait(PAUSE):
            key = chance.choice(keys)
            # Before the change, so that a worker may cache the key; after it, so that a stale cache shows.
            self._ask_by_key(chance, key)
            method = changer.change(key, chance)
            self._ask_by_key(chance, key)
            with self._lock:
                self.changes[method] += 1
            if method == "revoke":
                self.revoked.append(key)
                keys[keys.index(key)] = self.keys[self.keys.index(key)] = changer.create()

    def disturb(self, line: RedisServer | PostgresLine, chance: random.Random) -> None:
        """Kill, pause, flush, terminate and slow down what pushes until the time is over."""
        if isinstance(line, PostgresLine):
            ends: dict[str, Any] = {"terminate": line.terminate, "slow": partial(self._slow, line, chance)}
        else:
            ends = {"flush": line.client.flushall}
        while not self.over.wait(2):
            trouble = chance.choice(["kill", "pause", *ends])
            if trouble == "kill":
                line.kill()
                self.over.wait(2 * chance.random())
                line.start()
            elif trouble == "pause":
                line.pause()
                self.over.wait(4 * chance.random())
                line.resume()
            else:
                ends[trouble]()
            with self._lock:
                self.changes[f"line: {trouble}"] += 1

    def _slow(self, line: PostgresLine, chance: random.Random) -> None:
        line.delay = chance.choice(DELAYS)

    def guarded(self, work: Any, *arguments: Any) -> Thread:
        """Return a started thread whose failure ends the soak."""

        def run() -> None:
            try:
                work(*arguments)
            except BaseException as error:
                self.failures.append(error)
                self.over.set()
                raise

        thread = Thread(target=run, daemon=True)
        thread.start()
        return thread


NONSENSE = [
    ("X-API-Key: pk_live_nonsense", "401 key_invalid"),
    ("X-API-Key: pk_live_\xff\xfe", "401 key_invalid"),
    ("X-API-Key: pk_live_\0", REFUSED),
    (f"X-API-Key: {'x' * 70_000}", REFUSED),
    ("X_API_Key: underscored", "401 key_missing"),
    ("Nothing: at-all", "401 key_missing"),
]


class Changer:
    """A process that changes keys."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def _do(self, *command: Any) -> Any:
        assert self._process.stdin
        assert self._process.stdout
        print(json.dumps(command), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())

    def create(self) -> Key:
        """Create a key."""
        return Key(*self._do("create", "soak"))

    def change(self, key: Key, chance: random.Random) -> str:
        """Make one change; return the method's name."""
        method = chance.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
        if method in ("add_domains", "remove_domains") and len(key.state.pages or ()) < 2:
            method = "restrict_domains"
        state, pages = key.state, frozenset(chance.sample(PAGES, 3))
        addresses = frozenset(chance.sample(ADDRESSES, 3))
        if method == "restrict_domains":
            self._write(key, replace(state, pages=pages), method, sorted(pages))
        elif method == "restrict_ips":
            self._write(key, replace(state, addresses=addresses), method, sorted(addresses))
        elif method == "allow_all_domains":
            self._write(key, replace(state, pages=None), method)
        elif method == "allow_all_ips":
            self._write(key, replace(state, addresses=None), method)
        elif method == "add_domains" and state.pages:
            self._write(key, replace(state, pages=state.pages | pages), method, sorted(pages))
        elif method == "remove_domains" and state.pages:
            gone = min(state.pages)
            self._write(key, replace(state, pages=state.pages - {gone}), method, [gone])
        elif method == "rotate":
            self._rotate(key, chance.choice([0, 1]))
        elif method == "revoke":
            self._write(key, replace(state, tokens=frozenset()), method)
        return method

    def _write(self, key: Key, state: State, method: str, *arguments: Any) -> None:
        with key.becoming(state):
            self._do(method, key.pk, *arguments)

    def _rotate(self, key: Key, hours: int) -> None:
        # The new token is known only afterwards, so nobody can have sent it before.
        current = key.seen[-1]
        kept = frozenset([current]) if hours else frozenset[str]()
        with key.becoming(replace(key.state, tokens=kept)):
            token = self._do("rotate", key.pk, hours)
        with key.becoming(replace(key.state, tokens=kept | {token})):
            pass
        key.seen = [*key.seen[-3:], token]


_WEIGHTS = {
    "restrict_domains": 5,
    "restrict_ips": 5,
    "allow_all_domains": 2,
    "allow_all_ips": 2,
    "add_domains": 3,
    "remove_domains": 3,
    "rotate": 2,
    "revoke": 1,
}


def resident(pid_file: Path) -> list[int]:
    """Return the resident kilobytes of each of gunicorn's workers."""
    master = int(pid_file.read_text())
    workers = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    status = [Path(f"/proc/{worker}/status").read_text() for worker in workers]
    return [int(each.split("VmRSS:")[1].split()[0]) for each in status]


@contextmanager
def database(folder: Path) -> Iterator[Config]:
    """Return an empty database for as long as the block runs."""
    if reason := services.absent("postgres"):
        print(f"On SQLite: {reason}.")
        yield running.sqlite(folder)
        return
    with running.postgres() as config:
        yield config


def soak(site: Site, seconds: float, seed: int, line: RedisServer | PostgresLine | None, bound: float) -> int:
    """Run for ``seconds``, print the figures, and return the exit code."""
    endpoint, pid = Endpoint(free_port()), site.folder / "pid"
    server = Server(
        "gunicorn",
        ("gunicorn", f"{APPLICATION}:wsgi", f"--workers={WORKERS}", f"--pid={pid}"),
        ("--bind=127.0.0.1:{}",),
    )
    it, memory = Soak(endpoint, bound), []
    with ExitStack() as stack:
        stack.enter_context(running.running(server, endpoint, site, ("127.0.0.1",)))
        processes = [stack.enter_context(_changing(site)) for _ in range(CHANGERS)]
        threads = [
            it.guarded(it.change, random.Random(seed + number), Changer(process))
            for number, process in enumerate(processes)
        ]
        while len(it.keys) < KEYS * CHANGERS and not it.over.wait(0.1):
            pass
        threads += [it.guarded(it.ask, random.Random(seed - 1 - number)) for number in range(CLIENTS)]
        if line is not None:
            threads.append(it.guarded(it.disturb, line, random.Random(seed)))
        end = time.monotonic() + seconds
        while time.monotonic() < end and not it.over.wait(min(1, seconds / 30)):
            memory.append(sum(resident(pid)))
        it.over.set()
        for thread in threads:
            thread.join()
    return report(it, memory, seconds)


@contextmanager
def _changing(site: Site) -> "Iterator[subprocess.Popen[str]]":
    command = [sys.executable, "-m", "benchmarks.changer"]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=running.site_environment(site.database),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process


def report(it: Soak, memory: list[int], seconds: float) -> int:
    """Print the figures; return 1 if one of them is wrong."""
    third = max(1, len(memory) // 3)
    first, last = mean(memory[:third]), mean(memory[-third:])
    broken = sum(count for said, count in it.answers.items() if said.startswith("5"))
    asked, changed = it.answers.total(), it.changes.total()
    print(f"{asked} requests in {seconds:.0f} s ({asked / seconds:.0f}/s), {changed} changes")
    print("  responses:", ", ".join(f"{said} {count}" for said, count in it.answers.most_common()))
    print("  changes:", ", ".join(f"{method} {count}" for method, count in it.changes.most_common()))
    print(f"  wrong responses: {len(it.wrong)}, 5xx: {broken}, failures: {len(it.failures)}")
    if it.late:
        worst = sorted(it.late)
        print(
            f"  late responses: {len(worst)}, by {worst[len(worst) // 2] * 1000:.1f} ms in the middle,"
            f" {worst[-1] * 1000:.1f} ms at most"
        )
    print(
        f"  memory of the {WORKERS} workers: {first / 1024:.1f} MB in the first third,"
        f" {last / 1024:.1f} MB in the last ({last / first - 1:+.1%})"
    )
    for sentence in it.wrong[:20]:
        print("  WRONG", sentence)
    # At the start the workers' memory grows: they import what their first requests need.
    has_grown = seconds >= 60 and last > first * GROWTH
    return int(bool(it.wrong or broken or it.failures or has_grown))


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--freshness", choices=["redis", "postgres"])
    parser.add_argument("--calm", action="store_true")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        keys = stack.enter_context(database(folder))
        line: RedisServer | PostgresLine | None = None
        if options.freshness == "redis":
            line = stack.enter_context(running_redis())
            os.environ["SITE_FRESHNESS"] = line.freshness
        elif options.freshness == "postgres":
            line = PostgresLine(keys)
            line.start()
            stack.callback(line.kill)
            os.environ["SITE_MORE_DATABASES"] = json.dumps({ALIAS: line.config})
            os.environ["SITE_FRESHNESS"] = line.freshness
        site = running.prepared(folder, keys)
        bound = LEASE if options.freshness == "postgres" else 0.0
        return soak(site, options.minutes * 60, options.seed, None if options.calm else line, bound)


if __name__ == "__main__":
    sys.exit(main())
