"""Who was told the counts asks for the levels next: on the same copy of the pool, which is not made twice."""

from __future__ import annotations

import pytest

from tests.scheduler_oracle import NOW, content, entry, operation, plan, record
from tests.unit.scheduler_desk import REHEARSED, old, rehearsal
from tranche.contract.ledger import Claim
from tranche_scheduler.core.rehearsal import AT_ONCE, Rehearsal, Snapshot

COUNT = plan(mode="open", replicas=3, updated=0)
ROLL = plan(replicas=3, max_unavailable=1)
SURPLUS = COUNT.but(replicas=1)
"""Takes away what is down and not wanted."""
NOTHING_YET = ROLL.but(updated=0, stable=None, stable_revisions=())
"""A first installation whose first level is not released."""
OTHER = {"target": content(1), "target_revisions": (1,), "stable": content(2), "stable_revisions": (2,)}
UNDER_WAY = Claim(
    pod="b",
    uid="u",
    deployment="cart",
    module="cart",
    generation=2,
    batch=1,
    op="replace",
    revision=2,
    costs=True,
    token=5,
)


@pytest.mark.parametrize(
    ("plans", "counted_only"),
    [
        ([COUNT], True),
        ([COUNT, COUNT], True),
        ([SURPLUS], False),
        ([SURPLUS, SURPLUS], False),
        ([COUNT, NOTHING_YET], False),
        ([ROLL], False),
    ],
    ids=[
        "counted",
        "counted twice",
        "surplus went",
        "surplus went, and then nothing did",
        "rolled, and nothing was released yet",
        "rolled",
    ],
)
def test_a_copy_is_good_for_another_question_where_nothing_was_carried_out(plans, counted_only) -> None:
    pool = [record("a", {"cart": entry(2)}), record("b", {"cart": entry(1, "inactive")})]
    assert rehearsal(pool, *plans).counted_only is counted_only


@pytest.mark.parametrize(
    "plans",
    [
        [COUNT, ROLL.but(updated=1), ROLL],
        [COUNT.but(replicas=5, wanted=5), ROLL.but(replicas=5, wanted=5)],
        [COUNT.but(**OTHER), ROLL.but(**OTHER)],
        [ROLL],
    ],
    ids=["the same wish", "another number", "another target", "no count"],
)
def test_the_next_question_is_answered_as_if_it_had_a_copy_of_its_own(plans) -> None:
    pool = [*old("a", "c"), *old("b", operation=operation(5, "started")), record("d", cordoned=True)]
    ledger = REHEARSED.but(claims={"b": UNDER_WAY}, contents={"cart": {2: content(2)}})
    counted = rehearsal(pool, COUNT, ledger=ledger)
    answer = rehearsal(pool, *plans, ledger=ledger, begun=counted).answer(0, 100)
    assert answer == rehearsal(pool, *plans, ledger=ledger).answer(0, 100)


def pauses(asked: Rehearsal) -> int:
    return sum(1 for _ in asked.perform())


def many(count: int) -> Snapshot:
    return Snapshot(old(*(f"p{number}" for number in range(count))), REHEARSED, 7, 20)


@pytest.mark.parametrize(
    ("pods", "copying"), [(AT_ONCE - 1, 0), (AT_ONCE, 1), (2 * AT_ONCE - 1, 1), (2 * AT_ONCE, 2)]
)
def test_others_get_their_turn_while_a_pool_is_copied_which_is_done_once(pods: int, copying: int) -> None:
    pool = many(pods)
    counted = Rehearsal(pool, [COUNT], NOW)
    assert pauses(counted) == copying + 1, "once more for each plan"
    assert pauses(Rehearsal(pool, [COUNT, COUNT], NOW, counted)) == 2


@pytest.mark.parametrize(
    ("pods", "at_once", "operating"),
    [
        (AT_ONCE - 1, AT_ONCE - 1, 0),
        (AT_ONCE, AT_ONCE, 1),
        (2 * AT_ONCE - 1, AT_ONCE, 1),
        (2 * AT_ONCE, AT_ONCE // 2, 2),
    ],
)
def test_others_get_their_turn_while_operations_are_carried_out(
    pods: int, at_once: int, operating: int
) -> None:
    pool = many(pods)
    counted = Rehearsal(pool, [COUNT], NOW)
    assert pauses(counted)
    roll = ROLL.but(replicas=pods, wanted=pods, max_unavailable=at_once)
    rolled = Rehearsal(pool, [roll], NOW, counted)
    assert pauses(rolled) == operating + 1
    assert [(level.size, level.rounds) for level in rolled.answer(0, 0).levels] == [
        (pods, -(-pods // at_once))
    ]
