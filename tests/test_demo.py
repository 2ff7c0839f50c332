"""``manage.py demo`` as users start it, and its responses to a server over a real connection."""

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.demo_server import PATIENCE, ROOT, Demo, environment, free_port, running_demo

pytestmark = pytest.mark.slow

CONFIG = "/api/widget/v1/config"
INSTALL = "python3 -m venv .venv && .venv/bin/pip install -e '.[dev]'"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Return a demo that the tests of this module share."""
    with running_demo(tmp_path_factory.mktemp("demo"), free_port()) as demo:
        yield demo


def get(demo: Demo, address: str, **headers: str) -> tuple[int, dict[str, Any]]:
    """Send a request from one of this machine's loopback addresses, as ``curl --interface`` does."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    connection = http.client.HTTPConnection("127.0.0.1", demo.port, PATIENCE, source_address=(address, 0))
    try:
        connection.request("GET", CONFIG, headers={"X-API-Key": demo.server_token, **names})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def run(*arguments: str, database: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the example project to its end."""
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={**environment(database), **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_server_is_served_from_the_listed_address(demo: Demo) -> None:
    status, body = get(demo, "127.0.0.1")
    assert status == 200
    assert body["title"] == "Design your desk"


def test_a_server_is_refused_from_another_address(demo: Demo) -> None:
    status, body = get(demo, "127.0.0.9")
    assert (status, body["reason"]) == (403, "ip_not_listed")
    assert "ensure your source IP is allowlisted" in body["message"]


@pytest.mark.parametrize(
    "header",
    ["X_Forwarded_For", "X_Real_IP", "Forwarded", "CF_Connecting_IP", "True_Client_IP", "X_Client_IP"],
)
def test_a_header_that_claims_the_listed_address_changes_nothing(demo: Demo, header: str) -> None:
    value = "for=127.0.0.1" if header == "Forwarded" else "127.0.0.1"
    status, body = get(demo, "127.0.0.9", **{header: value})
    assert (status, body["reason"]) == (403, "ip_not_listed")


def test_a_secret_key_sent_from_a_page_is_refused(demo: Demo) -> None:
    status, body = get(demo, "127.0.0.1", Origin=demo.url("shop.localhost", ""))
    assert (status, body["reason"]) == (403, "secret_key_in_browser")


FETCH = """
fetch(process.argv[1], {headers: {"X-API-Key": process.argv[2]}}).then(async (response) => {
  console.log(JSON.stringify([response.status, await response.json()]));
});
"""


@pytest.mark.needs("node")
def test_node_s_fetch_counts_as_a_server_despite_sec_fetch_mode(demo: Demo) -> None:
    node = shutil.which("node")
    assert node
    command = [node, "-e", FETCH, demo.url("127.0.0.1", CONFIG), demo.server_token]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE).stdout
    status, body = json.loads(answer)
    assert status == 200
    assert body["title"] == "Design your desk"


@pytest.mark.needs("node")
def test_node_s_fetch_sends_sec_fetch_mode_only() -> None:
    """The test above depends on this fact."""
    node = shutil.which("node")
    assert node
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        with subprocess.Popen([node, "-e", FETCH, url, "x"], stderr=subprocess.DEVNULL) as process:
            connection, _address = server.accept()
            with connection:
                headers = connection.recv(65536).decode().lower()
            process.wait(PATIENCE)
    assert "sec-fetch-mode:" in headers
    assert "sec-fetch-site:" not in headers


def test_refusals_are_logged_with_reason_and_key_but_without_the_token(demo: Demo) -> None:
    get(demo, "127.0.0.9")
    log = (demo.database.parent / f"demo-{demo.port}.log").read_text().removeprefix(demo.output)
    assert "ip_not_listed" in log
    assert demo.server_token not in log


def test_the_demo_prints_where_to_look(demo: Demo) -> None:
    for host in ("shop.localhost", "partner.localhost", "copycat.localhost"):
        assert demo.url(host) in demo.output
    assert f"{demo.url('localhost', '/security/')}   (login demo, password demo)" in demo.output
    assert f"{demo.url('localhost', '/admin/')}   (login demo, password demo)" in demo.output
    assert f"curl -i -H 'X-API-Key: {demo.server_token}' {demo.url('127.0.0.1', CONFIG)}" in demo.output


def test_a_used_port_is_reported_before_anything_is_done(demo: Demo, tmp_path: Path) -> None:
    database = tmp_path / "never.sqlite3"
    second = run("demo", "--port", str(demo.port), database=database)
    assert second.returncode == 1
    assert f"Port {demo.port} on 127.0.0.1 can't be used: Address already in use." in second.stderr
    assert f"manage.py demo --port {demo.port + 1}" in second.stderr
    assert "Traceback" not in second.stderr
    assert second.stdout == ""
    assert not database.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--port", "0"), "--port takes a number from 1 to 65535, not 0."),
        (("--port", "70000"), "--port takes a number from 1 to 65535, not 70000."),
        (("--bind", "localhost"), "--bind takes an IP address such as 127.0.0.1, not 'localhost'."),
        (("--bind", "192.0.2.1"), "on 192.0.2.1 can't be used"),
    ],
)
def test_an_invalid_port_or_address_is_reported_in_a_sentence(
    arguments: tuple[str, str], message: str, tmp_path: Path
) -> None:
    command = run("demo", *arguments, database=tmp_path / "never.sqlite3")
    assert command.returncode == 1
    assert message in command.stderr
    assert "Traceback" not in command.stderr


def test_the_demo_s_known_password_never_reaches_a_deployed_site(tmp_path: Path) -> None:
    command = run(
        *("demo", "--port", str(free_port())),
        database=tmp_path / "never.sqlite3",
        EXAMPLE_DEPLOY="1",
        EXAMPLE_SECRET_KEY="x" * 60,
    )
    assert command.returncode == 1
    assert "the demo runs only with DEBUG." in command.stderr


def test_a_start_on_another_port_reuses_the_key_and_lists_the_port(tmp_path: Path) -> None:
    seen = []
    for port in (free_port(), free_port()):
        with running_demo(tmp_path, port) as demo:
            domains = demo.query("SELECT domain FROM allowlist_alloweddomain ORDER BY id")
            assert domains == [(demo.url("shop.localhost", ""),), (demo.url("partner.localhost", ""),)]
            assert get(demo, "127.0.0.1")[0] == 200
            seen.append((demo.page_token, demo.query("SELECT id, username FROM auth_user")))
            assert demo.query("SELECT count(*) FROM allowlist_apikey") == [(2,)]
    assert seen[0] == seen[1]


def test_the_demo_s_user_may_manage_keys_and_is_not_a_superuser(demo: Demo) -> None:
    assert demo.query("SELECT username, is_staff, is_superuser FROM auth_user") == [("demo", 1, 0)]
    permissions = demo.query(
        "SELECT codename FROM auth_permission JOIN auth_user_user_permissions AS mine"
        " ON mine.permission_id = auth_permission.id"
    )
    assert {("add_apikey",), ("change_apikey",), ("add_alloweddomain",), ("view_lead",)} <= set(permissions)


def test_missing_dependencies_are_reported_with_how_to_install_them() -> None:
    # -S leaves the installed packages out, as in a fresh checkout.
    command = [sys.executable, "-S", "manage.py", "demo"]
    bare = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    process = subprocess.run(command, cwd=ROOT, env=bare, capture_output=True, text=True, check=False)
    assert process.returncode == 1
    assert INSTALL in process.stderr
    assert "django" in process.stderr
    assert "Traceback" not in process.stderr


def test_the_deployed_example_passes_django_s_checks(tmp_path: Path) -> None:
    command = run(
        *("check", "--deploy", "--fail-level", "WARNING"),
        database=tmp_path / "never.sqlite3",
        EXAMPLE_DEPLOY="1",
        EXAMPLE_SECRET_KEY="0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
    )
    assert command.returncode == 0, command.stderr
    assert "no issues" in command.stdout


def test_no_migration_of_the_example_is_missing(tmp_path: Path) -> None:
    command = run("makemigrations", "--check", "--dry-run", database=tmp_path / "fresh.sqlite3")
    assert command.returncode == 0, command.stdout + command.stderr
