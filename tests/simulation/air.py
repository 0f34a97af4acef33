"""What lies between processes, broker and bases: delays, losses, and the moments at which a process dies.

Every word on its way out or back is an I/O point, numbered in order, so that a sweep can visit them all.
"""

from __future__ import annotations

import random
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from tests.simulation.loop import SimLoop, sleep
from tests.simulation.process import PROCESS, Process

NO_ANSWER_S = 2.0
"""A question that was not answered is given up after so long."""


class Fate(StrEnum):
    """What becomes of one word."""

    FINE = "fine"
    SLOW = "slow"
    LOST = "lost"
    """It never arrives."""
    UNANSWERED = "unanswered"
    """It is done, and nobody hears of it."""
    LATE = "late"
    """It is done after everybody gave up on it."""
    CRASH_BEFORE = "crash-before"
    CRASH_AFTER = "crash-after"


@dataclass(frozen=True, slots=True)
class Weather:
    """How likely each fate of a word is, 0 to 1."""

    slow: float = 0.0
    lost: float = 0.0
    unanswered: float = 0.0
    late: float = 0.0
    crash: float = 0.0

    @property
    def bad(self) -> float:
        return self.slow + self.lost + self.unanswered + self.late + 2 * self.crash


CALM = Weather()


@dataclass(slots=True)
class Air:
    """One per world. ``sweep``: the I/O points at which the process that is there dies."""

    loop: SimLoop
    draw: random.Random
    weather: Weather = CALM
    sweep: frozenset[int] = frozenset()
    on_crash: Callable[[Process], None] = lambda _: None
    points: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    """Operations and faults by kind."""
    digest: int = 0
    """Of everything that happened, in order."""
    log: list[str] | None = None
    """Lines of what happened, where somebody wants to read them."""

    def note(self, *words: object) -> None:
        """Part of the history that a seed stands for."""
        line = f"{self.loop.time():.6f} {' '.join(map(str, words))}"
        self.digest = zlib.crc32(line.encode(), self.digest)
        if self.log is not None:
            self.log.append(line)

    def fault(self, kind: str, *words: object) -> None:
        """A fault that really happened."""
        self.counts[f"fault {kind}"] += 1
        self.note("FAULT", kind, *words)

    def latency(self) -> float:
        """Seconds one way, mostly none: the order of what happens at once is drawn anyway."""
        drawn = self.draw.random()
        return 0.0 if drawn < 0.7 else (drawn - 0.7) * 0.02

    def fate(self) -> Fate:
        """Drawn for the next word of the running process; what it says happens to it, counted here."""
        bad = self.weather.bad
        if not bad or PROCESS.get() is None:
            return Fate.FINE
        drawn = self.draw.random()
        if drawn >= bad:
            return Fate.FINE
        weather = self.weather
        for fate, chance in (
            (Fate.SLOW, weather.slow),
            (Fate.LOST, weather.lost),
            (Fate.UNANSWERED, weather.unanswered),
            (Fate.LATE, weather.late),
            (Fate.CRASH_BEFORE, weather.crash),
        ):
            if drawn < chance:
                return fate
            drawn -= chance
        return Fate.CRASH_AFTER

    async def point(self, crash: bool) -> None:
        """An I/O point of the running process; one that dies here never gets on."""
        process = PROCESS.get()
        if process is None:
            return
        self.points += 1
        if crash or self.points in self.sweep:
            self.fault("crash", process.instance)
            self.on_crash(process)
            await self.loop.create_future()

    async def before(self, fate: Fate) -> None:
        """The I/O point before a word of this fate."""
        if deadly := fate is Fate.CRASH_BEFORE:
            self.counts[f"fault {fate}"] += 1
        await self.point(deadly)

    async def after(self, fate: Fate) -> None:
        """The I/O point after a word of this fate has arrived."""
        if deadly := fate is Fate.CRASH_AFTER:
            self.counts[f"fault {fate}"] += 1
        await self.point(deadly)

    async def back(self) -> None:
        """An answer on its way: mostly there at once."""
        if seconds := self.latency():
            await sleep(self.loop, seconds)

    async def pause(self, fate: Fate) -> None:
        """On its way."""
        seconds = self.latency()
        if fate is Fate.SLOW:
            self.fault("slow")
            seconds = self.draw.random() ** 3 * 3.0
        await sleep(self.loop, seconds)
