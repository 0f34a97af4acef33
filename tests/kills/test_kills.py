"""Any process dies in the middle of a rollout, and nothing is broken on the bases. No manual step mends it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

import tranche
from tests import judge
from tests.installation import Installation, installation, manifest, phase, seen, waits_for
from tests.processes import ServiceProcess
from tranche_fleet.timeline import Command

pytestmark = [pytest.mark.nats, pytest.mark.kills]

REPLICAS = 10
MAX_DOWN = 3
CUTS = {1: 1, 2: 5, 3: REPLICAS}
ALL = ("planner-1", "planner-2", "scheduler-1", "scheduler-2", "executor-1", "executor-2", "executor-3")


async def _begin(here: Installation, client: tranche.Client) -> float:
    """v1 everywhere, then v2 in three batches, first the beta; the time at which v2 was asked for."""
    await here.start(planners=2, schedulers=2, executors=3)
    await client.apply(manifest("cart", "1.0.0", replicas=REPLICAS))
    await seen(client, "cart", phase("Healthy", generation=1))
    began = time.time()
    await client.apply(
        manifest(
            *("cart", "2.0.0"),
            replicas=REPLICAS,
            batchCount=3,
            useBeta=True,
            needConfirm=True,
            maxUnavailable=MAX_DOWN,
        )
    )
    return began


async def _confirm_all(here: Installation, client: tranche.Client) -> None:
    """Confirm each batch that waits; before that nothing of the next one may have begun."""
    for batch in (1, 2):
        await seen(client, "cart", waits_for(batch, generation=2), timeout_s=90)
        touched = judge.touched(await here.timelines(), "cart", "2.0.0", time.time())
        assert len(touched) == CUTS[batch], f"batch {batch} waits, and {len(touched)} replicas were touched"
        await client.confirm("shop", "cart", batch=batch, by="tester")


async def _judge(here: Installation, client: tranche.Client, began: float) -> None:
    """It ended right, and at no moment was a promise broken on the bases."""
    done = await seen(client, "cart", phase("Healthy", "Degraded", generation=2), timeout_s=90)
    timelines = await here.timelines()
    now = time.time()
    assert done.phase == "Healthy", f"{done!r}\n{here.words()}"
    assert judge.versions_now(timelines, "cart", now) == {"2.0.0": REPLICAS}
    assert judge.most_down(timelines, "cart", began, now) <= MAX_DOWN
    assert judge.overlaps(timelines) == []
    twice = [pod for pod, line in timelines.items() if _installed(line.commands) > 1]
    assert twice == [], "nothing is disturbed twice"


def _installed(commands: list[Command]) -> int:
    return sum(
        one.command == "installBiz" and one.version == "2.0.0" and one.started_at is not None
        for one in commands
    )


@pytest.mark.parametrize("victim", ALL)
async def test_any_service_killed_in_the_middle_and_restarted(tmp_path: Path, victim: str) -> None:
    async with (
        installation(tmp_path, f"shop/web-base:{REPLICAS}", fleet=("--install-seconds", "0.4")) as here,
        tranche.connect(here.nats.url) as client,
    ):
        began = await _begin(here, client)
        confirming = asyncio.create_task(_confirm_all(here, client))
        process = here.services[victim]
        for _ in range(3):
            await _something_moves(client)
            await process.kill()
            await asyncio.sleep(0.5)  # the time in which the others have to do without it
            await process.start()
        await confirming
        await _judge(here, client, began)


async def test_nats_server_killed_in_the_middle_and_restarted(tmp_path: Path) -> None:
    async with (
        installation(tmp_path, f"shop/web-base:{REPLICAS}", fleet=("--install-seconds", "0.4")) as here,
        tranche.connect(here.nats.url) as client,
    ):
        began = await _begin(here, client)
        confirming = asyncio.create_task(_confirm_all(here, client))
        for _ in range(2):
            await _something_moves(client)
            await here.nats.kill()
            await asyncio.sleep(1)  # installations end meanwhile, and nobody can say so
            await here.nats.start()
        await confirming
        await _judge(here, client, began)


@pytest.mark.parametrize("victim", ["scheduler-1", "executor-1"])
async def test_a_frozen_service_wakes_as_a_zombie(tmp_path: Path, victim: str) -> None:
    async with (
        installation(tmp_path, f"shop/web-base:{REPLICAS}", fleet=("--install-seconds", "0.4")) as here,
        tranche.connect(here.nats.url) as client,
    ):
        began = await _begin(here, client)
        confirming = asyncio.create_task(_confirm_all(here, client))
        await _something_moves(client)
        here.services[victim].freeze()
        await asyncio.sleep(9)  # longer than any lease, hold or ack_wait
        here.services[victim].thaw()
        await confirming
        await _judge(here, client, began)


async def test_each_service_stops_within_ten_seconds_with_work_in_flight(tmp_path: Path) -> None:
    async with (
        installation(tmp_path, f"shop/web-base:{REPLICAS}", fleet=("--install-seconds", "2")) as here,
        tranche.connect(here.nats.url) as client,
    ):
        await here.start()
        await client.apply(manifest("cart", "1.0.0", replicas=REPLICAS))
        await seen(client, "cart", lambda status: status.moving > 0)

        stopping: list[ServiceProcess] = list(here.services.values())
        took = await asyncio.gather(*(service.stop() for service in stopping))

        assert max(took) < 10
        assert [service.process.returncode for service in stopping if service.process] == [0, 0, 0]
        await asyncio.gather(*(service.start() for service in stopping))
        await seen(client, "cart", phase("Healthy", generation=1))
        timelines = await here.timelines()
        assert judge.versions_now(timelines, "cart", time.time()) == {"1.0.0": REPLICAS}
        assert judge.overlaps(timelines) == []


async def _something_moves(client: tranche.Client) -> None:
    await seen(client, "cart", lambda status: status.moving > 0 or status.phase == "Healthy")
