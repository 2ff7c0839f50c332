"""The example's ``manage.py demo`` as its own process, with its own database."""

import os
import random
import re
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PATIENCE = 300
"""Seconds to wait for what takes one: a busy machine may be that slow, and only a failure waits in vain."""


@dataclass(frozen=True)
class Demo:
    """A demo that is being served."""

    port: int
    database: Path
    output: str

    def url(self, host: str, path: str = "/") -> str:
        """Return a URL of the demo."""
        return f"http://{host}:{self.port}{path}"

    @property
    def server_token(self) -> str:
        """Return the token that the demo prints for servers."""
        return str(re.findall(r"sk_live_\w+", self.output)[0])

    @property
    def page_token(self) -> str:
        """Return the token in the pretend sites' pages."""
        ((token,),) = self.query("SELECT token FROM allowlist_apikey WHERE kind = 'publishable'")
        return str(token)

    def query(self, sql: str) -> list[Any]:
        """Return the rows of a query of the demo's database file."""
        with closing(sqlite3.connect(self.database)) as connection:
            return connection.execute(sql).fetchall()


def free_port() -> int:
    """Return a TCP port that nothing listens on, for this process alone until it ends.

    The system would choose among the ports that it also gives to connections: it might give one away before
    the server is up, even to the connection that looks whether the server is up.
    """
    ports = (random.randrange(20_000, 30_000) for _attempt in count())
    return next(port for port in ports if _is_free(port) and _reserve(port))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def _reserve(port: int) -> bool:
    """Return whether no other run of the tests has this port: each of them binds the UDP port as well."""
    claim = socket.socket(type=socket.SOCK_DGRAM)
    try:
        claim.bind(("127.0.0.1", port))
    except OSError:
        claim.close()
        return False
    claim.detach()  # Bound until the process ends.
    return True


def environment(database: Path, settings: str = "example_project.settings") -> dict[str, str]:
    """Return the environment of a command of the example project."""
    # Unbuffered, so that what is printed can be waited for.
    mine = {"DJANGO_SETTINGS_MODULE": settings, "EXAMPLE_DATABASE": str(database), "PYTHONUNBUFFERED": "1"}
    return {**os.environ, **mine}


@contextmanager
def running_demo(
    folder: Path, port: int, recipe: str = "", settings: str = "example_project.settings"
) -> Iterator[Demo]:
    """Serve the demo, or a recipe's demo, while the block runs."""
    database, log = folder / "demo.sqlite3", folder / f"demo-{port}.log"
    options = ["--recipe", recipe] if recipe else []
    command = [sys.executable, "manage.py", "demo", "--port", str(port), *options]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment(database, settings), stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield Demo(port, database, _wait_for_start(process, log))
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _wait_for_start(process: subprocess.Popen[bytes], log: Path) -> str:
    """Return what the demo printed, as soon as it is served."""
    deadline = time.monotonic() + PATIENCE
    while "Quit the server" not in (said := log.read_text()):
        assert process.poll() is None, said
        assert time.monotonic() < deadline, said
        time.sleep(0.05)
    return said
