"""What identifies a request's key: a token, or what a project's own permission class returns."""

import re
from typing import Any, NamedTuple

from django.http import HttpRequest

from ..conf import settings
from ..policy.tokens import Token, looks_secret

_AUTHORIZATION = re.compile(r"(?:api-key|bearer)[ \t]+(\S+)[ \t]*", re.IGNORECASE)


class Credential(NamedTuple):
    """What a request sends as its token. ``token`` is None unless it has a token's shape."""

    token: Token | None
    looks_secret: bool
    in_url: bool = False
    """Whether servers log it on the way."""

    @classmethod
    def parse(cls, text: str, *, in_url: bool = False) -> "Credential":
        """Return the credential that ``text`` is, whatever it is."""
        return cls(Token.parse(text), looks_secret(text), in_url)

    @property
    def is_ours(self) -> bool:
        """Return whether it can only be one of our tokens, valid or not."""
        return self.token is not None or self.looks_secret


def read_credential(request: HttpRequest, in_path: str | None = None) -> Credential | None:
    """Return the credential from the first place that has one; None if no place has.

    The places, in order: the key header; ``Authorization: Api-Key`` or ``Bearer`` with a token's shape;
    ``in_path``, the value of the view's URL kwarg; the query parameter, if it looks like one of our
    tokens. Anything else in ``Authorization`` and the query belongs to the project.
    """
    conf, meta = settings(), request.META
    header = meta.get(conf.key_meta, "").strip(" \t")
    if header and conf.key_meta != "HTTP_AUTHORIZATION":
        return Credential.parse(header)
    match = _AUTHORIZATION.fullmatch(meta.get("HTTP_AUTHORIZATION", ""))
    if match and (credential := Credential.parse(match[1])).token:
        return credential
    if in_path:
        return Credential.parse(in_path, in_url=True)
    parameter = request.GET.get(conf.KEY_QUERY_PARAM) if conf.KEY_QUERY_PARAM else None
    credential = Credential.parse(parameter or "", in_url=True)
    return credential if credential.is_ours else None


class KeySource:
    """Says which key a request presents. A permission class inherits it, and a subclass may change it."""

    uses_cookies: bool = False
    """Whether ``get_key`` reads cookies or the session. Django's CSRF check then applies to such a key."""
    opens_frame: bool = False
    """Whether requests are for a frame's document, and the page that embeds the frame is judged."""
    in_path: str | None = None
    """What the URL's path says is the token, in a view that isn't DRF's."""

    def get_key(self, request: Any, view: Any) -> Any:
        """Return what identifies the request's key; None if there is no key.

        By default that is the token, as a ``Credential``. A subclass may return the APIKey, or its
        primary key, that belongs to a credential of the project. Only the primary key is used: the row
        is read again. ``request`` is DRF's in a DRF view; elsewhere it is Django's, and ``view`` is None.
        """
        return read_credential(request, key_in_path(view) or self.in_path)


def key_in_path(view: Any) -> str | None:
    """Return the value of the URL kwarg that the view names in ``allowlist_key_kwarg``."""
    name = getattr(view, "allowlist_key_kwarg", None)
    value = getattr(view, "kwargs", {}).get(name) if name else None
    return None if value is None else str(value)
