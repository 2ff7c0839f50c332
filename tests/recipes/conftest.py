"""Serves a recipe, with its own settings and URLs, to the tests that are marked with its name."""

from typing import Any

import pytest

from example_project import recipes
from tests.recipes import load


@pytest.fixture(autouse=True)
def recipe(request: pytest.FixtureRequest, settings: Any) -> str | None:
    """Put the settings and URLs of the test's mark ``recipe(name)`` in force; return the name."""
    mark = request.node.get_closest_marker("recipe")
    if mark is None:
        return None
    (name,) = mark.args
    settings.RECIPE = name
    settings.ALLOWLIST = load(name, "settings").ALLOWLIST
    settings.ROOT_URLCONF = f"{recipes.package(name)}.urls"
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": recipes.template_folders(name)}]
    return str(name)
