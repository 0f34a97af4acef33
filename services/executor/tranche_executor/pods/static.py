"""Pods from a YAML file, read again when it changes; what cannot be read keeps the last good one (design 3.5)."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from pathlib import Path

import structlog

from tranche.contract.record import PodRecord
from tranche.errors import Refused
from tranche.runtime import Clock
from tranche_executor.core.pod import STATIC, Pod, PodKey, PoolKey
from tranche_executor.pods.inventory import read_inventory

POLL_S = 0.5
_Stamp = tuple[int, int, int]

log = structlog.get_logger()


class StaticPods:
    """The pods of an inventory file. Raises Refused at once when it cannot be read."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._bell = asyncio.Event()
        self._stamp = self._stat()
        self._pods: Mapping[PodKey, Pod] = read_inventory(self._text(), str(path))
        self._pools = {key.pool for key in self._pods}
        """Those the file has, or had since we read it first."""

    def pods(self) -> Mapping[PodKey, Pod]:
        """What the file said when it could last be read."""
        return self._pods

    async def look(self, key: PodKey) -> Pod | None:
        """The pod as the file has it now."""
        self._read_again()
        return self._pods.get(key)

    def unshared(self) -> Collection[PodKey]:
        """None: whoever has the file knows them."""
        return ()

    def lists(self, record: PodRecord) -> bool:
        """Whether its pool is one of the file's; a record of before this was noted is taken for one of a file."""
        ours = record.source in ("", STATIC)
        return ours and PoolKey(record.namespace, record.base) in self._pools

    def lost(self, pod: Pod, silent_s: float) -> bool:
        """Never: what the file lists is there, however silent."""
        return False

    def forget(self, pod: Pod, record: PodRecord | None) -> None:
        """Only the file forgets."""

    def ring(self, bell: asyncio.Event) -> None:
        """Set this bell from now on whenever the file said something else."""
        self._bell = bell

    async def run(self) -> None:
        """Look at the file every half second until cancelled."""
        while True:
            await self._clock.sleep(POLL_S)
            self._read_again()

    def _read_again(self) -> None:
        stamp = self._stat()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            pods = read_inventory(self._text(), str(self._path))
        except Refused as error:
            log.error("inventory_refused", reason=str(error), kept=len(self._pods))
            return
        if pods != self._pods:
            log.info("inventory_changed", pods=len(pods), before=len(self._pods))
            self._pods = pods
            self._pools |= {key.pool for key in pods}
            self._bell.set()

    def _text(self) -> str:
        try:
            return self._path.read_text(encoding="utf-8")
        except (OSError, UnicodeError) as error:
            raise Refused(f"{self._path}: the inventory cannot be read: {error}") from error

    def _stat(self) -> _Stamp | None:
        try:
            stat = self._path.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_size, stat.st_ino
