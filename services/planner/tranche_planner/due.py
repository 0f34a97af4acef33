"""What is due: the broker wakes us, and a sweep behind it repairs what was saved and never said."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import structlog

from tranche.bus.port import Delivery
from tranche.contract import subjects
from tranche.contract.names import untoken
from tranche.errors import TrancheError
from tranche.service import Service
from tranche_planner.core.rollout import said_anew, unheard
from tranche_planner.desk import Desk

SWEEP_S = 30.0
STEP_S = 0.5
RARELY_S = 600.0
SAID = (subjects.PLANS, subjects.STATUS)


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


@dataclass(frozen=True, slots=True)
class _Look:
    """When a document was looked at, and how it was."""

    nonce: str
    """Of that writing: a broker that forgot gives sequences out again."""
    at: float
    busy: bool
    unheard: int
    """The number of a plan that nobody had answered; 0: none."""


class Sweep:
    """Looks at every document that changed since the last time or is being rolled out, and once in a while, or
    when what was said of them is forgotten, at all others."""

    def __init__(self, desk: Desk, service: Service) -> None:
        self._desk = desk
        self._service = service
        self._clock = service.runtime.clock
        self._looks: dict[tuple[str, str], _Look] = {}
        self._ends: dict[str, int] = {}
        """Where each stream that we say things on ended when it was last looked at."""
        self._log = structlog.get_logger()

    async def run(self) -> None:
        """Until the service is asked to stop: at once, then every 30 s with jitter."""
        dice = self._service.runtime.dice
        while not self._service.stopping.asked:
            try:
                await self._once()
            except TrancheError as error:
                self._log.info("the sweep was broken off, it begins again", error=str(error))
            ends = self._clock.monotonic() + SWEEP_S * dice.uniform(0.8, 1.2)
            while self._clock.monotonic() < ends and not self._service.stopping.asked:
                await self._clock.sleep(STEP_S)

    async def _once(self) -> None:
        if await self._forgotten():
            self._log.warning("the broker has forgotten what was said: it is said again")
            self._looks.clear()
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
        for place in self._looks.keys() - set(places):
            del self._looks[place]

    async def _forgotten(self) -> bool:
        """Whether a stream ends before where it ended already."""
        states = {name: await self._desk.bus.state(name) for name in SAID}
        ends = {name: state.last_sequence for name, state in states.items()}
        shrunk = any(ends[name] < end for name, end in self._ends.items())
        self._ends = ends
        return shrunk

    async def _look(self, place: tuple[str, str]) -> None:
        last = self._looks.get(place)
        if last is not None and not last.busy and self._clock.monotonic() - last.at < RARELY_S:
            held = await self._desk.store.load(*place)
            if held is None or held.value.nonce == last.nonce:
                return
        held = await self._desk.repair(place)
        if held is not None:
            document = held.value
            busy = not document.rollout.over or document.frozen is not None or bool(document.evict)
            number = unheard(document)
            if number and last is not None and last.unheard == number:
                await self._desk.change(place, partial(said_anew, number))
            self._looks[place] = _Look(held.value.nonce, self._clock.monotonic(), busy, number)
