"""A process that handles the requests of its cases, and reports how long they took.

Each input line is a task as JSON, each output line its result. Requests go through the WSGI handler as a
server's would, with the signals and the end of the response, but without a client.
"""

import gc
import json
import sys
from io import BytesIO
from statistics import median
from time import perf_counter_ns
from typing import Any

from django.core.handlers.wsgi import WSGIHandler
from django.core.wsgi import get_wsgi_application
from django.db import connection

from benchmarks.cases import CASES, PEER, Case
from benchmarks.processes import pin

WARM_UP = 3
"""Requests before each block: the first one may find other cases' caches, or no connection."""

Environ = dict[str, Any]


class Asker:
    """Sends a case's requests to the handler."""

    def __init__(self, application: WSGIHandler, case: Case, tokens: dict[str, list[str]]) -> None:
        self.application = application
        self.case = case
        self.environs = _environs(case, tokens)
        self.status = ""

    def block(self, times: int) -> float:
        """Return the median of so many requests, in microseconds."""
        for at in range(max(WARM_UP, len(self.environs))):
            self.ask(at)
        return median(self.ask(at) for at in range(times)) / 1000

    def ask(self, at: int) -> int:
        """Send one request; return the nanoseconds it took."""
        environ = self.environs[at % len(self.environs)].copy()
        start = perf_counter_ns()
        response: Any = self.application(environ, self._start_response)
        b"".join(response)
        response.close()
        took = perf_counter_ns() - start
        if not self.status.startswith(str(self.case.status)):
            raise AssertionError(f"{self.case.name} returned {self.status}.")
        return took

    def queries(self) -> int:
        """Return how many statements a warm request sends."""
        self.ask(0)
        sent = []

        def count(execute: Any, sql: str, *rest: Any) -> Any:
            sent.append(sql)
            return execute(sql, *rest)

        with connection.execute_wrapper(count):
            self.ask(0)
        return len(sent)

    def _start_response(self, status: str, headers: object, exc_info: object = None) -> Any:
        self.status = status


def _environs(case: Case, tokens: dict[str, list[str]]) -> list[Environ]:
    """Return a request for each of the case's tokens."""
    names = [name for name in tokens if any(f"{{{name}}}" in value for value in case.headers.values())]
    return (
        [
            _environ(case, {name: text.format(**{names[0]: token}) for name, text in case.headers.items()})
            for token in tokens[names[0]]
        ]
        if names
        else [_environ(case, case.headers)]
    )


def _environ(case: Case, headers: Any) -> Environ:
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": f"/{case.name}",
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": PEER,
        "HTTP_HOST": "127.0.0.1:8000",
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(),
        "wsgi.errors": sys.stderr,
        **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()},
    }


def main() -> None:
    """Do the tasks."""
    pin()
    application = get_wsgi_application()
    from benchmarks.settings import SETUP

    askers = {
        case.name: Asker(application, case, SETUP["tokens"]) for case in CASES if case.name in SETUP["cases"]
    }
    queries = {name: asker.queries() for name, asker in askers.items()}
    gc.collect()
    gc.freeze()
    print(json.dumps(queries), flush=True)
    for line in sys.stdin:
        task = json.loads(line)
        print(askers[task["case"]].block(task["times"]), flush=True)


if __name__ == "__main__":
    main()
