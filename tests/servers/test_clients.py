"""The HTTP clients of servers, each with its own headers, from a listed address and from another."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.demo_server import PATIENCE, free_port
from tests.servers.conftest import Served
from tests.servers.running import SERVERS, Endpoint, Site, running

pytestmark = pytest.mark.slow

NODE = """
const [url, ...tokens] = process.argv.slice(1);
(async () => {
  for (const token of tokens) console.log((await fetch(url, {headers: {"X-API-Key": token}})).status);
})();
"""
REQUESTS = """
import sys, requests
for token in sys.argv[2:]:
    print(requests.get(sys.argv[1], headers={"X-API-Key": token}).status_code)
"""
URLLIB = """
import sys, urllib.request, urllib.error
for token in sys.argv[2:]:
    request = urllib.request.Request(sys.argv[1], headers={"X-API-Key": token})
    try:
        print(urllib.request.urlopen(request).status)
    except urllib.error.HTTPError as error:
        print(error.code)
"""
CURL = """
url=$0
for token; do
  curl --silent --output /dev/null --write-out '%{http_code}\\n' -H "X-API-Key: $token" "$url"
done
"""

CLIENTS = {
    "curl": ["bash", "-c", CURL],
    "node": ["node", "-e", NODE],
    "requests": [sys.executable, "-c", REQUESTS],
    "urllib": [sys.executable, "-c", URLLIB],
    "java": ["java", str(Path(__file__).with_name("Client.java"))],
}
"""Programs that take a URL and tokens, and print the status of the response to each token."""


@pytest.fixture(scope="module", params=["gunicorn-gthread", "uvicorn", "daphne"])
def served(request: pytest.FixtureRequest, site: Site) -> Iterator[Served]:
    """Return the site, served to clients themselves."""
    server, endpoint = SERVERS[request.param], Endpoint(free_port())
    with running(server, endpoint, site, ()) as log:
        yield Served(site, server.name, endpoint, log)


def statuses(client: str, served: Served, *keys: str) -> list[str]:
    """Return the statuses that a client gets with the keys."""
    url = f"http://127.0.0.1:{served.endpoint.at}/widget/alone/"
    command = [*CLIENTS[client], url, *(served.site.tokens[key] for key in keys)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE)
    return done.stdout.split()


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
def test_a_client_is_served_from_a_listed_address_alone(served: Served, client: str) -> None:
    assert statuses(client, served, "local", "server") == ["200", "403"]
