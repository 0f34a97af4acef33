"""Planners on the bus in memory that die and come again: no event is lost, no wait begins anew."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from prometheus_client import CollectorRegistry

from tests.installation import manifest
from tests.virtual_clock import VirtualClock
from tranche.bus import cas
from tranche.bus.memory import MemoryBroker, MemoryBus
from tranche.contract import subjects
from tranche.contract.plan import Plan
from tranche.contract.progress import Progress
from tranche.runtime import Runtime, system_runtime
from tranche.service import Service, Stopping
from tranche.streams import STREAMS
from tranche_planner.__main__ import work
from tranche_planner.core.document import Document
from tranche_planner.settings import PlannerSettings

DOCUMENTS = subjects.bucket_stream(subjects.DOCUMENTS)


class FailingBus(MemoryBus):
    """A connection that can end just before a document is saved."""

    def __init__(self, broker: MemoryBroker, runtime: Runtime) -> None:
        super().__init__(broker, runtime)
        self.ends_at_save = False

    async def publish(
        self,
        subject: str,
        data: bytes,
        *,
        expect: int | None = None,
        msg_id: str | None = None,
        headers: Mapping[str, str] | None = None,
        ttl_s: float | None = None,
        timeout_s: float = 2.0,
    ) -> int:
        if self.ends_at_save and subject.startswith(f"$KV.{subjects.DOCUMENTS}."):
            self.cut()
        return await super().publish(
            subject, data, expect=expect, msg_id=msg_id, headers=headers, ttl_s=ttl_s, timeout_s=timeout_s
        )


@dataclass
class Office:
    """One deployment, its planners, and a hand that plays its scheduler."""

    runtime: Runtime
    broker: MemoryBroker
    bus: MemoryBus
    ledger: int = 1
    running: dict[str, tuple[FailingBus, asyncio.Task[None]]] = field(default_factory=dict)

    def start(self, name: str, *, ends_at_save: bool = False) -> None:
        bus = FailingBus(self.broker, self.runtime)
        bus.ends_at_save = ends_at_save
        service = Service("planner", name, bus, self.runtime, Stopping(), CollectorRegistry())
        self.running[name] = bus, asyncio.ensure_future(work(service, PlannerSettings()))

    async def crash(self, name: str) -> None:
        bus, task = self.running.pop(name)
        bus.cut()
        task.cancel()
        await asyncio.wait({task})

    async def event(self, verb: str, body: dict[str, Any]) -> int:
        return await self.bus.publish(subjects.event("shop", "cart", verb), json.dumps(body).encode())

    async def document(self) -> Document | None:
        held = await cas.read(self.bus, Document, DOCUMENTS, subjects.key(subjects.DOCUMENTS, "shop", "cart"))
        return held.value if held is not None else None

    async def until(self, condition: Callable[[], Awaitable[object]], *, within_s: float = 60.0) -> None:
        ends = self.runtime.clock.monotonic() + within_s
        while not await condition():
            assert self.runtime.clock.monotonic() < ends, f"not so: {await self.document()}"
            await self.runtime.clock.sleep(0.05)

    async def plan(self, condition: Callable[[Plan], bool], *, within_s: float = 60.0) -> Plan:
        found: list[Plan] = []

        async def is_there() -> bool:
            stored = await self.bus.last(subjects.PLANS, subjects.plan("shop", "web-base", "cart"))
            found[:] = [Plan.decode(stored.data)] if stored is not None else []
            return bool(found) and condition(found[0])

        await self.until(is_there, within_s=within_s)
        return found[0]

    async def carry_out(self, plan: Plan, *, present: int, stands_at: int) -> None:
        """All that the plan asks for is there: ``present`` replicas, ``stands_at`` of them at the target."""
        self.ledger += 1
        said = Progress(
            namespace="shop",
            base="web-base",
            name="cart",
            plan_revision=plan.revision,
            generation=plan.generation,
            batch=plan.batch,
            ledger_revision=self.ledger,
            position=self.ledger,
            at=self.runtime.clock.now(),
            pods=10,
            present=present,
            outcome=present,
            updated=stands_at,
            outcome_updated=stands_at,
            available=present,
            updated_available=stands_at,
            placeable=10 - present,
        )
        await self.bus.publish(subjects.progress("shop", "cart"), said.encode())


@asynccontextmanager
async def office() -> AsyncIterator[Office]:
    clock = VirtualClock()
    runtime = replace(system_runtime(), clock=clock)
    async with clock.running():
        broker = MemoryBroker(clock)
        here = Office(runtime, broker, MemoryBus(broker, runtime))
        await here.bus.ensure(STREAMS, replicas=1, create=True)
        try:
            yield here
        finally:
            for name in list(here.running):
                await here.crash(name)


async def test_gray_time_goes_on_while_nobody_watches_the_clock() -> None:
    async with office() as here:
        here.start("planner-1")
        await here.event("apply", manifest("cart", "1.0.0", replicas=4, batchCount=2, grayTime=100))
        opened = await here.plan(lambda plan: plan.mode == "open")
        await here.carry_out(opened, present=0, stands_at=0)
        first = await here.plan(lambda plan: plan.batch == 1)
        await here.carry_out(first, present=first.replicas, stands_at=first.updated)
        verified: list[Document] = []

        async def is_verified() -> bool:
            document = await here.document()
            batch = document.rollout.batch if document else None
            verified[:] = [document] if document and batch and batch.verified_at else []
            return bool(verified)

        await here.until(is_verified)
        batch = verified[0].rollout.batch
        assert batch is not None
        assert batch.verified_at is not None
        for number in range(2, 5):
            await here.crash(f"planner-{number - 1}")
            await here.runtime.clock.sleep(10)
            here.start(f"planner-{number}")
            await here.runtime.clock.sleep(15)

        await here.plan(lambda plan: plan.batch == 2)

        waited = here.runtime.clock.now() - batch.verified_at
        assert timedelta(seconds=100) <= waited < timedelta(seconds=102)


async def test_an_event_whose_planner_died_with_it_in_hand_is_carried_out_by_the_next() -> None:
    async with office() as here:
        here.start("planner-1", ends_at_save=True)
        await here.event("apply", manifest("cart", "1.0.0"))

        async def has_died() -> bool:
            return not here.running["planner-1"][0].connected

        await here.until(has_died)
        await here.crash("planner-1")
        here.start("planner-2")

        opened = await here.plan(lambda plan: plan.mode == "open")

        assert opened.generation == 1
