"""Looks at every base of the pools we look after, and records what was seen (design 2.4).

On discovery at once, then on a slow, jittered cycle; a base that is silent is asked again soon. An operation
under way is its holder's alone to write about.
"""

from __future__ import annotations

import asyncio
import heapq
from dataclasses import dataclass, field

import structlog

from tranche.bus.cas import Held
from tranche.bus.port import Bus
from tranche.bus.spread import Spread
from tranche.contract.record import PodRecord
from tranche.errors import Conflict, Refused, TrancheError
from tranche.runtime import Group, Runtime
from tranche_executor.arklet.client import ArkletClient
from tranche_executor.arklet.wire import Bizzes
from tranche_executor.base import Base
from tranche_executor.core.observation import Seen, Silence, changed, described, gone, observe, replaced
from tranche_executor.core.pod import HEARTBEAT, Pod, PodKey, PoolKey
from tranche_executor.metrics import Metrics
from tranche_executor.pods.source import PodSource
from tranche_executor.records import Records
from tranche_executor.traffic import Mark, Traffic, Unsteered

PARALLEL = 64
SOON_S = 1.0
"""Until a silent base is asked again, at first, and a pod whose operation is under way is looked at again."""
SWEEP_S = 30.0
"""Records of pods that left while nobody watched are looked for so often."""

log = structlog.get_logger()


@dataclass(slots=True)
class Watch:
    """One pod that is being watched."""

    due: float
    silent: int = 0
    """How often it was silent in a row."""
    silent_since: float = 0.0
    busy: bool = False
    again: bool = False
    """Something was said of it meanwhile: look again at once."""
    incarnation: str = ""
    """The run of its process that was looked at last."""
    steered_at: float = float("-inf")
    """When its traffic was mended last."""


@dataclass(slots=True)
class Observer:
    """Watches the pods of the pools whose leases we hold."""

    bus: Bus
    runtime: Runtime
    source: PodSource
    spread: Spread
    client: ArkletClient
    metrics: Metrics
    traffic: Traffic = field(default_factory=Unsteered)
    interval_s: float = 30.0
    _watches: dict[PodKey, Watch] = field(default_factory=dict)
    _queue: list[tuple[float, PodKey]] = field(default_factory=list)
    _known: dict[PodKey, Pod] = field(default_factory=dict)
    _pools: set[PoolKey] = field(default_factory=set)
    """Pools that the source has, or had since we started."""
    _minded: set[PodKey] = field(default_factory=set)
    """Pods that were silent when somebody here worked on them: ours to watch until they answer."""
    _swept: dict[PoolKey, float] = field(default_factory=dict)
    _records: Records = field(init=False)
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(PARALLEL))
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._records = Records(self.bus, self.runtime)
        # One bell for all that may change what is to be done.
        self.source.ring(self._wake)
        self.spread.changed = self._wake

    def mind(self, key: PodKey) -> None:
        """A pod was found silent: watch it from now on until it answers, whoever has its pool.

        Whoever has the pool believes that it answers, and would look again much later.
        """
        self._minded.add(key)
        if (watch := self._watches.get(key)) is not None:
            self._plan(key, watch, self.runtime.clock.monotonic())
        self._wake.set()

    async def run(self) -> None:
        """Watch until cancelled."""
        async with self.runtime.tasks.group() as group:
            group.spawn(self.spread.run(), name="spread")
            while True:
                self._wake.clear()
                self._take_stock()
                self._begin_sweeps(group)
                await self._begin_looks(group)
                await self._rest()

    async def _rest(self) -> None:
        now = self.runtime.clock.monotonic()
        until = self._queue[0][0] if self._queue else now + SOON_S
        try:
            async with self.runtime.clock.timeout(max(0.0, min(until - now, SOON_S))):
                await self._wake.wait()
        except TimeoutError:
            pass

    def _take_stock(self) -> None:
        """Which pods are ours to watch now; new and changed ones are due at once."""
        pods = self.source.pods()
        self._pools |= {key.pool for key in pods}
        self.spread.want(self._pools)
        held = {PoolKey(*key) for key in self.spread.held}
        now = self.runtime.clock.monotonic()
        beside = self._minded.union(self.source.unshared())
        ours = {key: pod for key, pod in pods.items() if key.pool in held or key in beside}
        for key in self._watches.keys() - ours.keys():
            del self._watches[key]
            self._swept.pop(key.pool, None)
        for pool in self._swept.keys() - held:
            del self._swept[pool]
        for key, pod in ours.items():
            if key not in self._watches or self._known.get(key) != pod:
                self._plan(key, self._watches.setdefault(key, Watch(now)), now)
        self._known = ours

    def _plan(self, key: PodKey, watch: Watch, due: float) -> None:
        watch.due = due
        watch.again = watch.busy
        heapq.heappush(self._queue, (due, key))

    def _begin_sweeps(self, group: Group) -> None:
        now = self.runtime.clock.monotonic()
        for pool in sorted({PoolKey(*key) for key in self.spread.held} & self._pools):
            if now - self._swept.get(pool, -SWEEP_S) >= SWEEP_S:
                self._swept[pool] = now
                group.spawn(self._sweep(pool), name="sweep")

    async def _begin_looks(self, group: Group) -> None:
        while self._queue and self._queue[0][0] <= self.runtime.clock.monotonic():
            due, key = heapq.heappop(self._queue)
            watch = self._watches.get(key)
            if watch is None or watch.busy or watch.due != due:
                continue
            await self._slots.acquire()
            watch.busy = True
            group.spawn(self._look(self._known[key], watch), name="look")

    async def _look(self, pod: Pod, watch: Watch) -> None:
        try:
            wait_s = await self._observe(pod, watch)
        except Conflict:
            wait_s = 0.05  # somebody wrote about it meanwhile: look again, and at what they wrote
        except TrancheError as error:
            log.warning("not_observed", pod=pod.key.pod, reason=str(error))
            wait_s = SOON_S
        finally:
            self._slots.release()
            watch.busy = False
        if self._watches.get(pod.key) is watch:
            self._plan(pod.key, watch, self.runtime.clock.monotonic() + (0.0 if watch.again else wait_s))
            if wait_s < SOON_S or watch.again:
                self._wake.set()

    async def _observe(self, pod: Pod, watch: Watch) -> float:
        """One look; how many seconds until the next. The record is read before the base is asked (design 2.2)."""
        await self._clear(pod, watch)
        mark = await self.traffic.mark(described(None, pod, self.runtime.clock.now()))
        held = await self._records.read(pod.key)
        record = held.value if held is not None else None
        if record is not None and record.uid != pod.uid:
            live = await self.source.look(pod.key)
            if live is None or live.uid != pod.uid:
                return SOON_S
            record = replaced(record, self.runtime.clock.now())
        elif record is not None and not record.gone and _under_way(record) and not _in_doubt(record, pod):
            return SOON_S
        elif held is not None:
            held = await self._describe(held, pod)
            record = held.value
        seen = await Base(self.client, pod.address).look()
        silent = isinstance(seen, Silence)
        self.metrics.observations.labels("no" if silent else "yes").inc()
        self._count(pod, watch, silent)
        if silent and pod.source == HEARTBEAT and await self._is_lost(pod, watch, held):
            return self.interval_s
        if record is not None and _another_base(record, pod, seen) and not await self._is_there(pod):
            return SOON_S
        if record is not None and not record.gone and _under_way(record):
            return SOON_S
        if silent and not _worth_telling(record, pod):
            return self._soon(watch)
        after = observe(record, pod, seen, self.runtime.clock.now())
        if held is None or changed(held.value, after):
            await self._records.write(pod.key, after, expect=held.sequence if held is not None else 0)
            log.info("observed", pod=pod.key.pod, ready=after.ready, modules=len(after.modules))
        if mark is not None and not silent and not await self._steer(watch, mark, record, after):
            return SOON_S
        return self._soon(watch) if silent else self.interval_s * self.runtime.dice.uniform(0.8, 1.2)

    async def _is_there(self, pod: Pod) -> bool:
        """Whether the source, asked anew, still has the pod under its address."""
        found = await self.source.look(pod.key)
        return found is not None and (found.uid, found.address) == (pod.uid, pod.address)

    async def _clear(self, pod: Pod, watch: Watch) -> None:
        """Another process has none of the modules, whatever the record says: no requests to it from now on."""
        begun_anew = watch.incarnation not in ("", pod.incarnation)
        if begun_anew or not pod.ready or pod.terminating:
            try:
                await self.traffic.clear(pod)
            except TrancheError as error:
                log.warning("traffic_not_cleared", pod=pod.key.pod, reason=str(error))
                return  # it is told what happened all the same, and tried again with the next look
        watch.incarnation = pod.incarnation

    async def _steer(self, watch: Watch, mark: Mark, before: PodRecord | None, after: PodRecord) -> bool:
        """Mend what requests go by; False: somebody undoes it, so not more often than once a second."""
        now = self.runtime.clock.monotonic()
        if now - watch.steered_at < SOON_S:
            return False
        if await self.traffic.follow(mark, before, after):
            watch.steered_at = now
        return True

    async def _describe(self, held: Held[PodRecord], pod: Pod) -> Held[PodRecord]:
        """What the source says now is told before the base is asked, which may take its time to answer."""
        noted = described(held.value, pod, self.runtime.clock.now())
        if held.value.gone or _under_way(held.value) or noted == held.value:
            return held
        return await self._records.write(pod.key, noted, expect=held.sequence)

    def _count(self, pod: Pod, watch: Watch, silent: bool) -> None:
        if not silent:
            watch.silent = 0
            self._minded.discard(pod.key)
            return
        if not watch.silent:
            watch.silent_since = self.runtime.clock.monotonic()
        watch.silent += 1

    def _soon(self, watch: Watch) -> float:
        """Until a silent base is asked again."""
        return float(min(self.interval_s, SOON_S * 2 ** min(watch.silent - 1, 20)))

    async def _is_lost(self, pod: Pod, watch: Watch, held: Held[PodRecord] | None) -> bool:
        """Whether the pod is gone by its silence; then that is written."""
        if not self.source.lost(pod, self.runtime.clock.monotonic() - watch.silent_since):
            return False
        if held is not None and held.value.uid == pod.uid and not held.value.gone:
            await self._write_gone(pod.key, held)
        self.source.forget(pod, held.value if held is not None else None)
        return True

    async def _sweep(self, pool: PoolKey) -> None:
        """Say of pods that their source no longer has that they are gone."""
        try:
            for key in await self._records.known(pool):
                if key not in self.source.pods():
                    await self._bury_if_readable(key)
        except Conflict:
            self._swept.pop(pool, None)
        except TrancheError as error:
            log.warning("not_swept", pool=pool.base, reason=str(error))
            self._swept[pool] = self.runtime.clock.monotonic() - SWEEP_S + SOON_S

    async def _bury_if_readable(self, key: PodKey) -> None:
        try:
            await self._bury(key)
        except Refused as error:
            log.warning("not_buried", pod=key.pod, reason=str(error))

    async def _bury(self, key: PodKey) -> None:
        held = await self._records.read(key)
        if held is None:
            return
        if held.value.gone:
            await self._records.let_end(key, held)
        elif self.source.lists(held.value) and await self.source.look(key) is None:
            await self._write_gone(key, held)

    async def _write_gone(self, key: PodKey, held: Held[PodRecord]) -> None:
        await self._records.bury(key, gone(held.value, self.runtime.clock.now()), expect=held.sequence)
        log.info("gone", pod=key.pod)


def _under_way(record: PodRecord) -> bool:
    return record.operation is not None and not record.operation.over


def _another_base(record: PodRecord, pod: Pod, seen: Seen) -> bool:
    """Whether who answers is not the base that answered before: another pod may have got the address."""
    told = seen.base_identity if isinstance(seen, Bizzes) else None
    return record.uid == pod.uid and bool(record.base_identity and told) and record.base_identity != told


def _in_doubt(record: PodRecord, pod: Pod) -> bool:
    """Whether the base was lost in the middle of an operation, and nobody but its silence tells that it is gone."""
    stuck = record.operation is not None and record.operation.state == "stuck"
    return pod.source == HEARTBEAT and stuck and record.reason == "PodUnreachable"


def _worth_telling(record: PodRecord | None, pod: Pod) -> bool:
    """Whether the silence of a base is. One that only a heartbeat told of has no record before it answered."""
    if pod.source != HEARTBEAT:
        return True
    return record is not None and record.uid == pod.uid and not record.gone
