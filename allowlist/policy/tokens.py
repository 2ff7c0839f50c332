"""Tokens: their shape, how they are created, and the digest that is stored.

    pk_live_ 3f7c0k2m9q4x HdZ0…32 letters and digits
    kind and environment, locator (finds the row, not secret), secret (190 random bits)

One indexed look-up finds the key by the locator, which a rotation keeps. The secret is compared by its
digest.
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
    """Who may hold a key: publishable keys are in a page's source, secret keys only on a server."""

    PUBLISHABLE = "publishable"
    SECRET = "secret"


class Environment(StrEnum):
    """What a key is for. The token contains it, so that people can distinguish their keys."""

    LIVE = "live"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Token:
    """A token of the right shape. ``text`` contains the secret and must not get into a log."""

    locator: str
    text: str

    def __repr__(self) -> str:
        """Return a text without the secret."""
        return f"<Token {self.locator}>"

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the text in hexadecimal. With 190 random bits it needs no salt."""
        return hashlib.sha256(self.text.encode("ascii")).hexdigest()

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return the token that ``text`` spells, or None. The text may be of any length."""
        match = _SHAPE.fullmatch(text)
        return None if match is None else cls(match[3], text)

    @classmethod
    def make(cls, kind: Kind, environment: Environment, locator: str | None = None) -> Self:
        """Return a new random token: for the key with this locator, or for a new key."""
        locator = locator or _random(_LOCATOR_ALPHABET, LOCATOR_LENGTH)
        prefix = f"{'sk' if kind == Kind.SECRET else 'pk'}_{environment}_"
        return cls(locator, prefix + locator + _random(_SECRET_ALPHABET, SECRET_LENGTH))


def looks_secret(text: str) -> bool:
    """Return whether ``text`` starts like a secret token, whatever follows."""
    return text.startswith(_SECRET_PREFIXES)


def locator_from(digest: bytes) -> str:
    """Return the locator that a digest of at least 12 bytes spells."""
    return "".join(_LOCATOR_ALPHABET[byte % len(_LOCATOR_ALPHABET)] for byte in digest[:LOCATOR_LENGTH])


def _random(alphabet: str, length: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))
