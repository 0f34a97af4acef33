"""Rollouts in the planner's core: opening, cutting, gates, failures, ends."""

from __future__ import annotations

import pytest

from tests.unit.planner_desk import Case
from tranche.contract.answer import AcceptedAnswer, RefusedAnswer
from tranche.contract.plan import ALL
from tranche.contract.progress import Problem
from tranche_planner.core.rollout import due
from tranche_planner.core.wishes import Abort, Confirm, Delete, Pause, Resume

BETA = {"replicas": 10, "batchCount": 3, "useBeta": True}
FAILED = Problem(reason="InstallFailed", message="it is built to fail", pods=("web-base-1",))


@pytest.fixture
def stable() -> Case:
    case = Case()
    case.apply("1.0.0", replicas=10)
    case.finish()
    assert case.status.phase == "Healthy"
    return case


def test_surplus_that_is_not_available_goes_before_the_cutting(stable: Case) -> None:
    stable.apply("1.0.0", replicas=6)
    stable.tell(available=8, surplus_unavailable=2)
    assert (stable.plan.mode, stable.plan.replicas) == ("open", 8)
    stable.tell(available=8, surplus_unavailable=2)
    assert stable.status.batch.count == 0
    stable.revisions = {1: 8}
    stable.tell()
    assert (stable.plan.mode, stable.plan.batch, stable.plan.replicas) == ("roll", 1, 6)
    assert stable.status.batches[0].size == 2


def test_nothing_to_change_completes_at_once(stable: Case) -> None:
    stable.apply("1.0.0", replicas=10, batchCount=4)
    stable.tell()
    status = stable.status
    assert (status.phase, status.batch.current, status.batch.count, status.batch.state) == (
        "Healthy", 0, 0, "Verified"
    )  # fmt: skip
    assert status.observed_generation == 2


def test_an_upgrade_counts_from_zero_whatever_was_counted_before(stable: Case) -> None:
    stable.apply("2.0.0", **BETA)
    assert (stable.status.updated, stable.status.available, stable.status.phase) == (0, 10, "Pending")


def test_gray_time_lasts_and_is_not_begun_anew(stable: Case) -> None:
    stable.apply("2.0.0", **BETA, grayTime=60)
    stable.tell()
    stable.carry_out()
    assert (stable.gates, stable.status.phase, stable.status.reason) == (
        ["grayTime"], "Waiting", "GrayTime"
    )  # fmt: skip
    end = due(stable.it)
    assert end is not None
    stable.later(30)
    stable.tell(available=9, updated_available=0)
    assert stable.gates == ["verified", "grayTime"], "a canary that dies shuts the gate again"
    assert stable.status.phase == "Progressing"
    stable.tell()
    assert due(stable.it) == end
    stable.later(29.9)
    assert stable.plan.batch == 1
    stable.later(0.2)
    assert stable.plan.batch == 2


def test_a_dead_canary_holds_although_gray_time_is_over(stable: Case) -> None:
    stable.apply("2.0.0", **BETA, grayTime=60)
    stable.tell()
    stable.carry_out()
    stable.tell(available=9, updated_available=0)
    stable.later(100)
    assert stable.plan.batch == 1
    stable.tell()
    assert stable.plan.batch == 2


def test_a_failure_that_is_tried_again_does_not_hold(stable: Case) -> None:
    stable.apply("2.0.0", **BETA)
    stable.tell()
    stable.tell(available=9, retrying=1, problems=(FAILED,))
    status = stable.status
    assert (status.phase, status.failed, status.problems) == ("Progressing", 1, (FAILED,))
    assert "tried again" in status.message


def test_given_up_is_degraded_and_abort_leads_back(stable: Case) -> None:
    stable.apply("2.0.0", **BETA)
    stable.tell()
    stable.tell(available=9, failed=1, problems=(FAILED,))
    assert (stable.status.phase, stable.status.batch.state) == ("Degraded", "Failed")
    assert stable.status.next == "tranche abort shop/cart"
    assert "it is built to fail" in stable.status.message
    stable.do(Abort(by="me"))
    assert (stable.plan.mode, stable.plan.replicas, stable.plan.updated) == ("abort", 10, ALL)
    assert stable.status.phase == "Progressing", "not Aborting before the scheduler has noted it"
    stable.tell(available=9, moving=1)
    assert stable.status.phase == "Aborting"
    stable.carry_out()
    status = stable.status
    assert (status.phase, status.available, status.stable_version) == ("Aborted", 10, "1.0.0")
    again = stable.apply("2.0.0", **BETA)
    assert isinstance(again, AcceptedAnswer)
    assert (again.generation, stable.status.phase) == (2, "Aborted")


def test_abort_goes_back_to_the_replicas_of_before(stable: Case) -> None:
    stable.apply("2.0.0", replicas=14, batchCount=2)
    stable.tell(placeable=4)
    stable.do(Abort())
    assert (stable.plan.replicas, stable.plan.wanted) == (10, 10)


def test_down_pods_excuse_only_themselves(stable: Case) -> None:
    stable.apply("2.0.0", replicas=10, batchCount=2)
    stable.tell(available=8, down=2)
    assert [batch.size for batch in stable.status.batches] == [4, 4]
    stable.tell(updated=2, outcome_updated=2, updated_available=2, available=8, down=2)
    assert stable.plan.batch == 1, "two more could be replaced"
    stable.tell(updated=4, outcome_updated=4, updated_available=4, available=8, down=2)
    assert stable.plan.batch == 2
    stable.tell(updated=8, outcome_updated=8, updated_available=8, available=8, down=2)
    assert stable.plan.complete
    assert stable.status.phase == "Progressing", "complete, but not all are available"


def test_a_peer_waits_for_the_first_pod_and_follows() -> None:
    case = Case(pods=0)
    case.apply("1.0.0", replicas=-1, batchCount=2)
    case.tell()
    assert case.status.phase == "Pending"
    assert "no pod of web-base" in case.status.message
    case.pods = 4
    case.finish()
    assert (case.status.phase, case.status.replicas, case.status.available) == ("Healthy", 4, 4)
    case.pods = 5
    case.tell()
    assert (case.status.phase, case.status.replicas) == ("Progressing", 5)
    case.carry_out()
    assert (case.status.phase, case.status.available) == ("Healthy", 5)


def test_a_peer_without_pods_has_spent_no_budget() -> None:
    case = Case(pods=0)
    case.apply("1.0.0", replicas=-1)
    case.tell()
    row = next(one for one in case.status.conditions if one.type == "BudgetAvailable")
    assert (row.status, row.reason, row.message) == (
        "True",
        "WithinBudget",
        "0 of 0 are unavailable, 1 may be",
    )


def test_blocked_says_why_and_goes_on(stable: Case) -> None:
    words = "0 of 1 may be unavailable: maxUnavailable 50% of 1 rounds down to 0"
    problem = Problem(reason="BudgetExhausted", message=words)
    stable.apply("2.0.0", replicas=10, maxUnavailable=0)
    stable.tell()
    stable.tell(blocked="BudgetExhausted", problems=(problem,))
    status = stable.status
    assert (status.phase, status.reason, status.observed_generation) == ("Blocked", "BudgetExhausted", 2)
    assert words in status.message
    stable.apply("2.0.0", replicas=10, maxUnavailable=1)
    assert (stable.plan.generation, stable.plan.mode, stable.plan.max_unavailable) == (3, "roll", 1)


def test_older_progress_changes_nothing(stable: Case) -> None:
    stable.apply("2.0.0", **BETA)
    old = stable.counts()
    stable.tell()
    before = stable.it
    stable.see(old)
    assert stable.it == before


def test_undoing_by_hand_knows_the_pods_that_were_never_changed(stable: Case) -> None:
    stable.apply("2.0.0", **BETA)
    stable.tell()
    stable.carry_out()
    stable.apply("1.0.0", replicas=10)
    assert stable.plan.target_revisions == (1, 3)
    stable.tell()
    assert [batch.size for batch in stable.status.batches] == [1], "only the one that runs 2.0.0"


def test_pause_holds_everything_and_is_shown_once_noted(stable: Case) -> None:
    stable.apply("2.0.0", **BETA)
    stable.tell()
    stable.do(Pause(by="me", reason="why not"))
    assert (stable.plan.held, stable.plan.held_at) == (True, 10)
    assert (stable.status.phase, stable.gates) == ("Progressing", ["verified", "pause"])
    stable.tell(updated=1, updated_available=1, outcome_updated=1)
    assert (stable.status.phase, stable.plan.batch) == ("Paused", 1)
    stable.do(Resume())
    stable.tell(updated=1, updated_available=1, outcome_updated=1)
    assert stable.plan.batch == 2


def test_delete_ends_in_a_plan_that_asks_for_nothing(stable: Case) -> None:
    stable.do(Delete())
    assert stable.plan.mode == "remove"
    stable.tell(moving=2)
    assert stable.status.phase == "Deleting"
    stable.carry_out()
    assert stable.status.phase == "Deleted"
    assert (stable.plan.mode, stable.plan.replicas, stable.plan.target) == ("open", -1, None)
    answer = stable.apply("1.0.0", replicas=1)
    assert isinstance(answer, AcceptedAnswer)
    assert answer.generation == 2
    assert stable.plan.target_revisions == (2,)
    stable.finish()
    assert stable.status.phase == "Healthy"


def test_conditions_keep_the_time_of_their_last_change(stable: Case) -> None:
    first = {one.type: one for one in stable.it.conditions}
    stable.now = stable.now.replace(hour=12)
    stable.tell(available=9, updated_available=9)
    second = {one.type: one for one in stable.it.conditions}
    assert second["Completed"].last_transition_time == first["Completed"].last_transition_time
    assert (first["Progressing"].status, second["Progressing"].status) == ("False", "True")
    assert second["Progressing"].last_transition_time == stable.now


def test_confirm_before_anything_waits_says_what_is_under_way(stable: Case) -> None:
    stable.apply("2.0.0", **BETA, needConfirm=True)
    stable.tell()
    answer = stable.do(Confirm(batch=1))
    assert isinstance(answer, RefusedAnswer)
    assert "batch 1 of 3 is under way" in answer.errors[0].message
