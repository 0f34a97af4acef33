"""A quiet day: the three services in memory, two rollouts, and nothing goes wrong. A planted bug passes this."""

from __future__ import annotations

import asyncio
import json

from prometheus_client import CollectorRegistry

from tests.installation import manifest
from tests.unit.memory_executor import POOL, Hall, hall
from tranche.bus.memory import MemoryBus
from tranche.contract import subjects
from tranche.contract.status import Status
from tranche.service import Service, Stopping
from tranche_executor.arklet.wire import BizState
from tranche_planner.__main__ import work
from tranche_planner.settings import PlannerSettings
from tranche_scheduler.owner import Owner


async def test_two_rollouts_of_which_nothing_goes_wrong() -> None:
    async with hall(pods=4) as here:
        planner, scheduler = _service(here, "planner"), _service(here, "scheduler")
        running = [
            asyncio.ensure_future(work(planner, PlannerSettings())),
            asyncio.ensure_future(Owner(scheduler).run()),
        ]
        here.start("executor")
        try:
            await _apply(here, 1, "1.0.0")
            await _apply(here, 2, "2.0.0", batchCount=3, useBeta=True, grayTime=5)
        finally:
            for service in (planner, scheduler):
                service.stopping.event.set()
            await asyncio.wait(running)
        for task in running:
            task.result()
        assert [base.modules for base in here.bases.at.values()] == [
            {("cart", "2.0.0"): BizState.ACTIVATED}
        ] * 4


def _service(here: Hall, name: str) -> Service:
    bus = MemoryBus(here.broker, here.runtime)
    return Service(name, f"{name}-1", bus, here.runtime, Stopping(), CollectorRegistry())


async def _apply(here: Hall, generation: int, version: str, **changes: object) -> None:
    """Apply a version, and wait until it is everywhere."""
    wish = manifest("cart", version, base=POOL[1], replicas=4, **changes)
    await here.bus.publish(subjects.event("shop", "cart", "apply"), json.dumps(wish).encode())

    def is_everywhere() -> bool:
        stored = here.broker.stream(subjects.STATUS).last(subjects.status("shop", "cart"))
        status = Status.decode(stored.data) if stored is not None else None
        return status is not None and (status.phase, status.observed_generation) == ("Healthy", generation)

    await here.until(is_everywhere, within_s=300)
