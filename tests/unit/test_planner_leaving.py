"""The ways back: what an abort, a rollback and a deletion take with them and say (design 1.3)."""

from __future__ import annotations

import pytest

from tests.unit.planner_desk import Case
from tranche.contract.plan import ALL
from tranche.contract.status import StatusEvent
from tranche_planner.core.explaining import history
from tranche_planner.core.wishes import Abort, Delete, Pause, Replace

SIGNED = {"by": "bob", "reason": "too slow"}


def rolling(**changes: object) -> Case:
    case = Case()
    case.apply("1.0.0", replicas=10)
    case.finish()
    case.apply("2.0.0", **{"replicas": 10, "batchCount": 3, "useBeta": True, **changes})
    case.tell()
    case.later(5)
    return case


def first(**changes: object) -> Case:
    case = Case()
    case.apply("1.0.0", replicas=4, batchCount=2, **changes)
    case.tell()
    case.later(5)
    return case


def test_an_abort_goes_back_to_the_version_before() -> None:
    case = rolling()
    case.do(Abort(**SIGNED))
    assert case.status.event == StatusEvent(
        reason="Aborted", message="the abort was asked for: back to 1.0.0"
    )
    assert (case.plan.mode, case.plan.replicas, case.plan.updated) == ("abort", 10, ALL)
    assert (case.it.rollout.by, case.it.rollout.reason) == ("bob", "too slow")
    assert case.status.started_at == case.now
    last = history(case.it).revisions[-1]
    assert (last.outcome, last.finished_at) == ("aborted", case.now)


def test_the_abort_of_a_first_wish_removes_what_it_installed() -> None:
    case = first()
    case.do(Abort())
    assert case.status.event.message == (
        "the abort was asked for: what was installed is removed, there was nothing before"
    )
    assert (case.plan.mode, case.status.replicas) == ("remove", 0)


@pytest.mark.parametrize(
    ("counts", "seconds", "why"),
    [
        ({"available": 9, "failed": 1}, 0, "1 replica failed"),
        ({"available": 8, "failed": 2}, 0, "2 replicas failed"),
        ({"moving": 1}, 300, "no progress was made for 300 seconds"),
    ],
)
def test_a_rollout_that_goes_back_by_itself_says_why(
    counts: dict[str, int], seconds: float, why: str
) -> None:
    case = rolling(autoRollback=True, progressDeadlineSeconds=300)
    case.tell(**counts)
    if seconds:
        case.later(seconds)
    assert case.status.event == StatusEvent(
        reason="RolledBack", message=f"{why} and autoRollback is set: back to 1.0.0"
    )
    case.tell(moving=1)
    assert case.status.message == f"aborting 2.0.0 by autoRollback: {why}; back to 1.0.0"
    assert history(case.it).revisions[-1].outcome == "aborted"


def test_a_first_wish_that_goes_back_by_itself_leaves_nothing() -> None:
    case = first(autoRollback=True)
    case.tell(failed=2)
    assert case.status.event.message == (
        "2 replicas failed and autoRollback is set: what was installed is removed, there was nothing before"
    )
    assert case.plan.mode == "remove"


def test_a_deletion_leaves_no_version_to_go_back_to() -> None:
    case = rolling()
    case.do(Delete(**SIGNED))
    assert case.status.event == StatusEvent(
        reason="Deleted", message="the deletion was asked for: all replicas are being uninstalled"
    )
    assert (case.plan.mode, case.plan.stable, case.status.stable_version) == ("remove", None, None)
    assert (case.it.rollout.by, case.it.rollout.reason) == ("bob", "too slow")
    assert case.status.started_at == case.now
    last = history(case.it).revisions[-1]
    assert (last.outcome, last.finished_at) == ("deleted", case.now)


@pytest.mark.parametrize("wish", [Abort(), Delete()])
def test_a_way_back_ends_a_pause_and_leaves_replacements_undone(wish: Abort | Delete) -> None:
    case = rolling()
    case.do(Replace(pod="web-base-7"))
    case.do(Pause())
    assert (case.plan.evict, case.plan.held) == (("web-base-7",), True)
    case.do(wish)
    assert (case.plan.evict, case.plan.evicted_at, case.plan.held) == ((), None, False)
    case.tell(moving=1)
    assert case.status.phase in ("Aborting", "Deleting")
    assert case.gates == []


def test_a_deletion_leaves_nothing_behind_unless_it_is_said() -> None:
    case = rolling()
    case.do(Delete())
    case.tell(present=1, outcome=1, down=1)
    assert case.status.phase == "Deleting"
    case = rolling()
    case.do(Delete(abandon=True))
    case.tell(present=1, outcome=1, down=1)
    assert case.status.phase == "Deleted"
