"""When what failed is tried again (design 1.6)."""

from __future__ import annotations

from datetime import datetime, timedelta

from tranche.contract.plan import Plan
from tranche.contract.record import ModuleEntry

TRIES = 3
"""Tries of one revision on one pod within a rollout."""
DELAYS_S = (5, 30, 180, 300)
"""After the first, second, … failure; the last for all that follow."""


def delay_s(tries: int) -> int:
    """Seconds to wait after so many failures.

    >>> [delay_s(tries) for tries in (0, 1, 2, 3, 4, 50)]
    [5, 5, 30, 180, 300, 300]
    """
    return DELAYS_S[min(max(tries, 1), len(DELAYS_S)) - 1]


def due_at(entry: ModuleEntry, plan: Plan) -> datetime:
    """When the next try of a failed entry may begin."""
    if asked_for(entry, plan):
        return entry.since
    return entry.since + timedelta(seconds=delay_s(entry.tries))


def given_up(entry: ModuleEntry, plan: Plan) -> bool:
    """Whether a failed entry is tried no more under this plan.

    In a rollout a cause that cannot pass is not tried again, unless a person asks for it. Outside one, and on
    the way back to stable, there is nothing better to do than trying for ever.
    """
    if for_ever(plan) or asked_for(entry, plan):
        return False
    return not entry.passing or entry.tries >= TRIES


def for_ever(plan: Plan) -> bool:
    """Whether whatever fails under the plan is tried until it works."""
    return plan.complete or plan.mode == "abort"


def asked_for(entry: ModuleEntry, plan: Plan) -> bool:
    """Whether a person asked for another try after this one had failed; its next failure counts as before."""
    return plan.retried_at is not None and entry.since < plan.retried_at
