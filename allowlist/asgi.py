"""For ASGI servers that a signal ends, such as uvicorn: write what was counted before they end."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from asgiref.sync import sync_to_async

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]


def flushing(application: Any) -> Application:
    """Return Django's ASGI application with a lifespan, at whose end blocked requests are written.

    Wrap it around ``get_asgi_application()``, which has no lifespan of its own.
    """

    async def flushing_application(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await application(scope, receive, send)
            return
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        # A project imports this module before Django has loaded its models.
        from .enforcement import blocked

        await sync_to_async(blocked.finish)()
        await send({"type": "lifespan.shutdown.complete"})

    return flushing_application
