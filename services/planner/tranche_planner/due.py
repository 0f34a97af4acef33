"""What is due: the broker wakes us, and a sweep behind it repairs what was saved and never said."""

from __future__ import annotations

import structlog

from tranche.bus.port import Delivery
from tranche.contract.names import untoken
from tranche.errors import TrancheError
from tranche.service import Service
from tranche_planner.core.rollout import due
from tranche_planner.desk import Desk

SWEEP_S = 30.0
STEP_S = 0.5


class WakeUps:
    """Handles what comes on ``tranche.wake.*.*``."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def handle(self, delivery: Delivery) -> None:
        """One wake-up. Raises Unavailable, Unknown or Conflict: it has to come again."""
        try:
            _, _, namespace, name = delivery.message.subject.split(".")
            place = untoken(namespace), untoken(name)
        except ValueError:
            await delivery.term()
            return
        await self._desk.wake(place)
        await delivery.ack()


class Sweep:
    """Looks at every document that changed since the last time, or has something due."""

    def __init__(self, desk: Desk, service: Service) -> None:
        self._desk = desk
        self._service = service
        self._seen: dict[tuple[str, str], int] = {}
        self._due: set[tuple[str, str]] = set()
        self._log = structlog.get_logger()

    async def run(self) -> None:
        """Until the service is asked to stop: at once, then every 30 s with jitter."""
        clock, dice = self._service.runtime.clock, self._service.runtime.dice
        while not self._service.stopping.asked:
            try:
                await self._once()
            except TrancheError as error:
                self._log.info("the sweep was broken off, it begins again", error=str(error))
            ends = clock.monotonic() + SWEEP_S * dice.uniform(0.8, 1.2)
            while clock.monotonic() < ends and not self._service.stopping.asked:
                await clock.sleep(STEP_S)

    async def _once(self) -> None:
        places = await self._desk.store.names()
        for place in places:
            if self._service.stopping.asked:
                return
            try:
                await self._look(place)
            except* TrancheError as group:
                words = "; ".join(map(str, group.exceptions))
                self._log.info("a deployment was left for the next sweep", deployment=place, error=words)
            except* Exception:
                self._log.exception("a deployment was left for the next sweep", deployment=place)
        gone = self._seen.keys() - set(places)
        for place in gone:
            del self._seen[place]

    async def _look(self, place: tuple[str, str]) -> None:
        held = await self._desk.store.load(*place)
        if held is None or (self._seen.get(place) == held.sequence and place not in self._due):
            return
        held = await self._desk.repair(place)
        if held is not None:
            self._seen[place] = held.sequence
            (self._due.add if due(held.value) else self._due.discard)(place)
