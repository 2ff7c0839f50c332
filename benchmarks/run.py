"""The one command: make an environment with the peers from PyPI, then run the benchmark in it.

    python3 benchmarks/run.py           everything but the million keys; rewrites the tables of the docs
    python3 benchmarks/run.py --quick   a minute or two, printed and not written
    python3 benchmarks/run.py --help    the other options

The environment is kept in .venv-benchmarks and made anew when what it holds should change. It has the
Python that runs this.
"""

import hashlib
import json
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv-benchmarks"
PYTHON = ENVIRONMENT / "bin" / "python"
REQUIREMENTS = ROOT / "benchmarks" / "requirements.txt"
PEERS = ROOT / "benchmarks" / "peers.txt"
MADE = ENVIRONMENT / "made.json"
"""What the environment was made of, and why peers are missing."""


def main() -> None:
    """Make the environment unless it is there, and go on in it."""
    if not MADE.exists() or json.loads(MADE.read_text())["of"] != _wanted():
        make()
    os.chdir(ROOT)
    command = [str(PYTHON), "-m", "benchmarks", "--skipped", json.dumps(_skipped()), *sys.argv[1:]]
    os.execv(PYTHON, command)  # noqa: S606


def make() -> None:
    """Make the environment; a peer that does not install is noted with pip's last word."""
    print(f"Making {ENVIRONMENT.name} ...", flush=True)
    venv.create(ENVIRONMENT, clear=True, with_pip=True)
    if error := _install("-r", str(REQUIREMENTS)):
        sys.exit(error)
    # Peers may not replace what all cases share.
    constraints = ENVIRONMENT / "constraints.txt"
    constraints.write_text(_pip("freeze", "--exclude-editable").stdout)
    skipped = {}
    for peer in PEERS.read_text().split():
        if error := _install("--constraint", str(constraints), peer):
            skipped[peer] = error
    MADE.write_text(json.dumps({"of": _wanted(), "skipped": skipped}))


def _install(*arguments: str) -> str:
    """Install wheels; return the last line of what went wrong, "" if nothing did."""
    done = _pip("install", "--quiet", "--only-binary", ":all:", *arguments)
    if done.returncode == 0:
        return ""
    errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
    return (errors or ["pip failed."])[-1]


def _pip(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", *arguments]
    return subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)


def _wanted() -> str:
    """Return what stands for all that the environment is made of."""
    made_of = (REQUIREMENTS, PEERS, ROOT / "pyproject.toml")
    content = b"".join(path.read_bytes() for path in made_of) + sys.version.encode() + bytes(ROOT)
    return hashlib.sha256(content).hexdigest()


def _skipped() -> dict[str, str]:
    skipped: dict[str, str] = json.loads(MADE.read_text())["skipped"]
    return skipped


if __name__ == "__main__":
    main()
