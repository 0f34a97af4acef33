"""Pod records on the bus: read from the stream's leader, written by CAS (design 2.2)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from tranche.bus import cas
from tranche.bus.cas import Held
from tranche.bus.port import Bus
from tranche.contract import subjects
from tranche.contract.placing import home_of_record
from tranche.contract.record import PodRecord
from tranche.runtime import Runtime
from tranche_executor.core.pod import PodKey, PoolKey
from tranche_executor.ledgers import Ledgers

GONE_TTL_S = 3600.0
"""Records of pods that are gone end by themselves after so long (design 2.3)."""
KEPT = timedelta(seconds=GONE_TTL_S + 300)
"""A record of a gone pod that is older was kept for a claim."""


class Records:
    """The records of all pods."""

    def __init__(self, bus: Bus, runtime: Runtime) -> None:
        self._bus = bus
        self._runtime = runtime
        self._ledgers = Ledgers(bus)

    async def read(self, key: PodKey) -> Held[PodRecord] | None:
        """The record now. Raises Unavailable, Unknown, Refused."""
        where = subjects.AVAILABILITY, subjects.record(*key)
        return await cas.read(self._bus, PodRecord, *where, home=home_of_record)

    async def write(self, key: PodKey, record: PodRecord, *, expect: int) -> Held[PodRecord]:
        """Write it where the subject still stands at ``expect``. Raises as ``cas.swap`` does."""
        return await self._write(key, record, expect, None)

    async def bury(self, key: PodKey, record: PodRecord, *, expect: int) -> Held[PodRecord]:
        """Write the record of a pod that is gone: it ends by itself, unless a claim still needs its proof."""
        return await self._write(key, record, expect, None if await self._claimed(key) else GONE_TTL_S)

    async def let_end(self, key: PodKey, held: Held[PodRecord]) -> None:
        """Let a record of a gone pod end that was kept for a claim, once no claim names the pod."""
        now = self._runtime.clock.now()
        if now - held.value.observed_at > KEPT and not await self._claimed(key):
            await self._write(key, held.value.but(observed_at=now), held.sequence, GONE_TTL_S)

    async def known(self, pool: PoolKey | None = None) -> Iterable[PodKey]:
        """The pods of a pool, or of all, that have a record."""
        filter_ = subjects.records_of(*pool) if pool is not None else subjects.ALL_RECORDS
        found = await self._bus.subjects(subjects.AVAILABILITY, filter_)
        return [PodKey(*pod) for pod in subjects.read_pods(found)]

    async def _claimed(self, key: PodKey) -> bool:
        ledger = await self._ledgers.read(key.pool)
        return ledger is not None and key.pod in ledger.claims

    async def _write(
        self, key: PodKey, record: PodRecord, expect: int, ttl_s: float | None
    ) -> Held[PodRecord]:
        subject = subjects.record(*key)
        return await cas.swap(
            *(self._bus, self._runtime, subjects.AVAILABILITY, subject, record), expect=expect, ttl_s=ttl_s
        )
