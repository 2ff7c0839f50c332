"""The recipes' pages show the code that runs, and each promise of a product names a test that exists.

A page's Python blocks start with the name of the recipe's file they are from, ``# settings.py``, and
go on with a part of that file, word for word. ``sentences/`` has a table for each product: a quote of its
page, and the test that holds it, such as `test_impler.py::test_an_unlisted_page_is_refused`, or why it
isn't for us to keep.
"""

import ast
import re
from pathlib import Path

import pytest

from example_project import recipes
from tests.recipes import load

TESTS = Path(__file__).parent
ROOT = TESTS.parent.parent
SHOWN = ("settings.py", "views.py", "urls.py")
"""Files of which each page shows something; what is in ``permissions.py`` it shows as a whole."""
PAGES = pytest.mark.parametrize("name", recipes.NAMES)


def page(name: str) -> str:
    """Return the text of the recipe's page."""
    return (ROOT / "docs/how-to/recipes" / f"{name}.md").read_text()


def folder(name: str) -> Path:
    """Return the folder of the recipe's code."""
    return ROOT.joinpath(*recipes.package(name).split("."))


def blocks(name: str) -> list[tuple[str, str]]:
    """Return the file and text of each Python block of the page."""
    fenced: list[str] = re.findall(r"^```python\n(.*?)^```$", page(name), re.DOTALL | re.MULTILINE)
    heads = [block.partition("\n") for block in fenced]
    return [(head.removeprefix("# "), text.strip("\n")) for head, _newline, text in heads]


def sentences(name: str) -> list[tuple[str, str]]:
    """Return the product's table: quotes, and what holds them."""
    table = (TESTS / "sentences" / f"{name}.md").read_text()
    lines = [line for line in table.splitlines() if line.startswith("|")]
    rows = [re.split(r"(?<!\\)\|", line.strip("|")) for line in lines[2:]]
    return [(quote.strip(), holder.strip()) for quote, holder in rows]


def names_of_tests(path: Path) -> set[str]:
    """Return the names of a file's tests."""
    body = ast.parse(path.read_text()).body
    return {each.name for each in body if isinstance(each, ast.FunctionDef) and each.name.startswith("test_")}


@PAGES
def test_a_page_shows_the_settings_that_the_tests_and_the_demo_load(name: str) -> None:
    (text,) = (text for file, text in blocks(name) if file == "settings.py")
    statements = [each for each in ast.parse(text).body if isinstance(each, ast.Assign)]
    assigned = {ast.unparse(each.targets[0]): each.value for each in statements}
    assert ast.literal_eval(assigned["ALLOWLIST"]) == load(name, "settings").ALLOWLIST


@PAGES
def test_what_a_page_shows_is_in_the_files_it_names(name: str) -> None:
    assert [file for file, text in blocks(name) if text not in (folder(name) / file).read_text()] == []
    assert set(SHOWN) - {file for file, _text in blocks(name)} == set()


@PAGES
def test_a_page_shows_the_whole_of_the_permission(name: str) -> None:
    path = folder(name) / "permissions.py"
    source = path.read_text() if path.exists() else ""
    classes = [each for each in ast.parse(source).body if isinstance(each, ast.ClassDef)]
    shown = "\n".join(text for file, text in blocks(name) if file == "permissions.py")
    missing = [each.name for each in classes if (ast.get_source_segment(source, each) or "") not in shown]
    assert missing == []


@PAGES
def test_every_sentence_names_an_existing_test_or_a_reason(name: str) -> None:
    named: list[tuple[str, str]] = []
    for quote, holder in sentences(name):
        assert quote, holder
        assert holder, quote
        named += re.findall(r"`(?:tests/recipes/)?([\w/]+\.py)::(\w+)", holder)
    assert named
    known = {file: names_of_tests(TESTS / file) for file in {file for file, _test in named}}
    assert [f"{file}::{test}" for file, test in named if test not in known[file]] == []
