"""When a replica that runs may be counted as available: minReadySeconds (design 1.1, 1.3)."""

from __future__ import annotations

from datetime import datetime, timedelta

from tranche.contract.plan import Plan
from tranche.contract.record import ModuleEntry, PodRecord
from tranche_scheduler.core.content import of_target

LOOK_AGAIN = timedelta(seconds=1)
"""Clocks differ: a look that came too early by the pod's own record is repeated after this long."""


def min_ready(plan: Plan) -> int:
    """Seconds a replica at the target has to run; 0 where nothing is waited for."""
    return plan.min_ready_s if plan.mode != "remove" else 0


def matures_at(record: PodRecord, entry: ModuleEntry, plan: Plan) -> datetime | None:
    """When a replica that runs the target is to be looked at before it counts; None: it counts.

    It is mature once it was looked at when it had run for so long, so the record alone decides, and time passes
    nobody by: the look itself is what is due. Replicas at another revision count as they are.
    """
    seconds = min_ready(plan)
    if not seconds or entry.state != "available" or not of_target(entry, plan):
        return None
    ripe = entry.since + timedelta(seconds=seconds)
    if record.observed_at >= ripe:
        return None
    return max(ripe, record.observed_at + LOOK_AGAIN)
