"""WebSockets on real servers, with a real client: an application without Channels."""

from collections.abc import Iterator
from typing import Any

import pytest
import websocket

from tests.demo_server import free_port
from tests.servers.running import SERVERS, Endpoint, Site, running
from tests.testing import EVIL, SHOP

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=["uvicorn", "daphne"])
def address(request: pytest.FixtureRequest, site: Site) -> Iterator[str]:
    """Return where a server listens."""
    endpoint = Endpoint(free_port())
    with running(SERVERS[request.param], endpoint, site, ()):
        yield f"ws://127.0.0.1:{endpoint.at}"


def test_a_listed_page_is_served_and_another_one_gets_a_403(address: str, site: Site) -> None:
    url = f"{address}/socket/?key={site.tokens['page']}"
    socket = websocket.create_connection(url, origin=SHOP)
    assert socket.recv() == "page, None"
    socket.close()
    # The last one sends two Origin headers.
    for sent in ({"origin": EVIL}, {"suppress_origin": True}, {"origin": SHOP, "header": {"Origin": SHOP}}):
        with pytest.raises(websocket.WebSocketBadStatusException) as caught:
            websocket.create_connection(url, **sent)
        assert caught.value.status_code == 403


def test_a_readable_refusal_is_accepted_and_closed_with_its_code(address: str, site: Site) -> None:
    url = f"{address}/readable/?key={site.tokens['page']}"
    socket: Any = websocket.create_connection(url, origin=EVIL, subprotocols=["chat"])
    assert socket.getsubprotocol() == "chat"
    frame = socket.recv_frame()
    assert (frame.opcode, int.from_bytes(frame.data[:2])) == (websocket.ABNF.OPCODE_CLOSE, 4403)
    assert frame.data[2:] in (b"origin_not_listed", b"")  # daphne sends no reason.
    socket.close()
