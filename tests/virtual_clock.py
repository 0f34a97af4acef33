"""A clock that jumps to the next moment somebody waits for: hours pass in no time."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

IDLE_TURNS = 50
"""So many turns of the event loop without a jump: whoever can go on now has gone on."""


class VirtualClock:
    """For what runs on the bus in memory: nothing outside the process may be waited for."""

    def __init__(self) -> None:
        self._time = 0.0
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()

    def now(self) -> datetime:
        return datetime(2030, 1, 1, tzinfo=UTC) + timedelta(seconds=self._time)

    def monotonic(self) -> float:
        return self._time

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (self._time + seconds, next(self._numbers), woken))
        await woken

    @asynccontextmanager
    async def timeout(self, seconds: float | None) -> AsyncIterator[None]:
        if seconds is None:
            yield
            return
        task = asyncio.current_task()
        assert task is not None
        rang = False

        def ring(alarm: asyncio.Future[None]) -> None:
            nonlocal rang
            if not alarm.cancelled():
                rang = True
                task.cancel()

        alarm: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        alarm.add_done_callback(ring)
        heapq.heappush(self._waiting, (self._time + max(0.0, seconds), next(self._numbers), alarm))
        try:
            yield
        except asyncio.CancelledError:
            if rang and not task.uncancel():
                raise TimeoutError from None
            raise
        finally:
            alarm.remove_done_callback(ring)
            alarm.cancel()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Move on whenever nobody has anything to do now."""
        driver = asyncio.ensure_future(self._drive())
        try:
            yield
        finally:
            driver.cancel()
            with suppress(asyncio.CancelledError):
                await driver

    async def _drive(self) -> None:
        while True:
            for _ in range(IDLE_TURNS):
                await asyncio.sleep(0)
            while self._waiting and self._waiting[0][2].done():
                heapq.heappop(self._waiting)
            if not self._waiting:
                await asyncio.sleep(0.001)
                continue
            self._time, _, woken = heapq.heappop(self._waiting)
            woken.set_result(None)
