"""What became of each mutant, kept between runs, and the table of modules."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.mutation.cores import ROOT
from tests.mutation.mutants import Mutant

KEPT = ROOT / ".mutation"
EQUIVALENT = Path(__file__).with_name("equivalent.toml")
BAR = 90.0
"""Per cent of the mutants of every module."""
Key = tuple[str, str, str, str, int]


@dataclass(frozen=True, slots=True)
class Result:
    """One mutant's end. ``by``: the test that noticed it. ``reason``: why no test can, where that is known."""

    id: str
    module: str
    place: str
    line: int
    before: str
    after: str
    nth: int
    verdict: str
    by: str = ""
    reason: str = ""

    @property
    def key(self) -> Key:
        return (self.module, self.place, self.before, self.after, self.nth)

    @property
    def survived(self) -> bool:
        return self.verdict == "survived" and not self.reason


def result(mutant: Mutant, verdict: str, by: str, reasons: Mapping[Key, str]) -> Result:
    known = reasons.get(mutant.key, "") if verdict == "survived" else ""
    where = (mutant.id, mutant.module, mutant.place, mutant.line, mutant.before, mutant.after, mutant.nth)
    return Result(*where, verdict, by, known)


def reasons() -> dict[Key, str]:
    """The mutants that mean the same as the code, and why, from ``equivalent.toml``."""
    given = tomllib.loads(EQUIVALENT.read_text("utf8"))
    return {
        (module, one["in"], one["before"], one["after"], one.get("nth", 0)): one["why"]
        for module, each in given.items()
        for one in each
    }


def load(core: str) -> dict[str, list[Result]]:
    """The last results of a core by module; empty where there are none."""
    path = KEPT / f"{core}.json"
    if not path.exists():
        return {}
    given = json.loads(path.read_text("utf8"))
    return {module: [Result(**one) for one in each] for module, each in given.items()}


def save(core: str, results: Mapping[str, Iterable[Result]]) -> None:
    KEPT.mkdir(exist_ok=True)
    text = json.dumps({module: [asdict(one) for one in each] for module, each in results.items()}, indent=1)
    (KEPT / f"{core}.json").write_text(text, "utf8")


@dataclass(frozen=True, slots=True)
class Row:
    """A module's counts. ``equivalent`` ones are in no other count."""

    module: str
    mutants: int
    killed: int
    timeout: int
    survived: int
    equivalent: int

    @property
    def score(self) -> float:
        """Per cent of its mutants that were noticed; 100 where it has none."""
        return 100.0 * (self.killed + self.timeout) / self.mutants if self.mutants else 100.0

    @property
    def passes(self) -> bool:
        return self.score >= BAR


def row(module: str, results: Iterable[Result]) -> Row:
    each = list(results)
    equivalent = sum(1 for one in each if one.reason)
    count = {verdict: sum(1 for one in each if one.verdict == verdict) for verdict in ("killed", "timeout")}
    mutants = len(each) - equivalent
    survived = mutants - count["killed"] - count["timeout"]
    return Row(module, mutants, count["killed"], count["timeout"], survived, equivalent)


def total(rows: Iterable[Row]) -> Row:
    each = list(rows)
    sums = (sum(getattr(one, name) for one in each) for name in Row.__slots__[1:])
    return Row("all", *sums)


def table(rows: Iterable[Row]) -> str:
    """The rows in columns, the sum below."""
    each = list(rows)
    width = max(len(one.module) for one in each)
    names = ("mutants", "killed", "timeout", "survived", "equivalent")
    lines = [f"{'module':{width}}  {'  '.join(f'{name:>10}' for name in names)}  {'score':>8}"]
    for one in [*each, total(each)]:
        counts = "  ".join(f"{getattr(one, name):>10}" for name in names)
        lines.append(f"{one.module:{width}}  {counts}  {one.score:>6.1f} %{'' if one.passes else '  < 90'}")
    return "\n".join(lines)
