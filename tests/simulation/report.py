"""What came of many schedules: totals, kinds that were never seen, and one hash over all of them."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from tests.simulation.air import Fate
from tests.simulation.family import Told
from tests.simulation.scenario import KINDS
from tests.simulation.strikes import BASE_FAULTS

WORDS = (Fate.SLOW, Fate.LOST, Fate.UNANSWERED, Fate.LATE, Fate.CRASH_BEFORE, Fate.CRASH_AFTER)
CALLS = (Fate.LOST, Fate.UNANSWERED, Fate.LATE)
FAULTS = (
    *(*KINDS, "broker forgets", "missed pod event"),
    *WORDS,
    *(f"call {fate}" for fate in CALLS),
    *(f"base {kind}" for kind in BASE_FAULTS),
)
"""Every kind of fault there is: a campaign worth its name has seen each."""


@dataclass(slots=True)
class Totals:
    """Of all schedules so far, in the order of their seeds."""

    families: int = 0
    schedules: int = 0
    replicas: int = 0
    generations: int = 0
    seconds: float = 0.0
    shared_s: float = 0.0
    steps: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    excused: Counter[str] = field(default_factory=Counter)
    violations: list[Told] = field(default_factory=list)
    _fold: hashlib._Hash = field(default_factory=hashlib.sha256)

    def add(self, family: Iterable[Told]) -> None:
        """The next family."""
        self.families += 1
        for told in family:
            self.schedules += 1
            self.replicas += told.replicas
            self.generations += told.generations
            self.seconds += told.seconds
            self.shared_s += told.shared_s
            self.steps += told.steps
            self.counts.update(told.counts)
            self.excused.update(told.excused)
            if told.rule:
                self.violations.append(told)
            self._fold.update(f"{told.seed} {told.digest:08x}\n".encode())

    @property
    def hash(self) -> str:
        """Of everything that happened in every schedule, in the order of their seeds."""
        return self._fold.hexdigest()

    def never_seen(self) -> list[str]:
        """Kinds of faults that did not happen once."""
        return [kind for kind in FAULTS if not self.counts[f"fault {kind}"]]

    def rows(self, *, elapsed_s: float, widths: Sequence[int]) -> Iterator[tuple[str, str]]:
        """The report: a heading and what there is to say, row by row."""
        count = max(1, self.schedules)
        whole = f"{self.schedules:,} in {elapsed_s:.0f} s, {self.schedules / max(0.001, elapsed_s):.1f}/s"
        if widths:
            whole += f"; {self.families:,} beginnings, each left on {' x '.join(map(str, widths))} ways"
        yield "schedules", whole
        yield (
            "of each",
            f"{self.replicas / count:.1f} replicas, {self.generations / count:.2f} generations, "
            f"{self.seconds / count:.1f} s of virtual time (means)",
        )
        played = self.seconds - self.shared_s
        yield "virtual time", f"{played / 3600:.1f} h played, {self.steps:,} steps"
        operations = {kind: n for kind, n in self.counts.items() if not kind.startswith("fault ")}
        yield "operations", _listed(operations)
        faults = {
            kind.removeprefix("fault "): n for kind, n in self.counts.items() if kind.startswith("fault ")
        }
        yield "faults", _listed(faults)
        yield "excused", _listed(self.excused)
        yield "violations", str(len(self.violations))


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{kind} {count:,}" for kind, count in sorted(counts.items())) or "none"
