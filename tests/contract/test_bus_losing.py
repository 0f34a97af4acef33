"""A broker that comes back without the last writes it acknowledged, and what its consumers make of it.

On nats-server the messages of a stream are put back on disk as they were earlier; its consumers stay as they are.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import pytest

from tranche.bus.memory import MemoryBroker, MemoryBus
from tranche.bus.nats import connect
from tranche.bus.port import Bus, ConsumerSpec, StreamSpec
from tranche.bus.server import NatsServer
from tranche.runtime import SystemClock, system_runtime

CONSUMER = ConsumerSpec("JOBS", "worker", ("jobs.>",), ack_wait_s=5)


def streams(retention: Literal["limits", "workqueue"]) -> tuple[StreamSpec, ...]:
    return (StreamSpec("JOBS", ("jobs.>",), retention=retention, consumers=(CONSUMER,)),)


async def publish(bus: Bus, *names: str) -> list[int]:
    return [await bus.publish(f"jobs.{name}", name.encode()) for name in names]


async def take(bus: Bus, count: int) -> list[str]:
    """So many messages, or those there are."""
    pull, taken = await bus.pull(CONSUMER), list[str]()
    while len(taken) < count and (found := await pull.fetch(count - len(taken), wait_s=1.0)):
        for delivery in found:
            taken.append(delivery.message.data.decode())
            await delivery.ack()
    return taken


class Lossy:
    """A broker that can be taken back to where it was when it was marked."""

    @asynccontextmanager
    async def bus(self) -> AsyncIterator[Bus]:
        """A connection."""
        raise NotImplementedError
        yield

    async def mark(self) -> None:
        raise NotImplementedError

    async def lose(self) -> None:
        raise NotImplementedError


class LossyNats(Lossy):
    def __init__(self, folder: Path) -> None:
        self._server = NatsServer(
            folder / "server", host="127.0.0.1", port=-1, options="", clock=SystemClock()
        )
        self._marked = folder / "marked"

    @asynccontextmanager
    async def bus(self) -> AsyncIterator[Bus]:
        self._server.folder.mkdir(parents=True, exist_ok=True)
        await self._server.start()
        try:
            async with connect(self._server.url, name="test") as bus:
                yield bus
        finally:
            await self._server.stop()

    async def mark(self) -> None:
        shutil.copytree(self._messages, self._marked)

    async def lose(self) -> None:
        messages = self._messages
        shutil.rmtree(messages)
        shutil.copytree(self._marked, messages)

    @property
    def _messages(self) -> Path:
        return next(self._server.folder.rglob("streams/JOBS/msgs"))


class LossyMemory(Lossy):
    def __init__(self) -> None:
        self._runtime = system_runtime()
        self._broker = MemoryBroker(self._runtime.clock)
        self._marked = 0

    @asynccontextmanager
    async def bus(self) -> AsyncIterator[Bus]:
        yield MemoryBus(self._broker, self._runtime)

    async def mark(self) -> None:
        self._marked = self._broker.streams["JOBS"].last_sequence

    async def lose(self) -> None:
        self._broker.streams["JOBS"].lose(self._marked)


@pytest.fixture(params=["memory", pytest.param("nats", marks=pytest.mark.nats)])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Lossy:
    return LossyMemory() if request.param == "memory" else LossyNats(tmp_path)


@pytest.mark.parametrize("retention", ["limits", "workqueue"])
async def test_what_comes_under_numbers_given_out_again_is_handed_out(
    broker: Lossy, retention: Literal["limits", "workqueue"]
) -> None:
    async with broker.bus() as bus:
        await bus.ensure(streams(retention), replicas=1, create=True)
        assert await publish(bus, "a", "b", "c") == [1, 2, 3]
        assert await take(bus, 3) == ["a", "b", "c"]
    await broker.mark()
    async with broker.bus() as bus:
        await publish(bus, "d", "e", "f", "g")
        assert await take(bus, 4) == ["d", "e", "f", "g"]
    await broker.lose()
    async with broker.bus() as bus:
        assert (await bus.state("JOBS")).last_sequence == 3
        assert await publish(bus, "h", "i") == [4, 5]
        assert await take(bus, 3) == ["h", "i"]
