"""Bases that only tell of themselves: found, released to, lost and replaced; nobody lists them anywhere."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

import tranche
from tests import judge
from tests.installation import Installation, installation, manifest, seen
from tranche.contract.status import Status

pytestmark = pytest.mark.nats

BASES = 4
HEARING, DEAF = 9180, 9181


def own_address() -> str:
    """An address of this machine that nobody else listens on: a port that was free a moment ago may be taken."""
    draw = random.SystemRandom()
    return f"127.{draw.randrange(220, 250)}.{draw.randrange(256)}.{draw.randrange(1, 255)}"


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Installation]:
    """Two executors; all heartbeats reach the first, as from a balancer that is stuck to it."""
    host = own_address()
    beats = ("--heartbeat", f"http://{host}:{HEARING}", "--heartbeat-seconds", "0.5")
    quick = {
        "TRANCHE_HEARTBEAT_HOST": host,
        "TRANCHE_HEARTBEAT_SILENCE": "2",
        "TRANCHE_OBSERVE_INTERVAL": "1",
    }
    async with installation(tmp_path, f"shop/web-base:{BASES}", fleet=beats) as here:
        pods = (f"heartbeat:{HEARING}", f"heartbeat:{DEAF}")
        await here.start(executors=2, pods=pods, environment=quick)
        yield here


def complete(version: str, replicas: int) -> Callable[[Status], bool]:
    return lambda status: (
        status.phase == "Healthy"
        and (status.target_version, status.replicas, status.available) == (version, replicas, replicas)
    )


async def test_found_released_lost_and_followed(shop: Installation) -> None:
    async with tranche.connect(shop.nats.url) as client:
        await client.apply(manifest("cart", "1.0.0", replicas=-1))
        await client.apply(manifest("greeter", "1.0.0", replicas=BASES - 1))
        await seen(client, "cart", complete("1.0.0", BASES))
        await seen(client, "greeter", complete("1.0.0", BASES - 1))

        began = time.time()
        await client.apply(manifest("cart", "2.0.0", replicas=-1, batchCount=2, maxUnavailable=1))
        await seen(client, "cart", complete("2.0.0", BASES))
        timelines = await shop.timelines("web-base")
        assert judge.lowest_serving(timelines, "cart", began, time.time()) >= BASES - 1
        assert judge.versions_now(timelines, "cart", time.time()) == {"2.0.0": BASES}

        lost = next(name for name, one in sorted(timelines.items()) if one.serves("greeter", time.time()))
        await shop.fleet.stop(lost)
        await seen(client, "cart", complete("2.0.0", BASES - 1))
        # Its replica is made anew on the base that had none.
        await seen(client, "greeter", complete("1.0.0", BASES - 1))
        records = {record.pod: record for record in await client.pods("shop", "greeter")}
        assert lost not in records or records[lost].gone

        # The executor that hears nothing goes on with what the records tell, when the other is killed.
        await shop.fleet.add(name="web-base-new", namespace="shop", pool="web-base")
        await seen(client, "cart", complete("2.0.0", BASES))
        await shop.services["executor-1"].kill()
        await client.apply(manifest("greeter", "2.0.0", replicas=BASES - 1))
        await seen(client, "greeter", complete("2.0.0", BASES - 1))
        await shop.fleet.stop("web-base-new")
        await seen(client, "cart", complete("2.0.0", BASES - 1))

    living = {
        name: one
        for name, one in (await shop.timelines("web-base")).items()
        if one.serves("cart", time.time())
    }
    assert judge.versions_now(living, "cart", time.time()) == {"2.0.0": BASES - 1}
    assert judge.versions_now(living, "greeter", time.time()) == {"2.0.0": BASES - 1}
    assert judge.overlaps(living) == []
