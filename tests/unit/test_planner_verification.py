"""When a batch is verified, what is given up, and when nothing is left: by what the scheduler counted."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.unit.planner_desk import BEGAN, Case
from tranche.contract.plan import ALL
from tranche.contract.progress import PodSample, Problem, Progress
from tranche_planner.core.rollout import due
from tranche_planner.core.verification import abandoned, reached, unanswering, verified
from tranche_planner.core.wishes import Abort, Delete, Replace, Retry

FIVE = Progress(
    namespace="shop",
    base="web-base",
    name="cart",
    plan_revision=2,
    generation=1,
    batch=1,
    ledger_revision=7,
    position=9,
    at=BEGAN,
    pods=5,
    present=5,
    outcome=5,
    updated=2,
    outcome_updated=2,
    available=5,
    updated_available=2,
)
"""Five replicas are there and well, two of them at the target."""


@pytest.mark.parametrize(
    ("counts", "level", "there"),
    [
        ({}, {}, True),
        ({"moving": 1}, {}, False),
        ({"retrying": 1}, {}, False),
        ({"maturing": 1}, {}, False),
        ({"outcome": 6}, {}, False),
        ({"outcome": 4}, {}, False),
        ({}, {"replicas": 6}, False),
        ({}, {"replicas": 4}, False),
        ({"down": 1}, {"replicas": 4}, True),
        ({"down": 1}, {"replicas": 3}, False),
        ({"down": 2}, {"replicas": 3}, True),
        ({"failed": 1}, {}, False),
        ({"failed": 1}, {"threshold": 1}, True),
        ({"failed": 2}, {"threshold": 1}, False),
        ({"updated_available": 1}, {}, False),
        ({}, {"updated": 1}, True),
        ({}, {"updated": 3}, False),
        ({"failed": 1}, {"updated": 3, "threshold": 1}, True),
        ({"failed": 1}, {"updated": 4, "threshold": 1}, False),
        ({"down": 3}, {"updated": 4}, True),
        ({"down": 2}, {"updated": 3}, False),
        ({}, {"updated": ALL}, False),
        ({"updated": 5, "updated_available": 5}, {"updated": ALL}, True),
        ({"updated": 4, "updated_available": 4, "down": 1}, {"updated": ALL}, True),
        ({}, {"replicas": ALL}, True),
        ({"pods": 6}, {"replicas": ALL}, False),
        ({"pods": 4}, {"replicas": ALL}, True),
    ],
)
def test_when_a_level_is_reached(counts: dict[str, int], level: dict[str, int], there: bool) -> None:
    assert reached(FIVE.but(**counts), **{"replicas": 5, "updated": 2, **level}) == there


def rolling(**changes: Any) -> Case:
    """Ten replicas of 1.0.0, the first of three batches to 2.0.0 is released: three of them."""
    case = Case()
    case.apply("1.0.0", replicas=10)
    case.finish()
    case.apply("2.0.0", **{"replicas": 10, "batchCount": 3, "maxUnavailable": 5, **changes})
    case.tell()
    assert (case.plan.batch, case.plan.updated) == (1, 3)
    return case


def phase_of(case: Case) -> str:
    return case.status.phase


def at_target(count: int, **more: Any) -> dict[str, Any]:
    return {"updated": count, "outcome_updated": count, "updated_available": count, **more}


@pytest.mark.parametrize(
    ("counts", "failed"),
    [
        (at_target(2, available=9, failed=1), 0),
        (at_target(1, available=8, failed=2), 0),
        (at_target(0, available=8, failed=2), 0),
        (at_target(0, available=7, failed=3), 0),
        (at_target(0, available=6, failed=4), 4),
        (at_target(2, available=6, failed=4), 4),
    ],
)
def test_failures_hold_the_rollout_where_they_are_more_than_may_be(
    counts: dict[str, Any], failed: int
) -> None:
    case = rolling(failureThreshold=3)
    # While something moves nobody knows yet what the batch will have brought.
    case.tell(**counts, moving=1)
    assert (phase_of(case) == "Degraded") == (failed > 0)
    assert case.status.message.startswith(f"{failed} replicas failed") == (failed > 0)


@pytest.mark.parametrize(
    ("counts", "phase"),
    [
        (at_target(0, available=7, failed=3), "Degraded"),
        (at_target(0, available=7, failed=3, moving=1), "Progressing"),
        (at_target(0, available=7, failed=2, retrying=1), "Progressing"),
        (at_target(0, available=7, failed=2, maturing=1), "Progressing"),
        (at_target(0, available=7, failed=2), "Progressing"),
        (at_target(0, available=8, failed=2, down=8), "Degraded"),
        (at_target(0, available=8, failed=2, down=7), "Progressing"),
        (at_target(0, available=10), "Progressing"),
    ],
)
def test_a_batch_that_brought_nothing_but_failures_holds_once_it_is_done(
    counts: dict[str, Any], phase: str
) -> None:
    case = rolling(failureThreshold=3)
    case.tell(**counts)
    assert (phase_of(case), case.plan.batch) == (phase, 1)
    if phase == "Degraded":
        assert f"{counts['failed']} replicas failed" in case.status.message


def test_what_a_batch_brought_is_counted_from_its_release() -> None:
    case = rolling(failureThreshold=3)
    case.tell(**at_target(3))
    assert (case.plan.batch, case.plan.updated) == (2, 6)
    case.tell(**at_target(3, available=7, failed=3))
    assert phase_of(case) == "Degraded", "the three that came are of the batch before"
    again = rolling(failureThreshold=3)
    again.tell(**at_target(3))
    again.tell(**at_target(4, available=8, failed=2))
    assert again.plan.batch == 3


def test_the_last_batch_is_done_when_all_are_at_the_target_or_failed() -> None:
    case = rolling(failureThreshold=4)
    case.tell(**at_target(3))
    case.tell(**at_target(6))
    assert (case.plan.batch, case.plan.updated) == (3, ALL)
    case.tell(**at_target(6, available=7, failed=3))
    assert phase_of(case) == "Progressing"
    case.tell(**at_target(6, available=6, failed=4))
    assert phase_of(case) == "Degraded"


def test_a_batch_that_only_takes_away_needs_to_bring_nothing() -> None:
    case = Case()
    case.apply("1.0.0", replicas=10)
    case.finish()
    case.apply("1.0.0", replicas=6, failureThreshold=1)
    case.tell(failed=1, updated=9, updated_available=9, outcome_updated=9, available=9)
    assert case.plan.batch == 1
    case.revisions = {1: 6}
    case.tell(failed=1, updated=5, updated_available=5, outcome_updated=5, available=5)
    assert (case.plan.complete, case.status.stable_version) == (True, "1.0.0")


def test_a_batch_whose_pods_are_all_down_holds_nothing_up() -> None:
    case = rolling()
    case.tell(**at_target(0, available=0, down=10))
    assert (case.plan.batch, case.plan.updated) == (2, 6)


def test_what_failed_under_the_wish_before_is_not_given_up_under_this_one() -> None:
    case = rolling()
    case.tell(available=9, failed=1)
    case.apply("3.0.0", replicas=10)
    assert (phase_of(case), case.status.batch.state) == ("Pending", "Pending")


def test_what_failed_and_what_is_tried_again_are_told_together_once_it_is_complete() -> None:
    case = rolling(failureThreshold=2)
    for count in (3, 6, 8):
        case.tell(**at_target(count, available=8 if count == 8 else 10, failed=2 if count == 8 else 0))
    assert case.plan.complete
    case.tell(**at_target(7, available=7, failed=2, retrying=1))
    assert case.status.message == ("complete, but 3 replicas failed; tranche retry shop/cart tries again")


def test_a_retry_starts_the_clock_at_once() -> None:
    case = rolling()
    case.tell(available=9, failed=1)
    assert due(case.it) is None
    case.do(Retry())
    assert due(case.it) == case.now + timedelta(seconds=600)


def test_what_was_counted_for_another_plan_gives_nothing_up() -> None:
    case = rolling(failureThreshold=3)
    case.do(Retry())
    case.tell(plan_revision=case.plan.revision - 1, **at_target(0, available=7, failed=3))
    assert phase_of(case) == "Progressing"
    case.tell(**at_target(0, available=7, failed=3))
    assert phase_of(case) == "Degraded"


def test_counts_that_do_not_know_of_the_retry_give_nothing_up() -> None:
    case = rolling()
    case.tell(available=9, failed=1)
    asked = case.plan.revision
    case.do(Retry())
    assert case.plan.revision == asked + 1
    case.tell(plan_revision=asked, available=9, failed=1)
    assert phase_of(case) == "Progressing"
    case.tell(plan_revision=asked + 1, available=9, failed=1)
    assert phase_of(case) == "Degraded"


def test_before_anything_was_counted_nothing_is_verified() -> None:
    case = Case()
    case.apply("1.0.0", replicas=3)
    assert (verified(case.it), abandoned(case.it)) == (False, False)


def test_a_replica_lost_at_the_target_is_waited_for_where_nothing_is_stable() -> None:
    case = Case()
    case.apply("1.0.0", replicas=8, batchCount=2, needConfirm=True)
    case.tell()
    assert (case.plan.replicas, case.plan.updated) == (4, 4)
    case.revisions = {1: 3}
    case.tell()
    assert case.gates == ["verified"]
    case.revisions = {1: 4}
    case.tell()
    assert case.gates == ["confirm"]


def test_a_failed_replica_takes_its_place_in_a_batch_where_nothing_is_stable() -> None:
    case = Case()
    case.apply("1.0.0", replicas=10)
    case.revisions = {1: 6}
    case.apply("2.0.0", replicas=10, batchCount=3, needConfirm=True, maxUnavailable=5, failureThreshold=1)
    case.tell(placeable=4)
    assert (case.plan.replicas, case.plan.updated) == (9, 3)
    case.tell(**at_target(2, present=8, outcome=8, available=7, failed=1))
    assert case.gates == ["confirm"], "the one that was lost joins what is left"


def test_what_fails_on_the_way_back_is_not_given_up() -> None:
    case = rolling()
    case.do(Abort())
    case.tell(available=9, failed=1)
    status = case.status
    assert (status.phase, status.batch.state, status.event.reason) == ("Aborting", "Releasing", "Aborted")


# --- the ends ---


@pytest.mark.parametrize(
    ("counts", "phase"),
    [
        ({}, "Aborted"),
        ({"present": 1}, "Aborting"),
        ({"present": 1, "outcome": 1, "down": 1}, "Aborting"),
        ({"outcome": 1}, "Aborting"),
        ({"moving": 1}, "Aborting"),
    ],
)
def test_the_abort_of_a_first_installation_ends_when_nothing_is_left(
    counts: dict[str, int], phase: str
) -> None:
    case = Case()
    case.apply("1.0.0", replicas=3)
    case.tell()
    case.do(Abort())
    case.tell(**counts)
    assert phase_of(case) == phase


def test_an_answer_to_another_plan_ends_no_deletion() -> None:
    case = Case()
    case.apply("1.0.0", replicas=3)
    case.finish()
    case.do(Delete())
    case.revisions = {}
    case.tell(plan_revision=case.plan.revision - 1)
    assert phase_of(case) != "Deleted"
    case.tell()
    assert phase_of(case) == "Deleted"


@pytest.mark.parametrize(
    ("counts", "phase"),
    [
        ({"down": 3}, "Deleted"),
        ({"down": 2}, "Deleting"),
        ({"down": 2, "stuck": 1}, "Deleted"),
        ({"down": 2, "stuck": 1, "moving": 1}, "Deleted"),
        ({"down": 3, "moving": 1}, "Deleting"),
        ({"down": 2, "stuck": 1, "moving": 2}, "Deleting"),
    ],
)
def test_an_abandoned_deletion_ends_when_all_that_is_left_does_not_answer(
    counts: dict[str, int], phase: str
) -> None:
    case = Case()
    case.apply("1.0.0", replicas=3)
    case.finish()
    case.do(Delete(abandon=True))
    early = case.counts(plan_revision=case.plan.revision - 1, **counts)
    case.see(early)
    assert phase_of(case) != "Deleted", "the scheduler does not know of it yet"
    case.tell(**counts)
    if "stuck" in counts and phase == "Deleted":
        case.tell(**counts)  # the plan says by now how many may be stuck
    assert phase_of(case) == phase


def sample(pod: str) -> PodSample:
    return PodSample(pod=pod, version="1.0.0", revision=1, state="failed")


def test_the_pods_that_do_not_answer_are_named_once_and_in_order() -> None:
    told = FIVE.but(
        problems=(
            Problem(reason="PodUnreachable", message="no answer", pods=("d", "a")),
            Problem(reason="OperationStuck", message="no end", pods=("e",)),
        ),
        unavailable_pods=("c", "a"),
        samples=(sample("b"), sample("d")),
    )
    assert unanswering(told) == ("a", "b", "c", "d", "e")
    assert unanswering(told.but(present=3)) == ("a", "b", "c"), "no more than there are replicas"


def test_at_most_twenty_pods_are_named() -> None:
    names = tuple(f"pod-{number:02}" for number in range(30))
    assert unanswering(FIVE.but(present=30, unavailable_pods=names)) == names[:20]


# --- more are there than are wanted: the last batch takes them away ---


def fewer_wanted() -> Case:
    """Ten replicas of 1.0.0 are to be eight of 2.0.0: two go in the last batch."""
    case = Case()
    case.apply("1.0.0", replicas=10)
    case.finish()
    case.apply("2.0.0", replicas=8, batchCount=3, maxUnavailable=5)
    case.tell()
    assert (case.plan.batch, case.plan.replicas, case.plan.updated, case.plan.wanted) == (1, 10, 3, 8)
    return case


@pytest.mark.parametrize(
    ("present", "verified_"), [(11, False), (10, True), (9, True), (8, True), (7, False), (0, False)]
)
def test_a_batch_does_not_wait_for_replicas_that_the_last_one_would_take_away(
    present: int, verified_: bool
) -> None:
    case = fewer_wanted()
    case.revisions = {1: present - 3, 2: 3}
    case.tell(present=present, outcome=present, available=present, **at_target(3))
    assert case.plan.batch == (2 if verified_ else 1)


@pytest.mark.parametrize(("present", "left"), [(10, ()), (8, ()), (7, ("web-base-1",))])
def test_a_replica_is_placed_elsewhere_only_as_far_as_it_is_wanted(
    present: int, left: tuple[str, ...]
) -> None:
    case = fewer_wanted()
    case.do(Replace(pod="web-base-1"))
    case.tell(evicting=0, present=present, outcome=present, available=present, **at_target(3))
    assert case.plan.evict == left
