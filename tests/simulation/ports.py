"""Time, chance and tasks of one simulated process."""

from __future__ import annotations

import asyncio
import random
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.simulation.loop import TICK_S, SimLoop
from tranche.runtime import Clock, Runtime, SystemTasks

EPOCH = 1_893_456_000.0
"""The world begins on the first of January 2030, in seconds since 1970."""
BEGAN = datetime.fromtimestamp(EPOCH, UTC)


class SimClock:
    """The loop's time; ``skew_s`` moves the wall clock only."""

    def __init__(self, loop: SimLoop) -> None:
        self._loop = loop
        self.skew_s = 0.0

    def now(self) -> datetime:
        return BEGAN + timedelta(seconds=self._loop.time() + self.skew_s)

    def monotonic(self) -> float:
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def timeout(self, seconds: float | None) -> AbstractAsyncContextManager[Any]:
        # A wait that rounds to nothing would be waited for ever.
        return asyncio.timeout(seconds if seconds is None or seconds <= 0 else max(seconds, TICK_S))


class SimDice:
    """Words that are never drawn twice, and jitter from the seed."""

    def __init__(self, instance: str, draw: random.Random) -> None:
        self._instance = instance
        self._draw = draw
        self._words = 0

    def nonce(self) -> str:
        self._words += 1
        return f"{self._instance}.{self._words}"

    def uniform(self, low: float, high: float) -> float:
        return low + (high - low) * self._draw.random()


def sim_runtime(clock: Clock, instance: str, draw: random.Random) -> Runtime:
    """The three ports."""
    return Runtime(clock=clock, dice=SimDice(instance, draw), tasks=SystemTasks())
