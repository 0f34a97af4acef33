"""What people are told of every phase: why it is so, and the command that helps (design 1.4)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.planner_desk import Case, healthy, rolling, verified
from tranche.contract.answer import AcceptedAnswer
from tranche.contract.progress import Problem
from tranche_planner.core.wishes import Abort, Confirm, Delete, Pause, Replace, Resume, Retry

WATCH = "tranche status shop/cart -w"
FAILED = Problem(reason="InstallFailed", message="it is built to fail", pods=("web-base-1",))
OTHER = Problem(reason="PodUnreachable", message="no answer", pods=("web-base-2",))
EXHAUSTED = Problem(reason="BudgetExhausted", message="1 of 10 unavailable, 1 may be")
Told = tuple[str, str, str, str]


def told(case: Case) -> Told:
    status = case.status
    return status.phase, status.reason, status.message, status.next


def first() -> Case:
    case = Case()
    case.apply("1.0.0", replicas=4, batchCount=2)
    case.tell()
    return case


def accepted() -> Case:
    case = healthy()
    case.apply("2.0.0", replicas=10)
    return case


def counted_before_a_hold(hold: Callable[[Case], object]) -> Case:
    case = accepted()
    old = case.counts()
    hold(case)
    case.see(old)
    return case


def pausing() -> Case:
    return counted_before_a_hold(lambda case: case.do(Pause()))


def freezing() -> Case:
    return counted_before_a_hold(Case.freeze)


def without_pods() -> Case:
    case = Case(pods=0)
    case.apply("1.0.0", replicas=-1)
    case.tell()
    return case


def peer_with_a_surplus() -> Case:
    case = Case(pods=3)
    case.apply("1.0.0", replicas=-1)
    case.tell(present=4, outcome=4, surplus_unavailable=1)
    return case


def with_a_surplus() -> Case:
    case = healthy()
    case.apply("1.0.0", replicas=6)
    case.tell(available=8, surplus_unavailable=2, pods=0)
    return case


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (accepted, "generation 2 is accepted and waits for the scheduler to count"),
        (pausing, "nothing is released: the pause is on its way to the scheduler"),
        (freezing, "nothing is released: the freeze is on its way to the scheduler"),
        (without_pods, "no pod of web-base is known yet; it begins when one appears"),
        (with_a_surplus, "surplus replicas that are not available are removed first"),
        (peer_with_a_surplus, "surplus replicas that are not available are removed first"),
    ],
)
def test_what_keeps_a_rollout_from_its_first_batch(state: Callable[[], Case], message: str) -> None:
    case = state()
    assert told(case) == ("Pending", "Accepted", message, WATCH)
    assert case.status.batch.state == "Pending"


def test_a_first_wish_waits_for_the_scheduler() -> None:
    case = Case()
    case.apply("1.0.0", replicas=2)
    assert case.status.message == "generation 1 is accepted and waits for the scheduler to count"


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({}, "batch 1 of 3 is under way: 0 available at 2.0.0"),
        ({"updated_available": 2}, "batch 1 of 3 is under way: 2 available at 2.0.0"),
        (
            {"retrying": 2},
            "batch 1 of 3 is under way: 0 available at 2.0.0, 2 failed, to be tried again",
        ),
        (
            {"maturing": 3},
            "batch 1 of 3 is under way: 0 available at 2.0.0, 3 not yet for 30 seconds",
        ),
        (
            {"retrying": 1, "maturing": 1},
            "batch 1 of 3 is under way: 0 available at 2.0.0, 1 failed, to be tried again, "
            "1 not yet for 30 seconds",
        ),
    ],
)
def test_what_a_batch_under_way_has_come_to(counts: dict[str, int], message: str) -> None:
    case = rolling(minReadySeconds=30)
    case.tell(moving=1, **counts)
    assert told(case) == ("Progressing", "BatchReleased", message, WATCH)
    assert case.status.batch.state == "Releasing"


def test_counts_that_answer_an_earlier_rollout_say_nothing_of_the_batch() -> None:
    case = rolling(minReadySeconds=30)
    case.tell(plan_revision=1, updated_available=10, maturing=1, blocked="InsufficientCapacity")
    assert told(case) == (
        "Progressing", "BatchReleased", "batch 1 of 3 is under way: 0 available at 2.0.0", WATCH
    )  # fmt: skip


def test_a_replica_that_is_replaced_meanwhile_is_named() -> None:
    case = rolling()
    case.do(Replace(pod="web-base-7"))
    case.tell(moving=1, evicting=1)
    assert case.status.message == (
        "batch 1 of 3 is under way: 0 available at 2.0.0; what runs on web-base-7 is placed anew"
    )


def test_healthy_names_the_version_and_points_to_the_history() -> None:
    assert told(healthy()) == (
        "Healthy", "RolloutCompleted", "10 available at 1.0.0", "tranche history shop/cart"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("counts", "phase"),
    [
        ({"available": 11, "updated_available": 11}, "Healthy"),
        ({"available": 10, "updated_available": 9}, "Progressing"),
        ({"available": 9, "updated_available": 9}, "Progressing"),
        ({"retrying": 1}, "Progressing"),
        ({"failed": 1}, "Degraded"),
        ({"blocked": "BudgetExhausted"}, "Healthy"),
        ({"available": 9, "updated_available": 9, "blocked": "InsufficientCapacity"}, "Blocked"),
    ],
)
def test_healthy_means_all_are_available_at_the_target_and_none_failed(
    counts: dict[str, object], phase: str
) -> None:
    case = healthy()
    case.tell(**counts)
    assert case.status.phase == phase
    assert case.status.batch.state == "Verified"


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        (
            {"available": 8, "updated_available": 7},
            "3 of 10 are not available; they are brought back",
        ),
        (
            {"available": 10, "updated_available": 8},
            "2 of 10 are not at 1.0.0; they are brought back",
        ),
        (
            {"present": 11, "retrying": 1},
            "10 available at 1.0.0; 1 more failed, to be tried again",
        ),
    ],
)
def test_what_a_complete_rollout_has_lost(counts: dict[str, int], message: str) -> None:
    case = healthy()
    case.tell(**counts)
    assert told(case) == ("Progressing", "PodLost", message, WATCH)


@pytest.mark.parametrize(
    ("available", "reason", "message"),
    [
        (10, "Accepted", "10 available at 1.0.0; what runs on web-base-1, web-base-2 is placed anew"),
        (8, "Accepted", "8 available at 1.0.0; what runs on web-base-1, web-base-2 is placed anew"),
        (
            7,
            "PodLost",
            "3 of 10 are not available; they are brought back; "
            "what runs on web-base-1, web-base-2 is placed anew",
        ),
    ],
)
def test_replicas_that_are_replaced_are_no_lost_ones(available: int, reason: str, message: str) -> None:
    case = healthy()
    for number in (1, 2):
        case.do(Replace(pod=f"web-base-{number}"))
    case.tell(available=available, updated_available=available, evicting=2)
    assert told(case) == ("Progressing", reason, message, WATCH)


@pytest.mark.parametrize(
    ("count", "names"),
    [
        (5, "pod-0, pod-1, pod-2, pod-3, pod-4"),
        (6, "pod-0, pod-1, pod-2, pod-3, pod-4 and others"),
    ],
)
def test_of_many_replaced_ones_five_are_named(count: int, names: str) -> None:
    case = healthy()
    for number in range(count):
        case.do(Replace(pod=f"pod-{number}"))
    case.tell(evicting=count)
    assert case.status.message == f"10 available at 1.0.0; what runs on {names} is placed anew"


CONFIRM = "tranche confirm shop/cart --batch 1"


@pytest.mark.parametrize(
    ("strategy", "reason", "message", "command"),
    [
        (
            {"needConfirm": True},
            "AwaitingConfirm",
            "batch 1 of 3 is verified and waits for a person",
            CONFIRM,
        ),
        (
            {"needConfirm": True, "grayTime": 90},
            "AwaitingConfirm",
            "batch 1 of 3 is verified and waits for a person, and its gray time ends at 2026-01-31 09:01:30 UTC",
            CONFIRM,
        ),
        (
            {"grayTime": 90},
            "GrayTime",
            "batch 1 of 3 is verified and is watched until 2026-01-31 09:01:30 UTC",
            "tranche promote shop/cart",
        ),
    ],
)
def test_what_a_verified_batch_waits_for(
    strategy: dict[str, object], reason: str, message: str, command: str
) -> None:
    case = verified(**strategy)
    assert told(case) == ("Waiting", reason, message, command)
    assert case.status.batch.state == "Waiting"


def test_the_second_batch_waits_under_its_own_number() -> None:
    case = verified(needConfirm=True)
    case.do(Confirm())
    assert case.status.batch.state == "Releasing"
    case.carry_out()
    assert told(case)[2:] == (
        "batch 2 of 3 is verified and waits for a person",
        "tranche confirm shop/cart --batch 2",
    )


def test_a_verified_batch_that_lost_a_replica_is_under_way_again() -> None:
    case = verified(needConfirm=True)
    case.tell(available=9, updated_available=0)
    status = case.status
    assert (status.phase, status.batch.state) == ("Progressing", "Releasing")


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ({}, "paused; nothing new is disturbed"),
        ({"by": "bob", "reason": "lunch"}, "paused by bob: lunch; nothing new is disturbed"),
    ],
)
def test_a_pause_says_who_and_why(about: dict[str, str], message: str) -> None:
    case = rolling()
    case.do(Pause(**about))
    assert case.status.phase == "Progressing", "the scheduler does not know it yet"
    case.tell()
    assert told(case) == ("Paused", "Paused", message, "tranche resume shop/cart")


def test_a_freeze_says_who_and_until_when() -> None:
    case = rolling()
    case.freeze(by="ops", reason="sale", until=case.now.replace(hour=18))
    case.tell()
    assert told(case) == (
        "Paused",
        "Frozen",
        "namespace shop is frozen by ops: sale; ends by itself at 2026-01-31 18:00:00 UTC; "
        "nothing new is disturbed",
        "tranche unfreeze -n shop",
    )


def test_a_pause_is_told_before_a_freeze() -> None:
    case = rolling()
    case.freeze()
    case.do(Pause())
    case.tell()
    assert case.status.reason == "Paused"
    case.do(Resume())
    case.tell()
    assert case.status.reason == "Frozen"


def test_what_is_all_there_but_not_yet_in_order_may_still_be_blocked() -> None:
    case = rolling()
    grown = {"updated": 10, "outcome_updated": 10, "updated_available": 10}
    case.tell(present=11, outcome=10, available=10, **grown, blocked="BudgetExhausted")
    assert case.status.phase == "Blocked"


def test_a_failure_that_is_tried_again_is_not_healthy_before_the_scheduler_says_so() -> None:
    case = healthy()
    case.tell(failed=1)
    case.do(Retry())
    assert case.status.phase == "Progressing"


@pytest.mark.parametrize(
    ("reason", "problems", "words"),
    [
        ("BudgetExhausted", (), "BudgetExhausted"),
        ("BudgetExhausted", (OTHER, EXHAUSTED), "1 of 10 unavailable, 1 may be"),
        ("InsufficientCapacity", (OTHER, EXHAUSTED), "InsufficientCapacity"),
    ],
)
def test_what_blocks_is_told_in_the_schedulers_words(
    reason: str, problems: tuple[Problem, ...], words: str
) -> None:
    case = rolling()
    case.tell(blocked=reason, problems=problems)
    assert told(case) == (
        "Blocked",
        reason,
        f"{words}; it goes on by itself when that changes",
        "tranche explain shop/cart",
    )


@pytest.mark.parametrize(
    ("most", "counts", "opens"),
    [
        (2, {"available": 8, "failed": 2}, True),
        (2, {"available": 7, "failed": 3}, True),
        (2, {"available": 9, "failed": 2}, False),
        (2, {"available": 8, "failed": 1}, False),
        (0, {"available": 10, "failed": 0}, False),
        (0, {"available": 9, "failed": 1}, False),
    ],
)
def test_only_failures_that_spend_the_whole_budget_need_a_retry(
    most: int, counts: dict[str, int], opens: bool
) -> None:
    case = rolling(useBeta=False, failureThreshold=5, maxUnavailable=most)
    grown = {"updated": 1, "outcome_updated": 1, "updated_available": 1}
    case.tell(**grown, **counts, blocked="BudgetExhausted")
    command = "tranche retry shop/cart"
    failed = f"{counts['failed']} replicas failed and will not be tried again unless {command} says so"
    assert told(case) == (
        "Blocked",
        "BudgetExhausted",
        f"BudgetExhausted; {failed}" if opens else "BudgetExhausted; it goes on by itself when that changes",
        command if opens else "tranche explain shop/cart",
    )


def test_failures_open_no_budget_where_capacity_is_what_is_missing() -> None:
    case = rolling(useBeta=False, failureThreshold=5, maxUnavailable=1)
    grown = {"updated": 1, "outcome_updated": 1, "updated_available": 1}
    case.tell(**grown, available=9, failed=1, blocked="InsufficientCapacity")
    assert case.status.next == "tranche explain shop/cart"


@pytest.mark.parametrize(
    ("failed", "problems", "message"),
    [
        (1, (), "1 replica failed and will not be tried again; nothing further is disturbed"),
        (
            2,
            (OTHER, FAILED),
            "2 replicas failed and will not be tried again; nothing further is disturbed: it is built to fail",
        ),
    ],
)
def test_a_batch_that_failed_says_how_many_and_why(
    failed: int, problems: tuple[Problem, ...], message: str
) -> None:
    case = rolling()
    case.tell(available=9, failed=failed, problems=problems)
    assert told(case) == ("Degraded", "InstallFailed", message, "tranche abort shop/cart")
    assert case.status.batch.state == "Failed"


@pytest.mark.parametrize(("problems", "why"), [((), ""), ((OTHER, FAILED), ": it is built to fail")])
def test_a_complete_rollout_with_failures_asks_for_a_retry(problems: tuple[Problem, ...], why: str) -> None:
    case = healthy()
    case.tell(available=8, updated_available=8, failed=2, problems=problems)
    assert told(case) == (
        "Degraded",
        "InstallFailed",
        f"complete, but 2 replicas failed{why}; tranche retry shop/cart tries again",
        "tranche retry shop/cart",
    )


def test_a_deadline_that_is_over_says_what_goes_on_and_what_goes_back() -> None:
    case = verified(progressDeadlineSeconds=300)
    case.tell(moving=1)
    case.later(300)
    assert told(case) == (
        "Degraded",
        "ProgressDeadlineExceeded",
        "batch 2 of 3 made no progress for 300 seconds; nothing further is disturbed: "
        "tranche retry shop/cart goes on, tranche abort shop/cart goes back",
        "tranche abort shop/cart",
    )


SIGNED = {"by": "bob", "reason": "too slow"}


@pytest.mark.parametrize(
    ("begin", "about", "message"),
    [
        (rolling, {}, "aborting 2.0.0; back to 1.0.0"),
        (rolling, SIGNED, "aborting 2.0.0 by bob: too slow; back to 1.0.0"),
        (first, {}, "aborting 1.0.0; removing what was installed"),
    ],
)
def test_an_abort_under_way_says_who_and_whereto(
    begin: Callable[[], Case], about: dict[str, str], message: str
) -> None:
    case = begin()
    case.revisions = case.revisions or {1: 1}
    case.do(Abort(**about))
    assert told(case) == ("Progressing", "Aborted", "the abort is on its way to the scheduler", WATCH)
    case.tell(moving=1)
    assert told(case) == ("Aborting", "Aborted", message, WATCH)


@pytest.mark.parametrize(
    ("begin", "about", "message"),
    [
        (
            rolling,
            {},
            "2.0.0 was aborted; back at 1.0.0; the wish is not fulfilled: apply another or retry",
        ),
        (
            rolling,
            SIGNED,
            "2.0.0 was aborted by bob: too slow; back at 1.0.0; the wish is not fulfilled: apply another or retry",
        ),
        (
            first,
            {},
            "1.0.0 was aborted; what it installed is removed; the wish is not fulfilled: apply another or retry",
        ),
    ],
)
def test_an_abort_that_is_done_says_that_the_wish_is_not(
    begin: Callable[[], Case], about: dict[str, str], message: str
) -> None:
    case = begin()
    case.do(Abort(**about))
    case.finish()
    assert told(case) == ("Aborted", "Aborted", message, "tranche retry shop/cart")


def test_a_paused_abort_goes_on_with_resume() -> None:
    case = rolling()
    case.do(Abort())
    case.do(Pause())
    assert case.status.next == "tranche resume shop/cart"
    case.tell(moving=1)
    assert told(case) == (
        "Aborting", "Aborted", "aborting 2.0.0; back to 1.0.0; paused", "tranche resume shop/cart"
    )  # fmt: skip
    case.tell()
    assert told(case) == (
        "Aborted",
        "Aborted",
        "2.0.0 was aborted; back at 1.0.0; the wish is not fulfilled: apply another or retry; paused",
        "tranche retry shop/cart",
    )


def deleting() -> Case:
    case = healthy(replicas=3)
    case.do(Delete())
    return case


ABANDON = "tranche delete shop/cart --abandon"
GONE = "left to uninstall, on pods that do not answer; it waits until they do"


@pytest.mark.parametrize(
    ("counts", "message", "command"),
    [
        ({}, "3 replicas left to uninstall", WATCH),
        ({"present": 1}, "1 replica left to uninstall", WATCH),
        ({"present": 2, "down": 1}, "2 replicas left to uninstall", WATCH),
        ({"present": 2, "down": 2}, f"2 replicas {GONE}", ABANDON),
        ({"present": 2, "down": 1, "stuck": 1}, f"2 replicas {GONE}", ABANDON),
        ({"present": 1, "stuck": 2}, f"1 replica {GONE}", ABANDON),
        ({"present": 2, "down": 2, "plan_revision": 1}, "2 replicas left to uninstall", WATCH),
        ({"present": 0, "down": 1}, "0 replicas left to uninstall", WATCH),
    ],
)
def test_what_is_left_of_a_deletion(counts: dict[str, int], message: str, command: str) -> None:
    case = deleting()
    case.tell(moving=1, **counts)
    assert told(case) == ("Deleting", "Deleted", message, command)


def test_an_abandoned_deletion_asks_for_nothing_more() -> None:
    case = deleting()
    case.do(Delete(abandon=True))
    case.tell(down=3, moving=1)
    assert told(case) == ("Deleting", "Deleted", "3 replicas left to uninstall", WATCH)


def test_a_paused_deletion_goes_on_with_resume() -> None:
    case = deleting()
    case.do(Pause())
    case.tell(present=2, outcome=2, down=2)
    assert told(case) == (
        "Deleting", "Deleted", "2 replicas left to uninstall and it is paused", "tranche resume shop/cart"
    )  # fmt: skip
    assert case.status.batch.state == "Releasing"


def test_a_deletion_of_what_was_never_counted_has_nothing_left() -> None:
    case = Case()
    case.apply("1.0.0", replicas=3)
    case.do(Delete())
    assert told(case) == ("Deleting", "Deleted", "0 replicas left to uninstall", WATCH)


def test_what_is_deleted_may_be_applied_again() -> None:
    case = deleting()
    case.finish()
    assert told(case) == (
        "Deleted",
        "Deleted",
        "all replicas are uninstalled; generations go on if it is applied again",
        "tranche apply -f FILE",
    )


def test_a_retry_waits_for_the_scheduler_to_hear_of_it() -> None:
    case = rolling()
    case.tell(available=9, failed=1)
    assert isinstance(case.do(Retry()), AcceptedAnswer)
    assert told(case) == (
        "Progressing", "BatchReleased", "batch 1 of 3 is under way: 0 available at 2.0.0", WATCH
    )  # fmt: skip
