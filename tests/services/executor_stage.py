"""A stage for the executor: simulated bases, the real broker, and a hand that plays the scheduler."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from tranche.bus import cas
from tranche.bus.nats import NatsBus
from tranche.bus.spread import Spread
from tranche.contract import subjects
from tranche.contract.content import Content
from tranche.contract.ledger import Claim, Ledger, Task
from tranche.contract.record import PodRecord
from tranche.errors import Full
from tranche.runtime import system_runtime, wait_until
from tranche.service import Stopping
from tranche.streams import STREAMS
from tranche_executor.arklet.artifact import JarCheck
from tranche_executor.arklet.client import http_client
from tranche_executor.metrics import Metrics
from tranche_executor.observer import Observer
from tranche_executor.orphans import Orphans
from tranche_executor.pods.source import PodSource
from tranche_executor.pods.static import StaticPods
from tranche_executor.records import Records
from tranche_executor.worker import Worker
from tranche_fleet.fleet import Fleet
from tranche_fleet.pod import Pod

POOL = ("shop", "web-base")
POOLS_STREAM = subjects.bucket_stream(subjects.POOLS)


def content(version: str, revision: int, module: str = "cart", **changes: Any) -> Content:
    """A revision whose jar the fleet's catalogue knows by its name."""
    url = changes.pop("url", f"http://modules.example/{module}-{version}.jar")
    return Content(revision=revision, module=module, version=version, url=url, **changes)


@dataclass
class Executor:
    """One executor in this process."""

    stopping: Stopping
    task: asyncio.Task[None]
    registry: CollectorRegistry

    async def stop(self) -> None:
        """As SIGTERM would."""
        self.stopping.event.set()
        await self.task

    async def crash(self) -> None:
        """As a kill would: nothing is handed back."""
        self.task.cancel()
        await asyncio.wait({self.task})


@dataclass
class Stage:
    """What runs, and how to reach it."""

    bus: NatsBus
    fleet: Fleet
    inventory: Path
    folder: Path
    stack: AsyncExitStack
    executors: dict[str, Executor] = field(default_factory=dict)
    tokens: int = 0
    contents: dict[int, Content] = field(default_factory=dict)
    pool: tuple[str, str] = POOL
    uids: dict[str, str] = field(default_factory=dict)
    """Of pods that have another than an inventory gives them."""

    async def start(self, name: str = "executor-1", *, observing: bool = True, **changes: Any) -> Executor:
        stopping, registry = Stopping(), CollectorRegistry()
        task = asyncio.ensure_future(self._run(name, stopping, registry, observing, changes))
        self.executors[name] = Executor(stopping, task, registry)
        return self.executors[name]

    async def _run(
        self,
        name: str,
        stopping: Stopping,
        registry: CollectorRegistry,
        observing: bool,
        changes: dict[str, Any],
    ) -> None:
        runtime = system_runtime()
        source: PodSource = changes.pop("source", None) or StaticPods(self.inventory, runtime.clock)
        metrics = Metrics(registry)
        interval_s = changes.pop("interval_s", 30.0)
        async with (
            http_client(runtime.clock, timeout_s=changes.pop("timeout_s", 0.5)) as client,
            JarCheck(self.folder / "jars", runtime.clock) as jars,
            asyncio.TaskGroup() as group,
        ):
            spread = Spread(self.bus, runtime, kind="executor", instance=name)
            observer = Observer(self.bus, runtime, source, spread, client, metrics, interval_s=interval_s)
            orphaned_s = changes.pop("orphans_s", None)
            worker = Worker(
                *(self.bus, runtime, name, source, client, jars, metrics), on_silent=observer.mind, **changes
            )
            beside = [group.create_task(source.run())]
            if observing:
                beside.append(group.create_task(observer.run()))
            if orphaned_s is not None:
                records = Records(self.bus, runtime)
                orphans = Orphans(runtime, source, spread, client, records, orphaned_s, look_s=0.1)
                beside.append(group.create_task(orphans.run()))
            await worker.run(stopping)
            for task in beside:
                task.cancel()

    # --- the scheduler's part ---

    async def claim(
        self, pod: str, op: Any = "install", revision: int = 1, *, tell: bool = True, **changes: Any
    ) -> int:
        """Write a claim into the ledger and publish its task; the claim's token."""
        held = await cas.read(self.bus, Ledger, POOLS_STREAM, subjects.key(subjects.POOLS, *self.pool))
        ledger = held.value if held else Ledger(namespace=self.pool[0], base=self.pool[1], epoch="epoch0")
        self.tokens += 1
        module = changes.pop("module", "cart")
        changes.setdefault("costs", op in ("replace", "remove") and not changes.get("beside", False))
        claim = Claim(
            pod=pod,
            uid=changes.pop("uid", None) or self.uids.get(pod) or f"{pod}@{self.fleet[pod].address}",
            deployment=module,
            module=module,
            generation=3,
            batch=1,
            op=op,
            revision=0 if op == "remove" else revision,
            token=self.tokens,
            **changes,
        )
        written = ledger.but(
            counter=self.tokens,
            claims={**ledger.claims, pod: claim},
            contents={**ledger.contents, module: self.contents},
        )
        await self.write(written, held.sequence if held else 0)
        if tell:

            async def told() -> bool | None:
                return await self.tell(pod) or None

            # As the scheduler does: the task of the claim before may not be acked yet, and holds the place.
            await wait_until(told, system_runtime().clock, timeout_s=10, every_s=0.01)
        return self.tokens

    async def write(self, ledger: Ledger, expect: int) -> None:
        subject = subjects.key(subjects.POOLS, *self.pool)
        await cas.swap(self.bus, system_runtime(), POOLS_STREAM, subject, ledger, expect=expect)

    async def tell(self, pod: str) -> bool:
        """Publish a task for the pod; False: one is there already."""
        task = Task(namespace=self.pool[0], base=self.pool[1], pod=pod, token=self.tokens)
        try:
            await self.bus.publish(subjects.task(*self.pool, pod), task.encode())
        except Full:
            return False
        return True

    async def record(self, pod: str) -> PodRecord | None:
        held = await cas.read(self.bus, PodRecord, subjects.AVAILABILITY, subjects.record(*self.pool, pod))
        return held.value if held else None

    async def seen(
        self, pod: str, condition: Callable[[PodRecord], bool], *, timeout_s: float = 10.0
    ) -> PodRecord:
        """The first record that meets the condition; a failure says what was there last."""
        last: PodRecord | None = None
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    last = await self.record(pod)
                    if last is not None and condition(last):
                        return last
                    for executor in self.executors.values():
                        if executor.task.done() and not executor.task.cancelled():
                            executor.task.result()
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(f"not seen within {timeout_s} s; the last record was {last!r}") from None

    async def over(self, pod: str, token: int, *, timeout_s: float = 10.0) -> PodRecord:
        """The record that ends a claim."""
        return await self.seen(
            pod,
            lambda record: (
                record.operation is not None and record.operation.token == token and record.operation.over
            ),
            timeout_s=timeout_s,
        )

    async def bring(self, pod: str, op: str = "install", revision: int = 1, **changes: Any) -> PodRecord:
        """Claim and wait for the end."""
        return await self.over(pod, await self.claim(pod, op, revision, **changes))

    async def known(self, pod: str) -> PodRecord:
        """The record once the pod was discovered."""
        return await self.seen(pod, lambda record: record.ready)

    async def untasked(self) -> None:
        """Until no task is left: the last was acked."""

        async def none_left() -> bool | None:
            return None if (await self.bus.state(subjects.TASKS)).messages else True

        await wait_until(none_left, system_runtime().clock, timeout_s=10, every_s=0.01)


@asynccontextmanager
async def stage(
    bus: NatsBus, folder: Path, pods: int = 1, at: tuple[str, str] = POOL, **pool: Any
) -> AsyncIterator[Stage]:
    """A pool of simulated bases and the streams; executors are started by the test."""
    await bus.ensure(STREAMS, replicas=1, create=True)
    async with AsyncExitStack() as stack:
        inventory = folder / "inventory.yaml"
        fleet = await stack.enter_async_context(Fleet(inventory_path=inventory))
        await fleet.add_pool(*at, pods, **pool)
        here = Stage(bus, fleet, inventory, folder, stack, pool=at)
        here.contents = {1: content("1.0.0", 1), 2: content("2.0.0", 2)}
        try:
            yield here
        finally:
            for executor in here.executors.values():
                executor.task.cancel()
            await asyncio.gather(*(one.task for one in here.executors.values()), return_exceptions=True)


def ran(pod: Pod) -> list[str]:
    """The changing commands that were carried out, in order, without burns."""
    return [
        f"{one.command.removesuffix('Biz')} {one.module}:{one.version}"
        for one in pod.timeline.commands
        if one.started_at is not None and one.module != "tranche-burnt"
    ]
