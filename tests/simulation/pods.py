"""The pods of the world, and how executors hear of them: late, and sometimes only at the next list."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from tests.simulation.air import Air
from tests.simulation.bases import SimBase
from tranche.contract.record import PodRecord
from tranche.runtime import Clock
from tranche_executor.core.pod import Pod, PodKey, PoolKey

LIST_S = 5.0
"""What a watch missed is seen in the next list."""


@dataclass(eq=False)
class Inventory:
    """The truth about pods: who is there, under which uid, at which address."""

    pods: dict[PodKey, Pod] = field(default_factory=dict)
    pools: set[PoolKey] = field(default_factory=set)
    bases: dict[str, SimBase] = field(default_factory=dict)
    """By address; what left stays reachable until its process has ended."""
    version: int = 0
    watchers: list[SimPods] = field(default_factory=list)

    def put(self, pod: Pod) -> None:
        """A pod joined or changed."""
        self.pods = {**self.pods, pod.key: pod}
        self.pools.add(pod.key.pool)
        self._tell()

    def drop(self, key: PodKey) -> None:
        """A pod left."""
        self.pods = {known: pod for known, pod in self.pods.items() if known != key}
        self._tell()

    def _tell(self) -> None:
        self.version += 1
        for watcher in self.watchers:
            watcher.heard()


class SimPods:
    """One executor's view of the inventory: the executor's port to pods."""

    def __init__(self, inventory: Inventory, air: Air, clock: Clock) -> None:
        self._inventory = inventory
        self._air = air
        self._clock = clock
        self._pods: Mapping[PodKey, Pod] = inventory.pods
        self._bell = asyncio.Event()
        self._news = asyncio.Event()
        inventory.watchers.append(self)

    def heard(self) -> None:
        """The truth has changed; in bad weather the word of it is lost."""
        if self._air.weather.bad and self._air.draw.random() < 0.2:
            self._air.fault("missed pod event")
            return
        self._news.set()

    def pods(self) -> Mapping[PodKey, Pod]:
        return self._pods

    async def look(self, key: PodKey) -> Pod | None:
        await self._clock.sleep(self._air.latency())
        return self._inventory.pods.get(key)

    def unshared(self) -> Collection[PodKey]:
        return ()

    def lists(self, record: PodRecord) -> bool:
        return PoolKey(record.namespace, record.base) in self._inventory.pools

    def lost(self, pod: Pod, silent_s: float) -> bool:
        return False

    def forget(self, pod: Pod, record: PodRecord | None) -> None:
        return None

    def ring(self, bell: asyncio.Event) -> None:
        self._bell = bell

    async def run(self) -> None:
        while True:
            try:
                async with self._clock.timeout(LIST_S):
                    await self._news.wait()
            except TimeoutError:
                pass
            self._news.clear()
            await self._clock.sleep(self._air.latency())
            if self._pods is not self._inventory.pods:
                self._pods = self._inventory.pods
                self._bell.set()
