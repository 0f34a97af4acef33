"""A whole installation for a test: nats-server, simulated bases and the services, each a process."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import tranche
from tests.processes import READY_TIMEOUT_S, ServiceProcess
from tranche.bus.server import NatsServer, embedded_server
from tranche.contract.status import Status
from tranche.errors import Unavailable, Unknown
from tranche_fleet.client import FleetControl
from tranche_fleet.timeline import Timeline


class Installation:
    """What runs, and how to reach it."""

    def __init__(self, folder: Path, nats: NatsServer, fleet: FleetControl, inventory: Path) -> None:
        self.folder = folder
        self.nats = nats
        self.fleet = fleet
        self.inventory = inventory
        self.services: dict[str, ServiceProcess] = {}

    async def start(
        self,
        *,
        planners: int = 1,
        schedulers: int = 1,
        executors: int = 1,
        environment: dict[str, str] | None = None,
        pods: Sequence[str] = (),
    ) -> None:
        """Start so many of each, all at once. ``pods``: where each executor has them from, else the inventory."""
        wanted = {"tranche_planner": planners, "tranche_scheduler": schedulers, "tranche_executor": executors}
        added = [
            ServiceProcess(
                module,
                number,
                self._arguments(module, pods[number - 1] if number <= len(pods) else None),
                self.folder,
                environment or {},
            )
            for module, count in wanted.items()
            for number in range(1, count + 1)
        ]
        self.services.update({process.name: process for process in added})
        async with asyncio.TaskGroup() as group:
            for process in added:
                group.create_task(process.start())
        if planners:
            await self.wait_answered()

    async def wait_answered(self) -> None:
        """Until a planner answers: it has started a moment before that, a long one on a busy machine."""
        async with tranche.connect(self.nats.url) as client, asyncio.timeout(READY_TIMEOUT_S):
            while True:
                with suppress(Unavailable, Unknown):
                    await client.list()
                    return

    async def stop(self) -> None:
        """End what still runs."""
        await asyncio.gather(*(service.kill() for service in self.services.values()))

    async def timelines(self, base: str | None = None) -> dict[str, Timeline]:
        """What the bases of a pool noted, by pod name."""
        found = await self.fleet.timelines()
        return {
            key.rpartition("/")[2]: timeline
            for key, timeline in found.items()
            if base is None or key.split("/")[1] == base
        }

    def words(self) -> str:
        """The ends of all logs, for a failing test."""
        return "\n".join(f"--- {name}\n{service.words()}" for name, service in self.services.items())

    def _arguments(self, module: str, pods: str | None) -> list[str]:
        wanted = pods or f"static:{self.inventory}"
        return ["--nats-url", self.nats.url, *(["--pods", wanted] if module == "tranche_executor" else [])]


@asynccontextmanager
async def installation(
    folder: Path,
    *pools: str,
    fleet: tuple[str, ...] = (),
    nats: AbstractAsyncContextManager[Any] | None = None,
) -> AsyncIterator[Installation]:
    """nats-server and a fleet with pools such as ``shop/web-base:10:5``; services are started by the test.

    ``nats``: other servers than one of its own, with a ``url``.
    """
    async with AsyncExitStack() as stack:
        servers = await stack.enter_async_context(nats or embedded_server(folder / "nats"))
        inventory = folder / "inventory.yaml"
        control = await stack.enter_async_context(_fleet(inventory, pools, fleet, folder / "fleet.log"))
        here = Installation(folder, servers, control, inventory)
        stack.push_async_callback(here.stop)
        yield here


@asynccontextmanager
async def _fleet(
    inventory: Path, pools: tuple[str, ...], options: tuple[str, ...], log: Path
) -> AsyncIterator[FleetControl]:
    wanted = [part for pool in pools for part in ("--pool", pool)]
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tranche_fleet", "--inventory", str(inventory), *wanted, *options),
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=errors,
        )
    try:
        async with FleetControl(await _control_url(process)) as control:
            yield control
    finally:
        process.terminate()
        await process.wait()


async def _control_url(process: Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(30):
        line = (await process.stdout.readline()).decode()
    assert line.startswith("ready:"), f"the fleet did not start: {line!r}"
    return line.split("control ")[1].strip()


def manifest(name: str = "cart", version: str = "1.0.0", /, **changes: Any) -> dict[str, Any]:
    """A ModuleDeployment of the seed's shape; ``changes`` by field: strategy ones and those of spec."""
    strategy = {
        field: changes.pop(field)
        for field in ("batchCount", "useBeta", "needConfirm", "grayTime", "upgradePolicy")
        if field in changes
    }
    policy = changes.pop("schedulingPolicy", "scatter")
    namespace = changes.pop("namespace", "shop")
    module = {"name": name, "version": version, "url": f"http://modules.example/{name}-{version}.jar"}
    module |= changes.pop("module", {})
    return {
        "apiVersion": "koupleless.io/v1alpha1",
        "kind": "ModuleDeployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "baseDeploymentName": changes.pop("base", "web-base"),
            "template": {"spec": {"module": module}},
            "operationStrategy": strategy,
            "schedulingStrategy": {"schedulingPolicy": policy},
            **changes,
        },
    }


async def seen(
    client: tranche.Client,
    name: str,
    condition: Callable[[Status], bool],
    *,
    namespace: str = "shop",
    timeout_s: float = 60.0,
) -> Status:
    """The first status that meets the condition; a failure says what was seen last."""
    last: Status | None = None
    try:
        async with asyncio.timeout(timeout_s):
            async for status in client.watch(namespace, name):
                last = status
                if condition(status):
                    return status
    except TimeoutError:
        raise AssertionError(f"not seen within {timeout_s} s; the last status was {last!r}") from None
    raise AssertionError(f"the watch ended; the last status was {last!r}")


def phase(*phases: str, generation: int | None = None) -> Callable[[Status], bool]:
    """A condition: one of these phases, and where given a generation that was also observed."""
    return lambda status: (
        status.phase in phases and (generation is None or status.observed_generation == generation)
    )


def waits_for(batch: int, generation: int) -> Callable[[Status], bool]:
    """A condition: that batch of that generation waits for a person."""
    return lambda status: (
        status.observed_generation == generation
        and status.batch.current == batch
        and any(gate.gate == "confirm" for gate in status.gates)
        and status.phase == "Waiting"
    )
