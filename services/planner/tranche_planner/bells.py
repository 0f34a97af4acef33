"""Rings on time in the process that decided when; the broker's wake-up behind it comes also when that one is gone.

The broker alone would do, but it fires schedules that are close together up to a quarter of a second late.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime

import structlog

from tranche.errors import TrancheError
from tranche.runtime import Runtime
from tranche.service import Stopping

LONGEST_S = 0.5
"""A wait that is longer is cut, to notice that the service is asked to stop."""
PARALLEL = 64

Place = tuple[str, str]


class Bells:
    """At most one bell per deployment: the newest time counts."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._due: dict[Place, datetime] = {}
        self._order: list[tuple[datetime, Place]] = []
        self._sooner = asyncio.Event()
        self._slots = asyncio.Semaphore(PARALLEL)
        self._log = structlog.get_logger()

    def set(self, place: Place, at: datetime) -> None:
        """Ring for this deployment then, and at no earlier time that was set before."""
        if self._due.get(place) == at:
            return
        self._due[place] = at
        heapq.heappush(self._order, (at, place))
        self._sooner.set()

    async def run(self, stopping: Stopping, ring: Callable[[Place], Awaitable[None]]) -> None:
        """Until the service is asked to stop."""
        async with self._runtime.tasks.group() as group:
            while not stopping.asked:
                for place in self._rung():
                    group.spawn(self._ring(place, ring), name=f"ring for {'/'.join(place)}")
                self._sooner.clear()
                with suppress(TimeoutError):
                    async with self._runtime.clock.timeout(self._wait_s()):
                        await self._sooner.wait()

    def _rung(self) -> list[Place]:
        """Whose time has come; a time that was replaced meanwhile is passed over."""
        now, rung = self._runtime.clock.now(), []
        while self._order and self._order[0][0] <= now:
            at, place = heapq.heappop(self._order)
            if self._due.get(place) == at:
                del self._due[place]
                rung.append(place)
        return rung

    def _wait_s(self) -> float:
        if not self._order:
            return LONGEST_S
        return min(LONGEST_S, max(0.0, (self._order[0][0] - self._runtime.clock.now()).total_seconds()))

    async def _ring(self, place: Place, ring: Callable[[Place], Awaitable[None]]) -> None:
        async with self._slots:
            try:
                await ring(place)
            except* TrancheError as group:
                words = "; ".join(map(str, group.exceptions))
                self._log.info("a bell was not heard, the broker's comes", deployment=place, error=words)
            except* Exception:
                self._log.exception("a bell was not heard, the broker's comes", deployment=place)
