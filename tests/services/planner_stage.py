"""A planner on a real bus, with a test that plays the scheduler: reads its plans, answers with counts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry

from tests.installation import manifest
from tranche.bus.port import Bus
from tranche.client.client import Client
from tranche.contract import subjects
from tranche.contract.plan import ALL, Plan
from tranche.contract.progress import Progress
from tranche.contract.status import Status
from tranche.runtime import Runtime, system_runtime, wait_until
from tranche.service import Service, Stopping
from tranche.streams import STREAMS
from tranche_planner.__main__ import work
from tranche_planner.settings import PlannerSettings


@dataclass
class Scene:
    """One deployment, ``shop/cart`` unless said otherwise, and its would-be scheduler."""

    bus: Bus
    client: Client
    runtime: Runtime
    ledger: int = 1
    replicas: dict[int, int] = field(default_factory=dict)
    """Available replicas by revision number."""

    async def apply(self, version: str, **changes: Any) -> int:
        answer = await self.client.apply(manifest("cart", version, **changes))
        assert answer.generation is not None
        return answer.generation

    async def event(self, verb: str, body: dict[str, Any]) -> None:
        await self.bus.publish(subjects.event("shop", "cart", verb), json.dumps(body).encode())

    async def plan(self, condition: Callable[[Plan], bool], *, timeout_s: float = 5.0) -> Plan:
        """The newest plan as soon as it meets the condition."""
        last: Plan | None = None
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    stored = await self.bus.last(subjects.PLANS, subjects.plan("shop", "web-base", "cart"))
                    last = Plan.decode(stored.data) if stored else None
                    if last is not None and condition(last):
                        return last
                    await asyncio.sleep(0.005)
        except TimeoutError:
            raise AssertionError(f"no such plan; the last one is {last!r}") from None

    async def status(self, condition: Callable[[Status], bool], *, timeout_s: float = 5.0) -> Status:
        """The newest status as soon as it meets the condition."""
        last: Status | None = None
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    stored = await self.bus.last(subjects.STATUS, subjects.status("shop", "cart"))
                    last = Status.decode(stored.data) if stored else None
                    if last is not None and condition(last):
                        return last
                    await asyncio.sleep(0.005)
        except TimeoutError:
            raise AssertionError(f"no such status; the last one is {last!r}") from None

    def counts(self, plan: Plan, **changes: Any) -> Progress:
        """An answer to a plan, from what is there."""
        self.ledger += 1
        present = sum(self.replicas.values())
        updated = sum(self.replicas.get(number, 0) for number in plan.target_revisions)
        counted = Progress(
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
            updated=updated,
            outcome_updated=updated,
            available=present,
            updated_available=updated,
            placeable=10 - present,
        )
        return counted.but(**changes)

    async def tell(self, progress: Progress) -> None:
        await self.bus.publish(subjects.progress("shop", "cart"), progress.encode())

    async def carry_out(self, plan: Plan) -> None:
        """Bring about what a plan asks for, and say so."""
        if plan.mode == "remove":
            self.replicas.clear()
        elif plan.mode in ("roll", "abort") and plan.target is not None:
            replicas = 10 if plan.replicas == ALL else plan.replicas
            at_target = replicas if plan.updated == ALL else plan.updated
            others = {n: c for n, c in self.replicas.items() if n not in plan.target_revisions and c}
            left = replicas - at_target
            self.replicas = {plan.target.revision: at_target}
            if left:
                self.replicas[next(iter(others), plan.stable.revision if plan.stable else 0)] = left
        await self.tell(self.counts(plan))

    async def finish(self, generation: int) -> Status:
        """Carry out whatever is planned until the generation is complete."""
        done = -1
        async with asyncio.timeout(10):
            while True:
                last = done
                plan = await self.plan(lambda plan, last=last: plan.revision > last)
                done = plan.revision
                await self.carry_out(plan)
                if plan.complete and plan.generation == generation:
                    return await self.status(
                        lambda status: (
                            status.observed_generation == generation
                            and status.phase in ("Healthy", "Aborted", "Deleted")
                        )
                    )


@asynccontextmanager
async def planner_scene(bus: Bus) -> AsyncIterator[Scene]:
    """A running planner, stopped as SIGTERM would."""
    runtime = system_runtime()
    await bus.ensure(STREAMS, replicas=1, create=True)
    service = Service("planner", "planner-test", bus, runtime, Stopping(), CollectorRegistry())
    async with asyncio.TaskGroup() as group:
        running = group.create_task(work(service, PlannerSettings()))

        async def ready() -> bool | None:
            return not service.not_ready or running.done() or None

        await wait_until(ready, runtime.clock, timeout_s=5, every_s=0.005)
        try:
            yield Scene(bus, Client(bus, runtime), runtime)
        finally:
            service.stopping.event.set()
            async with asyncio.timeout(7):
                await running
