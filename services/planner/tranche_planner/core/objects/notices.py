"""Kubernetes Events of an object: what happened, once each, in the words of the status stream."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any

from tranche.contract.message import rfc3339
from tranche.contract.status import Status, StatusEvent
from tranche_planner.core.objects.seen import OURS, Seen
from tranche_planner.core.objects.telling import Mirrored, refusal

LONGEST = 1024
"""Characters that a message of an Event may have."""
WARNINGS = frozenset(
    {
        "Invalid",
        "BudgetExhausted",
        "InsufficientCapacity",
        "OperationStuck",
        "InvalidCapacity",
        "InstallFailed",
        "UninstallFailed",
        "PodUnreachable",
        "PodLost",
        "ProgressDeadlineExceeded",
        "PoolFrozen",
        "Aborted",
        "ServiceConflict",
    }
)


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to tell once. ``about``: what makes it another one when the same words come again."""

    reason: str
    message: str
    about: str
    at: datetime

    @property
    def type(self) -> str:
        return "Warning" if self.reason in WARNINGS else "Normal"


def news(status: Status, told: Mapping[str, Any]) -> Notice | None:
    """What a status tells that the object's own does not tell yet; None: nothing new happened."""
    if told.get("event") == _plain(status.event) and told.get("rolloutGeneration") == status.generation:
        return None
    return Notice(
        status.event.reason,
        status.event.message,
        f"{status.generation}/{status.document_revision}",
        status.at,
    )


def refused_notice(wish: Mirrored, at: datetime) -> Notice:
    """That a wish was refused, and why."""
    return Notice("Invalid", refusal(wish).message, f"{wish.generation}/{wish.digest}", at)


def unscaled_notice(replicas: int, at: datetime) -> Notice:
    """That a peer cannot be scaled."""
    message = (
        f"cannot be scaled to {replicas}: spec.replicas is -1, one on every pod of the base; scale the base's "
        "Deployment, or set spec.replicas"
    )
    return Notice("Invalid", message, f"scale/{replicas}/{rfc3339(at)}", at)


def unheard_notice(managers: tuple[str, ...], generation: int, batch: int, at: datetime) -> Notice:
    """That a ``false`` was not taken for a confirm."""
    who = ", ".join(managers)
    message = (
        f"spec.pause: false by {who} confirms nothing: it said so before batch {batch} began to wait. "
        "Confirm with kubectl patch, or with tranche confirm"
    )
    return Notice("AwaitingConfirm", message, f"{generation}/{batch}/{who}", at)


def event_of(notice: Notice, object_: Seen) -> dict[str, Any]:
    """The Event as it is created. Its name follows from what it tells, so the same one is there only once."""
    text = "\0".join((object_.uid, notice.reason, notice.message, notice.about))
    name = f"{object_.name[:200]}.{blake2b(text.encode(), digest_size=8).hexdigest()}"
    at = rfc3339(notice.at)[: -len(".000Z")] + "Z"
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": object_.namespace},
        "involvedObject": {
            "apiVersion": object_.api_version,
            "kind": "ModuleDeployment",
            "namespace": object_.namespace,
            "name": object_.name,
            "uid": object_.uid,
        },
        "type": notice.type,
        "reason": notice.reason,
        "message": notice.message[:LONGEST],
        "firstTimestamp": at,
        "lastTimestamp": at,
        "count": 1,
        "source": {"component": OURS},
        "reportingComponent": OURS,
        "reportingInstance": OURS,
    }


def _plain(event: StatusEvent) -> dict[str, str]:
    return {"reason": event.reason, "message": event.message}
