"""The planner: `tranche-planner`. What runs and with what is put together here."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext

import structlog

from tranche import __version__
from tranche.kubernetes.cluster import Cluster
from tranche.kubernetes.connecting import connected
from tranche.service import Service, run
from tranche.settings import load_or_exit
from tranche.streams import PLANNER_EVENTS, PLANNER_PROGRESS, PLANNER_WAKE
from tranche_planner.api import DESCRIPTION, NAME, Api
from tranche_planner.bells import Bells
from tranche_planner.desk import Desk
from tranche_planner.due import Sweep, WakeUps
from tranche_planner.events import Events
from tranche_planner.freezes import Freezes
from tranche_planner.kubernetes.duty import mirror_objects
from tranche_planner.metrics import Metrics
from tranche_planner.progress import ProgressMessages
from tranche_planner.pumping import pump
from tranche_planner.reads import Reads
from tranche_planner.saying import Plans
from tranche_planner.settings import PlannerSettings
from tranche_planner.store import Store
from tranche_planner.turns import Turns


async def work(service: Service, settings: PlannerSettings) -> None:
    """Everything a planner does, until it is asked to stop."""
    if not settings.url_allow:
        structlog.get_logger().warning(
            "TRANCHE_URL_ALLOW is not set: modules may come from any http, https or file URL"
        )
    store = Store(service.bus, service.runtime)
    metrics, plans = Metrics(service.registry), Plans(service.bus)
    freezes = Freezes(service.bus, service.runtime)
    bells = Bells(service.runtime)
    desk = Desk(service.bus, service.runtime, store, metrics, Turns(), plans, freezes, bells)
    api = Api(service.bus, Reads(desk, settings.url_allow), freezes, settings.url_allow)
    known = asyncio.Event()
    async with (
        _objects_of(service, settings) as cluster,
        service.bus.serve(NAME, __version__, DESCRIPTION, api.endpoints()),
        service.runtime.tasks.group() as group,
    ):
        group.spawn(freezes.follow(service.stopping, known.set, desk.refreeze), name="freezes")
        # Nothing is decided before it is known what is frozen.
        await known.wait()
        events = Events(desk, settings.url_allow)
        group.spawn(pump(service, PLANNER_EVENTS, events.handle), name="events")
        group.spawn(pump(service, PLANNER_PROGRESS, ProgressMessages(desk).handle), name="progress")
        group.spawn(pump(service, PLANNER_WAKE, WakeUps(desk).handle), name="wake-ups")
        group.spawn(bells.run(service.stopping, desk.wake), name="bells")
        group.spawn(Sweep(desk, service).run(), name="sweep")
        if cluster is not None:
            namespaces = settings.kubernetes_namespaces or (cluster.namespace,)
            objects = mirror_objects(service, cluster, store, namespaces, settings.url_allow)
            group.spawn(objects, name="objects")
        service.not_ready = ""


def _objects_of(service: Service, settings: PlannerSettings) -> AbstractAsyncContextManager[Cluster | None]:
    """The cluster whose objects are carried out; None: nobody asks for that."""
    if settings.deployments != "kubernetes":
        return nullcontext()
    return connected(service.runtime.clock, setting="TRANCHE_DEPLOYMENTS")


def main() -> int:
    """Run a planner; its exit code."""
    return run("planner", load_or_exit(PlannerSettings, program="tranche-planner"), work)


if __name__ == "__main__":
    raise SystemExit(main())
