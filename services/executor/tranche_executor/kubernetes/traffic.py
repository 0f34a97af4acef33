"""Traffic by labels: a Service selects the pods on which its module serves (design 6).

A label that is set late costs nothing but time; one that is set on a pod whose module is being taken down sends
requests into the void. So it is set only under the version of the pod that was known before its record was read,
and whoever takes a module down writes to the pod first, whether the label was there or not: what was verified
before that cannot set it any more.
"""

from __future__ import annotations

from typing import Any

import structlog

from tranche.contract.record import PodRecord
from tranche.errors import Conflict
from tranche.kubernetes.cluster import Cluster
from tranche.runtime import Dice
from tranche_executor.core.pod import KUBERNETES, Pod, PodKey
from tranche_executor.core.traffic import LEFT, Labels, cleared, followed, label
from tranche_executor.kubernetes.pods import KubernetesPods, pod_path
from tranche_executor.traffic import Mark

log = structlog.get_logger()


class LabelTraffic:
    """Labels on the pods of a Kubernetes source; those of other sources are not touched."""

    def __init__(self, cluster: Cluster, pods: KubernetesPods, dice: Dice) -> None:
        self._cluster = cluster
        self._pods = pods
        self._dice = dice

    async def mark(self, record: PodRecord) -> Mark | None:
        """The pod's resource version, from the watch or, where that lags behind, from the server."""
        key = _key(record)
        if record.source != KUBERNETES:
            return None
        known = self._pods.workload(key)
        if known is None or known[0].uid != record.uid:
            await self._learn(key)
            known = self._pods.workload(key)
        return Mark(known[0].uid, known[1]) if known is not None and known[0].uid == record.uid else None

    async def follow(self, mark: Mark, before: PodRecord | None, record: PodRecord) -> bool:
        """Labels as the record has it, unless the pod changed since the mark."""
        key = _key(record)
        known = self._pods.workload(key)
        if known is None or (known[0].uid, known[1]) != (mark.uid, mark.version) or mark.uid != record.uid:
            raise Conflict(f"pod {key.pod} changed since it was looked at")
        changes = followed(known[0], before, record)
        if not changes:
            return False
        try:
            await self._write(key, changes, uid=mark.uid, resourceVersion=mark.version)
        except Conflict:
            await self._learn(key)
            raise
        log.info("traffic", pod=key.pod, labels={name: value or "-" for name, value in changes.items()})
        return True

    async def leave(self, record: PodRecord, module: str) -> bool:
        """The label removed, and what was known of the pod before made worthless."""
        name = label(module)
        if record.source != KUBERNETES or name is None:
            return False
        left = {LEFT: f"{module}-{self._dice.nonce()}"}
        if not await self._write(_key(record), {name: None}, uid=record.uid, annotations=left):
            raise Conflict(f"pod {record.pod} is gone")
        return True

    async def clear(self, pod: Pod) -> None:
        """All labels removed by which requests of ours find the pod."""
        known = self._pods.workload(pod.key) if pod.source == KUBERNETES else None
        if known is None or known[0].uid != pod.uid or not (changes := cleared(known[0])):
            return
        await self._write(pod.key, changes, uid=pod.uid)
        log.info("traffic_cleared", pod=pod.key.pod)

    async def _write(self, key: PodKey, labels: Labels, **meta: Any) -> bool:
        """Whether the pod is there. Raises Conflict where it is another, or not at the version given."""
        found = await self._cluster.patch(pod_path(key), {"metadata": {**meta, "labels": dict(labels)}})
        if found is not None:
            self._pods.learn(key, found)
        return found is not None

    async def _learn(self, key: PodKey) -> None:
        found = await self._cluster.get(pod_path(key))
        if found is not None:
            self._pods.learn(key, found)


def _key(record: PodRecord) -> PodKey:
    return PodKey(record.namespace, record.base, record.pod)
