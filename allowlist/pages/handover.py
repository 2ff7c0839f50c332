"""How a token gets from the request that created it to the page that shows it, once.

It is stored nowhere: one half is in the session and the other in a cookie, and each half alone is random.
"""

import secrets
from typing import Any

from django.http import HttpRequest, HttpResponseBase

from ..models import APIKey

NAME = "allowlist_token"
SECONDS = 300
"""How long the browser has to follow the redirect."""
MOST = 5
"""How many tokens may wait for their pages in one session."""


def hand_over(request: HttpRequest, response: HttpResponseBase, key: APIKey, token: str, path: str) -> None:
    """Have the page at ``path``, which the response redirects to, show the token."""
    text = token.encode()
    pad = secrets.token_bytes(len(text))
    waiting: dict[str, Any] = {**request.session.get(NAME, {}), str(key.pk): _mixed(text, pad).hex()}
    request.session[NAME] = dict(list(waiting.items())[-MOST:])
    response.set_cookie(
        NAME, pad.hex(), SECONDS, path=path, secure=request.is_secure(), httponly=True, samesite="Strict"
    )


def taken(request: HttpRequest, key: APIKey) -> str | None:
    """Return the token that was handed over for the key, and forget it; None without one."""
    waiting = dict(request.session.get(NAME, {}))
    half = waiting.pop(str(key.pk), None)
    if half is None:
        return None
    request.session[NAME] = waiting
    try:
        token = _mixed(bytes.fromhex(half), bytes.fromhex(request.COOKIES.get(NAME, ""))).decode()
    except ValueError:
        return None
    return token or None


def _mixed(text: bytes, pad: bytes) -> bytes:
    return bytes(one ^ other for one, other in zip(text, pad, strict=True))
