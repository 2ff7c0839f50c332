"""Creates an environment with the compared packages from PyPI, then runs the benchmark in it.

    python3 benchmarks/run.py           all but the million keys; rewrites the tables in the docs
    python3 benchmarks/run.py --quick   a minute or two; only prints the tables
    python3 benchmarks/run.py --help    the other options

The environment stays in .venv-benchmarks, with the Python that runs this. It is created again when its
requirements change.
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
"""The requirements that the environment was created from, and why packages are missing."""


def main() -> None:
    """Create the environment if it is missing or outdated, and continue in it."""
    if not MADE.exists() or json.loads(MADE.read_text())["of"] != _wanted():
        make()
    os.chdir(ROOT)
    command = [str(PYTHON), "-m", "benchmarks", "--skipped", json.dumps(_skipped()), *sys.argv[1:]]
    os.execv(PYTHON, command)  # noqa: S606


def make() -> None:
    """Create the environment; note pip's error for each package that doesn't install."""
    print(f"Creating {ENVIRONMENT.name} ...", flush=True)
    venv.create(ENVIRONMENT, clear=True, with_pip=True)
    if error := _install("-r", str(REQUIREMENTS)):
        sys.exit(error)
    # No package may replace what all cases share.
    constraints = ENVIRONMENT / "constraints.txt"
    constraints.write_text(_pip("freeze", "--exclude-editable").stdout)
    skipped = {}
    for peer in PEERS.read_text().split():
        if error := _install("--constraint", str(constraints), peer):
            skipped[peer] = error
    MADE.write_text(json.dumps({"of": _wanted(), "skipped": skipped}))


def _install(*arguments: str) -> str:
    """Install wheels; return pip's last error, or ""."""
    done = _pip("install", "--quiet", "--only-binary", ":all:", *arguments)
    if done.returncode == 0:
        return ""
    errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
    return (errors or ["pip failed."])[-1]


def _pip(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", *arguments]
    return subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)


def _wanted() -> str:
    """Return a hash of everything that the environment is created from."""
    made_of = (REQUIREMENTS, PEERS, ROOT / "pyproject.toml")
    content = b"".join(path.read_bytes() for path in made_of) + sys.version.encode() + bytes(ROOT)
    return hashlib.sha256(content).hexdigest()


def _skipped() -> dict[str, str]:
    skipped: dict[str, str] = json.loads(MADE.read_text())["skipped"]
    return skipped


if __name__ == "__main__":
    main()
