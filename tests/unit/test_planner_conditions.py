"""The conditions of a status: what each says in which state, and since when (design 1.4)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.planner_desk import BEGAN, Case
from tranche.contract.progress import Problem
from tranche.contract.status import Condition
from tranche_planner.core.wishes import Abort, Delete, Pause

Row = tuple[str, str, str]


def first() -> Case:
    case = Case()
    case.apply("1.0.0", replicas=4)
    return case


def healthy() -> Case:
    case = first()
    case.finish()
    return case


def rolling(**changes: object) -> Case:
    case = healthy()
    case.apply("2.0.0", replicas=4, batchCount=2, needConfirm=True, **changes)
    case.tell()
    return case


def waiting() -> Case:
    case = rolling()
    case.carry_out()
    return case


def paused() -> Case:
    case = rolling()
    case.do(Pause(by="bob", reason="lunch"))
    case.tell()
    return case


def failing() -> Case:
    case = rolling()
    case.tell(available=2, failed=1, retrying=1)
    return case


def spent() -> Case:
    case = rolling()
    case.tell(available=3, blocked="BudgetExhausted")
    return case


def full() -> Case:
    case = rolling()
    words = "no pod has room for one more"
    problem = Problem(reason="InsufficientCapacity", message=words)
    case.tell(blocked="InsufficientCapacity", problems=(problem,))
    return case


def aborting() -> Case:
    case = rolling()
    case.do(Abort())
    case.tell(moving=1)
    return case


def aborted() -> Case:
    case = aborting()
    case.carry_out()
    return case


def deleting() -> Case:
    case = healthy()
    case.do(Delete())
    case.tell(moving=1)
    return case


def deleted() -> Case:
    case = deleting()
    case.carry_out()
    return case


def rows(case: Case) -> dict[str, Condition]:
    return {one.type: one for one in case.status.conditions}


def row(case: Case, kind: str) -> Row:
    one = rows(case)[kind]
    return one.status, one.reason, one.message


TOLD: list[tuple[Callable[[], Case], str, Row]] = [
    (first, "Available", ("False", "TooFewAvailable", "0 of 4 are available, 1 may be unavailable")),
    (healthy, "Available", ("True", "MinimumAvailable", "4 of 4 are available, 1 may be unavailable")),
    (spent, "Available", ("True", "MinimumAvailable", "3 of 4 are available, 1 may be unavailable")),
    (failing, "Available", ("False", "TooFewAvailable", "2 of 4 are available, 1 may be unavailable")),
    (first, "BudgetAvailable", ("False", "BudgetExhausted", "4 of 4 are unavailable, 1 may be")),
    (healthy, "BudgetAvailable", ("True", "WithinBudget", "0 of 4 are unavailable, 1 may be")),
    (spent, "BudgetAvailable", ("False", "BudgetExhausted", "1 of 4 are unavailable, 1 may be")),
    (deleted, "BudgetAvailable", ("True", "WithinBudget", "0 of 0 are unavailable, 1 may be")),
    (paused, "Paused", ("True", "Paused", "paused by bob: lunch; nothing new is disturbed")),
    (healthy, "Paused", ("False", "RolloutCompleted", "")),
    (full, "Schedulable", (
        "False",
        "InsufficientCapacity",
        "no pod has room for one more; it goes on by itself when that changes",
    )),
    (spent, "Schedulable", ("True", "Schedulable", "")),
    (first, "Schedulable", ("True", "Schedulable", "")),
    (failing, "ReplicaFailure", ("True", "InstallFailed", "2 replicas failed")),
    (healthy, "ReplicaFailure", ("False", "NoFailure", "")),
    (first, "ReplicaFailure", ("False", "NoFailure", "")),
    (healthy, "Completed", ("True", "RolloutCompleted", "4 available at 1.0.0")),
    (paused, "Completed", ("False", "Paused", "paused by bob: lunch; nothing new is disturbed")),
    (rolling, "Completed", ("False", "BatchReleased", "batch 1 of 2 is under way: 0 available at 2.0.0")),
]  # fmt: skip


@pytest.mark.parametrize(("state", "kind", "expected"), TOLD)
def test_what_a_condition_says(state: Callable[[], Case], kind: str, expected: Row) -> None:
    assert row(state(), kind) == expected


@pytest.mark.parametrize(
    ("state", "moves"),
    [
        (first, True),
        (rolling, True),
        (waiting, True),
        (aborting, True),
        (deleting, True),
        (healthy, False),
        (paused, False),
        (spent, False),
        (failing, False),
        (aborted, False),
        (deleted, False),
    ],
)
def test_progressing_is_what_goes_on_by_itself_or_waits_for_somebody(
    state: Callable[[], Case], moves: bool
) -> None:
    case = state()
    status = case.status
    assert row(case, "Progressing") == (str(moves), status.reason, status.message)


@pytest.mark.parametrize("state", [aborted, deleted])
def test_only_a_rollout_completes(state: Callable[[], Case]) -> None:
    case = state()
    assert row(case, "Completed") == ("False", case.status.reason, case.status.message)


def test_a_single_failure_is_a_replica_failure() -> None:
    for about in ({"failed": 1}, {"retrying": 1}):
        case = rolling()
        case.tell(available=3, **about)
        assert row(case, "ReplicaFailure")[:2] == ("True", "InstallFailed")


def test_every_condition_says_since_when_and_of_what_generation() -> None:
    case = healthy()
    assert list(rows(case)) == [
        "Available", "Progressing", "Paused", "BudgetAvailable", "Schedulable", "ReplicaFailure", "Completed"
    ]  # fmt: skip
    assert {one.observed_generation for one in rows(case).values()} == {1}
    case.later(60)
    case.apply("2.0.0", replicas=4)
    assert {one.observed_generation for one in rows(case).values()} == {1}, "nobody has counted for it yet"
    case.tell()
    after = rows(case)
    assert {one.observed_generation for one in after.values()} == {2}
    assert {kind for kind, one in after.items() if one.last_transition_time == case.now} == {
        "Progressing", "Completed"
    }  # fmt: skip
    assert {one.last_transition_time for one in after.values()} == {BEGAN, case.now}
