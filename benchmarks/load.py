"""Measures the cases over HTTP: gunicorn or uvicorn serves them, wrk loads one after the other, in rounds."""

import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from benchmarks.cases import Case
from benchmarks.measure import Rounds, Scene, shuffled
from benchmarks.processes import start
from tests.demo_server import PATIENCE, free_port

GUNICORN = ["-m", "gunicorn", "benchmarks.wsgi", "--workers", "1", "--log-level", "warning", "--bind"]
UVICORN = [
    "-m",
    "uvicorn",
    "benchmarks.asgi:application",
    "--no-access-log",
    "--log-level",
    "warning",
    "--port",
]
CONNECTIONS = 4
_RATE = re.compile(r"^Requests/sec:\s+([0-9.]+)$", re.MULTILINE)


def absent() -> str:
    """Return why nothing can be measured over HTTP, or ""."""
    return "" if shutil.which("wrk") else "wrk is not installed"


def load(scene: Scene, cases: list[Case], rounds: int) -> Rounds:
    """Return the requests per second of each case, for each round."""
    rates: defaultdict[str, list[float]] = defaultdict(list)
    with ExitStack() as stack:
        served = [
            (stack.enter_context(_served(group[0].asgi, scene.environment(group))), case)
            for group in scene.setups
            if any(case in cases for case in group)
            for case in group
            # Under ASGI, each request would open one more persistent connection.
            if case in cases and not (case.asgi and scene.lasting)
        ]
        for _round, order in zip(range(rounds), shuffled(served), strict=False):
            for port, case in order:
                headers = _headers(case, scene)
                rates[case.name].append(_rate(f"http://127.0.0.1:{port}/{case.name}", case, headers))
    return dict(rates)


@contextmanager
def _served(asgi: bool, env: dict[str, str]) -> Iterator[int]:
    """Serve the cases of the environment on a port while the block runs."""
    port = free_port()
    process = start([*UVICORN, str(port)] if asgi else [*GUNICORN, f"127.0.0.1:{port}"], env)
    try:
        _wait_for(port)
        yield port
    finally:
        process.terminate()
        process.wait()


def _wait_for(port: int) -> None:
    for _attempt in range(PATIENCE * 10):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit("The server did not start.")


def _headers(case: Case, scene: Scene) -> dict[str, str]:
    tokens = {name: each[0] for name, each in scene.databases[case.keys].tokens.items()}
    return {name: text.format(**tokens) for name, text in case.headers.items()}


def _rate(url: str, case: Case, headers: dict[str, str]) -> float:
    """Return the requests per second of one second of wrk, after one request whose response must be right."""
    status = _status(url, headers)
    if status != case.status:
        raise SystemExit(f"{case.name} returned {status} over HTTP.")
    lines = [argument for name, value in headers.items() for argument in ("-H", f"{name}: {value}")]
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", "-d1s", *lines, url]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = _RATE.search(output)
    if found is None:
        raise SystemExit(f"wrk printed: {output}")
    return float(found[1])


def _status(url: str, headers: dict[str, str]) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as response:
            status: int = response.status
    except urllib.error.HTTPError as error:
        status = error.code
    return status
