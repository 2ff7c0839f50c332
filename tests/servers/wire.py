"""Requests as bytes, sent as they are, and their responses."""

import http.client
import json
import socket
from dataclasses import dataclass
from email.message import Message
from typing import Any

from tests.servers.running import Endpoint

GUARDED = "/widget/alone/"

REFUSED = "refused by the server"
"""The site never sees the request: the server returns 400 or 431, or closes the connection."""


@dataclass(frozen=True)
class Answer:
    """A response."""

    status: int
    body: Any
    headers: Message
    closes: bool

    @property
    def said(self) -> str:
        """Return the status, and the reason if the site gave one."""
        if self.body is None and self.status in (400, 431):
            return REFUSED
        return f"{self.status} {(self.body or {}).get('reason', '')}".strip()


CLOSED = Answer(400, None, Message(), closes=True)
"""A server that closes during the request has refused it, whether or not its 400 arrives."""


def send(connection: socket.socket, request: bytes) -> Answer:
    """Send ``request`` as it is and read one response."""
    response = http.client.HTTPResponse(connection, method=request.partition(b" ")[0].decode())
    try:
        connection.sendall(request)
        response.begin()
        text = response.read()
    except ConnectionError:
        return CLOSED
    is_json = response.headers.get_content_type() == "application/json" and text
    return Answer(
        response.status, json.loads(text) if is_json else None, response.headers, response.will_close
    )


def ask(endpoint: Endpoint, request: bytes, source: str = "127.0.0.1") -> Answer:
    """Send ``request`` over a connection of its own."""
    with endpoint.connect(source) as connection:
        return send(connection, request)


def raw(
    *lines: bytes | str, target: str = GUARDED, method: str = "GET", version: str = "1.1", body: bytes = b""
) -> bytes:
    """Return a request's bytes. Lines are sent as they are, strings as Latin-1."""
    start = f"{method} {target} HTTP/{version}"
    head = [
        each.encode("latin-1") if isinstance(each, str) else each for each in (start, "Host: site", *lines)
    ]
    return b"\r\n".join([*head, b"", body])
