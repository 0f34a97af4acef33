"""The static inventory of a fleet, in the form executors read (design 3.5)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from tranche_fleet.pod import Pod

MAX_MODULES = "koupleless.io/max-module-count"

PoolLabels = Mapping[tuple[str, str], Mapping[str, str]]
"""Labels of the base Deployment, by namespace and base."""


def inventory(pods: Iterable[Pod], pool_labels: PoolLabels) -> dict[str, Any]:
    """All pods by pool, in the order they joined."""
    pools: dict[tuple[str, str], dict[str, Any]] = {}
    for pod in pods:
        key = (pod.namespace, pod.pool)
        fresh = {
            "namespace": pod.namespace,
            "base": pod.pool,
            "labels": dict(pool_labels.get(key, {})),
            "pods": [],
        }
        pools.setdefault(key, fresh)["pods"].append(_entry(pod))
    return {"pools": list(pools.values())}


def write_inventory(path: Path, document: Mapping[str, Any]) -> None:
    """Replace the file in one step: a reader sees the old one or the new one."""
    text = yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True)
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(text, encoding="utf-8")
    os.replace(fresh, path)


def _entry(pod: Pod) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": pod.name,
        "address": pod.address,
        "labels": dict(pod.labels),
        "ready": pod.ready,
    }
    if pod.uid is not None:
        entry["uid"] = pod.uid
    return entry
