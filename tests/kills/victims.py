"""What is killed and frozen, and how each comes back: as an orchestrator would have it, by nobody's hand."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import suppress
from typing import Protocol

from tests.processes import ServiceProcess
from tranche.bus.server import NatsServer
from tranche.errors import Unavailable

COMES_BACK_S = 180.0
"""On a busy machine a process may need most of a minute to start."""
AGAIN_S = 0.5
STARTED = b'"event": "started"'


class Lost(Exception):
    """A process did not come back; the message says which."""


class Victim(Protocol):
    """A process that can be struck."""

    @property
    def name(self) -> str: ...

    @property
    def running(self) -> bool: ...

    async def kill(self) -> None:
        """As a crash: nothing of its own runs any more."""

    async def revive(self) -> int:
        """Start it again until it works; how many starts failed, as they may where its broker is away."""

    def freeze(self) -> None: ...

    def thaw(self) -> None: ...


class ServiceVictim:
    """A planner, scheduler or executor."""

    def __init__(self, process: ServiceProcess) -> None:
        self._process = process

    @property
    def name(self) -> str:
        return self._process.name

    @property
    def running(self) -> bool:
        return self._process.running

    async def kill(self) -> None:
        await self._process.kill()

    async def revive(self) -> int:
        failed = 0
        async with asyncio.timeout(COMES_BACK_S):
            while not await self._start():
                failed += 1
                await asyncio.sleep(AGAIN_S)
        return failed

    def freeze(self) -> None:
        self._process.freeze()

    def thaw(self) -> None:
        self._process.thaw()

    async def _start(self) -> bool:
        """Whether it said that it has started, before it ended."""
        log = self._process.log
        before = log.stat().st_size if log.exists() else 0
        await self._process.start(wait=False)
        while self._process.running:
            with log.open("rb") as file:
                file.seek(before)
                if STARTED in file.read():
                    return True
            await asyncio.sleep(0.02)
        return False


class ServerVictim:
    """A nats-server, alone or a member of a cluster."""

    def __init__(self, name: str, server: NatsServer) -> None:
        self._name = name
        self._server = server

    @property
    def name(self) -> str:
        return self._name

    @property
    def running(self) -> bool:
        return self._server.pid is not None

    async def kill(self) -> None:
        await self._server.kill()

    async def revive(self) -> int:
        failed = 0
        async with asyncio.timeout(COMES_BACK_S):
            while True:
                with suppress(Unavailable):
                    await self._server.start()
                    return failed
                failed += 1
                await asyncio.sleep(AGAIN_S)

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if (pid := self._server.pid) is not None:
            os.kill(pid, number)


async def revived(victim: Victim) -> tuple[float, int]:
    """Seconds until it works again, and the starts that failed meanwhile. Raises Lost."""
    began = time.monotonic()
    try:
        failed = await victim.revive()
    except TimeoutError:
        raise Lost(f"{victim.name} was started again and does not work after {COMES_BACK_S:g} s") from None
    return time.monotonic() - began, failed
