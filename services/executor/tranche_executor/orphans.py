"""Pods of pools that no source has any more: they left while nobody watched (design 2.2).

Another executor may have another inventory, so what we do not list is not gone for that. Only where nobody looks
after the pool, and the base has not answered for a minute, nobody will ever say it but us. A cluster is the same
for all: what its server says is not there is gone.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import structlog

from tranche.bus.cas import Held
from tranche.bus.spread import Spread
from tranche.contract.record import PodRecord
from tranche.errors import Refused, TrancheError
from tranche.runtime import Runtime
from tranche_executor.arklet.client import ArkletClient
from tranche_executor.base import Base
from tranche_executor.core.observation import Silence, gone
from tranche_executor.core.pod import KUBERNETES, PodKey
from tranche_executor.pods.source import PodSource
from tranche_executor.records import Records

LOOK_S = 15.0
"""Between two looks at pods that are silent."""
LIST_S = 600.0
"""Between two looks for such pods."""

log = structlog.get_logger()


@dataclass(slots=True)
class Orphans:
    """Looks for them at the start, and now and then. ``silence_s``: without an answer for so long, it is gone."""

    runtime: Runtime
    source: PodSource
    spread: Spread
    client: ArkletClient
    records: Records
    silence_s: float = 60.0
    alone: bool = True
    """What no source of ours lists is nobody's."""
    look_s: float = LOOK_S
    _silent_since: dict[PodKey, float] = field(default_factory=dict)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self._round()
            except TrancheError as error:
                log.warning("orphans_not_looked_for", reason=str(error))
                await self.runtime.clock.sleep(self.look_s)
                continue
            await self.runtime.clock.sleep(self.look_s if self._silent_since else LIST_S)

    async def _round(self) -> None:
        pods = self.source.pods()
        silent = {key for key in await self.records.known() if key not in pods and await self._is_lost(key)}
        self._silent_since = {key: at for key, at in self._silent_since.items() if key in silent}

    async def _is_lost(self, key: PodKey) -> bool:
        try:
            return await self._is_silent(key)
        except Refused as error:
            log.warning("orphan_unreadable", pod=key.pod, reason=str(error))
            return False

    async def _is_silent(self, key: PodKey) -> bool:
        held = await self.records.read(key)
        if held is None:
            return False
        known_by_all = held.value.source == KUBERNETES and self.source.lists(held.value)
        if not known_by_all and (not self.alone or self.source.lists(held.value)):
            return False
        if key.pool not in self.spread.held and await self.spread.holder(key.pool) is not None:
            return False
        if held.value.gone:
            await self.records.let_end(key, held)
            return False
        if known_by_all:
            await self._bury(key, held, "not in the cluster")
            return False
        if not isinstance(await Base(self.client, held.value.address).look(), Silence):
            return False
        now = self.runtime.clock.monotonic()
        if now - self._silent_since.setdefault(key, now) < self.silence_s:
            return True
        await self._bury(key, held, "in no inventory")
        return False

    async def _bury(self, key: PodKey, held: Held[PodRecord], reason: str) -> None:
        if await self.source.look(key) is None:
            await self.records.bury(key, gone(held.value, self.runtime.clock.now()), expect=held.sequence)
            log.info("gone", namespace=key.namespace, base=key.base, pod=key.pod, reason=reason)
