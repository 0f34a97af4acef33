"""How late a gate opens after its time, and after a confirm: ``python benchmarks/gates.py``.

A planner on a real nats-server; this program plays the scheduler for so many deployments at once, each with a
gray time after every batch. Measured is what a user would see: from the moment at which the gray time ends, as
the status told it, to the moment at which the broker stored the plan of the next batch. Then the same for
confirms. Ends with 1 when a gate opened early, or when the 99th percentile of the gray times' error is 50 ms or
more.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry

from tranche.bus.nats import connect
from tranche.bus.port import Bus, Stored
from tranche.bus.server import embedded_server
from tranche.client.client import Client
from tranche.contract import subjects
from tranche.contract.plan import Plan
from tranche.contract.progress import Progress
from tranche.contract.status import Status
from tranche.runtime import Runtime, system_runtime, wait_until
from tranche.service import Service, Stopping
from tranche.streams import STREAMS
from tranche_planner.__main__ import work
from tranche_planner.settings import PlannerSettings

GRAY_S = 1
BATCHES = 6
ALLOWED_S = 0.05


@dataclass
class Bench:
    """Everything that is being rolled out, and what was measured of it."""

    bus: Bus
    runtime: Runtime
    client: Client
    deployments: int
    gray: bool
    position: int = 0
    released: dict[tuple[str, int], float] = field(default_factory=dict)
    """When the plan of a batch was stored."""
    due: dict[tuple[str, int], float] = field(default_factory=dict)
    """When the gate before it was to open."""
    left: set[str] = field(default_factory=set)
    """Deployments that are not complete yet."""
    all_complete: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> list[float]:
        """How late each gate opened, in seconds, in order."""
        self.left = {self._name(number) for number in range(self.deployments)}
        async with asyncio.timeout(120), asyncio.TaskGroup() as group:
            hands = [group.create_task(self._schedule()), group.create_task(self._watch())]
            await asyncio.gather(*(self._apply(number) for number in range(self.deployments)))
            await self.all_complete.wait()
            for hand in hands:
                hand.cancel()
        return sorted(self.released[key] - due for key, due in self.due.items() if key in self.released)

    async def _apply(self, number: int) -> None:
        strategy = {
            "batchCount": BATCHES,
            "grayTime": GRAY_S if self.gray else 0,
            "needConfirm": not self.gray,
        }
        module = {"name": f"m{number}", "version": "1.0.0", "url": "http://modules.example/m-1.0.0.jar"}
        spec = {
            "baseDeploymentName": "web-base",
            "replicas": BATCHES,
            "template": {"spec": {"module": module}},
            "operationStrategy": strategy,
        }
        metadata = {"name": self._name(number), "namespace": self._namespace}
        await self.client.apply(
            {
                "apiVersion": "koupleless.io/v1alpha1",
                "kind": "ModuleDeployment",
                "metadata": metadata,
                "spec": spec,
            }
        )

    @property
    def _namespace(self) -> str:
        return "gray" if self.gray else "confirm"

    def _name(self, number: int) -> str:
        return f"m{number}"

    async def _schedule(self) -> None:
        """Every plan is carried out at once."""
        filter_ = subjects.plans_of(self._namespace, "web-base")
        async with self.bus.follow(subjects.PLANS, [filter_], start="new") as plans:
            while True:
                for stored in await plans.next(wait_s=1):
                    await self._carry_out(stored)

    async def _carry_out(self, stored: Stored) -> None:
        plan = Plan.decode(stored.data)
        if plan.mode == "roll" and not plan.complete:
            self.released.setdefault((plan.name, plan.batch), stored.time.timestamp())
        if plan.complete:
            self.left.discard(plan.name)
            if not self.left:
                self.all_complete.set()
        there = 0 if plan.mode == "open" else (BATCHES if plan.replicas < 0 else plan.replicas)
        self.position += 1
        progress = Progress(
            namespace=plan.namespace,
            base=plan.base,
            name=plan.name,
            plan_revision=plan.revision,
            generation=plan.generation,
            batch=plan.batch,
            ledger_revision=self.position,
            position=self.position,
            at=self.runtime.clock.now(),
            pods=BATCHES,
            present=there,
            outcome=there,
            updated=there,
            outcome_updated=there,
            available=there,
            updated_available=there,
            placeable=BATCHES - there,
        )
        await self.bus.publish(subjects.progress(plan.namespace, plan.name), progress.encode())

    async def _watch(self) -> None:
        """Note when gray times end; confirm what waits for a person."""
        filter_ = subjects.statuses_of(self._namespace)
        async with (
            asyncio.TaskGroup() as group,
            self.bus.follow(subjects.STATUS, [filter_], start="new") as statuses,
        ):
            while True:
                for stored in await statuses.next(wait_s=1):
                    status = Status.decode(stored.data)
                    key = (status.name, status.batch.current + 1)
                    for gate in status.gates:
                        if gate.gate == "grayTime" and gate.until is not None:
                            self.due.setdefault(key, gate.until.timestamp())
                        if gate.gate == "confirm" and key not in self.due:
                            self.due[key] = time.time()
                            group.create_task(self._confirm(status))

    async def _confirm(self, status: Status) -> None:
        await self.client.confirm(status.namespace, status.name, batch=status.batch.current, by="bench")


def told(name: str, late: Sequence[float]) -> str:
    """One line of the table, in milliseconds."""
    at = [late[int(part * (len(late) - 1))] * 1000 for part in (0, 0.5, 0.99, 1)]
    return f"{name:<12}{len(late):>8}" + "".join(f"{value:>10.1f}" for value in at)


async def measure(deployments: int) -> int:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    runtime = system_runtime()
    with tempfile.TemporaryDirectory() as folder:
        async with embedded_server(Path(folder)) as server, connect(server.url, name="planner") as bus:
            await bus.ensure(STREAMS, replicas=1, create=True)
            service = Service("planner", "planner-bench", bus, runtime, Stopping(), CollectorRegistry())
            async with connect(server.url, name="bench") as own, asyncio.TaskGroup() as group:
                running = group.create_task(work(service, PlannerSettings()))

                async def ready() -> bool | None:
                    return not service.not_ready or None

                await wait_until(ready, runtime.clock, timeout_s=10, every_s=0.01)
                print(f"{'gate':<12}{'opened':>8}{'min ms':>10}{'p50 ms':>10}{'p99 ms':>10}{'max ms':>10}")
                late: dict[str, list[float]] = {}
                for name in ("grayTime", "confirm"):
                    bench = Bench(own, runtime, Client(own, runtime), deployments, name == "grayTime")
                    late[name] = await bench.run()
                    print(told(name, late[name]), flush=True)
                service.stopping.event.set()
                await running
    gray = late["grayTime"]
    # Times in messages are cut to milliseconds.
    early, p99 = gray[0] < -0.001, gray[int(0.99 * (len(gray) - 1))]
    return 1 if early or p99 >= ALLOWED_S else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="How late gates open.")
    parser.add_argument("--deployments", type=int, default=20, help="rolled out at once (20)")
    sys.exit(asyncio.run(measure(parser.parse_args().deployments)))
