"""A rollout from end to end on real parts: processes, nats-server, bases over HTTP; judged by the bases."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import tranche
from tests import judge
from tests.installation import Installation, installation, manifest, phase, seen, waits_for
from tranche_fleet.faults import Fault, Kind

pytestmark = pytest.mark.nats


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Installation]:
    async with installation(tmp_path, "shop/web-base:10:5", "shop/edge-base:4:2") as here:
        await here.start()
        yield here


async def test_beta_batches_confirms_gray_time_and_budget(shop: Installation) -> None:
    async with tranche.connect(shop.nats.url) as client:
        await client.apply(manifest("cart", "1.0.0", replicas=10))
        await seen(client, "cart", phase("Healthy", generation=1))
        began = time.time()

        await client.apply(
            manifest(
                *("cart", "2.0.0"),
                replicas=10,
                batchCount=3,
                useBeta=True,
                needConfirm=True,
                grayTime=1,
                maxUnavailable="50%",
            )
        )
        allowed = {1: 1, 2: 5, 3: 10}
        for batch in (1, 2):
            waiting = await seen(client, "cart", waits_for(batch, generation=2))
            assert waiting.updated == allowed[batch]
            touched = judge.touched(await shop.timelines("web-base"), "cart", "2.0.0", time.time())
            assert len(touched) == allowed[batch], "only released replicas are touched"
            await client.confirm("shop", "cart", batch=batch, by="tester", reason="looks good")
        done = await seen(client, "cart", phase("Healthy", generation=2))

    timelines = await shop.timelines("web-base")
    now = time.time()
    assert judge.versions_now(timelines, "cart", now) == {"2.0.0": 10}
    assert judge.lowest_serving(timelines, "cart", began, now) >= 5, "50% stay available throughout"
    assert judge.overlaps(timelines) == []
    starts = sorted(judge.installs(timelines, "cart", "2.0.0"))
    assert starts[1] - starts[0] >= 1.0, "gray time after the beta"
    assert starts[5] - starts[4] >= 1.0, "gray time after the second batch"
    assert (done.stable_version, done.available, done.phase) == ("2.0.0", 10, "Healthy")


async def test_zero_budget_blocks_and_says_what_helps(shop: Installation) -> None:
    async with tranche.connect(shop.nats.url) as client:
        await client.apply(manifest("cart", "1.0.0", replicas=1))
        await seen(client, "cart", phase("Healthy", generation=1))

        await client.apply(manifest("cart", "2.0.0", replicas=1, maxUnavailable="50%"))
        blocked = await seen(client, "cart", phase("Blocked", generation=2))

        (problem,) = [one for one in blocked.problems if one.reason == "BudgetExhausted"]
        assert "50% of 1 rounds down to 0" in problem.message
        assert "install_then_uninstall" in problem.message
        await client.apply(manifest("cart", "2.0.0", replicas=1, maxUnavailable=1))
        await seen(client, "cart", phase("Healthy", generation=3))


async def test_a_module_without_web_is_upgraded_with_nothing_down(shop: Installation) -> None:
    async with tranche.connect(shop.nats.url) as client:
        options = {"replicas": 4, "upgradePolicy": "install_then_uninstall", "maxUnavailable": 0}
        await client.apply(manifest("greeter", "1.0.0", **options))
        await seen(client, "greeter", phase("Healthy", generation=1))
        began = time.time()

        await client.apply(manifest("greeter", "2.0.0", batchCount=2, **options))
        await seen(client, "greeter", phase("Healthy", generation=2))

    timelines = await shop.timelines("web-base")
    assert judge.lowest_serving(timelines, "greeter", began, time.time()) == 4
    assert judge.versions_now(timelines, "greeter", time.time()) == {"2.0.0": 4}


async def test_a_broken_version_is_held_and_aborted(shop: Installation) -> None:
    async with tranche.connect(shop.nats.url) as client:
        await client.apply(manifest("cart", "1.0.0", replicas=6))
        await seen(client, "cart", phase("Healthy", generation=1))
        began = time.time()

        await client.apply(manifest("cart", "3.0.0-broken", replicas=6, batchCount=3, useBeta=True))
        held = await seen(client, "cart", phase("Degraded"))
        (problem,) = [one for one in held.problems if one.reason == "InstallFailed"]
        assert "this module is built to fail at start" in problem.message
        assert "abort" in held.next
        await client.abort("shop", "cart", by="tester")
        aborted = await seen(client, "cart", phase("Aborted"))

        assert (aborted.available, aborted.stable_version) == (6, "1.0.0")
        again = await client.apply(manifest("cart", "3.0.0-broken", replicas=6, batchCount=3, useBeta=True))
        assert again.generation == aborted.generation, "the same wish again changes nothing"

    timelines = await shop.timelines("web-base")
    assert judge.lowest_serving(timelines, "cart", began, time.time()) == 5, "one canary, nothing more"
    assert judge.versions_now(timelines, "cart", time.time()) == {"1.0.0": 6}


async def test_versions_that_cannot_stand_side_by_side_are_held_and_aborted_with_nothing_down(
    shop: Installation,
) -> None:
    options = {"replicas": 4, "upgradePolicy": "install_then_uninstall", "maxUnavailable": 0}
    async with tranche.connect(shop.nats.url) as client:
        await client.apply(manifest("cart", "1.0.0", **options))
        await seen(client, "cart", phase("Healthy", generation=1))
        began = time.time()

        await client.apply(manifest("cart", "2.0.0", batchCount=2, **options))
        held = await seen(client, "cart", phase("Degraded"))
        assert any("uninstall_then_install" in one.message for one in held.problems)
        await client.abort("shop", "cart", by="tester")
        await seen(client, "cart", phase("Aborted"))

    timelines = await shop.timelines("web-base")
    assert judge.lowest_serving(timelines, "cart", began, time.time()) == 4
    assert judge.versions_now(timelines, "cart", time.time()) == {"1.0.0": 4}


async def test_a_failure_that_passes_is_tried_again(shop: Installation) -> None:
    async with tranche.connect(shop.nats.url) as client:
        await shop.fleet.arm(Fault(Kind.INSTALL_FAILS, times=1, words="artifact-refused"), "web-base-1")

        await client.apply(manifest("cart", "1.0.0", replicas=10))
        done = await seen(client, "cart", phase("Healthy", generation=1))

    assert done.available == 10
    again = (await shop.timelines("web-base"))["web-base-1"].commands
    starts = [one.started_at for one in again if one.command == "installBiz" and one.started_at]
    assert len(starts) == 2
    assert starts[1] - starts[0] >= 4.9, "the first retry comes after 5 s"


async def test_scale_out_in_and_delete(shop: Installation) -> None:
    async with tranche.connect(shop.nats.url) as client:
        await client.apply(manifest("cart", "1.0.0", replicas=3))
        await seen(client, "cart", phase("Healthy", generation=1))
        await client.apply(manifest("cart", "1.0.0", replicas=8))
        await seen(client, "cart", phase("Healthy", generation=2))
        assert judge.versions_now(await shop.timelines("web-base"), "cart", time.time()) == {"1.0.0": 8}

        await client.apply(manifest("cart", "1.0.0", replicas=2))
        await seen(client, "cart", phase("Healthy", generation=3))
        assert judge.versions_now(await shop.timelines("web-base"), "cart", time.time()) == {"1.0.0": 2}

        await client.delete("shop", "cart")
        await seen(client, "cart", phase("Deleted"))
        assert judge.versions_now(await shop.timelines("web-base"), "cart", time.time()) == {}

        reborn = await client.apply(manifest("cart", "2.0.0", replicas=1))
        assert reborn.generation is not None
        assert reborn.generation > 3, "generations go on"
        await seen(client, "cart", phase("Healthy", generation=reborn.generation))


async def test_a_peer_is_on_every_pod_and_follows_the_base(shop: Installation) -> None:
    async with tranche.connect(shop.nats.url) as client:
        await client.apply(manifest("cart", "1.0.0", base="edge-base", replicas=-1, batchCount=2))
        done = await seen(client, "cart", phase("Healthy", generation=1))
        assert (done.replicas, done.available) == (4, 4)

        await shop.fleet.add(name="edge-base-9", namespace="shop", pool="edge-base")
        grown = await seen(client, "cart", lambda status: status.available == 5)

        assert grown.replicas == 5


async def test_capacity_that_is_short_is_told_in_counts(shop: Installation) -> None:
    async with tranche.connect(shop.nats.url) as client:
        for name in ("orders", "stock"):
            await client.apply(manifest(name, "1.0.0", base="edge-base", replicas=4))
            await seen(client, name, phase("Healthy", generation=1))

        await client.apply(manifest("cart", "1.0.0", base="edge-base", replicas=2))
        blocked = await seen(client, "cart", phase("Blocked"))
        (problem,) = [one for one in blocked.problems if one.reason == "InsufficientCapacity"]
        assert "2 short" in problem.message
        assert "4 pods full" in problem.message

        await client.apply(manifest("stock", "1.0.0", base="edge-base", replicas=2))
        await seen(client, "cart", phase("Healthy"))


async def test_a_base_that_restarts_in_place_is_noticed_and_mended(tmp_path: Path) -> None:
    async with installation(tmp_path, "shop/web-base:3") as here:
        await here.start(environment={"TRANCHE_OBSERVE_INTERVAL": "1"})
        async with tranche.connect(here.nats.url) as client:
            await client.apply(manifest("cart", "1.0.0", replicas=3))
            await seen(client, "cart", phase("Healthy", generation=1))

            await here.fleet.restart("web-base-2")
            await seen(client, "cart", lambda status: status.available < 3)
            await seen(client, "cart", phase("Healthy"))

        timelines = await here.timelines("web-base")
        assert judge.versions_now(timelines, "cart", time.time()) == {"1.0.0": 3}


async def test_pause_stops_what_has_not_begun_and_resume_goes_on(tmp_path: Path) -> None:
    async with installation(tmp_path, "shop/web-base:12", fleet=("--install-seconds", "0.3")) as here:
        await here.start()
        async with tranche.connect(here.nats.url) as client:
            await client.apply(manifest("cart", "1.0.0", replicas=12, maxUnavailable=12))
            await seen(client, "cart", phase("Healthy", generation=1))
            await client.apply(manifest("cart", "2.0.0", replicas=12, maxUnavailable=2))
            await seen(client, "cart", lambda status: status.updated >= 2)

            await client.pause("shop", "cart", by="tester", reason="let me look")
            await seen(client, "cart", lambda status: status.phase == "Paused" and status.moving == 0)
            paused = judge.touched(await here.timelines("web-base"), "cart", "2.0.0", time.time())
            assert 2 <= len(paused) < 12

            await asyncio.sleep(1)  # the time in which nothing may happen
            still = judge.touched(await here.timelines("web-base"), "cart", "2.0.0", time.time())
            assert still == paused
            timelines = await here.timelines("web-base")
            assert judge.serving_at(timelines, "cart", time.time()) == 12, "what was down came back"

            await client.resume("shop", "cart")
            await seen(client, "cart", phase("Healthy", generation=2))


async def test_plain_nats_py_releases_and_follows_to_the_end(shop: Installation, tmp_path: Path) -> None:
    file = tmp_path / "cart.json"
    for version in ("1.0.0", "2.0.0"):
        file.write_text(json.dumps(manifest("cart", version, replicas=4, batchCount=2, needConfirm=True)))
        script = await asyncio.create_subprocess_exec(
            *(sys.executable, "examples/plain_nats.py", str(file), shop.nats.url),
            stdout=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(60):
            said, _ = await script.communicate()
        assert script.returncode == 0, said.decode()
        assert said.decode().splitlines()[-1].startswith("Healthy")

    timelines = await shop.timelines("web-base")
    assert judge.versions_now(timelines, "cart", time.time()) == {"2.0.0": 4}
