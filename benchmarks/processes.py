"""Starts the benchmark's processes, each with its own settings, all on one processor."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.cases import Case
from benchmarks.databases import Config

ROOT = Path(__file__).resolve().parent.parent
Tokens = dict[str, list[str]]


def environment(database: Config, cases: list[Case], tokens: Tokens, keys: int) -> dict[str, str]:
    """Return the environment of a process that serves ``cases``, which share their settings."""
    settings = cases[0].settings if cases else {}
    setup: dict[str, Any] = {
        "database": database,
        "settings": dict(settings),
        "cases": [case.name for case in cases],
        "tokens": tokens,
        "keys": keys,
    }
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "benchmarks.settings",
        "ALLOWLIST_BENCHMARK": json.dumps(setup),
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": str(ROOT),
    }


def start(arguments: list[str], env: dict[str, str], **pipes: Any) -> "subprocess.Popen[str]":
    """Start Python with the arguments."""
    return subprocess.Popen([sys.executable, *arguments], env=env, cwd=ROOT, text=True, **pipes)


def fill(database: Config, keys: int) -> Tokens:
    """Fill the database and return its tokens."""
    settings = {"ALLOWLIST": {"MAX_DOMAINS": None, "MAX_IPS": None}}
    env = environment(database, [Case("fill", "", settings=settings)], {}, keys)
    # drf-simple-apikey warns of each of its keys, whose expiry has no time zone.
    command = ["-W", "ignore::RuntimeWarning", "-m", "benchmarks.fill"]
    filling = start(command, env, stdout=subprocess.PIPE)
    output, _ = filling.communicate()
    if filling.returncode:
        raise SystemExit("The database could not be filled.")
    tokens: Tokens = json.loads(output)
    return tokens


def pin() -> None:
    """Keep this process on the last processor, like every measured process; interrupts prefer the first."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
