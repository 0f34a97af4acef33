"""Bases that tell of themselves: heard by one executor, known to all, gone when they neither beat nor answer."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.services.executor_stage import POOL, Stage, stage
from tranche.bus.nats import NatsBus
from tranche.contract import subjects
from tranche.runtime import SystemClock, system_runtime, wait_until
from tranche_executor.arklet.client import ArkletClient, http_client
from tranche_executor.base import Base
from tranche_executor.core.observation import Silence
from tranche_executor.core.pod import HEARTBEAT, PodKey
from tranche_executor.pods.beat import read_beat
from tranche_executor.pods.heartbeat import HeartbeatPods, Reply
from tranche_executor.pods.source import Sources
from tranche_executor.pods.static import StaticPods
from tranche_fleet.faults import Fault, Kind
from tranche_fleet.heartbeat import beat
from tranche_fleet.pod import Pod

pytestmark = pytest.mark.nats


@dataclass
class Ground:
    """A stage whose executors hear heartbeats that the test sends."""

    here: Stage
    client: ArkletClient
    beating: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    async def start(self, name: str, *, silence_s: float = 0.6, **changes: Any) -> HeartbeatPods:
        async def ask(address: str) -> bool:
            return not isinstance(await Base(self.client, address).look(), Silence)

        heard = HeartbeatPods(self.here.bus, system_runtime(), ask, silence_s)
        source = changes.pop("source", heard)
        await self.here.start(name, source=source, interval_s=changes.pop("interval_s", 0.1), **changes)
        return heard

    def beats(self, pod: Pod, *ears: HeartbeatPods) -> None:
        """The pod's base beats from now on, faster than a real one."""
        self.beating[pod.name] = asyncio.ensure_future(self._beat(pod, ears))

    async def falls_silent(self, pod: Pod) -> None:
        task = self.beating.pop(pod.name)
        task.cancel()
        await asyncio.wait({task})

    async def _beat(self, pod: Pod, ears: tuple[HeartbeatPods, ...]) -> None:
        while True:
            if pod.base.running:
                for ear in ears:
                    say(ear, pod)
            await asyncio.sleep(0.05)

    async def first_holder(self) -> str:
        """Who looks after the pool."""
        subject = subjects.key(subjects.LEASES, "executor", "key", *POOL)
        async with asyncio.timeout(10):
            while True:
                stored = await self.here.bus.last(subjects.bucket_stream(subjects.LEASES), subject)
                if stored is not None:
                    return str(json.loads(stored.data)["holder"])
                await asyncio.sleep(0.02)


async def until(condition: Callable[[], bool]) -> None:
    async def met() -> bool | None:
        return condition() or None

    await wait_until(met, SystemClock(), timeout_s=5, every_s=0.02)


def say(ear: HeartbeatPods, pod: Pod) -> Reply:
    return ear.hear(read_beat(json.dumps(beat(pod)).encode()))


@asynccontextmanager
async def ground(bus: NatsBus, folder: Path, pods: int = 1) -> AsyncIterator[Ground]:
    async with AsyncExitStack() as stack:
        here = await stack.enter_async_context(stage(bus, folder, 0))
        for number in range(1, pods + 1):
            name = f"web-base-{number}"
            await here.fleet.add(name, namespace=POOL[0], pool=POOL[1], identity=name)
        client = await stack.enter_async_context(http_client(SystemClock(), timeout_s=1.5))
        made = Ground(here, client)
        try:
            yield made
        finally:
            for task in made.beating.values():
                task.cancel()
            await asyncio.gather(*made.beating.values(), return_exceptions=True)


async def test_a_base_that_beats_is_known_at_once_and_worked_on(bus: NatsBus, tmp_path: Path) -> None:
    async with ground(bus, tmp_path, 3) as on:
        ear = await on.start("one")
        began = time.monotonic()
        for pod in on.here.fleet:
            on.beats(pod, ear)
        for pod in on.here.fleet:
            record = await on.here.known(pod.name)
            assert (record.uid, record.address) == (f"{pod.name}@{pod.address}", pod.address)
            assert (record.source, record.max_modules) == (HEARTBEAT, None)
        assert time.monotonic() - began < 20
        done = await on.here.bring("web-base-1")
        assert done.modules["cart"].state == "available"


async def test_what_one_hears_all_know_and_whoever_has_the_pool_watches(bus: NatsBus, tmp_path: Path) -> None:
    async with ground(bus, tmp_path, 2) as on:
        ears = {name: await on.start(name) for name in ("one", "two")}
        first, second = on.here.fleet
        on.beats(first, ears["one"])
        await on.here.known(first.name)
        await until(lambda: PodKey(*POOL, first.name) in ears["two"].pods())
        holder = await on.first_holder()
        other = "two" if holder == "one" else "one"

        # Heard only by the one who does not have the pool: the first record is theirs to write.
        on.beats(second, ears[other])
        await on.here.known(second.name)

        # Whoever heard it dies; the base does too. Who only knows it by its record says that it is gone.
        await on.falls_silent(second)
        await on.here.executors.pop(other).crash()
        second.stop()
        gone = await on.here.seen(second.name, lambda record: record.gone, timeout_s=20)
        assert (gone.ready, gone.reason) == (False, "PodLost")


async def test_silent_but_answering_stays(bus: NatsBus, tmp_path: Path) -> None:
    async with ground(bus, tmp_path) as on:
        ear = await on.start("one", silence_s=0.3)
        (pod,) = on.here.fleet
        say(ear, pod)
        await on.here.known(pod.name)
        await asyncio.sleep(1.5)
        kept = await on.here.record(pod.name)
        assert kept is not None
        assert (kept.gone, kept.ready) == (False, True)


async def test_beating_but_not_answering_stays_and_is_gone_only_when_both_end(
    bus: NatsBus, tmp_path: Path
) -> None:
    async with ground(bus, tmp_path) as on:
        ear = await on.start("one")
        (pod,) = on.here.fleet
        on.beats(pod, ear)
        await on.here.known(pod.name)
        await on.here.bring(pod.name)
        pod.kill_listener()
        await on.here.seen(pod.name, lambda record: record.reason == "PodUnreachable")
        await asyncio.sleep(1.5)
        kept = await on.here.record(pod.name)
        assert kept is not None
        assert (kept.gone, kept.modules.keys()) == (False, {"cart"})

        await on.falls_silent(pod)
        await on.here.seen(pod.name, lambda record: record.gone)
        await until(lambda: ear.pods() == {})

        # It answers again, and says so: the same pod, with what is on it.
        pod.revive_listener()
        on.beats(pod, ear)
        back = await on.here.known(pod.name)
        assert (back.gone, back.modules["cart"].version, back.modules["cart"].revision) == (False, "1.0.0", 0)


async def test_a_base_that_dies_in_an_operation_is_gone_and_the_claim_ends(
    bus: NatsBus, tmp_path: Path
) -> None:
    async with ground(bus, tmp_path) as on:
        ear = await on.start("one", silence_s=1.0)
        (pod,) = on.here.fleet
        on.beats(pod, ear)
        await on.here.known(pod.name)
        pod.arm(Fault(Kind.DEFER, command="installBiz", seconds=60))
        await on.here.claim(pod.name)
        await on.here.seen(pod.name, lambda record: bool(record.operation and record.operation.open))
        pod.stop()
        gone = await on.here.seen(pod.name, lambda record: record.gone, timeout_s=20)
        assert gone.operation is not None
        assert (gone.operation.token, gone.operation.state) == (1, "unchanged")
        await on.here.untasked()
        stored = await on.here.bus.last(subjects.AVAILABILITY, subjects.record(*POOL, pod.name))
        assert stored is not None
        assert "Nats-TTL" not in stored.headers, "the claim still needs its proof"


async def test_two_bases_with_one_identity(bus: NatsBus, tmp_path: Path) -> None:
    async with ground(bus, tmp_path) as on:
        ear = await on.start("one")
        (pod,) = on.here.fleet
        say(ear, pod)
        await on.here.known(pod.name)
        twin = await on.here.fleet.add("twin", namespace=POOL[0], pool=POOL[1], identity=pod.name)
        refused = say(ear, twin)
        assert refused.status == 409
        assert "identity of its own" in refused.reason
        kept = await on.here.record(pod.name)
        assert kept is not None
        assert kept.address == pod.address


async def test_a_base_made_anew_elsewhere_takes_its_name(bus: NatsBus, tmp_path: Path) -> None:
    async with ground(bus, tmp_path) as on:
        ears = {name: await on.start(name, silence_s=60.0) for name in ("one", "two")}
        (pod,) = on.here.fleet
        say(ears["one"], pod)
        first = await on.here.known(pod.name)
        await until(lambda: bool(ears["two"].pods()))
        pod.stop()
        anew = await on.here.fleet.add("anew", namespace=POOL[0], pool=POOL[1], identity=pod.name)
        # Heard by one who never heard the first: asking tells that it is no more.
        assert say(ears["two"], anew).status == 202
        after = await on.here.seen(pod.name, lambda record: record.uid != first.uid and record.ready)
        assert after.address == anew.address
        await until(lambda: ears["one"].pods()[PodKey(*POOL, pod.name)].address == anew.address)
        await asyncio.sleep(1.0)
        kept = await on.here.record(pod.name)
        assert kept is not None
        assert (kept.uid, kept.ready) == (after.uid, True)


async def test_who_does_not_answer_is_not_believed(bus: NatsBus, tmp_path: Path) -> None:
    async with ground(bus, tmp_path) as on:
        ear = await on.start("one")
        (pod,) = on.here.fleet
        pod.kill_listener()
        assert say(ear, pod).status == 202
        await asyncio.sleep(0.5)
        assert await on.here.record(pod.name) is None
        assert ear.pods() == {}
        # Its arklet listens at last, and no other heartbeat is needed.
        pod.revive_listener()
        await on.here.known(pod.name)


async def test_a_pod_in_two_sources_is_the_first_ones(bus: NatsBus, tmp_path: Path) -> None:
    async with ground(bus, tmp_path, 2) as on:
        listed, heard = on.here.fleet
        document = on.here.fleet.inventory()
        document["pools"][0]["pods"] = [{"name": listed.name, "address": listed.address, "uid": "by-file"}]
        file = tmp_path / "some.yaml"
        file.write_text(json.dumps(document))
        runtime = system_runtime()

        async def ask(address: str) -> bool:
            return True

        ear = HeartbeatPods(bus, runtime, ask, 0.3)
        await on.start("one", source=Sources([StaticPods(file, runtime.clock), ear], runtime))
        for pod in (listed, heard):
            on.beats(pod, ear)
        assert (await on.here.known(heard.name)).source == HEARTBEAT
        record = await on.here.known(listed.name)
        assert (record.uid, record.source) == ("by-file", "static")
        await asyncio.sleep(0.5)
        assert await on.here.record(listed.name) == record
