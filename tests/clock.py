"""A clock that stands still until a test moves it."""

from dataclasses import dataclass

MINUTE = 60.0


@dataclass
class Clock:
    """What ``time.time`` is for the length of a test. It starts at the beginning of a day, in UTC."""

    now: float = 20_000 * 86_400.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
