"""Progress deadline, failure threshold, autoRollback and retry (design 1.1, 1.3, 1.6)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.unit.planner_desk import Case
from tranche.contract.answer import AcceptedAnswer
from tranche.contract.plan import ALL
from tranche.contract.progress import Problem
from tranche_planner.core.rollout import due
from tranche_planner.core.wishes import Abort, Pause, Promote, Resume, Retry

THREE = {"replicas": 10, "batchCount": 3, "useBeta": True}


@pytest.fixture
def stable() -> Case:
    case = Case()
    case.apply("1.0.0", replicas=10)
    case.finish()
    return case


def rolling(case: Case, **changes: object) -> Case:
    case.apply("2.0.0", **{**THREE, **changes})
    case.tell()
    assert case.plan.batch == 1
    return case


def test_no_progress_for_so_long_is_degraded_and_held(stable: Case) -> None:
    rolling(stable, progressDeadlineSeconds=300)
    assert due(stable.it) == stable.now + timedelta(seconds=300)
    stable.tell(moving=1, available=9)
    stable.later(299)
    assert stable.status.phase == "Progressing"
    stable.later(1)
    status = stable.status
    assert (status.phase, status.reason, status.batch.state) == (
        "Degraded", "ProgressDeadlineExceeded", "Failed"
    )  # fmt: skip
    assert "300 seconds" in status.message
    assert status.next == "tranche abort shop/cart"
    assert [one.reason for one in status.problems] == ["ProgressDeadlineExceeded"]
    assert (stable.plan.held, stable.plan.held_at) == (True, 10)
    assert (status.event.reason, status.event.message) == (
        "ProgressDeadlineExceeded",
        "batch 1 of 3 made no progress for 300 seconds; nothing further is disturbed",
    )


def test_the_default_deadline_is_ten_minutes_and_zero_is_none(stable: Case) -> None:
    rolling(stable)
    assert due(stable.it) == stable.now + timedelta(seconds=600)
    stable.apply("2.0.0", **THREE, progressDeadlineSeconds=0)
    assert due(stable.it) is None
    stable.tell()
    stable.later(10_000)
    assert stable.status.phase == "Progressing"


def test_every_replica_that_gets_there_starts_the_clock_anew(stable: Case) -> None:
    rolling(stable, useBeta=False)
    for count in (1, 2):
        stable.later(500)
        stable.tell(updated=count, outcome_updated=count, updated_available=count, moving=1)
    stable.later(599)
    stable.tell(updated=1, outcome_updated=1, updated_available=1, available=9, moving=1)
    assert stable.status.phase == "Progressing"
    stable.later(2)
    assert stable.status.phase == "Degraded", "what comes and goes is no progress"


@pytest.mark.parametrize("what", ["blocked", "paused", "frozen", "waiting"])
def test_the_clock_stands_still(stable: Case, what: str) -> None:
    rolling(stable, needConfirm=what == "waiting", progressDeadlineSeconds=300)
    stable.later(200)
    if what == "blocked":
        stable.tell(blocked="BudgetExhausted")
    elif what == "paused":
        stable.do(Pause())
    elif what == "frozen":
        stable.freeze()
    else:
        stable.carry_out()
    stable.later(5000)
    assert stable.status.phase != "Degraded"
    assert due(stable.it) is None
    if what == "waiting":
        return
    stable.do(Resume())
    stable.unfreeze()
    stable.tell()
    stable.later(99)
    assert stable.status.phase == "Progressing"
    stable.later(1)
    assert stable.status.phase == "Degraded"


def test_the_clock_stands_still_before_and_after_a_rollout(stable: Case) -> None:
    stable.later(601)
    assert due(stable.it) is None
    stable.apply("2.0.0", **THREE)
    stable.later(601)
    assert (due(stable.it), stable.status.phase) == (None, "Pending")
    stable.tell()
    assert due(stable.it) == stable.now + timedelta(seconds=600)
    stable.do(Abort())
    stable.tell(moving=1)
    stable.later(601)
    assert (due(stable.it), stable.status.phase) == (None, "Aborting")


def test_what_is_held_for_the_deadline_waits_for_no_time(stable: Case) -> None:
    rolling(stable)
    stable.later(601)
    assert (due(stable.it), stable.status.phase) == (None, "Degraded")
    stable.tell(moving=1)
    assert due(stable.it) is None


def test_available_ones_are_progress_too_but_not_the_same_once_more(stable: Case) -> None:
    rolling(stable, useBeta=False)
    start = stable.now
    steps = [
        # updated, available of them, seconds since the start at which the clock began anew
        (2, 0, 100),
        (2, 1, 200),
        (3, 0, 300),
        (3, 1, 300),
        (2, 2, 500),
        (3, 2, 500),
    ]
    for updated, available, began in steps:
        stable.later(100)
        about = {"updated": updated, "outcome_updated": updated, "updated_available": available}
        stable.tell(**about, available=9, moving=1)
        assert due(stable.it) == start + timedelta(seconds=began + 600)


def test_news_in_the_last_moment_count_before_the_deadline(stable: Case) -> None:
    """Nobody has noticed that the time was over when the scheduler says why nothing went on."""
    rolling(stable)
    stable.now += timedelta(seconds=700)
    stable.tell(blocked="BudgetExhausted", available=8)
    assert stable.status.phase == "Blocked"
    stable.tell(available=8)
    assert stable.status.phase == "Progressing"
    assert due(stable.it) == stable.now, "its time was over before it was blocked"
    stable.later(0)
    assert stable.status.phase == "Degraded"


def test_what_came_true_in_the_last_moment_is_not_late(stable: Case) -> None:
    rolling(stable)
    stable.revisions = {1: 9, 2: 1}
    stable.tell(moving=1)
    stable.now += timedelta(seconds=700)
    stable.tell()
    assert (stable.plan.batch, stable.status.phase) == (2, "Progressing")


def test_what_blocked_an_earlier_plan_does_not_stop_the_clock(stable: Case) -> None:
    rolling(stable)
    stable.see(stable.counts(plan_revision=1, blocked="BudgetExhausted", available=8))
    stable.later(599)
    assert stable.status.phase == "Progressing"
    stable.later(1)
    assert stable.status.phase == "Degraded"


def test_a_clock_that_is_set_back_takes_no_time_away(stable: Case) -> None:
    rolling(stable)
    stable.now -= timedelta(seconds=50)
    stable.do(Pause())
    stable.do(Resume())
    assert due(stable.it) == stable.now + timedelta(seconds=600)


def test_a_canary_that_died_while_it_was_watched_is_late_some_time_after(stable: Case) -> None:
    rolling(stable, grayTime=60)
    stable.carry_out()
    assert stable.gates == ["grayTime"]
    stable.tell(available=9, updated_available=0)
    stable.later(61)
    assert stable.gates == ["verified"]
    stable.later(599)
    assert stable.status.phase == "Progressing"
    stable.later(1)
    assert stable.status.phase == "Degraded"


def test_retry_of_what_failed_starts_the_clock_anew(stable: Case) -> None:
    rolling(stable)
    stable.later(500)
    stable.tell(available=9, failed=1)
    assert (stable.status.phase, due(stable.it)) == ("Degraded", None), "it waits for a person"
    stable.do(Retry())
    assert due(stable.it) == stable.now + timedelta(seconds=600)


def test_a_changed_wish_starts_the_clock_anew(stable: Case) -> None:
    rolling(stable)
    stable.later(500)
    stable.apply("2.0.0", **THREE, progressDeadlineSeconds=300)
    assert due(stable.it) == stable.now + timedelta(seconds=300)


def test_retry_ends_the_hold_and_starts_the_clock_anew(stable: Case) -> None:
    rolling(stable)
    stable.later(601)
    answer = stable.do(Retry(by="bob"))
    assert isinstance(answer, AcceptedAnswer)
    assert not stable.plan.held
    assert stable.plan.retried_at == stable.now
    assert stable.status.event.reason == "Retried"
    stable.tell()
    stable.later(599)
    assert stable.status.phase == "Progressing"
    stable.finish()
    assert stable.status.phase == "Healthy"


@pytest.mark.parametrize("how", ["resume", "new wish", "abort"])
def test_what_else_ends_the_hold(stable: Case, how: str) -> None:
    rolling(stable)
    stable.later(601)
    if how == "resume":
        stable.do(Resume())
    elif how == "abort":
        stable.do(Abort())
    else:
        stable.apply("2.0.0", **THREE, maxUnavailable=5)
    assert not stable.plan.held
    stable.tell(moving=1)
    assert stable.status.phase != "Degraded"


def test_what_was_under_way_still_counts_but_nothing_new_is_released(stable: Case) -> None:
    rolling(stable)
    stable.later(601)
    stable.revisions = {1: 9, 2: 1}
    stable.tell()
    assert (stable.plan.batch, stable.plan.held, stable.status.phase) == (1, True, "Degraded")
    stable.do(Retry())
    stable.tell()
    assert stable.plan.batch == 2


def test_auto_rollback_on_the_deadline(stable: Case) -> None:
    rolling(stable, autoRollback=True)
    stable.later(601)
    assert (stable.plan.mode, stable.plan.replicas, stable.plan.updated) == ("abort", 10, ALL)
    assert stable.status.event.reason == "RolledBack"
    assert "no progress was made for 600 seconds" in stable.status.event.message
    stable.finish()
    status = stable.status
    assert (status.phase, status.stable_version) == ("Aborted", "1.0.0")
    assert "by autoRollback" in status.message


def test_auto_rollback_on_failures(stable: Case) -> None:
    rolling(stable, autoRollback=True)
    stable.tell(available=9, retrying=1)
    assert stable.plan.mode == "roll", "it is tried again first"
    stable.tell(available=9, failed=1)
    assert stable.plan.mode == "abort"
    assert stable.it.rollout.by == "autoRollback"
    assert "1 replica failed and autoRollback is set: back to 1.0.0" in stable.status.event.message


def test_failures_within_the_threshold_do_not_hold(stable: Case) -> None:
    rolling(stable, useBeta=False, failureThreshold=1, maxUnavailable=3)
    assert stable.plan.failure_threshold == 1
    stable.tell(updated=2, outcome_updated=2, updated_available=2, available=9, failed=1)
    assert stable.plan.batch == 2
    stable.tell(updated=5, outcome_updated=5, updated_available=5, available=9, failed=1)
    stable.tell(updated=9, outcome_updated=9, updated_available=9, available=9, failed=1)
    assert stable.plan.complete
    stable.tell(updated=9, outcome_updated=9, updated_available=9, available=9, retrying=1)
    status = stable.status
    assert (status.phase, status.stable_version) == ("Degraded", "2.0.0")
    assert status.next == "tranche retry shop/cart"
    assert isinstance(stable.do(Retry()), AcceptedAnswer)
    assert stable.plan.retried_at == stable.now
    assert stable.plan.complete
    stable.revisions = {2: 10}
    stable.tell()
    assert stable.status.phase == "Healthy"
    stable.tell(available=9, updated=9, updated_available=9, retrying=1)
    assert stable.status.phase == "Progressing", "a later failure is mended by itself"


def test_a_failure_within_the_threshold_that_spends_the_budget_names_what_opens_it(stable: Case) -> None:
    rolling(stable, useBeta=False, failureThreshold=2, maxUnavailable=1)
    words = "1 of 10 unavailable, 1 may be: maxUnavailable 1"
    spent = {"blocked": "BudgetExhausted", "problems": (Problem(reason="BudgetExhausted", message=words),)}
    stable.tell(updated=1, outcome_updated=1, updated_available=1, available=9, failed=1, **spent)
    assert (stable.status.phase, stable.status.next) == ("Blocked", "tranche retry shop/cart")
    assert stable.status.message == (
        f"{words}; 1 replica failed and will not be tried again unless tranche retry shop/cart says so"
    )


def test_a_budget_that_others_spend_opens_by_itself(stable: Case) -> None:
    rolling(stable, useBeta=False, failureThreshold=2, maxUnavailable=2)
    spent = {"blocked": "BudgetExhausted"}
    for about in ({"available": 8, "failed": 1}, {"available": 8}):
        stable.tell(updated=1, outcome_updated=1, updated_available=1, **about, **spent)
        assert (stable.status.phase, stable.status.next) == ("Blocked", "tranche explain shop/cart")
        assert "goes on by itself" in stable.status.message


def test_more_failures_than_the_threshold_hold(stable: Case) -> None:
    rolling(stable, useBeta=False, failureThreshold="10%", maxUnavailable=3)
    stable.tell(updated=1, outcome_updated=1, updated_available=1, available=8, failed=2)
    assert (stable.plan.batch, stable.status.phase) == (1, "Degraded")


def test_a_batch_with_nothing_available_always_holds(stable: Case) -> None:
    rolling(stable, failureThreshold=3, maxUnavailable=5)
    stable.tell(available=9, failed=1)
    assert (stable.plan.batch, stable.status.phase) == (1, "Degraded"), "the canary is all of its batch"
    stable.do(Retry())
    assert stable.status.phase == "Progressing"
    stable.tell(available=9, retrying=1)
    stable.carry_out()
    assert stable.plan.batch == 2


def test_promote_while_degraded_points_to_retry(stable: Case) -> None:
    rolling(stable)
    stable.tell(available=9, failed=1)
    answer = stable.do(Promote())
    assert not isinstance(answer, AcceptedAnswer)
    assert "tranche retry shop/cart" in answer.errors[0].message


def test_counts_from_before_a_retry_do_not_degrade_again(stable: Case) -> None:
    rolling(stable)
    stable.tell(available=9, failed=1)
    old = stable.counts(available=9, failed=1)
    stable.do(Retry())
    stable.see(old)
    assert stable.status.phase == "Progressing"
    stable.tell(available=9, failed=1)
    assert stable.status.phase == "Degraded", "the next failure is judged as before"


def test_min_ready_seconds_are_told_and_waited_for(stable: Case) -> None:
    rolling(stable, minReadySeconds=30)
    assert stable.plan.min_ready_s == 30
    stable.revisions = {1: 9, 2: 1}
    stable.tell(updated_available=0, available=9, maturing=1)
    assert stable.plan.batch == 1
    assert "not yet for 30 seconds" in stable.status.message
    stable.tell()
    assert stable.plan.batch == 2
