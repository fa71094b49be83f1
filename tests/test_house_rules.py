"""The rules of the house, held by reading the source: directions of import, sizes, docstrings, what loads what."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
GWSIM = ROOT / "gwsim"
SOURCES = sorted(GWSIM.rglob("*.py"))
TESTS = [p for p in sorted((ROOT / "tests").rglob("*.py")) if p != Path(__file__).resolve()]

LAYERS = (
    ("_version",), ("errors", "units"), ("files",), ("diagnostics",), ("resources",), ("topology",), ("queries",), ("costs",),
    ("scenario",),
    ("engine",), ("results",), ("planning",), ("observed",), ("envoy",), ("report",), ("notebook",), ("api",), ("cli",), ("__main__",),
)
"""Each package imports only from its own row and the rows before it."""
ROW = {name: row for row, names in enumerate(LAYERS) for name in names}

MACHINERY = {
    "reference": {"agenda", "pool_limits", "sampling", "streams", "tallies"},
    "compiled": {
        "compiler", "control", "draws", "driver", "heaps", "kernel", "layout", "loop", "machine_code", "replies", "selftest", "slots", "state", "timers", "world_type",
    },
}
"""Modules that one engine needs to be what it is. Everything else is a component, in a file of the same name in both."""
PENDING = {"conversations", "tcp_pools", "tcp_proxy"}
"""Components of the reference engine that the compiled one does not have yet (gwsim/engine/features.py)."""

MAX_MODULE_LINES = 500
MAX_FUNCTION_LINES = 60
HEAVY = ("numpy", "numba", "pandas", "matplotlib", "pydantic", "scipy", "simpy")
MACHINE_PATH = re.compile(r"(?<![\w.])/(home|root|Users|work|workspace|mnt)/\w")
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError)\b")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of a file, parsed once."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def where(path: Path, node: ast.AST | None = None) -> str:
    """`file:line` below the root of the repository."""
    line = f":{node.lineno}" if isinstance(node, ast.stmt) else ""
    return f"{path.relative_to(ROOT)}{line}"


def module_name(path: Path) -> str:
    """The dotted name of a file of the package."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[tuple[ast.stmt, str]]:
    """Every gwsim module a file imports, wherever in the file: at the top, in functions, for type checking."""
    package = module_name(path) if path.name == "__init__.py" else module_name(path).rpartition(".")[0]
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "gwsim":
                    yield node, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            if base.split(".")[0] == "gwsim":
                for alias in node.names:
                    yield node, f"{base}.{alias.name}"


def row_of(module: str) -> int | None:
    """The row of a dotted name in the table; None for the package itself."""
    parts = module.split(".")
    return ROW.get(parts[1]) if len(parts) > 1 else None


def functions(path: Path) -> Iterator[Function]:
    """Every function and method of a file."""
    for node in ast.walk(tree(path)):
        if isinstance(node, Function):
            yield node


def test_every_package_has_its_row() -> None:
    """A new package is entered in the table, at the place its imports allow."""
    found = {p.relative_to(GWSIM).with_suffix("").parts[0] for p in SOURCES} - {"__init__"}
    assert sorted(found - set(ROW)) == []


def test_imports_point_one_way() -> None:
    """A package imports from its own row and the rows before it, also inside functions and for type checking."""
    wrong = []
    for path in SOURCES:
        own = row_of(module_name(path))
        if own is None:
            continue
        for node, name in imports(path):
            other = row_of(name)
            if other is not None and other > own:
                wrong.append(f"{where(path, node)} imports {name}")
    assert wrong == []


@pytest.mark.parametrize(
    ("engine", "forbidden"),
    [
        ("reference", ("gwsim.engine.compiled", "gwsim.engine.lowering", "gwsim.engine.race")),
        ("compiled", ("gwsim.engine.reference", "gwsim.engine.race")),
    ],
)
def test_the_engines_are_independent(engine: str, forbidden: tuple[str, ...]) -> None:
    """Behaviour is written twice: neither engine sees the other, and lowering is under test too."""
    wrong = [
        f"{where(path, node)} imports {name}"
        for path in SOURCES
        if path.parent == GWSIM / "engine" / engine
        for node, name in imports(path)
        if name.startswith(forbidden)
    ]
    assert wrong == []


def test_what_the_engines_share_depends_on_neither() -> None:
    """Names, draws and the shape of results are below both engines."""
    above = {"__init__.py", "race.py", "lowering.py"}
    wrong = [
        f"{where(path, node)} imports {name}"
        for path in SOURCES
        if path.parent == GWSIM / "engine" and path.name not in above
        for node, name in imports(path)
        if name.startswith(("gwsim.engine.reference", "gwsim.engine.compiled"))
    ]
    assert wrong == []


def test_a_component_has_the_same_file_name_in_both_engines() -> None:
    """What is in one engine only is that engine's machinery, and named above."""
    files = {e: {p.stem for p in (GWSIM / "engine" / e).glob("*.py")} - {"__init__"} for e in MACHINERY}
    components = {e: files[e] - MACHINERY[e] for e in files}
    assert components["reference"] - PENDING == components["compiled"] - PENDING
    assert {e: sorted(MACHINERY[e] - files[e]) for e in files} == {"reference": [], "compiled": []}


def test_modules_are_short() -> None:
    """Of code, of tests and of tools."""
    lines = {where(p): len(p.read_text(encoding="utf-8").splitlines()) for p in (*SOURCES, *TESTS)}
    assert {name: n for name, n in lines.items() if n > MAX_MODULE_LINES} == {}


def test_functions_are_short() -> None:
    """Docstrings not counted."""
    long = []
    for path in (*SOURCES, *TESTS):
        for node in functions(path):
            n = length(node)
            if n > MAX_FUNCTION_LINES:
                long.append(f"{where(path, node)} {node.name}: {n} lines")
    assert long == []


def length(node: Function) -> int:
    """Lines of a function from `def` to its end, without its docstring."""
    n = (node.end_lineno or node.lineno) - node.lineno + 1
    if ast.get_docstring(node, clean=False) is not None:
        doc = node.body[0]
        n -= (doc.end_lineno or doc.lineno) - doc.lineno + 1
    return n


def test_what_is_public_has_a_docstring() -> None:
    """Modules, and their functions and classes without a leading underscore."""
    missing = []
    for path in SOURCES:
        if path.name != "__main__.py" and path.read_text(encoding="utf-8").strip() and ast.get_docstring(tree(path)) is None:
            missing.append(where(path))
        for node in tree(path).body:
            public = isinstance(node, (Function, ast.ClassDef)) and not node.name.startswith("_")
            if public and ast.get_docstring(node) is None:
                missing.append(f"{where(path, node)} {node.name}")
    assert missing == []


@pytest.mark.parametrize(("what", "pattern"), [("machine paths", MACHINE_PATH), ("unfinished work", UNFINISHED)])
def test_source_holds_no(what: str, pattern: re.Pattern[str]) -> None:
    """No path of somebody's machine, and nothing that says it is not done."""
    found = [
        f"{where(path)}:{n} {line.strip()[:80]}"
        for path in (*SOURCES, *TESTS)
        for n, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if pattern.search(line)
    ]
    assert found == [], what


LOADED = f"print('loaded:', *[m for m in {HEAVY!r} if m in sys.modules])"


@pytest.mark.parametrize(
    "code",
    [
        "import sys, gwsim",
        "import sys, gwsim.engine, gwsim.units, gwsim.errors, gwsim.diagnostics",
        "import sys\nfrom gwsim.cli import main\nsys.argv = ['gwsim', '--help']\ntry:\n    main()\nexcept SystemExit as end:\n    assert not end.code",
    ],
    ids=["import gwsim", "import gwsim.engine", "gwsim --help"],
)
def test_heavy_imports_are_lazy(code: str) -> None:
    """What needs no numbers loads no numerical library."""
    done = subprocess.run([sys.executable, "-c", f"{code}\n{LOADED}"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].split() == ["loaded:"]


def test_test_modules_have_names_of_their_own() -> None:
    """pytest imports test modules by their bare name: two of one name cannot be collected together."""
    names = [path.stem for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(name for name in set(names) if names.count(name) > 1) == []
