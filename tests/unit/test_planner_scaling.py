"""Another number of replicas, in and out of a rollout; and peers whose pods come and go (design 1.2)."""

from __future__ import annotations

import pytest

from tests.unit.planner_desk import Case
from tranche.contract.answer import AcceptedAnswer, RefusedAnswer
from tranche.contract.plan import ALL
from tranche_planner.core.wishes import Abort, Confirm, Scale

STEPS = {"batchCount": 3, "useBeta": True, "needConfirm": True}


@pytest.fixture
def stable() -> Case:
    case = Case(pods=40)
    case.apply("1.0.0", replicas=10)
    case.finish()
    return case


def sizes(case: Case) -> list[int]:
    return [batch.size for batch in case.status.batches]


def test_scaling_a_healthy_one_is_a_rollout_of_its_own(stable: Case) -> None:
    answer = stable.do(Scale(replicas=14, by="bob"))
    assert isinstance(answer, AcceptedAnswer)
    assert (answer.generation, stable.plan.mode) == (2, "open")
    assert (stable.status.event.reason, stable.status.by) == ("Scaled", "bob")
    stable.finish()
    status = stable.status
    assert (status.phase, status.replicas, status.available) == ("Healthy", 14, 14)
    again = stable.do(Scale(replicas=14))
    assert isinstance(again, AcceptedAnswer)
    assert (again.generation, "already" in again.message) == (2, True)


def test_scaling_up_within_a_rollout_keeps_batches_and_confirms(stable: Case) -> None:
    stable.apply("2.0.0", replicas=10, **STEPS)
    stable.tell()
    stable.carry_out()
    stable.do(Confirm(batch=1, by="eve"))
    stable.carry_out()
    assert (stable.plan.batch, sizes(stable), stable.gates) == (2, [1, 4, 5], ["confirm"])

    answer = stable.do(Scale(replicas=14))
    assert isinstance(answer, AcceptedAnswer)
    assert (stable.plan.mode, stable.plan.batch) == ("roll", 2)
    assert (stable.plan.replicas, stable.plan.updated, stable.plan.wanted) == (14, 5, 14), (
        "at once, at stable"
    )
    assert sizes(stable) == [1, 4, 9]
    assert stable.status.batches[0].confirmed_by == "eve"
    stable.carry_out()
    assert stable.gates == ["confirm"]
    assert isinstance(stable.do(Confirm(generation=2, batch=2)), AcceptedAnswer), "the same rollout"
    assert (stable.plan.replicas, stable.plan.updated) == (14, ALL)
    stable.finish()
    assert stable.status.available == 14


def test_scaling_down_within_a_rollout_goes_at_once(stable: Case) -> None:
    stable.apply("2.0.0", replicas=10, **STEPS)
    stable.tell()
    stable.carry_out()
    stable.do(Scale(replicas=6))
    assert (stable.plan.replicas, stable.plan.updated, stable.plan.batch) == (6, 1, 1)
    assert sizes(stable) == [1, 2, 3]


def test_scaling_below_what_is_at_the_target_leaves_nothing_to_cut(stable: Case) -> None:
    stable.apply("2.0.0", replicas=10, **STEPS)
    stable.tell()
    stable.carry_out()
    stable.do(Confirm())
    stable.carry_out()
    stable.do(Scale(replicas=3))
    assert (stable.plan.replicas, stable.plan.updated) == (3, ALL)
    assert stable.status.batch.count == 2
    stable.finish()
    assert stable.status.available == 3


def test_with_no_stable_they_join_what_is_left() -> None:
    case = Case(pods=40)
    case.apply("1.0.0", replicas=6, batchCount=3)
    case.tell()
    case.do(Scale(replicas=12))
    assert (case.plan.replicas, case.plan.updated) == (2, 2), "nothing at once"
    assert sizes(case) == [2, 5, 5]
    case.finish()
    assert case.status.available == 12


def test_in_the_last_batch_they_join_it(stable: Case) -> None:
    stable.apply("2.0.0", replicas=10)
    stable.tell()
    stable.do(Scale(replicas=12))
    assert (stable.plan.replicas, stable.plan.updated, stable.plan.batch) == (12, ALL, 1)


def test_abort_after_scaling_goes_back_to_the_replicas_of_before(stable: Case) -> None:
    stable.apply("2.0.0", replicas=10, **STEPS)
    stable.tell()
    stable.do(Scale(replicas=20))
    stable.do(Abort())
    assert (stable.plan.replicas, stable.plan.wanted) == (10, 10)


def test_a_peer_is_not_scaled_by_hand() -> None:
    case = Case(pods=4)
    case.apply("1.0.0", replicas=-1)
    case.finish()
    answer = case.do(Scale(replicas=3))
    assert isinstance(answer, RefusedAnswer)
    assert "follows the pods" in answer.errors[0].message


def test_a_manifest_that_changes_replicas_alone_does_the_same(stable: Case) -> None:
    stable.apply("2.0.0", replicas=10, **STEPS)
    stable.tell()
    stable.apply("2.0.0", replicas=12, **STEPS)
    assert (stable.plan.mode, stable.plan.replicas, stable.plan.generation) == ("roll", 12, 3)
    assert stable.status.event.reason == "Scaled"


def test_a_peer_that_grows_is_cut_again_behind_a_verified_batch() -> None:
    case = Case(pods=8)
    case.apply("1.0.0", replicas=-1)
    case.finish()
    case.apply("2.0.0", replicas=-1, batchCount=4, needConfirm=True)
    case.tell()
    assert (case.plan.replicas, case.plan.updated, sizes(case)) == (ALL, 2, [2, 2, 2, 2])
    case.carry_out()
    case.pods = 14
    case.carry_out()
    assert case.gates == ["confirm"]
    assert case.status.replicas == 14
    case.do(Confirm())
    assert (case.plan.updated, sizes(case)) == (6, [2, 4, 4, 4])
    case.carry_out()
    case.do(Confirm())
    case.pods = 11
    case.revisions = {1: 2, 2: 9}
    case.tell()
    assert (case.plan.batch, case.plan.updated) == (3, 10)
    assert case.gates[0] == "verified"


def test_a_peer_whose_pods_are_as_before_keeps_its_batches() -> None:
    case = Case(pods=7)
    case.apply("1.0.0", replicas=-1)
    case.finish()
    case.apply("2.0.0", replicas=-1, batchCount=5)
    case.tell()
    before = sizes(case)
    assert before == [1, 1, 1, 2, 2] or sum(before) == 7
    for _ in range(4):
        case.carry_out()
    assert sizes(case) == before


def test_a_peer_of_which_nothing_is_left_to_change_completes() -> None:
    case = Case(pods=4)
    case.apply("1.0.0", replicas=-1)
    case.finish()
    case.apply("2.0.0", replicas=-1, batchCount=4, needConfirm=True)
    case.tell()
    case.carry_out()
    case.pods, case.revisions = 1, {2: 1}
    case.tell()
    case.do(Confirm())
    case.finish()
    assert (case.status.phase, case.status.available, case.status.stable_version) == ("Healthy", 1, "2.0.0")
