"""Whether what was released is there: the conditions of a verified batch (design 1.3)."""

from __future__ import annotations

from tranche.contract.plan import ALL
from tranche.contract.progress import Progress
from tranche_planner.core.document import Document
from tranche_planner.core.plans import answered, needed, plan_of, threshold
from tranche_planner.core.remembering import remembered


@remembered
def verified(document: Document) -> bool:
    """Whether the level the document asks for is reached, by a progress that answers that very plan."""
    if document.progress is None or not answered(document):
        return False
    plan = plan_of(document)
    progress = document.progress
    replicas = plan.replicas
    if document.stable is None and progress.updated + progress.failed >= plan.updated != ALL:
        # With no stable there is nothing to make a lost replica at: it joins what is still to be released.
        replicas = min(replicas, progress.present)
    if replicas != ALL:
        replicas = max(min(replicas, needed(plan)), min(replicas, progress.present))
    return reached(
        progress, replicas=replicas, updated=plan.updated, threshold=threshold(document)
    ) and not _barren(document, progress)


def reached(progress: Progress, *, replicas: int, updated: int, threshold: int = 0) -> bool:
    """Whether nothing moves, all replicas are there, and those at the target are available.

    >>> from datetime import UTC, datetime
    >>> three = Progress(namespace="shop", base="web", name="cart", plan_revision=2, generation=1, batch=1,
    ...     ledger_revision=7, position=9, at=datetime(2026, 1, 31, tzinfo=UTC), present=3, outcome=3,
    ...     updated=1, outcome_updated=1, available=3, updated_available=1)
    >>> reached(three, replicas=3, updated=1), reached(three.but(moving=1), replicas=3, updated=1)
    (True, False)
    >>> reached(three, replicas=3, updated=2), reached(three.but(down=2), replicas=3, updated=2)
    (False, True)
    """
    wanted = progress.pods if replicas == ALL else replicas
    level = progress.present if updated == ALL else updated
    surplus = 0 if replicas == ALL else progress.present - wanted
    return (
        progress.moving == 0
        and progress.retrying == 0
        and progress.maturing == 0
        and progress.outcome == progress.present
        and progress.present >= wanted
        # A surplus replica whose pod is down cannot be taken away before the pod returns.
        and surplus <= progress.down
        and progress.failed <= threshold
        and progress.updated_available == progress.updated
        # A down pod is in no batch and holds none up; all others that can carry the level must.
        and progress.updated + progress.failed >= min(level, progress.present - progress.down)
    )


def removed(document: Document) -> bool:
    """Whether nothing of the module is left, by a progress that answers the plan to remove it."""
    progress = document.progress
    return (
        progress is not None
        and answered(document)
        and progress.present == progress.outcome == progress.moving == 0
    )


def abandoned(document: Document) -> bool:
    """Whether all that is left is on pods that do not answer, or stuck there."""
    progress = document.progress
    if progress is None or not answered(document):
        return False
    return progress.moving <= progress.stuck and progress.present <= progress.down + progress.stuck


def unanswering(progress: Progress) -> tuple[str, ...]:
    """A few of the pods whose replica is left, in name order."""
    named = {pod for problem in progress.problems for pod in problem.pods}
    named |= {*progress.unavailable_pods, *(sample.pod for sample in progress.samples)}
    return tuple(sorted(named))[: min(20, progress.present)]


@remembered
def given_up(document: Document) -> int:
    """Failed replicas that hold the rollout, or leave it Degraded once it is complete; 0 while it may go on."""
    progress, rollout = document.progress, document.rollout
    if progress is None or rollout.kind != "roll" or not fresh(document) or not _retried(document):
        return 0
    if rollout.over:
        trying = progress.retrying if rollout.scarred else 0
        return progress.failed + trying
    return progress.failed if progress.failed > threshold(document) or _barren(document, progress) else 0


def _retried(document: Document) -> bool:
    """Whether the last progress knows of the retry, where there was one."""
    progress, rollout = document.progress, document.rollout
    if rollout.retried_at is None:
        return True
    return progress is not None and 0 < rollout.retried_plan <= progress.plan_revision


def _barren(document: Document, progress: Progress) -> bool:
    """Whether a batch brought nothing but failures, all of them within the threshold (design 1.1)."""
    batch = document.rollout.batch
    if batch is None or not batch.brings or not progress.failed or not answered(document):
        return False
    still = progress.moving == progress.retrying == progress.maturing == 0
    came = progress.updated_available - batch.available_before
    plan = plan_of(document)
    level = progress.present if plan.updated == ALL else plan.updated
    done = progress.updated + progress.failed >= min(level, progress.present - progress.down)
    return still and came <= 0 and done


def degraded(document: Document) -> bool:
    """Whether failures or the deadline hold the rollout, or failures outlive it."""
    return given_up(document) > 0 or document.rollout.expired is not None


def mended(document: Document) -> bool:
    """Whether no replica is failed any more."""
    progress = document.progress
    return progress is not None and fresh(document) and not progress.failed and not progress.retrying


def fresh(document: Document) -> bool:
    """Whether the last progress counts against what the document asks for now."""
    progress = document.progress
    return progress is not None and 0 < document.rollout.first_plan <= progress.plan_revision
