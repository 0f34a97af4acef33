"""Which counts of the scheduler are heard, what follows from them and from time, and what is told as it happens."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.unit.planner_desk import Case
from tranche.contract.plan import ALL
from tranche.contract.progress import Problem
from tranche_planner.core.document import Mark
from tranche_planner.core.rollout import due, observe, outrank, said_anew, unheard
from tranche_planner.core.wishes import Abort, Confirm, Delete, Pause, Replace, Resume, Retry, Scale

GATED = {"replicas": 10, "batchCount": 3, "useBeta": True, "needConfirm": True}


@pytest.fixture
def stable() -> Case:
    case = Case()
    case.apply("1.0.0", replicas=10)
    case.finish()
    return case


@pytest.fixture
def rolling(stable: Case) -> Case:
    stable.apply("2.0.0", **GATED)
    stable.tell()
    return stable


def event(case: Case) -> tuple[str, str]:
    return case.status.event.reason, case.status.event.message


# --- what is heard ---


def test_counts_of_another_base_are_not_heard(rolling: Case) -> None:
    before = rolling.it
    rolling.see(rolling.counts(base="edge-base", available=3))
    assert rolling.it == before


@pytest.mark.parametrize(
    ("sequence", "seconds", "heard"),
    [(8, 0, True), (7, 0, False), (6, 0, False), (6, 1, True), (9, -1, True)],
)
def test_the_order_of_the_stream_counts(rolling: Case, sequence: int, seconds: int, heard: bool) -> None:
    counts = rolling.counts(available=9, moving=1)
    last = Mark(sequence=7, time=rolling.now)
    seen = observe(rolling.it, counts.but(available=8), last, rolling.now)
    mark = Mark(sequence=sequence, time=rolling.now + timedelta(seconds=seconds))
    after = observe(seen, counts, mark, rolling.now)
    assert after.progress is not None
    assert (after.progress.available, after.last_progress) == ((9, mark) if heard else (8, last))


def test_counts_for_a_plan_that_is_not_remembered_have_ours_outrank_it(rolling: Case) -> None:
    before = rolling.plan.revision
    rolling.tell(plan_revision=before + 7, available=3)
    assert (rolling.plan.revision, rolling.status.available) == (before + 8, 10)


def test_what_is_not_remembered_is_outranked_by_one_and_nothing_older_is(rolling: Case) -> None:
    document = rolling.it
    plan, revision = rolling.plan.revision, document.revision
    for older in (plan, plan - 1):
        assert outrank(document, older, revision) is document
    newer = outrank(document, plan + 1, revision + 5)
    assert newer.plan is not None
    assert (newer.plan.revision, newer.revision) == (plan + 2, revision + 5)
    assert outrank(document.but(plan=None), 99).plan is None


@pytest.mark.parametrize(
    ("ours", "theirs", "back", "heard"),
    [
        ("ours", "ours", 0, True),
        ("ours", "another's", 0, False),
        ("ours", "another's", 1, True),
        ("ours", "", 0, True),
        ("", "another's", 0, True),
    ],
)
def test_an_answer_to_another_plan_of_the_same_number_is_outranked_where_both_are_known(
    rolling: Case, ours: str, theirs: str, back: int, heard: bool
) -> None:
    rolling.document = rolling.it.but(plan=rolling.plan.but(nonce=ours))
    before = rolling.plan.revision
    rolling.tell(plan_nonce=theirs, plan_revision=before - back, available=9, moving=1)
    assert (rolling.status.available, rolling.plan.revision) == ((9, before) if heard else (10, before + 1))


@pytest.mark.parametrize(("told", "observed"), [(1, 1), (2, 2), (99, 2)])
def test_no_generation_is_observed_that_was_never_wished(stable: Case, told: int, observed: int) -> None:
    stable.apply("2.0.0", **GATED)
    stable.tell(generation=told)
    assert stable.status.observed_generation == observed


def test_a_generation_that_was_observed_stays_so(rolling: Case) -> None:
    rolling.tell(generation=1)
    assert rolling.status.observed_generation == 2


def test_a_plan_is_unheard_until_it_is_answered(stable: Case) -> None:
    assert unheard(stable.it) == 0
    stable.apply("2.0.0", **GATED)
    plan = stable.plan
    assert unheard(stable.it) == plan.revision
    assert unheard(stable.it.but(progress=None)) == plan.revision
    assert unheard(stable.it.but(plan=None)) == 0
    anew = said_anew(plan.revision, stable.it, stable.now)
    assert anew.plan == plan.but(revision=plan.revision + 1)
    for older in (plan.revision - 1, plan.revision - 2):
        assert said_anew(older, stable.it, stable.now) == stable.it, "another was said since"
    stable.tell(plan_revision=plan.revision)
    assert unheard(stable.it.but(plan=plan)) == 0
    assert said_anew(0, stable.it.but(plan=None), stable.now).plan is None


def test_a_plan_that_time_has_changed_meanwhile_is_said_anew_as_it_is_now(stable: Case) -> None:
    stable.apply("2.0.0", replicas=10, batchCount=3, progressDeadlineSeconds=300)
    stable.tell()
    revision = stable.plan.revision
    late = said_anew(revision, stable.it, stable.now + timedelta(seconds=301))
    assert late.rollout.expired is not None


# --- what time brings ---


def test_gray_time_is_over_a_tick_after_its_last_millisecond(stable: Case) -> None:
    stable.apply("2.0.0", replicas=10, batchCount=2, grayTime=60)
    stable.tell()
    stable.carry_out()
    assert due(stable.it) == stable.now + timedelta(seconds=60, milliseconds=1)
    stable.later(60)
    stable.carry_out()
    assert due(stable.it) is None, "no gray time behind the last batch"


@pytest.mark.parametrize(("until", "first"), [(30, 30), (90, 60.001)])
def test_a_freeze_and_gray_time_whichever_ends_first(stable: Case, until: float, first: float) -> None:
    stable.apply("2.0.0", replicas=10, batchCount=2, grayTime=60)
    stable.tell()
    stable.carry_out()
    stable.freeze(until=stable.now + timedelta(seconds=until))
    assert due(stable.it) == stable.now + timedelta(seconds=first)


def test_where_nothing_waits_for_time_none_is_due(stable: Case) -> None:
    assert due(stable.it) is None
    stable.freeze()
    assert due(stable.it) is None


# --- what is told as it happens ---


def test_every_step_of_a_rollout_is_told(stable: Case) -> None:
    stable.apply("2.0.0", **GATED)
    assert event(stable) == ("Accepted", "generation 2 is accepted: 10 replicas of cart 2.0.0")
    stable.tell()
    assert event(stable) == ("BatchReleased", "batch 1 of 3 is released: 1 replica")
    stable.carry_out()
    assert event(stable) == ("BatchVerified", "batch 1 of 3 is verified: 1 available at 2.0.0")
    stable.do(Confirm())
    assert event(stable) == ("BatchReleased", "batch 2 of 3 is released: 4 replicas")
    stable.later(5)
    stable.carry_out()
    assert event(stable) == ("BatchVerified", "batch 2 of 3 is verified: 5 available at 2.0.0")
    stable.do(Confirm())
    stable.carry_out()
    assert event(stable) == ("RolloutCompleted", "generation 2 is complete at 2.0.0")


def test_the_ways_back_are_told_when_they_end(rolling: Case) -> None:
    rolling.do(Abort())
    rolling.carry_out(unavailable_pods=("web-base-1",))
    assert event(rolling) == ("Aborted", "aborted: back at 1.0.0")
    assert (rolling.it.rollout.left, rolling.it.rollout.left_count) == ((), 0), "nothing was left behind"
    rolling.do(Delete())
    rolling.carry_out()
    assert event(rolling) == (
        "Deleted",
        "all replicas are uninstalled; generations go on if it is applied again",
    )


def test_an_aborted_first_installation_is_told_to_be_gone() -> None:
    case = Case()
    case.apply("1.0.0", replicas=3)
    case.tell()
    case.do(Abort())
    case.tell()
    assert event(case) == ("Aborted", "the first installation was aborted and what it installed is removed")


def left_behind(pods: int) -> Case:
    case = Case()
    case.apply("1.0.0", replicas=pods)
    case.finish()
    case.do(Pause())
    case.do(Delete(abandon=True))
    named = tuple(f"web-base-{number}" for number in range(1, min(pods, 2) + 1))
    case.tell(down=pods, unavailable_pods=named)
    return case


@pytest.mark.parametrize(
    ("pods", "words"),
    [
        (1, "1 replica left behind on pods that do not answer: web-base-1; "),
        (2, "2 replicas left behind on pods that do not answer: web-base-1, web-base-2; "),
        (3, "3 replicas left behind on pods that do not answer: web-base-1, web-base-2 and 1 more; "),
        (5, "5 replicas left behind on pods that do not answer: web-base-1, web-base-2 and 3 more; "),
    ],
)
def test_what_a_deletion_leaves_behind_is_told(pods: int, words: str) -> None:
    case = left_behind(pods)
    words += "restart those bases to be rid of the module; all others are uninstalled"
    assert event(case) == ("Deleted", words)
    assert (case.status.message, case.status.gates) == (words, ()), "nothing is paused any more"


def test_what_is_given_up_is_told_once_with_its_cause(rolling: Case) -> None:
    problems = (
        Problem(reason="PodLost", message="a pod is gone"),
        Problem(reason="InstallFailed", message="it is built to fail"),
    )
    rolling.tell(available=9, retrying=1, problems=problems)
    assert event(rolling)[0] == "BatchReleased"
    rolling.tell(available=9, failed=1, problems=problems)
    assert event(rolling) == ("InstallFailed", "it is built to fail")
    rolling.do(Pause())
    rolling.tell(available=8, failed=2, problems=problems)
    assert event(rolling) == ("Paused", "paused")


def test_what_is_given_up_without_a_cause_is_told_by_its_number(rolling: Case) -> None:
    rolling.tell(available=8, failed=2)
    assert event(rolling) == ("InstallFailed", "2 replicas failed and were given up")


# --- how it goes on ---


def test_a_single_surplus_replica_that_is_not_available_goes_first(stable: Case) -> None:
    stable.apply("1.0.0", replicas=6)
    stable.tell(available=9, surplus_unavailable=1)
    assert (stable.plan.mode, stable.plan.replicas, stable.status.batch.count) == ("open", 9, 0)


def test_replicas_that_no_pod_can_take_yet_are_released_all_the_same() -> None:
    case = Case(pods=0)
    case.apply("1.0.0", replicas=3)
    case.tell()
    assert (case.plan.mode, case.plan.batch, case.plan.replicas) == ("roll", 1, 3)


def test_a_wish_for_nothing_is_complete_at_once() -> None:
    case = Case()
    case.apply("1.0.0", replicas=0)
    case.later(5)
    case.tell()
    assert (case.plan.complete, case.status.batch.count) == (True, 0)
    assert [(one.outcome, one.finished_at) for one in case.it.revisions] == [("completed", case.now)]


def test_every_batch_has_all_the_time_there_is(stable: Case) -> None:
    stable.apply("2.0.0", replicas=10, batchCount=2, maxUnavailable=5)
    stable.tell()
    stable.later(500)
    stable.tell(updated=5, outcome_updated=5, updated_available=5, moving=1)
    stable.later(50)
    stable.tell(updated=5, outcome_updated=5, updated_available=5)
    assert stable.plan.batch == 2
    assert due(stable.it) == stable.now + timedelta(seconds=600)


def test_nothing_is_released_while_it_is_held_from_the_beginning(stable: Case) -> None:
    stable.apply("2.0.0", **GATED)
    stable.do(Pause())
    stable.tell()
    assert (stable.status.batch.count, stable.plan.mode) == (0, "open")
    stable.do(Resume())
    stable.tell()
    assert (stable.status.batch.current, stable.plan.mode) == (1, "roll")


def test_a_peer_that_lost_all_its_pods_is_complete_with_none() -> None:
    case = Case(pods=2)
    case.apply("1.0.0", replicas=-1)
    case.finish()
    case.pods, case.revisions = 0, {}
    case.apply("2.0.0", replicas=-1)
    case.tell()
    assert (case.status.stable_version, case.plan.complete, case.status.replicas) == ("2.0.0", True, 0)


def test_a_batch_knows_when_it_was_released_and_when_it_was_verified(rolling: Case) -> None:
    released = rolling.now
    rolling.later(7)
    rolling.carry_out()
    verified = rolling.now
    rolling.later(3)
    rolling.tell()
    rolling.do(Confirm(by="eve", reason="seen"))
    first, second, third = rolling.status.batches
    assert (first.started_at, first.verified_at, first.confirmed_at) == (released, verified, rolling.now)
    assert (first.confirmed_by, first.confirm_reason) == ("eve", "seen")
    assert (second.started_at, second.verified_at, third.started_at) == (rolling.now, None, None)
    assert [(one.beta, one.size, one.state) for one in (first, second, third)] == [
        (True, 1, "Verified"),
        (False, 4, "Releasing"),
        (False, 5, "Pending"),
    ]


def test_failures_within_the_threshold_are_remembered_until_they_are_mended(stable: Case) -> None:
    stable.apply("2.0.0", replicas=10, batchCount=2, failureThreshold=1, maxUnavailable=5)
    stable.tell()
    stable.tell(updated=5, outcome_updated=5, updated_available=5)
    almost: dict[str, Any] = {"updated": 9, "outcome_updated": 9, "updated_available": 9, "available": 9}
    stable.tell(**almost, failed=1)
    assert stable.it.rollout.scarred
    stable.tell(**almost, failed=1)
    assert stable.status.phase == "Degraded"
    for trying in ({"retrying": 1}, {"failed": 1}):
        stable.tell(**almost, **trying)
        assert stable.it.rollout.scarred
    stable.tell(plan_revision=stable.it.rollout.first_plan - 1, updated=10, updated_available=10)
    assert stable.it.rollout.scarred, "that was counted before the scheduler knew of this rollout"
    stable.revisions = {2: 10}
    stable.tell()
    assert not stable.it.rollout.scarred


def test_what_fails_once_all_went_well_is_mended_by_itself(stable: Case) -> None:
    stable.apply("2.0.0", replicas=10)
    stable.tell()
    stable.carry_out()
    assert stable.plan.complete
    stable.tell(available=9, updated=9, updated_available=9, retrying=1)
    assert (stable.status.phase, stable.it.rollout.scarred) == ("Progressing", False)


def test_a_rollout_that_had_nothing_to_change_bears_no_failures(stable: Case) -> None:
    stable.apply("1.0.0", replicas=10, batchCount=4, failureThreshold=1)
    stable.tell(failed=1, updated=9, outcome_updated=9, updated_available=9, available=9, down=1)
    assert (stable.plan.complete, stable.it.rollout.scarred) == (True, False)


def test_an_abort_goes_back_to_as_many_as_were_stable(stable: Case) -> None:
    stable.do(Scale(replicas=7))
    stable.finish()
    stable.apply("2.0.0", replicas=12)
    stable.tell()
    stable.do(Abort())
    assert (stable.plan.replicas, stable.plan.wanted) == (7, 7)


@pytest.mark.parametrize(
    ("counts", "left"),
    [
        ({"evicting": 0}, ()),
        ({"evicting": 1, "emptied": ("a",)}, ("b",)),
        ({"evicting": 1, "emptied": ("a",), "moving": 1}, ("a", "b")),
        ({"evicting": 1, "emptied": ("a",), "present": 9}, ("a", "b")),
        ({"evicting": 0, "present": 9}, ("a", "b")),
        ({"evicting": 0, "moving": 1}, ("a", "b")),
        ({"evicting": 2}, ("a", "b")),
    ],
)
def test_pods_are_done_with_once_what_was_taken_off_runs_elsewhere(
    stable: Case, counts: dict[str, Any], left: tuple[str, ...]
) -> None:
    stable.do(Replace(pod="a"))
    stable.do(Replace(pod="b"))
    asked = stable.plan.evicted_at
    stable.tell(**counts)
    assert (stable.plan.evict, stable.plan.evicted_at) == (left, asked if left else None)


def test_an_answer_to_a_plan_before_the_last_ends_no_replacement(stable: Case) -> None:
    stable.do(Replace(pod="a"))
    asked = stable.plan.revision
    stable.apply("1.0.0", replicas=10, maxUnavailable=5)
    stable.tell(plan_revision=asked, evicting=0)
    assert stable.plan.evict == ("a",)
    stable.tell(evicting=0)
    assert stable.plan.evict == ()


def test_a_retry_of_an_aborted_wish_is_asked_for_at_its_time(rolling: Case) -> None:
    rolling.do(Abort())
    rolling.carry_out()
    rolling.later(60)
    rolling.do(Retry(by="bob"))
    assert rolling.it.rollout.by == "bob"
    assert (rolling.plan.retried_at, rolling.status.started_at) == (rolling.now, rolling.now)
    rolling.finish()
    rolling.do(Confirm())
    rolling.finish()
    rolling.do(Confirm())
    rolling.finish()
    assert (rolling.status.phase, rolling.plan.updated) == ("Healthy", ALL)
