#!/usr/bin/env python3
"""Runs the example project's commands: ``manage.py demo`` shows the app at work."""

import importlib.util
import os
import sys

OLDEST_PYTHON = (3, 11)
NEEDED = (
    "django",
    "rest_framework",
    "corsheaders",
    "drf_spectacular",
    "ipware",
    "ada_url",
    "publicsuffixlist",
)
MISSING = """Not installed for {python}: {names}. Install everything with

    python3 -m venv .venv && .venv/bin/pip install -e '.[dev]'

and run .venv/bin/python {command}"""


def main() -> None:
    """Run a command, or exit with a sentence that says what is missing."""
    if sys.version_info < OLDEST_PYTHON:
        sys.exit(f"This needs Python 3.11 or newer; {sys.executable} is {sys.version.split()[0]}.")
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        command = " ".join(sys.argv)
        sys.exit(MISSING.format(python=sys.executable, names=", ".join(missing), command=command))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
