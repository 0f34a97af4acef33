"""A connection to the broker in memory through the air."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from typing import TypeVar

from tests.simulation.air import NO_ANSWER_S, Air, Fate
from tests.simulation.loop import sleep
from tests.simulation.process import PROCESS
from tranche.bus.memory.line import Line
from tranche.errors import TrancheError, Unknown
from tranche.runtime import Clock

T = TypeVar("T")


class AirLine(Line):
    """Words may be late, lost or unanswered, and each is a point at which a process may die."""

    def __init__(self, clock: Clock, air: Air) -> None:
        super().__init__(clock)
        self._air = air

    async def tell(self, about: str, act: Callable[[], object]) -> None:
        air = self._air
        fate = air.fate()
        await air.before(fate)
        if not self.connected:
            return
        if fate in (Fate.LOST, Fate.UNANSWERED, Fate.LATE):
            air.fault(fate, about)
            if fate is not Fate.LOST:
                self._later(about, act)
            return
        self._done(about, "told")
        act()
        await air.after(fate)

    async def ask(self, about: str, act: Callable[[], T]) -> T:
        air = self._air
        self.check(about)
        breaks = self.breaks
        fate = air.fate()
        await air.before(fate)
        await air.pause(fate)
        if self.breaks != breaks:
            raise Unknown(f"{about}: the connection broke before the answer came")
        if fate is Fate.LOST or fate is Fate.LATE:
            air.fault(fate, about)
            if fate is Fate.LATE:
                self._later(about, act)
            await sleep(air.loop, NO_ANSWER_S)
            raise Unknown(f"{about}: no answer in time")
        refused: TrancheError | None = None
        try:
            answer = act()
            self._done(about, "done")
        except TrancheError as error:
            self._done(about, type(error).__name__)
            refused = error
        await air.after(fate)
        if fate is Fate.UNANSWERED:
            air.fault(fate, about)
            await sleep(air.loop, NO_ANSWER_S)
            raise Unknown(f"{about}: no answer in time")
        await air.back()
        if self.breaks != breaks:
            raise Unknown(f"{about}: the connection broke before the answer came")
        if refused is not None:
            raise refused
        return answer

    def _later(self, about: str, act: Callable[[], object]) -> None:
        """On its way it is nobody's any more."""

        def arrive() -> None:
            with suppress(TrancheError):
                act()
                self._air.note("late", about)

        self._air.loop.call_later(NO_ANSWER_S + self._air.draw.random() * 4.0, arrive, context=Context())

    def _done(self, about: str, how: str) -> None:
        process = PROCESS.get()
        self._air.counts["bus"] += 1
        self._air.note(process.instance if process else "world", about, how)
