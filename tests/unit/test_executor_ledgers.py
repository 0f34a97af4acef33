"""Executors act on the ledger as it is, whatever they have read before."""

from __future__ import annotations

from tranche.bus.memory import MemoryBroker, MemoryBus
from tranche.contract import subjects
from tranche.contract.ledger import Ledger
from tranche.runtime import system_runtime
from tranche.streams import STREAMS
from tranche_executor.core.pod import PoolKey
from tranche_executor.ledgers import Ledgers

POOL = PoolKey("shop", "web")
STREAM = subjects.bucket_stream(subjects.POOLS)


async def test_a_ledger_under_the_number_of_a_forgotten_one_is_read_anew() -> None:
    runtime = system_runtime()
    broker = MemoryBroker(runtime.clock)
    bus = MemoryBus(broker, runtime)
    await bus.ensure(STREAMS, replicas=1, create=True)
    ledgers = Ledgers(bus)
    for epoch in ("first", "second"):
        ledger = Ledger(namespace="shop", base="web", epoch=epoch)
        assert await bus.publish(subjects.key(subjects.POOLS, *POOL), ledger.encode(), expect=0) == 1
        read = await ledgers.read(POOL)
        assert read == ledger
        assert await ledgers.read(POOL) is read, "what did not change is not read twice"
        broker.streams[STREAM].lose(after=0)
    assert await ledgers.read(POOL) is None
