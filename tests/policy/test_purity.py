"""The core has no Django in it, and modules import only from the rows above their own."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import allowlist

PACKAGE = Path(allowlist.__file__).parent
THIRD_PARTY = ("django", "rest_framework", "ipware", "corsheaders", "redis", "drf_spectacular")

# Bottom-up: a module imports only from rows above its own, or in its row from those left of it.
POLICY_LAYERS = """
problems
origins
networks
entries
guards
tokens
decision
"""
LAYERS = """
policy
bounded        conf              signals
freshness
validators
edits          models
client_ip      sources
lookup
access
permissions    authentication  throttling  cors
serializers    views           urls        schema
admin_forms    admin           management
checks         apps
"""
MAY_IMPORT = {"guards": {"ada_url", "publicsuffixlist"}, "entries": {"ada_url"}}

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


def order(layers: str) -> list[str]:
    return layers.split()


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
    run(BLOCKED_IMPORT.format(blocked=set(THIRD_PARTY), modules=order(POLICY_LAYERS)) + WORKS)


@pytest.mark.parametrize("module", order(POLICY_LAYERS))
def test_each_module_of_the_core_imports_alone_without_django(module: str) -> None:
    run(BLOCKED_IMPORT.format(blocked=set(THIRD_PARTY), modules=[module]))


def test_the_public_suffix_list_is_not_loaded_at_import() -> None:
    run("from allowlist.policy import guards; assert guards._suffixes.cache_info().currsize == 0")


def sources() -> Iterator[tuple[str, Path]]:
    """Yield each file with the layer it belongs to."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts[0] not in {"policy", "migrations", "__init__"}:
            yield parts[0], path


def imports(path: Path) -> Iterator[str]:
    """Yield what ``path`` imports at run time, absolute and dotted: for typing alone does not count."""
    package = ("allowlist", *path.relative_to(PACKAGE).parent.parts)
    todo: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            todo += node.orelse
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            name = ".".join(filter(None, (base, node.module)))
            yield from (f"{name}.{alias.name}" for alias in node.names)
        else:
            todo += ast.iter_child_nodes(node)


def layers_imported(path: Path, package: str) -> set[str]:
    prefix = f"{package}."
    return {name.removeprefix(prefix).partition(".")[0] for name in imports(path) if name.startswith(prefix)}


@pytest.mark.parametrize(("layer", "path"), [pytest.param(*each, id=each[1].stem) for each in sources()])
def test_a_module_imports_only_from_rows_above_its_own(layer: str, path: Path) -> None:
    allowed = order(LAYERS)
    assert layer in allowed, f"give {layer} a row of LAYERS"
    own = {layer} if path.parent != PACKAGE else set()
    assert layers_imported(path, "allowlist") <= set(allowed[: allowed.index(layer)]) | own


@pytest.mark.parametrize("path", sorted((PACKAGE / "policy").glob("[!_]*.py")), ids=lambda path: path.stem)
def test_a_module_of_the_core_imports_only_from_those_below_it(path: Path) -> None:
    allowed = order(POLICY_LAYERS)
    assert path.stem in allowed, f"give {path.stem} a row of POLICY_LAYERS"
    assert layers_imported(path, "allowlist") <= {"policy"}
    assert layers_imported(path, "allowlist.policy") <= set(allowed[: allowed.index(path.stem)])


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
