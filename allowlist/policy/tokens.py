"""Tokens: their shape, how they are made, and the digest that is stored.

    pk_live_ 3f7c0k2m9q4x HdZ0…32 letters and digits
    kind and environment, locator (finds the row, not secret), secret (190 random bits)

The locator lets one indexed look-up find the key while it rotates; the secret is compared by digest.
"""

import hashlib
import re
import secrets
import string
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

LOCATOR_LENGTH = 12
SECRET_LENGTH = 32
_LOCATOR_ALPHABET = string.ascii_lowercase + string.digits
_SECRET_ALPHABET = string.ascii_letters + string.digits
_SHAPE = re.compile(
    rf"(pk|sk)_(live|test)_([a-z0-9]{{{LOCATOR_LENGTH}}})[A-Za-z0-9]{{{SECRET_LENGTH}}}", re.ASCII
)
_SECRET_PREFIXES = ("sk_live_", "sk_test_")


class Kind(StrEnum):
    """Who may hold a key: a page's source (publishable) or a server alone (secret)."""

    PUBLISHABLE = "publishable"
    SECRET = "secret"


class Environment(StrEnum):
    """What a key is for; it is part of the token so that people can tell keys apart."""

    LIVE = "live"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Token:
    """A token of the right shape. ``text`` is the secret: it stays out of ``repr`` and of logs."""

    locator: str
    text: str

    def __repr__(self) -> str:
        """Return the locator alone."""
        return f"<Token {self.locator}>"

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the text in hexadecimal: the secret has 190 random bits, no salt."""
        return hashlib.sha256(self.text.encode("ascii")).hexdigest()

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return the token that ``text`` spells, or None; any str will do, of any length."""
        match = _SHAPE.fullmatch(text)
        return None if match is None else cls(match[3], text)

    @classmethod
    def make(cls, kind: Kind, environment: Environment, locator: str | None = None) -> Self:
        """Return a new random token, of the key that ``locator`` finds or of a new one."""
        locator = locator or _random(_LOCATOR_ALPHABET, LOCATOR_LENGTH)
        prefix = f"{'sk' if kind == Kind.SECRET else 'pk'}_{environment}_"
        return cls(locator, prefix + locator + _random(_SECRET_ALPHABET, SECRET_LENGTH))


def looks_secret(text: str) -> bool:
    """Return whether ``text`` starts as secret tokens do, whatever follows."""
    return text.startswith(_SECRET_PREFIXES)


def _random(alphabet: str, length: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))
