"""Pods of the Deployments that are bases, as the cluster tells (design 2.4, decision 13).

Two watches per namespace, one for pods and one for Deployments. What a watch tells rings the bell at once; that a
pod is gone is said only by a call that asks for it by name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from urllib.parse import quote

import structlog

from tranche.bus.port import Bus
from tranche.contract.record import PodRecord
from tranche.errors import Unavailable
from tranche.kubernetes.cache import ObjectKey
from tranche.kubernetes.cluster import Cluster
from tranche.kubernetes.watching import USUAL, Pace, Watch
from tranche.runtime import Runtime
from tranche.settings import ALL_NAMESPACES
from tranche_executor.core.pod import KUBERNETES, Pod, PodKey, PoolKey
from tranche_executor.core.workload import (
    Deployment,
    Selector,
    Workload,
    base_of,
    described,
    displaced,
    is_base,
)
from tranche_executor.kubernetes.plans import PlannedPools
from tranche_executor.kubernetes.reading import read_deployment, read_workload

PLANS_S = 5.0
"""At the start they are read within so long, or whoever asks is told to come again."""

log = structlog.get_logger()


class KubernetesPods:
    """The pods of the bases in some namespaces, or in all. ``port``: arklet's, where a pod names none."""

    def __init__(
        self,
        cluster: Cluster,
        runtime: Runtime,
        bus: Bus,
        namespaces: Sequence[str],
        port: int,
        pace: Pace = USUAL,
    ) -> None:
        self._cluster = cluster
        self._runtime = runtime
        self._port = port
        self._scopes = tuple(namespaces)
        self._bell = asyncio.Event()
        self._plans = PlannedPools(bus, runtime, self._planned)
        self._workloads = {
            scope: Watch(cluster, runtime, _path("/api/v1", scope, "pods"), read_workload, self._moved, pace)
            for scope in self._scopes
        }
        self._deployments = {
            scope: Watch(
                *(cluster, runtime, _path("/apis/apps/v1", scope, "deployments"), read_deployment),
                *(self._declared, pace),
            )
            for scope in self._scopes
        }
        self._bases: dict[str, dict[str, Deployment]] = {}
        """By namespace and name."""
        self._pods: dict[PodKey, Pod] = {}
        self._placed: dict[ObjectKey, PodKey] = {}
        self._at: dict[str, ObjectKey] = {}
        """Who has an address."""
        self._displaced: set[ObjectKey] = set()

    # --- as a source ---

    def pods(self) -> Mapping[PodKey, Pod]:
        """The pods as the watches have told."""
        return self._pods

    async def look(self, key: PodKey) -> Pod | None:
        """The pod as the server has it this moment. Raises Unavailable and others: an error is never "gone"."""
        watch = self._watch(key.namespace)
        if watch is None:
            return None
        await self._know_the_plans()
        found = await self._cluster.get(pod_path(key))
        workload = read_workload(found) if found is not None else None
        if found is None or workload is None:
            return None
        watch.learn(found)
        base = await self._base(key, workload)
        if base is None or base_of(workload, [base]) is None:
            return None
        return self._describe(workload, base)

    def unshared(self) -> Collection[PodKey]:
        """None: everybody asks the same server."""
        return ()

    def lists(self, record: PodRecord) -> bool:
        """Whether the pod is, or was, one of a namespace that we look after."""
        return record.source == KUBERNETES and self._watch(record.namespace) is not None

    def lost(self, pod: Pod, silent_s: float) -> bool:
        """Never: the server says when a pod is gone."""
        return False

    def forget(self, pod: Pod, record: PodRecord | None) -> None:
        """Only the cluster forgets."""

    def ring(self, bell: asyncio.Event) -> None:
        """Set this bell from now on whenever a pod came, changed or went."""
        self._bell = bell

    async def run(self) -> None:
        """Watch until cancelled."""
        async with self._runtime.tasks.group() as group:
            group.spawn(self._plans.run(), name="plans")
            for scope in self._scopes:
                group.spawn(self._deployments[scope].run(), name=f"deployments-{scope}")
                group.spawn(self._workloads[scope].run(), name=f"pods-{scope}")

    # --- for those who write to pods ---

    def workload(self, key: PodKey) -> tuple[Workload, str] | None:
        """What is known of a pod, and its resource version."""
        watch, name = self._watch(key.namespace), ObjectKey(key.namespace, key.pod)
        known = watch.get(name) if watch is not None else None
        return None if known is None or watch is None else (known, watch.version(name))

    def learn(self, key: PodKey, found: dict[str, object]) -> None:
        """A pod as the server answered it."""
        if (watch := self._watch(key.namespace)) is not None:
            watch.learn(found)

    # --- told ---

    def _declared(self, keys: Collection[ObjectKey]) -> None:
        self._sort_out({key.namespace for key in keys})

    def _planned(self, pools: Collection[PoolKey]) -> None:
        self._sort_out({pool.namespace for pool in pools})

    def _sort_out(self, namespaces: Iterable[str]) -> None:
        """Which Deployments are bases now, and whose the pods are."""
        for namespace in namespaces:
            scope = self._scope(namespace)
            if scope is None:
                continue
            known = {
                key.name: one
                for key, one in self._deployments[scope].items().items()
                if key.namespace == namespace
            }
            bases = {name: one for name, one in known.items() if self._is_base(namespace, one)}
            # Pods outlive their Deployment: a while when it is deleted, for good when it is to leave them.
            left = {key.base for key in self._pods if key.namespace == namespace} - known.keys()
            before = self._bases.get(namespace, {})
            bases |= {name: before[name] for name in left if name in before}
            if bases == before:
                continue
            self._bases[namespace] = bases
            self._moved([key for key in self._workloads[scope].items() if key.namespace == namespace])

    def _moved(self, keys: Collection[ObjectKey]) -> None:
        for key in keys:
            self._place(key)

    def _place(self, key: ObjectKey) -> None:
        """Take in what is known of one pod now."""
        watch = self._watch(key.namespace)
        workload = watch.get(key) if watch is not None else None
        base = base_of(workload, self._bases.get(key.namespace, {}).values()) if workload else None
        pod = self._describe(workload, base) if workload and base else None
        before = self._placed.get(key)
        if before is not None and (pod is None or pod.key != before):
            address = self._pods.pop(before).address
            del self._placed[key]
            self._vacate(key, address)
            self._bell.set()
        if pod is not None and workload is not None:
            self._put(key, self._housed(key, workload, pod))

    def _put(self, key: ObjectKey, pod: Pod) -> None:
        self._placed[key] = pod.key
        old = self._pods.get(pod.key)
        if old is not None and old.address != pod.address and self._at.get(old.address) == key:
            del self._at[old.address]
        if self._pods.get(pod.key) != pod:
            self._pods[pod.key] = pod
            self._bell.set()

    def _housed(self, key: ObjectKey, workload: Workload, pod: Pod) -> Pod:
        """The pod with its address, unless a later one has it: addresses are given out again."""
        other = self._at.get(pod.address) if pod.address else None
        if pod.address and other is not None and other != key:
            watch = self._watch(other.namespace)
            known = watch.get(other) if watch is not None else None
            if known is not None and (known.created, known.uid) > (workload.created, workload.uid):
                self._displaced.add(key)
                return displaced(pod)
            log.info("address_given_again", address=pod.address, pod=key.name, before=other.name)
            self._displaced.add(other)
            at = self._placed.get(other)
            if at is not None:
                self._put(other, displaced(self._pods[at]))
        self._displaced.discard(key)
        if pod.address:
            self._at[pod.address] = key
        return pod

    def _vacate(self, key: ObjectKey, address: str) -> None:
        self._displaced.discard(key)
        if self._at.get(address) == key:
            del self._at[address]
        for other in list(self._displaced):
            self._place(other)

    # --- whose ---

    async def _know_the_plans(self) -> None:
        """Without them a base that only a plan names would be none. Raises Unavailable."""
        try:
            async with self._runtime.clock.timeout(PLANS_S):
                await self._plans.read.wait()
        except TimeoutError:
            raise Unavailable("which bases plans name has not been read yet") from None

    async def _base(self, key: PodKey, workload: Workload) -> Deployment | None:
        """The pod's base: as known, else as the server has it this moment; one that left its pods behind counts."""
        known = self._bases.get(key.namespace, {}).get(key.base)
        if known is not None:
            return known
        path = f"{_path('/apis/apps/v1', key.namespace, 'deployments')}/{quote(key.base, safe='')}"
        found = await self._cluster.get(path)
        if found is None:
            return Deployment(key.base, Selector(workload.labels))
        base = read_deployment(found)
        return base if self._is_base(key.namespace, base) else None

    def _is_base(self, namespace: str, deployment: Deployment) -> bool:
        return is_base(deployment, self._port) or PoolKey(namespace, deployment.name) in self._plans.pools

    def _describe(self, workload: Workload, base: Deployment) -> Pod:
        return described(workload, base, self._port)

    def _watch(self, namespace: str) -> Watch[Workload] | None:
        scope = self._scope(namespace)
        return self._workloads[scope] if scope is not None else None

    def _scope(self, namespace: str) -> str | None:
        if ALL_NAMESPACES in self._workloads:
            return ALL_NAMESPACES
        return namespace if namespace in self._workloads else None


def pod_path(key: PodKey) -> str:
    """Where a pod is asked for by name."""
    return f"{_path('/api/v1', key.namespace, 'pods')}/{quote(key.pod, safe='')}"


def _path(group: str, scope: str, kind: str) -> str:
    return (
        f"{group}/{kind}" if scope == ALL_NAMESPACES else f"{group}/namespaces/{quote(scope, safe='')}/{kind}"
    )
