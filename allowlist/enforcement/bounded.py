"""A dictionary that forgets its oldest entries before it grows too large."""

from threading import Lock
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Bounded(Generic[Key, Value]):
    """Values with a weight each, up to ``most`` of it together; the oldest go first. Thread-safe."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.weight = 0
        self._values: dict[Key, tuple[Value, int]] = {}
        self._lock = Lock()

    def get(self, key: Key) -> Value | None:
        """Return the value kept under ``key``."""
        held = self._values.get(key)
        return None if held is None else held[0]

    def put(self, key: Key, value: Value, weight: int) -> None:
        """Keep ``value`` in place of what was under ``key``, and forget the oldest while it is too much."""
        with self._lock:
            self._forget(key)
            self._values[key] = value, weight
            self.weight += weight
            while self.weight > self.most:
                self._forget(next(iter(self._values)))

    def forget(self, key: Key) -> None:
        """Forget what is kept under ``key``."""
        with self._lock:
            self._forget(key)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._values.clear()
            self.weight = 0

    def _forget(self, key: Key) -> None:
        if gone := self._values.pop(key, None):
            self.weight -= gone[1]
