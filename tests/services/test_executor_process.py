"""The executor as a process: it starts with a setting, ends when asked, and says what is wrong."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from tests.processes import ServiceProcess
from tests.services.executor_stage import ran, stage
from tranche.bus.nats import NatsBus
from tranche.bus.server import NatsServer
from tranche_fleet.arklet import Settings

pytestmark = pytest.mark.nats


def process(number: int, nats_url: str, inventory: Path, folder: Path) -> ServiceProcess:
    arguments = ["--nats-url", nats_url, "--pods", f"static:{inventory}", "--observe-interval", "1"]
    return ServiceProcess("tranche_executor", number, arguments, folder)


async def test_it_works_and_stops_when_asked(nats_server: NatsServer, bus: NatsBus, tmp_path: Path) -> None:
    async with stage(bus, tmp_path) as here:
        executor = process(1, nats_server.url, here.inventory, tmp_path)
        await executor.start()
        try:
            assert (await here.bring("web-base-1")).modules["cart"].state == "available"
            assert await executor.stop() < 4
            assert executor.process is not None
            assert executor.process.returncode == 0, executor.words()
            assert "Traceback" not in executor.words()
        finally:
            await executor.kill()


async def test_a_frozen_executor_wakes_and_breaks_nothing(
    nats_server: NatsServer, bus: NatsBus, tmp_path: Path
) -> None:
    async with stage(bus, tmp_path, pods=4, settings=Settings(install_s=0.3)) as here:
        executors = [process(number, nats_server.url, here.inventory, tmp_path) for number in (1, 2)]
        await asyncio.gather(*(one.start() for one in executors))
        try:
            pods = list(here.fleet)
            for pod in pods:
                await here.known(pod.name)
            tokens = {pod.name: await here.claim(pod.name) for pod in pods}
            await here.seen(pods[0].name, lambda record: bool(record.operation and record.operation.attempt))
            executors[0].freeze()
            for name, token in tokens.items():
                await here.over(name, token, timeout_s=20)
            executors[0].thaw()
            await asyncio.sleep(0.5)
            assert [ran(pod) for pod in pods] == [["install cart:1.0.0"]] * 4
            assert all(pod.timeline.overlaps() == [] for pod in pods)
            assert [await one.stop() < 8 for one in executors] == [True, True]
        finally:
            for one in executors:
                await one.kill()


@pytest.mark.parametrize(
    ("pods", "told"),
    [
        ("static:absent.yaml", "the inventory cannot be read"),
        ("static:bad.yaml", "pools[0].base is missing: expected"),
        ("kubernetes:shop", "is no source of pods"),
    ],
)
async def test_bad_pods_end_it_with_a_sentence(tmp_path: Path, pods: str, told: str) -> None:
    (tmp_path / "bad.yaml").write_text("pools: [{namespace: shop, pods: []}]")
    ended = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tranche_executor", "--pods", pods), cwd=tmp_path, stderr=PIPE
    )
    _, errors = await ended.communicate()
    assert ended.returncode == 1
    assert told in errors.decode()
    assert "Traceback" not in errors.decode()
