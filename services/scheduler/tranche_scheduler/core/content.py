"""Whether what runs on a pod is the target's content, or stable's: by number and version.

Numbers alone would do, but a broker that forgot a deployment's document makes them begin anew, and then a number
on a pod may stand for another content than the same number in the plan.
"""

from __future__ import annotations

from tranche.contract.plan import Plan
from tranche.contract.record import ModuleEntry


def of_target(entry: ModuleEntry, plan: Plan) -> bool:
    """Whether this is the target, whatever number it was installed under."""
    known = entry.revision in plan.target_revisions
    return known and (plan.target is None or entry.version == plan.target.version)


def of_stable(entry: ModuleEntry, plan: Plan) -> bool:
    """The same for the stable revision."""
    known = entry.revision in plan.stable_revisions
    return known and (plan.stable is None or entry.version == plan.stable.version)
