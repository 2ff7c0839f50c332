"""The wheel contains ``allowlist/`` with everything in it, and nothing else."""

import re
import subprocess
import sys
import tomllib
import zipfile
from email import message_from_string
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
METADATA = "django_allowlist-0.1.0.dist-info"

OPTIONAL = {
    "cors": {"corsheaders"},
    "redis": {"redis", "hiredis"},
    "ninja": {"ninja"},
    "openapi": {"drf_spectacular"},
}
"""What each extra installs, by import name."""
RUN = """
import runpy, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(name + " is blocked", name=name)

sys.meta_path.insert(0, Blocker())
sys.path.insert(0, {folder!r})
sys.argv = ["installed.py", *{extras!r}]
import allowlist
assert allowlist.__file__.startswith({folder!r})
runpy.run_path({script!r}, run_name="__main__")
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Build the wheel without network, with the back end from the development dependencies."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


@pytest.mark.slow
def test_the_wheel_contains_the_package_and_its_metadata_only(wheel: zipfile.ZipFile) -> None:
    assert {name.partition("/")[0] for name in wheel.namelist()} == {"allowlist", METADATA}


@pytest.mark.slow
def test_the_wheel_contains_every_file_of_the_package(wheel: zipfile.ZipFile) -> None:
    files = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "allowlist").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert "allowlist/py.typed" in files
    assert {name for name in wheel.namelist() if name.startswith("allowlist/")} == files


@pytest.mark.slow
def test_the_metadata_describe_the_package(wheel: zipfile.ZipFile) -> None:
    metadata = message_from_string(wheel.read(f"{METADATA}/METADATA").decode())
    assert metadata["Name"] == "django-allowlist"
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Requires-Python"] == ">=3.11"
    assert set(metadata.get_all("Provides-Extra", [])) == {
        "cors",
        "redis",
        "ninja",
        "openapi",
        "demo",
        "docs",
        "dev",
    }
    assert f"{METADATA}/licenses/LICENSE" in wheel.namelist()


@pytest.mark.slow
def test_the_readme_has_no_link_that_breaks_on_pypi(wheel: zipfile.ZipFile) -> None:
    metadata = message_from_string(wheel.read(f"{METADATA}/METADATA").decode())
    readme = str(metadata.get_payload())
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert "\nA page on https://shop.example.com, which the key lists, gets 200." in readme
    assert re.findall(r"\]\((?!https://)[^)]*\)", readme) == []


@pytest.mark.slow
@pytest.mark.parametrize("extra", ["none", *OPTIONAL])
def test_the_wheel_works_with_each_extra_alone_and_with_none(
    wheel: zipfile.ZipFile, tmp_path: Path, extra: str
) -> None:
    wheel.extractall(tmp_path)
    blocked = set.union(*OPTIONAL.values()) - OPTIONAL.get(extra, set())
    extras = [] if extra == "none" else [extra]
    script = str(ROOT / "tests" / "installed.py")
    code = RUN.format(blocked=blocked, folder=str(tmp_path), extras=extras, script=script)
    command = [sys.executable, "-W", "error", "-c", code]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")


def test_the_app_needs_five_packages_and_no_more() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {re.match(r"[A-Za-z0-9-]+", each)[0] for each in project["dependencies"]}  # type: ignore[index]
    assert names == {"Django", "djangorestframework", "django-ipware", "ada-url", "publicsuffixlist"}


def test_the_changelog_has_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert re.search(rf"^## {re.escape(version)}\b", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
