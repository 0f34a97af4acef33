"""Everything an executor does, with whatever pods, bases and jars it was given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from tranche.bus.spread import Spread
from tranche.service import Service
from tranche_executor.arklet.client import ArkletClient
from tranche_executor.metrics import Metrics
from tranche_executor.observer import Observer
from tranche_executor.orphans import Orphans
from tranche_executor.pods.source import PodSource
from tranche_executor.records import Records
from tranche_executor.settings import ExecutorSettings
from tranche_executor.traffic import Traffic, Unsteered
from tranche_executor.worker import Jars, Worker


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds the work. Times in seconds; without ``url_allow`` modules may come from anywhere."""

    url_allow: Sequence[str] = ()
    parallel: int = 64
    install_timeout_s: float = 120.0
    observe_interval_s: float = 30.0

    @classmethod
    def of(cls, settings: ExecutorSettings) -> Self:
        """As the settings have it."""
        return cls(
            url_allow=settings.url_allow,
            parallel=settings.executor_parallel,
            install_timeout_s=settings.install_timeout,
            observe_interval_s=settings.observe_interval,
        )


async def execute(
    service: Service,
    source: PodSource,
    client: ArkletClient,
    jars: Jars,
    *,
    limits: Limits,
    alone: bool,
    traffic: Traffic | None = None,
) -> None:
    """Observe and work until the service is asked to stop. ``alone``: what the source lacks is nobody's.

    ``traffic``: what steers requests to the pods, where anything does; such a source is the same for all.
    """
    steered = traffic if traffic is not None else Unsteered()
    bus, runtime = service.bus, service.runtime
    metrics = Metrics(service.registry)
    async with runtime.tasks.group() as group:
        spread = Spread(bus, runtime, kind="executor", instance=service.instance)
        observer = Observer(
            *(bus, runtime, source, spread, client, metrics),
            traffic=steered,
            interval_s=limits.observe_interval_s,
        )
        watching = [
            group.spawn(source.run(), name="pods"),
            group.spawn(observer.run(), name="observer"),
        ]
        if alone or traffic is not None:
            orphans = Orphans(runtime, source, spread, client, Records(bus, runtime), alone=alone)
            watching.append(group.spawn(orphans.run(), name="orphans"))
        worker = Worker(
            *(bus, runtime, service.instance, source, client, jars, metrics),
            url_allow=limits.url_allow,
            parallel=limits.parallel,
            install_timeout_s=limits.install_timeout_s,
            on_silent=observer.mind,
            traffic=steered,
        )
        service.not_ready = ""
        await worker.run(service.stopping)
        for task in watching:
            task.cancel()
