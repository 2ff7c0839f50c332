"""Authentication by API key: it names the key, and logs nobody in."""

from typing import Any

from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request
from rest_framework.settings import api_settings

from .enforcement.access import StillDecidingError
from .enforcement.drf import access_for, guard_response
from .enforcement.responses import CHALLENGE
from .models import APIKey
from .permissions import IsAllowlisted, guard_of


class APIKeyAuthentication(BaseAuthentication):
    """Sets ``request.auth`` to the key of a request that the key's lists let in.

    ``request.user`` stays anonymous: a key in a page's source logs nobody in. Put it first. A token of
    ours that is refused then ends the chain, with the anonymous user and without ``request.auth``, and
    the view's permission says why. An authenticator before it may raise at our token, and a response to
    that lacks our ``Vary`` and ``Cache-Control``. A request without a token of ours is left to the next.
    """

    def authenticate(self, request: Request) -> tuple[Any, APIKey | None] | None:
        """Return the anonymous user with the key, or with None if it is refused; None without a key."""
        view = (request.parser_context or {}).get("view")
        guard = guard_of(view)
        if guard is not None:
            guard_response(view, request)
        try:
            access = access_for(guard or IsAllowlisted(), request, view)
        except StillDecidingError:
            return None  # ``get_key`` asks for ``request.user``: the next authenticator knows.
        if not access.served and not access.is_token_ours:
            return None
        anonymous: Any = api_settings.UNAUTHENTICATED_USER
        return (anonymous() if anonymous else None), access.key if access.served else None

    def authenticate_header(self, request: Request) -> str:
        """Return the scheme to name in ``WWW-Authenticate``."""
        return CHALLENGE
