"""Pods that left while no executor ran, and how long what is known of pods that are gone is kept."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.services.executor_stage import POOL, Stage, stage
from tranche.bus.nats import NatsBus
from tranche.bus.spread import LEASE_S, Lease
from tranche.contract import subjects
from tranche.contract.ledger import Claim, Ledger
from tranche.contract.record import PodRecord
from tranche.runtime import system_runtime
from tranche_executor.core.pod import PodKey
from tranche_executor.records import KEPT, Records
from tranche_fleet.faults import Fault, Kind

pytestmark = pytest.mark.nats

EDGE = ("shop", "edge")


async def known_of(here: Stage, pool: tuple[str, str], pod: str) -> PodRecord:
    stored = await here.bus.last(subjects.AVAILABILITY, subjects.record(*pool, pod))
    assert stored is not None
    return PodRecord.decode(stored.data)


async def wait_for(here: Stage, pool: tuple[str, str], pod: str, *, gone: bool) -> None:
    async with asyncio.timeout(10):
        while True:
            stored = await here.bus.last(subjects.AVAILABILITY, subjects.record(*pool, pod))
            if stored is not None and PodRecord.decode(stored.data).gone is gone:
                return
            await asyncio.sleep(0.02)


def list_only(here: Stage, pool: tuple[str, str], *names: str) -> None:
    """The inventory without the other pools, and of this one only these pods."""
    document: dict[str, Any] = here.fleet.inventory()
    document["pools"] = [one for one in document["pools"] if (one["namespace"], one["base"]) == pool]
    document["pools"][0]["pods"] = [pod for pod in document["pools"][0]["pods"] if pod["name"] in names]
    here.inventory.write_text(yaml.safe_dump(document))


async def seen_once(here: Stage, *pods: tuple[tuple[str, str], str]) -> None:
    """An executor runs until it has seen all of them, then ends."""
    ran = await here.start("before")
    for pool, pod in pods:
        await wait_for(here, pool, pod, gone=False)
    await ran.stop()
    del here.executors["before"]


async def test_a_pod_that_left_a_pool_while_nobody_ran_is_gone(bus: NatsBus, tmp_path: Path) -> None:
    async with stage(bus, tmp_path, pods=2) as here:
        await seen_once(here, (POOL, "web-base-1"), (POOL, "web-base-2"))
        list_only(here, POOL, "web-base-2")
        await here.start("after", orphans_s=60.0)
        await wait_for(here, POOL, "web-base-1", gone=True)
        assert not (await known_of(here, POOL, "web-base-2")).gone


async def test_a_pool_that_left_is_gone_once_its_bases_do_not_answer(bus: NatsBus, tmp_path: Path) -> None:
    async with stage(bus, tmp_path) as here:
        living = await here.fleet.add(namespace=EDGE[0], pool=EDGE[1])
        dead = await here.fleet.add(namespace=EDGE[0], pool=EDGE[1])
        await seen_once(here, (POOL, "web-base-1"), (EDGE, living.name), (EDGE, dead.name))
        dead.stop()
        list_only(here, POOL, "web-base-1")
        await here.start("after", orphans_s=0.5)
        await wait_for(here, EDGE, dead.name, gone=True)
        assert not (await known_of(here, EDGE, living.name)).gone


async def test_a_pool_that_another_looks_after_is_left_alone(bus: NatsBus, tmp_path: Path) -> None:
    async with stage(bus, tmp_path) as here:
        dead = await here.fleet.add(namespace=EDGE[0], pool=EDGE[1])
        await seen_once(here, (POOL, "web-base-1"), (EDGE, dead.name))
        dead.stop()
        list_only(here, POOL, "web-base-1")
        subject = subjects.key(subjects.LEASES, "executor", "key", *EDGE)
        await bus.publish(subject, Lease(holder="with-another-inventory").encode(), ttl_s=LEASE_S)
        await here.start("after", orphans_s=0.2)
        await asyncio.sleep(1.5)
        assert not (await known_of(here, EDGE, dead.name)).gone


async def test_what_is_known_of_a_gone_pod_ends_only_without_a_claim(bus: NatsBus, tmp_path: Path) -> None:
    async with stage(bus, tmp_path) as here:
        runtime = system_runtime()
        records, key, now = Records(bus, runtime), PodKey(*POOL, "web-base-9"), runtime.clock.now()
        record = PodRecord(**key._asdict(), uid="u", address="h:1", ready=False, gone=True, observed_at=now)

        await here.write(_ledger("web-base-9"), 0)
        held = await records.bury(key, record.but(observed_at=now - KEPT * 2), expect=0)
        assert await _ends(here) is None
        await records.let_end(key, held)
        assert await _ends(here) is None, "a claim names it"

        sequence = await _sequence(here)
        await here.write(_ledger("web-base-9").but(claims={}), sequence)
        await records.let_end(key, held)
        assert await _ends(here) == "3600s"
        again = await records.read(key)
        assert again is not None
        assert again.value.gone
        assert now - again.value.observed_at < timedelta(minutes=1)


def _ledger(pod: str) -> Ledger:
    claim = Claim(
        pod=pod,
        uid="u",
        deployment="cart",
        module="cart",
        generation=1,
        batch=1,
        op="remove",
        revision=0,
        token=1,
    )
    return Ledger(namespace=POOL[0], base=POOL[1], epoch="e", counter=1, claims={pod: claim})


async def _sequence(here: Stage) -> int:
    stored = await here.bus.last(subjects.bucket_stream(subjects.POOLS), subjects.key(subjects.POOLS, *POOL))
    return stored.sequence if stored is not None else 0


async def _ends(here: Stage) -> str | None:
    stored = await here.bus.last(subjects.AVAILABILITY, subjects.record(*POOL, "web-base-9"))
    assert stored is not None
    return stored.headers.get("Nats-TTL")


async def test_the_inventory_is_told_also_of_a_base_that_does_not_answer(
    bus: NatsBus, tmp_path: Path
) -> None:
    async with stage(bus, tmp_path) as here:
        await here.start("one", interval_s=30.0, timeout_s=5.0)
        pod = here.fleet["web-base-1"]
        await here.known(pod.name)
        pod.arm(Fault(Kind.HANG, command="queryAllBiz", times=None))
        pod.labels["tranche.dev/cordoned"] = "true"
        here.fleet.publish()
        # The file is looked at every half second; the base would have kept us for five more.
        await here.seen(pod.name, lambda record: record.cordoned, timeout_s=2.0)


async def test_nothing_is_sent_to_the_address_of_a_pod_that_left_before_that_was_seen(
    bus: NatsBus, tmp_path: Path
) -> None:
    async with stage(bus, tmp_path) as here:
        await seen_once(here, (POOL, "web-base-1"))
        left = here.fleet["web-base-1"]
        uid = (await known_of(here, POOL, "web-base-1")).uid
        await here.claim("web-base-1", uid=uid)
        here.fleet.remove(left)
        heir = await here.fleet.add("web-base-9", namespace=POOL[0], pool=POOL[1], address=left.address)

        await here.start("after", observing=False)
        await wait_for(here, POOL, "web-base-1", gone=True)
        await here.untasked()
        assert heir.base.commands == 0
