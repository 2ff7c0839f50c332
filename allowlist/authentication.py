"""Authentication by API key: it names the key, and logs nobody in."""

from typing import Any

from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request
from rest_framework.settings import api_settings

from .enforcement.access import access_of
from .models import APIKey
from .permissions import CHALLENGE


class APIKeyAuthentication(BaseAuthentication):
    """Sets ``request.auth`` to the key of a request that the key's lists let in.

    ``request.user`` stays anonymous: a key in a page's source logs nobody in. A request without a
    key, or with one that does not work from there, is left to the other authenticators and to the
    permission, which says why.
    """

    def authenticate(self, request: Request) -> tuple[Any, APIKey] | None:
        """Return the anonymous user and the key, or None."""
        access = access_of(request, (request.parser_context or {}).get("view"))
        if not access.served or access.key is None:
            return None
        anonymous: Any = api_settings.UNAUTHENTICATED_USER
        return (anonymous() if anonymous else None), access.key

    def authenticate_header(self, request: Request) -> str:
        """Return the scheme to name in ``WWW-Authenticate``."""
        return CHALLENGE
