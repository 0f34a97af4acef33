"""Which pools plans name: a Deployment that somebody releases modules on is a base, whatever its labels say."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

import structlog

from tranche.bus.port import Bus, Stored
from tranche.contract import subjects
from tranche.errors import TrancheError
from tranche.runtime import Runtime
from tranche_executor.core.pod import PoolKey

FOLLOW_S = 5.0
PAUSE_S = 0.5

log = structlog.get_logger()


@dataclass(slots=True)
class PlannedPools:
    """The pools of all plans ever seen. ``read``: all that are kept were, once."""

    bus: Bus
    runtime: Runtime
    told: Callable[[Collection[PoolKey]], None]
    """Called with pools that were not known before."""
    pools: set[PoolKey] = field(default_factory=set)
    read: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Follow the plans until cancelled."""
        while True:
            try:
                await self._follow()
            except TrancheError as error:
                log.warning("plans_not_followed", reason=str(error))
                await self.runtime.clock.sleep(PAUSE_S)

    async def _follow(self) -> None:
        async with self.bus.follow(subjects.PLANS, [subjects.ALL_PLANS], start="last_per_subject") as follow:
            self._take(await follow.catch_up(wait_s=FOLLOW_S))
            self.read.set()
            while True:
                self._take(await follow.next(wait_s=FOLLOW_S))

    def _take(self, found: Sequence[Stored]) -> None:
        named = {pool for stored in found if (pool := _pool(stored.subject)) is not None} - self.pools
        if named:
            self.pools |= named
            self.told(named)


def _pool(subject: str) -> PoolKey | None:
    try:
        namespace, base, _ = subjects.read_plan(subject)
    except ValueError:
        return None
    return PoolKey(namespace, base)
