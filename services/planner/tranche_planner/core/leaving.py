"""The ways back: abort, and delete (design 1.3)."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from tranche_planner.core.document import Document, Rollout
from tranche_planner.core.verification import given_up
from tranche_planner.core.words import replicas

ITSELF = "autoRollback"
"""Who aborted, where nobody did."""


def aborting(document: Document, by: str | None, reason: str | None, now: datetime) -> Document:
    """The same document on its way back to stable."""
    after = document.ended(document.target, "aborted", now)
    after = after.but(rollout=_leaving("abort", document, by, reason, now), paused=None, **_NO_EVICTION)
    return after.told("Aborted", f"the abort was asked for: {way_back(document)}")


def rolled_back(document: Document, now: datetime) -> Document:
    """The same document aborted by itself, because the wish says so (``autoRollback``)."""
    count = given_up(document)
    seconds = document.spec.progress_deadline_seconds
    why = f"{replicas(count)} failed" if count else f"no progress was made for {seconds} seconds"
    after = aborting(document, ITSELF, why, now)
    return after.told("RolledBack", f"{why} and autoRollback is set: {way_back(document)}")


def deleting(
    document: Document, by: str | None, reason: str | None, now: datetime, *, abandon: bool
) -> Document:
    """The same document on its way to nothing."""
    after = document.ended(document.target, "deleted", now)
    rollout = _leaving("delete", document, by, reason, now).but(abandon=abandon)
    after = after.but(rollout=rollout, paused=None, stable=None, **_NO_EVICTION)
    return after.told("Deleted", "the deletion was asked for: all replicas are being uninstalled")


def way_back(document: Document) -> str:
    """Where an abort leads."""
    stable = document.stable_content
    return (
        f"back to {stable.version}" if stable else "what was installed is removed, there was nothing before"
    )


_NO_EVICTION: dict[str, object] = {"evict": (), "evicted_at": None}


def _leaving(
    kind: Literal["abort", "delete"], document: Document, by: str | None, reason: str | None, now: datetime
) -> Rollout:
    # A person's later word counts: what was paused before does not hold up the way back.
    return Rollout(
        kind=kind,
        stage="releasing",
        first_generation=document.rollout.first_generation,
        started_at=now,
        by=by,
        reason=reason,
    )
