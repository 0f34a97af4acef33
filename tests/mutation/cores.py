"""Which modules are mutated, and which tests may notice it: fast ones that need no other process."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CORES = {
    name: ROOT / "services" / name / f"tranche_{name}" / "core"
    for name in ("planner", "scheduler", "executor")
}
TESTED_BY = ("tests/unit", "tests/properties")
WITHOUT = "not nats and not real and not kills"
"""The expression of marks that leaves out what needs other processes."""
LEFT_OUT = ("test_bad_*", "test_cli_*", "test_reference.py", "test_settings.py")
"""They import the services to judge other things than decisions, or begin all three for every example."""


def package(core: str) -> str:
    return f"tranche_{core}"


def modules(core: str) -> dict[str, Path]:
    """Every module of a core by its short name, as ``executor.fence``."""
    found = sorted(CORES[core].rglob("*.py"))
    return {f"{core}.{'.'.join(one.relative_to(CORES[core]).with_suffix('').parts)}": one for one in found}


def imported_as(core: str, module: str) -> str:
    """The full name of a module, as ``tranche_executor.core.fence``."""
    name = f"{package(core)}.core.{module.partition('.')[2]}"
    return name.removesuffix(".__init__")


def test_files(core: str) -> list[str]:
    """The test files that import the service, themselves or by way of another file of the tests."""
    files = [one for folder in TESTED_BY for one in sorted((ROOT / folder).glob("test_*.py"))]
    files = [one for one in files if not any(one.match(left) for left in LEFT_OUT)]
    return [str(one.relative_to(ROOT)) for one in files if package(core) in _reached(one)]


@cache
def _reached(path: Path, depth: int = 4) -> frozenset[str]:
    """The packages a test file imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf8"))):
        found: list[str] = []
        if isinstance(node, ast.Import):
            found = [one.name for one in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found = [node.module, *(f"{node.module}.{one.name}" for one in node.names)]
        for name in found:
            names.add(name.partition(".")[0])
            other = ROOT / f"{name.replace('.', '/')}.py"
            if name.startswith("tests.") and depth and other.is_file():
                names |= _reached(other, depth - 1)
    return frozenset(names)
