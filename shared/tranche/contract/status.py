"""The rollout status as users read it (contract 3.2): one complete document per change worth telling."""

from __future__ import annotations

from typing import Literal

from tranche.contract.message import Message, Time
from tranche.contract.progress import PodSample, Problem

Phase = Literal[
    "Pending",
    "Progressing",
    "Waiting",
    "Paused",
    "Blocked",
    "Healthy",
    "Degraded",
    "Aborting",
    "Aborted",
    "Invalid",
    "Deleting",
    "Deleted",
]

BatchState = Literal["Pending", "Releasing", "Waiting", "Verified", "Failed"]

GateName = Literal["verified", "grayTime", "confirm", "pause", "freeze"]


class StatusEvent(Message):
    """What happened last."""

    reason: str
    message: str


class CurrentBatch(Message):
    """Where the rollout stands; ``current`` 0 of 0 when there was nothing to change."""

    current: int
    count: int
    state: BatchState


class BatchStatus(Message):
    """One batch. ``index`` counts from 1."""

    index: int
    size: int
    state: BatchState
    beta: bool = False
    started_at: Time | None = None
    verified_at: Time | None = None
    confirmed_by: str | None = None
    confirmed_at: Time | None = None
    confirm_reason: str | None = None


class GateStatus(Message):
    """A gate that is shut: since when, until when where that is known, and the command that opens it."""

    gate: GateName
    since: Time
    until: Time | None = None
    unblock: str | None = None
    message: str = ""


class BudgetStatus(Message):
    """The promise in numbers. ``headroom``: how many available replicas may be taken down now."""

    max_unavailable: int | str
    resolved: int
    unavailable: int
    headroom: int


class Condition(Message):
    """As Kubernetes has them, upserted by type."""

    type: Literal[
        "Available", "Progressing", "Paused", "BudgetAvailable", "Schedulable", "ReplicaFailure", "Completed"
    ]
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str
    last_transition_time: Time
    observed_generation: int


class Status(Message):
    """Everything a person or a script wants to know of one deployment now."""

    namespace: str
    name: str
    at: Time
    event: StatusEvent
    generation: int
    observed_generation: int
    revision: int
    phase: Phase
    reason: str
    message: str
    next: str = ""
    """The command that helps, empty when there is nothing to do."""
    base: str
    module: str
    target_version: str
    stable_version: str | None = None
    replicas: int
    updated: int
    available: int
    updated_available: int
    unavailable: int
    failed: int
    moving: int
    batch: CurrentBatch
    batches: tuple[BatchStatus, ...] = ()
    gates: tuple[GateStatus, ...] = ()
    budget: BudgetStatus
    problems: tuple[Problem, ...] = ()
    conditions: tuple[Condition, ...] = ()
    pods: tuple[PodSample, ...] = ()
    """Up to 20 pods that move or are wrong."""
    by: str | None = None
    """Who asked for this generation."""
    started_at: Time | None = None
    policy: str = ""
    """scatter or stacking."""
    upgrade_policy: str = ""
    document_revision: int = 0
    """Raised with every change of the deployment's document: newest means latest."""
