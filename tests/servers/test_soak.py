"""A short soak."""

import subprocess
import sys

import pytest

from tests.demo_server import ROOT


@pytest.mark.slow
def test_a_short_soak_finds_no_wrong_response() -> None:
    command = [sys.executable, "-m", "benchmarks.soak", "--minutes", "0.05"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "wrong responses: 0, 5xx: 0, failures: 0" in run.stdout
