"""Another process of the same project, which handles the requests on its standard input.

Run as ``python -m tests.other_process DATABASES ALLOWLIST``, where DATABASES says where the databases are,
and ALLOWLIST are the app's settings, as JSON. Each input line holds the arguments of ``visit``, each
output line its outcome.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import django
from django.conf import settings

ROOT = Path(__file__).parent.parent

Ask = Callable[..., Any]

WHERE = ("ENGINE", "NAME", "USER", "PASSWORD", "HOST", "PORT")
"""What says where a database is."""


@contextmanager
def other_process(allowlist: dict[str, Any]) -> Iterator[Ask]:
    """Run another process on this one's databases; yield a ``visit`` that it handles."""
    from django.db import connections

    from tests.testing import SERVER, SHOP, Outcome

    databases = {
        alias: {name: str(connections[alias].settings_dict[name]) for name in WHERE} for alias in connections
    }
    command = [sys.executable, "-m", "tests.other_process", json.dumps(databases), json.dumps(allowlist)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        to, answers = process.stdin, process.stdout
        assert to
        assert answers

        def ask_there(token: str, origin: str | None = SHOP, ip: str = SERVER) -> Outcome:
            to.write(json.dumps({"token": token, "origin": origin, "ip": ip}) + "\n")
            to.flush()
            return Outcome(*json.loads(answers.readline()))

        yield ask_there
        to.close()
    assert process.returncode == 0


def main(databases: dict[str, dict[str, str]], allowlist: dict[str, Any]) -> None:
    """Handle requests until the input ends."""
    for alias, where in databases.items():
        settings.DATABASES.setdefault(alias, {}).update(where)
    settings.ALLOWLIST = allowlist
    django.setup()
    from allowlist.enforcement import blocked
    from tests.testing import visit

    # It writes what it blocked as it ends: on SQLite, a transaction of the test that has read can't wait.
    blocked.INTERVAL = 3600

    for line in sys.stdin:
        print(json.dumps(visit(**json.loads(line))), flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), json.loads(sys.argv[2]))
