"""``python -m tests.simulation.sweep``: golden rollouts again and again, a crash at another I/O point each time.

Nothing may be broken, and the end has to be that of the undisturbed rollout.
"""

from __future__ import annotations

import argparse
import gc
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

from tests.simulation.branches import Branches, Chosen
from tests.simulation.golden import GOLDENS, Golden
from tests.simulation.logs import silence
from tests.simulation.outcome import differences
from tests.simulation.points import Crashes
from tests.simulation.rerun import QUIET_S, Run, play

PAIRED, PAIRS = "smallest", "pairs"
PAIRED_STEP = 2
"""Pairs of crashes are tried from the second apply until its rollout is over: what serves is replaced then."""
PAIRS_QUIET_S = 1.0
"""There are many: they are not watched for long once all is over."""
SHOWN = 20


@dataclass(frozen=True, slots=True)
class Failure:
    """A run that did not end as it must. ``kinds``: of the points at which somebody died."""

    golden: str
    crashes: Crashes
    kinds: tuple[str, ...]
    words: tuple[str, ...]

    @property
    def command(self) -> str:
        """Plays it again."""
        return f"make sweep GOLDEN={self.golden} AT={','.join(map(str, self.crashes))}"

    def __str__(self) -> str:
        return "\n    ".join((self.command, f"died at {'; '.join(self.kinds)}", *self.words[:SHOWN]))

    def died_at(self, index: int, kind: str) -> Failure:
        """The run that a child left knows what came of the word at which somebody died; the child does not."""
        return replace(self, kinds=(*self.kinds[:index], kind, *self.kinds[index + 1 :]))


@dataclass(slots=True)
class Tally:
    """What came of some runs. ``seen``: kinds of points, and how to die there: crashes of a run that has it, and
    its number then. ``died``: how often somebody did."""

    runs: int = 0
    failures: list[Failure] = field(default_factory=list)
    seen: dict[str, Crashes] = field(default_factory=dict)
    died: Counter[str] = field(default_factory=Counter)

    def add(self, other: Tally) -> None:
        """Both together."""
        self.runs += other.runs
        self.failures += other.failures
        self.seen = other.seen | self.seen
        self.died += other.died

    @property
    def untried(self) -> dict[str, Crashes]:
        """Kinds of points at which nobody died yet."""
        return {kind: crashes for kind, crashes in self.seen.items() if not self.died[kind]}


@dataclass(slots=True)
class Sweep:
    """One rollout and its undisturbed run."""

    golden: Golden
    calm: Run

    @classmethod
    def of(cls, golden: Golden) -> Sweep:
        """Raises RuntimeError where the rollout goes wrong undisturbed."""
        calm = play(golden)
        if calm.faults:
            raise RuntimeError(f"{golden.name} fails undisturbed: {'; '.join(calm.faults)}")
        return cls(golden, calm)

    def judge(self, run: Run) -> Tally:
        """What one run says."""
        words = (*run.faults, *differences(self.calm.end, run.end))
        died = tuple(run.kinds[number - 1] for number in run.crashes)
        last = max(run.crashes, default=0)
        seen: dict[str, Crashes] = {}
        for number, kind in enumerate(run.kinds[last:], last + 1):
            seen.setdefault(kind, (*run.crashes, number))
        failures = [Failure(self.golden.name, run.crashes, died, words)] if words else []
        return Tally(1, failures, seen)

    def explore(self, *ways: Chosen, jobs: int = 1, quiet_s: float = QUIET_S) -> Tally:
        """The undisturbed run, one with a crash at each point that the first way chooses, of each of those one
        with another crash at each point that the second way chooses, and so on."""
        branches: Branches[Tally] = Branches(ways, jobs)
        run = play(self.golden, at_point=branches.at_point, quiet_s=quiet_s)
        tally = self.judge(run)
        for number, told in branches.told():
            kind = run.kinds[number - 1]
            told.failures = [failure.died_at(len(run.crashes), kind) for failure in told.failures]
            tally.add(told)
            tally.died[kind] += 1
        branches.tell(tally)
        return tally

    def singles(self, *, jobs: int) -> Tally:
        """A crash at every point, and then at those kinds of points that only recoveries have."""
        tally = self.explore(lambda *_: True, jobs=jobs)
        while untried := tally.untried:
            kind, crashes = next(iter(untried.items()))
            tally.add(self.judge(play(self.golden, crashes)))
            tally.died[kind] += 1
        return tally

    def sample(self, count: int, seed: str, *, jobs: int) -> Tally:
        """A crash at so many points, drawn, each of another kind as long as there are any."""
        dice = random.Random(f"{seed}/{self.golden.name}")
        order = dice.sample(range(1, self.calm.points + 1), self.calm.points)
        first = {self.calm.kinds[number - 1]: number for number in reversed(order)}
        drawn = frozenset([*first.values(), *(set(order) - set(first.values()))][:count])
        return self.explore(lambda number, _: number in drawn, jobs=jobs)

    def pairs(self, *, jobs: int) -> Tally:
        """A crash at every point of the second rollout, and another at every point from there until it is over."""

        def replacing(_: int, step: int) -> bool:
            return step == PAIRED_STEP

        return self.explore(replacing, replacing, jobs=jobs, quiet_s=PAIRS_QUIET_S)


def main() -> int:
    given = _arguments()
    silence()
    gc.collect()
    gc.freeze()
    # A child is gone before there is anything to collect, and its memory is its parent's until somebody writes.
    gc.disable()
    if given.at:
        golden = GOLDENS[given.golden or PAIRED]
        return _replay(golden, tuple(sorted(map(int, given.at.split(",")))), log=given.log)
    print(f"{'rollout':26}{'points':>8}{'crashes':>9}{'failures':>10}{'kinds of points':>18}{'seconds':>9}")
    failures = 0
    for golden in GOLDENS.values():
        if given.golden not in (None, golden.name):
            continue
        sweep = Sweep.of(golden)
        if given.sample is not None:
            failures += _row(
                golden.name, sweep, partial(sweep.sample, given.sample, given.seed, jobs=given.jobs)
            )
        else:
            failures += _row(golden.name, sweep, partial(sweep.singles, jobs=given.jobs))
    if given.golden in (None, PAIRS) and given.sample is None:
        sweep = Sweep.of(GOLDENS[PAIRED])
        failures += _row(f"{PAIRED}, {PAIRS}", sweep, partial(sweep.pairs, jobs=given.jobs))
    return bool(failures)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.sweep", description=__doc__)
    parser.add_argument("--golden", choices=(*GOLDENS, PAIRS), help="only this rollout, or the pairs")
    parser.add_argument("--at", help="one run: with crashes at these I/O points, such as 310 or 310,402")
    parser.add_argument("--log", action="store_true", help="with --at: everything that happens")
    parser.add_argument("--sample", type=int, help="so many crashes per rollout, drawn, and no pairs")
    parser.add_argument("--seed", default="0", help="of what is drawn (0)")
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time (1)")
    return parser.parse_args()


def _row(name: str, sweep: Sweep, work: Callable[[], Tally]) -> int:
    """One line, and how to see what failed; how many that were."""
    began = time.perf_counter()
    tally = work()
    seconds = time.perf_counter() - began
    kinds = f"{len(tally.seen) - len(tally.untried)} of {len(tally.seen)}"
    crashes = sum(tally.died.values())
    print(
        f"{name:26}{sweep.calm.points:8}{crashes:9}{len(tally.failures):10}{kinds:>18}{seconds:9.1f}",
        flush=True,
    )
    for failure in tally.failures[:SHOWN]:
        print(failure, flush=True)
    return len(tally.failures)


def _replay(golden: Golden, crashes: Crashes, *, log: bool) -> int:
    sweep = Sweep.of(golden)
    lines: list[str] | None = [] if log else None
    found = sweep.judge(play(golden, crashes, log=lines)).failures
    found = [failure.died_at(0, sweep.calm.kinds[crashes[0] - 1]) for failure in found]
    print(*(lines or ()), *(map(str, found) if found else ["as undisturbed"]), sep="\n")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
