"""That mutants are made, told apart, judged and counted as they should be: the run is only as good as this."""

from __future__ import annotations

import ast
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.mutation import cores
from tests.mutation.judging import Judged, allow, judge
from tests.mutation.mutants import compiled, mutants
from tests.mutation.results import Result, reasons, row, table
from tests.mutation.sitting import code_of, functions


def changes(source: str) -> set[tuple[str, str]]:
    return {(one.before, one.after) for one in mutants("m", source)}


@pytest.mark.parametrize(
    ("line", "before", "after"),
    [
        ("return a < b", "a < b", "a <= b"),
        ("return a < b", "a < b", "a >= b"),
        ("return a is None", "a is None", "a is not None"),
        ("return a in b", "a in b", "a not in b"),
        ("return a and b", "a and b", "a or b"),
        ("return a and b", "a and b", "a"),
        ("return a and b", "a and b", "b"),
        ("return not a", "not a", "a"),
        ("return a + 2", "a + 2", "a - 2"),
        ("return a + 2", "a + 2", "a"),
        ("return a + 2", "2", "3"),
        ("return True", "True", "False"),
        ("return 'no'", "'no'", "''"),
        ("return f'{a}: {b}'", "f'{a}: {b}'", "''"),
        ("return f'{a}: {b}'", "f'{a}: {b}'", "f'{a}: '"),
        ("return a", "return a", "return None"),
        ("c = a", "c = a", "c = None"),
        ("a += b", "a += b", "a -= b"),
        ("a.add(b)", "a.add(b)", "pass"),
        ("raise a", "raise a", "pass"),
        ("if a: b()", "a", "not a"),
        ("return a if b else c", "b", "not b"),
        ("return [x for x in a if x]", "x", "not x"),
        ("return a(b)", "a(b)", "a(None)"),
        ("return a(c=b)", "a(c=b)", "a()"),
        ("return min(a, b)", "min(a, b)", "max(a, b)"),
        ("return any(a)", "any(a)", "all(a)"),
        ("return sorted(a)", "sorted(a)", "list(a)"),
        ("return a[b:c]", "b:c", ":c"),
        ("return a[b:c]", "b:c", "b:"),
        ("for x in a: continue", "continue", "break"),
        ("match a:\n  case int(): b()", "case int()", "case int() if False"),
        ("match a:\n  case int() if b: c()", "b", "not b"),
        ("return lambda: a < b", "a < b", "a <= b"),
    ],
)
def test_each_kind_of_change_is_made(line: str, before: str, after: str) -> None:
    body = "\n".join(f"  {one}" for one in line.splitlines())
    assert (before, after) in changes(f"def f(a, b, c):\n{body}")


@pytest.mark.parametrize(
    "source",
    [
        '"""A module."""',
        "import os",
        "A = int | None",
        "A = Literal['a']",
        "__all__ = ['a']",
        "def f(a: Literal['x']) -> 'int': ...",
        "@dataclass(frozen=True)\nclass A:\n  '''It.'''\n  a: int",
        "def f(a):\n  match a:\n    case _: assert_never(a)",
        "if TYPE_CHECKING: import a",
    ],
)
def test_what_the_type_checker_judges_is_left_alone(source: str) -> None:
    assert changes(source) == set()


def test_a_mutant_is_one_change_and_the_next_begins_from_the_code_as_it_is() -> None:
    source = "def few(n):\n  return n + 1 < 3\n"
    plain = ast.dump(ast.parse(source))
    for one in mutants("m", source):
        space: dict[str, object] = {}
        exec(compiled(one, "m.py"), space)
        mutated = ast.dump(one.tree())
        one.restore()
        assert mutated != plain
        assert ast.dump(one.tree()) == mutated
        one.restore()


def test_a_mutant_knows_where_it_acts() -> None:
    source = "LIMIT = 3\n\nclass A:\n  size = 4\n  @property\n  def big(self, by=2):\n    return [self, 1]\n"
    where = {one.before: (one.place, one.function) for one in mutants("m", source)}
    assert where["3"] == ("(module)", None)
    assert where["4"] == ("A", None)
    assert where["2"] == ("A.big", None), "defaults are made when the module is imported"
    assert where["1"] == ("A.big", ("A.big", 5))


def test_names_of_mutants_outlive_lines_that_move() -> None:
    before = [one.key for one in mutants("m", "def f(a):\n  return (a < 1, a < 1)\n")]
    after = [one.key for one in mutants("m", "# said\n\n\ndef f(a):\n  return (a < 1, a < 1)\n")]
    assert before == after
    assert len(set(before)) == len(before)


def test_every_mutant_of_every_core_is_code_and_every_reason_names_one() -> None:
    keys = set()
    for core in cores.CORES:
        for module, path in cores.modules(core).items():
            found = mutants(module, path.read_text("utf8"))
            new = {one.key for one in found}
            assert len(new) == len(found)
            keys |= new
            for one in found[::40]:
                compiled(one, "m.py")
    assert set(reasons()) <= keys


def test_a_function_that_is_in_use_becomes_the_mutant(tmp_path: Path) -> None:
    source = """
def outer(step):
  class Counter:
    @property
    def next(self):
      return step + 1
  return Counter()

counter = outer(4)
twice = [outer]
"""
    path = tmp_path / "m.py"
    space: dict[str, Any] = {}
    exec(compile(source, str(path), "exec"), space)
    mutant = next(one for one in mutants("m", source) if one.after == "step - 1")
    assert mutant.function == ("outer", 2)
    (function,) = functions({str(path)})[str(path), *mutant.function]
    function.__code__ = code_of(compiled(mutant, str(path)), *mutant.function)
    assert space["twice"][0](4).next == 3
    assert space["counter"].next == 5, "made before, from the code as it was"


def test_every_module_of_every_core_is_looked_at() -> None:
    looked_at = {path for core in cores.CORES for path in cores.modules(core).values()}
    assert looked_at == set((cores.ROOT / "services").glob("*/*/core/**/*.py"))
    assert {len(cores.test_files(core)) > 3 for core in cores.CORES} == {True}


# --- judging ---


def ends(trials: dict[str, object], jobs: int = 2) -> dict[str, Judged]:
    ended: dict[str, Judged] = {}
    judge(list(trials.items()), jobs, ended.__setitem__)  # type: ignore[arg-type]
    return ended


def test_a_child_tells_its_end_and_leaves_the_parent_as_it_was() -> None:
    touched: list[int] = []

    def touches() -> str:
        touched.append(1)
        return ""

    def runs_for_ever() -> str:
        allow(0.05)
        while True:
            touched.append(1)
            touched.clear()

    def breaks() -> str:
        raise KeyError("a")

    def dies() -> str:
        os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(60)
        return ""

    found = ends({"a": touches, "b": lambda: "test_it", "c": runs_for_ever, "d": breaks, "e": dies})
    assert found["a"] == Judged("survived")
    assert found["b"] == Judged("killed", "test_it")
    assert found["c"].verdict == "timeout"
    assert found["d"].verdict == found["e"].verdict == "killed"
    assert "KeyError" in found["d"].by
    assert "SIGKILL" in found["e"].by
    assert touched == []


# --- counting ---


def result(verdict: str, reason: str = "") -> Result:
    return Result("m/1", "m", "f", 1, "a", "b", 0, verdict, reason=reason)


def test_scores_leave_out_what_means_the_same() -> None:
    each = [result("killed")] * 8 + [result("timeout"), result("survived"), result("survived", "the same")]
    found = row("m", each)
    assert (found.mutants, found.killed, found.timeout, found.survived, found.equivalent) == (10, 8, 1, 1, 1)
    assert (found.score, found.passes) == (90.0, True)
    worse = row("n", [*each, result("survived")])
    assert not worse.passes
    assert row("empty", []).passes
    lines = table([found, worse]).splitlines()
    assert ("< 90" in lines[1], "< 90" in lines[2]) == (False, True)
    assert lines[-1].split()[:5] == ["all", "21", "16", "2", "3"]
