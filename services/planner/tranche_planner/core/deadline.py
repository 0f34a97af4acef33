"""The progress deadline: a stopwatch that stands still while something else holds the rollout (design 1.1)."""

from __future__ import annotations

from datetime import datetime, timedelta

from tranche.contract.progress import Progress
from tranche_planner.core.document import Document, Hold, Stopwatch
from tranche_planner.core.gates import Unverified, shut
from tranche_planner.core.plans import held_level
from tranche_planner.core.verification import fresh, given_up, verified


def timed(document: Document, now: datetime) -> Document:
    """The document with its stopwatch running, or standing still, as it must be from now on."""
    watch, runs = document.rollout.watch, _runs(document, now)
    if runs == (watch.since is not None):
        return document
    if watch.since is None:
        return _with(document, watch.but(since=now))
    spent_s = watch.spent_s + max(0.0, (now - watch.since).total_seconds())
    return _with(document, watch.but(spent_s=spent_s, since=None))


def risen(document: Document, progress: Progress, now: datetime) -> Document:
    """The document with its stopwatch at zero where counts say that something was achieved."""
    watch = document.rollout.watch
    if progress.updated <= watch.updated and progress.updated_available <= watch.available:
        return document
    return _with(
        document,
        Stopwatch(
            since=now if watch.since else None,
            updated=max(watch.updated, progress.updated),
            available=max(watch.available, progress.updated_available),
        ),
    )


def ends(document: Document) -> datetime | None:
    """When the deadline is over, if nothing is achieved until then; None: it stands still."""
    watch, allowed_s = document.rollout.watch, document.spec.progress_deadline_seconds
    if watch.since is None or not allowed_s:
        return None
    return watch.since + timedelta(seconds=max(0.0, allowed_s - watch.spent_s))


def overdue(document: Document, now: datetime) -> bool:
    """Whether the deadline is over and the rollout not yet held for it."""
    end = ends(document)
    return end is not None and now >= end and _runs(document, now)


def expired(document: Document, now: datetime) -> Document:
    """The document held because nothing was achieved for too long."""
    rollout = document.rollout
    hold = Hold(since=now, held_at=held_level(document))
    document = document.but(rollout=rollout.but(expired=hold, watch=Stopwatch()))
    return document.told(
        "ProgressDeadlineExceeded",
        f"batch {rollout.current} of {len(rollout.batches)} made no progress for "
        f"{document.spec.progress_deadline_seconds} seconds; nothing further is disturbed",
    )


def restarted(document: Document) -> Document:
    """The document with the deadline forgotten and its time beginning anew."""
    return document.but(rollout=document.rollout.but(expired=None, watch=Stopwatch()))


def _runs(document: Document, now: datetime) -> bool:
    rollout, progress = document.rollout, document.progress
    if rollout.kind != "roll" or rollout.stage != "releasing" or rollout.expired is not None:
        return False
    if not document.spec.progress_deadline_seconds:
        return False
    if progress is not None and progress.blocked and fresh(document):
        return False
    others = [gate for gate in shut(document, now) if not isinstance(gate, Unverified)]
    return not others and not given_up(document) and not verified(document)


def _with(document: Document, watch: Stopwatch) -> Document:
    return document.but(rollout=document.rollout.but(watch=watch))
