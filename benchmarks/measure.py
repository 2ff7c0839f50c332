"""Times the cases in turn, round after round, so that a busy moment slows all of them alike."""

import json
import random
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from benchmarks.cases import Case
from benchmarks.databases import Config
from benchmarks.processes import Tokens, environment, start

Item = TypeVar("Item")
Rounds = dict[str, list[float]]
"""The figures of each round, by the case's name. The same index in two lists is the same round."""


@dataclass(frozen=True)
class Database:
    """A filled database."""

    config: Config
    tokens: Tokens


@dataclass(frozen=True)
class Scene:
    """What is measured together: an engine, with persistent connections or without."""

    engine: str
    lasting: bool
    databases: dict[int, Database]
    cases: list[Case]

    @property
    def setups(self) -> list[list[Case]]:
        """Return the cases, grouped by process."""
        by_setup: defaultdict[str, list[Case]] = defaultdict(list)
        for case in self.cases:
            by_setup[case.setup].append(case)
        return list(by_setup.values())

    def environment(self, cases: list[Case]) -> dict[str, str]:
        """Return the environment of the process for ``cases``."""
        keys = cases[0].keys
        database = self.databases[keys]
        config = {**database.config, "CONN_MAX_AGE": None if self.lasting else 0}
        return environment(config, cases, database.tokens, keys)


@dataclass
class Figures:
    """The figures of a scene."""

    scene: Scene
    micros: Rounds = field(default_factory=dict)
    queries: dict[str, int] = field(default_factory=dict)
    rates: Rounds = field(default_factory=dict)


def measure(scene: Scene, rounds: int, times: int) -> Figures:
    """Return the median of ``times`` requests of each case, in microseconds, for each round."""
    figures = Figures(scene)
    micros: defaultdict[str, list[float]] = defaultdict(list)
    with ExitStack() as stack:
        workers: list[tuple[Worker, Case]] = []
        for cases in scene.setups:
            if cases[0].asgi:
                continue
            worker = stack.enter_context(_started(scene.environment(cases)))
            figures.queries |= worker.queries
            workers += [(worker, case) for case in cases]
        for _round, order in zip(range(rounds), shuffled(workers), strict=False):
            for worker, case in order:
                micros[case.name].append(worker.block(case, times))
    figures.micros = dict(micros)
    return figures


def shuffled(items: list[Item]) -> Iterator[list[Item]]:
    """Yield the items in another order each time, so that neighbors change; runs have the same orders."""
    chance = random.Random(0)
    while True:
        yield chance.sample(items, len(items))


class Worker:
    """A process of ``worker.py``."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.queries: dict[str, int] = json.loads(self._read())

    def block(self, case: Case, times: int) -> float:
        """Return the median of so many requests, in microseconds."""
        assert self._process.stdin is not None
        print(json.dumps({"case": case.name, "times": times}), file=self._process.stdin, flush=True)
        return float(self._read())

    def _read(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("A worker ended. Its error is above.")
        return line


@contextmanager
def _started(env: dict[str, str]) -> Iterator[Worker]:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with start(["-m", "benchmarks.worker"], env, **pipes) as process:
        yield Worker(process)
        # Leaving the block closes the process's input, which ends it.
