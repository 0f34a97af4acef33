"""What every change of a document ends with: which plan told the scheduler of what, and its own counter."""

from __future__ import annotations

import pytest

from tests.unit.planner_desk import Case
from tranche_planner.core.settling import settled
from tranche_planner.core.wishes import Abort, Delete, Pause, Replace, Resume, Retry


@pytest.fixture
def rolling() -> Case:
    case = Case()
    case.apply("1.0.0", replicas=10)
    case.finish()
    case.apply("2.0.0", replicas=10, batchCount=3)
    case.tell()
    return case


def test_what_did_not_change_is_not_saved_again(rolling: Case) -> None:
    before = rolling.it
    assert settled(before, before.but(), rolling.now) is before
    assert settled(None, before, rolling.now).revision == before.revision + 1


def test_every_change_is_one_more(rolling: Case) -> None:
    before = rolling.it.revision
    for count, verb in enumerate((Pause(), Resume(), Replace(pod="a"), Abort(), Delete()), start=1):
        rolling.do(verb)
        assert rolling.it.revision == before + count
    assert rolling.it.conditions[0].observed_generation == rolling.it.observed_generation


def test_the_plan_that_told_of_a_rollout_first_is_kept_while_it_lasts(rolling: Case) -> None:
    first = rolling.it.rollout.first_plan
    assert 0 < first < rolling.plan.revision
    rolling.tell(failed=0, retrying=1, available=9)
    rolling.apply("2.0.0", replicas=10, batchCount=3, maxUnavailable=5)
    assert rolling.it.rollout.first_plan == first
    assert rolling.status.failed == 1, "what was counted before holds for the same rollout"
    rolling.do(Abort())
    assert rolling.it.rollout.first_plan == rolling.plan.revision


def test_the_plan_that_told_of_a_hold_first_is_kept_while_it_lasts(rolling: Case) -> None:
    rolling.do(Pause())
    paused = rolling.plan.revision
    rolling.freeze()
    rolling.apply("2.0.0", replicas=10, batchCount=3, maxUnavailable=5)
    frozen = rolling.plan.revision
    assert rolling.it.paused is not None
    assert rolling.it.frozen is not None
    assert (rolling.it.paused.first_plan, rolling.it.frozen.first_plan) == (paused, paused)
    assert frozen > paused
    rolling.tell(plan_revision=paused - 1)
    assert rolling.status.phase == "Progressing", "the scheduler does not know of it yet"
    rolling.tell(plan_revision=paused)
    assert (rolling.status.phase, rolling.status.reason) == ("Paused", "Paused")


def test_a_freeze_is_said_once_the_plan_that_told_of_it_is_answered(rolling: Case) -> None:
    rolling.freeze()
    frozen = rolling.plan.revision
    rolling.apply("2.0.0", replicas=10, batchCount=3, maxUnavailable=5)
    rolling.tell(plan_revision=frozen - 1)
    assert rolling.status.phase == "Progressing"
    rolling.tell(plan_revision=frozen)
    assert (rolling.status.phase, rolling.status.reason) == ("Paused", "Frozen")


def test_the_plan_that_told_of_an_expired_deadline_is_kept(rolling: Case) -> None:
    rolling.later(600)
    assert rolling.it.rollout.expired is not None
    assert rolling.it.rollout.expired.first_plan == rolling.plan.revision


def test_a_retry_is_known_once_the_plan_that_told_of_it_is_answered(rolling: Case) -> None:
    assert rolling.it.rollout.retried_plan == 0
    rolling.tell(available=9, failed=1)
    rolling.do(Retry())
    asked = rolling.plan.revision
    assert rolling.it.rollout.retried_plan == asked
    rolling.apply("2.0.0", replicas=10, batchCount=3, maxUnavailable=5)
    assert (rolling.plan.revision > asked, rolling.it.rollout.retried_plan) == (True, asked)
    rolling.tell(plan_revision=asked, available=9, failed=1)
    assert rolling.status.phase == "Degraded", "it was tried again and failed again"
    rolling.do(Retry())
    assert rolling.it.rollout.retried_plan == rolling.plan.revision


def test_a_replacement_is_known_once_the_plan_that_told_of_it_is_answered(rolling: Case) -> None:
    assert rolling.it.evict_plan == 0
    rolling.do(Replace(pod="a"))
    asked = rolling.plan.revision
    assert rolling.it.evict_plan == asked
    rolling.apply("2.0.0", replicas=10, batchCount=3, maxUnavailable=5)
    assert (rolling.plan.revision > asked, rolling.it.evict_plan) == (True, asked)
    rolling.tell(evicting=0)
    assert (rolling.plan.evict, rolling.it.evict_plan) == ((), 0)
