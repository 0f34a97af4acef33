"""What an observer believes of a base that answers at the address of another."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import cast

import pytest
from prometheus_client import CollectorRegistry

from tests.unit.memory_executor import POOL, Hall, MemoryBase, hall
from tranche.bus.memory import MemoryBus
from tranche.bus.spread import Spread
from tranche_executor.arklet.client import ArkletClient
from tranche_executor.arklet.wire import BizState
from tranche_executor.core.pod import PodKey
from tranche_executor.metrics import Metrics
from tranche_executor.observer import Observer
from tranche_executor.pods.source import PodSource

WEB_1 = PodKey(*POOL, "web-1")


def watch(here: Hall, name: str) -> None:
    """Another executor begins to observe."""
    bus = MemoryBus(here.broker, here.runtime)
    spread = Spread(bus, here.runtime, kind="executor", instance=name)
    client, source = cast(ArkletClient, here.bases), cast(PodSource, here.source)
    observer = Observer(bus, here.runtime, source, spread, client, Metrics(CollectorRegistry()))
    here.running[name] = bus, asyncio.ensure_future(observer.run())


@pytest.mark.parametrize("what", ["gone", "made anew", "moved", "the same"])
async def test_who_answers_in_the_place_of_another_is_believed_only_where_the_pod_is_still_there(
    what: str,
) -> None:
    async with hall() as here:
        here.base().identity = "web-1/first"
        here.base().modules["cart", "1.0.0"] = BizState.ACTIVATED
        watch(here, "executor-1")
        await here.until(lambda: here.record().modules)
        known = here.source.truth[WEB_1]

        here.bases.at[known.address] = MemoryBase(here.runtime.clock, identity="web-9/second")
        match what:
            case "gone":
                here.source.truth = {}
            case "made anew":
                here.source.truth = {WEB_1: replace(known, uid="another")}
            case "moved":
                here.source.truth = {WEB_1: replace(known, address="web-2:1238")}
        await here.runtime.clock.sleep(120)

        told = here.record()
        believed = what == "the same"
        assert told.base_identity == ("web-9/second" if believed else "web-1/first")
        assert list(told.modules) == ([] if believed else ["cart"])
