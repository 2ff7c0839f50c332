"""Forms that may be sent once: a second one gets what the first one did."""

import secrets
from typing import Any

from django.http import HttpRequest

NAME = "allowlist_sent"
FIELD = "once"
MOST = 20
"""How many forms a session remembers."""


def new() -> str:
    """Return the number of a form that is shown."""
    return secrets.token_hex(8)


def remember(request: HttpRequest, pk: Any) -> None:
    """Remember which key the form that was sent created."""
    sent = {**request.session.get(NAME, {}), request.POST.get(FIELD, "")[:32]: pk}
    request.session[NAME] = dict(list(sent.items())[-MOST:])


def made(request: HttpRequest) -> Any:
    """Return which key the form created when it was sent before; None if it wasn't."""
    number = request.POST.get(FIELD)
    return request.session.get(NAME, {}).get(number) if number else None
