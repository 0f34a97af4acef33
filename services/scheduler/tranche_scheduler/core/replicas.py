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
        self.busy: Any = SortedSet()
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
        if now.busy:
            self.busy.add(pod)
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
            if not was.available:
                self.unavailable.remove(pod)
            if was.failed:
                self.failed.remove(pod)
            if was.unready:
                self.unready.remove(pod)
        if was.stuck:
            self.stuck.remove(pod)
        if was.busy:
            self.busy.remove(pod)
        if was.foreign:
            self.foreign[was.foreign] -= 1
        if was.kind is not None:
            self._kinds[was.kind].remove(count, pod)
            if was.due is not None:
                waiting = self._due[was.kind]
                waiting.remove((was.due, pod))
                if not waiting:
                    del self._due[was.kind]

    def best(self, kinds: Iterable[Kind], direction: Direction) -> str | None:
        """The pod to take first among those of these kinds."""
        best: tuple[int, str] | None = None
        for kind in kinds:
            head = self._kinds[kind].head(direction)
            if head is not None and (best is None or (direction * head[0], head[1]) < best):
                best = direction * head[0], head[1]
        return best[1] if best is not None else None

    def size(self, kinds: Iterable[Kind]) -> int:
        return sum(len(self._kinds[kind]) for kind in kinds)

    def due(self, kinds: Iterable[Kind], now: datetime) -> str | None:
        """The pod whose next try has been due longest."""
        head = self._first_due(kinds)
        return head[1] if head is not None and head[0] <= now else None

    @property
    def waits(self) -> bool:
        """Whether anything is due some time, past or to come."""
        return bool(self._due)

    def next_due(self, kinds: Iterable[Kind]) -> datetime | None:
        """When the next try is due, past or to come."""
        head = self._first_due(kinds)
        return head[0] if head is not None else None

    def _first_due(self, kinds: Iterable[Kind]) -> tuple[datetime, str] | None:
        if not self._due:
            return None
        return min((self._due[kind][0] for kind in kinds if kind in self._due), default=None)
