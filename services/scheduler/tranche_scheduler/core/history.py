"""Lost history: its signs, and how a pool is asked before anything is disturbed again (design 2.2)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from tranche.contract.ledger import MAX_CLAIMS, Claim, Frozen, Ledger
from tranche.contract.record import PodRecord
from tranche.streams import TASK_ACK_WAIT_S
from tranche_scheduler.core.pool import PoolView

ON_ITS_WAY = timedelta(seconds=TASK_ACK_WAIT_S)
"""A hold, a call and a margin after the loss, nobody acts on what was lost any more."""


def sign_of_loss(view: PoolView, ledger: Ledger, revision: int, *, caught_up: bool) -> str:
    """Why something that was acknowledged must have been forgotten; empty: no sign.

    ``revision``: the KV revision of the ledger, 0 for one not written yet. ``caught_up``: the view has all that
    the availability stream held when the ledger had been read.
    """
    if view.max_token > ledger.counter:
        return (
            f"a pod has carried out operation {view.max_token}, and the ledger knows of {ledger.counter} only"
        )
    seen = _seen_by_plans(view)
    if seen > max(revision, ledger.forgiven):
        return f"a plan has seen revision {seen} of the ledger, and it stands at {revision}"
    if caught_up and view.position < ledger.seen:
        return (
            f"the stream of pod records ends at {view.position}, and the ledger has seen it at {ledger.seen}"
        )
    # Only pods with a record are claimed, and it is kept for as long as a claim names it.
    if caught_up and ledger.frozen is None and (unknown := _unknown(view, ledger)):
        return f"{min(unknown)} is claimed, and nothing is known of it"
    return ""


def freeze(view: PoolView, ledger: Ledger, reason: str, now: datetime) -> Ledger:
    """The ledger that disturbs nothing, and counts on above every token ever seen."""
    above = max(ledger.counter, view.max_token)
    return ledger.but(
        frozen=Frozen(reason=reason, since=now, above=above),
        counter=above,
        seen=view.position,
        forgiven=max(ledger.forgiven, _seen_by_plans(view)),
    )


def questions(view: PoolView, ledger: Ledger) -> tuple[Claim, ...]:
    """Claims that ask pods what they run; nothing to do with a deployment."""
    assert ledger.frozen is not None
    room = MAX_CLAIMS - len(view.claims)
    pods = sorted(_unasked(view, ledger.frozen), key=lambda record: (not record.ready, record.pod))[:room]
    return tuple(
        Claim(
            pod=record.pod,
            uid=record.uid,
            deployment="",
            module="",
            generation=0,
            batch=0,
            op="observe",
            token=ledger.counter + number,
        )
        for number, record in enumerate(pods, 1)
    )


def answered(view: PoolView, frozen: Frozen) -> bool:
    """Whether every pod that answers at all has answered; the others stay claimed, alone. A claimed pod of which
    nothing is known answers when an executor has its task: it writes what it finds, or that it is gone."""
    if next(_unasked(view, frozen), None) is not None or any(view.record(pod) is None for pod in view.claims):
        return False
    return not any(
        claim.token > frozen.above and (record := view.record(pod)) is not None and record.ready
        for pod, claim in view.claims.items()
    )


def calm_at(frozen: Frozen, now: datetime) -> datetime | None:
    """Until when what was claimed before the loss may still reach a base; None: that time is over.

    A pod that is taken down then may have no record, so that nobody could ask it. A broker whose clock was set
    to another time keeps nobody waiting.
    """
    return frozen.since + ON_ITS_WAY if abs(now - frozen.since) < ON_ITS_WAY else None


def _unknown(view: PoolView, ledger: Ledger) -> list[str]:
    """Claimed pods without a record."""
    return [pod for pod in ledger.claims if view.record(pod) is None]


def _unasked(view: PoolView, frozen: Frozen) -> Iterator[PodRecord]:
    for pod in view.pods():
        record = view.record(pod)
        if record is not None and pod not in view.claims and not _asked(record, frozen):
            yield record


def _asked(record: PodRecord, frozen: Frozen) -> bool:
    operation = record.operation
    return operation is not None and operation.token > frozen.above and operation.over


def _seen_by_plans(view: PoolView) -> int:
    return max((plan.seen_ledger for plan in view.plans.values()), default=0)
