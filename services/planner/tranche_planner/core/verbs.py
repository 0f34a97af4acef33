"""Every verb in every state: from a document and an event to a decision (the table of design 1.3)."""

from __future__ import annotations

from datetime import datetime
from typing import assert_never

from tranche.contract.answer import AcceptedAnswer, RefusedAnswer
from tranche.contract.progress import Problem
from tranche_planner.core.applying import apply
from tranche_planner.core.decisions import Decision, accept, refuse
from tranche_planner.core.document import Document, Mark, Rollout
from tranche_planner.core.holding import confirm, pause, resume
from tranche_planner.core.rollout import advance
from tranche_planner.core.settling import settled
from tranche_planner.core.wishes import Abort, Apply, Confirm, Delete, Pause, Resume, Wish

SUPERSEDED = "superseded: a newer {kind} of this deployment was handled before this older one"


def decide(document: Document | None, wish: Wish, mark: Mark, now: datetime) -> Decision:
    """What an event means for what is there. ``mark``: its place in the order of all intents."""
    if (early := _out_of_order(document, wish, mark)) is not None:
        return early
    decision = _decide(document, wish, now)
    if decision.document is None:
        return decision
    after = _marked(decision.document, wish, mark).but(rejected=None)
    return Decision(decision.answer, settled(document, after, now), decision.takes_pool)


def reject(document: Document, verb: str, answer: RefusedAnswer, now: datetime) -> Document:
    """The document with a refused event noted as a problem, until something is accepted."""
    first, *others = [str(error) for error in answer.errors]
    more = f" (and {len(others)} more)" if others else ""
    problem = Problem(
        reason="Invalid",
        message=f"the last {verb} was refused and changed nothing: {first}{more}",
        count=len(answer.errors),
    )
    return settled(document, document.but(rejected=problem), now)


def _decide(document: Document | None, wish: Wish, now: datetime) -> Decision:
    match wish:
        case Apply():
            return apply(document, wish, now)
        case Delete() if document is not None and document.rollout.kind == "delete":
            return accept(document, "it is deleted" if document.deleted else "it is being deleted already")
        case _ if document is None or document.deleted:
            return refuse("there is no such deployment: apply a manifest first")
        case Delete():
            return accept(_delete(document, wish, now), "all replicas will be uninstalled")
        case _ if document.deleting:
            if isinstance(wish, Pause):
                return pause(document, wish, now)
            if isinstance(wish, Resume):
                return resume(document, wish, now)
            return refuse("the deployment is being deleted")
        case Abort():
            return _abort(document, wish, now)
        case Confirm():
            return confirm(document, wish, now)
        case Pause():
            return pause(document, wish, now)
        case Resume():
            return resume(document, wish, now)
        case _:
            assert_never(wish)


def _abort(document: Document, wish: Abort, now: datetime) -> Decision:
    rollout = document.rollout
    if rollout.kind == "abort":
        return accept(document, "it is aborted" if rollout.over else "it is being aborted already")
    if rollout.over:
        return refuse(
            "the rollout is complete, nothing is left to abort: apply the manifest you want to go back to"
        )
    stable = document.stable_content
    back = (
        f"back to {stable.version}" if stable else "what was installed is removed, there was nothing before"
    )
    after = document.ended(document.target, "aborted", now)
    after = after.but(rollout=_leaving("abort", document, wish, now), paused=None)
    return accept(
        advance(after.told("Aborted", f"the abort was asked for: {back}"), now), f"aborting: {back}"
    )


def _delete(document: Document, wish: Delete, now: datetime) -> Document:
    after = document.ended(document.target, "deleted", now)
    after = after.but(rollout=_leaving("delete", document, wish, now), paused=None, stable=None)
    return after.told("Deleted", "the deletion was asked for: all replicas are being uninstalled")


def _leaving(kind: str, document: Document, wish: Abort | Delete, now: datetime) -> Rollout:
    # A person's later word counts: what was paused before does not hold up the way back.
    return Rollout.model_validate(
        {
            "kind": kind,
            "stage": "releasing",
            "first_generation": document.rollout.first_generation,
            "started_at": now,
            "by": wish.by,
            "reason": wish.reason,
        }
    )


def _out_of_order(document: Document | None, wish: Wish, mark: Mark) -> Decision | None:
    """An event handled before, or older than one of its kind that was: None for all others."""
    if document is None:
        return None
    match wish:
        case Apply() | Delete() | Abort():
            last, kind = document.last_wish, "wish"
        case Pause() | Resume():
            last, kind = document.last_hold, "pause or resume"
        case Confirm():
            last, kind = document.last_confirm, "confirm"
        case _:
            assert_never(wish)
    if last == mark:
        warnings = wish.warnings if isinstance(wish, Apply) else ()
        return Decision(AcceptedAnswer(generation=document.generation, message="done", warnings=warnings))
    # Confirms that name their batch mean the same whenever they come.
    if last.supersedes(mark) and not (isinstance(wish, Confirm) and wish.batch is not None):
        return refuse(SUPERSEDED.format(kind=kind))
    return None


def _marked(document: Document, wish: Wish, mark: Mark) -> Document:
    match wish:
        case Apply() | Delete() | Abort():
            return document.but(last_wish=mark)
        case Pause() | Resume():
            return document.but(last_hold=mark)
        case Confirm():
            return document if document.last_confirm.supersedes(mark) else document.but(last_confirm=mark)
        case _:
            assert_never(wish)
