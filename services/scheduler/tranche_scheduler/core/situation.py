"""What a deployment's next steps depend on: one plan, the pool and the time; and the words for what is missing."""

from __future__ import annotations

from datetime import datetime

from tranche.contract.content import Content
from tranche.contract.plan import ALL, Plan
from tranche.contract.quantity import EXPECTED, Quantity
from tranche_scheduler.core.budget import Budget, budget_of
from tranche_scheduler.core.content import of_target
from tranche_scheduler.core.placement import RANK
from tranche_scheduler.core.pool import PoolView
from tranche_scheduler.core.standing import Kind
from tranche_scheduler.core.step import Blocked, Step, bring

_WAY_OUT = {
    "uninstall_then_install": ", or use install_then_uninstall where two versions can stand side by side",
    "install_then_uninstall": ", or use scaleup_then_scaledown: in place, the same version again takes the old one "
    "away first, and within minReadySeconds the new one does not count",
    "scaleup_then_scaledown": "",
}


class Situation:
    """Questions about one deployment. ``blocked``: why there was no next step."""

    def __init__(self, view: PoolView, plan: Plan, now: datetime) -> None:
        self.view = view
        self.plan = plan
        self.now = now
        self.rank = RANK[plan.scheduling_policy]
        self.replicas = view.replicas(plan.name)
        self.blocked: Blocked | None = None

    @property
    def budget(self) -> Budget:
        return budget_of(self.plan, self.view.counted(self.plan.name))

    @property
    def goal(self) -> int:
        return self.view.goal(self.plan.name)

    @property
    def needed(self) -> int:
        """How many have to be there. Where the level is above what is wanted, the rest is only not taken away yet:
        one of those that is lost is not made again."""
        wanted = self.plan.wanted
        return self.goal if wanted == ALL else min(self.goal, wanted)

    @property
    def target_first(self) -> Content | None:
        return self.plan.target if self.plan.target and self.below_level() else self.plan.stable

    @property
    def stable_first(self) -> Content | None:
        return self.plan.stable or self.target_first

    def count(self, field: str) -> int:
        return self.replicas.total(field)

    def below_level(self) -> bool:
        return self.plan.updated == ALL or self.count("tried") < self.plan.updated

    def held_by_failures(self) -> bool:
        """More failed than may: nothing further is disturbed (design 1.6)."""
        rolling = self.plan.mode == "roll" and not self.plan.complete
        return rolling and self.count("given_up") > self.plan.failure_threshold

    def affordable(self) -> bool:
        if self.budget.permits(self.count("available")):
            return True
        self.blocked = Blocked("BudgetExhausted", self._why_exhausted())
        return False

    def still_there(self, *order: Kind) -> str | None:
        """What could not be taken away and is due again, by kind."""
        due = (self.replicas.due((kind,), self.now) for kind in order)
        return next((pod for pod in due if pod is not None), None)

    def first_removed(self, order: tuple[tuple[Kind, ...], ...]) -> str | None:
        for kinds in order:
            if pod := self.replicas.best(kinds, self.rank.remove):
                return pod
        return None

    def bring(self, pod: str, content: Content) -> Step:
        record = self.view.record(pod)
        assert record is not None
        return bring(pod, record.modules.get(self.plan.module), record.ready, content, self.plan)

    def available(self, pod: str) -> bool:
        record = self.view.record(pod)
        entry = record.modules.get(self.plan.module) if record else None
        return record is not None and record.ready and entry is not None and entry.serves

    def of_target(self, pod: str) -> bool:
        record = self.view.record(pod)
        entry = record.modules.get(self.plan.module) if record else None
        return self.below_level() or (entry is not None and of_target(entry, self.plan))

    def why_short(self, short: int) -> str:
        """In counts, why the pods without the module were refused (design 1.5)."""
        refused = self.view.obstacles(self.plan.name)
        if not refused:
            return f"{short} short: no pod is left without the module"
        told = ", ".join(
            f"{count} {'pod ' if count == 1 else 'pods '}{why}" if index == 0 else f"{count} {why}"
            for index, (why, count) in enumerate(sorted(refused.items()))
        )
        return f"{short} short: {told}"

    def _why_exhausted(self) -> str:
        wanted, allowed = self.budget
        down = max(0, wanted - self.count("available"))
        given = self.plan.max_unavailable
        promise = "the default maxUnavailable" if given is None else f"maxUnavailable {given}"
        if given is not None and Quantity.parse(given) is None:
            return f"0 of {wanted} may be unavailable: maxUnavailable {given!r} is not {EXPECTED}"
        if allowed == 0 and isinstance(given, str) and given != "0%":
            promise += f" of {wanted} rounds down to 0"
        told = f"{down} of {wanted} unavailable, {allowed} may be: {promise}"
        if allowed == 0:
            told = f"0 of {wanted} may be unavailable: {promise}; allow 1{_WAY_OUT[self.plan.upgrade_policy]}"
        return told
