"""A pod as its source describes it, before anybody asked its base."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

STATIC = "static"
HEARTBEAT = "heartbeat"
KUBERNETES = "kubernetes"
"""Which kind of source knows a pod, as records have it."""


class PoolKey(NamedTuple):
    """All pods of one base."""

    namespace: str
    base: str


class PodKey(NamedTuple):
    """One pod of a pool, by name."""

    namespace: str
    base: str
    pod: str

    @property
    def pool(self) -> PoolKey:
        return PoolKey(self.namespace, self.base)


@dataclass(frozen=True, slots=True)
class Pod:
    """What an inventory says of a pod. ``ready`` is a claim until its base has answered."""

    key: PodKey
    uid: str
    address: str
    ready: bool = True
    terminating: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    base_labels: Mapping[str, str] = field(default_factory=dict)
    source: str = STATIC
    incarnation: str = ""
    """Which run of its process this is, where the source tells: another one has lost its modules."""
