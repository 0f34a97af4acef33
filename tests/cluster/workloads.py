"""Base pods in one namespace, as the objects that stand for them; nothing runs, so their status is what is said.

Without kube-controller-manager a test makes the pods of a Deployment itself, owned as real ones are; with it,
they are waited for and bound to a node, as a scheduler would.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from kubernetes_asyncio.client import ApiClient, ApiException, AppsV1Api, CoreV1Api

from tranche.runtime import SystemClock, wait_until

Json = dict[str, Any]
MERGE = "application/merge-patch+json"
"""A dict would be sent as a JSON patch, which is a list."""
WAIT_S = 60.0
IMAGE = "registry.invalid/base:1"
CONTAINER = {
    "name": "base",
    "image": IMAGE,
    "securityContext": {
        "allowPrivilegeEscalation": False,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    },
}


@dataclass(frozen=True)
class Workloads:
    """The makers for one namespace; whatever they make is returned as the apiserver has it."""

    api: ApiClient
    namespace: str

    @property
    def core(self) -> CoreV1Api:
        return CoreV1Api(self.api)

    @property
    def apps(self) -> AppsV1Api:
        return AppsV1Api(self.api)

    async def deployment(self, name: str, replicas: int = 1, labels: Mapping[str, str] | None = None) -> Any:
        """A base: its pods carry ``app: <name>``; ``labels`` are of the Deployment."""
        return await self.apps.create_namespaced_deployment(
            self.namespace,
            {
                "metadata": {"name": name, "labels": dict(labels or {})},
                "spec": {
                    "replicas": replicas,
                    "selector": {"matchLabels": {"app": name}},
                    "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [CONTAINER]}},
                },
            },
        )

    async def pod(
        self,
        base: str,
        name: str,
        ip: str | None = None,
        *,
        labels: Mapping[str, str] | None = None,
        ready: bool = True,
        node: str = "node-1",
    ) -> Any:
        """A pod of a base, made by hand; with an ``ip`` it runs there.

        Bound to a node (which need not exist) it is deleted as a real one is: marked first, gone once its
        kubelet says so (``finish``).
        """
        owner = await self._replica_set(base)
        made = await self.core.create_namespaced_pod(
            self.namespace,
            {
                "metadata": {
                    "name": name,
                    "labels": {"app": base, "pod-template-hash": "1", **(labels or {})},
                    "ownerReferences": [_owned_by("ReplicaSet", owner)],
                },
                "spec": {"containers": [CONTAINER], "nodeName": node},
            },
        )
        return made if ip is None else await self.run(name, ip, ready=ready)

    async def run(self, name: str, ip: str, *, ready: bool = True) -> Any:
        """A kubelet's word that the pod runs, at this address, ready or not."""
        return await self._say(
            name,
            {
                "phase": "Running",
                "podIP": ip,
                "podIPs": [{"ip": ip}],
                "conditions": [_condition("Ready", ready), _condition("ContainersReady", ready)],
            },
        )

    async def ready(self, name: str, ready: bool) -> Any:
        """Its readiness probe's word. Other conditions, such as readiness gates, stay as they are."""
        found = await self.core.read_namespaced_pod(name, self.namespace)
        known = self.api.sanitize_for_serialization(found.status.conditions or [])
        others = [one for one in known if one["type"] != "Ready"]
        return await self._say(name, {"conditions": [*others, _condition("Ready", ready)]})

    async def delete(self, name: str, *, grace_s: int = 30) -> None:
        """Ask for its end: it is marked with ``deletionTimestamp`` and stays until ``finish``."""
        await self.core.delete_namespaced_pod(name, self.namespace, grace_period_seconds=grace_s)

    async def finish(self, name: str) -> None:
        """The end of it, as a kubelet reports; also a crash of the whole pod, without any mark before."""
        await self.core.delete_namespaced_pod(name, self.namespace, grace_period_seconds=0)

    async def controlled(self, base: str, count: int) -> list[str]:
        """The names of the pods kube-controller-manager made for a base, once it has made so many."""

        async def names() -> list[str] | None:
            found = await self.core.list_namespaced_pod(self.namespace, label_selector=f"app={base}")
            seen = [one.metadata.name for one in found.items if one.metadata.deletion_timestamp is None]
            return sorted(seen) if len(seen) == count else None

        return await wait_until(names, SystemClock(), timeout_s=WAIT_S, every_s=0.1)

    async def node(self, name: str) -> Any:
        """A node that takes pods: new ones carry a taint until somebody says that they are ready. It is the whole
        cluster's, and may be there from a test before."""
        try:
            await self.core.create_node({"metadata": {"name": name}})
        except ApiException as error:
            if error.status != HTTPStatus.CONFLICT:
                raise
        ready = {"status": {"conditions": [_condition("Ready", True)]}}
        await self.core.patch_node_status(name, ready, _content_type=MERGE)
        return await self.core.patch_node(name, {"spec": {"taints": None}}, _content_type=MERGE)

    async def bind(self, name: str, node: str) -> None:
        """Put a pod on a node, as a scheduler would."""
        target = {"apiVersion": "v1", "kind": "Node", "name": node}
        body = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": target}
        # The client cannot read the answer of this call, which is a mere Status.
        await self.core.create_namespaced_pod_binding(name, self.namespace, body, _preload_content=False)

    async def _replica_set(self, base: str) -> Any:
        """The ReplicaSet between a Deployment and its pods; without controllers it is a name to own them by."""
        found = await self.apps.list_namespaced_replica_set(self.namespace, label_selector=f"app={base}")
        if found.items:
            return found.items[0]
        deployment = await self.apps.read_namespaced_deployment(base, self.namespace)
        labels = {"app": base, "pod-template-hash": "1"}
        return await self.apps.create_namespaced_replica_set(
            self.namespace,
            {
                "metadata": {
                    "name": f"{base}-1",
                    "labels": labels,
                    "ownerReferences": [_owned_by("Deployment", deployment)],
                },
                "spec": {
                    "replicas": deployment.spec.replicas,
                    "selector": {"matchLabels": labels},
                    "template": {"metadata": {"labels": labels}, "spec": {"containers": [CONTAINER]}},
                },
            },
        )

    async def _say(self, name: str, status: Json) -> Any:
        return await self.core.patch_namespaced_pod_status(
            name, self.namespace, {"status": status}, _content_type=MERGE
        )


def _owned_by(kind: str, owner: Any) -> Json:
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "name": owner.metadata.name,
        "uid": owner.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _condition(kind: str, true: bool) -> Json:
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return {"type": kind, "status": "True" if true else "False", "lastTransitionTime": now}
