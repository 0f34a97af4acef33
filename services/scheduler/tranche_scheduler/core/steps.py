"""What a deployment wants done next under its plan, one step after the other (design 1.2-1.6).

Each generator yields a step only when the steps before it are counted in the view it looks at.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from tranche.contract.content import Content
from tranche_scheduler.core.maturity import min_ready
from tranche_scheduler.core.situation import Situation
from tranche_scheduler.core.standing import (
    REMOVE_DEAD_ORDER,
    REMOVE_ORDER,
    REPAIR_ORDER,
    REPLACE_ORDER,
    Kind,
)
from tranche_scheduler.core.step import Blocked, Step
from tranche_scheduler.core.surge import install_elsewhere, remove_replaced, surging


class Wants(Situation):
    """The steps of one deployment. ``blocked`` says afterwards why there were no more."""

    def steps(self) -> Iterator[Step]:
        match self.plan.mode:
            case "open":
                return self._trim()
            case "remove":
                return iter(()) if self.plan.held else self._clear()
            case "roll" | "abort":
                return self._hold() if self.plan.held else self._roll()
            case mode:
                assert_never(mode)

    def _roll(self) -> Iterator[Step]:
        pairs = surging(self.plan)
        yield from self._evict()
        yield from remove_replaced(self) if pairs else self._remove_surplus()
        yield from self._mend()
        yield from self._have_it_serve()
        yield from self._look_at_ripe()
        if self.held_by_failures():
            # Nothing further is disturbed; what was lost, or joined, gets stable all the same.
            yield from self._install_missing(self.needed, at_stable=True)
        else:
            # A pair begins on the place of one that was lost.
            yield from self._install_missing(self.goal if pairs else self.needed)
            yield from self._replace_outdated(REPAIR_ORDER if pairs else REPLACE_ORDER)
            yield from install_elsewhere(self) if pairs else ()
        yield from self._restore_stable()

    def _hold(self) -> Iterator[Step]:
        """Paused or frozen: what is down is brought back, what was lost is made again, nothing else begins."""
        yield from self._mend()
        yield from self._look_at_ripe()
        yield from self._restore_stable()
        if self.plan.held_at is not None:
            # At stable where there is one: how many were at the target when the hold began is not known.
            yield from self._install_missing(min(self.needed, self.plan.held_at))

    def _trim(self) -> Iterator[Step]:
        """Before the cutting: surplus that is not available goes first (design 1.2)."""
        goal = self.plan.replicas
        while goal >= 0 and not self.plan.held and self.count("surely") > goal:
            pod = self.still_there(Kind.UNREMOVED) or self.first_removed(REMOVE_DEAD_ORDER)
            if pod is None:
                return
            yield Step(pod, "remove")

    def _clear(self) -> Iterator[Step]:
        """Everything goes, a few at a time; no availability is promised (design 1.3)."""
        at_once = max(1, self.budget.allowed)
        while len(self.replicas.claims) < at_once:
            pod = self.still_there(Kind.UNREMOVED, Kind.UNREMOVED_SERVING) or self.first_removed(REMOVE_ORDER)
            if pod is None:
                return
            yield Step(pod, "remove", costs=self.available(pod))

    def _evict(self) -> Iterator[Step]:
        """Replicas that a person wants off their pods, each placed anew at once (design 1.3)."""
        while pod := self._first_evicted():
            if (
                self.count("perhaps") <= self.needed
                and self.view.seat(self.plan.name, self.rank.install) is None
            ):
                self.blocked = Blocked("InsufficientCapacity", self.why_short(1), 1)
                return
            costs = self.available(pod)
            if costs and not self.affordable():
                return
            yield Step(pod, "remove", costs=costs)
            if not self.held_by_failures():
                yield from self._install_missing(self.needed)

    def _first_evicted(self) -> str | None:
        may = not self.held_by_failures()
        return (
            self.still_there(Kind.UNEVICTED)
            or (self.first_removed(((Kind.EVICTED_DOWN,),)) if may else None)
            or self.still_there(Kind.UNEVICTED_SERVING)
            or (self.first_removed(((Kind.EVICTED,),)) if may else None)
        )

    def _remove_surplus(self) -> Iterator[Step]:
        while self.count("surely") > self.goal:
            # What serves nobody costs nothing, and waits for no budget.
            pod = (
                self.still_there(Kind.UNREMOVED)
                or self.first_removed(REMOVE_DEAD_ORDER)
                or self.still_there(Kind.UNREMOVED_SERVING)
                or self.first_removed(REMOVE_ORDER)
            )
            if pod is None:
                return
            costs = self.available(pod)
            if costs and not self.affordable():
                return
            yield Step(pod, "remove", costs=costs)

    def _mend(self) -> Iterator[Step]:
        """Replicas that failed on the way to the target and are due, and those at the target that are down."""
        target, stable = self.plan.target, self.plan.stable
        while target and (pod := self.replicas.best((Kind.BROKEN,), 1)):
            yield self.bring(pod, target)
        # What is down goes first: it waits for no budget, and may be what has spent it.
        for kind in (Kind.FAILED_TARGET, Kind.FAILED_TARGET_SERVING):
            while target and (pod := self.replicas.due((kind,), self.now)):
                step = self.bring(pod, target)
                if step.costs and (self.plan.held or not self.affordable()):
                    break
                yield step
        while pod := self.still_there(Kind.UNREMOVED, Kind.UNREMOVED_SERVING):
            content = target if self.of_target(pod) else stable
            if content is None or self.view.standing(pod, self.plan.name).given_up:
                return
            step = self.bring(pod, content)
            if step.costs and (self.plan.held or not self.affordable()):
                return
            yield step

    def _have_it_serve(self) -> Iterator[Step]:
        """Replicas whose target stands idle beside an older version: somebody switched back, or the record of the
        switch was lost."""
        target = self.plan.target
        while target and (pod := self.replicas.best((Kind.BESIDE,), self.rank.replace)):
            # The old one serves until the switch, but the new one counts only when it has proved itself.
            costs = min_ready(self.plan) > 0
            if costs and not self.affordable():
                return
            yield Step(pod, "replace", target, beside=True, costs=costs)

    def _look_at_ripe(self) -> Iterator[Step]:
        """Replicas that have run for minReadySeconds: they count once they were looked at."""
        target = self.plan.target
        while target and (pod := self.replicas.due((Kind.MATURING,), self.now)):
            record = self.view.record(pod)
            assert record is not None
            # Under their own number: the same content may have been installed by an earlier revision.
            yield Step(pod, "observe", target.but(revision=record.modules[self.plan.module].revision))

    def _install_missing(self, goal: int, *, at_stable: bool = False) -> Iterator[Step]:
        while (short := goal - self.count("perhaps")) > 0:
            content = self._missing_one(at_stable)
            if content is None:
                return
            pod = self.view.seat(self.plan.name, self.rank.install)
            if pod is None:
                self.blocked = Blocked("InsufficientCapacity", self.why_short(short), short)
                return
            yield Step(pod, "install", content)

    def _missing_one(self, at_stable: bool) -> Content | None:
        """What a missing replica is made at; None: it is not made now."""
        if at_stable:
            return self.plan.stable
        return self.stable_first if self.plan.held else self.target_first

    def _replace_outdated(self, order: tuple[tuple[Kind, ...], ...]) -> Iterator[Step]:
        target = self.plan.target
        if target is None or not self.below_level():
            return
        for kinds in order:
            while pod := self.replicas.best(kinds, self.rank.replace):
                if kinds == (Kind.ADOPT,):
                    yield Step(pod, "observe", target)
                else:
                    step = self.bring(pod, target)
                    if step.costs and not self.affordable():
                        break  # taking over what is there already costs nothing
                    yield step
                if not self.below_level():
                    return

    def _restore_stable(self) -> Iterator[Step]:
        """Stable replicas that are down and not to be updated yet."""
        stable = self.plan.stable
        while stable and (pod := self.replicas.best((Kind.DOWN_STABLE,), 1)):
            yield self.bring(pod, stable)
        while stable and (pod := self.replicas.due((Kind.FAILED_STABLE,), self.now)):
            yield self.bring(pod, stable)
