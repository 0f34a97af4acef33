"""A task is ours for four seconds at a time: nothing is sent with a hold that has lapsed (design 2.2)."""

from __future__ import annotations

from tranche.bus.port import Delivery
from tranche.errors import TrancheError
from tranche.runtime import Clock
from tranche.streams import TASK_HOLD_S

RENEW_S = 1.0


class LetGo(Exception):
    """The task is no longer ours: do nothing more, whoever has it now goes on."""


class Hold:
    """Our hold of one task, from the moment it was handed to us."""

    def __init__(self, delivery: Delivery, clock: Clock) -> None:
        self._delivery = delivery
        self._clock = clock
        self._until = clock.monotonic() + TASK_HOLD_S

    async def keep(self) -> None:
        """Renew it every second until cancelled."""
        while True:
            await self._clock.sleep(RENEW_S)
            await self.renew()

    async def renew(self) -> None:
        """Ask for another four seconds; without an answer the old ones run on."""
        began = self._clock.monotonic()
        if began >= self._until:
            return  # A lapsed hold stays lapsed: somebody else may have the task by now.
        try:
            await self._delivery.extend()
        except TrancheError:
            return
        self._until = began + TASK_HOLD_S

    def check(self) -> None:
        """Raises LetGo when the hold has lapsed."""
        if self._clock.monotonic() >= self._until:
            raise LetGo("the hold has lapsed")
