"""A family of schedules: one beginning, left at a drawn moment by processes that each go their own way from there.

What lies before the moment is played once for all of them. A process that leaves is a copy of the one it left, so a
branch is exactly what its seed alone makes of it (``schedule.run``).
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NoReturn

from tests.simulation.scenario import draw
from tests.simulation.schedule import Play, Verdict

LONGEST_S = 600.0
"""Seconds of the processor that one schedule may take: whoever takes more is ended, and reported."""


@dataclass(slots=True)
class Told:
    """What a schedule tells about itself. What its family had in common is counted by one of them only."""

    seed: str
    digest: int
    replicas: int
    generations: int
    seconds: float
    steps: int
    counts: Counter[str] = field(default_factory=Counter)
    excused: Counter[str] = field(default_factory=Counter)
    rule: str = ""
    """The rule it broke first; empty: none."""
    line: str = ""
    """What a person needs to know of that."""
    shared_s: float = 0.0
    """Virtual seconds that others had played already."""


Tell = Callable[[Told], None]


def tell_family(seed: str, widths: Sequence[int], tell: Tell) -> None:
    """Play a family; ``widths``: so many ways part at each moment, none: it is a single schedule."""
    with Play(draw(seed)) as play:
        _grow(play, widths, tell, _Shared())


@dataclass(frozen=True, slots=True)
class _Shared:
    """What was played before this process left its family."""

    seconds: float = 0.0
    steps: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    excused: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, play: Play) -> _Shared:
        world = play.world
        return cls(
            world.loop.time(), world.loop.steps, Counter(world.air.counts), Counter(play.oracle.excused)
        )

    def told(self, verdict: Verdict) -> Told:
        broken = verdict.violations
        return Told(
            seed=verdict.seed,
            digest=verdict.digest,
            replicas=verdict.replicas,
            generations=verdict.generations,
            seconds=verdict.seconds,
            steps=verdict.steps - self.steps,
            counts=verdict.counts - self.counts,
            excused=verdict.excused - self.excused,
            rule=broken[0].rule if broken else "",
            line=verdict.line if broken else "",
            shared_s=self.seconds,
        )


def _grow(play: Play, widths: Sequence[int], tell: Tell, shared: _Shared) -> None:
    """To the end along every branch: the others first, then on along the way this one was on."""
    _limit()
    if not widths:
        tell(shared.told(play.end()))
        return
    play.to_the_moment()
    # What is broken before the moment is broken on every branch: once is enough.
    for number in range(1, 1 if play.broken else widths[0]):
        pid = os.fork()
        if not pid:
            _leave(play, number, widths[1:], tell)
        if ended := os.waitpid(pid, 0)[1]:
            tell(lost(f"{play.path}.{number}", ended))
    play.branch(0)
    _grow(play, widths[1:], tell, shared)


def _leave(play: Play, number: int, widths: Sequence[int], tell: Tell) -> NoReturn:
    """In a process of its own, which ends here."""
    with ends_process():
        shared = _Shared.of(play)
        play.world.loop.__enter__()  # asyncio knows a running loop only in the process that said so
        play.branch(number)
        _grow(play, widths, tell, shared)
    raise AssertionError("it has ended")


@contextmanager
def ends_process() -> Iterator[None]:
    """This process ends with the block, untidied; 1: with a failure that is shown."""
    status = 1
    try:
        yield
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def lost(seed: str, ended: int) -> Told:
    """Of a schedule whose process ended before it told anything; ``ended``: what the system says of it."""
    how = f"signal {-code}" if (code := os.waitstatus_to_exitcode(ended)) < 0 else f"exit {code}"
    words = f"seed {seed}: its process ended before its verdict ({how})"
    return Told(seed, 0, 0, 0, 0.0, 0, rule="lost", line=words)


def _limit() -> None:
    """From now on this process has so long, then the system ends it."""
    signal.setitimer(signal.ITIMER_VIRTUAL, LONGEST_S)
