"""One stream: what it keeps, what it refuses, what it forgets."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from tranche.bus.memory import envelope
from tranche.bus.memory.bell import Bell
from tranche.bus.memory.matching import matches, matches_any
from tranche.bus.port import Stored, StreamSpec, StreamState
from tranche.errors import Conflict, Full, Refused, Unavailable
from tranche.runtime import Clock

DEDUPE_WINDOW_S = 120.0


class Reader(Protocol):
    """A durable consumer, as its stream knows it."""

    def came(self, subject: str) -> None:
        """A message is there."""

    def changed(self) -> None:
        """Something else is not as it was: look again."""

    def forget(self, sequence: int) -> None:
        """A message is gone."""

    def purged(self, filter_: str) -> None:
        """The messages of these subjects were purged."""

    def lost(self, after: int) -> None:
        """All behind this sequence is forgotten, and its numbers are given out again."""


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
        self.readers: list[Reader] = []
        self._clock = clock
        self._bytes = 0
        self._window_s = min(DEDUPE_WINDOW_S, spec.max_age_s or DEDUPE_WINDOW_S)
        self._seen_ids: dict[str, tuple[int, float]] = {}
        self._expiries: list[tuple[float, int]] = []
        self._schedules: list[tuple[float, int, str]] = []

    @property
    def state(self) -> StreamState:
        self.settle()
        first = next(iter(self.messages), self.last_sequence + 1) if self.last_sequence else 0
        return StreamState(first, self.last_sequence, len(self.messages), self.created, self._clock.now())

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
        """``headers``: all of them, as ``envelope.written`` makes them.

        Raises Conflict, Full, Refused or Unavailable; the sequence otherwise, also of a repetition.
        """
        self.settle()
        if ttl_s is not None and not self.spec.message_ttl:
            raise Refused(f"{subject}: stream {self.spec.name} takes no messages with a time to live")
        limit = self.spec.max_message_bytes
        if limit and envelope.payload_size(data, headers) > limit:
            raise Refused(f"{subject}: the message is larger than stream {self.spec.name} allows")
        if msg_id is not None and (known := self._seen_ids.get(msg_id)):
            return known[0]
        self._check_limits(subject, data, headers, expect)
        now = self._clock.monotonic()
        sequence = self._append(subject, data, headers, now)
        if msg_id is not None:
            self._seen_ids[msg_id] = (sequence, now + self._window_s)
        if ttl_s is not None:
            heapq.heappush(self._expiries, (now + envelope.whole_seconds(ttl_s), sequence))
        return sequence

    def schedule(self, subject: str, data: bytes, *, at: datetime, target: str) -> None:
        """Keep a message until it is due, in place of all before on that subject."""
        if not self.spec.schedules:
            raise Refused(f"{subject}: stream {self.spec.name} takes no scheduled messages")
        if target == subject or not matches_any(self.spec.subjects, target):
            raise Refused(f"{subject}: nothing can be scheduled for {target} here")
        sequence = self.store(subject, data, headers=envelope.scheduled(at, target))
        for earlier in [number for number in self.by_subject.get(subject, ()) if number != sequence]:
            self.remove(earlier)
        wait_s = max(0.0, (at - self._clock.now()).total_seconds())
        heapq.heappush(self._schedules, (self._clock.monotonic() + wait_s, sequence, target))
        self.ring()  # those who wait must know the new due time

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
        for reader in self.readers:
            reader.purged(subject)
        self.ring()

    def remove(self, sequence: int) -> None:
        """Forget a message; so already is fine."""
        message = self.messages.pop(sequence, None)
        if message is not None:
            self._bytes -= envelope.stored_size(message.subject, message.data, message.headers)
            held = self.by_subject[message.subject]
            del held[sequence]
            if not held:
                del self.by_subject[message.subject]
            for reader in self.readers:
                reader.forget(sequence)

    def lose(self, after: int) -> None:
        """Forget what was acknowledged behind a sequence, as a broken disk would."""
        for sequence in [sequence for sequence in self.messages if sequence > after]:
            self.remove(sequence)
        self.last_sequence = min(self.last_sequence, after)
        # The numbers are given out again: nothing that is still to come may take the new for the old.
        self._expiries = [entry for entry in self._expiries if entry[1] <= after]
        self._schedules = [entry for entry in self._schedules if entry[1] <= after]
        heapq.heapify(self._expiries)
        heapq.heapify(self._schedules)
        self._seen_ids = {id_: seen for id_, seen in self._seen_ids.items() if seen[0] <= after}
        for reader in self.readers:
            reader.lost(after)
        self.ring()

    def ring(self) -> None:
        """All who wait look again."""
        self.bell.ring()
        for reader in self.readers:
            reader.changed()

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
        expiry = self._expiries[0][0] if self._expiries else math.inf
        scheduled = self._schedules[0][0] if self._schedules else math.inf
        return expiry if expiry < scheduled else scheduled

    def settle(self) -> None:
        """Do what has fallen due, in the order in which it did."""
        now = self._clock.monotonic()
        while (due := self.next_due) <= now:
            if self._expiries and self._expiries[0][0] == due:
                self.remove(heapq.heappop(self._expiries)[1])
            else:
                _, sequence, target = heapq.heappop(self._schedules)
                message = self.messages.get(sequence)
                # Whatever came to its subject later stands in its place.
                if message is not None and next(reversed(self.by_subject[message.subject])) == sequence:
                    self.remove(sequence)
                    self._append(target, message.data, envelope.due(message.subject), due)
        while self._seen_ids and next(iter(self._seen_ids.values()))[1] <= now:  # oldest first
            del self._seen_ids[next(iter(self._seen_ids))]

    def _check_limits(
        self, subject: str, data: bytes, headers: Mapping[str, str], expect: int | None
    ) -> None:
        held = self.by_subject.get(subject, {})
        last = next(reversed(held), 0)
        if expect is not None and expect != last:
            raise Conflict(f"{subject}: wrong last sequence: {last}")
        if self.spec.discard == "new":
            if self.spec.discard_new_per_subject and 0 < self.spec.max_per_subject <= len(held):
                raise Full(f"{subject}: maximum messages per subject exceeded")
            if self.spec.max_bytes and not self._makes_room(subject, data, headers):
                raise Unavailable(f"{subject}: stream {self.spec.name} is full")

    def _makes_room(self, subject: str, data: bytes, headers: Mapping[str, str]) -> bool:
        """Whether it fits, or replaces something no smaller."""
        size = envelope.stored_size(subject, data, headers)
        if self._bytes + size <= self.spec.max_bytes:
            return True
        held = self.by_subject.get(subject, {})
        if not 0 < self.spec.max_per_subject <= len(held):
            return False
        first = self.messages[next(iter(held))]
        return envelope.stored_size(subject, first.data, first.headers) >= size

    def _append(self, subject: str, data: bytes, headers: Mapping[str, str], at: float) -> int:
        """``at``: on the monotonic clock, not after now."""
        self.last_sequence += 1
        age_s = self._clock.monotonic() - at  # read first: nothing is of a time before its own
        time = self._clock.now() - timedelta(seconds=age_s)
        self.messages[self.last_sequence] = Stored(subject, self.last_sequence, data, time, headers)
        held = self.by_subject.setdefault(subject, {})
        held[self.last_sequence] = None
        self._bytes += envelope.stored_size(subject, data, headers)
        if self.spec.max_age_s:
            heapq.heappush(self._expiries, (at + self.spec.max_age_s, self.last_sequence))
        while 0 < self.spec.max_per_subject < len(held):
            self.remove(next(iter(held)))
        while self.spec.max_bytes and self._bytes > self.spec.max_bytes:
            self.remove(next(iter(self.messages)))
        self.bell.ring(subject)
        for reader in self.readers:
            reader.came(subject)
        return self.last_sequence
