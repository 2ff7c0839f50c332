"""How tests of recipes send requests: as a page, as a server, as a user who is logged in.

``pytestmark = pytest.mark.recipe("impler")`` serves a recipe to a module's tests, see ``conftest``.
"""

import json
from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import Any

from django.test import Client

from example_project import recipes
from tests.calls import Answer, call


def load(name: str, module: str) -> ModuleType:
    """Return a module of the recipe called ``name``, such as its ``settings``."""
    return import_module(f"{recipes.package(name)}.{module}")


def ask(
    path: str,
    token: str | None = None,
    *,
    method: str = "GET",
    data: Any = None,
    origin: str | None = None,
    referer: str | None = None,
    headers: Mapping[str, str | None] | None = None,
    client: Client | None = None,
    **environ: Any,
) -> Answer:
    """Send a request, as a page of ``origin`` or, without headers of browsers, as a server.

    ``data`` is sent as JSON. ``environ`` is the server's, such as ``REMOTE_ADDR``.
    """
    sent = {"Origin": origin, "Referer": referer, **(headers or {})}
    if data is not None:
        environ = {"data": json.dumps(data), "content_type": "application/json", **environ}
    return call(path, token, sent, method=method, client=client, **environ)


def logged_in(user: Any) -> Client:
    """Return a browser in which ``user`` is logged in; it sends no key."""
    client = Client()
    client.force_login(user)
    return client
