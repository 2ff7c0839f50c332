"""Tokens: which texts have the shape of one, how one is created, and what is stored."""

import dataclasses
import hashlib
import re

import pytest

from allowlist.policy.tokens import Environment, Kind, Token, looks_secret
from tests.hostile.keys import KEYS

LOCATOR = "3f7c0k2m9q4x"
SECRET = "HdZ0aB1cD2eF3gH4iJ5kL6mN7oP8qR9s"
TEXT = f"pk_live_{LOCATOR}{SECRET}"


@pytest.mark.parametrize("prefix", ["pk_live_", "pk_test_", "sk_live_", "sk_test_"])
def test_a_token_is_a_prefix_a_locator_and_a_secret(prefix: str) -> None:
    text = prefix + LOCATOR + SECRET
    assert Token.parse(text) == Token(LOCATOR, text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "pk_live_", LOCATOR + SECRET, TEXT[:-1], TEXT + "a", TEXT + "\n", " " + TEXT),
        *(prefix + LOCATOR + SECRET for prefix in ("xk_live_", "pk_prod_", "PK_LIVE_")),
        "pk_live_" + LOCATOR.upper() + SECRET,
        *(TEXT[:-1] + char for char in "-\x00\ud800\u0661\u212a\xe9"),
        *("pk_live_" + "a" * 100_000, "\x00" * 100_000),
        "eyJhbGciOiJIUzI1NiJ9.e30.ZRrHA1JJJW8opsbCGfG_HACGpVUMN_a9IV7pAx_Zmeo",
    ],
    ids=lambda text: ascii(text)[:60],
)
def test_other_texts_are_no_token(text: str) -> None:
    assert Token.parse(text) is None


def test_of_the_hostile_keys_only_unknown_tokens_are_looked_up() -> None:
    (in_header, *_) = KEYS
    looked_up = [row.id for row in in_header.rows if Token.parse(row.headers["X-API-Key"].strip(" \t"))]
    assert looked_up == ["unknown", "unknown-of-zeros", "secret-prefix-unknown"]


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("environment", Environment)
def test_a_new_token_starts_with_its_kind_and_environment(kind: Kind, environment: Environment) -> None:
    token = Token.make(kind, environment)
    assert token.text.startswith(f"{kind[0]}k_{environment}_{token.locator}")
    assert Token.parse(token.text) == token


def test_a_rotated_token_keeps_its_locator_and_changes_its_secret() -> None:
    first = Token.make(Kind.PUBLISHABLE, Environment.LIVE)
    second = Token.make(Kind.PUBLISHABLE, Environment.LIVE, first.locator)
    assert second.locator == first.locator
    assert second.text != first.text
    assert second.digest != first.digest


def test_tokens_are_never_made_twice() -> None:
    made = [Token.make(Kind.SECRET, Environment.LIVE) for _ in range(200)]
    assert len({token.locator for token in made}) == 200
    assert len({token.text[-32:] for token in made}) == 200


def test_the_digest_is_of_the_whole_text() -> None:
    assert Token(LOCATOR, TEXT).digest == hashlib.sha256(TEXT.encode()).hexdigest()
    assert re.fullmatch("[0-9a-f]{64}", Token(LOCATOR, TEXT).digest)


@pytest.mark.parametrize("show", [repr, str, "{}".format, "{0!r}".format, lambda token: f"{[token]}"])
def test_a_token_never_shows_its_secret(show: object) -> None:
    assert callable(show)
    shown = show(Token(LOCATOR, TEXT))
    assert LOCATOR in shown
    assert SECRET not in shown


def test_a_token_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Token(LOCATOR, TEXT).text = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        *(("sk_live_" + LOCATOR + SECRET, True), ("sk_test_" + LOCATOR + SECRET, True), ("sk_live_", True)),
        ("sk_test_\x00" + "a" * 100_000, True),
        *((TEXT, False), ("pk_test_sk_live_", False), ("sk_", False), ("", False)),
    ],
    ids=lambda value: ascii(value)[:60],
)
def test_a_secret_token_is_known_by_its_prefix(text: str, secret: bool) -> None:
    assert looks_secret(text) is secret
