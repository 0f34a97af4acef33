"""Ports for time, chance and concurrency, and the real ones.

Everything that runs asks these instead of ``datetime``, ``random`` and ``asyncio``, so the same services run
unmodified on a simulated clock, with seeded chance and an order of tasks chosen by the seed.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Clock(Protocol):
    """Time as a service sees it."""

    def now(self) -> datetime:
        """Wall-clock time, UTC and aware."""

    def monotonic(self) -> float:
        """Seconds that never go back; only differences mean anything."""

    async def sleep(self, seconds: float) -> None:
        """Give way for so many seconds."""

    def timeout(self, seconds: float | None) -> AbstractAsyncContextManager[Any]:
        """A block that raises TimeoutError when it lasts longer than so many seconds."""


class Dice(Protocol):
    """Chance."""

    def nonce(self) -> str:
        """A word nobody else will ever draw."""

    def uniform(self, low: float, high: float) -> float:
        """A number between low and high: jitter."""


class Task(Protocol):
    """A running task, owned by the group that spawned it."""

    def cancel(self) -> object: ...

    def done(self) -> bool: ...


class Group(Protocol):
    """An owner of tasks: leaving it waits for them, a failure of one ends the others."""

    def spawn(self, work: Coroutine[Any, Any, object], *, name: str) -> Task: ...


class Tasks(Protocol):
    """Where tasks come from."""

    def group(self) -> AbstractAsyncContextManager[Group]: ...


@dataclass(frozen=True, slots=True)
class Runtime:
    """The three ports, handed from the composition root to everything that runs."""

    clock: Clock
    dice: Dice
    tasks: Tasks


class SystemClock:
    """The machine's clock and asyncio's timers."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def timeout(self, seconds: float | None) -> AbstractAsyncContextManager[Any]:
        return asyncio.timeout(seconds)


@dataclass(slots=True)
class SystemDice:
    """The machine's entropy for words; a seedable generator for jitter."""

    generator: random.Random = field(default_factory=random.Random)

    def nonce(self) -> str:
        return secrets.token_hex(8)

    def uniform(self, low: float, high: float) -> float:
        return self.generator.uniform(low, high)


class _TaskGroup(asyncio.TaskGroup):
    def spawn(self, work: Coroutine[Any, Any, object], *, name: str) -> Task:
        return self.create_task(work, name=name)


class SystemTasks:
    """asyncio task groups."""

    def group(self) -> AbstractAsyncContextManager[Group]:
        return _TaskGroup()


def system_runtime() -> Runtime:
    """The real clock, dice and tasks."""
    return Runtime(clock=SystemClock(), dice=SystemDice(), tasks=SystemTasks())


async def wait_until(
    condition: Callable[[], Awaitable[T | None]], clock: Clock, *, timeout_s: float, every_s: float
) -> T:
    """Ask again every ``every_s`` seconds until the condition answers something other than None.

    Raises TimeoutError after ``timeout_s`` seconds.
    """
    async with clock.timeout(timeout_s):
        while (answer := await condition()) is None:
            await clock.sleep(every_s)
        return answer
