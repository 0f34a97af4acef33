"""One stream: what it keeps, what it refuses, what it forgets."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from tranche.bus.memory.bell import Bell
from tranche.bus.memory.matching import matches
from tranche.bus.port import Stored, StreamSpec, StreamState
from tranche.errors import Conflict, Full, Refused, Unavailable
from tranche.runtime import Clock

DEDUPE_WINDOW_S = 120.0
SCHEDULE, TARGET = "Nats-Schedule", "Nats-Schedule-Target"


class MemoryStream:
    """Messages by sequence and by subject. All times are the clock's."""

    def __init__(self, spec: StreamSpec, clock: Clock, *, replicas: int = 1) -> None:
        self.spec = spec
        self.replicas = replicas
        self.bell = Bell(clock)
        self.created = clock.now()
        self.last_sequence = 0
        self.messages: dict[int, Stored] = {}
        self.by_subject: dict[str, dict[int, None]] = {}
        """Sequences of each subject, oldest first."""
        self._clock = clock
        self._bytes = 0
        self._seen_ids: dict[str, tuple[int, float]] = {}
        self._expiries: list[tuple[float, int]] = []
        self._schedules: list[tuple[float, int, str]] = []

    @property
    def state(self) -> StreamState:
        self.settle()
        first = next(iter(self.messages), self.last_sequence + 1)
        return StreamState(first, self.last_sequence, len(self.messages), self.created)

    def store(
        self,
        subject: str,
        data: bytes,
        *,
        headers: Mapping[str, str],
        expect: int | None = None,
        msg_id: str | None = None,
        ttl_s: float | None = None,
    ) -> int:
        """Raises Conflict, Full, Refused or Unavailable; the sequence otherwise, also of a repetition."""
        self.settle()
        if msg_id is not None and (known := self._seen_ids.get(msg_id)):
            return known[0]
        self._check_limits(subject, data, expect, ttl_s)
        sequence = self._append(subject, data, headers)
        if msg_id is not None:
            self._seen_ids[msg_id] = (sequence, self._clock.monotonic() + DEDUPE_WINDOW_S)
        if ttl_s is not None:
            heapq.heappush(self._expiries, (self._clock.monotonic() + max(1, math.ceil(ttl_s)), sequence))
        if self.spec.max_age_s:
            heapq.heappush(self._expiries, (self._clock.monotonic() + self.spec.max_age_s, sequence))
        return sequence

    def schedule(self, subject: str, data: bytes, *, at: datetime, target: str) -> None:
        """Keep a message until it is due, in place of the one before on that subject."""
        if not self.spec.schedules:
            raise Refused(f"{subject}: stream {self.spec.name} takes no scheduled messages")
        self.purge(subject)
        sequence = self.store(subject, data, headers={SCHEDULE: f"@at {at.isoformat()}", TARGET: target})
        wait_s = (at - self._clock.now()).total_seconds()
        heapq.heappush(self._schedules, (self._clock.monotonic() + wait_s, sequence, target))
        self.bell.ring()  # those who wait must know the new due time

    def last(self, subject: str) -> Stored | None:
        self.settle()
        sequences = self.by_subject.get(subject)
        return self.messages[next(reversed(sequences))] if sequences else None

    def subjects(self, filter_: str) -> dict[str, int]:
        self.settle()
        return {
            subject: len(held)
            for subject, held in self.by_subject.items()
            if held and matches(filter_, subject)
        }

    def purge(self, subject: str) -> None:
        for name in list(self.subjects(subject)):
            for sequence in list(self.by_subject[name]):
                self.remove(sequence)
        self.bell.ring()

    def remove(self, sequence: int) -> None:
        """Forget a message; so already is fine."""
        message = self.messages.pop(sequence, None)
        if message is not None:
            self._bytes -= len(message.data)
            held = self.by_subject[message.subject]
            del held[sequence]
            if not held:
                del self.by_subject[message.subject]

    def lose(self, after: int) -> None:
        """Forget what was acknowledged behind a sequence, as a broken disk would."""
        for sequence in [sequence for sequence in self.messages if sequence > after]:
            self.remove(sequence)
        self.last_sequence = min(self.last_sequence, after)
        self.bell.ring()

    def after(self, sequence: int) -> Iterator[Stored]:
        """The messages behind a sequence, in order."""
        for number in range(sequence + 1, self.last_sequence + 1):
            if number in self.messages:
                yield self.messages[number]

    def last_values(self, filters: Sequence[str]) -> list[int]:
        """The sequences of the last messages of all matching subjects, in order."""
        names = {name for filter_ in filters for name in self.subjects(filter_)}
        return sorted(next(reversed(self.by_subject[name])) for name in names)

    @property
    def next_due(self) -> float:
        """When the stream changes by itself next, on the monotonic clock."""
        due = [queue[0][0] for queue in (self._expiries, self._schedules) if queue]
        return min(due, default=math.inf)

    def settle(self) -> None:
        """Do what has fallen due."""
        now = self._clock.monotonic()
        while self._expiries and self._expiries[0][0] <= now:
            self.remove(heapq.heappop(self._expiries)[1])
        while self._seen_ids and next(iter(self._seen_ids.values()))[1] <= now:  # oldest first
            del self._seen_ids[next(iter(self._seen_ids))]
        while self._schedules and self._schedules[0][0] <= now:
            _, sequence, target = heapq.heappop(self._schedules)
            if sequence in self.messages:  # else a newer schedule has replaced it
                due = self.messages[sequence]
                self.remove(sequence)
                self._append(target, due.data, {"Nats-Scheduler": due.subject})

    def _check_limits(self, subject: str, data: bytes, expect: int | None, ttl_s: float | None) -> None:
        held = self.by_subject.get(subject, {})
        last = next(reversed(held), 0)
        if expect is not None and expect != last:
            raise Conflict(f"{subject}: wrong last sequence: {last}")
        if ttl_s is not None and not self.spec.message_ttl:
            raise Refused(f"{subject}: stream {self.spec.name} takes no messages with a time to live")
        if self.spec.max_message_bytes and len(data) > self.spec.max_message_bytes:
            raise Refused(f"{subject}: the message is larger than stream {self.spec.name} allows")
        if self.spec.discard == "new":
            if self.spec.discard_new_per_subject and 0 < self.spec.max_per_subject <= len(held):
                raise Full(f"{subject}: maximum messages per subject exceeded")
            if self.spec.max_bytes and self._bytes + len(data) > self.spec.max_bytes:
                raise Unavailable(f"{subject}: stream {self.spec.name} is full")

    def _append(self, subject: str, data: bytes, headers: Mapping[str, str]) -> int:
        self.last_sequence += 1
        self.messages[self.last_sequence] = Stored(
            subject, self.last_sequence, data, self._clock.now(), dict(headers)
        )
        held = self.by_subject.setdefault(subject, {})
        held[self.last_sequence] = None
        self._bytes += len(data)
        while 0 < self.spec.max_per_subject < len(held):
            self.remove(next(iter(held)))
        while self.spec.max_bytes and self._bytes > self.spec.max_bytes:
            self.remove(next(iter(self.messages)))
        self.bell.ring()
        return self.last_sequence
