"""Waking those who wait for a stream to change."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tranche.bus.memory.matching import matches_any
from tranche.runtime import Clock


class Bell:
    """Rung at each change; all whom it concerns look again."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.waiting: dict[asyncio.Future[None], Sequence[str] | None] = {}
        """In the order in which they came, so that they are woken in it; the subjects each heeds."""

    def ring(self, subject: str | None = None) -> None:
        """Something came to this subject; None: something else changed, for all."""
        for waiting, heeded in self.waiting.items():
            if (subject is None or heeded is None or matches_any(heeded, subject)) and not waiting.done():
                waiting.set_result(None)

    async def wait(self, seconds: float, heeded: Sequence[str] | None = None) -> None:
        """Until the bell rings for one of these subjects, or so many seconds have passed; None: for any."""
        rung = asyncio.get_running_loop().create_future()
        self.waiting[rung] = heeded
        try:
            async with self._clock.timeout(max(0.0, seconds)):
                await rung
        except TimeoutError:
            pass
        finally:
            del self.waiting[rung]
