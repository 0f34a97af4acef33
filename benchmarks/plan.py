"""A preview of a whole pool as a person asks for it, end to end: ``python benchmarks/plan.py [pods]``.

A planner and a scheduler on a real nats-server, the pods' records as executors would have written them, and
``client.plan`` for the next version in four batches. Seconds by the clock, the best of five: a preview is asked
for by people, and the pool stands still meanwhile.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

import structlog
from choose import record
from prometheus_client import CollectorRegistry

from tranche.bus.nats import connect
from tranche.bus.server import embedded_server
from tranche.client.client import Client
from tranche.contract import subjects
from tranche.contract.record import PodRecord
from tranche.runtime import system_runtime
from tranche.service import Service, Stopping, spare_collections
from tranche.streams import STREAMS
from tranche_planner.__main__ import work as planner
from tranche_planner.settings import PlannerSettings
from tranche_scheduler.owner import Owner

ROUNDS = 5


def with_version(found: PodRecord) -> PodRecord:
    """The pod with another version of the module, of a number that the new deployment will not give."""
    old = found.modules["cart"].but(version="1.0.0", revision=99)
    return found.but(modules={**found.modules, "cart": old})


def manifest(pods: int, base: str, name: str = "cart", batches: int = 4) -> dict:
    module = {"name": name, "version": "2.0.0", "url": "http://modules.example/cart-2.0.0.jar"}
    return {
        "apiVersion": "koupleless.io/v1alpha1",
        "kind": "ModuleDeployment",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {
            "baseDeploymentName": base,
            "replicas": pods,
            "template": {"spec": {"module": module}},
            "operationStrategy": {"batchCount": batches},
            "maxUnavailable": "25%",
        },
    }


async def measure(pods: int) -> list[float]:
    took: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        async with embedded_server(Path(folder)) as server, connect(server.url, name="bench") as bus:
            await bus.ensure(STREAMS, replicas=1, create=True)
            records = [with_version(record(number, installed=True)) for number in range(pods)]
            for begin in range(0, pods, 500):
                await asyncio.gather(
                    *(
                        bus.publish(subjects.record(one.namespace, one.base, one.pod), one.encode())
                        for one in records[begin : begin + 500]
                    )
                )
            runtime, stopping = system_runtime(), Stopping()
            plans = Service("planner", "planner-1", bus, runtime, stopping, CollectorRegistry())
            pools = Service("scheduler", "scheduler-1", bus, runtime, stopping, CollectorRegistry())
            async with asyncio.TaskGroup() as group:
                group.create_task(planner(plans, PlannerSettings()))
                group.create_task(Owner(pools).run())
                client = Client(bus, runtime)
                # Somebody's module is on its way, so a scheduler keeps the pool, as it keeps any pool in use.
                await client.apply(manifest(1, records[0].base, "other"))
                async for status in client.watch("shop", "other"):
                    if status.moving:
                        break
                for turn in range(ROUNDS + 1):
                    # Another number of batches each time: a question that was asked before costs less.
                    wish = manifest(pods, records[0].base, batches=4 + turn)
                    began = time.perf_counter()
                    preview = await client.plan(wish)
                    took.append(time.perf_counter() - began)
                    assert sum(len(batch.pods) for batch in preview.batches) >= pods - 1
                stopping.event.set()
    return took[1:]


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    pods = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    spare_collections()
    took = asyncio.run(measure(pods))
    print(f"{pods} pods: best {min(took):.2f} s, worst {max(took):.2f} s of {ROUNDS}")


if __name__ == "__main__":
    main()
