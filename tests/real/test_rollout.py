"""Rollouts on real Koupleless bases: what users of the modules saw, what the bases run, what status said."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import tranche
from tests.installation import manifest, phase, seen
from tests.processes import ServiceProcess
from tests.real.bases import RealBases
from tests.real.jar_server import JarServer
from tests.real.traffic import Traffic
from tranche.bus.server import embedded_server
from tranche.client import Client

pytestmark = pytest.mark.nats


class Shop:
    """The services over real bases, and a client."""

    def __init__(self, client: Client, bases: RealBases, jars: JarServer) -> None:
        self.client = client
        self.bases = bases
        self.jars = jars

    async def apply(self, module: str, version: str, **changes: Any) -> int:
        """The generation that was accepted."""
        where = {"module": {"url": self.jars.url(f"{module}-{version}.jar")}}
        answer = await self.client.apply(manifest(module, version, **where, **changes))
        assert answer.generation is not None
        return answer.generation

    def running(self) -> list[dict[tuple[str, str], str]]:
        """What the bases say they run, asked without the product."""
        return [base.modules() for base in self.bases.all]


@pytest.fixture
async def shop(tmp_path: Path, real_bases: RealBases, jars: JarServer) -> AsyncIterator[Shop]:
    inventory = tmp_path / "inventory.yaml"
    pods = [{"name": base.name, "address": base.address} for base in real_bases.all]
    inventory.write_text(yaml.safe_dump({"pools": [{"namespace": "shop", "base": "web-base", "pods": pods}]}))
    async with contextlib.AsyncExitStack() as stack:
        nats = await stack.enter_async_context(embedded_server(tmp_path / "nats"))
        arguments = {
            "tranche_planner": [],
            "tranche_scheduler": [],
            "tranche_executor": ["--pods", f"static:{inventory}", "--observe-interval", "2"],
        }
        services = [
            ServiceProcess(module, 1, ["--nats-url", nats.url, *more], tmp_path)
            for module, more in arguments.items()
        ]
        for service in services:
            stack.push_async_callback(service.kill)
        await asyncio.gather(*(service.start() for service in services))
        client = await stack.enter_async_context(tranche.connect(nats.url))
        yield Shop(client, real_bases, jars)


async def test_uninstall_then_install_keeps_one_base_serving(shop: Shop) -> None:
    first = await shop.apply("cart", "1.0.0", replicas=2)
    await seen(shop.client, "cart", phase("Healthy", generation=first))
    assert await shop.bases[0].web("/cart/version") == (200, "cart 1.0.0")

    async with Traffic(shop.bases[0], "/cart/version") as one, Traffic(shop.bases[1], "/cart/version") as two:
        for traffic in (one, two):
            await traffic.answered("cart 1.0.0")
        upgrade = await shop.apply("cart", "2.0.0", replicas=2, batchCount=2, maxUnavailable=1)
        await seen(shop.client, "cart", phase("Healthy", generation=upgrade))
        for traffic in (one, two):
            await traffic.answered("cart 2.0.0")

    assert shop.running() == [{("cart", "2.0.0"): "activated"}] * 2
    for traffic in (one, two):
        assert traffic.answers == ["cart 1.0.0", "cart 2.0.0"]
        assert traffic.statuses[200] > 0
    # The promise, as users saw it: at no moment both bases were without the module.
    assert _without(one) & _without(two) == set()


def _without(traffic: Traffic) -> set[int]:
    """The tenths of a second between the first and the last request of the base's outage."""
    missing = [round(request.at * 10) for request in traffic.seen if request.status == 404]
    return set(range(min(missing), max(missing) + 1)) if missing else set()


async def test_install_then_uninstall_leaves_no_gap_for_a_module_without_web(shop: Shop) -> None:
    options: dict[str, Any] = {"upgradePolicy": "install_then_uninstall", "maxUnavailable": 0}
    first = await shop.apply("greeter", "1.0.0", replicas=2, **options)
    await seen(shop.client, "greeter", phase("Healthy", generation=first))

    upgrade = await shop.apply("greeter", "2.0.0", replicas=2, batchCount=2, useBeta=True, **options)
    done = await seen(shop.client, "greeter", phase("Healthy", generation=upgrade))

    assert (done.updated, done.available) == (2, 2)
    assert shop.running() == [{("greeter", "2.0.0"): "activated"}] * 2


async def test_two_web_modules_on_one_path_are_refused_and_explained(shop: Shop) -> None:
    options: dict[str, Any] = {"upgradePolicy": "install_then_uninstall"}
    first = await shop.apply("cart", "1.0.0", replicas=2, **options)
    await seen(shop.client, "cart", phase("Healthy", generation=first))

    async with Traffic(shop.bases[0], "/cart/version") as traffic:
        await shop.apply("cart", "2.0.0", replicas=2, batchCount=2, **options)
        held = await seen(shop.client, "cart", phase("Degraded"))

    (problem,) = [one for one in held.problems if one.reason == "InstallFailed"]
    assert "uninstall_then_install" in problem.message
    assert "context" in problem.message
    assert traffic.answers == ["cart 1.0.0"], "the old one goes on serving"
    assert set(traffic.statuses) == {200}
    assert held.available == 2
    assert held.unavailable == 0


async def test_a_broken_version_is_held_and_aborted(shop: Shop) -> None:
    first = await shop.apply("cart", "1.0.0", replicas=2)
    await seen(shop.client, "cart", phase("Healthy", generation=first))

    await shop.apply("cart", "3.0.0-broken", replicas=2, batchCount=2, maxUnavailable=1)
    held = await seen(shop.client, "cart", phase("Degraded"))
    (problem,) = [one for one in held.problems if one.reason == "InstallFailed"]
    assert "this module is built to fail at start" in problem.message
    assert held.available == 1, "the other base was left alone"

    await shop.client.abort("shop", "cart", by="tester", reason="broken")
    aborted = await seen(shop.client, "cart", phase("Aborted"))

    assert (aborted.available, aborted.stable_version) == (2, "1.0.0")
    assert shop.running() == [{("cart", "1.0.0"): "activated"}] * 2
    assert [await base.web("/cart/version") for base in shop.bases.all] == [(200, "cart 1.0.0")] * 2


async def test_scale_in_uninstalls_from_one_base(shop: Shop) -> None:
    first = await shop.apply("cart", "1.0.0", replicas=2)
    await seen(shop.client, "cart", phase("Healthy", generation=first))

    smaller = await shop.apply("cart", "1.0.0", replicas=1)
    await seen(shop.client, "cart", phase("Healthy", generation=smaller))

    assert sorted(map(len, shop.running())) == [0, 1]


async def test_a_real_base_that_restarts_in_place_gets_its_module_back(shop: Shop) -> None:
    first = await shop.apply("greeter", "1.0.0", replicas=2)
    await seen(shop.client, "greeter", phase("Healthy", generation=first))

    await shop.bases[1].restart()
    await seen(shop.client, "greeter", lambda status: status.available < 2)
    await seen(shop.client, "greeter", phase("Healthy", generation=first))

    assert shop.running() == [{("greeter", "1.0.0"): "activated"}] * 2


async def test_a_jar_that_is_not_the_one_meant_disturbs_nothing(shop: Shop) -> None:
    first = await shop.apply("greeter", "1.0.0", replicas=2)
    await seen(shop.client, "greeter", phase("Healthy", generation=first))
    url = shop.jars.url("greeter-2.0.0.jar")

    await shop.client.apply(manifest("greeter", "2.0.0", replicas=2, module={"url": url, "sha256": "0" * 64}))
    held = await seen(shop.client, "greeter", phase("Degraded"))

    (problem,) = [one for one in held.problems if one.reason == "InstallFailed"]
    assert "sha256" in problem.message
    assert shop.running() == [{("greeter", "1.0.0"): "activated"}] * 2
    assert held.available == 2
