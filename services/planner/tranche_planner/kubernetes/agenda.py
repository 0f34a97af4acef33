"""Which objects are to be looked at, and when: one look at a time for each, a bounded number at once."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from tranche.errors import Refused, TrancheError
from tranche.runtime import Runtime
from tranche.service import Stopping

PARALLEL = 16
LONGEST_S = 0.5
FIRST_AGAIN_S, LAST_AGAIN_S = 0.5, 60.0

Place = tuple[str, str]
Look = Callable[[Place], Awaitable[None]]


class Agenda:
    """Rings for places; what rings while it is looked at is looked at once more afterwards."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._due: dict[Place, float] = {}
        self._order: list[tuple[float, Place]] = []
        self._busy: set[Place] = set()
        self._failures: dict[Place, int] = {}
        self._sooner = asyncio.Event()
        self._slots = asyncio.Semaphore(PARALLEL)
        self._log = structlog.get_logger()

    def ring(self, place: Place, *, after_s: float = 0.0) -> None:
        """Look at it after so many seconds, or at an earlier time that was asked for before."""
        at = self._runtime.clock.monotonic() + after_s
        if at >= self._due.get(place, float("inf")):
            return
        self._due[place] = at
        heapq.heappush(self._order, (at, place))
        self._sooner.set()

    async def run(self, stopping: Stopping, look: Look) -> None:
        """Until the service is asked to stop."""
        async with self._runtime.tasks.group() as group:
            while not stopping.asked:
                self._sooner.clear()
                for place in self._rung():
                    await self._slots.acquire()
                    self._busy.add(place)
                    group.spawn(self._look(place, look), name=f"look at {'/'.join(place)}")
                with suppress(TimeoutError):
                    async with self._runtime.clock.timeout(self._wait_s()):
                        await self._sooner.wait()

    def _rung(self) -> list[Place]:
        """Whose time has come and who is not being looked at: those are put back when that ends."""
        now, rung = self._runtime.clock.monotonic(), []
        while self._order and self._order[0][0] <= now:
            at, place = heapq.heappop(self._order)
            if self._due.get(place) == at and place not in self._busy:
                del self._due[place]
                rung.append(place)
        return rung

    def _wait_s(self) -> float:
        if not self._order:
            return LONGEST_S
        return min(LONGEST_S, max(0.0, self._order[0][0] - self._runtime.clock.monotonic()))

    async def _look(self, place: Place, look: Look) -> None:
        try:
            await look(place)
        except* TrancheError as group:
            self._again(place, group)
        except* Exception:
            self._log.exception("an object could not be seen to, it is tried again", object=place)
            self._again(place, None)
        else:
            self._failures.pop(place, None)
        finally:
            self._busy.discard(place)
            self._slots.release()
            if (at := self._due.get(place)) is not None:
                heapq.heappush(self._order, (at, place))
                self._sooner.set()

    def _again(self, place: Place, errors: BaseExceptionGroup[TrancheError] | None) -> None:
        count = self._failures[place] = self._failures.get(place, 0) + 1
        after_s = min(LAST_AGAIN_S, FIRST_AGAIN_S * 2 ** min(count - 1, 10))
        after_s *= self._runtime.dice.uniform(0.5, 1.0)
        if errors is not None:
            # What was refused is for a person to see: a right that is missing, perhaps.
            refused = errors.subgroup(Refused) is not None
            log = self._log.warning if refused else self._log.info
            words = "; ".join(str(error) for error in errors.exceptions)
            log("an object is seen to later", object=place, error=words, seconds=round(after_s, 1))
        self.ring(place, after_s=after_s)
