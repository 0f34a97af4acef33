"""The port to whatever sends requests to modules: what serves is told, what is to be taken down leaves first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from tranche.contract.record import PodRecord
from tranche_executor.core.pod import Pod


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a pod stood before its record was read: nothing is made known after somebody has changed it since."""

    uid: str
    version: str


class Traffic(Protocol):
    """Steers requests to pods, where pods come from a source that can."""

    async def mark(self, record: PodRecord) -> Mark | None:
        """To be taken before the record is read that ``follow`` goes by; None: traffic to it is not steered."""

    async def follow(self, mark: Mark, before: PodRecord | None, record: PodRecord) -> bool:
        """Make known what serves by this record and what no longer does; whether anything was written.

        Raises Conflict where the pod changed since the mark: look again.
        """

    async def leave(self, record: PodRecord, module: str) -> bool:
        """Have no new requests sent to a module on this pod; False: traffic to it is not steered.

        Raises Conflict where the pod is gone, or another has its name.
        """

    async def clear(self, pod: Pod) -> None:
        """Have no requests of ours sent to the pod: nothing is known to serve there."""


class Unsteered:
    """Nobody is told: requests find their way by themselves."""

    async def mark(self, record: PodRecord) -> Mark | None:
        """None of them is."""
        return None

    async def follow(self, mark: Mark, before: PodRecord | None, record: PodRecord) -> bool:
        """Nothing to make known."""
        return False

    async def leave(self, record: PodRecord, module: str) -> bool:
        """Nobody to wait for."""
        return False

    async def clear(self, pod: Pod) -> None:
        """Nothing was made known."""
