"""The gates between batches: since when each is shut, until when, and what opens it (design 1.3)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.unit.planner_desk import BEGAN, Case
from tranche.contract.status import GateStatus
from tranche_planner.core.gates import gray_end, shut, told, unfreeze, waits_for_confirm
from tranche_planner.core.rollout import due
from tranche_planner.core.status import status
from tranche_planner.core.wishes import Abort, Confirm, Delete, Pause, Promote

RELEASED, VERIFIED = (BEGAN + timedelta(seconds=each) for each in (10, 20))


def rolling(**changes: object) -> Case:
    case = Case()
    case.apply("1.0.0", replicas=10)
    case.finish()
    case.apply("2.0.0", **{"replicas": 10, "batchCount": 3, "useBeta": True, **changes})
    case.later(10)
    case.tell()
    return case


def verified(**changes: object) -> Case:
    case = rolling(**changes)
    case.later(10)
    case.carry_out()
    return case


def only_gate(case: Case) -> GateStatus:
    (gate,) = case.status.gates
    return gate


def test_a_batch_under_way_is_shut_since_its_release() -> None:
    case = rolling(needConfirm=True, grayTime=60)
    case.later(10)
    assert only_gate(case) == GateStatus(
        gate="verified",
        since=RELEASED,
        message="batch 1 is not yet as it should be; opens by itself when it is",
    )


def test_gray_time_says_until_when_and_how_to_end_it() -> None:
    case = verified(grayTime=60)
    case.later(10)
    assert only_gate(case) == GateStatus(
        gate="grayTime",
        since=VERIFIED,
        until=VERIFIED + timedelta(seconds=60),
        unblock="tranche promote shop/cart",
        message="batch 1 is watched until 2026-01-31 09:01:20 UTC; opens by itself then",
    )


def test_gray_time_is_over_at_its_end() -> None:
    case = verified(grayTime=60)
    end = VERIFIED + timedelta(seconds=60)
    assert [told(gate, case.it).gate for gate in shut(case.it, end - timedelta(milliseconds=1))] == [
        "grayTime"
    ]
    assert shut(case.it, end) == ()
    assert status(case.it, end).batch.state == "Releasing"


def test_gray_time_has_no_end_before_it_began() -> None:
    case = rolling(grayTime=60, progressDeadlineSeconds=0)
    assert due(case.it) is None
    case.carry_out()
    assert due(case.it) == case.now + timedelta(seconds=60, milliseconds=1)


def test_a_confirm_says_which_batch_to_confirm() -> None:
    case = verified(needConfirm=True)
    case.later(10)
    assert only_gate(case) == GateStatus(
        gate="confirm",
        since=VERIFIED,
        unblock="tranche confirm shop/cart --batch 1",
        message="batch 1 waits for a person to confirm it",
    )
    case.do(Confirm())
    case.carry_out()
    assert only_gate(case).unblock == "tranche confirm shop/cart --batch 2"
    assert only_gate(case).message == "batch 2 waits for a person to confirm it"


@pytest.mark.parametrize(
    ("about", "message"),
    [({}, "paused"), ({"by": "bob", "reason": "lunch"}, "paused by bob: lunch")],
)
def test_a_pause_says_who_and_why(about: dict[str, str], message: str) -> None:
    case = verified(grayTime=900)
    case.later(5)
    case.do(Pause(**about))
    case.later(5)
    case.tell()
    assert case.gates == ["grayTime", "pause"]
    assert case.status.gates[1] == GateStatus(
        gate="pause",
        since=VERIFIED + timedelta(seconds=5),
        unblock="tranche resume shop/cart",
        message=message,
    )


@pytest.mark.parametrize(
    ("about", "message", "command"),
    [
        ({}, "namespace shop is frozen", "tranche unfreeze -n shop"),
        (
            {"by": "ops", "reason": "sale"},
            "namespace shop is frozen by ops: sale",
            "tranche unfreeze -n shop",
        ),
        ({"namespace": "_all"}, "all namespaces are frozen", "tranche unfreeze --all"),
        (
            {"reason": "sale", "until": BEGAN.replace(hour=18)},
            "namespace shop is frozen: sale; ends by itself at 2026-01-31 18:00:00 UTC",
            "tranche unfreeze -n shop",
        ),
    ],
)
def test_a_freeze_says_what_is_frozen_and_how_to_lift_it(
    about: dict[str, object], message: str, command: str
) -> None:
    case = verified(grayTime=900)
    case.later(5)
    case.freeze(**about)
    case.later(5)
    case.tell()
    assert case.gates == ["grayTime", "freeze"]
    assert case.status.gates[1] == GateStatus(
        gate="freeze",
        since=VERIFIED + timedelta(seconds=5),
        until=about.get("until"),
        unblock=command,
        message=message,
    )


def test_a_freeze_is_lifted_where_it_was_made() -> None:
    assert unfreeze("shop") == "tranche unfreeze -n shop"
    assert unfreeze("_all") == "tranche unfreeze --all"


def test_all_shut_gates_are_told_in_their_order() -> None:
    case = verified(needConfirm=True, grayTime=60)
    case.do(Pause())
    case.freeze()
    assert case.gates == ["verified", "grayTime", "confirm", "pause", "freeze"]


def test_a_confirmed_batch_waits_for_no_second_confirm() -> None:
    case = verified(needConfirm=True, grayTime=60)
    assert waits_for_confirm(case.it)
    case.do(Confirm())
    assert case.gates == ["grayTime"]
    assert not waits_for_confirm(case.it)


def test_gray_time_that_was_promoted_away_does_not_come_back() -> None:
    case = verified(grayTime=60)
    case.do(Pause())
    case.tell()
    case.do(Promote())
    assert case.gates == ["pause"]
    batch = case.it.rollout.batch
    assert batch is not None
    assert gray_end(case.it, batch) is None


def test_a_rollout_promoted_in_full_has_only_the_verified_gate() -> None:
    case = verified(needConfirm=True, grayTime=60)
    case.do(Promote(full=True))
    assert (case.plan.batch, case.gates) == (2, ["verified"])
    case.carry_out()
    assert case.plan.batch == 3


def test_nothing_waits_behind_the_last_batch() -> None:
    case = verified(needConfirm=True)
    for _ in range(2):
        case.do(Confirm())
        case.carry_out()
    assert case.status.phase == "Healthy"
    assert (case.gates, waits_for_confirm(case.it)) == ([], False)


def test_the_last_batch_has_no_gate_while_it_is_under_way() -> None:
    case = verified(needConfirm=True, grayTime=60)
    case.do(Promote())
    case.carry_out()
    case.do(Promote())
    assert (case.plan.batch, case.gates, case.status.phase) == (3, [], "Progressing")


def test_a_rollout_that_is_not_cut_yet_is_held_by_people_alone() -> None:
    case = Case()
    case.apply("1.0.0", replicas=10, batchCount=2, needConfirm=True)
    assert case.gates == []
    case.freeze()
    case.do(Pause())
    assert case.gates == ["pause", "freeze"]


@pytest.mark.parametrize("wish", [Abort(), Delete()])
def test_a_way_back_is_held_by_a_pause_but_by_no_freeze(wish: Abort | Delete) -> None:
    case = verified(needConfirm=True, grayTime=60)
    case.do(wish)
    case.freeze()
    assert case.it.frozen is not None
    assert case.gates == []
    case.do(Pause())
    assert case.gates == ["pause"]
    assert not waits_for_confirm(case.it)


def test_a_replica_lost_in_gray_time_shuts_the_first_gate_again() -> None:
    case = verified(needConfirm=True, grayTime=60)
    case.tell(available=9, updated_available=0)
    assert case.gates == ["verified", "grayTime", "confirm"]
