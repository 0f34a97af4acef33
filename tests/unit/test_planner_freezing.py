"""Freezes, deletions that leave something behind, adoption, explanations."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from tests.unit.planner_desk import BEGAN, Case
from tranche.contract.answer import AcceptedAnswer
from tranche.contract.explanation import Freeze
from tranche.contract.progress import Problem
from tranche_planner.core.document import Mark
from tranche_planner.core.explaining import explanation
from tranche_planner.core.freezing import covering, under
from tranche_planner.core.rollout import due
from tranche_planner.core.wishes import Abort, Delete, Pause, Retry

THREE = {"replicas": 10, "batchCount": 3, "useBeta": True}


@pytest.fixture
def rolling() -> Case:
    case = Case()
    case.apply("1.0.0", replicas=10)
    case.finish()
    case.apply("2.0.0", **THREE)
    case.tell()
    return case


def test_a_freeze_holds_like_a_pause_and_is_said_once_noted(rolling: Case) -> None:
    rolling.freeze(reason="sale", by="ops")
    assert (rolling.plan.held, rolling.plan.held_at) == (True, 10)
    assert rolling.status.phase == "Progressing"
    assert rolling.status.event.reason == "Frozen"
    rolling.tell()
    status = rolling.status
    assert (status.phase, status.reason, status.next) == ("Paused", "Frozen", "tranche unfreeze -n shop")
    assert "namespace shop is frozen by ops: sale" in status.message
    assert [gate.gate for gate in status.gates] == ["verified", "freeze"]
    rolling.unfreeze()
    assert not rolling.plan.held


def test_a_freeze_ends_by_itself(rolling: Case) -> None:
    rolling.freeze(until=rolling.now + timedelta(seconds=90))
    assert due(rolling.it) == rolling.now + timedelta(seconds=90)
    rolling.tell()
    rolling.later(89)
    assert rolling.status.phase == "Paused"
    rolling.later(1)
    assert not rolling.plan.held
    assert rolling.status.event.message == "the freeze is over"


def test_a_freeze_holds_no_abort_and_no_deletion(rolling: Case) -> None:
    rolling.freeze()
    rolling.tell()
    rolling.do(Abort())
    assert (rolling.plan.mode, rolling.plan.held) == ("abort", False)
    rolling.finish()
    assert rolling.status.phase == "Aborted"
    rolling.do(Delete())
    assert (rolling.plan.mode, rolling.plan.held) == ("remove", False)
    rolling.do(Pause())
    assert rolling.plan.held, "a pause holds them"


def test_a_retry_under_a_freeze_waits(rolling: Case) -> None:
    rolling.freeze()
    rolling.do(Abort())
    rolling.finish()
    rolling.do(Retry())
    assert rolling.plan.held
    rolling.tell()
    assert (rolling.plan.mode, rolling.status.phase) == ("open", "Paused")
    rolling.unfreeze()
    rolling.tell()
    assert rolling.plan.batch == 1


def freeze(scope: str = "shop", until: datetime | None = None) -> Freeze:
    return Freeze(namespace=scope, since=BEGAN, until=until)


def test_of_several_freezes_the_longest_covers() -> None:
    soon, late = BEGAN + timedelta(minutes=1), BEGAN + timedelta(hours=1)
    assert covering([], BEGAN) is None
    assert covering([freeze(until=BEGAN)], BEGAN) is None
    assert covering([freeze(until=soon), freeze("_all", late)], BEGAN) == freeze("_all", late)
    assert covering([freeze(until=late), freeze("_all")], BEGAN) == freeze("_all")


def test_what_is_known_of_newer_freezes_is_not_undone_by_an_older_view(rolling: Case) -> None:
    newer, older = (Mark(sequence=number, time=rolling.now) for number in (7, 6))
    frozen = under(rolling.it, freeze(), newer, rolling.now)
    assert under(frozen, None, older, rolling.now) == frozen
    lifted = under(frozen, None, Mark(sequence=8, time=rolling.now), rolling.now)
    assert lifted.frozen is None
    assert under(lifted, freeze(), newer, rolling.now) == lifted


def test_of_endless_freezes_the_oldest_covers_and_then_the_first_by_name() -> None:
    older = Freeze(namespace="shop", since=BEGAN - timedelta(hours=1))
    assert covering([freeze("_all"), older], BEGAN) == older
    assert covering([older, freeze("_all")], BEGAN) == older
    assert covering([freeze("shop"), freeze("_all")], BEGAN) == freeze("_all")
    assert covering([freeze("_all", BEGAN + timedelta(days=9)), older], BEGAN) == older


def test_of_freezes_that_end_together_the_same_one_always_covers() -> None:
    soon = BEGAN + timedelta(minutes=1)
    both = [freeze("_all", soon), freeze("shop", soon)]
    assert covering(both, BEGAN) == covering(both[::-1], BEGAN) == freeze("shop", soon)


def test_a_freeze_that_ends_this_moment_covers_no_more() -> None:
    end = BEGAN + timedelta(minutes=1)
    assert covering([freeze(until=end)], end - timedelta(milliseconds=1)) == freeze(until=end)
    assert covering([freeze(until=end), freeze("_all", end)], end) is None


def test_what_a_freeze_means_for_people_is_told(rolling: Case) -> None:
    rolling.freeze(reason="sale", by="ops")
    assert rolling.status.event.message == "a freeze covers it by ops: sale"
    rolling.unfreeze()
    event = rolling.status.event
    assert (event.reason, event.message) == ("Resumed", "the freeze was lifted")
    assert rolling.gates == ["verified"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"reason": "longer sale"}, "namespace shop is frozen by ops: longer sale"),
        ({"by": "eve"}, "namespace shop is frozen by eve: sale"),
        ({"namespace": "_all"}, "all namespaces are frozen by ops: sale"),
        ({"since": BEGAN - timedelta(hours=1)}, "namespace shop is frozen by ops: sale"),
        (
            {"until": BEGAN + timedelta(hours=1)},
            "namespace shop is frozen by ops: sale; ends by itself at 2026-01-31 10:00:00 UTC",
        ),
    ],
)
def test_a_freeze_that_changes_goes_on_holding_as_before(
    rolling: Case, changed: dict[str, object], message: str
) -> None:
    about = {"reason": "sale", "by": "ops", "since": BEGAN}
    rolling.freeze(**about)
    rolling.tell(present=9, outcome=9, available=9)
    plan = rolling.plan
    rolling.freeze(**{**about, **changed})
    status = rolling.status
    assert status.phase == "Paused", "the scheduler knows already that it is held"
    assert status.message == f"{message}; nothing new is disturbed"
    assert status.event.reason == "Frozen"
    assert status.gates[-1].since == changed.get("since", BEGAN)
    assert rolling.plan == plan, "what was lost meanwhile is still remade up to ten"


def test_a_freeze_that_changes_is_not_said_to_be_on_its_way_again(rolling: Case) -> None:
    rolling.freeze(reason="sale")
    rolling.tell()
    rolling.apply("2.0.0", **THREE, maxUnavailable=3)
    assert rolling.status.phase == "Paused"
    rolling.freeze(reason="longer sale")
    assert (rolling.status.phase, rolling.status.reason) == ("Paused", "Frozen")


def test_the_same_freeze_again_changes_nothing(rolling: Case) -> None:
    rolling.freeze(reason="sale", by="ops", until=BEGAN + timedelta(hours=1))
    before = rolling.it
    rolling.freeze(reason="sale", by="ops", until=BEGAN + timedelta(hours=1))
    assert rolling.it == before


def test_no_freeze_still_is_no_news(rolling: Case) -> None:
    before = rolling.it
    rolling.unfreeze()
    assert rolling.it == before


def test_another_freeze_may_follow_one_that_is_over(rolling: Case) -> None:
    rolling.freeze(until=rolling.now + timedelta(seconds=30))
    rolling.tell(present=9, outcome=9, available=9)
    later = rolling.now + timedelta(seconds=30)
    next_one = Freeze(namespace="shop", since=later, reason="again")
    frozen = under(rolling.it, next_one, Mark(sequence=99, time=later), later).frozen
    assert frozen is not None
    assert (frozen.since, frozen.until, frozen.reason, frozen.held_at) == (later, None, "again", 9)


@pytest.fixture
def deleting() -> Case:
    case = Case()
    case.apply("1.0.0", replicas=3)
    case.finish()
    case.do(Delete())
    case.revisions = {1: 1}
    return case


def test_what_is_deleted_is_frozen_no_more(deleting: Case) -> None:
    deleting.revisions = {}
    deleting.finish()
    assert deleting.status.phase == "Deleted"
    before = deleting.it
    deleting.freeze()
    assert deleting.it == before


def test_what_is_on_a_dead_pod_holds_a_deletion_up(deleting: Case) -> None:
    problem = Problem(reason="PodUnreachable", message="no answer", pods=("web-base-2",))
    deleting.tell(down=1, problems=(problem,))
    status = deleting.status
    assert (status.phase, status.next) == ("Deleting", "tranche delete shop/cart --abandon")
    answer = deleting.do(Delete(abandon=True))
    assert isinstance(answer, AcceptedAnswer)
    status = deleting.status
    assert status.phase == "Deleted"
    assert "1 replica left behind on pods that do not answer: web-base-2" in status.message
    assert (deleting.plan.mode, deleting.plan.complete) == ("open", True)
    assert isinstance(deleting.apply("1.0.0", replicas=1), AcceptedAnswer)


def test_abandoning_waits_for_what_can_be_removed(deleting: Case) -> None:
    deleting.do(Delete(abandon=True))
    deleting.revisions = {1: 2}
    deleting.tell(down=1, moving=1)
    assert deleting.status.phase == "Deleting"
    deleting.tell(present=1, outcome=1, stuck=1, moving=1)
    assert deleting.plan.max_unavailable == 2, "another one may be tried"
    deleting.tell(present=1, outcome=1, stuck=1, moving=1)
    assert deleting.status.phase == "Deleted"


def test_a_stuck_replica_takes_up_no_place_in_an_abandoned_deletion(deleting: Case) -> None:
    deleting.revisions = {1: 3}
    deleting.tell(stuck=1, moving=1)
    assert deleting.plan.max_unavailable is None
    deleting.do(Delete(abandon=True))
    assert deleting.plan.max_unavailable == 2
    assert deleting.status.phase == "Deleting"


def test_versions_of_others_are_a_problem_until_they_are_replaced() -> None:
    case = Case()
    case.apply("1.0.0", replicas=2)
    case.revisions = {0: 2}
    case.tell(foreign=("0.9.0",))
    (problem,) = case.status.problems
    assert problem.reason == "Adopted"
    assert "0.9.0 was installed by somebody else" in problem.message
    case.revisions = {}
    case.finish()
    assert case.status.problems == ()


def test_every_gate_and_clause_is_explained(rolling: Case) -> None:
    rolling.apply("2.0.0", **THREE, needConfirm=True, grayTime=60)
    rolling.tell()
    gates = {gate.gate: gate for gate in explanation(rolling.it, rolling.now).gates}
    assert list(gates) == ["verified", "grayTime", "confirm", "pause", "freeze"]
    assert [gate.open for gate in gates.values()] == [False, True, True, True, True]
    assert "60 seconds begin" in gates["grayTime"].message
    rolling.carry_out()
    told = explanation(rolling.it, rolling.now)
    assert [gate.open for gate in told.gates] == [True, False, False, True, True]
    assert told.gates[2].unblock == "tranche confirm shop/cart --batch 1"
    assert told.phase == "Waiting"
    assert [clause.holds for clause in told.clauses] == [True] * 5
    assert "10 - 1 >= 10 - 2: 2 more may be taken down now" in told.clauses[1].message
    rolling.tell(available=8, failed=1, blocked="InsufficientCapacity")
    told = explanation(rolling.it, rolling.now)
    assert [clause.holds for clause in told.clauses] == [True, False, False, False, True]
