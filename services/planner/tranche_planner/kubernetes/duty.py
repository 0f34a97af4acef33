"""Who mirrors which namespace: one planner each, by lease; the others stand by."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from tranche.bus.spread import Spread
from tranche.client.client import Client
from tranche.contract.status import Status
from tranche.contract.subjects import ALL_NAMESPACES
from tranche.kubernetes.cache import ObjectKey
from tranche.kubernetes.cluster import Cluster
from tranche.kubernetes.watching import Watch
from tranche.service import Service, Stopping
from tranche_planner.kubernetes.agenda import Agenda, Place
from tranche_planner.kubernetes.known import Known
from tranche_planner.kubernetes.mirror import Mirror
from tranche_planner.kubernetes.module_services import ModuleServices
from tranche_planner.kubernetes.objects import API_VERSION, PLURAL, Objects
from tranche_planner.kubernetes.statuses import follow_statuses
from tranche_planner.store import Store

KIND = "mirror"
SWEEP_S = 300.0
"""Everything is looked at again after so long, whatever was heard."""


@dataclass
class Watching:
    """One namespace that is ours for now."""

    service: Service
    cluster: Cluster
    store: Store
    namespace: str
    url_allow: Sequence[str]
    known: dict[Place, Known] = field(default_factory=dict)
    stopping: Stopping = field(default_factory=Stopping)

    def __post_init__(self) -> None:
        within = "" if self.namespace == ALL_NAMESPACES else f"/namespaces/{self.namespace}"
        self.watch = Watch(
            self.cluster, self.service.runtime, f"/apis/{API_VERSION}{within}/{PLURAL}", dict, self.see
        )
        self.agenda = Agenda(self.service.runtime)
        objects, runtime = Objects(self.cluster), self.service.runtime
        self.mirror = Mirror(
            runtime,
            Client(self.service.bus, runtime),
            self.store,
            objects,
            ModuleServices(runtime, objects),
            lambda place, after_s: self.agenda.ring(place, after_s=after_s),
            self.url_allow,
        )

    async def run(self) -> None:
        """Until it is somebody else's, or the service is asked to stop."""
        everywhere = self.namespace == ALL_NAMESPACES
        ready = asyncio.Event()
        runtime = self.service.runtime
        async with runtime.tasks.group() as group:
            namespaces = () if everywhere else (self.namespace,)
            group.spawn(
                follow_statuses(self.service.bus, runtime, namespaces, self.stopping, self.hear, ready.set),
                name="statuses",
            )
            # What the bus says is known before the first object is judged by it.
            await ready.wait()
            watching = group.spawn(self.watch.run(), name="objects")
            looking = group.spawn(self.agenda.run(self.stopping, self._look), name="agenda")
            group.spawn(self._sweep(), name="sweep of objects")
            await self.stopping.wait()
            watching.cancel()
            # In the middle of a look: whoever looks next finds what is missing.
            looking.cancel()

    def hear(self, status: Status) -> None:
        """A status of the stream."""
        place = status.namespace, status.name
        known = self.known.setdefault(place, Known())
        if known.hear(status) and known.body is not None:
            self.agenda.ring(place)
        elif known.over:
            del self.known[place]

    def see(self, keys: Collection[ObjectKey]) -> None:
        """Objects of which the watch knows something else now."""
        for key in keys:
            known, body = self.known.setdefault(key, Known()), self.watch.get(key)
            if body is None:
                known.body = None
                known.untold.clear()
                if known.over:
                    del self.known[key]
            else:
                known.learn(body)
                self.agenda.ring(key)

    async def _look(self, place: Place) -> None:
        if (known := self.known.get(place)) is not None:
            await self.mirror.look(place, known)

    async def _sweep(self) -> None:
        runtime = self.service.runtime
        while not self.stopping.asked:
            with suppress(TimeoutError):
                async with runtime.clock.timeout(SWEEP_S * runtime.dice.uniform(0.8, 1.2)):
                    await self.stopping.wait()
            for place, known in self.known.items():
                if known.body is not None:
                    self.agenda.ring(place, after_s=runtime.dice.uniform(0.0, SWEEP_S / 10))


async def mirror_objects(
    service: Service, cluster: Cluster, store: Store, namespaces: Sequence[str], url_allow: Sequence[str]
) -> None:
    """Mirror the objects of these namespaces, those of them that are ours, until the service is asked to stop."""
    spread = Spread(service.bus, service.runtime, kind=KIND, instance=service.instance)
    spread.want((namespace,) for namespace in namespaces)
    ours: dict[str, Watching] = {}
    async with service.runtime.tasks.group() as group:
        leases = group.spawn(spread.run(), name="leases of objects")
        while not service.stopping.asked:
            held = {key[0] for key in spread.held}
            for namespace in held - ours.keys():
                ours[namespace] = Watching(service, cluster, store, namespace, url_allow)
                group.spawn(ours[namespace].run(), name=f"objects of {namespace}")
            for namespace in ours.keys() - held:
                ours.pop(namespace).stopping.event.set()
            with suppress(TimeoutError):
                async with service.runtime.clock.timeout(1.0):
                    await spread.changed.wait()
            spread.changed.clear()
        for watching in ours.values():
            watching.stopping.event.set()
        leases.cancel()
