"""Statuses and records as planners and executors would say them, for tests of the command line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tranche.contract.explanation import Explanation, RevisionHistory
from tranche.contract.preview import Preview
from tranche.contract.record import PodRecord
from tranche.contract.status import Status

NOW = datetime(2026, 1, 31, 9, 30, 0, tzinfo=UTC)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def status(**changes: Any) -> Status:
    """Batch 2 of 4 waits for a person; changed where a test says so."""
    document: dict[str, Any] = {
        "namespace": "shop",
        "name": "cart",
        "at": NOW,
        "event": {"reason": "BatchVerified", "message": "batch 2 of 4: 39 of 39 available at 2.0.0"},
        "generation": 9,
        "observedGeneration": 9,
        "revision": 7,
        "phase": "Waiting",
        "reason": "AwaitingConfirm",
        "message": "batch 2 of 4 is verified and waits for a person",
        "next": "tranche confirm shop/cart --batch 2",
        "base": "web-base",
        "module": "cart",
        "targetVersion": "2.0.0",
        "stableVersion": "1.0.2",
        "replicas": 100,
        "updated": 40,
        "available": 99,
        "updatedAvailable": 39,
        "unavailable": 1,
        "failed": 1,
        "moving": 0,
        "batch": {"current": 2, "count": 4, "state": "Waiting"},
        "batches": [
            {
                "index": 1,
                "beta": True,
                "size": 1,
                "state": "Verified",
                "startedAt": ago(300),
                "verifiedAt": ago(294),
                "confirmedBy": "bob",
                "confirmedAt": ago(290),
                "confirmReason": "ok",
            },
            {"index": 2, "size": 39, "state": "Waiting", "startedAt": ago(290), "verifiedAt": ago(249)},
            {"index": 3, "size": 30, "state": "Pending"},
            {"index": 4, "size": 30, "state": "Pending"},
        ],
        "gates": [
            {
                "gate": "confirm",
                "since": ago(192),
                "unblock": "tranche confirm shop/cart --batch 2",
            },
            {"gate": "grayTime", "since": ago(192), "until": NOW + timedelta(seconds=7.5)},
        ],
        "budget": {"maxUnavailable": "50%", "resolved": 50, "unavailable": 1, "headroom": 49},
        "problems": [
            {"reason": "InstallFailed", "count": 1, "message": "ClassNotFound [x]", "pods": ["web-9"]}
        ],
        "pods": [
            {
                "pod": "web-9",
                "version": "2.0.0",
                "revision": 7,
                "state": "failed",
                "message": "ClassNotFound com.shop.Cart",
                "since": ago(51),
                "tries": 2,
                "retryAt": NOW + timedelta(seconds=3),
            }
        ],
        "by": "alice",
        "startedAt": ago(300),
        "policy": "scatter",
        "upgradePolicy": "install_then_uninstall",
        "documentRevision": 12,
    }
    return Status.model_validate({**document, **changes})


def healthy(**changes: Any) -> Status:
    """The same rollout when it is over."""
    done: dict[str, Any] = {
        "phase": "Healthy",
        "reason": "RolloutCompleted",
        "message": "100 of 100 available at 2.0.0",
        "next": "",
        "event": {"reason": "RolloutCompleted", "message": "100 of 100 available at 2.0.0"},
        "updated": 100,
        "available": 100,
        "unavailable": 0,
        "failed": 0,
        "batch": {"current": 4, "count": 4, "state": "Verified"},
        "gates": [],
        "problems": [],
        "pods": [],
        "stableVersion": "2.0.0",
    }
    return status(**{**done, **changes})


def record(pod: str = "web-1", **changes: Any) -> PodRecord:
    """A pod with cart 2.0.0 on it."""
    document: dict[str, Any] = {
        "namespace": "shop",
        "base": "web-base",
        "pod": pod,
        "uid": f"{pod}@127.0.0.1:1238",
        "address": "127.0.0.1:1238",
        "ready": True,
        "maxModules": 5,
        "observedAt": NOW,
        "modules": {"cart": {"version": "2.0.0", "revision": 7, "state": "available", "since": ago(60)}},
    }
    return PodRecord.model_validate({**document, **changes})


def rolling(**changes: Any) -> Status:
    """Batch 3 of 4 is under way."""
    going: dict[str, Any] = {
        "phase": "Progressing",
        "reason": "BatchReleased",
        "message": "batch 3 of 4 is under way",
        "next": "",
        "moving": 5,
        "batch": {"current": 3, "count": 4, "state": "Releasing"},
        "gates": [],
    }
    return status(**{**going, **changes})


def preview_batch(index: int, pods: list[str], *, beta: bool = False, **step: Any) -> dict[str, Any]:
    """A batch in which the same is done on all pods."""
    steps = [{"pod": pod, "step": "install", "to": "2.0.0", **step} for pod in pods]
    return {"index": index, "beta": beta, "size": len(pods), "pods": steps}


def preview(**changes: Any) -> Preview:
    """Six changes in two batches, the first a beta."""
    replaced = {"step": "replace", "from": "1.0.2"}
    second = preview_batch(2, [f"web-{number}" for number in range(1, 5)], **replaced)
    second["pods"] += preview_batch(2, ["web-5"])["pods"]
    document: dict[str, Any] = {
        "generation": 10,
        "changes": 6,
        "batches": [preview_batch(1, ["web-0"], beta=True, **replaced), {**second, "size": 5}],
        "skipped": [{"reason": "not ready", "count": 2, "pods": ["web-8", "web-9"]}],
        "budget": {"maxUnavailable": "50%", "resolved": 50, "unavailable": 1, "headroom": 49},
        "lowestAvailable": 95,
        "confirms": 1,
        "earliestFinishSeconds": 75,
        "warnings": ["useBeta and needConfirm: 1 confirm will be needed"],
        "problems": [{"reason": "InsufficientCapacity", "message": "1 short: 1 pod full", "count": 1}],
    }
    return Preview.model_validate({**document, **changes})


def explanation(**changes: Any) -> Explanation:
    """Everything is open but a person's confirm."""
    document: dict[str, Any] = {
        "namespace": "shop",
        "name": "cart",
        "generation": 9,
        "phase": "Waiting",
        "message": "batch 2 of 4 is verified and waits for a person",
        "next": "tranche confirm shop/cart --batch 2",
        "gates": [
            {"gate": "verified", "open": True, "since": ago(249), "message": "39 of 39 available"},
            {"gate": "grayTime", "open": True, "since": ago(249), "message": "over"},
            {
                "gate": "confirm",
                "open": False,
                "since": ago(192),
                "unblock": "tranche confirm shop/cart --batch 2",
                "message": "needConfirm is set",
            },
            {"gate": "pause", "open": True},
            {"gate": "freeze", "open": True},
        ],
        "budget": {"maxUnavailable": "50%", "resolved": 50, "unavailable": 1, "headroom": 49},
        "clauses": [
            {
                "clause": "available - 1 >= wanted - maxUnavailable",
                "holds": True,
                "message": "99 - 1 >= 100 - 50",
            }
        ],
        "problems": [{"reason": "InstallFailed", "count": 1, "message": "no jar", "pods": ["web-9"]}],
    }
    return Explanation.model_validate({**document, **changes})


def history() -> tuple[RevisionHistory, ...]:
    """A completed revision, and the one that is rolled out over it."""
    before: dict[str, Any] = {
        "revision": 6,
        "version": "1.0.2",
        "url": "http://modules.example/cart-1.0.2.jar",
        "generation": 8,
        "startedAt": ago(90000),
        "finishedAt": ago(89940),
        "outcome": "completed",
        "by": "bob",
        "stable": True,
    }
    now = {
        **before,
        "revision": 7,
        "version": "2.0.0",
        "generation": 9,
        "startedAt": ago(300),
        "finishedAt": None,
        "outcome": "",
        "stable": False,
        "target": True,
    }
    return RevisionHistory.model_validate(before), RevisionHistory.model_validate(now)
