"""Parts of the suite under other settings, each in its own process, as settings are fixed for a process."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
VARIANTS = {
    # A UUID for the users' primary key, an email address for login.
    "tests.settings_custom_user": ("keys", "ownership"),
    # USE_TZ=False and ATOMIC_REQUESTS, far behind UTC.
    "tests.settings_naive_atomic": (
        *("keys", "freshness", "last_use", "fail_closed", "api", "api_projects", "blocked", "blocked_api"),
    ),
}
"""The test files that can fail under each variant."""


@pytest.mark.slow
@pytest.mark.parametrize("settings", VARIANTS)
def test_the_suite_passes_under(settings: str) -> None:
    files = [f"tests/test_{name}.py" for name in VARIANTS[settings]]
    options = ["-q", "-m", "not slow", "-p", "no:cacheprovider", f"--ds={settings}"]
    command = [sys.executable, "-m", "pytest", *options, *files]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("settings", VARIANTS)
def test_no_migration_is_missing_under(settings: str) -> None:
    options = ["--check", "--dry-run", f"--settings={settings}"]
    command = [sys.executable, "-m", "django", "makemigrations", *options]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "No changes detected" in run.stdout
