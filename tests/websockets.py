"""WebSockets in tests: an application without Channels, and a client of it."""

from typing import Any

from asgiref.sync import async_to_sync
from channels.testing import WebsocketCommunicator

from allowlist.asgi import Message, Receive, Send
from tests.testing import SERVER


async def echo(scope: Message, receive: Receive, send: Send) -> None:
    """Say which key opened the WebSocket, and what was decided."""
    await receive()
    await send({"type": "websocket.accept", "subprotocol": next(iter(scope["subprotocols"]), None)})
    access = scope["allowlist"]
    await send({"type": "websocket.send", "text": f"{access.key.name}, {access.decision.reason}"})
    await receive()


@async_to_sync
async def open_socket(
    app: Any,
    url: str,
    *headers: tuple[str, str],
    ip: str = SERVER,
    protocols: tuple[str, ...] = (),
    kwargs: dict[str, Any] | None = None,
) -> tuple[Any, Any]:
    """Open a WebSocket; return what it says first, or what it was closed with, and its subprotocol.

    ``kwargs`` are those of Channels' URLRouter.
    """
    encoded = [(name.lower().encode(), value.encode("latin1")) for name, value in headers]
    socket = WebsocketCommunicator(app, url, encoded, list(protocols))
    socket.scope["client"] = (ip, 0)
    if kwargs is not None:
        socket.scope["url_route"] = {"args": (), "kwargs": kwargs}
    is_open, chosen = await socket.connect()
    if not is_open:
        return chosen, None
    output = await socket.receive_output()
    if output["type"] == "websocket.close":
        return (output["code"], output["reason"]), chosen
    await socket.disconnect()
    return output["text"], chosen
