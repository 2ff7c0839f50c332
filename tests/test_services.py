"""The marks and names of this test suite keep their rules, and ALLOWLIST_CI is strict."""

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pymysql
import pytest

from tests import databases, demo_server, services

TESTS = Path(__file__).parent
ROOT = TESTS.parent
NOWHERE = {
    "postgres": {"ALLOWLIST_POSTGRES_HOST": "127.0.0.1", "ALLOWLIST_POSTGRES_PORT": "1"},
    "mariadb": {"ALLOWLIST_MARIADB_HOST": "127.0.0.1", "ALLOWLIST_MARIADB_PORT": "1"},
}


@pytest.mark.parametrize("name", NOWHERE)
def test_an_unreachable_database_is_reported_with_its_address(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in NOWHERE[name].items():
        monkeypatch.setenv(variable, value)
    assert "not reachable on 127.0.0.1:1 (" in (services.SERVICES[name]() or "")


def test_missing_programs_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert services.SERVICES["chromium"]() == "chromium and chromedriver not installed"
    assert services.SERVICES["node"]() == "node not installed"
    assert services.SERVICES["axe-core"]() == services.NO_AXE_CORE


def test_an_unknown_database_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLOWLIST_TEST_DB", "postgresql")
    with pytest.raises(ValueError, match="must be one of sqlite, postgres, mariadb"):
        databases.engine()


@pytest.mark.parametrize("name", databases.ENGINES)
def test_each_engine_has_two_databases_of_its_own(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLOWLIST_TEST_DB", name)
    config = databases.databases()
    assert list(config) == ["default", "other"]
    assert config["default"]["TEST"]["NAME"] != config["other"]["TEST"]["NAME"]


def test_pymysql_replaces_mysqlclient() -> None:
    databases.use_pymysql()
    assert importlib.import_module("MySQLdb") is pymysql
    assert pymysql.version_info >= (2, 2, 1)


def run_pytest(folder: Path, code: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run ``code`` as the only test module, under this suite's hooks."""
    (folder / "conftest.py").write_text("from tests.conftest import *\n")
    (folder / "test_it.py").write_text(code)
    options = ["-q", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml")]
    command = [sys.executable, "-m", "pytest", *options, f"--rootdir={folder}", str(folder)]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ALLOWLIST_")}
    environ = {**inherited, **environ}
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)


SKIPS = """
import pytest

def test_skipped():
    pytest.skip("I do not feel like it")
"""
NEEDS_NODE = """
import pytest

@pytest.mark.needs("node")
def test_with_node():
    pass

@pytest.mark.only_on("postgres")
def test_of_postgres():
    raise AssertionError
"""


def test_a_skip_passes_by_default_and_fails_in_ci(tmp_path: Path) -> None:
    assert "1 skipped" in run_pytest(tmp_path, SKIPS).stdout
    strict = run_pytest(tmp_path, SKIPS, ALLOWLIST_CI="1")
    assert strict.returncode == 1
    assert "although every service it needs is here" in strict.stdout


def test_a_missing_service_is_skipped_with_its_reason_even_in_ci(tmp_path: Path) -> None:
    run = run_pytest(tmp_path, NEEDS_NODE, ALLOWLIST_CI="1", PATH="/nonexistent")
    assert run.returncode == 0, run.stdout
    assert "node not installed" in run.stdout
    assert "1 skipped, 1 deselected" in run.stdout


def test_a_run_on_a_missing_database_ends_at_once_with_the_reason(tmp_path: Path) -> None:
    run = run_pytest(tmp_path, SKIPS, ALLOWLIST_TEST_DB="postgres", **NOWHERE["postgres"])
    assert run.returncode == 2
    assert "ALLOWLIST_TEST_DB=postgres, but PostgreSQL is not reachable" in run.stdout + run.stderr


def test_a_port_is_reserved_until_the_process_ends() -> None:
    port = demo_server.free_port()
    assert not demo_server._reserve(port)


def test_names_are_short_and_no_module_imports_a_test_module() -> None:
    sources = [path.read_text() for path in TESTS.rglob("*.py")]
    names = [name for source in sources for name in re.findall(r"def (test_\w+)", source)]
    assert [name for name in names if len(name) >= 70] == []
    imports = r"^ *(?:from|import) tests\.(?:\w+\.)*test_\w+"
    assert [each for source in sources for each in re.findall(imports, source, re.MULTILINE)] == []
