"""What servers call with: each one's own headers, from a listed address and from another."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.demo_server import free_port
from tests.servers.conftest import Served
from tests.servers.running import SERVERS, Endpoint, Site, running

pytestmark = pytest.mark.slow

NODE = """
fetch(process.argv[1], {headers: {"X-API-Key": process.argv[2]}})
  .then((response) => console.log(response.status));
"""
REQUESTS = """
import sys, requests
print(requests.get(sys.argv[1], headers={"X-API-Key": sys.argv[2]}).status_code)
"""
URLLIB = """
import sys, urllib.request, urllib.error
request = urllib.request.Request(sys.argv[1], headers={"X-API-Key": sys.argv[2]})
try:
    print(urllib.request.urlopen(request).status)
except urllib.error.HTTPError as error:
    print(error.code)
"""
CURL = ["curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_code}"]

CLIENTS = {
    "curl": ["bash", "-c", f'{" ".join(CURL)} -H "X-API-Key: $1" "$0"'],
    "node": ["node", "-e", NODE],
    "requests": [sys.executable, "-c", REQUESTS],
    "urllib": [sys.executable, "-c", URLLIB],
    "java": ["java", str(Path(__file__).with_name("Client.java"))],
}
"""Programs that are given a URL and a token, and print the answer's status."""


@pytest.fixture(scope="module", params=["gunicorn-gthread", "uvicorn", "daphne"])
def served(request: pytest.FixtureRequest, site: Site) -> Iterator[Served]:
    """Return the site, served to clients themselves."""
    server, endpoint = SERVERS[request.param], Endpoint(free_port())
    with running(server, endpoint, site, ()) as log:
        yield Served(site, server.name, endpoint, log)


def status(client: str, served: Served, key: str) -> int:
    """Return the status that a client gets."""
    url = f"http://127.0.0.1:{served.endpoint.at}/widget/alone/"
    command = [*CLIENTS[client], url, served.site.tokens[key]]
    return int(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout)


@pytest.mark.parametrize(
    "client",
    [
        pytest.param("curl", marks=pytest.mark.needs("curl")),
        pytest.param("node", marks=pytest.mark.needs("node")),
        pytest.param("java", marks=pytest.mark.needs("java")),
        "requests",
        "urllib",
    ],
)
def test_a_server_is_served_from_a_listed_address_and_refused_from_another(
    served: Served, client: str
) -> None:
    assert status(client, served, "local") == 200
    assert status(client, served, "server") == 403
