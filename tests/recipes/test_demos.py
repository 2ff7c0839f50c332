"""Runs the calls that the recipes' demos print: each response has the status that the demo prints."""

import re
import subprocess
from pathlib import Path

import pytest

from example_project import recipes
from tests.demo_server import free_port, running_demo

pytestmark = [pytest.mark.slow, pytest.mark.needs("curl")]

PRINTED = re.compile(r"^  (\d{3}), (.+?):  (.*\bcurl .*)$", re.MULTILINE)
STATUS = re.compile(r"HTTP/[\d.]+ (\d{3})")
PATIENCE = 300
"""Seconds a call may take: one of them sends requests until it is throttled."""


@pytest.mark.parametrize("name", recipes.NAMES)
def test_at_each_start_every_printed_call_has_its_printed_status(name: str, tmp_path: Path) -> None:
    keys = []
    for _start in range(2):
        with running_demo(tmp_path, free_port(), name) as demo:
            printed = PRINTED.findall(demo.output)
            answered = [(last_status(call), label) for _status, label, call in printed]
            keys.append(demo.query("SELECT name FROM allowlist_apikey ORDER BY name"))
        assert answered == [(status, label) for status, label, _call in printed]
        assert len(printed) == demo.output.count("curl ") > 2
    assert keys[0] == keys[1]


def last_status(call: str) -> str:
    """Run a printed call in a shell; return the status of its last response."""
    run = subprocess.run(["bash", "-c", call], capture_output=True, text=True, check=True, timeout=PATIENCE)
    return str(STATUS.findall(run.stdout)[-1])
