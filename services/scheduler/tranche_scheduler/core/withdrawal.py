"""Which queued claims are not to be started any more (design 2.2)."""

from __future__ import annotations

from collections.abc import Iterator

from tranche.contract.ledger import Claim
from tranche.contract.plan import ALL, Plan
from tranche.contract.record import PodRecord
from tranche_scheduler.core.budget import budget_of
from tranche_scheduler.core.content import of_target
from tranche_scheduler.core.eviction import evicted_pods
from tranche_scheduler.core.pool import PoolView
from tranche_scheduler.core.standing import queued
from tranche_scheduler.core.surge import pairs_at_once, surging


def superseded(view: PoolView, plan: Plan) -> set[str]:
    """Pods whose queued claims the plan has no use for."""
    waiting = [
        claim
        for pod, claim in sorted(view.replicas(plan.name).claims.items(), reverse=True)
        if not claim.withdrawn and claim.generation <= plan.generation and queued(claim, view.record(pod))
    ]
    if not waiting:
        return set()
    gone = {claim.pod for claim in waiting if _useless(view, plan, claim)}
    left = [claim for claim in waiting if claim.pod not in gone]
    gone.update(_above_level(view, plan, left, gone))
    if not plan.held and plan.mode in ("roll", "abort"):
        gone.update(_against_count(view, plan, left, gone))
    if plan.mode != "remove":
        gone.update(_above_budget(view, plan, left, gone))
    return gone


def _useless(view: PoolView, plan: Plan, claim: Claim) -> bool:
    """Whether the plan would not have it, whatever the numbers are."""
    at_target = claim.revision in plan.target_revisions
    match plan.mode:
        case "remove":
            return claim.op != "remove" or plan.held
        case "open":
            # Counting begins anew: what is queued would only move the numbers under the planner.
            return claim.generation < plan.generation or claim.costs
        case "roll" | "abort":
            if plan.held:
                return claim.costs or claim.op in ("replace", "remove") or _adds(view, plan, claim)
            to_stable = claim.op == "install" and claim.revision in plan.stable_revisions
            return claim.op != "remove" and not at_target and not to_stable


def _adds(view: PoolView, plan: Plan, claim: Claim) -> bool:
    """Whether the claim makes a replica beyond those there were when the hold began."""
    record = view.record(claim.pod)
    makes = claim.op == "install" and (record is None or plan.module not in record.modules)
    return makes and (plan.held_at is None or view.total(plan.name, "perhaps") > plan.held_at)


def _above_level(view: PoolView, plan: Plan, left: list[Claim], gone: set[str]) -> Iterator[str]:
    """More on their way to the target than the level allows."""
    if plan.updated == ALL or plan.mode not in ("roll", "abort"):
        return
    claims = view.replicas(plan.name).claims.values()
    ending = sum((claim.withdrawn or claim.pod in gone) and _raises(view, plan, claim) for claim in claims)
    excess = view.total(plan.name, "tried") - ending - plan.updated
    for claim in left:
        if excess > 0 and _raises(view, plan, claim):
            excess -= 1
            yield claim.pod


def _raises(view: PoolView, plan: Plan, claim: Claim) -> bool:
    """Whether the pod takes a place in the level only because of the claim, which nobody has begun."""
    record = view.record(claim.pod)
    return (
        claim.revision in plan.target_revisions and queued(claim, record) and not _tried_already(record, plan)
    )


def _tried_already(record: PodRecord | None, plan: Plan) -> bool:
    entry = record.modules.get(plan.module) if record else None
    return entry is not None and of_target(entry, plan)


def _against_count(view: PoolView, plan: Plan, left: list[Claim], gone: set[str]) -> Iterator[str]:
    """Removals after the number went up, installations after it went down."""
    goal = view.goal(plan.name)
    short = goal - view.total(plan.name, "outcome")
    surplus = -short - len(gone)
    spared = 0
    if surging(plan):
        pairs = pairs_at_once(budget_of(plan, view.counted(plan.name)))
        old = view.total(plan.name, "outcome") - view.total(plan.name, "tried")
        # New ones make others surplus: the old ones that are to give way.
        surplus, spared = surplus - pairs, max(0, old - pairs)
    leaving = evicted_pods(plan)
    for claim in left:
        if claim.pod in gone or (claim.op == "remove" and claim.pod in leaving):
            continue
        if claim.op == "remove" and short > 0:
            short -= 1
            yield claim.pod
        elif (
            surplus > spared * _raises(view, plan, claim)
            and claim.op == "install"
            and not _has(view.record(claim.pod), plan)
        ):
            surplus -= 1
            yield claim.pod


def _has(record: PodRecord | None, plan: Plan) -> bool:
    return record is not None and plan.module in record.modules


def _above_budget(view: PoolView, plan: Plan, left: list[Claim], gone: set[str]) -> Iterator[str]:
    """The promise was tightened, or pods died, while costing claims waited."""
    budget = budget_of(plan, view.counted(plan.name))
    claims = view.replicas(plan.name).claims.values()
    withdrawn = sum(claim.costs and (claim.withdrawn or claim.pod in gone) for claim in claims)
    overdrawn = budget.overdrawn(view.total(plan.name, "available")) - withdrawn
    for claim in left:
        if overdrawn > 0 and claim.costs and claim.pod not in gone:
            overdrawn -= 1
            yield claim.pod
