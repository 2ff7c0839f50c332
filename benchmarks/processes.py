"""How a process of the benchmark is started: with its own settings, on the one processor of all."""

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
    """Fill the database and return the tokens it knows."""
    settings = {"ALLOWLIST": {"MAX_DOMAINS": None, "MAX_IPS": None}}
    env = environment(database, [Case("fill", "", settings=settings)], {}, keys)
    filling = start(["-m", "benchmarks.fill"], env, stdout=subprocess.PIPE)
    told, _ = filling.communicate()
    if filling.returncode:
        raise SystemExit("The database could not be filled.")
    tokens: Tokens = json.loads(told)
    return tokens


def pin() -> None:
    """Keep this process on the last processor, as every other that is measured; interrupts like the first."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
