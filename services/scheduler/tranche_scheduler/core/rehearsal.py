"""What plans would lead to: carried out on a copy of the pool, by the very choice that is made for real.

All operations of a round succeed, and take the same time; the next round begins when all are over. Reality has no
rounds: there the window slides. The pods come in the same order all the same, because the choice looks at what is
there, not at what ended first: replaced pods keep their module counts, claims count as what they lead to. Three
things cannot be foreseen: failures and pods that come or go, other deployments that move in the pool meanwhile,
and, with scaleup_then_scaledown and several pairs at once, a pod that is free again before another pair that was
begun with it has come to its removal: where it is the better seat it is taken, earlier than foreseen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

from tranche.contract.content import Content
from tranche.contract.ledger import Claim, Ledger
from tranche.contract.plan import ALL, Plan
from tranche.contract.preview import PAGE_BYTES, Level, Levels, PreviewStep, Skipped
from tranche.contract.progress import Problem, Progress
from tranche.contract.record import ModuleEntry, PodRecord
from tranche_scheduler.core.choice import choose, take
from tranche_scheduler.core.pool import PoolView, obstacle
from tranche_scheduler.core.problems import few
from tranche_scheduler.core.progress import progress
from tranche_scheduler.core.standing import queued
from tranche_scheduler.core.step import Blocked
from tranche_scheduler.core.withdrawal import superseded

AT_ONCE = 200
"""Records copied, or operations carried out, before others get their turn."""

STEP_BYTES = 48
"""A step as JSON without its names."""
TAKEN_OVER = "runs the target's version already: taken over, not installed again"
DOWN = "on a pod that is not ready: updated once it is back"


class Snapshot(NamedTuple):
    """A pool at one moment. ``records``: of the pods that are not gone. ``revision``: the ledger's."""

    records: Sequence[PodRecord]
    ledger: Ledger
    revision: int
    position: int


class Rehearsal:
    """One question's plans, carried out one after the other. The first one says whose they are."""

    def __init__(
        self, pool: Snapshot, plans: Sequence[Plan], now: datetime, begun: Rehearsal | None = None
    ) -> None:
        self._pool = pool
        # Their order here is the list's; what numbers they have, or have had, says nothing.
        self._plans = [plan.but(revision=0) for plan in plans]
        self._asked = plans[0]
        self._now = now
        self._name = plans[0].name
        self._begun = begun is not None
        self._view: PoolView = begun._view if begun is not None else PoolView()
        # All that is under way has ended, and no plan is older than another.
        self._ledger = pool.ledger.but(noted={}, contents={})
        self._progress: Progress | None = None
        self._levels: list[Level] = []
        self._taken_over: list[str] = []

    @property
    def counted_only(self) -> bool:
        """Whether nothing was carried out: then another question about the same deployment may begin with this
        copy of the pool, and this one is not to be performed again."""
        return all(level.size == 0 for level in self._levels) and self._plans[-1].mode == "open"

    def perform(self) -> Iterator[None]:
        """Carry it out; every now and then there is a moment for others."""
        if self._begun:
            self._view.fold_plan(self._plans[0])
        else:
            yield from self._copy()
            self._settle()
        self._count()
        for plan in self._plans:
            self._view.fold_plan(plan)
            yield
            yield from self._carry_out()

    def answer(self, skip: int, limit: int) -> Levels:
        """What came of it, with a part of the steps: at most ``limit`` of them after the first ``skip``, fewer
        where they would not fit into a message."""
        assert self._progress is not None, "it was performed"
        limit = min(limit, self._fitting(skip, limit))
        shown: list[Level] = []
        passed = 0
        for level in self._levels:
            begin, end = max(0, skip - passed), max(0, skip + limit - passed)
            shown.append(level.but(steps=level.steps[begin:end]))
            passed += level.size
        return Levels(
            progress=self._progress,
            levels=tuple(shown),
            skipped=tuple(self._skipped()),
            more=passed > skip + limit,
        )

    def _fitting(self, skip: int, limit: int) -> int:
        """How many steps after the first ``skip`` fit into a message; at least one, or nobody ever got on."""
        size = 0
        steps = islice((step for level in self._levels for step in level.steps), skip, skip + limit)
        for count, step in enumerate(steps):
            size += STEP_BYTES + sum(len(name) for name in (step.pod, step.from_, step.to) if name)
            if size > PAGE_BYTES:
                return max(1, count)
        return limit

    # Beforehand

    def _copy(self) -> Iterator[None]:
        self._view.fold_plan(self._plans[0])
        self._view.fold_claims(self._pool.ledger.claims)
        for index, record in enumerate(self._pool.records, 1):
            self._view.fold(record, self._pool.position)
            if index % AT_ONCE == 0:
                yield

    def _settle(self) -> None:
        """What is under way ends as meant before the counting, as it is waited for."""
        view, plan = self._view, self._plans[0]
        for pod in superseded(view, plan):
            view.unclaim(pod)
        for pod, claim in list(view.replicas(self._name).claims.items()):
            record = view.record(pod)
            if record is None or (claim.withdrawn and queued(claim, record)):
                view.unclaim(pod)
                continue
            contents = self._pool.ledger.contents.get(claim.deployment, {})
            view.end(after(record, claim, contents.get(claim.revision), self._now))

    def _count(self) -> None:
        choice = choose(self._view, self._ledger, self._now)
        ledger = self._pool.ledger
        self._progress = progress(
            self._view, self._asked, ledger, self._pool.revision, choice.blocked.get(self._name), self._now
        )

    # One level

    def _carry_out(self) -> Iterator[None]:
        steps: list[PreviewStep] = []
        lowest, rounds, busy = self._available(), 0, 0
        while True:
            choice = take(self._view, self._ledger, self._now) if self._pool.ledger.frozen is None else None
            if choice is None or (not choice.claims and choice.next_at is None):
                break
            if not choice.claims:
                assert choice.next_at is not None
                self._now = choice.next_at
                continue
            lowest = min(lowest, self._available())
            found = [
                step
                for claim, content in zip(*choice[:2], strict=True)
                if (step := self._step(claim, content))
            ]
            steps += found
            rounds += bool(found)
            self._end(choice.claims, choice.contents)
            if (busy := busy + len(choice.claims)) >= AT_ONCE:
                busy = 0
                yield
        self._levels.append(
            Level(
                steps=tuple(steps),
                size=len(steps),
                lowest_available=lowest,
                rounds=rounds,
                blocked=self._blocked(choice.blocked if choice else {}),
            )
        )

    def _end(self, claims: Iterable[Claim], contents: Iterable[Content | None]) -> None:
        for claim, content in zip(claims, contents, strict=True):
            record = self._view.record(claim.pod)
            assert record is not None, "only pods with a record are chosen"
            self._view.end(after(record, claim, content, self._now))

    def _available(self) -> int:
        return self._view.total(self._name, "available")

    def _step(self, claim: Claim, content: Content | None) -> PreviewStep | None:
        """What people are told of it; None for a look after which nothing is different."""
        record = self._view.record(claim.pod)
        entry = record.modules.get(claim.module) if record else None
        running = _running(entry) if entry is not None else None
        to = content.version if content is not None else None
        if claim.op != "observe":
            # Trusted values: checking them again would cost more than the choice of the pod.
            return PreviewStep.model_construct(pod=claim.pod, step=claim.op, from_=running, to=to)
        if entry is None or (entry.state == "available" and entry.revision == claim.revision):
            return None
        # Taking over is a change of its replica, and has its place in a batch (design 1.1, 1.2).
        self._taken_over.append(claim.pod)
        return PreviewStep(pod=claim.pod, step="replace", from_=running, to=to)

    def _blocked(self, blocked: Mapping[str, Blocked]) -> Problem | None:
        if (frozen := self._pool.ledger.frozen) is not None:
            return Problem(reason="PoolFrozen", message=f"history was lost: {frozen.reason}")
        why = blocked.get(self._name)
        if why is None:
            return None
        pods = few(self._view.replicas(self._name).unavailable) if why.reason == "BudgetExhausted" else ()
        return Problem(reason=why.reason, message=why.message, count=max(1, why.short), pods=pods)

    # Afterwards

    def _skipped(self) -> Iterator[Skipped]:
        if self._taken_over:
            yield Skipped(reason=TAKEN_OVER, count=len(self._taken_over), pods=few(self._taken_over))
        plan = self._plans[-1]
        everywhere = plan.replicas == ALL
        goal = self._view.goal(self._name) if plan.mode in ("roll", "abort") else 0
        capacity = any(one.blocked and one.blocked.reason == "InsufficientCapacity" for one in self._levels)
        short = capacity or self._view.total(self._name, "outcome") < goal
        groups: dict[str, list[str]] = {}
        for record in self._view.records():
            if plan.module in record.modules:
                down = self._view.standing(record.pod, plan.name).down and plan.mode != "remove"
                why = DOWN if down else ""
            else:
                why = obstacle(record, self._view.claims.get(record.pod)) if everywhere or short else ""
            if why:
                groups.setdefault(why, []).append(record.pod)
        for why, pods in sorted(groups.items()):
            yield Skipped(reason=why, count=len(pods), pods=few(sorted(pods)))


def after(record: PodRecord, claim: Claim, content: Content | None, now: datetime) -> PodRecord:
    """The record of a pod whose claim has ended as meant."""
    modules = dict(record.modules)
    if claim.op == "remove":
        modules.pop(claim.module, None)
    elif content is not None:
        named = _entry(content.version, claim.revision, now)
        was = modules.get(claim.module, named)
        runs = was.state == "available" and was.revision == claim.revision
        # Looked at again: it is available for as long as before.
        modules[claim.module] = was if runs and claim.op == "observe" else named
    # No token: nobody compares it here, and the last operation is over either way.
    return record.but(modules=modules, operation=None, observed_at=now)


@lru_cache(maxsize=64)
def _entry(version: str, revision: int, since: datetime) -> ModuleEntry:
    """The same for all pods of a round: making it costs more than the choice of a pod."""
    return ModuleEntry(version=version, revision=revision, state="available", since=since)


def _running(entry: ModuleEntry) -> str | None:
    return (entry.serving.version if entry.serving is not None else entry.version) or None
