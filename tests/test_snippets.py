"""The documentation's Python runs, and the API responds as its reference shows."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
from django.contrib import admin
from django.dispatch import Signal
from django.test import Client, RequestFactory

from allowlist import conf
from allowlist.enforcement.client_ip import client_address
from allowlist.models import APIKey
from tests.conftest import MakeUser, User
from tests.testapp.models import Project
from tests.testing import visit

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    path
    for path in (ROOT / "docs").rglob("*.md")
    if "recipes" not in path.parts and "```python" in path.read_text()
)
"""The pages with Python in them; tests/recipes/test_pages.py compares the recipes' with their code."""


def blocks(page: Path, language: str) -> list[str]:
    """Return the page's fenced blocks of this language, also those in lists."""
    fenced = re.finditer(rf"^( *)```{language}\n(.*?)^\1```$", page.read_text(), re.DOTALL | re.MULTILINE)
    return [dedent(each[2]) for each in fenced]


def runnable(block: str) -> str:
    """Return a block's code: without prompts and their output, and without imports of the reader's."""
    lines = block.splitlines()
    if block.startswith(">>>"):
        lines = [line[4:] for line in lines if line.startswith((">>>", "..."))]
    return "\n".join(line for line in lines if not line.startswith(("from .", "from chat.")))


@pytest.fixture
def of_the_project(make_user: MakeUser, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return what snippets may use without defining it: a user, and parts of the reader's project."""
    user = make_user("you")
    key, token = APIKey.objects.create_key(name="Shop", creator=user, allowed_domains=["shop.example.com"])
    monkeypatch.setattr(Signal, "connect", lambda *args, **kwargs: None)
    monkeypatch.setattr(admin, "register", lambda *models: lambda registered: registered)
    for package in ("auditlog.models", "simple_history.models"):
        monkeypatch.setitem(sys.modules, package, MagicMock())
        monkeypatch.setitem(sys.modules, package.partition(".")[0], MagicMock())
    return {
        "user": user,
        "key": key,
        "token": token,
        "INSTALLED_APPS": [],
        "MIDDLEWARE": [],
        "urlpatterns": [],
        "Project": Project,
        "AuditLog": MagicMock(),
        "ChatConsumer": MagicMock(),
        "metrics": SimpleNamespace(increment=MagicMock()),
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_python_of_a_page_runs(page: Path, of_the_project: dict[str, Any]) -> None:
    names = {"__name__": "snippets", **of_the_project}
    for block in blocks(page, "python"):
        code = compile(runnable(block), str(page), "exec", dont_inherit=True)
        exec(code, names)  # noqa: S102 - it is our own documentation
        wrong = conf.errors(names.pop("ALLOWLIST", {}))
        # A snippet may name a database of the reader's.
        assert [each for each in wrong if "DATABASES has no" not in each] == []


VARIES = re.compile(r"\b(?:[ps]k_(?:live|test)_\w+|\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d))")
"""Tokens and dates."""


def shown(body: Any) -> Any:
    """Return a body with what varies from run to run left out."""
    if isinstance(body, dict):
        return {name: 0 if name == "id" else shown(value) for name, value in body.items()}
    if isinstance(body, list):
        return [shown(each) for each in body]
    return VARIES.sub("…", body) if isinstance(body, str) else body


def test_the_api_responds_as_the_reference_shows(client: Client, creator: User, settings: Any) -> None:
    settings.TIME_ZONE = "UTC"
    client.force_login(creator)
    ids: dict[str, int] = {}
    token, response = "", client.get("/api/keys/")
    for block in blocks(ROOT / "docs/reference/api.md", "http"):
        head, _blank, text = block.strip().partition("\n\n")
        if head.startswith("HTTP/1.1 "):
            assert head.startswith(f"HTTP/1.1 {response.status_code} "), response.content
            body = response.json()
            assert shown(body) == shown(json.loads(text.replace("pk_live_…", "pk_live_x")))
            if "token" in body:
                token, ids["keys"] = body["token"], body["id"]
            elif isinstance(body, list):
                ids["blocked"] = body[0]["id"]
            continue
        if head.startswith("GET /api/keys/1/blocked/"):
            for _request in range(2):
                visit(token, "https://www.shop.example.com", "198.51.100.9")
        method, path, _version = head.splitlines()[0].split(" ")
        path = re.sub(r"(keys|blocked)/\d+", lambda part: f"{part[1]}/{ids[part[1]]}", path)
        response = client.generic(method, path, text, content_type="application/json")
        assert response.status_code in {200, 201, 204, 400}, (path, response.content)


CALLS = """
from django.test import Client, RequestFactory
client = Client(SERVER_NAME="localhost", headers={"X-API-Key": token})
for origin in ("https://shop.example.com", "https://copycat.example"):
    response = client.get("/widget/config", headers={"Origin": origin})
    print(response.status_code, response.json().get("reason"), response["Access-Control-Allow-Origin"])
"""


@pytest.mark.slow
def test_the_example_of_the_readme_works_in_a_new_project(tmp_path: Path) -> None:
    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=tmp_path,
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "shop.settings", "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("-m", "django", "startproject", "shop", ".")
    settings, urls, shell = blocks(ROOT / "README.md", "python")
    for name, block in (("settings.py", settings), ("urls.py", urls)):
        with (tmp_path / "shop" / name).open("a") as file:
            file.write(block)
    run("manage.py", "migrate", "-v0")
    assert run("manage.py", "shell", "-v0", "-c", shell + CALLS).splitlines()[1:] == [
        "200 None https://shop.example.com",
        "403 origin_not_listed https://copycat.example",
    ]


CLIENT, LIE = "198.51.100.9", "203.0.113.7"
BEHIND = {
    "Find the client's IP behind a proxy": ("10.0.0.6", f"{LIE}, {CLIENT}, 10.0.0.5"),
    "nginx": ("127.0.0.1", f"{LIE}, {CLIENT}"),
    "AWS ALB": ("10.0.3.4", f"{LIE}, {CLIENT}"),
    "Kubernetes": ("10.244.1.5", CLIENT),
    "Heroku": ("10.1.2.3", f"{LIE}, {CLIENT}"),
    "Cloudflare": ("127.0.0.1", f"{LIE}, {CLIENT}, 173.245.48.10"),
}
"""What Django gets behind each platform: the peer's address, and the header after a client's lie."""


@pytest.mark.parametrize("platform", BEHIND)
def test_the_setting_for_a_platform_finds_the_client(platform: str, settings: Any) -> None:
    page = (ROOT / "docs/how-to/proxies.md").read_text()
    section = re.split(rf"^##? {platform}$", page, flags=re.MULTILINE)[1].split("\n## ")[0]
    (shown,) = re.findall(r"^```python\n(ALLOWLIST.*?)^```$", section, re.DOTALL | re.MULTILINE)
    names: dict[str, Any] = {}
    exec(shown, names)  # noqa: S102 - it is our own documentation
    settings.ALLOWLIST = names["ALLOWLIST"]
    peer, forwarded = BEHIND[platform]
    request = RequestFactory().get("/", REMOTE_ADDR=peer, headers={"X-Forwarded-For": forwarded})
    assert str(client_address(request)) == CLIENT
    direct = RequestFactory().get("/", REMOTE_ADDR=CLIENT, headers={"X-Forwarded-For": LIE})
    assert str(client_address(direct)) == CLIENT
