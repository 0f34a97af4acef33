"""The world: a loop, a broker, bases, and the three services as they are, several of each."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry

from tests.simulation.air import Air, Weather
from tests.simulation.bases import AirTransport, SimBase
from tests.simulation.bells import lean
from tests.simulation.line import AirLine
from tests.simulation.loop import SimLoop
from tests.simulation.pods import Inventory, SimPods
from tests.simulation.ports import EPOCH, SimClock, sim_runtime
from tests.simulation.process import PROCESS, Process
from tests.simulation.reading import remembered
from tests.simulation.releases import mixed
from tranche.brokertime import BrokerClock
from tranche.bus.memory import MemoryBroker, MemoryBus
from tranche.client.client import Client
from tranche.errors import Refused, TrancheError
from tranche.service import Service, Stopping
from tranche.settings import Settings
from tranche.streams import STREAMS
from tranche_executor.arklet.client import ArkletClient
from tranche_executor.core.pod import Pod, PodKey
from tranche_executor.execution import Limits, execute
from tranche_fleet.arklet import Settings as BaseSettings
from tranche_fleet.base import Base
from tranche_fleet.catalogue import Catalogue
from tranche_planner import __main__ as planner
from tranche_planner.settings import PlannerSettings
from tranche_scheduler import __main__ as scheduler

KINDS = ("planner", "scheduler", "executor")
RESTART_S = 0.5


class NoJars:
    """Jars are not what is tried here: every digest is the one expected."""

    async def check(self, url: str, sha256: str) -> object:
        return None


@dataclass(eq=False)
class Slot:
    """A place for one process after the other, as a supervisor has it."""

    kind: str
    number: int
    process: Process | None = None
    bus: MemoryBus | None = None
    clock: SimClock | None = None
    lives: int = 0


@dataclass(eq=False)
class World:
    """Everything that a seed makes. ``limits``: how executors are set up."""

    seed: str
    limits: Limits = field(default_factory=Limits)
    slots: list[Slot] = field(default_factory=list)
    inventory: Inventory = field(default_factory=Inventory)
    catalogue: Catalogue = field(default_factory=Catalogue)
    graves: list[Process] = field(default_factory=list)
    deaths: list[str] = field(default_factory=list)
    """Processes that ended without being killed, and why."""
    newer: float = 0.0
    """How likely a process is one of the next release, 0 to 1."""
    restart_s: float | None = RESTART_S
    """After so long a supervisor starts what was killed; None: nobody does."""

    def __post_init__(self) -> None:
        self.order = random.Random(f"{self.seed}/order")
        self.loop = SimLoop(self.order)
        self.air = Air(self.loop, random.Random(f"{self.seed}/air"), on_crash=self.kill)
        self.clock = SimClock(self.loop)
        self.broker = MemoryBroker(self.clock)
        self.jitter = random.Random(f"{self.seed}/jitter")
        self.releases = random.Random(f"{self.seed}/releases")
        self._names = 0
        self._spawned: list[asyncio.Task[None]] = []

    def reseed(self, seed: str) -> None:
        """From here on chance is another's: of order, delays, losses and jitter."""
        self.order.seed(f"{seed}/order")
        self.air.draw.seed(f"{seed}/air")
        self.jitter.seed(f"{seed}/jitter")

    @contextmanager
    def living(self) -> Iterator[None]:
        """While it lives, its loop is the running one."""
        with self.loop, remembered(), mixed(), lean():
            try:
                yield
            finally:
                self._end()

    # --- processes ---

    def start(self, kind: str, number: int) -> Slot:
        """A place and its first process."""
        slot = Slot(kind, number)
        self.slots.append(slot)
        self.boot(slot)
        return slot

    def boot(self, slot: Slot) -> None:
        """A process starts, with nothing remembered."""
        slot.lives += 1
        newer = self.newer > 0 and self.releases.random() < self.newer
        process = Process(slot.kind, f"{slot.kind}-{slot.number}.{slot.lives}", newer=newer)
        if newer:
            self.air.counts["of the next release"] += 1
        slot.process = process
        slot.clock = SimClock(self.loop)
        self.air.note("boot", process.instance)
        context = Context()
        context.run(PROCESS.set, process)
        main = context.run(self._main, slot, process)
        self.loop.create_task(main, name=process.instance, context=context)

    def kill(self, process: Process) -> None:
        """It is gone from one moment to the next; a supervisor starts another."""
        if not process.alive:
            return
        process.kill()
        self.graves.append(process)
        slot = next(slot for slot in self.slots if slot.process is process)
        self.air.note("killed", process.instance)
        assert slot.bus is not None
        slot.bus.cut()
        services = self.broker.post.services
        services[:] = [one for one in services if one.line.connected or one.line is not slot.bus.line]
        if self.restart_s is not None:
            self.loop.call_later(self.restart_s, self.boot, slot, context=Context())

    def freeze(self, process: Process, seconds: float) -> None:
        """It stands still, and wakes without knowing."""
        if process.frozen or not process.alive:
            return
        process.frozen = True
        self.air.note("frozen", process.instance, f"{seconds:.3f}")
        self.loop.call_later(seconds, self.thaw, process, context=Context())

    def thaw(self, process: Process) -> None:
        """It goes on."""
        if process.frozen:
            self.air.note("thawed", process.instance)
            self.loop.thaw(process)

    def processes(self, *kinds: str) -> list[Process]:
        """Those alive."""
        found = (slot.process for slot in self.slots if slot.kind in (kinds or KINDS))
        return [process for process in found if process is not None and process.alive]

    async def _main(self, slot: Slot, process: Process) -> None:
        assert slot.clock is not None
        self._names += 1
        clock = BrokerClock(slot.clock)
        runtime = sim_runtime(clock, f"{self._names:06x}", self.jitter)
        slot.bus = MemoryBus(self.broker, runtime, AirLine(slot.clock, self.air))
        registry = CollectorRegistry()
        service = Service(slot.kind, process.instance, slot.bus, runtime, Stopping(), registry)
        try:
            await self._ensure(service, clock)
            async with runtime.tasks.group() as group:
                group.spawn(clock.keep(slot.bus), name="time")
                await self._work(service)
        except Exception as error:
            self.deaths.append(f"{process.instance}: {_words(error)}")
            self.kill(process)

    async def _ensure(self, service: Service, clock: BrokerClock) -> None:
        while True:
            try:
                await service.bus.ensure(STREAMS, replicas=1, create=True)
                await clock.ask(service.bus)
                return
            except Refused:
                raise
            except TrancheError:
                await service.runtime.clock.sleep(0.5)

    async def _work(self, service: Service) -> None:
        if service.name == "planner":
            await planner.work(service, PLANNER_SETTINGS)
        elif service.name == "scheduler":
            await scheduler.work(service, SETTINGS)
        else:
            client = ArkletClient(AirTransport(self.air, self.inventory.bases.get), service.runtime.clock)
            source = SimPods(self.inventory, self.air, service.runtime.clock)
            await execute(service, source, client, NoJars(), limits=self.limits, alone=True)

    # --- bases ---

    def add_pod(
        self,
        key: PodKey,
        *,
        uid: str,
        address: str,
        max_modules: int | None = None,
        settings: BaseSettings | None = None,
        version: str = "2.1.11",
        on_event: Callable[[SimBase], None] = lambda _: None,
    ) -> SimBase:
        """A base starts, and its pod is known."""
        base = Base(
            key.pod,
            version=version,
            settings=settings,
            catalogue=self.catalogue,
            identity=f"{key.pod}/{uid}",
            now=self.loop.time() + EPOCH,
        )
        found = SimBase(base, self.air, on_event)
        self.inventory.bases[address] = found
        labels = {"koupleless.io/max-module-count": str(max_modules)} if max_modules is not None else {}
        self.inventory.put(Pod(key, uid, address, labels=labels))
        return found

    # --- people ---

    def people(self, name: str) -> Client:
        """A client of somebody who is not a process of ours, on a line of its own."""
        runtime = sim_runtime(self.clock, name, self.jitter)
        return Client(MemoryBus(self.broker, runtime), runtime)

    def spawn(self, work: object, name: str) -> asyncio.Task[None]:
        """A task of the world's own."""
        task = self.loop.create_task(work, name=name, context=Context())
        self._spawned.append(task)
        return task

    def bad_weather(self, weather: Weather) -> None:
        """From now on."""
        self.air.weather = weather

    def _end(self) -> None:
        """Let go of everything; what dead tasks say while they are closed is nobody's concern."""
        hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
        try:
            _close(self._spawned)
            for process in (*self.graves, *self.processes()):
                process.kill()
                _close(process.tasks())
                process.tasks().clear()
        finally:
            sys.unraisablehook = hook


def _close(tasks: Iterable[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        with suppress(BaseException):
            task.get_coro().close()  # type: ignore[union-attr]


PLANNER_SETTINGS = PlannerSettings()
SETTINGS = Settings()


def _words(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(map(_words, error.exceptions))
    return f"{type(error).__name__}: {error}"
