"""The port to whatever knows which pods there are."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Protocol

from tranche.runtime import Runtime
from tranche_executor.core.pod import Pod, PodKey


class PodSource(Protocol):
    """Pods as a source knows them."""

    def pods(self) -> Mapping[PodKey, Pod]:
        """The pods known now."""

    async def look(self, key: PodKey) -> Pod | None:
        """The pod as the source has it this moment: asked before anybody says that it is gone."""

    def ring(self, bell: asyncio.Event) -> None:
        """Set this bell from now on whenever ``pods`` may say something else."""

    async def run(self) -> None:
        """Keep up with the source until cancelled."""


class Sources:
    """Several sources as one; of two that know a pod the first counts."""

    def __init__(self, sources: Sequence[PodSource], runtime: Runtime) -> None:
        self._sources = sources
        self._runtime = runtime

    def pods(self) -> Mapping[PodKey, Pod]:
        """All pods of all sources."""
        return {key: pod for source in reversed(self._sources) for key, pod in source.pods().items()}

    async def look(self, key: PodKey) -> Pod | None:
        """The pod as the first source that has it tells."""
        for source in self._sources:
            if (pod := await source.look(key)) is not None:
                return pod
        return None

    def ring(self, bell: asyncio.Event) -> None:
        """Any of them may set it."""
        for source in self._sources:
            source.ring(bell)

    async def run(self) -> None:
        """Keep up with all of them until cancelled."""
        async with self._runtime.tasks.group() as group:
            for number, source in enumerate(self._sources):
                group.spawn(source.run(), name=f"pods-{number}")
