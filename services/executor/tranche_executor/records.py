"""Pod records on the bus: read from the stream's leader, written by CAS (design 2.2)."""

from __future__ import annotations

from collections.abc import Iterable

from tranche.bus import cas
from tranche.bus.cas import Held
from tranche.bus.port import Bus
from tranche.contract import subjects
from tranche.contract.record import PodRecord
from tranche.runtime import Runtime
from tranche_executor.core.pod import PodKey, PoolKey

GONE_TTL_S = 3600.0
"""Records of pods that are gone end by themselves after so long (design 2.3)."""


class Records:
    """The records of all pods."""

    def __init__(self, bus: Bus, runtime: Runtime) -> None:
        self._bus = bus
        self._runtime = runtime

    async def read(self, key: PodKey) -> Held[PodRecord] | None:
        """The record now. Raises Unavailable, Unknown, Refused."""
        return await cas.read(self._bus, PodRecord, subjects.AVAILABILITY, subjects.record(*key))

    async def write(self, key: PodKey, record: PodRecord, *, expect: int) -> Held[PodRecord]:
        """Write it where the subject still stands at ``expect``. Raises as ``cas.swap`` does."""
        return await cas.swap(
            *(self._bus, self._runtime, subjects.AVAILABILITY, subjects.record(*key), record),
            expect=expect,
            ttl_s=GONE_TTL_S if record.gone else None,
        )

    async def known(self, pool: PoolKey) -> Iterable[PodKey]:
        """The pods of a pool that have a record."""
        found = await self._bus.subjects(subjects.AVAILABILITY, subjects.records_of(*pool))
        return [PodKey(*subjects.read_pod(subject)) for subject in found]
