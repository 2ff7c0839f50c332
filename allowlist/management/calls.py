"""One call of the command: what was typed, where it writes, and what it prints."""

from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.management import CommandError
from django.core.management.base import OutputWrapper
from django.db import Error as DatabaseError
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from rest_framework.settings import api_settings

from ..api.errors import errors_of
from ..api.serializers import APIKeySerializer
from ..models import APIKey
from .finding import database, find_key, find_user
from .tables import as_json, safe

REFUSED, WRONG_USAGE = 1, 2
"""Exit statuses."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the command."""

    options: dict[str, Any]
    stdout: OutputWrapper
    alias: str

    @classmethod
    def of(cls, options: dict[str, Any], stdout: OutputWrapper) -> "Call":
        """Return the call with these options; raise CommandError if its database can't be used."""
        return cls(options, stdout, database(options["database"]))

    def key(self) -> APIKey:
        """Return the key that was named; raise CommandError if there isn't one."""
        return find_key(self.alias, self.options["key"])

    def user(self) -> Any:
        """Return the user that was named; raise CommandError if there isn't one."""
        return find_user(self.options["database"], self.options["creator"])

    def say(self, text: str, data: Any) -> None:
        """Print ``data`` as JSON for programs, ``text`` for people."""
        shown = as_json(data) if self.options["json"] else text
        encoding = getattr(self.stdout, "encoding", None) or "utf-8"
        self.stdout.write(shown.encode(encoding, "backslashreplace").decode(encoding))


@dataclass(frozen=True, slots=True)
class Subcommand:
    """One of the command's subcommands."""

    name: str
    help: Promise
    run: Callable[[Call], None]
    arguments: Callable[[ArgumentParser], None]


def key_data(key: APIKey, token: str | None = None) -> dict[str, Any]:
    """Return the key as the API reads it, with the token that was issued just now."""
    serializer = APIKeySerializer(key)
    serializer.issued_token = token
    return dict(serializer.data)


@contextmanager
def refusals() -> Iterator[None]:
    """End the command with a sentence and status 1 if the block is refused or fails."""
    try:
        yield
    except ValidationError as error:
        raise CommandError("\n".join(map(safe, sentences(errors_of(error))))) from None
    except ImproperlyConfigured as error:
        raise CommandError(safe(error)) from None
    except DatabaseError as error:
        sentence = _("The database reports: %(error)s. Nothing was changed.")
        raise CommandError(sentence % {"error": safe(str(error).strip().rstrip("."))}) from error
    except UnicodeEncodeError:
        raise CommandError(_("The text isn't valid UTF-8. Type it again.")) from None


def sentences(errors: Any, *path: str) -> Iterator[str]:
    """Yield one sentence for each of the API's errors, after the names that lead to it."""
    if isinstance(errors, dict):
        for name, inner in errors.items():
            named = [] if name == api_settings.NON_FIELD_ERRORS_KEY else [_place(name)]
            yield from sentences(inner, *path, *named)
    elif isinstance(errors, list):
        for each in errors:
            yield from sentences(each, *path)
    else:
        yield ": ".join([", ".join(path), str(errors)] if path else [str(errors)])


def _place(name: Any) -> str:
    """Return the name of a field, or which entry of a list a number means."""
    text = str(name)
    return _("entry %(number)s") % {"number": int(text) + 1} if text.isdecimal() else text
