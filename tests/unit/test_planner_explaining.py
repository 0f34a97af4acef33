"""Explanations: every gate open or shut, every clause true or false, and the history (design 9.3)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.unit.planner_desk import BEGAN, Case, healthy, rolling, verified
from tranche.contract.explanation import BudgetClause, Explanation, GateExplained, RevisionHistory
from tranche.contract.progress import Problem
from tranche_planner.core.explaining import explanation, history
from tranche_planner.core.wishes import Abort, Confirm, Delete, Pause, Promote, Undo

GATED = {"needConfirm": True, "grayTime": 60}
CAPACITY = Problem(reason="InsufficientCapacity", message="3 pods are full")
OTHER = Problem(reason="PodUnreachable", message="no answer", pods=("web-base-2",))


def explained(case: Case) -> Explanation:
    return explanation(case.it, case.now)


def gates(case: Case) -> dict[str, GateExplained]:
    return {gate.gate: gate for gate in explained(case).gates}


def clauses(case: Case) -> dict[str, BudgetClause]:
    return {clause.clause: clause for clause in explained(case).clauses}


def test_an_explanation_tells_what_status_does() -> None:
    case = verified(**GATED)
    case.tell(foreign=("0.9.0",))
    status, told = case.status, explained(case)
    for field in ("namespace", "name", "generation", "phase", "message", "next", "budget", "problems"):
        assert getattr(told, field) == getattr(status, field), field
    assert (told.namespace, told.name, told.generation, told.phase) == ("shop", "cart", 2, "Waiting")
    assert [problem.reason for problem in told.problems] == ["Adopted"]


def test_a_shut_gate_is_explained_as_status_tells_it() -> None:
    case = verified(**GATED)
    case.do(Pause(by="bob", reason="lunch"))
    case.freeze(until=case.now + timedelta(hours=1), by="ops")
    shut = [gate.but(open=True) for gate in explained(case).gates]
    assert [gate.open for gate in explained(case).gates] == [False] * 5
    assert shut == [GateExplained(open=True, **dict(gate)) for gate in case.status.gates]


def passed(*wishes: object, **changes: object) -> Callable[[], Case]:
    """A batch is verified, this is said, and the next one is under way; a pause keeps it from that."""

    def begin() -> Case:
        case = verified(**changes)
        case.do(Pause())
        case.tell()
        for wish in wishes:
            case.do(wish)
        return case

    return begin


def watched() -> Case:
    case = passed(grayTime=60)()
    case.later(61)
    return case


@pytest.mark.parametrize(
    ("state", "gate", "message"),
    [
        (rolling, "pause", "nobody has paused it"),
        (rolling, "freeze", "no freeze covers shop"),
        (lambda: rolling(**GATED), "grayTime", "60 seconds begin when batch 1 is verified"),
        (lambda: rolling(**GATED), "confirm", "asked for when batch 1 is verified"),
        (rolling, "grayTime", "there is no gray time"),
        (rolling, "confirm", "needConfirm is false"),
        (lambda: verified(needConfirm=True), "verified", "batch 1 is as it should be"),
        (lambda: verified(needConfirm=True), "grayTime", "there is no gray time"),
        (lambda: verified(grayTime=60), "confirm", "needConfirm is false"),
        (watched, "grayTime", "it is over"),
        (passed(Promote(), **GATED), "grayTime", "promoted"),
        (passed(Confirm(by="bob"), **GATED), "confirm", "confirmed by bob"),
        (passed(Confirm(), **GATED), "confirm", "confirmed"),
        (healthy, "verified", "no batch is waiting for another one"),
        (healthy, "grayTime", "no batch is waiting for another one"),
        (healthy, "confirm", "no batch is waiting for another one"),
    ],
)
def test_why_a_gate_is_open(state: Callable[[], Case], gate: str, message: str) -> None:
    told = gates(state())[gate]
    assert told == GateExplained(gate=told.gate, open=True, message=message)


def test_a_rollout_promoted_in_full_has_its_gates_open() -> None:
    case = rolling(**GATED)
    case.do(Promote(full=True))
    told = gates(case)
    assert [told[name].message for name in ("grayTime", "confirm")] == ["opened for the whole rollout"] * 2
    assert not told["verified"].open


@pytest.mark.parametrize("wish", [Abort(), Delete()])
def test_a_freeze_over_a_way_back_is_open_and_says_so(wish: Abort | Delete) -> None:
    case = verified(**GATED)
    case.do(wish)
    case.freeze()
    told = gates(case)
    assert told["freeze"].open
    assert told["freeze"].message == "a freeze covers it, but holds no abort and no deletion"
    assert told["confirm"].message == "no batch is waiting for another one"


def test_the_last_batch_waits_for_none_behind_it() -> None:
    case = verified(**GATED)
    for _ in range(2):
        case.do(Promote())
        if case.plan.batch == 2:
            case.carry_out()
    assert case.plan.batch == 3
    told = gates(case)
    assert {told[name].message for name in ("verified", "grayTime", "confirm")} == {
        "no batch is waiting for another one"
    }


ANSWERED = "the scheduler has answered the newest plan"
AVAILABLE = "available - 1 >= wanted - maxUnavailable"
PODS = "there are pods to install on"
FAILURES = "failed <= failureThreshold"
TIME = "progress is made within progressDeadlineSeconds"


def test_before_anything_was_counted_only_the_scheduler_is_asked_after() -> None:
    case = Case()
    case.apply("1.0.0", replicas=10)
    assert explained(case).clauses == (
        BudgetClause(clause=ANSWERED, holds=False, message="it has not yet: is a scheduler running?"),
    )


def test_the_clauses_of_a_batch_under_way() -> None:
    case = rolling(maxUnavailable=3, failureThreshold=2)
    case.tell(available=9, retrying=4)
    assert explained(case).clauses == (
        BudgetClause(clause=ANSWERED, holds=True),
        BudgetClause(clause=AVAILABLE, holds=True, message="9 - 1 >= 10 - 3: 2 more may be taken down now"),
        BudgetClause(clause=PODS, holds=True),
        BudgetClause(clause=FAILURES, holds=True, message="0 <= 2, 4 more to be tried again"),
        BudgetClause(clause=TIME, holds=True, message="until 2026-01-31 09:10:00 UTC"),
    )


def test_a_plan_that_nobody_has_answered_yet_is_asked_after() -> None:
    case = rolling()
    case.do(Pause())
    assert clauses(case)[ANSWERED].holds is False
    case.tell()
    assert clauses(case)[ANSWERED].holds is True


@pytest.mark.parametrize(
    ("available", "holds", "message"),
    [
        (9, True, "9 - 1 >= 10 - 2: 1 more may be taken down now"),
        (8, False, "8 - 1 >= 10 - 2: none may be taken down now"),
        (7, False, "7 - 1 >= 10 - 2: none may be taken down now"),
    ],
)
def test_the_budgets_arithmetic_is_shown(available: int, holds: bool, message: str) -> None:
    case = rolling()
    case.tell(available=available)
    clause = clauses(case)[AVAILABLE]
    assert (clause.holds, clause.message) == (holds, message)


@pytest.mark.parametrize(
    ("blocked", "problems", "holds", "message"),
    [
        ("InsufficientCapacity", (OTHER, CAPACITY), False, "3 pods are full"),
        ("InsufficientCapacity", (OTHER,), False, ""),
        ("BudgetExhausted", (OTHER, CAPACITY), True, ""),
    ],
)
def test_missing_pods_are_told_in_the_schedulers_words(
    blocked: str, problems: tuple[Problem, ...], holds: bool, message: str
) -> None:
    case = rolling()
    case.tell(blocked=blocked, problems=problems)
    clause = clauses(case)[PODS]
    assert (clause.holds, clause.message) == (holds, message)


@pytest.mark.parametrize(
    ("failed", "holds", "message"),
    [
        (1, True, "1 <= 1"),
        (2, False, "2 <= 1"),
    ],
)
def test_failures_are_held_against_the_threshold(failed: int, holds: bool, message: str) -> None:
    case = rolling(useBeta=False, failureThreshold="10%")
    grown = {"updated": 1, "outcome_updated": 1, "updated_available": 1}
    case.tell(**grown, available=8, failed=failed)
    clause = clauses(case)[FAILURES]
    assert (clause.holds, clause.message) == (holds, message)


def test_the_deadline_stands_still_while_a_person_is_waited_for() -> None:
    clause = clauses(verified(needConfirm=True))[TIME]
    assert (clause.holds, clause.message) == (True, "its clock stands still")


def test_a_deadline_that_is_over_says_since_when() -> None:
    case = rolling(progressDeadlineSeconds=300)
    case.later(300)
    case.later(60)
    clause = clauses(case)[TIME]
    assert (clause.holds, clause.message) == (False, "over since 2026-01-31 09:05:00 UTC")


def test_the_history_tells_what_became_of_every_revision() -> None:
    case = Case()
    case.apply("1.0.0", replicas=10)
    case.later(10)
    case.finish()
    case.later(10)
    case.apply("2.0.0", replicas=10)
    case.later(10)
    case.tell()
    case.do(Abort())
    case.later(10)
    case.finish()
    case.do(Undo(revision=1, by="bob"))
    at = [BEGAN + timedelta(seconds=10 * number) for number in range(5)]
    first = RevisionHistory(
        revision=1,
        version="1.0.0",
        url="http://modules.example/cart-1.0.0.jar",
        generation=1,
        started_at=at[0],
        finished_at=at[1],
        outcome="completed",
        stable=True,
    )
    assert history(case.it).revisions == (
        first,
        RevisionHistory(
            revision=2,
            version="2.0.0",
            url="http://modules.example/cart-2.0.0.jar",
            generation=2,
            started_at=at[2],
            finished_at=at[3],
            outcome="aborted",
        ),
        first.but(
            revision=3,
            generation=3,
            started_at=at[4],
            finished_at=None,
            outcome="",
            by="bob",
            stable=False,
            target=True,
        ),
    )
