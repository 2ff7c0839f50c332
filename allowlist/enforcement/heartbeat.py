"""When a server that pushes changes last gave a sign of life, and when to ask it for the next."""

from math import inf

from ..models.announcements import LEASE

ASK_EVERY = 0.5
"""Seconds after a request for a sign of life that got one, until the next."""


class ServerDownError(Exception):
    """The server closed the connection, is silent, or sent something unexpected."""


class Heartbeat:
    """The signs of life on one connection. Times are of ``time.monotonic()``."""

    __slots__ = ("_asked_at", "alive_at")

    def __init__(self) -> None:
        self.alive_at = -inf
        """When the last sign of life that the server gave was asked for; what it pushed before is read."""
        self._asked_at: float | None = None

    def is_due(self, now: float) -> bool:
        """Return whether to ask; raises ServerDownError if the server owes a sign of life for too long."""
        if self._asked_at is None:
            return now - self.alive_at > ASK_EVERY
        if now - self._asked_at > LEASE:
            raise ServerDownError(f"silent for {LEASE:.0f} s")
        return False

    def ask(self, now: float) -> None:
        """Note that the server was asked, or that it got on with what it owes."""
        self._asked_at = now

    @property
    def is_awaited(self) -> bool:
        """Return whether the server owes a sign of life."""
        return self._asked_at is not None

    def hear(self) -> None:
        """Note the sign of life that the server owed."""
        self.alive_at, self._asked_at = self._asked_at or self.alive_at, None
