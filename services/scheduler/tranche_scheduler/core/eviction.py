"""Replicas that are taken off named pods and placed anew elsewhere: the verb replace (design 1.3)."""

from __future__ import annotations

from tranche.contract.plan import ALL, Plan
from tranche.contract.record import ModuleEntry


def evicted_pods(plan: Plan) -> tuple[str, ...]:
    """Pods that are to lose their replica, and to take no other. A peer has nowhere else to go."""
    emptying = plan.mode in ("roll", "abort") and plan.replicas != ALL
    return plan.evict if emptying else ()


def evicted(pod: str, entry: ModuleEntry, plan: Plan) -> bool:
    """Whether what is on the pod is from before the order, or could not be taken away since."""
    if not plan.evict or pod not in evicted_pods(plan):
        return False
    unremoved = entry.state == "failed" and entry.reason == "UninstallFailed"
    return unremoved or plan.evicted_at is None or entry.since < plan.evicted_at
