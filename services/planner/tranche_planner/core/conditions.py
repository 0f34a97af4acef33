"""Conditions as Kubernetes has them: a row each, and the time each last changed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Literal, NamedTuple

from tranche.contract.status import Condition
from tranche_planner.core.budget import budget
from tranche_planner.core.document import Document
from tranche_planner.core.phases import standing
from tranche_planner.core.plans import wanted
from tranche_planner.core.words import replicas

Kind = Literal[
    "Available", "Progressing", "Paused", "BudgetAvailable", "Schedulable", "ReplicaFailure", "Completed"
]


class _Row(NamedTuple):
    kind: Kind
    true: bool
    reason: str
    message: str


def conditions(document: Document, now: datetime) -> tuple[Condition, ...]:
    """All conditions; one that did not change keeps the time of its last transition."""
    before = {one.type: one for one in document.conditions}
    return tuple(_upserted(before.get(row.kind), row, document, now) for row in _rows(document, now))


def _upserted(before: Condition | None, row: _Row, document: Document, now: datetime) -> Condition:
    status: Literal["True", "False"] = "True" if row.true else "False"
    since = before.last_transition_time if before is not None and before.status == status else now
    return Condition(
        type=row.kind,
        status=status,
        reason=row.reason,
        message=row.message,
        last_transition_time=since,
        observed_generation=document.observed_generation,
    )


def _rows(document: Document, now: datetime) -> Iterator[_Row]:
    progress, spent = document.progress, budget(document)
    available = progress.available if progress else 0
    need = wanted(document)
    failed = progress.failed + progress.retrying if progress else 0
    now_at = standing(document, now)
    enough = available >= need - spent.resolved
    yield _Row(
        "Available",
        enough,
        "MinimumAvailable" if enough else "TooFewAvailable",
        f"{available} of {need} are available, {spent.resolved} may be unavailable",
    )
    moving = now_at.phase in ("Progressing", "Waiting", "Aborting", "Deleting", "Pending")
    yield _Row("Progressing", moving, now_at.reason, now_at.message)
    paused = now_at.phase == "Paused"
    yield _Row("Paused", paused, now_at.reason, now_at.message if paused else "")
    free = spent.headroom > 0 or need == 0
    yield _Row(
        "BudgetAvailable",
        free,
        "WithinBudget" if free else "BudgetExhausted",
        f"{spent.unavailable} of {need} are unavailable, {spent.resolved} may be",
    )
    fits = progress is None or progress.blocked != "InsufficientCapacity"
    yield _Row(
        "Schedulable",
        fits,
        "Schedulable" if fits else "InsufficientCapacity",
        "" if fits else now_at.message,
    )
    yield _Row(
        "ReplicaFailure",
        failed > 0,
        "InstallFailed" if failed else "NoFailure",
        f"{replicas(failed)} failed" if failed else "",
    )
    done = document.rollout.kind == "roll" and document.rollout.over
    yield _Row("Completed", done, "RolloutCompleted" if done else now_at.reason, now_at.message)
