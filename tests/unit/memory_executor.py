"""Executors on the bus in memory, with bases in memory: hours pass in no time, and who dies when is the test's."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, cast

from prometheus_client import CollectorRegistry

from tests.virtual_clock import VirtualClock
from tranche.bus import cas
from tranche.bus.memory import MemoryBroker, MemoryBus
from tranche.contract import subjects
from tranche.contract.content import Content
from tranche.contract.ledger import Claim, Ledger, Task
from tranche.contract.record import ModuleEntry, PodRecord
from tranche.errors import Full, Unknown
from tranche.runtime import Clock, Runtime, system_runtime
from tranche.service import Stopping
from tranche.streams import STREAMS
from tranche_executor.arklet.client import ArkletClient
from tranche_executor.arklet.failure import BaseRefused, Cause, Failure
from tranche_executor.arklet.operation import BURNT, Operation, OperationState
from tranche_executor.arklet.wire import Biz, BizState, Bizzes
from tranche_executor.core.pod import Pod, PodKey
from tranche_executor.metrics import Metrics
from tranche_executor.pods.source import PodSource
from tranche_executor.traffic import Traffic, Unsteered
from tranche_executor.worker import Jars, Worker

POOL = ("shop", "web")
LEDGER = subjects.key(subjects.POOLS, *POOL)
POOLS_STREAM = subjects.bucket_stream(subjects.POOLS)
CALL_S = 2.0


def content(revision: int) -> Content:
    return Content(
        revision=revision, module="cart", version=f"{revision}.0.0", url=f"http://m/{revision}.jar"
    )


@dataclass
class MemoryBase:
    """A base with arklet's memory of request ids. What runs takes ``takes_s`` seconds."""

    clock: Clock
    modules: dict[tuple[str, str], BizState] = field(default_factory=dict)
    identity: str = ""
    """As it tells it with every list; empty: it does not, as 2.1.3."""
    takes_s: float = 0.5
    late: deque[float] = field(default_factory=deque)
    """The next orders are answered by nobody, and come in so many seconds after they were sent."""
    ran: list[str] = field(default_factory=list)
    """What began to run, in order, without burns."""
    overlaps: list[str] = field(default_factory=list)
    """What began while something else still ran."""
    on_order: Callable[[str], None] = lambda _: None
    """Told each request id when it is sent."""
    _ids: dict[str, Operation] = field(default_factory=dict)
    _running: set[str] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def order(self, word: str, name: str, version: str, id_: str) -> Operation:
        """As an asynchronous command is answered. Raises Unknown, BaseRefused."""
        self.on_order(id_)
        if self.late:
            self._spawn(self._come_late(self.late.popleft(), word, name, version, id_))
            await self.clock.sleep(CALL_S)
            raise Unknown("no answer")
        await self.clock.sleep(0.001)
        return self._begin(word, name, version, id_)

    def burn(self, id_: str) -> bool:
        if id_ in self._ids:
            return False
        failure = Failure(Cause.NOT_FOUND, False, "no such module")
        self._ids[id_] = Operation(id_, OperationState.FAILED, failure, module=BURNT)
        return True

    def told(self, id_: str) -> Operation:
        return self._ids.get(id_, Operation(id_, OperationState.UNKNOWN))

    def _begin(self, word: str, name: str, version: str, id_: str) -> Operation:
        if id_ in self._ids:
            raise BaseRefused(Failure(Cause.SPENT, False, f"requestId({id_}) has been executed"))
        told = f"{word} {name}:{version}"
        if self._running:
            self.overlaps.append(f"{told} while {', '.join(sorted(self._running))}")
        self.ran.append(told)
        self._running.add(told)
        self._ids[id_] = Operation(id_, OperationState.EXECUTING, module=name, version=version)
        if word == "install":
            self.modules[name, version] = BizState.RESOLVED
        self._spawn(self._carry_out(word, name, version, id_))
        return self._ids[id_]

    async def _carry_out(self, word: str, name: str, version: str, id_: str) -> None:
        await self.clock.sleep(self.takes_s)
        if word == "install":
            self.modules[name, version] = BizState.ACTIVATED
        else:
            self.modules.pop((name, version), None)
        self._running.discard(f"{word} {name}:{version}")
        self._ids[id_] = Operation(id_, OperationState.SUCCEEDED, module=name, version=version)

    async def _come_late(self, seconds: float, word: str, name: str, version: str, id_: str) -> None:
        await self.clock.sleep(seconds)
        with suppress(BaseRefused):
            self._begin(word, name, version, id_)

    def _spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class MemoryBases:
    """All bases by address, asked as ``ArkletClient`` asks real ones."""

    def __init__(self) -> None:
        self.at: dict[str, MemoryBase] = {}

    async def query(self, address: str) -> Bizzes:
        await self.at[address].clock.sleep(0.001)
        base = self.at[address]
        return Bizzes(tuple(Biz(*key, state) for key, state in base.modules.items()), base.identity)

    async def operation(self, address: str, request_id: str) -> Operation:
        await self.at[address].clock.sleep(0.001)
        return self.at[address].told(request_id)

    async def burn(self, address: str, request_id: str) -> bool:
        await self.at[address].clock.sleep(0.001)
        return self.at[address].burn(request_id)

    async def install(
        self, address: str, name: str, version: str, url: str, args: Sequence[str], request_id: str
    ) -> Operation:
        return await self.at[address].order("install", name, version, request_id)

    async def uninstall(self, address: str, name: str, version: str, request_id: str) -> Operation:
        return await self.at[address].order("uninstall", name, version, request_id)


class Listed:
    """A source that knows its pods from the start."""

    def __init__(self, pods: Mapping[PodKey, Pod]) -> None:
        self._pods = pods
        self.truth = dict(pods)
        """What is found by looking; the others are learned by ``hear``."""

    def hear(self) -> None:
        self._pods = dict(self.truth)

    def pods(self) -> Mapping[PodKey, Pod]:
        return self._pods

    async def look(self, key: PodKey) -> Pod | None:
        return self.truth.get(key)

    def unshared(self) -> Collection[PodKey]:
        return ()

    def ring(self, bell: asyncio.Event) -> None:
        """Nothing is heard but by ``hear``."""

    def lists(self, record: PodRecord) -> bool:
        return True


@dataclass
class Hall:
    """A pool in memory, and a hand that plays its scheduler."""

    runtime: Runtime
    broker: MemoryBroker
    bus: MemoryBus
    bases: MemoryBases = field(default_factory=MemoryBases)
    source: Listed = field(default_factory=lambda: Listed({}))
    traffic: Traffic = field(default_factory=Unsteered)
    tokens: int = 0
    running: dict[str, tuple[MemoryBus, asyncio.Task[None]]] = field(default_factory=dict)

    def start(self, name: str) -> None:
        """Another executor."""
        bus = MemoryBus(self.broker, self.runtime)
        worker = Worker(
            bus,
            self.runtime,
            name,
            cast(PodSource, self.source),
            cast(ArkletClient, self.bases),
            cast(Jars, None),
            Metrics(CollectorRegistry()),
            traffic=self.traffic,
        )
        self.running[name] = bus, asyncio.ensure_future(worker.run(Stopping()))

    async def crash(self, name: str) -> None:
        """As a kill would: not a word leaves it any more."""
        bus, task = self.running.pop(name)
        bus.cut()
        task.cancel()
        await asyncio.wait({task})

    def base(self, pod: str = "web-1") -> MemoryBase:
        return self.bases.at[f"{pod}:1238"]

    async def claim(self, pod: str = "web-1", op: Any = "install", revision: int = 1, **facts: Any) -> Claim:
        """A claim in the ledger, without a task."""
        self.tokens += 1
        claim = Claim(
            pod=pod,
            uid=f"uid of {pod}",
            deployment="cart",
            module="cart",
            generation=2,
            batch=1,
            op=op,
            revision=0 if op == "remove" else revision,
            token=self.tokens,
            **facts,
        )
        await self.keep(claim)
        return claim

    async def keep(self, claim: Claim) -> None:
        """Write the claim in the place of the pod's former one."""
        held = await cas.read(self.bus, Ledger, POOLS_STREAM, LEDGER)
        ledger = held.value if held else Ledger(namespace=POOL[0], base=POOL[1], epoch="e0")
        ledger = ledger.but(
            counter=self.tokens,
            claims={**ledger.claims, claim.pod: claim},
            contents={"cart": {number: content(number) for number in (1, 2, 3)}},
        )
        expect = held.sequence if held else 0
        await cas.swap(self.bus, self.runtime, POOLS_STREAM, LEDGER, ledger, expect=expect)

    async def identify(self, identity: str, pod: str = "web-1") -> None:
        """The pod's record says who its base is."""
        record = self.record(pod).but(base_identity=identity)
        await self.bus.publish(subjects.record(*POOL, pod), record.encode())

    async def tell(self, pod: str = "web-1") -> None:
        """Publish the pod's task."""
        task = Task(namespace=POOL[0], base=POOL[1], pod=pod, token=self.tokens)
        with suppress(Full):
            await self.bus.publish(subjects.task(*POOL, pod), task.encode())

    def record(self, pod: str = "web-1") -> PodRecord:
        stored = self.broker.stream(subjects.AVAILABILITY).last(subjects.record(*POOL, pod))
        assert stored is not None
        return PodRecord.decode(stored.data)

    async def until(self, condition: Callable[[], object], *, within_s: float = 60.0) -> None:
        """Until it is so; fails with the last records where it never is."""
        ends = self.runtime.clock.monotonic() + within_s
        while not condition():
            for _, task in self.running.values():
                if task.done():
                    task.result()
            if self.runtime.clock.monotonic() > ends:
                raise AssertionError(f"not within {within_s} s: {[self.record(pod) for pod in self._pods()]}")
            await self.runtime.clock.sleep(0.01)

    async def over(self, claim: Claim, *, within_s: float = 60.0) -> PodRecord:
        """The record that ends the claim."""

        def is_over() -> bool:
            noted = self.record(claim.pod).operation
            return noted is not None and noted.token == claim.token and noted.over

        await self.until(is_over, within_s=within_s)
        return self.record(claim.pod)

    async def untasked(self) -> None:
        """Until the last task is acked."""
        await self.until(lambda: not self.broker.stream(subjects.TASKS).state.messages)

    def _pods(self) -> list[str]:
        return [key.pod for key in self.source.pods()]


@asynccontextmanager
async def hall(pods: int = 1, *, revision: int | None = None) -> AsyncIterator[Hall]:
    """So many bases ``web-1``…, each with this revision of cart on it; executors are started by the test."""
    clock = VirtualClock()
    runtime = replace(system_runtime(), clock=clock)
    async with clock.running():
        broker = MemoryBroker(clock)
        here = Hall(runtime, broker, MemoryBus(broker, runtime))
        await here.bus.ensure(STREAMS, replicas=1, create=True)
        keys = [PodKey(*POOL, f"web-{number}") for number in range(1, pods + 1)]
        here.source = Listed({key: Pod(key, f"uid of {key.pod}", f"{key.pod}:1238") for key in keys})
        for key, pod in here.source.pods().items():
            base = here.bases.at[pod.address] = MemoryBase(clock)
            entries = {}
            if revision is not None:
                base.modules["cart", f"{revision}.0.0"] = BizState.ACTIVATED
                entry = ModuleEntry(
                    version=f"{revision}.0.0", revision=revision, state="available", since=clock.now()
                )
                entries = {"cart": entry}
            record = PodRecord(
                **key._asdict(),
                uid=pod.uid,
                address=pod.address,
                ready=True,
                observed_at=clock.now(),
                modules=entries,
            )
            await here.bus.publish(subjects.record(*key), record.encode())
        try:
            yield here
        finally:
            for name in list(here.running):
                await here.crash(name)
