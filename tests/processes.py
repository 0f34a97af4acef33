"""The services as processes, started, killed, frozen and stopped by pid."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, Process
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

READY_TIMEOUT_S = 30.0


@dataclass(slots=True)
class ServiceProcess:
    """One process of a module such as ``tranche_planner``; its log is a file."""

    module: str
    number: int
    arguments: list[str]
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    process: Process | None = None

    @property
    def name(self) -> str:
        return f"{self.module.removeprefix('tranche_')}-{self.number}"

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.returncode is None

    async def start(self, *, wait: bool = True) -> None:
        """Start it, and by default wait until its log says it has started."""
        seen = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", self.module, *self.arguments),
                stdin=DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "TRANCHE_LOG": "json", **self.environment},
                start_new_session=True,
            )
        if wait:
            await self._started(seen)

    async def kill(self) -> None:
        """End it as a crash would: nothing of its own runs any more."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> float:
        """Ask it to end, as an orchestrator would; how many seconds it took."""
        began = time.monotonic()
        await self._end(signal.SIGTERM)
        return time.monotonic() - began

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def words(self) -> str:
        """The end of its log, for a failing test."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-30:]) if self.log.exists() else ""

    async def _end(self, how: signal.Signals) -> None:
        if self.process is not None:
            self._signal(how)
            if how is not signal.SIGKILL:
                self._signal(signal.SIGCONT)
            await self.process.wait()

    def _signal(self, which: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            if self.process is not None and self.process.returncode is None:
                self.process.send_signal(which)

    async def _started(self, seen: int) -> None:
        async with asyncio.timeout(READY_TIMEOUT_S):
            while b'"event": "started"' not in self.log.read_bytes()[seen:]:
                assert self.running, f"{self.name} ended at its start:\n{self.words()}"
                await asyncio.sleep(0.02)
