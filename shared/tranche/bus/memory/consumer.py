"""A durable consumer: who was given what, until when, and what comes again."""

from __future__ import annotations

import asyncio
import heapq
import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tranche.bus.memory.bell import Bell
from tranche.bus.memory.line import Line
from tranche.bus.memory.matching import matches, matches_any
from tranche.bus.memory.stream import MemoryStream
from tranche.bus.port import ConsumerSpec, Delivery, Stored
from tranche.runtime import Clock


@dataclass(slots=True)
class _Handed:
    """A message in somebody's hands until it is acked; from ``until`` on it is handed out again."""

    until: float
    attempt: int = 1


class MemoryConsumer:
    """Shared by all who pull from it."""

    def __init__(self, spec: ConsumerSpec, stream: MemoryStream, clock: Clock) -> None:
        self.spec = spec
        self.stream = stream
        self.clock = clock
        self.bell = Bell(clock)
        self._handed: dict[int, _Handed] = {}
        self._again: dict[int, None] = {}
        """To be handed out again, in this order."""
        self._dues: list[tuple[float, int]] = []
        """A heap of when what is handed out goes to ``_again``; those that count no more are among them."""
        self._first = deque(stream.last_values(spec.filters) if spec.deliver == "last_per_subject" else ())
        """Last values still to be handed out, before what came later."""
        self._cursor = stream.last_sequence if spec.deliver != "all" else 0
        stream.readers.append(self)

    def take(self, limit: int) -> list[tuple[Stored, int]]:
        """What is handed out now, with its attempt: first what comes again, then what is new."""
        self.stream.settle()
        now = self.clock.monotonic()
        self._expire(now)
        taken: list[tuple[Stored, int]] = []
        while self._again and len(taken) < limit:
            sequence = next(iter(self._again))
            del self._again[sequence]
            handed = self._handed[sequence]
            handed.attempt += 1
            self._hold(sequence, handed, now + self.spec.ack_wait_s)
            taken.append((self.stream.messages[sequence], handed.attempt))
        while len(taken) < limit and len(self._handed) < self.spec.max_ack_pending:
            message = self._next_new()
            if message is None:
                break
            handed = self._handed[message.sequence] = _Handed(0.0)
            self._hold(message.sequence, handed, now + self.spec.ack_wait_s)
            taken.append((message, 1))
        return taken

    @property
    def next_due(self) -> float:
        """When there may be something to hand out without anything being published."""
        while self._dues:
            until, sequence = self._dues[0]
            handed = self._handed.get(sequence)
            if handed and handed.until == until and sequence not in self._again:
                return until
            heapq.heappop(self._dues)
        return math.inf

    def settle_ack(self, sequence: int) -> None:
        """Over and done with; a late ack counts, although the message went to another since (design 4.2)."""
        known, full = sequence in self._handed, len(self._handed) >= self.spec.max_ack_pending
        self.forget(sequence)
        if known and self.stream.spec.retention == "workqueue":
            self.stream.remove(sequence)
        if full:
            self.bell.ring()

    def hand_back(self, sequence: int, delay_s: float) -> None:
        """To be handed out again after the delay, also where it was to be at once."""
        if handed := self._in_hand(sequence):
            if delay_s > 0:
                self._again.pop(sequence, None)
                self._hold(sequence, handed, self.clock.monotonic() + delay_s)
            else:
                self._again.setdefault(sequence)
            self.bell.ring()

    def extend(self, sequence: int) -> None:
        """Not to be handed out again before ``ack_wait`` has passed; too late where it is to be already."""
        if handed := self._in_hand(sequence):
            self._hold(sequence, handed, self.clock.monotonic() + self.spec.ack_wait_s)
            self.bell.ring()

    @property
    def in_hand(self) -> list[int]:
        """The sequences that somebody works on, as far as the broker knows."""
        self._expire(self.clock.monotonic())
        return [sequence for sequence in self._handed if sequence not in self._again]

    def lapse(self, sequence: int) -> None:
        """The hold of whoever works on it is over, as if ``ack_wait`` had passed."""
        if self._in_hand(sequence):
            self._again.setdefault(sequence)
            self.bell.ring()

    def came(self, subject: str) -> None:
        """There may be something to hand out."""
        if matches_any(self.spec.filters, subject):
            self.bell.ring()

    def changed(self) -> None:
        """There may be, or at another time than was said."""
        self.bell.ring()

    def forget(self, sequence: int) -> None:
        """Nobody holds it any more: it is acked, or gone from the stream."""
        self._handed.pop(sequence, None)
        self._again.pop(sequence, None)

    def purged(self, filter_: str) -> None:
        """A purge that concerns this consumer: NATS then lets everything that is to come again wait for its
        ``ack_wait`` once more, also what was not purged."""
        self._expire(self.clock.monotonic())
        if any(matches(filter_, own) or matches(own, filter_) for own in self.spec.filters):
            for sequence in self._again:
                heapq.heappush(self._dues, (self._handed[sequence].until, sequence))
            self._again.clear()

    def lost(self, after: int) -> None:
        """NATS takes a consumer that is ahead of its stream back to the stream's end."""
        self._cursor = min(self._cursor, after)

    def _in_hand(self, sequence: int) -> _Handed | None:
        self._expire(self.clock.monotonic())
        return self._handed.get(sequence)

    def _expire(self, now: float) -> None:
        """What was held for too long is to be handed out again."""
        while (due := self.next_due) <= now:
            sequence = heapq.heappop(self._dues)[1]
            self._again[sequence] = None
            self._handed[sequence].until = due + self.spec.ack_wait_s

    def _hold(self, sequence: int, handed: _Handed, until: float) -> None:
        handed.until = until
        heapq.heappush(self._dues, (until, sequence))

    def _next_new(self) -> Stored | None:
        while self._first:
            if message := self.stream.messages.get(self._first.popleft()):
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
            self.message.subject, lambda: self._consumer.hand_back(self.message.sequence, delay_s)
        )

    async def extend(self) -> None:
        """Raises Unavailable or Unknown: work goes on only under a hold that is known to be extended."""
        await self._line.ask(self.message.subject, lambda: self._consumer.extend(self.message.sequence))

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
                await consumer.bell.wait(min(deadline, due) - now)
