"""A broker that is empty at first, and connections to it: on NATS and in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from tests.contract.bus.desk import CLOCK, RUNTIME, STREAMS, Connect
from tranche.bus.memory import MemoryBroker, MemoryBus
from tranche.bus.nats import connect
from tranche.bus.port import Bus
from tranche.bus.server import embedded_server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def accounts(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Iterator[str]]:
    """Addresses of one server, each of an account that nobody has used before."""
    named = ", ".join(
        f"a{number} {{ jetstream: enabled, users: [{{ user: u{number}, password: p }}] }}"
        for number in range(200)
    )
    folder = tmp_path_factory.mktemp("nats")
    async with embedded_server(folder, options=f"accounts {{ {named} }}") as server:
        yield (server.url.replace("//", f"//u{number}:p@") for number in range(200))


@pytest.fixture(params=[pytest.param("nats", marks=pytest.mark.nats), "memory"])
async def another(request: pytest.FixtureRequest, accounts: Iterator[str]) -> AsyncIterator[Connect]:
    """Makes one more connection to the same broker, which is empty at first."""
    async with AsyncExitStack() as connections:
        if request.param == "memory":
            broker = MemoryBroker(CLOCK)

            async def in_memory() -> Bus:
                return MemoryBus(broker, RUNTIME)

            yield in_memory
            return
        address = next(accounts)

        async def over_nats() -> Bus:
            return await connections.enter_async_context(connect(address, name="test"))

        yield over_nats


@pytest.fixture
async def bus(another: Connect) -> Bus:
    """A connection to a broker with the streams above."""
    bus = await another()
    await bus.ensure(STREAMS, replicas=1, create=True)
    return bus
