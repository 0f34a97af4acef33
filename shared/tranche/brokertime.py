"""The broker's clock as a service sees it: the one time that all processes share (design 7.2, S6).

A machine's wall clock may jump by a day, a monotonic clock does not. So a service asks the broker for the time
now and then, and counts on from there with its own monotonic clock. An answer is a little old when it comes,
never from the future: what is derived from it is late by the answer's way at most, and never early.
"""

from __future__ import annotations

import logging
from collections import deque
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

from tranche.bus.port import Bus
from tranche.contract import subjects
from tranche.errors import TrancheError
from tranche.runtime import Clock

EVERY_S = 10.0
REMEMBERED = 6
"""Answers of which the quickest counts: a broker whose clock was set back is followed after a minute."""

log = logging.getLogger(__name__)


class BrokerClock:
    """A clock whose ``now`` is the broker's, once ``ask`` was answered; until then it is the machine's own."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offsets: deque[float] = deque(maxlen=REMEMBERED)
        """The broker's time minus the monotonic clock, at least, by each answer."""

    def now(self) -> datetime:
        if not self._offsets:
            return self._clock.now()
        return _EPOCH + timedelta(seconds=max(self._offsets) + self._clock.monotonic())

    def monotonic(self) -> float:
        return self._clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)

    def timeout(self, seconds: float | None) -> AbstractAsyncContextManager[Any]:
        return self._clock.timeout(seconds)

    def hear(self, at: datetime) -> None:
        """The broker just said that it is this late."""
        self._offsets.append((at - _EPOCH).total_seconds() - self._clock.monotonic())

    async def ask(self, bus: Bus) -> None:
        """Ask the broker. Raises Unavailable or Unknown."""
        self.hear((await bus.state(subjects.AVAILABILITY)).at)

    async def keep(self, bus: Bus) -> None:
        """Ask again every ten seconds, until cancelled."""
        while True:
            await self._clock.sleep(EVERY_S)
            try:
                await self.ask(bus)
            except TrancheError as error:
                log.info("the broker did not tell the time: %s", error)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
