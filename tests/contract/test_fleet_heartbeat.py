"""The heartbeats of simulated bases, held to those recorded on a real one."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tranche.runtime import SystemClock, wait_until
from tranche_fleet import Fleet
from tranche_fleet.heartbeat import EVERY_S

RECORDING = Path(__file__).parent / "transcripts" / "2.1.11" / "25-heartbeat.json"
VOLATILE = {"Host", "Content-Length"}


@dataclass
class Beat:
    """One request that came in."""

    at: float
    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class Endpoint:
    url: str
    beats: list[Beat] = field(default_factory=list)

    def of(self, identity: str) -> list[Beat]:
        return [beat for beat in self.beats if beat.body["baseMetadata"]["identity"] == identity]

    async def has(self, identity: str, count: int) -> list[Beat]:
        async def enough() -> bool | None:
            return len(self.of(identity)) >= count or None

        await wait_until(enough, SystemClock(), timeout_s=10, every_s=0.01)
        return self.of(identity)


@asynccontextmanager
async def an_endpoint() -> AsyncIterator[Endpoint]:
    async def take(request: web.Request) -> web.Response:
        body = await request.json()
        endpoint.beats.append(
            Beat(time.monotonic(), request.method, request.path, dict(request.headers), body)
        )
        return web.Response()

    endpoint = Endpoint("")
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", take)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        endpoint.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield endpoint
    finally:
        await runner.cleanup()


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    async with an_endpoint() as one:
        yield one


def recorded() -> list[dict[str, Any]]:
    return [step["request"] for step in json.loads(RECORDING.read_text())["steps"]]


async def test_a_heartbeat_is_as_recorded(endpoint: Endpoint) -> None:
    real = recorded()[0]
    async with Fleet(heartbeat_url=endpoint.url) as fleet:
        pod = await fleet.add("base-n", namespace="default", pool="lab-base")
        (beat,) = await endpoint.has("base-n", 1)
        host, _, port = pod.address.partition(":")

    assert (beat.method, beat.path) == (real["method"], real["path"])
    stable = {name: value for name, value in real["headers"].items() if name not in VOLATILE}
    kept_alive = {"Connection"}  # HTTP/1.1 means it where nobody says so
    assert {name: beat.headers.get(name) for name in stable.keys() - kept_alive} == {
        name: value for name, value in stable.items() if name not in kept_alive
    }
    assert beat.headers["Content-Length"].isdigit()
    expected = {**real["body"], "localHostName": host, "localIP": host, "port": int(port)}
    assert beat.body == expected
    assert list(beat.body) == list(real["body"])


def test_the_interval_is_as_recorded() -> None:
    steps = json.loads(RECORDING.read_text())["steps"]
    ours = [step["at_ms"] for step in steps if step["request"]["body"]["port"] == 12381]
    assert ours[1] - ours[0] == pytest.approx(EVERY_S * 1000, abs=500)


async def test_at_once_then_again_and_again_until_it_dies(endpoint: Endpoint) -> None:
    async with Fleet(heartbeat_url=endpoint.url, heartbeat_s=0.3) as fleet:
        pod = await fleet.add("one", namespace="shop", pool="web")
        other = await fleet.add("two", namespace="shop", pool="web")
        beats = await endpoint.has("one", 3)
        assert beats[2].at - beats[0].at >= 0.5

        pod.stop()
        await asyncio.sleep(0.1)
        last = len(endpoint.of("one"))
        await endpoint.has("two", len(endpoint.of("two")) + 2)
        assert len(endpoint.of("one")) == last, "nothing at its end, nothing after it"

        began = time.monotonic()
        pod.start()
        again = await endpoint.has("one", last + 1)
        assert again[-1].at >= began
        fleet.remove(other)
        await asyncio.sleep(0.1)
        last = len(endpoint.of("two"))
        await endpoint.has("one", len(endpoint.of("one")) + 2)
        assert len(endpoint.of("two")) == last


async def test_a_base_that_refuses_connections_still_beats(endpoint: Endpoint) -> None:
    async with Fleet(heartbeat_url=endpoint.url, heartbeat_s=0.1) as fleet:
        pod = await fleet.add("one", namespace="shop", pool="web")
        pod.kill_listener()
        await endpoint.has("one", len(endpoint.of("one")) + 3)


async def test_an_endpoint_that_is_away_is_no_matter(endpoint: Endpoint) -> None:
    async with Fleet(heartbeat_url="http://127.0.0.1:9", heartbeat_s=0.05) as fleet:
        pod = await fleet.add("one", namespace="shop", pool="web")
        await asyncio.sleep(0.3)
        assert pod.base.running


async def test_only_releases_that_send_them_do(endpoint: Endpoint) -> None:
    async with Fleet(heartbeat_url=endpoint.url, heartbeat_s=0.05) as fleet:
        await fleet.add("old", namespace="shop", pool="web", version="2.1.3")
        await fleet.add("new", namespace="shop", pool="web", identity="10.0.0.7")
        await endpoint.has("10.0.0.7", 3)
    assert {beat.body["baseMetadata"]["identity"] for beat in endpoint.beats} == {"10.0.0.7"}


async def test_the_process_sends_them_too(endpoint: Endpoint) -> None:
    options = ("--heartbeat", endpoint.url, "--heartbeat-seconds", "0.2", "--pool", "shop/web:2")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tranche_fleet", *options), stdin=DEVNULL, stdout=PIPE
    )
    try:
        await endpoint.has("web-1", 2)
        await endpoint.has("web-2", 2)
        assert endpoint.beats[0].body["baseMetadata"]["clusterName"] == "shop"
    finally:
        process.terminate()
        await process.communicate()
    assert process.returncode == 0


async def test_the_first_beat_does_not_wait_for_the_interval(endpoint: Endpoint) -> None:
    async with Fleet(heartbeat_url=endpoint.url, heartbeat_s=3600) as fleet:
        await fleet.add("one", namespace="shop", pool="web")
        await endpoint.has("one", 1)
