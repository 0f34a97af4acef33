"""What every change of a document ends with: its plan, its conditions and its own counter follow from it."""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

from tranche_planner.core.conditions import conditions
from tranche_planner.core.deadline import timed
from tranche_planner.core.document import Document, Hold
from tranche_planner.core.plans import replanned

H = TypeVar("H", bound=Hold)


def settled(before: Document | None, after: Document, now: datetime) -> Document:
    """The document to save; ``before`` itself when nothing changed."""
    after = timed(after, now)
    if before is not None and after == before:
        return before
    plan = replanned(after)
    number, rollout = plan.revision, after.rollout
    rollout = rollout.but(
        first_plan=rollout.first_plan or number,
        expired=_noted(rollout.expired, number),
        retried_plan=(rollout.retried_plan or number) if rollout.retried_at else 0,
    )
    after = after.but(
        plan=plan,
        rollout=rollout,
        paused=_noted(after.paused, number),
        frozen=_noted(after.frozen, number),
        evict_plan=(after.evict_plan or number) if after.evict else 0,
    )
    after = after.but(conditions=conditions(after, now))
    return after.but(revision=after.revision + 1)


def _noted(hold: H | None, plan: int) -> H | None:
    return hold.but(first_plan=plan) if hold is not None and not hold.first_plan else hold
