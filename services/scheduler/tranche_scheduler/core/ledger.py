"""One round of a pool: what is proven over leaves the ledger, what is chosen enters it, in one value."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from tranche.contract.content import Content
from tranche.contract.ledger import Claim, Ledger
from tranche.contract.record import PodRecord
from tranche_scheduler.core import history
from tranche_scheduler.core.choice import take
from tranche_scheduler.core.pool import PoolView
from tranche_scheduler.core.step import Blocked
from tranche_scheduler.core.withdrawal import superseded


class Round(NamedTuple):
    """What a round comes to. ``changed``: the ledger differs by more than its position and must be written."""

    ledger: Ledger
    changed: bool
    claims: tuple[Claim, ...] = ()
    """New ones, whose tasks are to be published once the ledger is written."""
    blocked: Mapping[str, Blocked] = {}
    next_at: datetime | None = None
    """When to look again though nothing happens."""


class Stale(NamedTuple):
    """The view is older than the ledger's: nothing can be said before it has caught up to ``seen``."""

    seen: int


class Rest(NamedTuple):
    """Where pool, ledger and reader stood when a round changed nothing: there the next would not either."""

    changes: int
    revision: int
    caught_up: bool


def rest(view: PoolView, ledger: Ledger, revision: int, caught_up: bool) -> Rest | None:
    """What the next round depends on; None where it depends on the time, or on every record, as well."""
    if ledger.frozen is not None or view.max_token > ledger.counter or view.waits:
        return None
    return Rest(view.changes, revision, caught_up)


def proven_over(claim: Claim, record: PodRecord | None) -> bool:
    """Whether the pod's record proves that nobody works, or will work, on the claim (design 2.2)."""
    if record is None:
        return False
    if record.gone or record.uid != claim.uid:
        return True
    operation = record.operation
    if operation is None:
        return False
    return operation.token > claim.token or (operation.token == claim.token and operation.over)


def play(view: PoolView, ledger: Ledger, revision: int, now: datetime, *, caught_up: bool) -> Round | Stale:
    """The next ledger. The view knows the claims of ``ledger``, and afterwards those of the next one.

    ``revision``: KV revision of the ledger, 0 for one not written yet; ``caught_up`` as for
    ``history.sign_of_loss``.
    """
    if loss := history.sign_of_loss(view, ledger, revision, caught_up=caught_up):
        value = history.freeze(view, ledger, loss, now)
    elif view.position < ledger.seen:
        return Stale(ledger.seen)
    else:
        value = ledger
    kept = _without_proven(view, ledger.claims)
    value = value.but(noted=_noted(view, ledger), seen=view.position)
    view.fold_claims(kept)
    # Answers count as soon as they are proven: nothing else may come to start another round.
    if (frozen := value.frozen) is not None and (
        (calm_at := history.calm_at(frozen, now)) is not None or not history.answered(view, frozen)
    ):
        return _ask(view, ledger, value, kept, calm_at)
    return _go_on(view, ledger, value.but(frozen=None), kept, now)


def _ask(
    view: PoolView, ledger: Ledger, value: Ledger, kept: dict[str, Claim], next_at: datetime | None
) -> Round:
    """Disturb nothing, and ask every pod what it runs."""
    asked = history.questions(view, value)
    value = value.but(
        claims=kept | {claim.pod: claim for claim in asked},
        counter=max([value.counter, *(claim.token for claim in asked)]),
        contents=_contents(ledger, kept, (), ()),
    )
    view.fold_claims(value.claims)
    return Round(value, _differs(ledger, value), asked, next_at=next_at)


def _go_on(view: PoolView, ledger: Ledger, value: Ledger, kept: dict[str, Claim], now: datetime) -> Round:
    """Mark what is not wanted any more, and choose what is."""
    if withdrawn := _withdrawn(view, value):
        kept = kept | withdrawn
        view.fold_claims(kept)
    choice = take(view, value.but(contents=_contents(ledger, kept, (), ())), now)
    value = value.but(
        claims=kept | {claim.pod: claim for claim in choice.claims},
        counter=max([value.counter, *(claim.token for claim in choice.claims)]),
        contents=_contents(ledger, kept, choice.claims, choice.contents),
    )
    return Round(value, _differs(ledger, value), choice.claims, choice.blocked, choice.next_at)


def _without_proven(view: PoolView, claims: Mapping[str, Claim]) -> dict[str, Claim]:
    return {pod: claim for pod, claim in claims.items() if not proven_over(claim, view.record(pod))}


def _noted(view: PoolView, ledger: Ledger) -> dict[str, int]:
    newer = {
        name: plan.revision for name, plan in view.plans.items() if plan.revision > ledger.noted.get(name, 0)
    }
    return ledger.noted | newer if newer else ledger.noted


def _withdrawn(view: PoolView, ledger: Ledger) -> dict[str, Claim]:
    """Claims that get marked now, by pod."""
    return {
        pod: view.claims[pod].but(withdrawn=True)
        for name, plan in view.plans.items()
        if view.replicas(name).claims and plan.revision >= ledger.noted.get(name, 0)
        for pod in superseded(view, plan)
    }


def _contents(
    ledger: Ledger,
    kept: Mapping[str, Claim],
    claims: tuple[Claim, ...],
    contents: tuple[Content | None, ...],
) -> dict[str, dict[int, Content]]:
    """What the claims in flight install, and nothing else."""
    found: dict[str, dict[int, Content]] = {}
    for claim in kept.values():
        content = ledger.contents.get(claim.deployment, {}).get(claim.revision)
        if content is not None:
            found.setdefault(claim.deployment, {})[claim.revision] = content
    for claim, content in zip(claims, contents, strict=True):
        if content is not None:
            found.setdefault(claim.deployment, {})[claim.revision] = content
    return found


def _differs(before: Ledger, after: Ledger) -> bool:
    """Whether more than the position changed: that alone is not worth a write."""
    return after.but(seen=before.seen) != before
