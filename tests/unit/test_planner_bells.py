"""Bells ring in order, at the newest time only, and an unheard one harms nobody."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from tranche.errors import Unavailable
from tranche.runtime import system_runtime
from tranche.service import Stopping
from tranche_planner.bells import Bells

RUNTIME = system_runtime()


async def test_bells_ring_in_time_and_in_order_at_the_newest_time_only() -> None:
    bells, stopping = Bells(RUNTIME), Stopping()
    rung: list[tuple[str, datetime]] = []
    all_rung = asyncio.Event()
    now = RUNTIME.clock.now()

    async def ring(place: tuple[str, str]) -> None:
        rung.append((place[1], RUNTIME.clock.now()))
        if place[1] == "deaf":
            raise Unavailable("nobody is there")
        if len(rung) == 4:
            all_rung.set()

    due = {"late": 0.12, "early": 0.03, "deaf": 0.06, "moved": 0.09}
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(bells.run(stopping, ring))
        bells.set(("shop", "moved"), now + timedelta(seconds=0.01))
        for name, seconds in due.items():
            bells.set(("shop", name), now + timedelta(seconds=seconds))
        await all_rung.wait()
        stopping.event.set()

    assert [name for name, _ in rung] == ["early", "deaf", "moved", "late"]
    assert all(at >= now + timedelta(seconds=due[name]) for name, at in rung)
