"""Reads what is typed: durations, dates, files of entries, and a token from standard input."""

import re
import sys
from argparse import ArgumentTypeError
from collections.abc import Callable
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings as django_settings
from django.core.management import CommandError
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.translation import gettext as _

from ..models.lists import DOMAINS, EntryInput, ListKind
from ..policy.problems import split_pasted
from .tables import safe

STDIN = "-"
MOST_BYTES = 50_000_000
"""How much one file holds at most."""
MOST_OF_A_LINE = 1000

_DURATION = re.compile(r"([0-9]{1,6})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
NEVER = "never"


def duration(text: str) -> timedelta:
    """Return how long ``text`` is, such as 90m, 24h or 7d; raise ArgumentTypeError if it isn't a duration."""
    match = _DURATION.fullmatch(text)
    if match is None:
        sentence = _("“%(text)s” isn't a duration. Write one such as 90m, 24h or 7d.")
        raise ArgumentTypeError(sentence % {"text": safe(text)})
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def date(text: str) -> datetime:
    """Return when ``text`` is, an ISO date or time; a date is its first instant in the project's time zone.

    Raises ArgumentTypeError for anything else.
    """
    if (found := _read_date(text)) is None:
        sentence = _("“%(text)s” isn't a date. Write one such as 2027-01-31 or 2027-01-31T18:00.")
        raise ArgumentTypeError(sentence % {"text": safe(text)})
    return found


def end(text: str) -> datetime | None:
    """Return when something ends: a date, a duration from now, or None for ``never``."""
    if text == NEVER:
        return None
    if _DURATION.fullmatch(text):
        return from_now(text)
    if (found := _read_date(text)) is None:
        sentence = _("“%(text)s” isn't a time. Write one such as 2027-01-31 or 7d, or never.")
        raise ArgumentTypeError(sentence % {"text": safe(text)})
    return found


def from_now(text: str) -> datetime:
    """Return the time that is so long after now."""
    try:
        return timezone.now() + duration(text)
    except OverflowError:
        raise ArgumentTypeError(_("“%(text)s” is too long.") % {"text": safe(text)}) from None


def _read_date(text: str) -> datetime | None:
    try:
        day = parse_date(text)
        found = parse_datetime(text) if day is None else datetime.combine(day, time())
        return None if found is None else _as_stored(found)
    except (ValueError, OverflowError):
        return None


def _as_stored(value: datetime) -> datetime:
    """Return the time as the project's settings have it, aware or naive."""
    if timezone.is_aware(value) == django_settings.USE_TZ:
        return value
    if django_settings.USE_TZ:
        return timezone.make_aware(value)
    return timezone.make_naive(value, timezone.get_default_timezone())


def read_file(name: str) -> str:
    """Return what is in the file ``name``, or in standard input for ``-``.

    Raises CommandError for a file that can't be read, or is too large.
    """
    data = _bytes(name, lambda file: file.read(MOST_BYTES + 1))
    if len(data) > MOST_BYTES:
        raise CommandError(_("“%(file)s” is larger than 50 MB.") % {"file": safe(name)})
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        sentence = _("“%(file)s” isn't UTF-8 text: see byte %(byte)s. Save it as UTF-8.")
        raise CommandError(sentence % {"file": safe(name), "byte": error.start + 1}) from None


def first_line() -> str:
    """Return the first line of standard input: a token that must not be in the shell's history."""
    return _bytes(STDIN, lambda file: file.readline(MOST_OF_A_LINE)).decode("utf-8", "replace").strip()


def _bytes(name: str, read: Callable[[Any], str | bytes]) -> bytes:
    """Return what ``read`` reads of the file; raise CommandError if it can't be read."""
    try:
        if name == STDIN:
            # A program may have put a text stream in its place.
            data = read(getattr(sys.stdin, "buffer", sys.stdin))
        else:
            with Path(name).open("rb") as file:
                data = read(file)
    except (OSError, ValueError, AttributeError) as error:  # A closed standard input is None.
        reason = getattr(error, "strerror", None) or error
        sentence = _("“%(file)s” can't be read: %(reason)s.") % {"file": safe(name), "reason": safe(reason)}
        raise CommandError(sentence) from None
    return data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data


def given_entries(kind: ListKind, options: dict[str, Any]) -> list[EntryInput] | None:
    """Return the entries of one list that were typed, or are in files; None if none were given."""
    name = "domain" if kind is DOMAINS else "ip"
    typed, files = options[name], options[f"{name}_file"]
    if typed is None and files is None:
        return None
    texts = [*(typed or ()), *(text for file in files or () for text in split_pasted(read_file(file)))]
    ends = options.get("lasts")
    return [text if ends is None else {kind.column: text, "expires_at": ends} for text in texts]
