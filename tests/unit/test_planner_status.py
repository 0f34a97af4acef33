"""The status: every number, name and time of it, out of what was wished and what was counted."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.unit.planner_desk import BEGAN, Case
from tranche.contract.answer import refused
from tranche.contract.progress import PodSample, Problem
from tranche.contract.status import BudgetStatus, CurrentBatch
from tranche_planner.core.document import Mark
from tranche_planner.core.verbs import reject
from tranche_planner.core.wishes import Abort, Confirm, Delete, Pause, Restart

SAMPLE = PodSample(pod="web-base-1", version="2.0.0", revision=2, state="installing")
COUNTED: dict[str, Any] = {
    "updated": 2,
    "outcome_updated": 2,
    "available": 8,
    "updated_available": 1,
    "failed": 1,
    "retrying": 2,
    "moving": 4,
    "samples": (SAMPLE,),
}


def stable() -> Case:
    case = Case()
    case.apply("1.0.0", replicas=10)
    case.finish()
    return case


def rolling(**changes: Any) -> Case:
    case = stable()
    case.later(60)
    case.apply("2.0.0", **{"replicas": 10, "batchCount": 2, "failureThreshold": 3, **changes})
    case.tell()
    return case


def test_what_was_wished_is_told() -> None:
    case = stable()
    case.later(60)
    case.do(Restart(by="bob"))
    status = case.status
    assert (status.namespace, status.name, status.base, status.module) == ("shop", "cart", "web-base", "cart")
    assert (status.generation, status.observed_generation, status.revision) == (2, 1, 2)
    assert (status.target_version, status.stable_version) == ("1.0.0", "1.0.0")
    assert (status.replicas, status.by) == (10, "bob")
    assert (status.at, status.started_at) == (case.now, case.now)
    assert status.document_revision == case.it.revision > 3
    assert (status.policy, status.upgrade_policy) == ("scatter", "uninstall_then_install")
    case.apply("2.0.0", replicas=3, schedulingPolicy="stacking", upgradePolicy="installThenUninstall")
    assert (case.status.policy, case.status.upgrade_policy) == ("stacking", "install_then_uninstall")
    assert (case.status.target_version, case.status.revision, case.status.by) == ("2.0.0", 3, None)


def test_before_the_first_counts_nothing_is_known() -> None:
    case = Case()
    case.apply("1.0.0", replicas=10)
    status = case.status
    assert (status.updated, status.available, status.updated_available) == (0, 0, 0)
    assert (status.failed, status.moving, status.pods, status.problems) == (0, 0, (), ())
    assert (status.unavailable, status.stable_version) == (10, None)
    assert status.batch == CurrentBatch(current=0, count=0, state="Pending")


def test_what_was_counted_is_told() -> None:
    case = rolling()
    case.tell(**COUNTED)
    status = case.status
    assert (status.updated, status.available, status.updated_available) == (2, 8, 1)
    assert (status.failed, status.moving, status.unavailable) == (3, 4, 2)
    assert (status.pods, status.replicas) == ((SAMPLE,), 10)
    assert status.budget == BudgetStatus(max_unavailable="25%", resolved=2, unavailable=2, headroom=0)
    assert status.batch == CurrentBatch(current=1, count=2, state="Releasing")
    assert status.conditions == case.it.conditions != ()
    assert [gate.gate for gate in status.gates] == ["verified"]
    assert status.started_at == BEGAN + timedelta(seconds=60)


def test_what_was_counted_for_the_wish_before_is_told_only_where_it_still_holds() -> None:
    case = rolling()
    case.tell(**COUNTED, problems=(Problem(reason="PodLost", message="a pod is gone"),))
    assert case.status.problems != ()
    case.apply("3.0.0", replicas=10)
    status = case.status
    assert (status.updated, status.updated_available, status.failed) == (0, 0, 0)
    assert (status.pods, status.problems) == ((), ())
    assert (status.available, status.moving, status.unavailable) == (8, 4, 2)


@pytest.mark.parametrize(
    ("counts", "updated", "available"),
    [
        ({"present": 10, "updated": 4, "available": 9, "updated_available": 4}, 6, 5),
        ({"present": 10, "updated": 4, "available": 10, "updated_available": 3}, 6, 6),
        (
            {"present": 10, "updated": 4, "failed": 1, "retrying": 2, "available": 7, "updated_available": 4},
            3,
            3,
        ),
        ({"present": 2, "updated": 1, "failed": 3, "available": 1, "updated_available": 1}, 0, 0),
        ({"present": 10, "updated": 4, "available": 2, "updated_available": 4}, 6, 0),
    ],
)
def test_while_it_is_aborted_what_is_not_back_yet_is_at_the_version_of_the_wish(
    counts: dict[str, int], updated: int, available: int
) -> None:
    case = rolling()
    case.do(Abort())
    case.tell(moving=1, **counts)
    assert (case.status.updated, case.status.updated_available) == (updated, available)


@pytest.mark.parametrize("leave", [Abort(), Delete()], ids=["the first is aborted", "deleted"])
def test_what_is_taken_away_is_at_the_version_of_the_wish_until_it_is_gone(leave: Any) -> None:
    case = Case()
    case.apply("1.0.0", replicas=5)
    case.tell()
    case.do(leave)
    case.tell(present=4, outcome=0, available=3, updated=1, updated_available=0)
    assert (case.status.updated, case.status.updated_available) == (4, 3)


# --- batches ---


@pytest.mark.parametrize(
    ("batches", "current", "indexes"),
    [
        (60, 1, range(1, 51)),
        (60, 25, range(1, 51)),
        (60, 26, range(2, 52)),
        (60, 34, range(10, 60)),
        (60, 35, range(11, 61)),
        (60, 60, range(11, 61)),
        (50, 40, range(1, 51)),
        (3, 3, range(1, 4)),
    ],
)
def test_fifty_batches_are_told_about_half_of_them_behind_the_current_one(
    batches: int, current: int, indexes: range
) -> None:
    case = Case(pods=60)
    case.apply("1.0.0", replicas=60)
    case.finish()
    case.apply("2.0.0", replicas=60, batchCount=batches)
    case.tell()
    case.document = case.it.but(rollout=case.it.rollout.but(current=current))
    told = case.status.batches
    assert [one.index for one in told] == list(indexes)
    assert [one.state for one in told] == [
        "Verified" if index < current else "Releasing" if index == current else "Pending" for index in indexes
    ]


def test_a_batch_is_told_with_all_that_became_of_it() -> None:
    case = rolling(useBeta=True, needConfirm=True)
    released = case.now
    case.later(5)
    case.carry_out()
    verified = case.now
    case.later(5)
    case.do(Confirm(by="eve", reason="seen"))
    first, second = case.status.batches
    assert (first.index, first.size, first.beta, first.state) == (1, 1, True, "Verified")
    assert (first.started_at, first.verified_at, first.confirmed_at) == (released, verified, case.now)
    assert (first.confirmed_by, first.confirm_reason) == ("eve", "seen")
    assert (second.index, second.size, second.beta, second.state) == (2, 9, False, "Releasing")
    assert (second.started_at, second.verified_at, second.confirmed_at) == (case.now, None, None)


# --- problems ---


def test_a_deadline_that_is_over_is_a_problem_until_it_is_left() -> None:
    case = rolling(progressDeadlineSeconds=300, needConfirm=True)
    case.carry_out()
    case.do(Confirm())
    case.later(300)
    (problem,) = case.status.problems
    assert (problem.reason, problem.message) == (
        "ProgressDeadlineExceeded",
        "no progress for 300 seconds since batch 2 was released",
    )
    case.do(Abort())
    assert case.status.problems == ()


def test_versions_of_somebody_else_are_a_problem_while_they_are_replaced() -> None:
    case = Case()
    case.apply("1.0.0", replicas=2)
    case.revisions = {0: 2}
    case.tell(foreign=("0.8.0", "0.9.0"))
    (problem,) = case.status.problems
    assert (problem.reason, problem.count) == ("Adopted", 2)
    assert problem.message == (
        "0.8.0, 0.9.0 was installed by somebody else and will be replaced: where it came from is not known, "
        "so it cannot be gone back to"
    )
    case.finish()
    case.tell(foreign=("0.8.0",))
    assert case.status.problems == (), "there is nothing left to replace"
    case.do(Delete())
    case.tell(foreign=("0.8.0",), moving=1)
    assert case.status.problems == ()


def test_problems_are_told_in_their_order() -> None:
    case = rolling(progressDeadlineSeconds=300)
    lost = Problem(reason="PodLost", message="a pod is gone")
    case.tell(problems=(lost,), foreign=("0.8.0",))
    case.later(300)
    mark = Mark(sequence=99, time=case.now)
    case.document = reject(case.it, "apply", refused("no"), mark, case.now)
    assert [one.reason for one in case.status.problems] == [
        "PodLost",
        "ProgressDeadlineExceeded",
        "Adopted",
        "Invalid",
    ]
    assert case.status.problems[0] == lost
    case.do(Pause())
    assert [one.reason for one in case.status.problems][-1] == "Adopted", "something newer was accepted"
