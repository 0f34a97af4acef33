"""One operation that a deployment wants on one pod, and why the next one cannot be had."""

from __future__ import annotations

from typing import NamedTuple

from tranche.contract.content import Content
from tranche.contract.ledger import Op
from tranche.contract.plan import Plan
from tranche.contract.record import ModuleEntry
from tranche_scheduler.core.maturity import min_ready


class Step(NamedTuple):
    """One operation wanted on one pod. ``content``: what runs afterwards, None for remove."""

    pod: str
    op: Op
    content: Content | None = None
    beside: bool = False
    costs: bool = False


class Blocked(NamedTuple):
    """The next wanted step cannot be taken now. ``short``: replicas that find no pod."""

    reason: str
    message: str
    short: int = 0


def bring(pod: str, entry: ModuleEntry | None, ready: bool, content: Content, plan: Plan) -> Step:
    """The step that makes the content run on a pod, whatever runs or failed there."""
    if entry is None or not (ready and entry.serves):
        return Step(pod, "install", content)
    if entry.serving is not None and _runs(entry.serving.revision, content, plan):
        # What failed never took its place: it is looked at and noted, nothing is disturbed.
        return Step(pod, "observe", content)
    running = entry.serving.version if entry.serving is not None else entry.version
    # The same version cannot stand beside itself: it is taken away first (design 1.4).
    beside = plan.upgrade_policy == "install_then_uninstall" and running != content.version
    # Nor does a new one count before minReadySeconds are over, though the old one is gone by then.
    costs = not beside or min_ready(plan) > 0
    return Step(pod, "replace", content, beside=beside, costs=costs)


def _runs(revision: int, content: Content, plan: Plan) -> bool:
    """Whether a revision number stands for this content."""
    numbers = (plan.target_revisions, plan.stable_revisions)
    return any(revision in known and content.revision in known for known in numbers)
