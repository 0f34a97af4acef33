"""Retry, restart, undo, replace and promote; revisions and their history (design 1.3)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.unit.planner_desk import Case
from tranche.contract.answer import AcceptedAnswer, RefusedAnswer
from tranche_planner.core.explaining import history
from tranche_planner.core.wishes import Abort, Confirm, Pause, Promote, Replace, Restart, Retry, Undo

GATED = {"replicas": 10, "batchCount": 3, "needConfirm": True, "grayTime": 60}


@pytest.fixture
def stable() -> Case:
    case = Case()
    case.apply("1.0.0", replicas=10)
    case.finish()
    case.apply("2.0.0", replicas=10)
    case.finish()
    return case


def outcomes(case: Case) -> list[tuple[int, str, str]]:
    return [(one.revision, one.version, one.outcome) for one in history(case.it).revisions]


def test_restart_installs_the_same_content_again(stable: Case) -> None:
    answer = stable.do(Restart(by="bob", reason="it leaks"))
    assert isinstance(answer, AcceptedAnswer)
    assert (answer.generation, stable.plan.target_revisions, stable.plan.stable_revisions) == (3, (3,), (2,))
    assert stable.plan.target is not None
    assert (stable.plan.target.version, stable.plan.target.restarts) == ("2.0.0", 1)
    stable.tell()
    assert stable.status.batches[0].size == 10
    stable.finish()
    assert stable.status.phase == "Healthy"
    stable.do(Restart())
    assert stable.plan.target.restarts == 2
    assert isinstance(stable.apply("2.0.0", replicas=10), AcceptedAnswer)
    assert stable.it.generation == 4, "applying the same wish is no change"


def test_undo_goes_to_the_last_completed_one_before(stable: Case) -> None:
    answer = stable.do(Undo(by="bob"))
    assert isinstance(answer, AcceptedAnswer)
    assert (answer.generation, stable.it.spec.module.version) == (3, "1.0.0")
    assert stable.plan.target_revisions == (1, 3)
    assert stable.status.event.reason == "RolledBack"
    stable.finish()
    assert (stable.status.phase, stable.status.target_version) == ("Healthy", "1.0.0")
    assert outcomes(stable) == [
        (1, "1.0.0", "completed"),
        (2, "2.0.0", "completed"),
        (3, "1.0.0", "completed"),
    ]
    assert history(stable.it).revisions[-1].by == "bob"
    stable.apply("2.0.0", replicas=10)
    assert stable.it.generation == 4, "the file from before is another wish now"


def test_undo_of_a_half_done_rollout_leaves_the_others_alone(stable: Case) -> None:
    stable.apply("3.0.0", **GATED)
    stable.tell()
    stable.carry_out()
    stable.do(Undo())
    assert stable.it.spec.module.version == "2.0.0"
    assert stable.it.spec.need_confirm, "the wish's own gates"
    stable.tell()
    assert sum(batch.size for batch in stable.status.batches) == 3
    assert stable.plan.batch == 1


def test_a_fast_undo_has_no_gates(stable: Case) -> None:
    stable.apply("3.0.0", **GATED)
    stable.tell()
    stable.carry_out()
    assert stable.gates == ["grayTime", "confirm"]
    stable.do(Undo(revision=1, fast=True))
    stable.finish()
    status = stable.status
    assert (status.phase, status.target_version, status.batch.count) == ("Healthy", "1.0.0", 3)


def test_undo_knows_its_revisions(stable: Case) -> None:
    unknown = stable.do(Undo(revision=9))
    assert isinstance(unknown, RefusedAnswer)
    assert "1 (1.0.0), 2 (2.0.0)" in unknown.errors[0].message
    same = stable.do(Undo(revision=2))
    assert isinstance(same, AcceptedAnswer)
    assert (same.generation, "already" in same.message) == (2, True)
    first = Case()
    first.apply("1.0.0", replicas=1)
    assert isinstance(first.do(Undo()), RefusedAnswer)


def test_an_aborted_wish_is_left_by_undo_and_by_retry(stable: Case) -> None:
    stable.apply("3.0.0", **GATED)
    stable.tell()
    stable.do(Abort())
    stable.finish()
    assert (stable.status.phase, stable.status.next) == ("Aborted", "tranche retry shop/cart")
    answer = stable.do(Retry(by="bob"))
    assert isinstance(answer, AcceptedAnswer)
    assert (answer.generation, stable.plan.mode) == (4, "open")
    assert stable.plan.retried_at == stable.now
    assert stable.plan.target_revisions == (3,), "the same content"
    stable.do(Abort())
    stable.finish()
    stable.do(Undo())
    stable.finish()
    assert (stable.status.phase, stable.status.target_version) == ("Healthy", "2.0.0")


def test_history_is_limited_and_keeps_what_is_needed(stable: Case) -> None:
    for version in ("3.0.0", "4.0.0", "5.0.0"):
        stable.apply(version, replicas=10, revisionHistoryLimit=2)
        stable.finish()
    assert outcomes(stable) == [
        (3, "3.0.0", "completed"),
        (4, "4.0.0", "completed"),
        (5, "5.0.0", "completed"),
    ]
    stable.apply("5.0.0", replicas=10, revisionHistoryLimit=0)
    assert [number for number, _, _ in outcomes(stable)] == [5]


def test_an_unfinished_rollout_is_superseded(stable: Case) -> None:
    stable.apply("3.0.0", **GATED)
    stable.tell()
    stable.apply("4.0.0", replicas=10)
    assert outcomes(stable)[-2:] == [(3, "3.0.0", "superseded"), (4, "4.0.0", "")]
    told = history(stable.it).revisions
    assert [(one.stable, one.target) for one in told[1:]] == [(True, False), (False, False), (False, True)]


def test_promote_opens_gray_time_and_confirm_of_the_batch_that_waits(stable: Case) -> None:
    stable.apply("3.0.0", **GATED)
    stable.tell()
    nothing = stable.do(Promote())
    assert isinstance(nothing, AcceptedAnswer)
    assert "no gate is shut" in nothing.message
    stable.carry_out()
    stable.do(Promote(by="bob", reason="seen enough"))
    assert stable.plan.batch == 2
    assert stable.status.batches[0].confirmed_by == "bob"
    stable.carry_out()
    assert stable.gates == ["grayTime", "confirm"], "only that batch's"


def test_a_redelivered_promote_does_not_promote_the_next_batch(stable: Case) -> None:
    stable.apply("3.0.0", **GATED)
    stable.tell()
    stable.carry_out()
    stable.do(Promote())
    sequence = stable.sequence
    stable.carry_out()
    assert isinstance(stable.do(Promote(), sequence=sequence), AcceptedAnswer)
    assert stable.plan.batch == 2


def test_promote_full_opens_all_that_are_left_and_a_pause(stable: Case) -> None:
    stable.apply("3.0.0", **GATED)
    stable.tell()
    stable.carry_out()
    stable.do(Pause())
    stable.tell()
    stable.do(Promote())
    assert (stable.plan.batch, stable.gates) == (1, ["pause"]), "a person's pause stays"
    stable.do(Promote(full=True))
    stable.finish()
    assert stable.status.phase == "Healthy"


def test_neither_promote_opens_a_freeze(stable: Case) -> None:
    stable.apply("3.0.0", **GATED)
    stable.tell()
    stable.carry_out()
    stable.freeze(reason="sale")
    stable.tell()
    stable.do(Promote(full=True))
    stable.tell()
    assert (stable.plan.batch, stable.gates, stable.status.phase) == (1, ["freeze"], "Paused")
    stable.unfreeze()
    assert stable.plan.batch == 1, "the freeze was noted, its end not yet"
    stable.finish()
    assert stable.status.phase == "Healthy"


def test_replace_takes_a_replica_off_a_pod(stable: Case) -> None:
    answer = stable.do(Replace(pod="web-base-3", by="bob"))
    assert isinstance(answer, AcceptedAnswer)
    assert answer.generation == 2, "the wish is the same"
    assert (stable.plan.evict, stable.plan.evicted_at) == (("web-base-3",), stable.now)
    assert stable.plan.complete
    assert "web-base-3 is placed anew" in stable.status.message
    stable.tell(evicting=1)
    stable.tell(moving=1, available=9, present=9, outcome=9)
    assert stable.plan.evict == ("web-base-3",)
    again = stable.do(Replace(pod="web-base-3"))
    assert isinstance(again, AcceptedAnswer)
    assert "already" in again.message
    stable.tell()
    assert (stable.plan.evict, stable.plan.evicted_at, stable.status.phase) == ((), None, "Healthy")


def test_an_answer_to_an_older_plan_does_not_end_a_replacement(stable: Case) -> None:
    old = stable.counts()
    stable.do(Replace(pod="web-base-3"))
    stable.see(old)
    assert stable.plan.evict == ("web-base-3",)


def test_a_peer_is_not_replaced() -> None:
    case = Case(pods=4)
    case.apply("1.0.0", replicas=-1)
    case.finish()
    answer = case.do(Replace(pod="web-base-1"))
    assert isinstance(answer, RefusedAnswer)
    assert "restart" in answer.errors[0].message


def test_a_late_confirm_and_gray_time_are_both_honoured(stable: Case) -> None:
    stable.apply("3.0.0", **GATED)
    stable.tell()
    stable.carry_out()
    stable.do(Confirm(batch=1))
    assert stable.gates == ["grayTime"]
    assert stable.status.next == "tranche promote shop/cart"
    stable.now += timedelta(seconds=61)
    stable.later(0)
    assert stable.plan.batch == 2
