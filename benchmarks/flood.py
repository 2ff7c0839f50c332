"""Floods a key with refused requests from random origins, one real origin among them.

Run as ``python -m benchmarks.flood [--requests 100000]``. gunicorn with two workers serves the test site on
PostgreSQL. The real origin sends every 200th request.
"""

import argparse
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from secrets import token_hex
from typing import Any

import psycopg

from benchmarks.soak import database, resident
from tests import services
from tests.databases import Config
from tests.demo_server import free_port
from tests.servers import running
from tests.servers.running import APPLICATION, Endpoint, Server, Site
from tests.servers.wire import raw, send

WORKERS, CLIENTS, EVERY = 2, 2, 200
REAL = "https://widget.example"
EXACT = 0.95
"""How much of the real origin's count must be there. What a full table drops at first is lost."""
COUNTED = """
CREATE SEQUENCE flood_statements;
CREATE FUNCTION flood_count() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN PERFORM nextval(''flood_statements''); RETURN NULL; END';
CREATE TRIGGER flood AFTER INSERT OR UPDATE OR DELETE ON allowlist_blockedsource
  FOR EACH STATEMENT EXECUTE FUNCTION flood_count();
"""
"""Counts the statements that write rows, whichever process sends them."""
LEFT = """
SELECT count(*), sum(count), sum(count) FILTER (WHERE origin = 'https://widget.example')
  FROM allowlist_blockedsource WHERE origin <> ''
"""


def query(config: Config, sql: str) -> Any:
    """Return the first row of a query, None if it has no rows."""
    at = {"host": config["HOST"], "port": config["PORT"], "user": config["USER"], "dbname": config["NAME"]}
    with psycopg.connect(**at, password=config["PASSWORD"], autocommit=True) as connection:
        cursor = connection.execute(sql)
        return cursor.fetchone() if cursor.description else None


def ask(endpoint: Endpoint, token: str, count: int, origin: bool = True) -> None:
    """Send refused requests over one connection at a time, each from another origin or all from none."""
    connection = endpoint.connect()
    for number in range(count):
        page = REAL if number % EVERY == 0 else f"https://{token_hex(8)}.example"
        answer = send(connection, raw(f"X-API-Key: {token}", *([f"Origin: {page}"] if origin else [])))
        assert answer.status == 403, answer
        if answer.closes:
            connection.close()
            connection = endpoint.connect()
    connection.close()


def flood(site: Site, requests: int) -> int:
    """Send the requests, print the figures, and return the exit code."""
    endpoint, pid = Endpoint(free_port()), site.folder / "pid"
    options = (f"--workers={WORKERS}", "--worker-class=gthread", f"--threads={CLIENTS}", f"--pid={pid}")
    server = Server("gunicorn", ("gunicorn", f"{APPLICATION}:wsgi", *options), ("--bind=127.0.0.1:{}",))
    query(site.database, COUNTED)
    with running.running(server, endpoint, site, ()) as log:
        # The workers import what their first requests need.
        ask(endpoint, site.tokens["server"], 1000, origin=False)
        before, began = resident(pid), time.monotonic()
        with ThreadPoolExecutor(CLIENTS) as clients:
            each = requests // CLIENTS
            list(clients.map(lambda _client: ask(endpoint, site.tokens["page"], each), range(CLIENTS)))
        seconds, after = time.monotonic() - began, resident(pid)
    rows, counted, real = query(site.database, LEFT)
    (statements,) = query(site.database, "SELECT last_value FROM flood_statements")
    print(f"{requests} refused requests in {seconds:.0f} s ({requests / seconds:.0f}/s)")
    print(f"  rows left: {rows}, which count {counted} requests")
    print(f"  statements that wrote rows: {statements}, {statements / seconds:.1f}/s")
    print(f"  memory of the workers: {before} kB before, {after} kB after")
    print(f"  the real origin: {real} of {requests // EVERY}")
    return int(real < EXACT * (requests // EVERY) or "are lost" in log.read_text())


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--requests", type=int, default=100_000)
    options = parser.parse_args()
    if reason := services.absent("postgres"):
        sys.exit(reason)
    with tempfile.TemporaryDirectory() as folder, database(Path(folder)) as config:
        return flood(running.prepared(Path(folder), config), options.requests)


if __name__ == "__main__":
    sys.exit(main())
