"""What is left of a rollout, cut again: for another number of replicas, or for what is missing meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.planner_desk import Case
from tranche.contract.plan import ALL
from tranche_planner.core.wishes import Confirm, Delete, Promote, Scale


def levels(case: Case) -> list[tuple[int, int, int]]:
    """Size, replicas and how many of them at the target, by batch."""
    return [(one.size, one.replicas, one.updated) for one in case.it.rollout.batches]


def rolling(batch: int = 1, **changes: Any) -> Case:
    """From 1.0.0 to 2.0.0, so many batches of four released, of which the last is not verified."""
    case = Case(pods=60)
    case.apply("1.0.0", replicas=12)
    case.finish()
    case.apply("2.0.0", **{"replicas": 12, "batchCount": 4, "needConfirm": True, **changes})
    case.tell()
    for _ in range(1, batch):
        case.carry_out()
        case.do(Confirm())
    assert case.plan.batch == batch
    return case


def first_rollout(batch: int = 1) -> Case:
    """A first installation, so many batches of three released."""
    case = Case(pods=60)
    case.apply("1.0.0", replicas=12, batchCount=3, needConfirm=True)
    case.tell()
    for _ in range(1, batch):
        case.carry_out()
        case.do(Confirm())
    assert case.plan.batch == batch
    return case


@pytest.mark.parametrize(
    ("batch", "replicas", "told"),
    [
        (1, 12, [(3, 12, 3), (3, 12, 6), (3, 12, 9), (3, 12, ALL)]),
        (1, 20, [(3, 20, 3), (5, 20, 8), (6, 20, 14), (6, 20, ALL)]),
        (2, 20, [(3, 12, 3), (3, 20, 6), (7, 20, 13), (7, 20, ALL)]),
        (3, 20, [(3, 12, 3), (3, 12, 6), (3, 20, 9), (11, 20, ALL)]),
        (4, 20, [(3, 12, 3), (3, 12, 6), (3, 12, 9), (3, 20, ALL)]),
        (1, 6, [(3, 6, 3), (1, 6, 4), (1, 6, 5), (1, 6, ALL)]),
        (2, 7, [(3, 12, 3), (3, 7, 6), (1, 7, ALL)]),
        (2, 6, [(3, 12, 3), (3, 6, ALL)]),
        (2, 2, [(3, 12, 3), (3, 2, ALL)]),
        (1, 0, [(3, 0, ALL)]),
    ],
)
def test_with_a_stable_version_replicas_are_added_and_removed_at_once(
    batch: int, replicas: int, told: list[tuple[int, int, int]]
) -> None:
    case = rolling(batch)
    case.do(Scale(replicas=replicas))
    assert levels(case) == told


@pytest.mark.parametrize(
    ("batch", "replicas", "told"),
    [
        (1, 20, [(4, 4, 4), (8, 12, 12), (8, 20, ALL)]),
        (2, 20, [(4, 4, 4), (4, 8, 8), (12, 20, ALL)]),
        (3, 20, [(4, 4, 4), (4, 8, 8), (4, 20, ALL)]),
        (1, 6, [(4, 4, 4), (1, 5, 5), (1, 6, ALL)]),
        (1, 4, [(4, 4, ALL)]),
        (1, 3, [(4, 3, ALL)]),
        (2, 5, [(4, 4, 4), (4, 5, ALL)]),
    ],
)
def test_with_nothing_stable_added_replicas_join_what_is_left(
    batch: int, replicas: int, told: list[tuple[int, int, int]]
) -> None:
    case = first_rollout(batch)
    case.do(Scale(replicas=replicas))
    assert levels(case) == told


def test_replicas_on_pods_that_are_down_are_in_no_batch_that_is_cut_again() -> None:
    case = rolling(maxUnavailable=8)
    case.tell(down=4, available=8)
    case.do(Scale(replicas=13))
    assert levels(case) == [(3, 13, 3), (2, 13, 5), (2, 13, 7), (2, 13, ALL)]


def test_more_replicas_before_anything_was_counted_are_cut_when_they_are() -> None:
    case = Case(pods=60)
    case.apply("1.0.0", replicas=12, batchCount=3)
    case.do(Scale(replicas=6))
    assert (levels(case), case.plan.mode) == ([], "open")
    case.tell()
    assert levels(case) == [(2, 2, 2), (2, 4, 4), (2, 6, ALL)]


# --- what is missing comes first ---

SPENT = {"blocked": "BudgetExhausted"}


def missing() -> Case:
    """Six of ten are there, no pod could take another when it was cut; nothing is stable."""
    case = Case(pods=10)
    case.apply("1.0.0", replicas=10)
    case.revisions = {1: 6}
    case.apply("2.0.0", replicas=10, batchCount=3, needConfirm=True, maxUnavailable=2)
    case.tell(placeable=0)
    assert levels(case) == [(3, 6, 3), (3, 6, 6), (4, 10, ALL)]
    return case


@pytest.mark.parametrize(
    ("counts", "replicas"),
    [
        ({"placeable": 4}, 9),
        ({"placeable": 1}, 7),
        ({"placeable": 0}, 6),
        ({"placeable": 4, "moving": 1}, 6),
        ({"placeable": 4, "blocked": ""}, 6),
        ({"placeable": 4, "blocked": "InsufficientCapacity"}, 6),
        ({"placeable": 4, "updated": 1}, 8),
        ({"placeable": 4, "updated": 1, "failed": 1}, 7),
        ({"placeable": 4, "updated": 1, "failed": 1, "retrying": 1}, 6),
        ({"placeable": 4, "updated": 1, "retrying": 1}, 7),
        ({"placeable": 4, "present": 5}, 8),
        ({"placeable": 4, "present": 3}, 6),
        ({"placeable": 4, "present": 7}, 10),
    ],
)
def test_what_is_missing_is_installed_before_more_is_replaced(counts: dict[str, Any], replicas: int) -> None:
    case = missing()
    case.tell(**{**SPENT, **counts})
    assert (case.plan.replicas, case.plan.updated) == (replicas, 3)


def test_the_batches_to_come_ask_for_no_fewer_than_the_one_before() -> None:
    case = missing()
    case.tell(**SPENT, placeable=4)
    assert levels(case) == [(3, 9, 3), (3, 9, 6), (4, 10, ALL)]
    case.revisions = {1: 6, 2: 3}
    case.tell(placeable=1)
    case.do(Confirm())
    assert (case.plan.batch, case.plan.replicas) == (2, 9)
    case.revisions = {1: 5, 2: 3}
    case.tell(**SPENT, placeable=2)
    assert levels(case) == [(3, 9, 3), (3, 10, 6), (4, 10, ALL)], "a batch that is verified stays as it was"


def test_a_last_batch_and_an_answer_to_an_older_plan_install_nothing_first() -> None:
    case = missing()
    before = levels(case)
    case.tell(**SPENT, placeable=4, plan_revision=case.plan.revision - 1)
    assert levels(case) == before
    last = Case(pods=10)
    last.apply("1.0.0", replicas=10)
    last.revisions = {1: 6}
    last.apply("2.0.0", replicas=10, maxUnavailable=2)
    last.tell(placeable=0)
    last.tell(**SPENT, placeable=4)
    assert [(one.replicas, one.updated) for one in last.it.rollout.batches] == [(10, ALL)]


def test_a_last_batch_that_also_removes_takes_nothing_back() -> None:
    case = Case()
    case.apply("1.0.0", replicas=10)
    case.finish()
    case.apply("2.0.0", replicas=6)
    case.tell()
    case.tell(**SPENT)
    assert levels(case) == [(10, 6, ALL)]


def test_added_replicas_come_before_replacements_where_nothing_is_stable() -> None:
    case = Case(pods=20)
    case.apply("1.0.0", replicas=10)
    case.revisions = {1: 6}
    case.apply("2.0.0", replicas=10, batchCount=3)
    case.tell()
    assert levels(case) == [(3, 9, 3), (3, 10, 6), (4, 10, ALL)]
    case.do(Scale(replicas=14))
    assert levels(case) == [(3, 9, 3), (5, 14, 8), (6, 14, ALL)]


def test_pods_that_come_change_nothing_where_replicas_are_numbered() -> None:
    case = rolling()
    before = levels(case)
    case.pods = 30
    case.carry_out()
    case.do(Confirm())
    assert (levels(case), case.plan.batch) == (before, 2)


# --- peers whose pods come and go ---


def peer(**changes: Any) -> Case:
    """Eight pods, the first of four batches is verified."""
    case = Case(pods=8)
    case.apply("1.0.0", replicas=-1)
    case.finish()
    case.apply("2.0.0", **{"replicas": -1, "batchCount": 4, "needConfirm": True, **changes})
    case.tell()
    case.carry_out()
    return case


@pytest.mark.parametrize(
    ("pods", "revisions", "told"),
    [
        (8, {1: 6, 2: 2}, [(2, ALL, 2), (2, ALL, 4), (2, ALL, 6), (2, ALL, ALL)]),
        (14, {1: 12, 2: 2}, [(2, ALL, 2), (4, ALL, 6), (4, ALL, 10), (4, ALL, ALL)]),
        (5, {1: 3, 2: 2}, [(2, ALL, 2), (1, ALL, 3), (1, ALL, 4), (1, ALL, ALL)]),
        (11, {1: 7, 2: 4}, [(2, ALL, 2), (3, ALL, 5), (3, ALL, 8), (3, ALL, ALL)]),
    ],
)
def test_a_peer_is_cut_again_for_the_pods_there_are(
    pods: int, revisions: dict[int, int], told: list[tuple[int, int, int]]
) -> None:
    case = peer()
    assert case.it.rollout.pods == 8
    case.pods, case.revisions = pods, revisions
    case.tell()
    case.do(Confirm())
    assert (levels(case), case.plan.batch) == (told, 2)
    assert case.it.rollout.pods == pods


def test_a_first_rollout_of_a_peer_counts_what_it_brought() -> None:
    case = Case(pods=8)
    case.apply("1.0.0", replicas=-1, batchCount=4, needConfirm=True)
    case.tell()
    assert levels(case) == [(2, 2, 2), (2, 4, 4), (2, 6, 6), (2, ALL, ALL)]
    case.carry_out()
    case.pods = 14
    case.tell()
    case.do(Confirm())
    assert levels(case) == [(2, 2, 2), (4, 6, 6), (4, 10, 10), (4, ALL, ALL)]


def test_a_spent_budget_leaves_the_batches_of_a_peer_as_they_are() -> None:
    case = peer(needConfirm=False)
    assert case.plan.batch == 2
    before = levels(case)
    case.tell(**SPENT)
    assert levels(case) == before


def test_a_peer_that_installs_first_still_ends_on_every_pod() -> None:
    case = Case(pods=10)
    case.apply("1.0.0", replicas=-1)
    case.revisions = {1: 6}
    case.apply("2.0.0", replicas=-1, batchCount=3)
    case.tell(placeable=0)
    assert levels(case) == [(3, 6, 3), (3, 6, 6), (4, ALL, ALL)]
    case.tell(**SPENT, placeable=4)
    assert levels(case) == [(3, 9, 3), (3, 9, 6), (4, ALL, ALL)]


def test_failed_replicas_take_part_in_what_a_peer_has_reached() -> None:
    case = peer(failureThreshold=1, maxUnavailable=4)
    case.pods = 14
    case.revisions = {1: 12, 2: 2}
    case.tell(updated=1, outcome_updated=1, updated_available=1, failed=1, available=13)
    case.do(Confirm())
    assert levels(case)[:2] == [(2, ALL, 2), (4, ALL, 6)]


def test_promoted_in_full_a_peer_follows_its_pods_batch_by_batch() -> None:
    case = peer()
    case.do(Promote(full=True))
    assert case.plan.batch == 2
    case.pods = 20
    case.carry_out()
    case.finish()
    assert (case.status.phase, case.status.available) == ("Healthy", 20)
    case.do(Delete())
    case.finish()
    assert case.status.phase == "Deleted"
