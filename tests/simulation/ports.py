"""Time, chance and tasks of one simulated process."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any

from tests.simulation.loop import Handle, SimLoop, sleep
from tranche.runtime import Clock, Group, Runtime, Task

EPOCH = 1_893_456_000.0
"""The world begins on the first of January 2030, in seconds since 1970."""
BEGAN = datetime.fromtimestamp(EPOCH, UTC)


class SimClock:
    """The loop's time; ``skew_s`` moves the wall clock only."""

    def __init__(self, loop: SimLoop) -> None:
        self._loop = loop
        self.skew_s = 0.0
        self.monotonic: Callable[[], float] = loop.time

    def now(self) -> datetime:
        return BEGAN + timedelta(seconds=self._loop.time() + self.skew_s)

    async def sleep(self, seconds: float) -> None:
        await sleep(self._loop, seconds)

    def timeout(self, seconds: float | None) -> AbstractAsyncContextManager[Any]:
        return Alarm(self._loop, seconds)


class Alarm:
    """A block that raises TimeoutError when it lasts longer than so many seconds: the same in every Python."""

    __slots__ = ("_handle", "_loop", "_pending", "_rang", "_seconds", "_task")

    def __init__(self, loop: SimLoop, seconds: float | None) -> None:
        self._loop = loop
        self._seconds = seconds
        self._handle: Handle | None = None
        self._rang = False

    async def __aenter__(self) -> None:
        task = asyncio.current_task(self._loop)
        assert task is not None
        self._task = task
        self._pending = task.cancelling()
        if (seconds := self._seconds) is not None:
            later = self._loop.call_later
            self._handle = later(seconds, self._ring) if seconds > 0 else self._loop.call_soon(self._ring)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._handle is not None:
            self._handle.cancel()
        if (
            self._rang
            and self._task.uncancel() <= self._pending
            and kind is not None
            and issubclass(kind, asyncio.CancelledError)
        ):
            raise TimeoutError from error

    def _ring(self) -> None:
        self._rang = True
        self._task.cancel()


class _InOrder(dict[asyncio.Task[Any], None]):
    """What a task group needs of a set, in the order in which tasks came: so they are cancelled."""

    def add(self, task: asyncio.Task[Any]) -> None:
        self[task] = None

    def discard(self, task: asyncio.Task[Any]) -> None:
        self.pop(task, None)


class SimGroup(asyncio.TaskGroup):
    """An owner of tasks whose order is that of time, not of addresses in memory."""

    def __init__(self) -> None:
        super().__init__()
        self._tasks = _InOrder()  # type: ignore[assignment]

    def spawn(self, work: Coroutine[Any, Any, object], *, name: str) -> Task:
        """A task of the group."""
        return self.create_task(work, name=name)


class SimTasks:
    """Task groups."""

    def group(self) -> AbstractAsyncContextManager[Group]:
        return SimGroup()


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
    return Runtime(clock=clock, dice=SimDice(instance, draw), tasks=SimTasks())
