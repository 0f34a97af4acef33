"""Which pods are disturbed next: all deployments of a pool take turns, within budget, level and slots."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

from tranche.contract.content import Content
from tranche.contract.ledger import MAX_CLAIMS, Claim, Ledger
from tranche.contract.plan import Plan
from tranche_scheduler.core.pool import PoolView, finished
from tranche_scheduler.core.step import Blocked, Step
from tranche_scheduler.core.steps import Wants


class Choice(NamedTuple):
    """New claims with the contents they install, why there are not more, and when to look again."""

    claims: tuple[Claim, ...]
    contents: tuple[Content | None, ...]
    blocked: Mapping[str, Blocked]
    next_at: datetime | None


def choose(view: PoolView, ledger: Ledger, now: datetime) -> Choice:
    """The claims to take now. The view knows the ledger's claims and is left as it was."""
    before = set(view.touched)
    known = set(view.claims)
    try:
        return take(view, ledger, now)
    finally:
        for pod in view.claims.keys() - known:
            view.unclaim(pod)
        view.touched = before


def take(view: PoolView, ledger: Ledger, now: datetime) -> Choice:
    """The same claims, which the view knows afterwards.

    Nobody claims under a plan older than the ledger noted, nor under one whose numbers mean something else to
    claims in flight, nor for more than MAX_CLAIMS pods at once.
    """
    plans = [
        plan
        for name, plan in view.plans.items()
        if plan.revision >= ledger.noted.get(name, 0)
        and not finished(plan)
        and not _of_another_history(plan, ledger)
    ]
    # Who has least in flight comes first, so that a full ledger starves nobody.
    plans.sort(key=lambda plan: (len(view.replicas(plan.name).claims), plan.name))
    turns = deque((plan, wants, wants.steps()) for plan in plans for wants in (Wants(view, plan, now),))
    blocked: dict[str, Blocked] = {}
    taken: list[Claim] = []
    contents: list[Content | None] = []
    room = MAX_CLAIMS - len(view.claims)
    while turns and len(taken) < room:
        plan, wants, steps = turns.popleft()
        step = next(steps, None)
        if step is None:
            if wants.blocked is not None:
                blocked[plan.name] = wants.blocked
            continue
        claim = _claim(view, plan, step, ledger.counter + 1 + len(taken))
        view.claim(claim)
        taken.append(claim)
        contents.append(step.content)
        turns.append((plan, wants, steps))
    return Choice(tuple(taken), tuple(contents), blocked, _next(view, plans, now))


def _of_another_history(plan: Plan, ledger: Ledger) -> bool:
    """Whether claims in flight install something else under a number of the plan: its document was forgotten and
    its numbers begin anew. They end with what they began with before anything is claimed under the plan."""
    under_way = ledger.contents.get(plan.name, {})
    return any(
        content is not None and under_way.get(content.revision, content) != content
        for content in (plan.target, plan.stable)
    )


def _claim(view: PoolView, plan: Plan, step: Step, token: int) -> Claim:
    record = view.record(step.pod)
    assert record is not None, "only pods with a record are chosen"
    return Claim(
        pod=step.pod,
        uid=record.uid,
        deployment=plan.name,
        module=plan.module,
        generation=plan.generation,
        batch=plan.batch,
        op=step.op,
        revision=step.content.revision if step.content else 0,
        beside=step.beside,
        costs=step.costs,
        drain_s=plan.drain_s,
        token=token,
        withdrawn=False,
    )


def _next(view: PoolView, plans: list[Plan], now: datetime) -> datetime | None:
    return min(_coming(view, plans, now), default=None)


def _coming(view: PoolView, plans: list[Plan], now: datetime) -> Iterator[datetime]:
    """Tries that are past due wait for something else than time."""
    for plan in plans:
        due = view.next_due(plan.name)
        if due is not None and due > now:
            yield due
