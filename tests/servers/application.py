"""The applications that the servers serve."""

from typing import Any

from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application

from allowlist.asgi import Message, Receive, Send, flushing

wsgi = get_wsgi_application()
_http: Any = get_asgi_application()

# They need the models, which are loaded by now.
from allowlist.contrib.channels import Allowlisted  # noqa: E402


async def _echo(scope: Message, receive: Receive, send: Send) -> None:
    """Say which key opened the WebSocket."""
    await receive()
    await send({"type": "websocket.accept"})
    access = scope["allowlist"]
    await send({"type": "websocket.send", "text": f"{access.key.name}, {access.decision.reason}"})
    await receive()


_SOCKETS = {"/socket/": Allowlisted(_echo), "/readable/": Allowlisted(_echo, readable=True)}


async def _any(scope: Message, receive: Receive, send: Send) -> None:
    application = _SOCKETS[scope["path"]] if scope["type"] == "websocket" else _http
    await application(scope, receive, send)


asgi = flushing(_any)
