"""What a deployment wants done next under its plan, one step after the other (design 1.2-1.6).

Each generator yields a step only when the steps before it are counted in the view it looks at.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple, assert_never

from tranche.contract.content import Content
from tranche.contract.ledger import Op
from tranche.contract.plan import ALL, Plan
from tranche.contract.record import ModuleEntry
from tranche_scheduler.core.budget import Budget, budget_of
from tranche_scheduler.core.placement import RANK
from tranche_scheduler.core.pool import PoolView
from tranche_scheduler.core.standing import (
    REMOVE_DEAD_ORDER,
    REMOVE_ORDER,
    REPLACE_ORDER,
    Kind,
)


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
    return Step(pod, "replace", content, beside=beside, costs=not beside)


def _runs(revision: int, content: Content, plan: Plan) -> bool:
    """Whether a revision number stands for this content."""
    numbers = (plan.target_revisions, plan.stable_revisions)
    return any(revision in known and content.revision in known for known in numbers)


class Wants:
    """The steps of one deployment. ``blocked`` says afterwards why there were no more."""

    def __init__(self, view: PoolView, plan: Plan, now: datetime) -> None:
        self._view = view
        self._plan = plan
        self._now = now
        self._rank = RANK[plan.scheduling_policy]
        self._replicas = view.replicas(plan.name)
        self.blocked: Blocked | None = None

    def steps(self) -> Iterator[Step]:
        match self._plan.mode:
            case "open":
                return self._trim()
            case "remove":
                return iter(()) if self._plan.held else self._clear()
            case "roll" | "abort":
                return self._hold() if self._plan.held else self._roll()
            case mode:
                assert_never(mode)

    def _roll(self) -> Iterator[Step]:
        yield from self._remove_surplus()
        yield from self._mend()
        if not self._held_by_failures():
            yield from self._install_missing(self._goal)
            yield from self._replace_outdated()
        yield from self._restore_stable()

    def _hold(self) -> Iterator[Step]:
        """Paused or frozen: what is down is brought back, what was lost is made again, nothing else begins."""
        yield from self._mend()
        yield from self._restore_stable()
        if self._plan.held_at is not None:
            # At stable where there is one: how many were at the target when the hold began is not known.
            yield from self._install_missing(min(self._goal, self._plan.held_at))

    def _trim(self) -> Iterator[Step]:
        """Before the cutting: surplus that is not available goes first (design 1.2)."""
        goal = self._plan.replicas
        while goal >= 0 and not self._plan.held and self._count("surely") > goal:
            pod = self._replicas.due((Kind.UNREMOVED,), self._now) or self._first_removed(REMOVE_DEAD_ORDER)
            if pod is None:
                return
            yield Step(pod, "remove")

    def _clear(self) -> Iterator[Step]:
        """Everything goes, a few at a time; no availability is promised (design 1.3)."""
        at_once = max(1, self.budget.allowed)
        while len(self._replicas.claims) < at_once:
            pod = self._replicas.due((Kind.UNREMOVED,), self._now) or self._first_removed(REMOVE_ORDER)
            if pod is None:
                return
            yield Step(pod, "remove", costs=self._available(pod))

    def _remove_surplus(self) -> Iterator[Step]:
        while self._count("surely") > self._goal:
            pod = self._replicas.due((Kind.UNREMOVED,), self._now) or self._first_removed(REMOVE_ORDER)
            if pod is None:
                return
            costs = self._available(pod)
            if costs and not self._affordable():
                return
            yield Step(pod, "remove", costs=costs)

    def _mend(self) -> Iterator[Step]:
        """Replicas that failed on the way to the target and are due, and those at the target that are down."""
        target, stable = self._plan.target, self._plan.stable
        while target and (pod := self._replicas.best((Kind.BROKEN,), 1)):
            yield self._bring(pod, target)
        failed = (Kind.FAILED_TARGET, Kind.FAILED_TARGET_SERVING)
        while target and (pod := self._replicas.due(failed, self._now)):
            step = self._bring(pod, target)
            if step.costs and (self._plan.held or not self._affordable()):
                break
            yield step
        while pod := self._replicas.due((Kind.UNREMOVED,), self._now):
            content = target if self._of_target(pod) else stable
            if content is None or self._view.standing(pod, self._plan.name).given_up:
                return
            step = self._bring(pod, content)
            if step.costs and (self._plan.held or not self._affordable()):
                return
            yield step

    def _install_missing(self, goal: int) -> Iterator[Step]:
        while (short := goal - self._count("perhaps")) > 0:
            content = self._stable_first if self._plan.held else self._target_first
            if content is None:
                return
            pod = self._view.seat(self._plan.name, self._rank.install)
            if pod is None:
                self.blocked = Blocked("InsufficientCapacity", self._why_short(short), short)
                return
            yield Step(pod, "install", content)

    def _replace_outdated(self) -> Iterator[Step]:
        target = self._plan.target
        for kinds in REPLACE_ORDER if target else ():
            while self._below_level() and (pod := self._replicas.best(kinds, self._rank.replace)):
                assert target is not None
                if kinds == (Kind.ADOPT,):
                    yield Step(pod, "observe", target)
                    continue
                step = self._bring(pod, target)
                if step.costs and not self._affordable():
                    return
                yield step

    def _restore_stable(self) -> Iterator[Step]:
        """Stable replicas that are down and not to be updated yet."""
        stable = self._plan.stable
        while stable and (pod := self._replicas.best((Kind.DOWN_STABLE,), 1)):
            yield self._bring(pod, stable)
        while stable and (pod := self._replicas.due((Kind.FAILED_STABLE,), self._now)):
            yield self._bring(pod, stable)

    # What is asked on the way

    @property
    def budget(self) -> Budget:
        return budget_of(self._plan, self._view.counted(self._plan.name))

    @property
    def _goal(self) -> int:
        return self._view.goal(self._plan.name)

    @property
    def _target_first(self) -> Content | None:
        return self._plan.target if self._plan.target and self._below_level() else self._plan.stable

    @property
    def _stable_first(self) -> Content | None:
        return self._plan.stable or self._target_first

    def _count(self, field: str) -> int:
        return self._replicas.total(field)

    def _below_level(self) -> bool:
        return self._plan.updated == ALL or self._count("tried") < self._plan.updated

    def _held_by_failures(self) -> bool:
        """More failed than may: nothing further is disturbed (design 1.6)."""
        rolling = self._plan.mode == "roll" and not self._plan.complete
        return rolling and self._count("given_up") > self._plan.failure_threshold

    def _affordable(self) -> bool:
        if self.budget.permits(self._count("available")):
            return True
        self.blocked = Blocked("BudgetExhausted", self._why_exhausted())
        return False

    def _first_removed(self, order: tuple[tuple[Kind, ...], ...]) -> str | None:
        for kinds in order:
            if pod := self._replicas.best(kinds, self._rank.remove):
                return pod
        return None

    def _bring(self, pod: str, content: Content) -> Step:
        record = self._view.record(pod)
        assert record is not None
        return bring(pod, record.modules.get(self._plan.module), record.ready, content, self._plan)

    def _available(self, pod: str) -> bool:
        record = self._view.record(pod)
        entry = record.modules.get(self._plan.module) if record else None
        return record is not None and record.ready and entry is not None and entry.serves

    def _of_target(self, pod: str) -> bool:
        record = self._view.record(pod)
        entry = record.modules.get(self._plan.module) if record else None
        return self._below_level() or (entry is not None and entry.revision in self._plan.target_revisions)

    def _why_short(self, short: int) -> str:
        """In counts, why the pods without the module were refused (design 1.5)."""
        refused = self._view.obstacles(self._plan.name)
        if not refused:
            return f"{short} short: no pod is left without the module"
        told = ", ".join(
            f"{count} {'pod ' if count == 1 else 'pods '}{why}" if index == 0 else f"{count} {why}"
            for index, (why, count) in enumerate(sorted(refused.items()))
        )
        return f"{short} short: {told}"

    def _why_exhausted(self) -> str:
        wanted, allowed = self.budget
        down = max(0, wanted - self._count("available"))
        given = self._plan.max_unavailable
        promise = "the default maxUnavailable" if given is None else f"maxUnavailable {given}"
        if allowed == 0 and isinstance(given, str) and given != "0%":
            promise += f" of {wanted} rounds down to 0"
        told = f"{down} of {wanted} unavailable, {allowed} may be: {promise}"
        if allowed == 0:
            told = (
                f"0 of {wanted} may be unavailable: {promise}; allow 1, or use install_then_uninstall "
                "where two versions can stand side by side"
            )
        return told
