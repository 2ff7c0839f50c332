"""The reference is complete, and the README's commands are the tested ones."""

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import pytest
from django.core.checks.registry import registry
from django.core.management import load_command_class
from django.dispatch import Signal

from allowlist import authentication, checks, decorators, signals, testing, throttling, urls, validators
from allowlist.conf import Settings
from allowlist.enforcement.credentials import KeySource
from allowlist.enforcement.responses import RefusalResponses
from allowlist.models import AllowedDomain, AllowedIP, APIKey, BlockedSource
from allowlist.models.key_life import KeyLife
from allowlist.models.key_lists import KeyLists
from allowlist.pages import urls as page_urls
from allowlist.permissions import IsAllowlisted
from allowlist.policy.decision import Reason

ROOT = Path(__file__).parent.parent
INSTALL = "python3 -m venv .venv && .venv/bin/pip install -e '.[{}]' && .venv/bin/python {}"


def rows(page: str) -> dict[str, list[str]]:
    """Return the rows of a page's tables by their first cell."""
    text = (ROOT / "docs" / page).read_text()
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if "|" in line
    ]
    return {first.strip("`"): rest for first, *rest in cells if first.startswith("`")}


def test_every_setting_is_documented_with_its_default() -> None:
    defaults = {each.name: repr(each.default).replace("'", '"') for each in fields(Settings) if each.init}
    assert {name: cells[0].strip("`") for name, cells in rows("reference/settings.md").items()} == defaults


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_documented_with_its_status_and_code(reason: Reason) -> None:
    permission = IsAllowlisted()
    status, code, sentence = rows("reference/reasons.md")[reason]
    assert (status, code) == (str(permission.get_status(reason)), f"`{permission.get_code(reason)}`")
    assert sentence


@pytest.mark.parametrize("name", [each.name for each in fields(Settings) if each.init])
def test_every_setting_has_a_section(name: str) -> None:
    assert f"\n### `{name}`\n\n" in (ROOT / "docs/reference/settings.md").read_text()


def test_responses_are_shown_with_the_sentences_of_today() -> None:
    permission = IsAllowlisted()
    pages = "".join(page.read_text() for page in (ROOT / "docs").rglob("*.md"))
    shown = re.findall(r'"reason": "(\w+)",\s*"hint": "([^"]*)"', pages)
    assert shown
    assert [pair for pair in shown if permission.get_hint(Reason(pair[0])) != pair[1]] == []


INTERNAL_FIELDS = {"id", "locator", "digest", "previous_digest", "previous_until", "revision"}
"""Fields of a key that its methods alone use."""
PUBLIC_MODELS = (APIKey, AllowedDomain, AllowedIP, BlockedSource)


def words_of_code(folder: str) -> set[str]:
    """Return every name that a folder's pages show as code."""
    text = "".join(page.read_text() for page in (ROOT / "docs" / folder).rglob("*.md"))
    code = [*re.findall(r"```.*?```", text, re.DOTALL), *re.findall(r"`[^`\n]+`", text)]
    return set(re.findall(r"[\w-]+", " ".join(code)))


def public(*classes: type) -> set[str]:
    """Return the public names that classes of ours define."""
    return {name for each in classes for name in vars(each) if not name.startswith("_")}


def defined_in(module: Any) -> set[str]:
    """Return the public functions and classes that a module defines itself."""
    return {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", "") == module.__name__
    } - {name for name in vars(module) if isinstance(vars(module)[name], TypeVar)}


def subcommands() -> set[str]:
    """Return the names of what ``manage.py allowlist`` does."""
    parser = load_command_class("allowlist", "allowlist").create_parser("manage.py", "allowlist")
    (choices,) = [each.choices for each in parser._actions if each.dest == "subcommand"]
    return {str(name) for name in choices or ()}


NAMES = {
    "subcommands": subcommands(),
    "signals": {name for name, value in vars(signals).items() if isinstance(value, Signal)},
    "fields": {field.name for model in PUBLIC_MODELS for field in model._meta.fields} - INTERNAL_FIELDS,
    "methods of a key": public(KeyLists, KeyLife) - {"Meta", "insert", "restorable"},
    "attributes of a permission": public(RefusalResponses, KeySource)
    - {"access", "refusal", "in_path", "opens_frame"},
    "attributes of a view": {"allowlist_key_kwarg", "allowlist_cors"},
    "decorators": {name for name in defined_in(decorators) if not name.startswith("expect_")},
    "validators": {name for name in defined_in(validators) if name.startswith(("clean_", "validate_"))},
    "authentication": defined_in(authentication),
    "testing": defined_in(testing),
    "throttles": defined_in(throttling) | {"rate", "scope"},
}
"""What people type, by kind."""


@pytest.mark.parametrize("kind", NAMES)
def test_every_name_that_people_type_is_in_the_reference(kind: str) -> None:
    assert sorted(NAMES[kind] - words_of_code("reference")) == []


def test_every_route_of_the_api_is_in_the_reference() -> None:
    shown = rows("reference/api.md")
    paths = {path for cell in shown for path in re.split(r"`?, `", cell)}
    routes = {re.sub(r"<int:\w+>", "{id}", str(each.pattern)) for each in urls.urlpatterns}
    assert routes == {path for path in paths if path.startswith("keys/")}


def test_every_page_of_a_creator_is_in_the_reference() -> None:
    text = (ROOT / "docs/reference/pages.md").read_text()
    shown = [part for each in page_urls.urlpatterns for part in (each.name, str(each.pattern))]
    assert [part for part in shown if part and f"`{part}`" not in text] == []


def test_every_system_check_is_documented() -> None:
    modules = Path(checks.__file__).parent.rglob("*.py")
    source = "".join(module.read_text() for module in modules)
    assert set(re.findall(r'id="(allowlist\.[EW]\d+)"', source)) == set(rows("reference/checks.md"))
    assert any(check.__module__ == checks.__name__ for check in registry.get_checks())


def test_every_module_has_a_sentence_on_the_page_about_the_code() -> None:
    package = Path(checks.__file__).parent
    modules = {
        str(path.relative_to(package).with_suffix(""))
        for path in package.rglob("*.py")
        if path.name != "__init__.py" and "migrations" not in path.parts
    }
    sentences = rows("explanation/architecture.md")
    assert set(sentences) == modules
    assert all(sentence.endswith(".") for (sentence,) in sentences.values())


def test_the_readme_has_its_two_commands() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    assert [line for line in lines if line.startswith("python3 ")] == [
        INSTALL.format("demo", "manage.py demo"),
        INSTALL.format("dev", "-m pytest"),
    ]


def threats() -> list[list[str]]:
    """Return the threat model's rows: threat, protection, tests."""
    text = (ROOT / "docs/explanation/security.md").read_text()
    table = text.partition("## Threats")[2].partition("\n## ")[0]
    rows = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("|")]
    return rows[2:]


@pytest.mark.parametrize("row", threats(), ids=lambda row: row[0].strip())
def test_every_threat_names_tests_that_exist(row: list[str]) -> None:
    _threat, _answer, cell = row
    named = re.findall(r"`([^`:]+)::([^`]+)`", cell)
    assert named
    for path, name in named:
        assert re.search(rf"^ *(async )?def {name}\(", (ROOT / path).read_text(), re.MULTILINE), (path, name)


def test_the_security_page_has_the_rule_and_its_limits() -> None:
    text = (ROOT / "docs/explanation/security.md").read_text()
    assert text.split("\n\n")[1].startswith("**Access is granted if and only if**")
    assert "## What it does not protect against" in text


@pytest.mark.parametrize("page", sorted(ROOT.glob("*.md")), ids=lambda page: page.name)
def test_links_of_the_pages_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\(((?!https?://)[^)#]+)", page.read_text())
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the documentation, with warnings as errors."""
    folder = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "-n",
        str(ROOT / "docs"),
        str(folder),
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return folder


LOADS = re.compile(
    r"""<(?:script|img|iframe|source|link|object|embed)\b[^>]*?\s(?:src|href|data)="((?:https?:)?//[^"]*)"
    |(?:url\(|@import\s)\s*["']?((?:https?:)?//[^"')]*)""",
    re.VERBOSE,
)


@pytest.mark.slow
def test_no_page_loads_anything_from_another_host(site: Path) -> None:
    files = [path for path in site.rglob("*") if path.suffix in {".html", ".css"}]
    assert {path.name for path in files} >= {"index.html", "furo.css"}
    assert {path.name: loaded for path in files if (loaded := LOADS.findall(path.read_text()))} == {}


@pytest.mark.slow
def test_every_inner_link_of_the_site_leads_somewhere(site: Path) -> None:
    pages = {page: page.read_text() for page in site.rglob("*.html")}
    ids = {page: set(re.findall(r'\bid="([^"]+)"', text)) for page, text in pages.items()}

    def is_broken(page: Path, link: str) -> bool:
        path, _hash, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        return not target.exists() or bool(anchor and anchor not in ids[target])

    inner = r'<a\b[^>]*?\shref="(?!https?:|mailto:)([^"]+)"'
    links = [(page, link) for page, text in pages.items() for link in re.findall(inner, text)]
    assert [f"{page.relative_to(site)}: {link}" for page, link in links if is_broken(page, link)] == []
