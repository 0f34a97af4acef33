"""One deployment's replicas in a pool, counted and indexed as they change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sortedcontainers import SortedList, SortedSet

from tranche.contract.ledger import Claim
from tranche_scheduler.core.buckets import Buckets
from tranche_scheduler.core.placement import Direction
from tranche_scheduler.core.standing import COUNTED, Kind, Standing

_COUNTED = range(len(COUNTED))
_INDEX = {field: index for index, field in enumerate(COUNTED)}


class Replicas:
    """Totals, and for each kind of replica the pods in the order they are chosen."""

    def __init__(self) -> None:
        self._totals = [0] * len(COUNTED)
        self._kinds: dict[Kind, Buckets] = {kind: Buckets() for kind in Kind}
        self._due: dict[Kind, Any] = {}
        self.claims: dict[str, Claim] = {}
        self.unavailable: Any = SortedSet()
        self.failed: Any = SortedSet()
        self.unready: Any = SortedSet()
        self.stuck: Any = SortedSet()
        self.seats = Buckets()
        """Pods that would take another module, but not this one: they have it, or are to lose it."""
        self.vacated = Buckets()
        """Pods that will be seats once this module is taken off them, which is under way."""
        self.foreign: Counter[str] = Counter()
        """Versions, not the target's, that somebody else installed."""
        self.obstacles: Counter[str] = Counter()
        """Pods with this module that would take no other, by why not."""
        self.closed = 0
        """Pods with this module, or one on its way, that a peer counts only because of it."""

    def total(self, field: str) -> int:
        return self._totals[_INDEX[field]]

    def add(self, pod: str, count: int, now: Standing) -> None:
        totals = self._totals
        for index in _COUNTED:
            if now[index]:
                totals[index] += 1
        if now.present:
            if not now.available:
                self.unavailable.add(pod)
            if now.failed:
                self.failed.add(pod)
            if now.unready:
                self.unready.add(pod)
        if now.stuck:
            self.stuck.add(pod)
        if now.foreign:
            self.foreign[now.foreign] += 1
        if now.kind is not None:
            self._kinds[now.kind].add(count, pod)
            if now.due is not None:
                if now.kind not in self._due:
                    self._due[now.kind] = SortedList()
                self._due[now.kind].add((now.due, pod))

    def remove(self, pod: str, count: int, was: Standing) -> None:
        totals = self._totals
        for index in _COUNTED:
            if was[index]:
                totals[index] -= 1
        if was.present:
            self.unavailable.discard(pod)
            self.failed.discard(pod)
            self.unready.discard(pod)
        self.stuck.discard(pod)
        if was.foreign:
            self.foreign[was.foreign] -= 1
        if was.kind is not None:
            self._kinds[was.kind].remove(count, pod)
            if was.due is not None:
                self._due[was.kind].remove((was.due, pod))

    def best(self, kinds: Iterable[Kind], direction: Direction) -> str | None:
        """The pod to take first among those of these kinds."""
        heads = [head for kind in kinds if (head := self._kinds[kind].head(direction)) is not None]
        return min(heads, key=lambda head: (direction * head[0], head[1]))[1] if heads else None

    def size(self, kinds: Iterable[Kind]) -> int:
        return sum(len(self._kinds[kind]) for kind in kinds)

    def due(self, kinds: Iterable[Kind], now: datetime) -> str | None:
        """The pod whose next try has been due longest."""
        head = self._first_due(kinds)
        return head[1] if head is not None and head[0] <= now else None

    def next_due(self, kinds: Iterable[Kind]) -> datetime | None:
        """When the next try is due, past or to come."""
        head = self._first_due(kinds)
        return head[0] if head is not None else None

    def _first_due(self, kinds: Iterable[Kind]) -> tuple[datetime, str] | None:
        return min((waiting[0] for kind in kinds if (waiting := self._due.get(kind))), default=None)
