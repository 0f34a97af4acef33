"""The plan a document means: a pure function of it, with a counter raised whenever it changes (decision 0005)."""

from __future__ import annotations

from typing import assert_never

from tranche.contract.content import Content
from tranche.contract.plan import ALL, Plan
from tranche.contract.quantity import max_unavailable, resolve_down
from tranche_planner.core.document import Document
from tranche_planner.core.remembering import remembered


@remembered
def plan_of(document: Document) -> Plan:
    """What the scheduler is to be told now, under the counter of the plan said last."""
    rollout, spec = document.rollout, document.spec
    plan = _blank(document)
    match rollout.kind:
        case "roll":
            plan = _with_contents(document, plan, document.target_content)
            if rollout.stage == "opening":
                return plan.but(mode="open", replicas=rollout.open_replicas, updated=0)
            if rollout.over or rollout.batch is None:
                return plan.but(replicas=spec.replicas, updated=ALL, batch=rollout.current, complete=True)
            batch = rollout.batch
            return plan.but(replicas=batch.replicas, updated=batch.updated, batch=rollout.current)
        case "abort":
            if document.stable is None:
                return plan.but(mode="remove", complete=rollout.over)
            plan = _with_contents(document, plan, document.stable_content)
            wanted = document.stable_replicas
            return plan.but(mode="abort", replicas=wanted, updated=ALL, wanted=wanted, complete=rollout.over)
        case "delete":
            # Once all is gone the plan asks for nothing, so that it takes nothing away from the next owner.
            if rollout.over:
                return plan.but(mode="open", replicas=-1, complete=True)
            return plan.but(mode="remove", max_unavailable=_in_work(document))
        case _:
            assert_never(rollout.kind)


def replanned(document: Document) -> Plan:
    """The plan to say: the last one where it still holds, else the new one under the next counter."""
    new, last = plan_of(document), document.plan
    if last is None:
        return new.but(revision=1)
    if same(new, last):
        return last
    seen = document.progress.ledger_revision if document.progress else 0
    return new.but(revision=last.revision + 1, seen_ledger=max(last.seen_ledger, seen))


def same(one: Plan, other: Plan) -> bool:
    """Whether both ask for the same, whatever their counters."""
    return one == other.but(revision=one.revision, seen_ledger=one.seen_ledger, nonce=one.nonce)


@remembered
def answered(document: Document) -> bool:
    """Whether the last progress answers the plan that the document means now."""
    plan, progress = document.plan, document.progress
    if plan is None or progress is None or progress.plan_revision != plan.revision:
        return False
    return same(plan_of(document), plan)


def _blank(document: Document) -> Plan:
    spec, hold = document.spec, document.hold
    return Plan(
        namespace=document.namespace,
        base=spec.base,
        name=document.name,
        module=spec.module.name,
        revision=document.plan.revision if document.plan else 0,
        generation=document.generation,
        replicas=0,
        updated=0,
        wanted=spec.replicas,
        max_unavailable=spec.max_unavailable.spelled if spec.max_unavailable else None,
        scheduling_policy=spec.scheduling_policy.value,
        upgrade_policy=spec.upgrade_policy.value,
        failure_threshold=threshold(document),
        min_ready_s=spec.min_ready_seconds,
        drain_s=spec.drain_seconds,
        retried_at=document.rollout.retried_at,
        evict=document.evict,
        evicted_at=document.evicted_at,
        held=hold is not None,
        held_at=hold.held_at if hold else None,
    )


def threshold(document: Document) -> int:
    """How many failed replicas do not hold the rollout; a percent of the wanted ones, rounded down."""
    return resolve_down(document.spec.failure_threshold, max(0, wanted(document)))


def needed(plan: Plan) -> int:
    """How many replicas have to be there under a plan for a number of them. A level above what is wanted is only
    not taken away yet: what is lost of it is not made again."""
    return plan.replicas if plan.wanted == ALL else min(plan.replicas, plan.wanted)


def wanted(document: Document) -> int:
    """How many replicas the wish, or the abort of it, asks for; of a peer: the pods counted."""
    rollout = document.rollout
    if rollout.kind == "delete":
        return 0
    number = document.stable_replicas if rollout.kind == "abort" else document.spec.replicas
    if number == ALL:
        return document.progress.pods if document.progress else 0
    return number


def held_level(document: Document) -> int | None:
    """Up to how many replicas lost ones are made again during a hold that begins now."""
    progress = document.progress
    if progress is None:
        return None
    return max(progress.outcome, wanted(document)) if document.rollout.over else progress.outcome


def _in_work(document: Document) -> int | str | None:
    """How many replicas may be in work while all are taken away. Stuck ones that are left behind take up no
    place."""
    quantity, progress = document.spec.max_unavailable, document.progress
    if not document.rollout.abandon or progress is None or not progress.stuck:
        return quantity.spelled if quantity else None
    replicas = progress.pods if document.spec.peer else document.spec.replicas
    return max(1, max_unavailable(quantity, replicas)) + progress.stuck


def _with_contents(document: Document, plan: Plan, target: Content | None) -> Plan:
    stable = document.stable_content
    return plan.but(
        target=target,
        stable=stable,
        target_revisions=document.numbers_of(target),
        stable_revisions=document.numbers_of(stable),
    )
