"""The key's text, from the places of a request that may carry it."""

import re
from dataclasses import dataclass, field

from django.http import HttpRequest

from ..conf import settings
from ..policy.tokens import Token

_AUTHORIZATION = re.compile(r"(?:api-key|bearer)[ \t]+(\S+)[ \t]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Presented:
    """A key's text as a request presents it. ``in_url`` tells whether servers log it on the way."""

    text: str = field(repr=False)  # Error reports print what a failing function held.
    in_url: bool


def read_key(request: HttpRequest, in_path: str | None = None) -> Presented | None:
    """Return the key's text from the first place that has one, or None.

    The places, in order: the key header; ``Authorization: Api-Key`` or ``Bearer`` where it has our
    token's shape (anything else there is somebody else's); ``in_path``, the view's URL kwarg; the
    query parameter.
    """
    conf, meta = settings(), request.META
    header = meta.get(conf.key_meta, "").strip(" \t")
    if header and conf.key_meta != "HTTP_AUTHORIZATION":
        return Presented(header, in_url=False)
    match = _AUTHORIZATION.fullmatch(meta.get("HTTP_AUTHORIZATION", ""))
    if match and Token.parse(match[1]):
        return Presented(match[1], in_url=False)
    if in_path:
        return Presented(in_path, in_url=True)
    parameter = request.GET.get(conf.KEY_QUERY_PARAM) if conf.KEY_QUERY_PARAM else None
    return Presented(parameter, in_url=True) if parameter else None
