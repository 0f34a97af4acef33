"""How a service runs: connect, check the streams, work, and stop within ten seconds of being asked to."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import structlog
from prometheus_client import CollectorRegistry

from tranche.brokertime import BrokerClock
from tranche.bus.nats.connection import connect
from tranche.bus.port import Bus
from tranche.errors import Refused, TrancheError
from tranche.runtime import Runtime, system_runtime
from tranche.settings import Settings
from tranche.streams import STREAMS
from tranche.telemetry import clean, configure_logs, http_endpoint

GRACE_S = 7.0
"""Work in flight has so long to finish or be handed back after SIGTERM; then it is cancelled."""
SETUP_S = 30.0
"""A broker that is still starting is waited for so long."""

S = TypeVar("S", bound=Settings)


@dataclass(slots=True)
class Stopping:
    """Set once somebody asked the service to end."""

    event: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def asked(self) -> bool:
        return self.event.is_set()

    async def wait(self) -> None:
        """Until the service is asked to end."""
        await self.event.wait()


@dataclass(slots=True)
class Service:
    """What the composition root hands to a service's own work."""

    name: str
    instance: str
    """Unique per process: holder of claims, leases and consumers."""
    bus: Bus
    runtime: Runtime
    stopping: Stopping
    registry: CollectorRegistry
    not_ready: str = "starting"
    """Why the service cannot do its work now; empty: it can."""

    def ready(self) -> str:
        return self.not_ready or ("" if self.bus.connected else "not connected to NATS")


Work = Callable[[Service], Awaitable[None]]


def spare_collections() -> None:
    """Have the garbage collector look seldom at what lives long: a view of a large pool is hundreds of thousands
    of objects without cycles, and each full collection would stop the service to find that out."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def run(name: str, settings: S, work: Callable[[Service, S], Awaitable[None]]) -> int:
    """Run a service until SIGTERM or SIGINT; the process's exit code."""
    configure_logs(settings.log, service=name)
    spare_collections()
    try:
        return _loop_runner(_main(name, settings, lambda service: work(service, settings)))
    except TrancheError as error:
        # One sentence for the person who started it, not a stack.
        print(f"tranche-{name}: {clean(str(error))}", file=sys.stderr)
        return 6 if not isinstance(error, Refused) else 1


def _loop_runner(main: Any) -> int:
    try:
        import uvloop
    except ImportError:
        return int(asyncio.run(main))
    return int(uvloop.run(main))


async def _main(name: str, settings: Settings, work: Work) -> int:
    log = structlog.get_logger()
    stopping = Stopping()
    _on_signals(stopping)
    instance = f"{name}-{socket.gethostname()}-{os.getpid()}"
    system = system_runtime()
    clock = BrokerClock(system.clock)
    runtime = replace(system, clock=clock)
    lost = False

    def closed() -> None:
        nonlocal lost
        lost = True
        log.error("the connection to NATS has ended for good", servers=settings.servers)
        stopping.event.set()

    async with AsyncExitStack() as stack:
        bus = await stack.enter_async_context(
            connect(
                settings.servers,
                name=f"{name}/{socket.gethostname()}",
                inbox_prefix=f"_INBOX.{name}",
                on_closed=closed,
                runtime=runtime,
                **settings.credentials(),
            )
        )
        service = Service(name, instance, bus, runtime, stopping, CollectorRegistry())
        await _ensure(bus, settings, clock)
        stack.push_async_callback(_cancelled, asyncio.ensure_future(clock.keep(bus)))
        await stack.enter_async_context(
            http_endpoint(settings.http_host, settings.http_port, service.registry, service.ready)
        )
        log.info("started", instance=instance)
        await _until_stopped(work(service), stopping, runtime)
    log.info("stopped", instance=instance)
    return 6 if lost else 0


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})


def _on_signals(stopping: Stopping) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.event.set)


async def _ensure(bus: Bus, settings: Settings, clock: BrokerClock) -> None:
    """Create or check the streams and learn the time; a broker that still elects leaders gets some time."""
    deadline = clock.monotonic() + SETUP_S
    while True:
        try:
            await bus.ensure(STREAMS, replicas=settings.replicas, create=settings.setup == "auto")
            await clock.ask(bus)
            return
        except Refused:
            raise
        except TrancheError:
            if clock.monotonic() > deadline:
                raise
            await clock.sleep(0.5)


async def _until_stopped(work: Awaitable[None], stopping: Stopping, runtime: Runtime) -> None:
    """Let the work end by itself after the signal, cancel it when it takes too long."""
    task = asyncio.ensure_future(work)
    asked = asyncio.ensure_future(stopping.wait())
    try:
        await asyncio.wait({task, asked}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            await asyncio.wait({task}, timeout=GRACE_S)
        if not task.done():
            structlog.get_logger().warning("work took too long to stop, cancelling it", seconds=GRACE_S)
            task.cancel()
            await asyncio.wait({task}, timeout=1.0)
        if task.done() and not task.cancelled():
            task.result()
    finally:
        asked.cancel()
        task.cancel()
