"""WebSockets: an ASGI middleware that judges the handshake, for Channels or any other ASGI application.

Browsers send ``Origin`` with a WebSocket, and CORS doesn't apply to it. So a page of anyone's may open one
unless the server refuses the handshake. Once it is accepted, nothing is checked again.
"""

import logging

from django.core.exceptions import SuspiciousOperation

from ..asgi import Application, Message, Receive, Send
from ..decorators import expect_key_kwarg, expect_permission
from ..enforcement.access import Access
from ..enforcement.handshakes import check_handshake
from ..permissions import IsAllowlisted
from ..policy.decision import Reason

logger = logging.getLogger("allowlist")

CLOSE_CODE = 4403
"""The code that a readable refusal closes with."""


class Allowlisted:
    """Has ``app`` see only the handshakes that ``permission`` grants, with ``scope["allowlist"]``.

    The others are closed before they are accepted: the server responds with 403, and a page's script learns
    no reason. With ``readable`` they are accepted and closed with CLOSE_CODE and the reason.
    ``key_kwarg`` names the argument of Channels' URLRouter that may hold the token. Raises TypeError for
    wrong use.
    """

    def __init__(
        self,
        app: Application,
        *,
        readable: bool = False,
        permission: type[IsAllowlisted] = IsAllowlisted,
        key_kwarg: str | None = None,
    ) -> None:
        expect_permission(permission)
        expect_key_kwarg(key_kwarg)
        if permission.uses_cookies:
            raise TypeError(
                f"{permission.__qualname__}.get_key() uses cookies, which browsers send with any page's "
                "WebSocket. Find the key by a token instead."
            )
        self._app = app
        self._readable = readable
        self._permission = permission
        self._key_kwarg = key_kwarg

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass a served handshake and the server's lifespan to the application; close any other."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "websocket":
            raise ValueError(
                f"Allowlisted() was called for {scope['type']!r}. It guards WebSockets: put it under "
                '"websocket" in ProtocolTypeRouter.'
            )
        access = await self._judge(scope)
        if isinstance(access, Access):
            await self._app({**scope, "allowlist": access}, receive, send)
        elif (await receive())["type"] == "websocket.connect":
            await self._close(scope, access, send)

    async def _judge(self, scope: Message) -> Access | Reason:
        """Return what was decided, or why the handshake is refused."""
        kwargs = scope.get("url_route", {}).get("kwargs", {})
        try:
            enforcer = self._permission.reading(kwargs, self._key_kwarg)
            access, refusal = await check_handshake(scope, enforcer)
        except SuspiciousOperation as error:
            logger.warning("Refused a suspicious WebSocket: %s", error)
            return Reason.UNDECIDED
        if access is None or refusal is not None:
            return (None if access is None else access.decision.reason) or Reason.UNDECIDED
        return access

    async def _close(self, scope: Message, reason: Reason, send: Send) -> None:
        if not self._readable:
            await send({"type": "websocket.close"})
            return
        # Chromium fails if it offers subprotocols and the server chooses none.
        subprotocol = next(iter(scope.get("subprotocols", ())), None)
        await send({"type": "websocket.accept", "subprotocol": subprotocol})
        await send({"type": "websocket.close", "code": CLOSE_CODE, "reason": str(reason)})
