"""Every verb in every state: from a document and an event to a decision (the table of design 1.3)."""

from __future__ import annotations

from datetime import datetime
from typing import assert_never

from tranche.contract.answer import AcceptedAnswer, RefusedAnswer
from tranche.contract.progress import Problem
from tranche_planner.core.applying import apply
from tranche_planner.core.decisions import Decision, accept, refuse
from tranche_planner.core.document import Document, Mark
from tranche_planner.core.holding import confirm, pause, promote, resume
from tranche_planner.core.leaving import aborting, deleting, way_back
from tranche_planner.core.retrying import replace, restart, retry, scale, undo
from tranche_planner.core.rollout import advance
from tranche_planner.core.settling import settled
from tranche_planner.core.wishes import (
    Abort,
    Apply,
    Confirm,
    Delete,
    Pause,
    Promote,
    Replace,
    Restart,
    Resume,
    Retry,
    Scale,
    Undo,
    Wish,
)

ABSENT = "there is no such deployment: apply a manifest first"
ORDERS = ("last_wish", "last_hold", "last_confirm", "last_promote", "last_replace")
"""Where the last event of each kind that was accepted is noted."""
SUPERSEDED = "superseded: a newer {kind} of this deployment was handled before this older one"


def decide(document: Document | None, wish: Wish, mark: Mark, now: datetime) -> Decision:
    """What an event means for what is there. ``mark``: its place in the order of all intents."""
    if (early := _out_of_order(document, wish, mark)) is not None:
        return early
    decision = _decide(document, wish, mark, now)
    if decision.document is None:
        return decision
    after = _marked(decision.document, wish, mark).but(rejected=None)
    return Decision(decision.answer, settled(document, after, now), decision.takes_pool)


def reject(document: Document, verb: str, answer: RefusedAnswer, mark: Mark, now: datetime) -> Document:
    """The document with a refused event noted as a problem, until something newer is accepted."""
    # An event that was carried out comes again when its planner died before the ack: that is no problem.
    if any(getattr(document, field).supersedes(mark) for field in ORDERS):
        return document
    first, *others = [str(error) for error in answer.errors]
    more = f" (and {len(others)} more)" if others else ""
    problem = Problem(
        reason="Invalid",
        message=f"the last {verb} was refused and changed nothing: {first}{more}",
        count=len(answer.errors),
    )
    return settled(document, document.but(rejected=problem), now)


def _decide(document: Document | None, wish: Wish, mark: Mark, now: datetime) -> Decision:
    match wish:
        case Apply():
            return apply(document, wish, now)
        case Delete():
            return refuse(ABSENT) if document is None else _delete(document, wish, now)
        case _ if document is None or document.deleted:
            return refuse(ABSENT)
        case _ if document.deleting:
            return _while_deleting(document, wish, now)
        case Abort():
            return _abort(document, wish, now)
        case Confirm():
            return confirm(document, wish, now)
        case Pause():
            return pause(document, wish, now)
        case Resume():
            return resume(document, wish, now)
        case Promote():
            return promote(document, wish, now)
        case Retry():
            return retry(document, wish, now)
        case Restart():
            return restart(document, wish, now)
        case Undo():
            return undo(document, wish, now)
        case Replace():
            return replace(document, wish, mark, now)
        case Scale():
            return scale(document, wish, now)
        case _:
            assert_never(wish)


def _abort(document: Document, wish: Abort, now: datetime) -> Decision:
    rollout = document.rollout
    if rollout.kind == "abort":
        return accept(document, "it is aborted" if rollout.over else "it is being aborted already")
    if rollout.over:
        return refuse(
            "the rollout is complete, nothing is left to abort: go back with "
            f"tranche undo {document.namespace}/{document.name}"
        )
    after = aborting(document, wish.by, wish.reason, now)
    return accept(advance(after, now), f"aborting: {way_back(document)}")


def _delete(document: Document, wish: Delete, now: datetime) -> Decision:
    if document.rollout.kind == "delete":
        if document.deleted:
            return accept(document, "it is deleted")
        if document.rollout.abandon or not wish.abandon:
            return accept(document, "it is being deleted already")
        after = document.but(rollout=document.rollout.but(abandon=True))
        after = after.told("Deleted", "what is on pods that do not answer is left behind")
        return accept(advance(after, now), "what is on pods that do not answer is left behind")
    after = deleting(document, wish.by, wish.reason, now, abandon=wish.abandon)
    return accept(advance(after, now), "all replicas will be uninstalled")


def _while_deleting(document: Document, wish: Wish, now: datetime) -> Decision:
    match wish:
        case Pause():
            return pause(document, wish, now)
        case Resume():
            return resume(document, wish, now)
        case Retry():
            return retry(document, wish, now)
        case _:
            return refuse("the deployment is being deleted")


def _out_of_order(document: Document | None, wish: Wish, mark: Mark) -> Decision | None:
    """An event handled before, or older than one of its kind that was: None for all others."""
    if document is None:
        return None
    field, kind = _order(wish)
    last: Mark = getattr(document, field)
    if last == mark:
        warnings = wish.warnings if isinstance(wish, Apply) else ()
        return Decision(AcceptedAnswer(generation=document.generation, message="done", warnings=warnings))
    if last.supersedes(mark) and not _whenever(wish):
        return refuse(SUPERSEDED.format(kind=kind))
    return None


def _whenever(wish: Wish) -> bool:
    # What names its batch or its pod means the same whenever it comes.
    return isinstance(wish, Replace) or (isinstance(wish, Confirm) and wish.batch is not None)


def _marked(document: Document, wish: Wish, mark: Mark) -> Document:
    field, _ = _order(wish)
    last: Mark = getattr(document, field)
    return document if last.supersedes(mark) else document.but(**{field: mark})


def _order(wish: Wish) -> tuple[str, str]:
    """Where the last of its kind is noted, and the word for the kind (design 2.2)."""
    match wish:
        case Apply() | Delete() | Abort() | Retry() | Restart() | Undo() | Scale():
            return "last_wish", "wish"
        case Pause() | Resume():
            return "last_hold", "pause or resume"
        case Confirm():
            return "last_confirm", "confirm"
        case Promote():
            return "last_promote", "promote"
        case Replace():
            return "last_replace", "replace"
        case _:
            assert_never(wish)
