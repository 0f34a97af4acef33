"""The answer to a plan: how many replicas are how, and why nothing more happens (design 2.1)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from heapq import nsmallest
from itertools import islice

from tranche.contract.ledger import Ledger
from tranche.contract.plan import ALL, Plan
from tranche.contract.progress import PodSample, Progress
from tranche_scheduler.core.eviction import evicted_pods
from tranche_scheduler.core.pool import PoolView
from tranche_scheduler.core.problems import few, problems
from tranche_scheduler.core.standing import REMOVE_DEAD_ORDER, Kind
from tranche_scheduler.core.step import Blocked

SAMPLES = 20


def progress(
    view: PoolView, plan: Plan, ledger: Ledger, revision: int, blocked: Blocked | None, now: datetime
) -> Progress:
    """The counts of one deployment. The view knows the ledger's claims and is as new as the ledger has seen;
    ``revision`` is the ledger's."""
    name = plan.name
    replicas = view.replicas(name)
    total = replicas.total
    pods = view.counted(name)
    wanted = pods if plan.wanted == ALL else plan.wanted
    moving = len(replicas.claims)
    # A budget that is in use until those that run have run for long enough is no problem either.
    busy = moving + total("maturing")
    dead = replicas.size(kind for kinds in REMOVE_DEAD_ORDER for kind in kinds) + replicas.size(
        (Kind.UNREMOVED,)
    )
    return Progress(
        namespace=plan.namespace,
        base=plan.base,
        name=name,
        plan_revision=plan.revision,
        plan_nonce=plan.nonce,
        generation=plan.generation,
        batch=plan.batch,
        ledger_revision=revision,
        position=view.position,
        at=now,
        pods=pods,
        present=total("present"),
        outcome=total("outcome"),
        updated=total("updated"),
        outcome_updated=total("outcome_updated"),
        available=total("available"),
        updated_available=total("updated_available"),
        failed=total("given_up"),
        retrying=total("retrying"),
        moving=moving,
        down=total("down"),
        maturing=total("maturing"),
        mature_at=replicas.next_due((Kind.MATURING,)),
        evicting=total("evicting"),
        emptied=tuple(pod for pod in evicted_pods(plan) if not view.standing(pod, name).evicting),
        stuck=total("stuck"),
        foreign=tuple(sorted(+replicas.foreign)),
        surplus_unavailable=min(dead, max(0, total("present") - wanted)),
        placeable=min(view.seats(name), max(0, wanted - total("outcome"))),
        unavailable_pods=few(replicas.unavailable),
        blocked=_blocked(ledger, busy, blocked),
        problems=problems(view, plan, ledger, blocked if not busy or _capacity(blocked) else None),
        samples=tuple(_samples(view, plan)),
    )


def same(one: Progress, other: Progress) -> bool:
    """Whether both say the same, whenever and against whichever ledger they were computed."""
    return (
        other.but(at=one.at, position=one.position, ledger_revision=one.ledger_revision, nonce=one.nonce)
        == one
    )


def newer(ours: Progress, found: Progress, revision: int) -> bool:
    """Whether ours says something later than what was found said. A ledger revision above the ledger's own,
    ``revision``, was never reached in this history."""
    if found.ledger_revision > revision:
        return True
    return _order(ours) > _order(found)


def _order(said: Progress) -> tuple[int, int, int]:
    return said.ledger_revision, said.position, said.plan_revision


def _blocked(ledger: Ledger, busy: int, blocked: Blocked | None) -> str:
    if busy:
        return ""
    if ledger.frozen is not None:
        return "PoolFrozen"
    return blocked.reason if blocked is not None else ""


def _capacity(blocked: Blocked | None) -> bool:
    # A budget that is in use is no problem; pods that are missing are, whatever else moves.
    return blocked is not None and blocked.reason == "InsufficientCapacity"


def _samples(view: PoolView, plan: Plan) -> Iterator[PodSample]:
    """Moving ones first, then wrong ones, each in name order."""
    replicas = view.replicas(plan.name)
    moving = nsmallest(SAMPLES, replicas.claims)
    wrong = (pod for pod in replicas.unavailable if pod not in replicas.claims)
    for pod in [*moving, *islice(wrong, SAMPLES - len(moving))]:
        yield _sample(view, plan, pod)


def _sample(view: PoolView, plan: Plan, pod: str) -> PodSample:
    record = view.record(pod)
    claim = view.claims.get(pod)
    entry = record.modules.get(plan.module) if record else None
    if entry is None:
        revision = claim.revision if claim else 0
        return PodSample(pod=pod, version=_version(plan, revision), revision=revision, state="unknown")
    due = view.standing(pod, plan.name).due
    return PodSample(
        pod=pod,
        version=entry.version,
        revision=entry.revision,
        state=entry.state,
        reason=entry.reason or (record.reason if record and not record.ready else ""),
        message=entry.message or (record.message if record and not record.ready else ""),
        since=entry.since,
        tries=entry.tries,
        retry_at=due,
        batch=entry.batch,
    )


def _version(plan: Plan, revision: int) -> str:
    for content in (plan.target, plan.stable):
        if content is not None and content.revision == revision:
            return content.version
    return ""
