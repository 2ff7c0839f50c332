"""Embed tokens: with one, a frame's scripts are judged as the page that embeds the frame.

They send their requests from the service's own origin. So the view that serves the frame's document judges
the embedding page, and gives the document a signed token that names it.
"""

from dataclasses import dataclass
from typing import Any

from django.core import signing
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest

from ..conf import settings
from ..policy.origins import NoOrigin, Origin, parse_origin

META = "HTTP_X_EMBED_TOKEN"
"""The name of EMBED_HEADER in ``request.META``."""
_SALT = "allowlist.embed"
_MAX_LENGTH = 1024
"""The longest token, with two origins of 253 characters each, has about 800."""


@dataclass(frozen=True, slots=True)
class Embedding:
    """A page that embeds a frame, for one key."""

    locator: str
    """The key's, which stays when its token is rotated."""
    page: Origin
    """The page that embeds the frame."""
    document: Origin
    """Where the frame's document comes from."""
    is_old: bool = False
    """Whether its token is past half its age."""

    def to_token(self) -> str:
        """Return a new token, signed now."""
        return signing.dumps([self.locator, str(self.page), str(self.document)], salt=_SALT)


def embedding_by(request: HttpRequest, page: Origin, locator: str) -> Embedding:
    """Return that ``page`` embeds the document that ``request`` is for.

    Raises DisallowedHost, also for a host that no browser could name.
    """
    document = own_origin(request)
    if document is None:
        raise DisallowedHost("The host isn't one that a browser could name.")
    return Embedding(locator, page, document)


def read_embedding(request: HttpRequest, page: Origin | NoOrigin, locator: str) -> Embedding | None:
    """Return what the request's token says; None if it doesn't count.

    It counts for the key it was signed for, and from the frame's own document: ``page`` is what the request
    itself says of the page that sent it.
    """
    embedding = _parse(request.META[META])
    if embedding is None or embedding.locator != locator:
        return None
    return embedding if embedding.document == _document_of(request, page) else None


def _document_of(request: HttpRequest, page: Origin | NoOrigin) -> Origin | NoOrigin | None:
    """Return the origin of the document whose script sent the request.

    A GET to a document's own origin may carry neither Origin nor Referer, as its referrer policy says.
    """
    is_from_here = (
        page is NoOrigin.HIDDEN
        and request.method in ("GET", "HEAD")
        and request.META.get("HTTP_SEC_FETCH_SITE") == "same-origin"
    )
    return own_origin(request) if is_from_here else page


def own_origin(request: HttpRequest) -> Origin | None:
    """Return the origin that ``request`` was sent to; None for a host that no browser could name.

    Raises DisallowedHost.
    """
    scheme = "https" if request.is_secure() else "http"
    return parse_origin(f"{scheme}://{request.get_host()}")


def _parse(text: str) -> Embedding | None:
    """Return what a token says, if its signature is ours and it isn't too old."""
    if len(text) > _MAX_LENGTH or not text.isascii():
        return None
    max_age, is_old = settings().EMBED_MAX_AGE, False
    try:
        try:
            said: Any = signing.loads(text, salt=_SALT, max_age=max_age // 2)
        except signing.SignatureExpired:
            said, is_old = signing.loads(text, salt=_SALT, max_age=max_age), True
    except signing.BadSignature:
        return None
    locator, page, document = said[0], parse_origin(said[1]), parse_origin(said[2])
    return None if page is None or document is None else Embedding(locator, page, document, is_old)
