"""Who waits for a stream to change is woken in the order in which they came: the same on every run."""

from __future__ import annotations

import asyncio

from tranche.bus.memory.bell import Bell
from tranche.runtime import SystemClock


async def test_those_who_wait_are_woken_in_the_order_in_which_they_came() -> None:
    bell = Bell(SystemClock())
    woken: list[int] = []

    async def wait(number: int) -> None:
        await bell.wait(60.0)
        woken.append(number)

    async with asyncio.TaskGroup() as group:
        for number in range(100):
            group.create_task(wait(number))
        await asyncio.sleep(0)
        bell.ring()
    assert woken == list(range(100))


async def test_who_heeds_some_subjects_sleeps_through_the_others() -> None:
    bell = Bell(SystemClock())
    woken: list[str] = []

    async def wait(*heeded: str) -> None:
        await bell.wait(60.0, heeded)
        woken.append(heeded[0])

    async with asyncio.TaskGroup() as group:
        for filters in (("a.*",), ("b.>",), ("c", "a.x")):
            group.create_task(wait(*filters))
        await asyncio.sleep(0)
        bell.ring("a.x")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert woken == ["a.*", "c"]
        bell.ring()
    assert woken == ["a.*", "c", "b.>"]
