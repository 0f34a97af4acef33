"""The port to whatever knows which pods there are."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

import structlog

from tranche.contract.record import PodRecord
from tranche.runtime import Runtime
from tranche_executor.core.pod import Pod, PodKey

log = structlog.get_logger()


class PodSource(Protocol):
    """Pods as a source knows them."""

    def pods(self) -> Mapping[PodKey, Pod]:
        """The pods known now."""

    async def look(self, key: PodKey) -> Pod | None:
        """The pod as the source has it this moment: asked before anybody says that it is gone."""

    def unshared(self) -> Collection[PodKey]:
        """Pods that only this process knows of: ours to observe until they have a record, whoever has the pool."""

    def lists(self, record: PodRecord) -> bool:
        """Whether the source would have the pod of this record if there were one: without it, it is gone."""

    def lost(self, pod: Pod, silent_s: float) -> bool:
        """Whether a pod whose base has not answered for so long, asked again and again, is gone."""

    def forget(self, pod: Pod, record: PodRecord | None) -> None:
        """The pod was found to be gone; ``record``: what stood there before."""

    def ring(self, bell: asyncio.Event) -> None:
        """Set this bell from now on whenever ``pods`` may say something else."""

    async def run(self) -> None:
        """Keep up with the source until cancelled."""


class Sources:
    """Several sources as one; of two that know a pod the first counts."""

    def __init__(self, sources: Sequence[PodSource], runtime: Runtime) -> None:
        self._sources = sources
        self._runtime = runtime
        self._doubled: set[PodKey] = set()

    def pods(self) -> Mapping[PodKey, Pod]:
        """All pods of all sources."""
        if len(self._sources) == 1:
            return self._sources[0].pods()
        merged: dict[PodKey, Pod] = {}
        for source in self._sources:
            found = source.pods()
            self._tell(merged.keys() & found.keys())
            merged = {**found, **merged}
        return merged

    async def look(self, key: PodKey) -> Pod | None:
        """The pod as the first source that has it tells."""
        for source in self._sources:
            if (pod := await source.look(key)) is not None:
                return pod
        return None

    def unshared(self) -> Collection[PodKey]:
        """Of all sources, but for pods that one before it has too."""
        found: set[PodKey] = set()
        before: list[PodSource] = []
        for source in self._sources:
            found |= {key for key in source.unshared() if not any(key in other.pods() for other in before)}
            before.append(source)
        return found

    def lists(self, record: PodRecord) -> bool:
        """Whether any of them would."""
        return any(source.lists(record) for source in self._sources)

    def lost(self, pod: Pod, silent_s: float) -> bool:
        """As the source that knows it judges."""
        source = self._of(pod)
        return source is not None and source.lost(pod, silent_s)

    def forget(self, pod: Pod, record: PodRecord | None) -> None:
        """Told to the source that knows it."""
        if (source := self._of(pod)) is not None:
            source.forget(pod, record)

    def ring(self, bell: asyncio.Event) -> None:
        """Any of them may set it."""
        for source in self._sources:
            source.ring(bell)

    async def run(self) -> None:
        """Keep up with all of them until cancelled."""
        async with self._runtime.tasks.group() as group:
            for number, source in enumerate(self._sources):
                group.spawn(source.run(), name=f"pods-{number}")

    def _of(self, pod: Pod) -> PodSource | None:
        return next((source for source in self._sources if source.pods().get(pod.key) == pod), None)

    def _tell(self, doubled: set[PodKey]) -> None:
        for key in doubled - self._doubled:
            self._doubled.add(key)
            log.warning("pod_in_two_sources", namespace=key.namespace, base=key.base, pod=key.pod)
