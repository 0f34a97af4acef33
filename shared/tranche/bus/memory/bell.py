"""Waking those who wait for a stream to change."""

from __future__ import annotations

import asyncio

from tranche.runtime import Clock


class Bell:
    """Rung at each change; all who wait look again."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: dict[asyncio.Future[None], None] = {}
        """In the order in which they came, so that they are woken in it."""

    def ring(self) -> None:
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)

    async def wait(self, seconds: float) -> None:
        """Until the bell rings, or so many seconds have passed."""
        rung = asyncio.get_running_loop().create_future()
        self._waiting[rung] = None
        try:
            async with self._clock.timeout(max(0.0, seconds)):
                await rung
        except TimeoutError:
            pass
        finally:
            del self._waiting[rung]
