"""A durable consumer: who was given what, until when, and what comes again."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tranche.bus.memory.line import Line
from tranche.bus.memory.matching import matches_any
from tranche.bus.memory.stream import MemoryStream
from tranche.bus.port import ConsumerSpec, Delivery, Stored
from tranche.runtime import Clock


@dataclass(slots=True)
class _Handed:
    """A message in somebody's hands, or waiting to be handed out again from ``until`` on."""

    until: float
    attempt: int = 1


class MemoryConsumer:
    """Shared by all who pull from it."""

    def __init__(self, spec: ConsumerSpec, stream: MemoryStream, clock: Clock) -> None:
        self.spec = spec
        self.stream = stream
        self.clock = clock
        self._handed: dict[int, _Handed] = {}
        self._first: list[int] = (
            stream.last_values(spec.filters) if spec.deliver == "last_per_subject" else []
        )
        """Last values still to be handed out, before what came later."""
        self._cursor = stream.last_sequence if spec.deliver != "all" else 0

    def take(self, limit: int) -> list[tuple[Stored, int]]:
        """What is handed out now, with its attempt: first what comes again, then what is new."""
        self.stream.settle()
        now = self.clock.monotonic()
        taken: list[tuple[Stored, int]] = []
        for sequence, handed in list(self._handed.items()):
            if len(taken) == limit:
                return taken
            if handed.until <= now:
                self._again(sequence, handed, taken)
        while len(taken) < limit and len(self._handed) < self.spec.max_ack_pending:
            message = self._next_new()
            if message is None:
                break
            self._handed[message.sequence] = _Handed(now + self.spec.ack_wait_s)
            taken.append((message, 1))
        return taken

    @property
    def next_due(self) -> float:
        """When there may be something to hand out without anything being published."""
        return min((handed.until for handed in self._handed.values()), default=math.inf)

    def settle_ack(self, sequence: int) -> None:
        """Over and done with; a late ack counts, although the message went to another since (design 4.2)."""
        if self._handed.pop(sequence, None) and self.stream.spec.retention == "workqueue":
            self.stream.remove(sequence)
        self.stream.bell.ring()

    def hold(self, sequence: int, seconds: float) -> None:
        """Not to be handed out again before so many seconds have passed."""
        if sequence in self._handed:
            self._handed[sequence].until = self.clock.monotonic() + seconds
            self.stream.bell.ring()

    def _again(self, sequence: int, handed: _Handed, taken: list[tuple[Stored, int]]) -> None:
        message = self.stream.messages.get(sequence)
        if message is None:  # replaced or removed meanwhile
            del self._handed[sequence]
            return
        handed.attempt += 1
        handed.until = self.clock.monotonic() + self.spec.ack_wait_s
        taken.append((message, handed.attempt))

    def _next_new(self) -> Stored | None:
        while self._first:
            if message := self.stream.messages.get(self._first.pop(0)):
                return message
        for message in self.stream.after(self._cursor):
            self._cursor = message.sequence
            if matches_any(self.spec.filters, message.subject):
                return message
        self._cursor = self.stream.last_sequence
        return None


class MemoryDelivery:
    """A message in our hands. While cut off, a word about it is lost: it will be delivered again."""

    __slots__ = ("_consumer", "_line", "attempt", "message")

    def __init__(self, consumer: MemoryConsumer, line: Line, message: Stored, attempt: int) -> None:
        self._consumer = consumer
        self._line = line
        self.message: Stored = message
        self.attempt: int = attempt

    async def ack(self) -> None:
        await self._line.tell(self.message.subject, lambda: self._consumer.settle_ack(self.message.sequence))

    async def nak(self, delay_s: float = 0.0) -> None:
        await self._line.tell(
            self.message.subject, lambda: self._consumer.hold(self.message.sequence, delay_s)
        )

    async def extend(self) -> None:
        """Raises Unavailable or Unknown: work goes on only under a hold that is known to be extended."""
        await self._line.ask(
            self.message.subject,
            lambda: self._consumer.hold(self.message.sequence, self._consumer.spec.ack_wait_s),
        )

    async def term(self) -> None:
        await self.ack()


class MemoryPull:
    """A durable consumer seen from one process. ``find`` makes the consumer where it is missing."""

    def __init__(
        self, spec: ConsumerSpec, find: Callable[[ConsumerSpec], MemoryConsumer], line: Line
    ) -> None:
        self._spec = spec
        self._find = find
        self._line = line
        self._turn = asyncio.Lock()

    async def fetch(self, limit: int, *, wait_s: float) -> Sequence[Delivery]:
        """Raises Unavailable where the stream is missing. While cut off it waits, and answers nothing."""
        clock = self._line.clock
        deadline = clock.monotonic() + wait_s
        async with self._turn:
            await clock.sleep(0)
            consumer = self._find(self._spec)
            while True:
                taken = consumer.take(limit) if self._line.connected else []
                now = clock.monotonic()
                if taken or now >= deadline:
                    return [MemoryDelivery(consumer, self._line, *one) for one in taken]
                # Cut off, nothing that falls due is for us.
                due = min(consumer.next_due, consumer.stream.next_due) if self._line.connected else deadline
                await consumer.stream.bell.wait(min(deadline, due) - now)
