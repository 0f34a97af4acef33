"""Confirm, promote, pause and resume: what a person says to a running rollout (design 1.3)."""

from __future__ import annotations

from datetime import datetime

from tranche_planner.core.deadline import restarted
from tranche_planner.core.decisions import Decision, accept, refuse
from tranche_planner.core.document import Document, Paused
from tranche_planner.core.gates import Graying, Unconfirmed, shut, told, waits_for_confirm
from tranche_planner.core.plans import held_level
from tranche_planner.core.rollout import advance
from tranche_planner.core.verification import degraded
from tranche_planner.core.wishes import Confirm, Pause, Promote, Resume
from tranche_planner.core.words import signed

_ABORTED = "nothing is rolled out: the rollout was aborted"


def confirm(document: Document, wish: Confirm, now: datetime) -> Decision:
    """Lets the rollout go on behind the batch that waits; a repeat changes nothing."""
    rollout = document.rollout
    if rollout.kind != "roll":
        return refuse(f"{_ABORTED}, which nobody has to confirm")
    first, newest = rollout.first_generation, document.generation
    if wish.generation is not None and not first <= wish.generation <= newest:
        return refuse(
            f"got generation {wish.generation}; the rollout under way is generation {newest}"
            f"{_and_waits(document, now)}",
            field="generation",
        )
    number = wish.batch if wish.batch is not None else rollout.current
    known = 0 < number <= len(rollout.batches)
    if waits_for_confirm(document) and number == rollout.current:
        after = advance(confirmed(document, number, wish.by, wish.reason, now), now)
        return accept(after, f"batch {number} is confirmed")
    repeat = wish.batch is not None or not rollout.over
    if known and repeat and rollout.batches[number - 1].confirmed_at is not None:
        return accept(document, f"batch {number} was confirmed already")
    what = f"batch {number} does not wait" if wish.batch is not None else "no batch waits"
    return refuse(f"{what} for a confirm{_and_waits(document, now)}", field="batch" if wish.batch else "")


def pause(document: Document, wish: Pause, now: datetime) -> Decision:
    """Stops new disruptions; what is under way finishes."""
    if document.paused is not None:
        return accept(document, "it is paused already")
    return accept(paused(document, wish.by, wish.reason, now), "paused: nothing new is disturbed")


def resume(document: Document, wish: Resume, now: datetime) -> Decision:
    """Goes on where it was paused."""
    if document.paused is None and document.rollout.expired is None:
        return accept(document, "it is not paused")
    return accept(advance(resumed(document, wish.by), now), "it goes on")


def confirmed(document: Document, number: int, by: str | None, reason: str | None, now: datetime) -> Document:
    """The same document with a batch confirmed: who, when and why are kept."""
    rollout = document.rollout.with_batch(number, confirmed_by=by, confirmed_at=now, confirm_reason=reason)
    message = f"batch {number} of {len(rollout.batches)} was confirmed{signed(by, reason)}"
    return document.but(rollout=rollout).told("Confirmed", message)


def paused(
    document: Document, by: str | None, reason: str | None, now: datetime, *, by_manifest: bool = False
) -> Document:
    """The same document on hold."""
    if document.paused is not None:
        return document
    held = Paused(
        by=by,
        reason=reason,
        since=now,
        held_at=held_level(document),
        by_manifest=by_manifest,
    )
    return document.but(paused=held).told("Paused", f"paused{signed(by, reason)}")


def resumed(document: Document, by: str | None) -> Document:
    """The same document, no longer on hold."""
    if document.rollout.expired is not None:
        document = restarted(document)
    return document.but(paused=None).told("Resumed", f"resumed{signed(by, None)}")


def promote(document: Document, wish: Promote, now: datetime) -> Decision:
    """Opens the gates of the batch that waits, or all that are left; neither the budget nor a freeze."""
    rollout = document.rollout
    where = f"{document.namespace}/{document.name}"
    if rollout.kind != "roll":
        return refuse(f"{_ABORTED}, so there is no gate to open")
    if degraded(document):
        return refuse(
            "the rollout is held by what failed, not by a gate: look at it, then "
            f"tranche retry {where} or tranche abort {where}"
        )
    if rollout.over:
        return accept(document, "the rollout is complete, no gate is left")
    if wish.full:
        if rollout.gateless and document.paused is None:
            return accept(document, "all gates of this rollout are open already")
        after = document.but(paused=None, rollout=rollout.but(gateless=True))
        after = after.told("Confirmed", f"promoted in full{signed(wish.by, wish.reason)}")
        return accept(advance(after, now), "all remaining gates of this rollout are open")
    if not _shuts(document, now):
        return accept(document, f"no gate is shut that a promote could open{_and_waits(document, now)}")
    after = confirmed(document, rollout.current, wish.by, wish.reason, now)
    after = after.but(rollout=after.rollout.with_batch(rollout.current, promoted_at=now))
    words = f"batch {rollout.current} of {len(rollout.batches)} was promoted"
    after = after.told("Confirmed", f"{words}{signed(wish.by, wish.reason)}")
    return accept(advance(after, now), words)


def _shuts(document: Document, now: datetime) -> bool:
    return any(isinstance(gate, Graying | Unconfirmed) for gate in shut(document, now))


def _and_waits(document: Document, now: datetime) -> str:
    """What waits instead, for people."""
    rollout = document.rollout
    if rollout.over:
        return "; the rollout is complete, nothing waits"
    if waits_for_confirm(document):
        return f"; batch {rollout.current} of generation {document.generation} waits"
    if rollout.stage == "opening":
        return "; no batch is released yet"
    gates = [told(gate, document) for gate in shut(document, now)]
    reasons = f" ({'; '.join(gate.message for gate in gates)})" if gates else ""
    which = f"batch {rollout.current} of {len(rollout.batches)}"
    return f"; {which} is under way and nothing waits for a person{reasons}"
