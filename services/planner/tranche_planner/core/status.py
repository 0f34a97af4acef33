"""The status of a deployment: all that a person or a script wants to know, a pure function of the document."""

from __future__ import annotations

from datetime import datetime

from tranche.contract.progress import Problem, Progress
from tranche.contract.status import BatchState, BatchStatus, CurrentBatch, Status
from tranche_planner.core.budget import budget
from tranche_planner.core.document import Document
from tranche_planner.core.gates import shut, told
from tranche_planner.core.phases import batch_state, observed, standing
from tranche_planner.core.plans import wanted

MOST_BATCHES = 50


def status(document: Document, now: datetime) -> Status:
    """What is told of the deployment at a time."""
    at, spec, stable = standing(document, now), document.spec, document.stable_content
    rollout, counts = document.rollout, document.progress
    known = counts is not None and observed(document)
    updated, updated_available = _updated(document, counts) if counts and known else (0, 0)
    spent = budget(document)
    return Status(
        namespace=document.namespace,
        name=document.name,
        at=now,
        event=document.event,
        generation=document.generation,
        observed_generation=document.observed_generation,
        revision=document.target,
        phase=at.phase,
        reason=at.reason,
        message=at.message,
        next=at.next,
        base=spec.base,
        module=spec.module.name,
        target_version=spec.module.version,
        stable_version=stable.version if stable else None,
        replicas=wanted(document),
        updated=updated,
        available=counts.available if counts else 0,
        updated_available=updated_available,
        unavailable=spent.unavailable,
        failed=counts.failed + counts.retrying if counts and known else 0,
        moving=counts.moving if counts else 0,
        batch=CurrentBatch(
            current=rollout.current, count=len(rollout.batches), state=batch_state(document, now)
        ),
        batches=_batches(document, now),
        gates=tuple(told(gate, document) for gate in shut(document, now)),
        budget=spent,
        problems=problems_of(document),
        conditions=document.conditions,
        pods=counts.samples if counts and known else (),
        by=document.by,
        started_at=rollout.started_at,
        policy=spec.scheduling_policy.value,
        upgrade_policy=spec.upgrade_policy.value,
        document_revision=document.revision,
    )


def _updated(document: Document, progress: Progress) -> tuple[int, int]:
    """Replicas at the version the wish asks for, and how many of those are available."""
    if document.rollout.kind == "roll":
        return progress.updated, progress.updated_available
    if document.rollout.kind == "abort" and document.stable is not None:
        # The scheduler counts towards stable: what is not there yet, and has not failed, is still at the wish's.
        left = max(0, progress.present - progress.updated - progress.failed - progress.retrying)
        return left, max(0, min(left, progress.available - progress.updated_available))
    return progress.present, progress.available


def _batches(document: Document, now: datetime) -> tuple[BatchStatus, ...]:
    rollout = document.rollout
    count = len(rollout.batches)
    first = max(0, min(rollout.current - MOST_BATCHES // 2, count - MOST_BATCHES))
    return tuple(
        BatchStatus(
            index=index,
            size=batch.size,
            state=_state(document, index, now),
            beta=batch.beta,
            started_at=batch.started_at,
            verified_at=batch.verified_at,
            confirmed_by=batch.confirmed_by,
            confirmed_at=batch.confirmed_at,
            confirm_reason=batch.confirm_reason,
        )
        for index, batch in enumerate(rollout.batches[first : first + MOST_BATCHES], start=first + 1)
    )


def _state(document: Document, index: int, now: datetime) -> BatchState:
    if index == document.rollout.current:
        return batch_state(document, now)
    return "Verified" if index < document.rollout.current else "Pending"


def problems_of(document: Document) -> tuple[Problem, ...]:
    """What is not as it should be."""
    progress, rollout = document.progress, document.rollout
    known = progress if progress is not None and observed(document) else None
    found = list(known.problems) if known is not None else []
    if rollout.expired is not None and rollout.kind == "roll":
        seconds = document.spec.progress_deadline_seconds
        message = f"no progress for {seconds} seconds since batch {rollout.current} was released"
        found.append(Problem(reason="ProgressDeadlineExceeded", message=message))
    if known is not None and known.foreign and rollout.kind == "roll" and not rollout.over:
        found.append(
            Problem(reason="Adopted", message=foreign_words(known.foreign), count=len(known.foreign))
        )
    if document.rejected is not None:
        found.append(document.rejected)
    return tuple(found)


def foreign_words(versions: tuple[str, ...]) -> str:
    """What to know of versions that somebody else installed (design 1.1)."""
    return (
        f"{', '.join(versions)} was installed by somebody else and will be replaced: where it came from is not "
        "known, so it cannot be gone back to"
    )
