"""A dictionary that drops its oldest values before it grows too large."""

import os
from collections.abc import Hashable
from threading import Lock
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Cache(Generic[Value]):
    """Values with a weight each, at most ``most`` of it together. Thread-safe.

    Each value is found by its key, and together with others by a name that several keys may share.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.weight = 0
        self._values: dict[Hashable, tuple[str, Value, int]] = {}
        self._keys: dict[str, set[Hashable]] = {}
        self._renew_lock()
        if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has no fork
            # Another thread of the parent may hold the lock at the moment of the fork.
            os.register_at_fork(after_in_child=self._renew_lock)

    def get(self, key: Hashable) -> Value | None:
        """Return the value cached under ``key``."""
        held = self._values.get(key)
        return None if held is None else held[1]

    def named(self, name: str) -> list[Value]:
        """Return the values of every key that shares ``name``. Takes no lock."""
        keys = tuple(self._keys.get(name, ()))
        return [held[1] for key in keys if (held := self._values.get(key))]

    def put(self, key: Hashable, name: str, value: Value, weight: int) -> None:
        """Replace the value under ``key``; drop the oldest values while the weight is too much."""
        with self._lock:
            self._drop(key)
            self._values[key] = name, value, weight
            self._keys.setdefault(name, set()).add(key)
            self.weight += weight
            while self.weight > self.most:
                self._drop(next(iter(self._values)))

    def _drop(self, key: Hashable) -> None:
        if held := self._values.pop(key, None):
            name, _value, weight = held
            self.weight -= weight
            self._keys[name].discard(key)
            if not self._keys[name]:
                del self._keys[name]

    def _renew_lock(self) -> None:
        self._lock = Lock()
