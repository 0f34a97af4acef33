"""Pods that say themselves that they are there (design 2.4, decision 6).

A heartbeat tells identity and address and nothing else; whether a base lives is judged by asking it. What one
executor hears all must know, as a balancer sends each heartbeat to any of them: the pod's record is what they
share, so pods heard by others are learned from their records.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

import structlog

from tranche.bus.port import Bus, Stored
from tranche.contract import subjects
from tranche.contract.placing import decode_at, home_of_record
from tranche.contract.record import PodRecord
from tranche.errors import TrancheError
from tranche.runtime import Runtime
from tranche_executor.core.pod import HEARTBEAT, Pod, PodKey

SILENCE_S = 60.0
MISSED_S = 30.0
"""Whoever was heard within this time lives: two heartbeats and a half."""
MOST_PODS = 200_000
MOST_NEWCOMERS = 1_000
"""Bases that are being asked whether they are there, before anything is believed."""
ASKING = 32
TRIES = 5
TRY_S = 1.0
"""A base may say that it is there before its arklet listens (design 5.2)."""
FOLLOW_S = 5.0
PAUSE_S = 0.5

log = structlog.get_logger()


class Reply(NamedTuple):
    """What a heartbeat is answered, as HTTP has it."""

    status: int
    reason: str = ""


@dataclass(slots=True)
class Known:
    """One pod: ``heard_at`` None: only its record told us of it. ``recorded``: others can know it too."""

    pod: Pod
    heard_at: float | None
    recorded: bool


class Newcomer(NamedTuple):
    """A pod that is to be asked, not before a time."""

    due: float
    number: int
    pod: Pod
    tries: int


@dataclass(slots=True)
class HeartbeatPods:
    """The pods heard of here, and those whose records others wrote."""

    bus: Bus
    runtime: Runtime
    ask: Callable[[str], Awaitable[bool]]
    """Whether a base answers at an address."""
    silence_s: float = SILENCE_S
    _known: dict[PodKey, Known] = field(default_factory=dict)
    _pods: dict[PodKey, Pod] = field(default_factory=dict)
    _unshared: set[PodKey] = field(default_factory=set)
    _newcomers: set[PodKey] = field(default_factory=set)
    _queue: list[Newcomer] = field(default_factory=list)
    """A heap: who is due first is asked first."""
    _numbers: Iterator[int] = field(default_factory=count)
    _come: asyncio.Event = field(default_factory=asyncio.Event)
    _bell: asyncio.Event = field(default_factory=asyncio.Event)

    # --- as a source ---

    def pods(self) -> Mapping[PodKey, Pod]:
        """All pods that have answered, here or to another executor."""
        return self._pods

    async def look(self, key: PodKey) -> Pod | None:
        """The pod as it is known now."""
        return self._pods.get(key)

    def unshared(self) -> Collection[PodKey]:
        """Pods that nobody else can know of, as they have no record yet."""
        return self._unshared

    def lists(self, record: PodRecord) -> bool:
        """Never: that we know nothing of a pod proves nothing."""
        return False

    def lost(self, pod: Pod, silent_s: float) -> bool:
        """Neither heard of nor answering for too long."""
        known = self._known.get(pod.key)
        return silent_s >= self.silence_s and (known is None or self._unheard_s(known) >= self.silence_s)

    def forget(self, pod: Pod, record: PodRecord | None) -> None:
        """It is gone; the record may tell of another one under its name."""
        known = self._known.get(pod.key)
        if known is not None and known.pod.uid == pod.uid:
            self._drop(pod.key)
            if record is not None:
                self.tell(record)

    def ring(self, bell: asyncio.Event) -> None:
        """Set this bell from now on whenever a pod comes or goes."""
        self._bell = bell

    async def run(self) -> None:
        """Follow the records, and ask newcomers, until cancelled."""
        async with self.runtime.tasks.group() as group:
            group.spawn(self._follow_records(), name="records")
            for number in range(ASKING):
                group.spawn(self._ask_newcomers(), name=f"newcomers-{number}")

    # --- heard ---

    def hear(self, pod: Pod) -> Reply:
        """A heartbeat came in."""
        known = self._known.get(pod.key)
        if known is not None and known.pod.uid == pod.uid:
            known.heard_at = self.runtime.clock.monotonic()
            return Reply(200)
        if known is not None and self._unheard_s(known) < MISSED_S:
            return Reply(409, _clash(pod, known.pod))
        if pod.key in self._newcomers:
            return Reply(202)
        if len(self._newcomers) >= MOST_NEWCOMERS or len(self._known) >= MOST_PODS:
            return Reply(503, "too many bases at once: it is heard again with its next heartbeat")
        self._newcomers.add(pod.key)
        self._come_again(pod, 0.0, 1)
        return Reply(202)

    def _come_again(self, pod: Pod, in_s: float, tries: int) -> None:
        due = self.runtime.clock.monotonic() + in_s
        heapq.heappush(self._queue, Newcomer(due, next(self._numbers), pod, tries))
        self._come.set()

    async def _ask_newcomers(self) -> None:
        while True:
            left_s = self._queue[0].due - self.runtime.clock.monotonic() if self._queue else FOLLOW_S
            if left_s <= 0:
                newcomer = heapq.heappop(self._queue)
                await self._meet(newcomer.pod, newcomer.tries)
                continue
            self._come.clear()
            try:
                async with self.runtime.clock.timeout(left_s):
                    await self._come.wait()
            except TimeoutError:
                pass

    async def _meet(self, pod: Pod, tries: int) -> None:
        """Take it in once it has answered, and whoever had its name before does not."""
        known = self._known.get(pod.key)
        if known is not None and known.pod.uid != pod.uid and await self.ask(known.pod.address):
            known.heard_at = self.runtime.clock.monotonic()
            self._newcomers.discard(pod.key)
            log.warning("heartbeat_refused", pod=pod.key.pod, reason=_clash(pod, known.pod))
        elif await self.ask(pod.address):
            self._newcomers.discard(pod.key)
            self._take(Known(pod, self.runtime.clock.monotonic(), recorded=False))
            log.info("heard", namespace=pod.key.namespace, base=pod.key.base, pod=pod.key.pod)
        elif tries < TRIES:
            self._come_again(pod, TRY_S, tries + 1)
        else:
            self._newcomers.discard(pod.key)
            log.warning("heartbeat_unanswered", pod=pod.key.pod, reason=f"no base answers at {pod.address}")

    # --- told ---

    async def _follow_records(self) -> None:
        while True:
            try:
                async with self.bus.follow(
                    subjects.AVAILABILITY, [subjects.ALL_RECORDS], start="last_per_subject"
                ) as follow:
                    while True:
                        for stored in await follow.next(wait_s=FOLLOW_S):
                            self._read(stored)
            except TrancheError as error:
                log.warning("records_not_followed", reason=str(error))
                await self.runtime.clock.sleep(PAUSE_S)

    def _read(self, stored: Stored) -> None:
        try:
            self.tell(decode_at(PodRecord, stored.data, stored.subject, home_of_record))
        except ValueError as error:
            log.warning("record_unreadable", subject=stored.subject, reason=str(error))

    def tell(self, record: PodRecord) -> None:
        """What an executor wrote of a pod, ourselves included; of two addresses the later written counts."""
        key = PodKey(record.namespace, record.base, record.pod)
        known = self._known.get(key)
        same = known is not None and known.pod.uid == record.uid
        if record.gone:
            if known is None:
                return
            if same and self._unheard_s(known) >= self.silence_s:
                self._drop(key)
            elif known.recorded:
                # We hear what whoever wrote this does not: it is ours to ask, and to write of when it answers.
                self._take(Known(known.pod, known.heard_at, recorded=False))
        elif known is not None and same:
            if not known.recorded:
                self._take(Known(known.pod, known.heard_at, recorded=True))
        elif known is not None and not known.recorded and self._unheard_s(known) < MISSED_S:
            return  # what was asked here just now is written next, over this
        elif record.source == HEARTBEAT and len(self._known) < MOST_PODS:
            self._take(Known(Pod(key, record.uid, record.address, source=HEARTBEAT), None, recorded=True))

    def _take(self, known: Known) -> None:
        key = known.pod.key
        self._known[key] = known
        self._pods[key] = known.pod
        (self._unshared.discard if known.recorded else self._unshared.add)(key)
        self._bell.set()

    def _drop(self, key: PodKey) -> None:
        del self._known[key], self._pods[key]
        self._unshared.discard(key)
        self._bell.set()

    def _unheard_s(self, known: Known) -> float:
        return float("inf") if known.heard_at is None else self.runtime.clock.monotonic() - known.heard_at


def _clash(pod: Pod, known: Pod) -> str:
    return (
        f"{pod.key.pod} at {pod.address} has the identity of the base at {known.address}, which lives: "
        "give each base an identity of its own (it defaults to the first IPv4 of its machine)"
    )
