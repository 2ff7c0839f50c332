"""Refused requests, summed up in memory until they are written."""

import os
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from operator import itemgetter
from threading import Lock
from typing import NamedTuple, TypeVar

MOST_OF_A_KEY = 2000
"""How many places of one key are counted before the least telling half of them is dropped."""
MOST = 20_000
"""How many places are counted together: about 10 MB."""
_FEWEST_OF_A_KEY = 2

PlaceT = TypeVar("PlaceT")


class KeyName(NamedTuple):
    """A key as the process that counts knows it: two tenants of one database have their own."""

    alias: str
    schema: str | None
    locator: str


class Place(NamedTuple):
    """Where refused requests came from, and why they were refused."""

    reason: str
    origin: str
    ip: str


class Tally:
    """How often one place was refused, how often it was served all the same, and when."""

    __slots__ = ("count", "first", "last", "reported")

    def __init__(self, count: int, reported: int, first: datetime, last: datetime) -> None:
        self.count = count
        self.reported = reported
        self.first = first
        self.last = last

    def plus(self, other: "Tally | None") -> "Tally":
        """Return this tally and another one of the same place together."""
        if other is None:
            return self
        first, last = min(self.first, other.first), max(self.last, other.last)
        return Tally(self.count + other.count, self.reported + other.reported, first, last)


Tallies = dict[Place, Tally]


_MOST_REFUSED: Callable[[tuple[int, datetime, object]], tuple[int, datetime]] = itemgetter(0, 1)


def kept(tallies: Mapping[PlaceT, Tally], room: int) -> set[PlaceT]:
    """Return which places stay when there is ``room``: half for the most refused, half for the latest.

    A flood of places that are seen once drops out; so does nothing that is new.
    """
    if len(tallies) <= room:
        return set(tallies)
    by_count = sorted(((each.count, each.last, place) for place, each in tallies.items()), key=_MOST_REFUSED)
    most_refused = by_count[len(by_count) - (room + 1) // 2 :]
    rest = sorted(by_count[: len(by_count) - len(most_refused)], key=itemgetter(1))
    latest = rest[len(rest) - (room - len(most_refused)) :]
    return {place for _count, _last, place in (*most_refused, *latest)}


class Sums:
    """Tallies by key and place, bounded. Thread-safe; a forked child starts with none."""

    def __init__(self, most_of_a_key: int = MOST_OF_A_KEY, most: int = MOST) -> None:
        self._most_of_a_key = most_of_a_key
        self._most = most
        self.clear()
        if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has no fork
            # The parent writes its own sums; another thread of it may hold the lock at the moment.
            os.register_at_fork(after_in_child=self.clear)

    def clear(self) -> None:
        """Forget everything."""
        self._lock = Lock()
        self._keys: dict[KeyName, Tallies] = {}
        self._size = 0
        self._room = self._most_of_a_key

    def __len__(self) -> int:
        """Return how many places are counted."""
        return self._size

    def count(self, name: KeyName, place: Place, is_reported: bool, now: datetime) -> None:
        """Count one refused request, unless even with less room for each key there is none left."""
        with self._lock:
            known = self._keys.get(name, {}).get(place)
            if known is None:
                self._add(name, place, Tally(1, int(is_reported), now, now))
            else:
                known.count += 1
                known.reported += is_reported
                known.last = max(known.last, now)

    def put_back(self, name: KeyName, tallies: Tallies) -> None:
        """Count what was taken and could not be written yet."""
        with self._lock:
            for place, tally in tallies.items():
                self._add(name, place, tally)

    def waiting(self) -> dict[KeyName, int]:
        """Return how many places each key has, first the key that has waited longest."""
        with self._lock:
            return {name: len(tallies) for name, tallies in self._keys.items()}

    def take(self, names: Iterable[KeyName]) -> dict[KeyName, Tallies]:
        """Return the tallies of these keys, and forget them."""
        with self._lock:
            taken = {name: self._keys.pop(name) for name in names if name in self._keys}
            self._size -= sum(len(tallies) for tallies in taken.values())
            if not self._keys:
                self._room = self._most_of_a_key
        return taken

    def _add(self, name: KeyName, place: Place, tally: Tally) -> None:
        tallies = self._keys.get(name, {})
        known = tallies.get(place)
        if known is not None:
            tallies[place] = tally.plus(known)
            return
        if len(tallies) >= self._room:
            self._drop_from(tallies)
        if self._size >= self._most and not self._make_room():
            return
        tallies[place] = tally
        self._keys[name] = tallies
        self._size += 1

    def _make_room(self) -> bool:
        """Give each key less room, until there is some. Keys that were flooded lose it to the others."""
        while self._size >= self._most and self._room > _FEWEST_OF_A_KEY:
            self._room //= 2
            for tallies in self._keys.values():
                if len(tallies) > self._room:
                    self._drop_from(tallies)
        return self._size < self._most

    def _drop_from(self, tallies: Tallies) -> None:
        keep = kept(tallies, max(self._room // 2, 1))
        for place in [place for place in tallies if place not in keep]:
            del tallies[place]
            self._size -= 1
