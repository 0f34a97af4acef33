"""The agenda of objects: one look at a time each, again after what rang meanwhile, later after a failure."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from tranche.errors import Unavailable
from tranche.runtime import system_runtime
from tranche.service import Stopping
from tranche_planner.kubernetes.agenda import PARALLEL, Agenda, Place

CART = ("shop", "cart")


async def running(agenda: Agenda, look: Callable[[Place], Awaitable[None]], done: asyncio.Event) -> None:
    """Run it until that is done."""
    stopping = Stopping()
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(agenda.run(stopping, look))
        await done.wait()
        stopping.event.set()


async def test_what_rings_during_a_look_is_looked_at_once_more() -> None:
    agenda, done, looks, at_once = Agenda(system_runtime()), asyncio.Event(), 0, 0

    async def look(place: Place) -> None:
        nonlocal looks, at_once
        at_once += 1
        assert at_once == 1, "one at a time"
        looks += 1
        if looks == 1:
            agenda.ring(place)
            agenda.ring(place)
            await asyncio.sleep(0.05)
        else:
            done.set()
        at_once -= 1

    agenda.ring(CART)
    await running(agenda, look, done)
    assert looks == 2


async def test_the_earlier_time_counts() -> None:
    agenda, done = Agenda(system_runtime()), asyncio.Event()

    async def look(place: Place) -> None:
        done.set()

    agenda.ring(CART, after_s=60)
    agenda.ring(CART, after_s=0.01)
    agenda.ring(CART, after_s=30)
    await running(agenda, look, done)


async def test_a_failure_is_tried_again_and_holds_up_nobody() -> None:
    agenda, done, looks = Agenda(system_runtime()), asyncio.Event(), 0
    others: set[Place] = set()

    async def look(place: Place) -> None:
        nonlocal looks
        if place != CART:
            others.add(place)
            return
        looks += 1
        if looks == 1:
            raise Unavailable("not now")
        if looks == 2:
            raise LookupError("a surprise")
        done.set()

    agenda.ring(CART)
    for number in range(3 * PARALLEL):
        agenda.ring(("shop", f"other-{number}"))
    await running(agenda, look, done)
    assert (looks, len(others)) == (3, 3 * PARALLEL)
