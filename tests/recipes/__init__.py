"""What the tests of recipes share.

``pytestmark = pytest.mark.recipe("impler")`` serves a recipe to a module's tests, see ``conftest``.
"""

from importlib import import_module
from types import ModuleType
from typing import Any

from django.test import Client

from example_project import recipes


def load(name: str, module: str) -> ModuleType:
    """Return a module of the recipe called ``name``, such as its ``settings``."""
    return import_module(f"{recipes.package(name)}.{module}")


def logged_in(user: Any) -> Client:
    """Return a browser in which ``user`` is logged in; it sends no key."""
    client = Client()
    client.force_login(user)
    return client
