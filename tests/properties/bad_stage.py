"""A whole installation in memory on a clock that jumps: the three services as they are, bases that answer as arklet
does or as the test wants, and an ear for whatever a service did not expect."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import structlog
from prometheus_client import CollectorRegistry

from tests.installation import manifest
from tests.virtual_clock import VirtualClock
from tranche.bus.memory import MemoryBroker, MemoryBus
from tranche.client.client import Client
from tranche.contract import subjects
from tranche.contract.status import Status
from tranche.errors import TrancheError, Unavailable
from tranche.runtime import Runtime, system_runtime
from tranche.service import Service, Stopping
from tranche.settings import Settings
from tranche.streams import STREAMS
from tranche_executor.arklet.address import Address
from tranche_executor.arklet.client import ArkletClient
from tranche_executor.execution import Limits, execute
from tranche_executor.pods.static import StaticPods
from tranche_planner.__main__ import work as plan
from tranche_planner.settings import PlannerSettings
from tranche_scheduler.__main__ import work as schedule

Part = Literal["planner", "scheduler", "executor"]
EVERYBODY: tuple[Part, ...] = ("planner", "scheduler", "executor")
POOLS = {"shop": ("web-1", "web-2"), "other": ("web-3",)}
BASE = "web-base"


@dataclass
class TinyBase:
    """A base as arklet answers, everything at once; ``mad``: answers that take the place of its own."""

    modules: dict[tuple[str, str], str] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)
    mad: Callable[[str], tuple[int, bytes] | None] = lambda _: None
    asked: int = 0
    _records: dict[str, dict[str, Any]] = field(default_factory=dict)

    def answer(self, command: str, body: dict[str, Any]) -> dict[str, Any]:
        match command:
            case "queryAllBiz":
                listed = [
                    {"bizName": name, "bizVersion": version, "bizState": state}
                    for (name, version), state in self.modules.items()
                ]
                return {"code": "SUCCESS", "data": listed}
            case "queryBizOps":
                record = self._records.get(body["requestId"])
                if record is None:
                    return {"code": "FAILED", "message": "Not found the corresponding ops record."}
                return {"code": "SUCCESS", "data": record}
        id_, key = body.get("requestId", ""), (body["bizName"], body["bizVersion"])
        if id_ and id_ in self._records:
            return {"code": "FAILED", "message": f"The requestId({id_}) has been executed."}
        self.ran.append(f"{command} {key[0]}:{key[1]}")
        if command == "installBiz":
            self.modules[key] = "ACTIVATED"
        elif command == "uninstallBiz":
            self.modules.pop(key, None)
        meta = {"bizName": key[0], "bizVersion": key[1]}
        self._records[id_] = {"requestId": id_, "status": "SUCCEEDED", "arkBizMeta": meta}
        return {"code": "SUCCESS", "data": self._records[id_]}


class Wires:
    """The transport to all bases, by host."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.bases: dict[str, TinyBase] = {}

    async def post(self, place: Address, command: str, data: bytes) -> tuple[int, bytes]:
        await self.clock.sleep(0.001)
        if (base := self.bases.get(place.host)) is None:
            raise Unavailable(f"there is no {place.host}")
        base.asked += 1
        if (mad := base.mad(command)) is not None:
            return mad
        return 200, json.dumps(base.answer(command, json.loads(data))).encode()


class AnyJar:
    """Whatever jar is meant is there."""

    async def check(self, url: str, sha256: str) -> object:
        return None


class Ear(logging.Handler):
    """What a service did not expect: exceptions it logged, whichever way."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.heard: list[str] = []
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self.heard.append(logging.Formatter().format(record))

    def __call__(self, _: Any, name: str, event: dict[str, Any]) -> dict[str, Any]:
        if event.get("exc_info"):
            self.heard.append(structlog.processors.format_exc_info(_, name, dict(event))["exception"])
        self.lines.append(" ".join(f"{key}={value}" for key, value in event.items() if key != "exc_info"))
        raise structlog.DropEvent


@asynccontextmanager
async def listening() -> AsyncIterator[Ear]:
    """Hear what is logged meanwhile; nothing is printed."""
    ear, before = Ear(), structlog.get_config()
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, ear], cache_logger_on_first_use=False
    )
    root = logging.getLogger()
    root.addHandler(ear)
    try:
        yield ear
    finally:
        root.removeHandler(ear)
        structlog.configure(**before)


@dataclass
class Stage:
    """What runs, and how to reach it."""

    clock: VirtualClock
    runtime: Runtime
    broker: MemoryBroker
    bus: MemoryBus
    client: Client
    wires: Wires
    ear: Ear
    inventory: Path
    services: dict[Part, asyncio.Task[None]] = field(default_factory=dict)
    stoppings: dict[Part, Stopping] = field(default_factory=dict)

    def start(self, part: Part) -> None:
        """Start a service."""
        stopping = Stopping()
        bus = MemoryBus(self.broker, self.runtime)
        service = Service(part, f"{part}-1", bus, self.runtime, stopping, CollectorRegistry())
        self.services[part] = asyncio.ensure_future(self._work(part, service))
        self.stoppings[part] = stopping

    async def restart(self, part: Part) -> None:
        """Stop a service as SIGTERM would, and start it again."""
        await self.stop(part)
        self.start(part)

    async def stop(self, part: Part) -> None:
        """As SIGTERM would. Raises what the service ended with."""
        self.stoppings.pop(part).event.set()
        await self.services.pop(part)

    async def _work(self, part: Part, service: Service) -> None:
        match part:
            case "planner":
                await plan(service, PlannerSettings())
            case "scheduler":
                await schedule(service, Settings())
            case "executor":
                source = StaticPods(self.inventory, self.clock)
                client = ArkletClient(self.wires, self.clock)
                await execute(service, source, client, AnyJar(), limits=Limits(), alone=True)

    def leave(self, *gone: str) -> None:
        """All pods are in the inventory but these."""
        pools = [
            {
                "namespace": namespace,
                "base": BASE,
                "pods": [
                    {"name": pod, "address": f"{pod}:1238", "uid": f"uid-{pod}"}
                    for pod in pods
                    if pod not in gone
                ],
            }
            for namespace, pods in POOLS.items()
        ]
        self.inventory.write_text(json.dumps({"pools": pools}))

    def base(self, pod: str) -> TinyBase:
        return self.wires.bases[pod]

    def stored(self, stream: str, subject: str) -> bytes | None:
        """What stands there now."""
        found = self.broker.stream(stream).last(subject)
        return found.data if found is not None else None

    async def apply(self, namespace: str, name: str, version: str, **changes: Any) -> None:
        await self.client.apply(manifest(name, version, namespace=namespace, **changes))

    def status(self, namespace: str, name: str) -> Status | None:
        data = self.stored(subjects.STATUS, subjects.status(namespace, name))
        try:
            return Status.decode(data) if data is not None else None
        except ValueError:
            return None

    async def healthy(self, namespace: str, name: str, version: str, *, within_s: float = 60.0) -> None:
        """Until the deployment is healthy at the version."""

        def is_so() -> bool:
            now = self.status(namespace, name)
            return now is not None and (now.phase, now.target_version) == ("Healthy", version)

        await self.until(is_so, f"{namespace}/{name} healthy at {version}", within_s=within_s)

    async def until(self, condition: Callable[[], object], what: str, *, within_s: float = 60.0) -> None:
        """Until it is so; at every step the services run and nothing unexpected was heard."""
        ends = self.clock.monotonic() + within_s
        while not condition():
            self.sound()
            if self.clock.monotonic() > ends:
                lines = "\n".join(self.ear.lines[-15:])
                raise AssertionError(f"not within {within_s} s: {what}; the last lines were\n{lines}")
            await self.clock.sleep(0.05)

    async def pass_by(self, seconds: float) -> None:
        """Let time pass."""
        await self.clock.sleep(seconds)
        self.sound()

    def sound(self) -> None:
        """All services run, and nothing happened that nobody had expected."""
        for name, task in self.services.items():
            assert not task.done(), f"{name} ended: {task.exception()!r}"
        assert not self.ear.heard, "\n".join(self.ear.heard[:2])


@asynccontextmanager
async def stage(parts: tuple[Part, ...] = EVERYBODY) -> AsyncIterator[Stage]:
    """The services and two pools: ``shop`` with two pods, ``other`` with one."""
    clock = VirtualClock()
    runtime = replace(system_runtime(), clock=clock)
    async with listening() as ear, clock.running():
        with TemporaryDirectory() as folder:
            broker = MemoryBroker(clock)
            bus = MemoryBus(broker, runtime)
            await bus.ensure(STREAMS, replicas=1, create=True)
            inventory = Path(folder) / "inventory.yaml"
            here = Stage(clock, runtime, broker, bus, Client(bus, runtime), Wires(clock), ear, inventory)
            here.wires.bases |= {pod: TinyBase() for pods in POOLS.values() for pod in pods}
            here.leave()
            for part in parts:
                here.start(part)
            try:
                yield here
                here.sound()
            finally:
                for part in list(here.services):
                    await here.stop(part)


async def quietly(work: Awaitable[object]) -> BaseException | None:
    """What a client is told: nothing, or one of the errors there are."""
    try:
        await work
    except TrancheError as error:
        return error
    return None
