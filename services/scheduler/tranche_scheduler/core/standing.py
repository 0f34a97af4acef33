"""How one deployment stands on one pod, and what may be done there: read off the record, the claim and the plan."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import NamedTuple

from tranche.contract.ledger import Claim
from tranche.contract.plan import Plan
from tranche.contract.record import ModuleEntry, PodRecord
from tranche_scheduler.core import content, retry
from tranche_scheduler.core.eviction import evicted, evicted_pods
from tranche_scheduler.core.maturity import matures_at


class Kind(Enum):
    """A replica on a ready pod where nothing is under way, by what could be done with it."""

    __hash__ = object.__hash__  # Enum's own is slow, and kinds are looked up for every pod and choice.

    CURRENT = "at the target and available"
    BROKEN = "at the target, not available"
    BESIDE = "the target stands idle beside an older version, which serves"
    FAILED_TARGET = "the target failed here"
    FAILED_TARGET_SERVING = "the target failed here, the old version serves"
    FAILED_STABLE = "stable failed here"
    FAILED = "another revision failed here"
    FAILED_SERVING = "another revision failed here, an older version serves"
    UNREMOVED = "could not be taken away"
    UNREMOVED_SERVING = "could not be taken away, and serves"
    DOWN_STABLE = "stable, not available"
    DOWN = "another revision, not available"
    ADOPT = "the target's version, installed by somebody else"
    OTHER = "neither stable nor target"
    STABLE = "stable and available"
    MATURING = "at the target and running, not for long enough yet"
    EVICTED = "to be placed elsewhere"
    EVICTED_DOWN = "to be placed elsewhere, not available"
    UNEVICTED = "to be placed elsewhere, could not be taken away"
    UNEVICTED_SERVING = "to be placed elsewhere, could not be taken away, and serves"


REPLACE_ORDER: tuple[tuple[Kind, ...], ...] = (
    (Kind.FAILED, Kind.FAILED_STABLE),
    (Kind.DOWN,),
    (Kind.DOWN_STABLE,),
    (Kind.FAILED_SERVING,),
    (Kind.ADOPT,),
    (Kind.OTHER,),
    (Kind.STABLE,),
)
"""Failed first, then other unavailable ones, then what is neither stable nor target (design 1.2, 1.5)."""

DEAD = (Kind.FAILED, Kind.FAILED_STABLE, Kind.FAILED_TARGET, Kind.DOWN, Kind.DOWN_STABLE)
REMOVE_DEAD_ORDER: tuple[tuple[Kind, ...], ...] = (DEAD, (Kind.BROKEN,))
REMOVE_ORDER: tuple[tuple[Kind, ...], ...] = (
    *REMOVE_DEAD_ORDER,
    (Kind.FAILED_SERVING, Kind.FAILED_TARGET_SERVING, Kind.BESIDE, Kind.ADOPT, Kind.OTHER, Kind.STABLE),
    (Kind.CURRENT, Kind.MATURING),
)
"""Not available first, then not at the target (design 1.2). One that only has to run a little longer is not
down: which is taken must not hang on the second in which it is asked."""

# The new replica is installed elsewhere before an old one goes (scaleup_then_scaledown, design 1.4).
REPAIR_ORDER: tuple[tuple[Kind, ...], ...] = (
    (Kind.FAILED, Kind.FAILED_STABLE),
    (Kind.DOWN,),
    (Kind.DOWN_STABLE,),
    (Kind.ADOPT,),
)
"""What serves nobody is brought to the target where it is, and what is there already is taken over."""
OLD_DOWN = (Kind.FAILED, Kind.FAILED_STABLE, Kind.DOWN, Kind.DOWN_STABLE)
OLD = (Kind.FAILED_SERVING, Kind.OTHER, Kind.STABLE)
"""Serving, and not at the target: gives way to a new one elsewhere."""


class Standing(NamedTuple):
    """One deployment on one pod. All up to ``kind`` are counted."""

    present: bool = False
    available: bool = False
    updated: bool = False
    updated_available: bool = False
    outcome: bool = False
    """Present once the operation under way has ended as meant."""
    surely: bool = False
    """Present afterwards, whichever way a withdrawn claim ends."""
    perhaps: bool = False
    """Present afterwards, if a withdrawn claim ends in this way or that."""
    outcome_updated: bool = False
    tried: bool = False
    """Takes a place in the level ``updated``: at the target, on the way there, or failed on the way."""
    given_up: bool = False
    retrying: bool = False
    down: bool = False
    """Not at the target, and its pod is down."""
    unready: bool = False
    """Present on a pod that is not ready."""
    failed: bool = False
    stuck: bool = False
    maturing: bool = False
    """Runs the target, and would be available had it run for long enough."""
    evicting: bool = False
    """Still to be taken off its pod, to be placed elsewhere."""
    busy: bool = False
    """Not serving at the target, and its pod is at work for another deployment: nothing can begin there."""
    kind: Kind | None = None
    due: datetime | None = None
    """When what failed may be tried again, or what runs be looked at; None: never, or there is no need."""
    foreign: str = ""
    """The version of somebody else's installation that is not the target's."""


COUNTED = Standing._fields[:18]


def queued(claim: Claim, record: PodRecord | None) -> bool:
    """Whether no executor has been seen to start on the claim."""
    return record is None or record.operation is None or record.operation.token < claim.token


def standing(record: PodRecord, claim: Claim | None, plan: Plan) -> Standing:
    """How the plan's deployment stands on the record's pod. ``claim``: the pod's, whosever it is."""
    if record.gone or record.terminating:
        return Standing()
    entry = record.modules.get(plan.module)
    mine = claim if claim is not None and claim.deployment == plan.name else None
    if entry is None and mine is None:
        return Standing()
    present = entry is not None
    failed = entry is not None and entry.state == "failed"
    of_target = entry is not None and content.of_target(entry, plan)
    updated = of_target and not failed
    disturbed = mine is not None and (mine.costs or mine.op == "remove")
    runs = entry is not None and record.ready and entry.serves and not disturbed
    matures = matures_at(record, entry, plan) if entry is not None and runs else None
    available = runs and matures is None
    # Available, and by the target itself: an older version that serves beside it is not what was asked for.
    at_target = updated and available and entry is not None and entry.state == "available"
    lost = entry is not None and failed and of_target and retry.given_up(entry, plan)
    outcome, surely, perhaps, outcome_updated, tried = _prospects(
        record, mine, plan, present, updated, of_target
    )
    leaves = entry is not None and evicted(record.pod, entry, plan)
    kind = _kind(entry, plan, matures, leaves) if entry is not None and _idle(record, claim) else None
    return Standing(
        present=present,
        available=available,
        updated=updated,
        updated_available=at_target,
        outcome=outcome,
        surely=surely,
        perhaps=perhaps,
        outcome_updated=outcome_updated,
        tried=tried,
        given_up=lost,
        # On a pod that is down nothing is tried: it is excused like what else is down.
        retrying=failed and of_target and not lost and record.ready,
        down=present and not updated and not lost and not record.ready,
        unready=present and not record.ready,
        failed=failed,
        stuck=mine is not None and _stuck(record, mine),
        maturing=matures is not None,
        evicting=leaves or (mine is not None and mine.op == "remove" and record.pod in evicted_pods(plan)),
        busy=present and record.ready and claim is not None and mine is None and not at_target,
        kind=kind,
        due=(matures if kind is Kind.MATURING else _due(entry, kind, lost, plan)) if entry else None,
        foreign=_foreign(entry, plan) if entry is not None else "",
    )


_STAYING = (Kind.UNREMOVED, Kind.UNREMOVED_SERVING, Kind.UNEVICTED, Kind.UNEVICTED_SERVING)
TIMED = frozenset(
    (Kind.FAILED_TARGET, Kind.FAILED_TARGET_SERVING, Kind.FAILED_STABLE, Kind.MATURING, *_STAYING)
)
"""What waits before it is tried again, or looked at."""


def _due(entry: ModuleEntry, kind: Kind | None, lost: bool, plan: Plan) -> datetime | None:
    # Taking away is tried for ever: there is nothing else to be done with what is surplus.
    timed = kind in TIMED and (not lost or kind in _STAYING)
    return retry.due_at(entry, plan) if timed else None


def _foreign(entry: ModuleEntry, plan: Plan) -> str:
    theirs = entry.revision == 0 and (plan.target is None or entry.version != plan.target.version)
    return entry.version if theirs else ""


def _idle(record: PodRecord, claim: Claim | None) -> bool:
    over = record.operation is None or record.operation.over
    return record.ready and claim is None and over


def _stuck(record: PodRecord, claim: Claim) -> bool:
    operation = record.operation
    return operation is not None and operation.token == claim.token and operation.state == "stuck"


def _prospects(
    record: PodRecord, claim: Claim | None, plan: Plan, present: bool, updated: bool, of_target: bool
) -> tuple[bool, bool, bool, bool, bool]:
    """outcome, surely, perhaps, outcome_updated, tried."""
    if claim is None or (claim.op == "observe" and claim.revision == 0):
        return present, present, present, updated, of_target
    to_target = claim.op != "remove" and claim.revision in plan.target_revisions
    there = claim.op != "remove"
    if claim.withdrawn and queued(claim, record):
        # It ends unchanged, unless somebody started without our having seen it: count with both.
        return present, present and there, present or there, updated, of_target or to_target
    return there, there, there, to_target, to_target


def _kind(entry: ModuleEntry, plan: Plan, matures: datetime | None, leaves: bool) -> Kind:
    if leaves:
        if entry.state == "failed" and entry.reason == "UninstallFailed":
            return Kind.UNEVICTED_SERVING if entry.serves else Kind.UNEVICTED
        return Kind.EVICTED if entry.serves else Kind.EVICTED_DOWN
    if matures is not None:
        return Kind.MATURING
    of_target = content.of_target(entry, plan)
    of_stable = content.of_stable(entry, plan)
    if entry.state == "failed":
        if entry.reason == "UninstallFailed":
            return Kind.UNREMOVED_SERVING if entry.serves else Kind.UNREMOVED
        if of_target:
            return Kind.FAILED_TARGET_SERVING if entry.serves else Kind.FAILED_TARGET
        if entry.serves:
            return Kind.FAILED_SERVING
        return Kind.FAILED_STABLE if of_stable else Kind.FAILED
    if of_target:
        idle = Kind.BESIDE if entry.serves else Kind.BROKEN
        return Kind.CURRENT if entry.state == "available" else idle
    if not entry.serves:
        return Kind.DOWN_STABLE if of_stable else Kind.DOWN
    if entry.revision == 0 and plan.target is not None and entry.version == plan.target.version:
        return Kind.ADOPT
    return Kind.STABLE if of_stable else Kind.OTHER
