"""What is not as it should be with one deployment in a pool, in words for whoever has to act (design 9)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import islice

from tranche.contract.ledger import Ledger
from tranche.contract.plan import ALL, Plan
from tranche.contract.progress import Problem
from tranche_scheduler.core.pool import PoolView
from tranche_scheduler.core.step import Blocked

FEW = 5
"""Pods named per problem."""
LOOKED_AT = 50
"""Failed pods whose words are compared; the others are counted with the first of them."""


def problems(view: PoolView, plan: Plan, ledger: Ledger, blocked: Blocked | None) -> tuple[Problem, ...]:
    """The problems of a deployment, the gravest first."""
    return tuple(_all(view, plan, ledger, blocked))


def few(pods: Iterable[str]) -> tuple[str, ...]:
    return tuple(islice(pods, FEW))


def _all(view: PoolView, plan: Plan, ledger: Ledger, blocked: Blocked | None) -> Iterator[Problem]:
    replicas = view.replicas(plan.name)
    if ledger.frozen is not None:
        yield Problem(
            reason="PoolFrozen",
            message=f"history was lost: {ledger.frozen.reason}. Nothing is disturbed until every pod was asked",
        )
    yield from _failures(view, plan)
    if replicas.stuck:
        yield Problem(
            reason="OperationStuck",
            message=_stuck_words(view, replicas.stuck[0]),
            count=len(replicas.stuck),
            pods=few(replicas.stuck),
        )
    if replicas.unready:
        yield from _unreachable(view, replicas.unready)
    if replicas.busy and not replicas.claims and _unfinished(view, plan):
        yield _busy(view, replicas.busy)
    if blocked is not None:
        pods = few(replicas.unavailable) if blocked.reason == "BudgetExhausted" else ()
        yield Problem(reason=blocked.reason, message=blocked.message, count=max(1, blocked.short), pods=pods)
    if view.unreadable:
        pods = few(sorted(view.unreadable))
        record = view.record(pods[0])
        yield Problem(
            reason="InvalidCapacity",
            message=record.capacity_problem if record else "",
            count=len(view.unreadable),
            pods=pods,
        )


def _unfinished(view: PoolView, plan: Plan) -> bool:
    """Whether replicas that are there are to be brought to the target or taken away now."""
    if plan.held or plan.mode == "open":
        return False
    total = view.replicas(plan.name).total
    below = plan.updated == ALL or total("tried") < plan.updated
    return plan.mode == "remove" or below or total("surely") > view.goal(plan.name)


def _busy(view: PoolView, busy: Collection[str]) -> Problem:
    pods = few(busy)
    count, other = len(busy), view.claims[pods[0]].deployment
    many = "1 pod is" if count == 1 else f"{count} pods are"
    message = f"{many} at work for others: {pods[0]} for {other}"
    return Problem(reason="PodBusy", message=message, count=count, pods=pods)


def _failures(view: PoolView, plan: Plan) -> Iterator[Problem]:
    """Failed replicas, grouped by what their bases said."""
    failed = view.replicas(plan.name).failed
    groups: dict[tuple[str, str], list[str]] = {}
    for pod in islice(failed, LOOKED_AT):
        record = view.record(pod)
        entry = record.modules.get(plan.module) if record else None
        if entry is not None:
            groups.setdefault((entry.reason or "InstallFailed", entry.message), []).append(pod)
    unseen = max(0, len(failed) - LOOKED_AT)
    for (reason, message), pods in groups.items():
        yield Problem(reason=reason, message=message, count=len(pods) + unseen, pods=few(pods))
        unseen = 0


def _stuck_words(view: PoolView, pod: str) -> str:
    record = view.record(pod)
    return record.operation.message if record and record.operation else ""


def _unreachable(view: PoolView, unready: Collection[str]) -> Iterator[Problem]:
    pods = few(unready)
    record = view.record(pods[0])
    words = (record.message or record.reason) if record else ""
    more = f": {words}" if words else ""
    count = len(unready)
    yield Problem(
        reason="PodUnreachable",
        message=f"{count} {'pod is' if count == 1 else 'pods are'} not ready{more}",
        count=count,
        pods=pods,
    )
