"""The policy has no Django in it, and modules import only from the rows above their own."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import allowlist

PACKAGE = Path(allowlist.__file__).parent
THIRD_PARTY = (
    "django",
    "rest_framework",
    "ipware",
    "corsheaders",
    "redis",
    "drf_spectacular",
    "ninja",
    "channels",
)

# Bottom-up: a module imports from the rows above its own alone; a room (models, ...) from itself too.
POLICY_ROWS = """
problems
origins
hosts
networks
entries
guards
tokens
decision
explanation
"""
ROWS = """
policy
push
conf  signals
validators  checks
models
enforcement
permissions
authentication  throttling  asgi  decorators  view_checks  testing
contrib
forms
admin  api
pages
templatetags  urls  apps  management
"""
MAY_IMPORT = {"hosts": {"ada_url"}, "guards": {"publicsuffixlist"}}

BLOCKED_IMPORT = """
import importlib, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ImportError(name + " is blocked")

sys.meta_path.insert(0, Blocker())
try:
    import django
except ImportError:
    pass
else:
    raise SystemExit("the blocker does not block")
for module in {modules!r}:
    importlib.import_module("allowlist.policy." + module)
"""
WORKS = """
from allowlist.policy import decision, entries, guards, networks, origins, tokens

policy = decision.Policy(
    entries.DomainList([guards.read_domain("*.example.com", ("wildcard",)).text]),
    networks.IPList([guards.read_ip("203.0.113.0/24", ("network",), False).text]),
    decision.Condition.ALL,
    "deny",
)
source = decision.Source(
    origins.read_page("https://a.example.com", None, None), lambda: networks.parse_address("203.0.113.7")
)
assert decision.decide(policy, source).allowed
assert tokens.Token.parse("nonsense") is None
"""


def names(rows: str) -> list[str]:
    return rows.split()


def above(name: str, rows: str) -> set[str]:
    """Return what stands in the rows above the one that holds ``name``."""
    ordered = [row.split() for row in rows.splitlines()]
    at = next((at for at, row in enumerate(ordered) if name in row), None)
    assert at is not None, f"give {name} a row"
    return {each for row in ordered[:at] for each in row}


def run(code: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=PACKAGE.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_core_imports_and_works_without_django() -> None:
    run(BLOCKED_IMPORT.format(blocked=set(THIRD_PARTY), modules=names(POLICY_ROWS)) + WORKS)


@pytest.mark.parametrize("module", names(POLICY_ROWS))
def test_each_module_of_the_core_imports_alone_without_django(module: str) -> None:
    run(BLOCKED_IMPORT.format(blocked=set(THIRD_PARTY), modules=[module]))


def test_the_public_suffix_list_is_not_loaded_at_import() -> None:
    run("from allowlist.policy import guards; assert guards._suffixes.cache_info().currsize == 0")


def dotted(path: Path) -> str:
    """Return a module's name below ``allowlist``: ``models.keys``; a room's own is the room's."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {dotted(path): path for path in sorted(PACKAGE.rglob("*.py")) if "migrations" not in path.parts}
del MODULES[""]


def imports(path: Path) -> Iterator[str]:
    """Yield what ``path`` imports anywhere, also for types alone, absolute and dotted."""
    package = ("allowlist", *path.relative_to(PACKAGE).parent.parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            name = ".".join(filter(None, (base, node.module)))
            yield from (f"{name}.{alias.name}" for alias in node.names)


def own_imports(path: Path) -> set[str]:
    """Return the modules of ours that ``path`` imports: the longest name that is a module's."""
    found = set()
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "allowlist":
            ends = range(len(parts), 1, -1)
            found.add(next(each for end in ends if (each := ".".join(parts[1:end])) in MODULES))
    return found


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_from_the_rows_above_its_own(module: str) -> None:
    room, _, name = module.partition(".")
    used = own_imports(MODULES[module])
    own = {each for each in used if each.partition(".")[0] == room}
    assert {each.partition(".")[0] for each in used - own} <= above(room, ROWS)
    if room == "policy" and name:
        assert {each.partition(".")[2] for each in own} <= above(name, POLICY_ROWS)


def test_no_module_imports_itself_in_a_circle() -> None:
    left = {module: own_imports(path) for module, path in MODULES.items()}
    while ends := {module for module, used in left.items() if not used & set(left)}:
        left = {module: used for module, used in left.items() if module not in ends}
    assert not left, "each of these imports another of them"


@pytest.mark.parametrize("path", sorted((PACKAGE / "policy").glob("*.py")), ids=lambda path: path.stem)
def test_the_core_uses_the_standard_library_and_a_parser_alone(path: Path) -> None:
    roots = {name.partition(".")[0] for name in imports(path)} - {"allowlist"}
    assert roots <= sys.stdlib_module_names | MAY_IMPORT.get(path.stem, set())


@pytest.mark.parametrize("path", sorted((PACKAGE / "policy").glob("*.py")), ids=lambda path: path.stem)
def test_the_core_leaves_urls_and_international_names_to_the_parser(path: Path) -> None:
    assert not [name for name in imports(path) if name.startswith(("urllib", "encodings", "idna"))]
    constants = {
        node.value
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant)
    }
    assert "idna" not in constants


def test_the_package_itself_imports_nothing() -> None:
    for path in (PACKAGE / "__init__.py", PACKAGE / "policy" / "__init__.py"):
        assert list(imports(path)) == []
