"""What every change of a document ends with: its plan, its conditions and its own counter follow from it."""

from __future__ import annotations

from datetime import datetime

from tranche_planner.core.conditions import conditions
from tranche_planner.core.document import Document
from tranche_planner.core.plans import replanned


def settled(before: Document | None, after: Document, now: datetime) -> Document:
    """The document to save; ``before`` itself when nothing changed."""
    if before is not None and after == before:
        return before
    plan = replanned(after)
    rollout, paused = after.rollout, after.paused
    if not rollout.first_plan:
        rollout = rollout.but(first_plan=plan.revision)
    if paused is not None and not paused.first_plan:
        paused = paused.but(first_plan=plan.revision)
    after = after.but(plan=plan, rollout=rollout, paused=paused)
    after = after.but(conditions=conditions(after, now))
    return after.but(revision=after.revision + 1)
