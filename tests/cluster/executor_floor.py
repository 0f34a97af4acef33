"""Simulated bases behind the pods of a real apiserver, executors as processes with their own rights, and an eye on
every label: what the cluster said and what the bases did, in one order of time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from tests.cluster.access import Access
from tests.cluster.roles import rules_of
from tests.cluster.tenant import Tenant
from tests.cluster.workloads import MERGE
from tests.processes import ServiceProcess
from tests.services.executor_stage import Stage, stage
from tranche.bus.nats import NatsBus, connect
from tranche.bus.server import NatsServer
from tranche.errors import TrancheError
from tranche.kubernetes.cluster import Cluster
from tranche.kubernetes.watching import Pace
from tranche.runtime import SystemClock, system_runtime, wait_until
from tranche.service import Service, Stopping
from tranche_executor.arklet.artifact import JarCheck
from tranche_executor.arklet.client import http_client
from tranche_executor.execution import Limits, execute
from tranche_executor.kubernetes.pods import KubernetesPods
from tranche_executor.kubernetes.traffic import LabelTraffic
from tranche_fleet.pod import Pod

BASE = "web-base"
CART = "module.koupleless.io/cart"
COUNT = "koupleless.io/module-instance-count"
PACE = Pace(pause_s=(0.1, 1.0))
LIMITED = {"koupleless.io/max-module-count": "5"}
RULES = rules_of("base/executor.yaml")
"""All that an executor may do."""


@dataclass(frozen=True)
class Sight:
    """A pod as an event told it."""

    at: float
    name: str
    uid: str
    labels: dict[str, str]


@dataclass
class Running:
    """An executor in this process."""

    name: str
    task: asyncio.Task[None]

    async def kill(self) -> None:
        """It ends where it stands."""
        self.task.cancel()
        await asyncio.wait({self.task})


@dataclass
class Floor:
    """A base in a cluster, and what was seen there."""

    tenant: Tenant
    hall: Stage
    nats_url: str
    folder: Path
    account: Access
    sights: list[Sight] = field(default_factory=list)
    executors: list[Running] = field(default_factory=list)

    async def start(self, name: str = "executor-1", *, observe_s: float = 2.0) -> Running:
        """An executor that has the rights of its Role and no others."""
        one = Running(name, asyncio.ensure_future(self._run(name, Limits(observe_interval_s=observe_s))))
        self.executors.append(one)
        return one

    async def process(self, number: int = 1) -> ServiceProcess:
        """The same as a process of its own, told by its settings alone."""
        kubeconfig = self.account.kubeconfig(self.folder / "kubeconfig")
        flags = ["--nats-url", self.nats_url, "--pods", "kubernetes", "--observe-interval", "2"]
        flags += ["--kubernetes-namespaces", self.tenant.namespace]
        return ServiceProcess("tranche_executor", number, flags, self.folder, {"KUBECONFIG": str(kubeconfig)})

    async def _run(self, name: str, limits: Limits) -> None:
        runtime = system_runtime()
        async with (
            connect(self.nats_url, name=name) as bus,
            self.account.client() as calls,
            http_client(runtime.clock, timeout_s=0.5) as client,
            JarCheck(self.folder / "jars", runtime.clock) as jars,
        ):
            service = Service("executor", name, bus, runtime, Stopping(), CollectorRegistry())
            cluster = Cluster(calls, runtime.clock, call_s=2.0)
            pods = KubernetesPods(cluster, runtime, bus, [self.tenant.namespace], 1238, PACE)
            traffic = LabelTraffic(cluster, pods, runtime.dice)
            await execute(service, pods, client, jars, limits=limits, alone=False, traffic=traffic)

    async def pods(self, *, ready: bool = True) -> None:
        """The bases' pods, each at its base's address."""
        for base in self.hall.fleet:
            await self.pod(base, ready=ready)

    async def pod(self, base: Pod, *, ready: bool = True, labels: dict[str, str] | None = None) -> None:
        made = await self.tenant.workloads.pod(
            BASE, base.name, base.address.split(":")[0], ready=ready, labels=labels
        )
        self.hall.uids[base.name] = made.metadata.uid

    async def say(self, name: str, status: dict[str, Any]) -> None:
        """Something of a pod's status."""
        await self.tenant.workloads.core.patch_namespaced_pod_status(
            name, self.tenant.namespace, {"status": status}, _content_type=MERGE
        )

    async def write(self, name: str, labels: dict[str, str | None]) -> None:
        """Labels, as somebody else writes them."""
        await self.tenant.workloads.core.patch_namespaced_pod(
            name, self.tenant.namespace, {"metadata": {"labels": labels}}, _content_type=MERGE
        )

    async def labels(self, name: str) -> dict[str, str]:
        found = await self.tenant.workloads.core.read_namespaced_pod(name, self.tenant.namespace)
        return dict(found.metadata.labels or {})

    async def labelled(self, name: str, **wanted: str | None) -> None:
        """Until the labels of cart and of the count are as given; None: absent."""
        names = {"cart": CART, "count": COUNT}

        async def as_wanted() -> bool | None:
            labels = await self.labels(name)
            return all(labels.get(names[key]) == value for key, value in wanted.items()) or None

        try:
            await wait_until(as_wanted, SystemClock(), timeout_s=20, every_s=0.02)
        except TimeoutError:
            raise AssertionError(f"{await self.labels(name)}, expected {wanted}") from None

    # --- judged ---

    def spans(self, name: str, label: str = CART) -> list[tuple[float, float | None]]:
        """When the pod had the label: from and to, None: still."""
        found: list[tuple[float, float | None]] = []
        for sight in (one for one in self.sights if one.name == name):
            has = sight.labels.get(label) == "true"
            if has and (not found or found[-1][1] is not None):
                found.append((sight.at, None))
            elif not has and found and found[-1][1] is None:
                found[-1] = (found[-1][0], sight.at)
        return found

    def judge(self, base: Pod, *, drain_s: float = 0.0, restarted: bool = False) -> None:
        """Never labelled while the base did not serve; gone for long enough before it was taken down."""
        for began, ended in self.spans(base.name):
            assert base.timeline.serves("cart", began), (
                f"labelled at {began}; {base.timeline.serving('cart')}"
            )
            for serving in base.timeline.serving("cart"):
                if serving.end is not None and began < serving.end and not restarted:
                    covered = [
                        one
                        for one in base.timeline.serving("cart")
                        if one.covers(serving.end) and one != serving
                    ]
                    assert covered or (ended is not None and ended <= serving.end), (
                        f"labelled {began} to {ended}, served until {serving.end}"
                    )
            for command in base.timeline.commands:
                if command.command.startswith("uninstall") and command.module == "cart" and drain_s:
                    assert ended is None or command.at < began or command.at - ended >= drain_s - 0.15, (
                        f"taken down {command.at - ended if ended else 0} s after the label went"
                    )


@asynccontextmanager
async def floor(
    tenant: Tenant, server: NatsServer, bus: NatsBus, folder: Path, pods: int = 1, **pool: Any
) -> AsyncIterator[Floor]:
    """A base with pods that are made by the test, seen by a watch of the administrator's."""
    async with stage(bus, folder, pods, (tenant.namespace, BASE), **pool) as hall:
        account = await _account(tenant)
        here = Floor(tenant, hall, server.url, folder, account)
        await tenant.workloads.deployment(BASE, labels=LIMITED)
        async with tenant.plane.access.client() as calls:
            watching = asyncio.ensure_future(_watch(Cluster(calls, SystemClock()), here))
            try:
                yield here
            finally:
                watching.cancel()
                for one in here.executors:
                    await one.kill()
                await asyncio.wait({watching})


async def _account(tenant: Tenant) -> Access:
    """A service account with exactly the rights of the Role."""
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "executor"},
        "rules": RULES,
    }
    await tenant.kubectl.apply(role)
    account = f"--serviceaccount={tenant.namespace}:executor"
    await tenant.kubectl("create", "rolebinding", "executor", "--role=executor", account)
    return await tenant.plane.access.service_account(tenant.namespace, "executor")


async def _watch(cluster: Cluster, here: Floor) -> None:
    path = f"/api/v1/namespaces/{here.tenant.namespace}/pods"
    while True:
        try:
            async with cluster.watch(path, resourceVersion="0") as events:
                async for event in events:
                    meta = event["object"]["metadata"]
                    labels = dict(meta.get("labels") or {}) if event["type"] != "DELETED" else {}
                    here.sights.append(Sight(time.time(), meta["name"], meta["uid"], labels))
        except TrancheError:
            await asyncio.sleep(0.05)
