"""What the executor tells of pods that nobody works on."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.services.executor_stage import ran, stage
from tranche.bus.nats import NatsBus
from tranche.runtime import SystemClock
from tranche_executor.arklet.client import http_client
from tranche_fleet.arklet import Settings
from tranche_fleet.faults import Fault, Kind
from tranche_fleet.inventory import MAX_MODULES

pytestmark = pytest.mark.nats


async def test_pods_are_known_at_once(bus: NatsBus, tmp_path: Path) -> None:
    async with stage(bus, tmp_path, pods=5, max_modules=5) as here:
        began = time.monotonic()
        await here.start()
        for pod in here.fleet:
            record = await here.known(pod.name)
            assert (record.max_modules, record.gone, record.modules) == (5, False, {})
            assert record.uid == f"{pod.name}@{pod.address}"
        assert time.monotonic() - began < 20


async def test_modules_of_others_are_seen(bus: NatsBus, tmp_path: Path) -> None:
    async with stage(bus, tmp_path) as here:
        async with http_client(SystemClock()) as client:
            address, jar = here.fleet["web-base-1"].address, "http://modules.example/orders-1.0.0.jar"
            await client.install(address, "orders", "1.0.0", jar, (), "by-hand")
            await asyncio.sleep(0.2)
        await here.start()
        record = await here.known("web-base-1")
        entry = record.modules["orders"]
        assert (entry.version, entry.revision, entry.state) == ("1.0.0", 0, "available")
        taken = await here.bring("web-base-1")
        assert taken.modules.keys() == {"cart", "orders"}
        assert ran(here.fleet["web-base-1"])[-1] == "install cart:1.0.0"


async def test_a_base_that_restarted_has_lost_its_modules(bus: NatsBus, tmp_path: Path) -> None:
    async with stage(bus, tmp_path) as here:
        await here.start(interval_s=0.3)
        await here.bring("web-base-1")
        here.fleet["web-base-1"].restart(down_s=0.1)
        record = await here.seen("web-base-1", lambda record: not record.modules)
        assert record.operation is not None
        assert record.operation.token == 1


async def test_a_failure_stays_until_something_is_done(bus: NatsBus, tmp_path: Path) -> None:
    async with stage(bus, tmp_path) as here:
        here.contents[1] = here.contents[1].but(url="http://modules.example/none")
        await here.start(interval_s=0.1)
        await here.bring("web-base-1")
        await asyncio.sleep(0.5)
        record = await here.record("web-base-1")
        assert record is not None
        assert record.modules["cart"].state == "failed"


async def test_a_silent_base_is_not_ready_until_it_answers(bus: NatsBus, tmp_path: Path) -> None:
    async with stage(bus, tmp_path) as here:
        await here.start(interval_s=0.3)
        await here.bring("web-base-1")
        here.fleet["web-base-1"].kill_listener()
        record = await here.seen("web-base-1", lambda record: not record.ready)
        assert record.reason == "PodUnreachable"
        assert record.modules.keys() == {"cart"}
        here.fleet["web-base-1"].revive_listener()
        back = await here.known("web-base-1")
        assert (back.reason, back.modules["cart"].state) == ("", "available")


async def test_nothing_is_written_while_nothing_changes(bus: NatsBus, tmp_path: Path) -> None:
    async with stage(bus, tmp_path) as here:
        await here.start(interval_s=0.05)
        before = await here.known("web-base-1")
        await asyncio.sleep(0.5)
        assert await here.record("web-base-1") == before


async def test_the_inventory_is_followed(bus: NatsBus, tmp_path: Path) -> None:
    async with stage(bus, tmp_path, pods=2) as here:
        await here.start()
        await here.bring("web-base-1")
        await here.known("web-base-2")

        joined = await here.fleet.add(namespace="shop", pool="web-base")
        await here.known(joined.name)

        joined.labels[MAX_MODULES] = "many"
        here.fleet.publish()
        spoiled = await here.seen(joined.name, lambda record: bool(record.capacity_problem))
        assert "'many'" in spoiled.capacity_problem

        joined.labels["tranche.dev/cordoned"] = "true"
        joined.ready = False
        here.fleet.publish()
        await here.seen(joined.name, lambda record: record.cordoned and not record.ready)

        good = here.inventory.read_text()
        here.inventory.write_text("pools: [{namespace: SHOP}]")
        await asyncio.sleep(1.0)
        kept = await here.record("web-base-1")
        assert kept is not None
        assert not kept.gone
        here.inventory.write_text(good)

        here.fleet.remove(here.fleet["web-base-1"])
        gone = await here.seen("web-base-1", lambda record: record.gone)
        assert gone.operation is not None
        assert (gone.ready, gone.modules, gone.operation.token) == (False, {}, 1)


async def test_a_pod_cordoned_during_an_operation_is_so_at_its_end(bus: NatsBus, tmp_path: Path) -> None:
    async with stage(bus, tmp_path, settings=Settings(install_s=1.5)) as here:
        await here.start()
        pod = here.fleet["web-base-1"]
        await here.known(pod.name)
        token = await here.claim(pod.name)
        await here.seen(pod.name, lambda record: bool(record.operation and record.operation.open))
        pod.labels["tranche.dev/cordoned"] = "true"
        here.fleet.publish()
        done = await here.over(pod.name, token)
        assert (done.cordoned, done.ready) == (True, True)


async def test_a_claim_on_a_pod_that_went_away_ends_by_its_record(bus: NatsBus, tmp_path: Path) -> None:
    async with stage(bus, tmp_path, pods=2) as here:
        await here.start()
        await here.known("web-base-1")
        pod = here.fleet["web-base-1"]
        pod.arm(Fault(Kind.DEFER, command="installBiz", seconds=60))
        await here.claim("web-base-1")
        await here.seen("web-base-1", lambda record: bool(record.operation and record.operation.open))
        here.fleet.remove(pod)
        gone = await here.seen("web-base-1", lambda record: record.gone)
        assert gone.operation is not None
        assert gone.operation.over
        await here.untasked()


async def test_another_pod_under_the_same_name_starts_afresh(bus: NatsBus, tmp_path: Path) -> None:
    async with stage(bus, tmp_path, pods=1) as here:
        await here.start()
        before = await here.bring("web-base-1")
        here.fleet.remove(here.fleet["web-base-1"])
        again = await here.fleet.add("web-base-1", namespace="shop", pool="web-base", uid="another")
        after = await here.seen("web-base-1", lambda record: record.uid == "another" and record.ready)
        assert (after.address, after.modules) == (again.address, {})
        assert after.operation is not None
        assert before.operation is not None
        assert after.operation.token == before.operation.token
        token = await here.claim("web-base-1", uid="another")
        # The first claim waits until a call to the pod before it would be over.
        done = await here.over("web-base-1", token, timeout_s=15)
        assert done.modules["cart"].state == "available"
