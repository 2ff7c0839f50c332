"""Every text can be translated, and the German catalog is complete and true to it."""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from babel.messages import Message
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po
from django.core.management import CommandError, call_command

from allowlist.models import APIKey
from tests.conftest import User
from tests.pages import Admin, Pages, Security
from tests.testing import EVIL, UNKNOWN, body, call

PACKAGE = Path(__file__).parent.parent / "allowlist"
GERMAN = Path("locale/de/LC_MESSAGES/django.po")
PLACEHOLDER = re.compile(r"%\(\w+\)s|%%|\{\w+\}")
QUOTED = re.compile("“([^”]*)”")
QUOTED_IN_GERMAN = re.compile("„([^“]*)“")
NOT_TEXT = re.compile(
    r"\{#.*?#\}|\{% comment.*?endcomment %\}|\{% blocktranslate.*?endblocktranslate %\}"
    r"|\{%.*?%\}|\{\{.*?\}\}|<pre.*?</pre>|<[^>]*>",
    re.DOTALL,
)
SAYS_ITS_FIRST = {"CommandError", "NotFound", "ParseError", "PermissionDenied", "ValidationError"}
SAYS_BY_NAME = {"description", "help", "help_text", "label", "verbose_name", "verbose_name_plural"}
SAME_IN_EVERY_LANGUAGE = {"Sec-Fetch-Site", "%(sentence)s"}


@cache
def catalog(folder: Path = PACKAGE) -> Any:
    """Return the German catalog below ``folder``."""
    with (folder / GERMAN).open("rb") as file:
        return read_po(file)


def messages() -> list[Message]:
    """Return the catalog's messages, without its header."""
    return [each for each in catalog() if each.id]


def forms(message: Message) -> list[tuple[str, str]]:
    """Return each English form of a message with its German form."""
    ids: Any = message.id if isinstance(message.id, tuple | list) else [message.id]
    strings: Any = message.string if isinstance(message.string, tuple | list) else [message.string]
    return list(zip(ids, strings, strict=True))


# The catalog


@pytest.mark.needs("xgettext")
def test_makemessages_changes_no_message_of_the_catalog(tmp_path: Path) -> None:
    found = tmp_path / "allowlist"
    shutil.copytree(PACKAGE, found, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "django", "makemessages", "-l", "de", "--no-location", "--no-wrap"]
    environ = {**os.environ, "DJANGO_SETTINGS_MODULE": ""}  # A project's settings don't count here.
    subprocess.run(command, cwd=found, env=environ, check=True, capture_output=True)
    told = (found / GERMAN).read_text()
    assert [each.id for each in catalog(found)] == [each.id for each in catalog()], "Run makemessages."
    assert "#~" not in told
    assert "fuzzy" not in told


def test_every_message_has_a_german_sentence() -> None:
    assert len(messages()) > 500
    assert not catalog().obsolete
    assert [each.id for each in messages() if each.fuzzy or not all(dict(forms(each)).values())] == []


def test_each_german_sentence_has_the_placeholders_of_the_english_one() -> None:
    pairs = [pair for message in messages() for pair in forms(message)]
    assert [one for one in pairs if len({*map(placeholders, one)}) > 1] == []


def placeholders(text: str) -> tuple[str, ...]:
    """Return what is filled in, in alphabetical order."""
    return tuple(sorted(PLACEHOLDER.findall(text)))


def test_a_quoted_label_stands_as_it_does_on_the_screen() -> None:
    labels = {english: german for message in messages() for english, german in forms(message)}
    for english, german in labels.items():
        quoted = QUOTED.findall(english)
        expected = [labels.get(each, each) if each[:1].isupper() else each for each in quoted]
        assert sorted(QUOTED_IN_GERMAN.findall(german)) == sorted(expected), german


def test_the_compiled_catalog_is_up_to_date() -> None:
    with (PACKAGE / GERMAN.with_suffix(".mo")).open("rb") as file:
        compiled = {pair for each in read_mo(file) if each.id for pair in forms(each)}
    assert compiled == {pair for each in messages() for pair in forms(each)}


# What can be translated


def test_templates_have_no_text_that_is_not_translated() -> None:
    left = {path: NOT_TEXT.sub("", path.read_text()) for path in (PACKAGE / "templates").rglob("*.*")}
    assert len(left) > 30
    assert {path: text.split() for path, text in left.items() if re.search("[A-Za-z]{2}", text)} == {}


def test_code_says_nothing_to_users_that_is_not_translated() -> None:
    paths = [path for path in PACKAGE.rglob("*.py") if "migrations" not in path.parts]
    assert {path: said for path in paths if (said := list(untranslated(path)))} == {}


def test_what_is_not_translated_is_found(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(
        'raise ValidationError(f"{name} is wrong.")\nfield(label="Name", help_text=_("Yours."))\n'
    )
    assert sorted(untranslated(module)) == ["Name", "f'{name} is wrong.'"]


def untranslated(path: Path) -> Iterator[str]:
    """Yield the literals in a module that users would read in English."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        said = node.args[:1] if name in SAYS_ITS_FIRST else []
        said += [each.value for each in node.keywords if each.arg in SAYS_BY_NAME]
        for each in said:
            if isinstance(each, ast.JoinedStr):
                yield ast.unparse(each)
            elif isinstance(each, ast.Constant) and isinstance(each.value, str) and each.value.strip():
                yield from {each.value} - SAME_IN_EVERY_LANGUAGE


# German


@pytest.fixture
def _each_request_in_its_language(settings: Any) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.middleware.locale.LocaleMiddleware"]


@pytest.fixture
def key(creator: User) -> APIKey:
    """Return a key that lists one site."""
    return APIKey.objects.create_key(name="Shop", creator=creator, allowed_domains=["example.com"])[0]


@pytest.mark.usefixtures("_each_request_in_its_language")
def test_a_refusal_is_in_the_language_of_each_request(key: APIKey) -> None:
    said = {}
    for language in ("de", "en", "de", "fr"):
        reply = call("/widget/alone/", key.token, {"Accept-Language": language}, origin=EVIL)
        said[language] = body(reply)
        assert (said[language]["reason"], said[language]["code"]) == (
            "origin_not_listed",
            "PERMISSION_DENIED",
        )
    assert said["de"]["message"].startswith("Zugriff verweigert. Prüfen Sie Ihre Sicherheitseinstellungen")
    assert said["de"]["hint"].startswith("Fügen Sie diesen Origin zu den zugelassenen Domains")
    assert said["en"] == said["fr"]
    assert said["en"]["message"].startswith("Permission denied. Check your security settings")
    unknown = body(call("/widget/alone/", UNKNOWN, {"Accept-Language": "de"}, origin=EVIL))
    assert unknown["message"].startswith("Dieser API-Schlüssel funktioniert nicht")


def test_pages_are_in_german(settings: Any, key: APIKey, creator: User, superuser: User) -> None:
    settings.LANGUAGE_CODE = "de"
    for site, path, expected in expected_pages(Security(creator), Admin(superuser), key):
        text = " ".join(site.get(path).text.split())
        assert [each for each in expected if each not in text] == [], text


def expected_pages(security: Pages, admin: Pages, key: APIKey) -> list[tuple[Pages, str, list[str]]]:
    """Return pages, each with what it says in German."""
    works = "Funktioniert auf 1 Website; blockiert alles andere."
    return [
        (security, "", ["API-Schlüssel erstellen", "Nie verwendet"]),
        (security, f"{key.pk}/", [works, "Zugelassene Domains", "Alle IPs zulassen", "1 von 25 Domains"]),
        (admin, "", ["Nur eingetragene: 1 von 25"]),
        (admin, f"{key.pk}/change/", [works, "Passt auf https://example.com, nicht auf"]),
    ]


@pytest.mark.django_db
def test_the_command_is_in_german(settings: Any, capsys: pytest.CaptureFixture[str]) -> None:
    settings.LANGUAGE_CODE = "de"
    for arguments in ([], ["create"]):
        with pytest.raises(SystemExit):
            call_command("allowlist", *arguments, "--help")
    told = " ".join(capsys.readouterr().out.split())
    assert "Liest und ändert die Schlüssel" in told
    assert "Erstellt einen Schlüssel und gibt sein Token aus." in told
    assert "eine Domain; für mehrere wiederholen" in told
    with pytest.raises(CommandError, match=r"Es gibt keinen Schlüssel „xyz“\."):
        call_command("allowlist", "show", "xyz")
