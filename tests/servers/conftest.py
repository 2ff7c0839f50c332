"""The site's database, and the site served by each server in turn, with and without nginx."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.demo_server import free_port
from tests.servers.running import SERVERS, TRUSTED, Endpoint, Server, Site, nginx, prepared, running, sqlite


@dataclass(frozen=True)
class Served:
    """The site as one server serves it."""

    site: Site
    server: str
    endpoint: Endpoint
    log: Path

    @property
    def family(self) -> str:
        """Return the server's program."""
        return self.server.partition("-")[0]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Return the site, which is created once."""
    folder = tmp_path_factory.mktemp("site")
    return prepared(folder, sqlite(folder))


PLACES = [
    pytest.param((server, is_socket), id=f"{server.name}-{'socket' if is_socket else 'tcp'}")
    for server in SERVERS.values()
    for is_socket in (False, True)
    if server.path or not is_socket
]


def _served(site: Site, place: tuple[Server, bool], proxies: tuple[str, ...]) -> Iterator[Served]:
    server, is_socket = place
    socket = site.folder / f"{len(proxies)}{server.name}"  # Short: such paths have about a hundred bytes.
    endpoint = Endpoint(socket if is_socket else free_port())
    with running(server, endpoint, site, proxies) as log:
        yield Served(site, server.name, endpoint, log)


@pytest.fixture(scope="module", params=PLACES)
def served(request: pytest.FixtureRequest, site: Site) -> Iterator[Served]:
    """Return the site, served where the proxies of this machine are trusted."""
    yield from _served(site, request.param, TRUSTED)


@pytest.fixture(scope="module", params=[each for each in PLACES if "gthread" not in str(each.id)])
def trusting_nobody(request: pytest.FixtureRequest, site: Site) -> Iterator[Served]:
    """Return the site, served without TRUSTED_PROXIES."""
    yield from _served(site, request.param, ())


@pytest.fixture(scope="module")
def front(served: Served) -> Iterator[Endpoint]:
    """Return where nginx listens for ``served``."""
    yield from _front(served)


@pytest.fixture(scope="module")
def front_of_trusting_nobody(trusting_nobody: Served) -> Iterator[Endpoint]:
    """Return where nginx listens for ``trusting_nobody``."""
    yield from _front(trusting_nobody)


def _front(served: Served) -> Iterator[Endpoint]:
    endpoint = Endpoint(free_port())
    with nginx(served.site.folder, endpoint, served.endpoint):
        yield endpoint
