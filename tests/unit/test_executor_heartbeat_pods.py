"""Pods heard of here, and what records say of them meanwhile."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

from tranche.bus.memory import MemoryBroker, MemoryBus
from tranche.contract.record import PodRecord
from tranche.runtime import system_runtime, wait_until
from tranche.streams import STREAMS
from tranche_executor.core.pod import HEARTBEAT, Pod, PodKey
from tranche_executor.pods.heartbeat import HeartbeatPods

KEY = PodKey("shop", "web-base", "web-1")
OLD = Pod(KEY, "web-1@10.0.0.1:1238", "10.0.0.1:1238", source=HEARTBEAT)
NEW = replace(OLD, uid="web-1@10.0.0.2:1238", address="10.0.0.2:1238")


def record(pod: Pod, **facts: object) -> PodRecord:
    return PodRecord(
        namespace="shop",
        base="web-base",
        pod="web-1",
        uid=pod.uid,
        address=pod.address,
        observed_at=datetime.now(UTC),
        source=HEARTBEAT,
        ready=True,
    ).but(**facts)


async def test_a_record_of_the_one_before_does_not_hide_the_one_just_heard() -> None:
    runtime = system_runtime()
    bus = MemoryBus(MemoryBroker(runtime.clock), runtime)
    await bus.ensure(STREAMS, replicas=1, create=True)

    async def ask(address: str) -> bool:
        return address == NEW.address

    heard = HeartbeatPods(bus, runtime, ask)
    heard.tell(record(OLD))
    assert heard.pods() == {KEY: OLD}
    running = asyncio.ensure_future(heard.run())
    try:
        assert heard.hear(NEW).status == 202

        async def met() -> bool | None:
            return heard.pods() == {KEY: NEW} or None

        await wait_until(met, runtime.clock, timeout_s=5, every_s=0.01)
        heard.tell(record(OLD, ready=False))  # written by whoever still asks the old one
        assert heard.pods() == {KEY: NEW}
        assert heard.unshared() == {KEY}

        heard.tell(record(NEW))
        heard.tell(record(OLD))  # once ours is written, what comes later counts
        assert heard.pods() == {KEY: OLD}
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
