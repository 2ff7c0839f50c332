"""What the command line prints: tables for people, at most 80 columns wide, and JSON for programs."""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any
from unicodedata import combining, east_asian_width

from django.core.serializers.json import DjangoJSONEncoder
from django.utils import timezone

WIDTH = 80
GAP = "  "


def safe(text: object) -> str:
    """Return ``text`` with escapes for what a terminal would obey instead of printing."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in str(text)
    )


def as_json(value: Any) -> str:
    """Return ``value`` as JSON in ASCII, without any character that a terminal obeys."""
    return json.dumps(value, indent=2, cls=DjangoJSONEncoder).replace("\x7f", "\\u007f")


def moment(value: datetime | None, never: str = "-") -> str:
    """Return a time to the minute, in the project's time zone."""
    if value is None:
        return never
    return f"{timezone.localtime(value) if timezone.is_aware(value) else value:%Y-%m-%d %H:%M}"


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table. Its last column is folded where the line would be too long."""
    cells = [[safe(cell) for cell in row] for row in (headings, *rows)]
    widths = [max(map(columns, column)) for column in zip(*cells, strict=True)][:-1]
    return "\n".join(line for row in cells for line in _lines(row, widths))


def pairs(rows: Iterable[tuple[str, object]]) -> str:
    """Return one line for each label and its value."""
    labeled = [(safe(label), safe(value)) for label, value in rows]
    widths = [max(columns(label) for label, _value in labeled)]
    return "\n".join(line for row in labeled for line in _lines(row, widths))


def columns(text: str) -> int:
    """Return how many columns of a terminal ``text`` takes."""
    return sum(0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text)


def _lines(row: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    *first, last = row
    start = "".join(
        cell + " " * (width - columns(cell)) + GAP for cell, width in zip(first, widths, strict=True)
    )
    for part in _folded(last, max(WIDTH - columns(start), 1)):
        yield (start + part).rstrip()
        start = " " * columns(start)


def _folded(text: str, width: int) -> list[str]:
    """Return ``text`` in parts of at most ``width`` columns, between words if it has any."""
    parts = [""]
    for word in text.split(" "):
        joined = f"{parts[-1]} {word}" if parts[-1] else word
        if columns(joined) <= width:
            parts[-1] = joined
            continue
        parts += [""] if parts[-1] else []
        for char in word:
            if columns(parts[-1] + char) > width:
                parts.append("")
            parts[-1] += char
    return parts
