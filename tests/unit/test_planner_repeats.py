"""Events that come again, at once or years later, and counts that answer an older plan: nothing changes."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.unit.planner_desk import Case
from tranche.contract.answer import AcceptedAnswer
from tranche_planner.core.document import Mark
from tranche_planner.core.verbs import decide
from tranche_planner.core.wishes import Promote, Restart, Scale, Undo, Wish


@pytest.fixture
def stable() -> Case:
    """Ten replicas of 2.0.0, with 1.0.0 before them."""
    case = Case()
    for version in ("1.0.0", "2.0.0"):
        case.apply(version, replicas=10)
        case.finish()
    return case


@pytest.mark.parametrize("wish", [Restart(), Undo(), Scale(replicas=7)], ids=lambda wish: type(wish).__name__)
@pytest.mark.parametrize("later", [timedelta(), timedelta(minutes=5), timedelta(days=400)], ids=str)
def test_a_wish_that_is_delivered_again_is_done_already(stable: Case, wish: Wish, later: timedelta) -> None:
    mark = Mark(sequence=99, time=stable.now)
    first = decide(stable.it, wish, mark, stable.now)
    assert isinstance(first.answer, AcceptedAnswer)
    assert first.document is not None
    assert first.document.generation == 3

    again = decide(first.document, wish, mark, stable.now + later)

    assert isinstance(again.answer, AcceptedAnswer)
    assert again.answer.generation == 3
    assert again.document is None


def test_a_promote_that_is_delivered_again_opens_no_other_gate(stable: Case) -> None:
    stable.apply("3.0.0", replicas=10, batchCount=3, needConfirm=True, grayTime=3600)
    stable.tell()
    stable.carry_out()
    mark = Mark(sequence=99, time=stable.now)
    first = decide(stable.it, Promote(), mark, stable.now)
    assert first.document is not None
    stable.document = first.document
    stable.carry_out()
    assert (stable.plan.batch, stable.gates) == (2, ["grayTime", "confirm"])

    again = decide(stable.it, Promote(), mark, stable.now + timedelta(hours=12))

    assert again.document is None


@pytest.mark.parametrize("stage", ["a batch before", "the opening"])
def test_counts_that_answer_an_older_plan_verify_nothing(stable: Case, stage: str) -> None:
    stable.apply("3.0.0", replicas=10, batchCount=3)
    if stage == "a batch before":
        stable.tell()
        assert stable.plan.batch == 1
    older = stable.plan.revision - 1
    before = stable.plan
    # Late, and all is well by these counts; but they were counted before the scheduler knew of this plan.
    of_generation = 3 if stage == "a batch before" else 2
    stable.tell(
        plan_revision=older, generation=of_generation, updated=10, updated_available=10, outcome_updated=10
    )
    assert stable.plan == before
    assert all(batch.verified_at is None for batch in stable.it.rollout.batches)


def test_a_generation_is_observed_when_counts_of_it_came(stable: Case) -> None:
    stable.apply("3.0.0", replicas=10, batchCount=3)
    assert (stable.it.generation, stable.status.observed_generation) == (3, 2)
    stable.tell(generation=2, plan_revision=stable.plan.revision - 1)
    assert stable.status.observed_generation == 2
    stable.tell()
    assert stable.status.observed_generation == 3
