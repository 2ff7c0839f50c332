"""Tokens: which texts have a token's shape, how they are made, and what is kept of them."""

import dataclasses
import hashlib
import re

import pytest

from allowlist.policy.tokens import Environment, Kind, Token, looks_secret

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
        pytest.param("", id="empty"),
        pytest.param("pk_live_", id="prefix-alone"),
        pytest.param(LOCATOR + SECRET, id="no-prefix"),
        pytest.param(TEXT[:-1], id="one-short"),
        pytest.param(TEXT + "a", id="one-long"),
        pytest.param(TEXT + "\n", id="newline-after"),
        pytest.param(" " + TEXT, id="space-before"),
        pytest.param("xk_live_" + LOCATOR + SECRET, id="other-kind"),
        pytest.param("pk_prod_" + LOCATOR + SECRET, id="other-environment"),
        pytest.param("PK_LIVE_" + LOCATOR + SECRET, id="prefix-in-capitals"),
        pytest.param("pk_live_" + LOCATOR.upper() + SECRET, id="locator-in-capitals"),
        pytest.param(TEXT[:-1] + "-", id="sign-in-the-secret"),
        pytest.param(TEXT[:-1] + "\x00", id="nul"),
        pytest.param(TEXT[:-1] + "\ud800", id="surrogate"),
        pytest.param(TEXT[:-1] + "\u0661", id="arabic-digit"),
        pytest.param(TEXT[:-1] + "\u212a", id="kelvin-sign"),
        pytest.param(TEXT[:-1] + "\xe9", id="latin-1"),
        pytest.param("pk_live_" + "a" * 100_000, id="100-kB"),
        pytest.param("\x00" * 100_000, id="100-kB-of-nul"),
        pytest.param(
            "eyJhbGciOiJIUzI1NiJ9.e30.ZRrHA1JJJW8opsbCGfG_HACGpVUMN_a9IV7pAx_Zmeo", id="somebody-else's-jwt"
        ),
    ],
)
def test_other_texts_are_no_token(text: str) -> None:
    assert Token.parse(text) is None


@pytest.mark.parametrize(
    ("kind", "environment", "prefix"),
    [
        (Kind.PUBLISHABLE, Environment.LIVE, "pk_live_"),
        (Kind.PUBLISHABLE, Environment.TEST, "pk_test_"),
        (Kind.SECRET, Environment.LIVE, "sk_live_"),
        (Kind.SECRET, Environment.TEST, "sk_test_"),
    ],
)
def test_a_made_token_tells_its_kind_and_environment(
    kind: Kind, environment: Environment, prefix: str
) -> None:
    token = Token.make(kind, environment)
    assert token.text.startswith(prefix + token.locator)
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
        pytest.param("sk_live_" + LOCATOR + SECRET, True, id="secret-live"),
        pytest.param("sk_test_" + LOCATOR + SECRET, True, id="secret-test"),
        pytest.param("sk_live_", True, id="whatever-follows"),
        pytest.param("sk_test_\x00" + "a" * 100_000, True, id="malformed"),
        pytest.param(TEXT, False, id="publishable"),
        pytest.param("pk_test_sk_live_", False, id="prefix-inside"),
        pytest.param("sk_", False, id="somebody-else's"),
        pytest.param("", False, id="empty"),
    ],
)
def test_secret_tokens_are_told_by_their_prefix(text: str, secret: bool) -> None:
    assert looks_secret(text) is secret
