"""Replicas that are missing in the middle of a rollout never keep it waiting for itself (design 1.2, 1.4)."""

from __future__ import annotations

from tests.unit.planner_desk import Case
from tranche.contract.plan import ALL
from tranche_planner.core.wishes import Replace

STEPS = {"batchCount": 3, "needConfirm": True, "maxUnavailable": 2}


def interrupted() -> Case:
    """A first rollout that a second wish broke off: six of ten run the first version, and nothing is stable."""
    case = Case(pods=10)
    case.apply("1.0.0", replicas=10)
    case.revisions = {1: 6}
    case.apply("2.0.0", replicas=10, **STEPS)
    return case


def test_what_no_pod_could_take_at_the_cut_comes_before_replacements_once_it_can_be_installed() -> None:
    case = interrupted()
    case.tell(present=6, outcome=6, available=6, updated=0, outcome_updated=0, placeable=0)
    assert (case.plan.batch, case.plan.replicas, case.plan.updated) == (1, 6, 3), "replacements come first"

    case.tell(blocked="BudgetExhausted", placeable=0)
    assert case.plan.replicas == 6, "there is no place yet"
    case.tell(blocked="BudgetExhausted", placeable=4)
    assert (case.plan.replicas, case.plan.updated) == (9, 3), "as many as the batch may bring"
    assert [batch.size for batch in case.status.batches] == [3, 3, 4]

    case.revisions = {1: 6, 2: 3}
    case.tell(placeable=1)
    assert case.gates == ["confirm"]


def test_what_the_batch_has_brought_already_is_not_installed_above_its_level() -> None:
    case = interrupted()
    case.tell(present=6, outcome=6, available=6, updated=0, outcome_updated=0, placeable=0)
    case.revisions = {1: 4, 2: 2}
    case.tell(blocked="BudgetExhausted", placeable=4)
    assert (case.plan.replicas, case.plan.updated) == (7, 3)
    case.tell(blocked="BudgetExhausted", placeable=4, failed=1)
    assert case.plan.replicas == 7, "a failed replica takes its place in the level"


def test_a_replica_lost_with_nothing_stable_joins_what_is_still_to_be_released() -> None:
    case = interrupted()
    case.tell(present=6, outcome=6, available=6, updated=0, outcome_updated=0, placeable=4)
    assert (case.plan.replicas, case.plan.updated) == (9, 3)
    case.revisions = {1: 5, 2: 3}
    case.tell(placeable=2)
    assert case.gates == ["confirm"], "nobody knows what the lost one should run now"
    case.revisions = {1: 5, 2: 2}
    case.tell(placeable=3)
    assert case.gates == ["verified", "confirm"], "one that is missing at the target is waited for"


def test_a_replica_lost_with_a_stable_revision_is_waited_for() -> None:
    case = Case(pods=10)
    case.apply("1.0.0", replicas=10)
    case.finish()
    case.apply("2.0.0", replicas=10, **STEPS)
    case.tell()
    assert (case.plan.replicas, case.plan.updated) == (10, 3)
    case.revisions = {1: 6, 2: 3}
    case.tell(placeable=1)
    assert "verified" in case.gates, "it is made at stable, at once"
    assert case.plan.updated != ALL


def test_a_pod_that_was_emptied_is_a_place_for_the_next_that_is_to_be() -> None:
    case = Case(pods=3)
    case.apply("1.0.0", replicas=2)
    case.finish()
    case.do(Replace(pod="a"))
    case.do(Replace(pod="b"))
    assert case.plan.evict == ("a", "b")
    case.tell(evicting=1, emptied=("a",), moving=1)
    assert case.plan.evict == ("a", "b"), "what is taken off is placed anew first"
    case.tell(evicting=1, emptied=("a",))
    assert case.plan.evict == ("b",), "or the last free pod would be the one nobody may take"
    case.tell(evicting=0, emptied=("b",))
    assert case.plan.evict == ()


def test_an_answer_to_a_forgotten_plan_of_the_same_number_is_no_answer() -> None:
    case = Case(pods=2)
    case.apply("1.0.0", replicas=2)
    case.document = case.it.but(plan=case.plan.but(nonce="ours"))
    revision = case.plan.revision
    case.see(case.counts(plan_nonce="another's", generation=1))
    assert (case.plan.revision, case.status.observed_generation) == (revision + 1, 0)
    case.see(case.counts(plan_nonce="", generation=1))  # by a release that tells none
    assert case.status.observed_generation == 1


def test_what_is_not_there_and_what_is_not_at_the_version_are_told_apart() -> None:
    case = Case(pods=2)
    case.apply("1.0.0", replicas=2)
    case.finish()
    case.tell(present=1, outcome=1, available=1, updated=1, updated_available=1, outcome_updated=1)
    assert (case.status.phase, case.status.reason) == ("Progressing", "PodLost")
    assert "1 of 2 are not available" in case.status.message
    # A pod came back with another version: it serves, and is to be brought to the target.
    case.tell(present=2, outcome=2, available=2, updated=1, updated_available=1, outcome_updated=1)
    assert "1 of 2 are not at 1.0.0" in case.status.message
