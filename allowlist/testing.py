"""For the tests of your project: keys, requests from a place, and what they counted.

In a test run no thread writes what a key blocked. It is written when your test reads it, and by ``flush``, on
the test's own connection and in its transaction.
"""

from collections.abc import Sequence
from typing import Any

from rest_framework.test import APIClient

from .conf import settings
from .enforcement.blocked import reset, write_counts
from .models import APIKey

__all__ = ["AllowlistClient", "flush", "make_key", "reset"]


def make_key(
    creator: Any = None,
    domains: Sequence[Any] = (),
    ips: Sequence[Any] = (),
    *,
    name: str = "widget",
    **fields: Any,
) -> tuple[APIKey, str]:
    """Return a new key, restricted to what is listed, with its token; ``fields`` are ``create_key``'s."""
    if domains:
        fields["allowed_domains"] = domains
    if ips:
        fields["allowed_ips"] = ips
    return APIKey.objects.create_key(name=name, creator=creator, **fields)


def flush() -> None:
    """Write everything that this process counted, on the connections of this thread."""
    write_counts()


class AllowlistClient(APIClient):
    """A client that calls with a key from one place. A header given with a request goes before.

    ``origin`` is the page's, and None is a server. ``ip`` is the client's address, by default 127.0.0.1.
    """

    def __init__(
        self,
        token: str | None = None,
        origin: str | None = None,
        ip: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.token = token
        self.origin = origin
        self.ip = ip

    def generic(self, *args: Any, **extra: Any) -> Any:
        """Send a request, from the place."""
        place = {settings().key_meta: self.token, "HTTP_ORIGIN": self.origin, "REMOTE_ADDR": self.ip}
        sent = {name: value for name, value in place.items() if value is not None}
        return super().generic(*args, **{**sent, **extra})
