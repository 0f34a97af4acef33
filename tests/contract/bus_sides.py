"""Two buses and one clock: asking both the same, and letting time pass on both.

The bus in memory has a clock that stands still but for us. It is set to the real time before each operation,
which is done there first, then on NATS. Whatever falls due by time is noted as an interval (when it may happen
on NATS). No operation begins near such a moment: it is waited for until it is over on both. An operation that
took so long that it ran into one proves nothing: the sequence is ``Inconclusive``.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from tranche.bus.memory import MemoryBroker
from tranche.bus.port import Bus, Stored
from tranche.errors import TrancheError, Unavailable, Unknown
from tranche.runtime import Runtime, SystemDice, SystemTasks

T = TypeVar("T")
InMemory = Callable[[MemoryBroker, Runtime], Bus]

NEAR_S = 0.6
"""No operation begins when something falls due so soon."""
SLACK_S = 0.15
"""NATS may be so late with what falls due; it looks at the ends of ids every 0.05 s."""
PATIENCE_S = 3.0
"""What NATS does by and by (removing, delivering) is waited for so long before it counts as not done."""
AHEAD_S = 3.0
"""What falls due later is not waited for."""
PAUSE_S = 0.01
SAME_TIME = timedelta(seconds=3)


class Difference(AssertionError):
    """The two buses did not tell the same."""

    def __init__(self, step: str, nats: object, memory: object) -> None:
        super().__init__(f"{step}\n  nats:   {nats}\n  memory: {memory}")
        self.step = step


class Inconclusive(Exception):
    """This machine was too slow for the times in the sequence: nothing is known."""


@dataclass(frozen=True, slots=True)
class Failed:
    """An error as a caller may rely on it: its class, and whether its text names what it was about."""

    kind: str
    names: bool


@dataclass(frozen=True, slots=True)
class Due:
    """Something happens by itself on NATS in this interval. ``consumer``: it concerns only that one."""

    early: float
    late: float
    consumer: int | None = None


@dataclass(slots=True)
class HeldClock:
    """Stands still until set. Sleeps and timeouts are real."""

    time: float = field(default_factory=time.monotonic)
    wall: float = field(default_factory=lambda: time.time() - time.monotonic())

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.wall + self.time, UTC)

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def timeout(self, seconds: float | None) -> asyncio.Timeout:
        return asyncio.timeout(seconds)


class Sides:
    """The same processes on NATS and on a broker in memory, and what is known of one stream on both."""

    def __init__(
        self, stream: str, nats: Sequence[Bus], gate: asyncio.Semaphore, in_memory: InMemory
    ) -> None:
        self.stream = stream
        self.clock = HeldClock()
        runtime = Runtime(self.clock, SystemDice(), SystemTasks())
        broker = MemoryBroker(self.clock)
        self.nats = nats
        self.memory: Sequence[Bus] = [in_memory(broker, runtime) for _ in nats]
        self.gate = gate
        """Held but while time passes: who works must not be held up by many others."""
        self.step = "setting up"
        self.seen: Counter[str] = Counter()
        """What was compared: operations, errors, deliveries that came again."""
        self.dues: list[Due] = []
        self.uncertain: set[int] = set()
        """Consumers with redeliveries by time since the last fetch: their order is nobody's promise."""

    async def same(
        self,
        ask: Callable[[Bus], Awaitable[T]],
        process: int = 0,
        *,
        names: str = "",
        unknown: bool = False,
    ) -> T | Failed:
        """Ask both and compare. ``unknown``: no answer is an answer."""
        nats, memory = await self.both(ask, process, names=names, unknown=unknown)
        if isinstance(nats, Stored) and isinstance(memory, Stored):
            self.same_times([nats], [memory])
            if plain(nats) == plain(memory):
                return nats
        elif nats == memory:
            if isinstance(nats, Failed):
                self.seen[nats.kind] += 1
            return nats
        raise Difference(self.step, nats, memory)

    async def both(
        self,
        ask: Callable[[Bus], Awaitable[T]],
        process: int = 0,
        *,
        names: str = "",
        unknown: bool = False,
    ) -> tuple[T | Failed, T | Failed]:
        before = time.monotonic()
        self.clock.time = before
        memory = await told_by(ask(self.memory[process]), names)
        nats = await self.measured(told_by(ask(self.nats[process]), names))
        if isinstance(nats, Failed) and nats.kind == Unknown.__name__ and not unknown:
            raise Inconclusive(f"{self.step}: no answer")
        return nats, memory

    async def measured(self, doing: Awaitable[T]) -> T:
        """Raises Inconclusive where NATS did not answer in time, or the answer came too late to tell."""
        try:
            result = await doing
        except (Unavailable, Unknown) as error:
            raise Inconclusive(f"{self.step}: {error}") from error
        self.conclusive(time.monotonic())
        return result

    def conclusive(self, end: float) -> None:
        if end >= self.next_due:
            raise Inconclusive(f"{self.step}: it ran into what fell due")

    def same_times(self, nats: list[Stored], memory: list[Stored]) -> None:
        for ours, theirs in zip(nats, memory, strict=True):
            if abs(ours.time - theirs.time) > SAME_TIME:
                raise Difference(f"{self.step}: time of {ours.sequence}", ours.time, theirs.time)

    async def settled(self, process: int = 0) -> None:
        """NATS removes by and by: what stands there must at last be what stands in memory."""
        name = self.stream

        async def state(bus: Bus) -> object:
            told = await bus.state(name)
            return told.first_sequence, told.last_sequence, told.messages

        deadline = time.monotonic() + PATIENCE_S
        while True:
            self.clock.time = time.monotonic()
            memory = await told_by(state(self.memory[process]))
            nats = await told_by(state(self.nats[process]))
            if nats == memory:
                return
            if time.monotonic() > deadline:
                raise Difference(f"{self.step}: the state", nats, memory)
            await self.sleep(PAUSE_S)

    # --- time ---

    @property
    def next_due(self) -> float:
        return min((due.early for due in self.dues), default=float("inf"))

    def due(self, before: float, seconds: float, consumer: int | None = None) -> None:
        """It was asked for between ``before`` and now."""
        self.dues.append(Due(before + seconds, time.monotonic() + seconds, consumer))

    async def turn(self, process: int) -> None:
        """NATS has heard all that this process has said."""
        with contextlib.suppress(TrancheError):
            await self.nats[process].request(f"{self.stream}.nobody", b"", timeout_s=5)

    async def clear(self, ahead_s: float) -> None:
        """Wait until nothing falls due so soon, and what did has happened on both sides."""
        while near := [due for due in self.dues if due.early <= time.monotonic() + ahead_s]:
            await self.sleep(max(due.late for due in near) + PAUSE_S - time.monotonic())
            # An answer shows that the server runs; a while later it has also done what was due before.
            await self.turn(0)
            await self.sleep(SLACK_S)
            self.dues = [due for due in self.dues if due not in near]
            self.uncertain |= {due.consumer for due in near if due.consumer is not None}
            ahead_s = NEAR_S
            if any(due.consumer is None for due in near):
                await self.settled()

    async def sleep(self, seconds: float) -> None:
        """Others may go on meanwhile."""
        self.gate.release()
        try:
            await asyncio.sleep(max(0.0, seconds))
        finally:
            await self.gate.acquire()


def plain(message: Stored) -> tuple[object, ...]:
    return message.sequence, message.subject, message.data, dict(message.headers)


async def told_by(asked: Awaitable[T], names: str = "") -> T | Failed:
    try:
        return await asked
    except TrancheError as error:
        return Failed(type(error).__name__, names in str(error))
