"""Why something happens, or does not: every gate and every clause of the budget, true or false (design 9.3)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from tranche.contract.explanation import BudgetClause, Explanation, GateExplained, History, RevisionHistory
from tranche.contract.progress import Progress
from tranche.contract.status import GateName
from tranche_planner.core.budget import budget
from tranche_planner.core.deadline import ends
from tranche_planner.core.document import Document, Revision
from tranche_planner.core.gates import shut, told
from tranche_planner.core.phases import standing
from tranche_planner.core.plans import answered, threshold, wanted
from tranche_planner.core.status import problems_of
from tranche_planner.core.words import in_words

GATES: tuple[GateName, ...] = ("verified", "grayTime", "confirm", "pause", "freeze")


def explanation(document: Document, now: datetime) -> Explanation:
    """Every gate and every clause of one deployment now."""
    at = standing(document, now)
    return Explanation(
        namespace=document.namespace,
        name=document.name,
        generation=document.generation,
        phase=at.phase,
        message=at.message,
        next=at.next,
        gates=_gates(document, now),
        budget=budget(document),
        clauses=tuple(_clauses(document)),
        problems=problems_of(document),
    )


def history(document: Document) -> History:
    """The revisions that are kept, oldest first."""
    return History(revisions=tuple(_told(document, one) for one in document.revisions))


def _told(document: Document, revision: Revision) -> RevisionHistory:
    content = revision.content
    return RevisionHistory(
        revision=content.revision,
        version=content.version,
        url=content.url,
        generation=revision.generation,
        started_at=revision.started_at,
        finished_at=revision.finished_at,
        outcome=revision.outcome,
        by=revision.by,
        stable=content.revision == document.stable,
        target=content.revision == document.target,
    )


def _gates(document: Document, now: datetime) -> tuple[GateExplained, ...]:
    closed = {gate.gate: gate for gate in (told(gate, document) for gate in shut(document, now))}
    return tuple(
        GateExplained(
            gate=name,
            open=False,
            since=closed[name].since,
            until=closed[name].until,
            unblock=closed[name].unblock,
            message=closed[name].message,
        )
        if name in closed
        else GateExplained(gate=name, open=True, message=_why_open(document, name))
        for name in GATES
    )


def _why_open(document: Document, gate: GateName) -> str:
    rollout, batch, spec = document.rollout, document.rollout.batch, document.spec
    match gate:
        case "pause":
            return "nobody has paused it"
        case "freeze" if document.frozen is not None:
            return "a freeze covers it, but holds no abort and no deletion"
        case "freeze":
            return f"no freeze covers {document.namespace}"
        case _ if batch is None or rollout.last_batch:
            return "no batch is waiting for another one"
        case "verified":
            return f"batch {rollout.current} is as it should be"
        case _ if rollout.gateless:
            return "opened for the whole rollout"
        case "grayTime" if not spec.gray_time_s:
            return "there is no gray time"
        case "grayTime" if batch.verified_at is None:
            return f"{spec.gray_time_s} seconds begin when batch {rollout.current} is verified"
        case "grayTime":
            return "promoted" if batch.promoted_at else "it is over"
        case "confirm" if not spec.need_confirm:
            return "needConfirm is false"
        case "confirm" if batch.confirmed_at is None:
            return f"asked for when batch {rollout.current} is verified"
        case _:
            return f"confirmed{f' by {batch.confirmed_by}' if batch.confirmed_by else ''}"


def _clauses(document: Document) -> Iterator[BudgetClause]:
    spent, progress, need = budget(document), document.progress, wanted(document)
    heard = answered(document)
    yield BudgetClause(
        clause="the scheduler has answered the newest plan",
        holds=heard,
        message="" if heard else "it has not yet: is a scheduler running?",
    )
    if progress is None:
        return
    least = need - spent.resolved
    yield BudgetClause(
        clause="available - 1 >= wanted - maxUnavailable",
        holds=progress.available - 1 >= least,
        message=f"{progress.available} - 1 >= {need} - {spent.resolved}: {_spare(spent.headroom)}",
    )
    yield from _limits(document, progress)


def _limits(document: Document, progress: Progress) -> Iterator[BudgetClause]:
    blocked = {problem.reason: problem.message for problem in progress.problems}
    short = progress.blocked == "InsufficientCapacity"
    yield BudgetClause(
        clause="there are pods to install on",
        holds=not short,
        message=blocked.get("InsufficientCapacity", "") if short else "",
    )
    allowed = threshold(document)
    trying = f", {progress.retrying} more to be tried again" if progress.retrying else ""
    yield BudgetClause(
        clause="failed <= failureThreshold",
        holds=progress.failed <= allowed,
        message=f"{progress.failed} <= {allowed}{trying}",
    )
    end, expired = ends(document), document.rollout.expired
    until = f"until {in_words(end)}" if end else "its clock stands still"
    yield BudgetClause(
        clause="progress is made within progressDeadlineSeconds",
        holds=expired is None,
        message=f"over since {in_words(expired.since)}" if expired else until,
    )


def _spare(headroom: int) -> str:
    return f"{headroom} more may be taken down now" if headroom else "none may be taken down now"
