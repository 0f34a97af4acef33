"""Simulated bases behind the executor's own transport: the fleet's machine without a socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass, field

from tests.simulation.air import NO_ANSWER_S, Air, Fate
from tests.simulation.loop import sleep
from tests.simulation.ports import EPOCH, Alarm
from tests.simulation.process import PROCESS
from tranche.errors import Unavailable, Unknown
from tranche_executor.arklet.address import Address
from tranche_fleet.base import Base, Ending, Exchange
from tranche_fleet.wire import NotACommand, parse_body

CHANGING = frozenset({"installBiz", "uninstallBiz", "switchBiz"})
CONNECT_S = 0.001


@dataclass(eq=False)
class SimBase:
    """A base on the loop's time. ``on_event``: told after everything that may have changed it."""

    base: Base
    air: Air
    on_event: Callable[[SimBase], None] = lambda _: None
    _waiting: list[tuple[Exchange, asyncio.Future[None]]] = field(default_factory=list)
    _rings_at: float = float("inf")

    @property
    def now(self) -> float:
        return self.air.loop.time() + EPOCH

    def receive(self, command: str, body: bytes) -> Exchange | None:
        """A request arrived; None: nobody will ever answer it."""
        try:
            exchange = self.base.receive(command, parse_body(body), self.now)
        except NotACommand:
            return None
        self.pump()
        return exchange

    async def ended(self, exchange: Exchange) -> None:
        """Until the base has answered or hung up."""
        if exchange.ending is Ending.OPEN:
            over = self.air.loop.create_future()
            self._waiting.append((exchange, over))
            await over

    def pump(self) -> None:
        """Let everything happen that is due, and come back for what is not."""
        self.base.advance(self.now)
        for exchange, over in [one for one in self._waiting if one[0].ending is not Ending.OPEN]:
            self._waiting.remove((exchange, over))
            if not over.done():
                over.set_result(None)
        self.on_event(self)
        due = self.base.due()
        if due is not None and due < self._rings_at:
            self._rings_at = due
            self.air.loop.call_at(due - EPOCH, self._rung, context=Context())

    def _rung(self) -> None:
        self._rings_at = float("inf")
        self.pump()


class AirTransport:
    """The executor's way to bases: through the air."""

    def __init__(self, air: Air, at: Callable[[str], SimBase | None]) -> None:
        self._air = air
        self._at = at

    async def post(self, place: Address, command: str, data: bytes) -> tuple[int, bytes]:
        air = self._air
        address = f"{place.host}:{place.port}"
        fate = air.fate()
        await air.before(fate)
        await air.pause(fate)
        found = self._at(address)
        if found is None or found.base.refuses:
            raise Unavailable(f"{address} cannot be reached: connection refused")
        process = PROCESS.get()
        instance = process.instance if process else "world"
        if fate is Fate.LOST:
            air.fault(f"call {fate}", address, command)
            await sleep(air.loop, NO_ANSWER_S)
            raise Unknown(f"{address} did not answer {command} within {NO_ANSWER_S:g} s")
        if fate is Fate.LATE:
            air.fault(f"call {fate}", address, command)
            delay = NO_ANSWER_S * air.draw.random()
            air.loop.call_later(delay, self._arrive, instance, found, command, data, context=Context())
            await sleep(air.loop, NO_ANSWER_S)
            raise Unknown(f"{address} did not answer {command} within {NO_ANSWER_S:g} s")
        return await self._answered(instance, found, address, command, data, fate)

    async def _answered(
        self, instance: str, found: SimBase, address: str, command: str, data: bytes, fate: Fate
    ) -> tuple[int, bytes]:
        air = self._air
        exchange = self._arrive(instance, found, command, data)
        await air.after(fate)
        if fate is Fate.UNANSWERED or exchange is None:
            air.fault(f"call {fate}", address, command)
            await sleep(air.loop, NO_ANSWER_S)
            raise Unknown(f"{address} did not answer {command} within {NO_ANSWER_S:g} s")
        try:
            async with Alarm(air.loop, NO_ANSWER_S):
                await found.ended(exchange)
                if exchange.ending is Ending.SILENT:
                    await air.loop.create_future()
        except TimeoutError as error:
            raise Unknown(f"{address} did not answer {command} within {NO_ANSWER_S:g} s") from error
        await air.back()
        answer = exchange.answer
        if answer is None:
            raise Unknown(f"{address} broke off {command}")
        return 200, json.dumps(answer).encode()

    def _arrive(self, instance: str, found: SimBase, command: str, data: bytes) -> Exchange | None:
        kind = command if command in CHANGING else "query"
        self._air.counts[f"call {kind}"] += 1
        self._air.note(instance, found.base.name, command)
        return found.receive(command, data)
