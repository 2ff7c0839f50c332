"""What workers counted is written when they end in order, whichever server runs them."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.demo_server import free_port
from tests.servers.running import SERVERS, Endpoint, Server, prepared, running, sqlite
from tests.servers.wire import ask, raw

pytestmark = pytest.mark.slow

WORKERS = ("--workers=2",)
ENDING = [
    Server("gunicorn-two", (*SERVERS["gunicorn"].command, *WORKERS), SERVERS["gunicorn"].port),
    Server("gthread-two", (*SERVERS["gunicorn-gthread"].command, *WORKERS), SERVERS["gunicorn-gthread"].port),
    SERVERS["uvicorn"],
]
TIMES = 40


@pytest.mark.parametrize("server", ENDING, ids=lambda server: server.name)
def test_workers_that_end_write_what_they_counted(server: Server, tmp_path: Path) -> None:
    site, endpoint = prepared(tmp_path, sqlite(tmp_path)), Endpoint(free_port())
    with running(server, endpoint, site, ()) as log:
        for number in range(TIMES):
            page = "https://widget.example" if number % 2 else f"https://{number}.example"
            request = raw(f"X-API-Key: {site.tokens['page']}", f"Origin: {page}")
            assert ask(endpoint, request).said == "403 origin_not_listed"
    with closing(sqlite3.connect(site.database["NAME"])) as database:
        rows = dict(database.execute("SELECT origin, count FROM allowlist_blockedsource"))
    assert rows.pop("https://widget.example") == TIMES // 2, log.read_text()
    assert list(rows.values()) == [1] * (TIMES // 2)
    assert "are lost" not in log.read_text()
