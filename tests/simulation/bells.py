"""Waiting for a bell of the bus in memory, on the loop's own timers: most waits end by them, thousands of times."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.simulation.loop import SimLoop
from tranche.bus.memory.bell import Bell


@contextmanager
def lean() -> Iterator[None]:
    """While this lasts nobody who waits for a bell in vain is cancelled: the time that is over wakes them."""
    plain = Bell.wait

    async def wait(bell: Bell, seconds: float, heeded: Sequence[str] | None = None) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimLoop)
        rung = loop.create_future()
        bell.waiting[rung] = heeded
        timer = loop.wake(rung, max(0.0, seconds))
        try:
            await rung
        finally:
            timer.cancel()
            del bell.waiting[rung]

    Bell.wait = wait  # type: ignore[method-assign]
    try:
        yield
    finally:
        Bell.wait = plain  # type: ignore[method-assign]
