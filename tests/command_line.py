"""One vocabulary for tests of ``manage.py allowlist``: run it, and read what it printed."""

import io
import json
from typing import Any, NamedTuple

import pytest
from django.db.utils import ConnectionHandler

from allowlist.management.commands.allowlist import Command


class Ran(NamedTuple):
    """How a call of the command ended."""

    status: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """Return the JSON that it printed."""
        return json.loads(self.out)


class Shell:
    """Runs ``manage.py allowlist`` in this process, as the command line does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._patch = monkeypatch
        self._capture = capsys
        # At its end a program closes its connections. This one goes on in the test's transaction.
        monkeypatch.setattr(ConnectionHandler, "close_all", lambda self: None)

    def __call__(self, *words: Any, stdin: str = "") -> Ran:
        """Run a line, and return how it ended."""
        self._patch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin.encode()), "utf-8"))
        self._capture.readouterr()
        status = 0
        try:
            Command().run_from_argv(["manage.py", "allowlist", *map(str, words)])
        except SystemExit as end:
            status = int(end.code or 0)
        out, err = self._capture.readouterr()
        assert "Traceback" not in err
        return Ran(status, out, err)

    def ok(self, *words: Any, stdin: str = "") -> str:
        """Return what a line printed that must succeed."""
        ran = self(*words, stdin=stdin)
        assert (ran.status, ran.err) == (0, "")
        return ran.out

    def data(self, *words: Any, stdin: str = "") -> Any:
        """Return the JSON of a line that must succeed."""
        return json.loads(self.ok(*words, "--json", stdin=stdin))
