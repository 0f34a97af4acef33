"""What a wish would lead to: the plans that are asked about, and the answer as people read it (design 9.2)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.planner_desk import Case
from tranche.contract.plan import ALL
from tranche.contract.preview import Level, Levels, Preview, PreviewBatch, PreviewStep, Skipped
from tranche.contract.progress import Problem
from tranche.contract.status import BudgetStatus
from tranche_planner.core.previewing import Course, counted, course, nothing, preview
from tranche_planner.core.wishes import Abort, Confirm, Delete, Pause, Promote, Replace, Scale

STEPS = {"replicas": 10, "batchCount": 3, "useBeta": True}
SPENT = Problem(reason="BudgetExhausted", message="0 of 10 may be unavailable")
FULL = Problem(reason="InsufficientCapacity", message="3 pods are full")


def healthy(**changes: object) -> Case:
    case = Case()
    case.apply("1.0.0", **{"replicas": 10, **changes})
    case.finish()
    return case


def accepted(**changes: object) -> Case:
    case = healthy()
    case.apply("2.0.0", **{**STEPS, **changes})
    return case


def rolling(**changes: object) -> Case:
    case = accepted(**changes)
    case.tell()
    return case


def verified(**changes: object) -> Case:
    case = rolling(**changes)
    case.carry_out()
    return case


def ahead(case: Case, **counts: object) -> Course:
    return course(case.it, case.counts(**counts))


def asked(what: Course) -> list[tuple[int, str, int, int]]:
    return [
        (number, plan.mode, plan.replicas, plan.updated)
        for number, plan in zip(what.numbers, what.plans, strict=True)
    ]


def answered(case: Case, *levels: Level, **counts: object) -> Preview:
    """The preview of a case, where the scheduler answers this."""
    progress = case.counts(**counts)
    return preview(
        course(case.it, progress), Levels(progress=progress, levels=levels), more=None, warnings=(), held=()
    )


def test_all_batches_of_an_accepted_wish_lie_ahead() -> None:
    assert asked(ahead(accepted())) == [(1, "roll", 10, 1), (2, "roll", 10, 5), (3, "roll", 10, ALL)]


def test_behind_a_released_batch_lie_itself_and_the_others() -> None:
    case = verified(needConfirm=True)
    assert [number for number, *_ in asked(ahead(case))] == [1, 2, 3]
    case.do(Confirm())
    assert asked(ahead(case)) == [(2, "roll", 10, 5), (3, "roll", 10, ALL)]


def test_surplus_goes_outside_the_batches_and_what_is_left_is_cut() -> None:
    case = healthy()
    case.apply("2.0.0", **{**STEPS, "replicas": 8})
    what = ahead(case, surplus_unavailable=1, pods=12)
    assert asked(what) == [(0, "open", 9, 0), (1, "roll", 9, 1), (2, "roll", 9, 5), (3, "roll", 8, ALL)]
    assert (what.document.rollout.stage, what.document.rollout.pods) == ("releasing", 12)
    assert sum(batch.size for batch in what.document.rollout.batches) == 9


def test_surplus_at_the_target_is_not_counted_twice() -> None:
    case = healthy()
    case.apply("1.0.0", replicas=8, batchCount=2)
    assert asked(ahead(case, surplus_unavailable=2)) == [(0, "open", 8, 0)]
    mixed = ahead(case, surplus_unavailable=1, outcome_updated=4)
    assert asked(mixed) == [(0, "open", 9, 0), (1, "roll", 9, 6), (2, "roll", 8, ALL)]


def test_a_surplus_that_is_under_way_is_left_out_of_the_cutting() -> None:
    case = healthy()
    case.apply("1.0.0", replicas=8, batchCount=2)
    what = ahead(case, present=11, outcome=10, surplus_unavailable=3)
    assert asked(what) == [(0, "open", 8, 0)]


def test_a_wish_that_changes_nothing_leads_nowhere() -> None:
    case = healthy()
    case.apply("1.0.0", replicas=10, batchCount=4)
    what = ahead(case)
    assert (asked(what), what.document.generation) == ([], 2)


@pytest.mark.parametrize(("pods", "numbers"), [(0, []), (1, [1]), (4, [1, 2])])
def test_a_first_peer_waits_for_a_pod(pods: int, numbers: list[int]) -> None:
    case = Case(pods=pods)
    case.apply("1.0.0", replicas=-1, batchCount=2)
    what = ahead(case)
    assert [number for number, *_ in asked(what)] == numbers
    assert nothing(what.document, ()).generation == 1


def test_what_is_no_peer_or_was_one_before_is_cut_although_no_pod_is_there() -> None:
    case = Case(pods=0)
    case.apply("1.0.0", replicas=4, batchCount=2)
    assert [number for number, *_ in asked(ahead(case))] == [1, 2]
    case = Case(pods=2)
    case.apply("1.0.0", replicas=-1)
    case.finish()
    case.apply("2.0.0", replicas=-1, batchCount=2)
    assert [number for number, *_ in asked(ahead(case, pods=0))] == [1, 2], "two replicas are there still"


def test_a_complete_rollout_leads_nowhere_unless_a_replica_is_replaced() -> None:
    case = healthy()
    what = ahead(case)
    assert (asked(what), what.document) == ([], case.it)
    case.do(Replace(pod="web-base-7"))
    assert asked(ahead(case)) == [(0, "roll", 10, ALL)]
    case.finish()
    assert asked(ahead(case)) == []


def test_a_way_back_is_done_outside_batches() -> None:
    case = rolling()
    case.do(Abort())
    assert asked(ahead(case)) == [(0, "abort", 10, ALL)]
    case.finish()
    assert asked(ahead(case)) == []
    case.do(Delete())
    assert asked(ahead(case)) == [(0, "remove", 0, 0)]


def test_a_preview_looks_past_what_holds_a_rollout_now() -> None:
    case = rolling(progressDeadlineSeconds=300)
    case.later(300)
    case.do(Pause())
    case.freeze()
    assert case.it.rollout.expired is not None
    free = counted(case.it)
    assert (free.paused, free.frozen, free.rollout.expired) == (None, None, None)
    what = ahead(case)
    assert [plan.held for plan in what.plans] == [False] * 3


def test_a_preview_tells_batches_with_their_pods() -> None:
    case = accepted(maxUnavailable=2)
    steps = tuple(
        (PreviewStep(pod=f"web-base-{number}", step="replace", from_="1.0.0", to="2.0.0"),)
        for number in range(3)
    )
    progress = case.counts(foreign=("0.9.0",))
    levels = Levels(
        progress=progress,
        levels=tuple(Level(steps=each, size=9, lowest_available=8) for each in steps),
        skipped=(Skipped(reason="NotReady", count=2),),
    )
    told = preview(course(case.it, progress), levels, more="3", warnings=("odd",), held=("frozen",))
    assert told == Preview(
        generation=2,
        changes=10,
        batches=(
            PreviewBatch(index=1, beta=True, size=1, pods=steps[0]),
            PreviewBatch(index=2, size=4, pods=steps[1]),
            PreviewBatch(index=3, size=5, pods=steps[2]),
        ),
        skipped=levels.skipped,
        budget=BudgetStatus(max_unavailable=2, resolved=2, unavailable=0, headroom=2),
        lowest_available=8,
        warnings=(
            "odd",
            "0.9.0 was installed by somebody else and will be replaced: where it came from is not known, so it "
            "cannot be gone back to",
            "frozen",
        ),
        continue_="3",
    )


def test_of_a_batch_under_way_only_the_rest_is_a_change() -> None:
    case = rolling()
    told = answered(case, Level(size=0), Level(size=2), Level(size=3))
    assert [batch.size for batch in told.batches] == [0, 4, 5]
    assert told.changes == 9


def test_what_is_done_outside_batches_is_told_under_number_zero() -> None:
    case = healthy()
    case.do(Replace(pod="web-base-7"))
    told = answered(case, Level(size=1))
    assert told.batches == (PreviewBatch(index=0, size=1),)
    case = healthy()
    case.apply("1.0.0", replicas=8)
    told = answered(case, Level(size=2), surplus_unavailable=2)
    assert (told.generation, told.changes, told.batches) == (2, 2, (PreviewBatch(index=0, size=2),))
    case = healthy()
    case.apply("2.0.0", **{**STEPS, "replicas": 8})
    told = answered(case, Level(size=1), Level(), Level(), Level(), surplus_unavailable=1)
    assert [(batch.index, batch.beta, batch.size) for batch in told.batches] == [
        (0, False, 1),
        (1, True, 1),
        (2, False, 4),
        (3, False, 4),
    ]


def test_an_answer_that_is_cut_short_tells_what_it_has() -> None:
    told = answered(accepted(), Level(), Level())
    assert [batch.index for batch in told.batches] == [1, 2]


@pytest.mark.parametrize(
    ("available", "lowest", "told"), [(10, (9, 7, 8), 7), (6, (9, 7, 8), 6), (10, (), 10)]
)
def test_the_fewest_available_at_any_moment(available: int, lowest: tuple[int, ...], told: int) -> None:
    levels = [Level(lowest_available=each) for each in lowest]
    assert answered(accepted(), *levels, available=available).lowest_available == told


def test_every_reason_to_wait_is_told_once() -> None:
    other = SPENT.but(message="1 of 10 may be unavailable")
    levels = (Level(blocked=SPENT), Level(), Level(blocked=FULL), Level(blocked=other))
    assert answered(accepted(batchCount=4), *levels).problems == (SPENT, FULL)


GATED = {"needConfirm": True, "grayTime": 60, "minReadySeconds": 7}


def first_confirmed() -> Case:
    case = verified(**GATED)
    case.do(Confirm())
    return case


def first_promoted() -> Case:
    case = verified(**GATED)
    case.do(Pause())
    case.tell()
    case.do(Promote())
    return case


def second_verified() -> Case:
    case = verified(**GATED)
    case.do(Promote())
    case.carry_out()
    return case


def in_full() -> Case:
    case = rolling(**GATED)
    case.do(Promote(full=True))
    return case


def aborting() -> Case:
    case = rolling(**GATED)
    case.do(Abort())
    return case


def replacing() -> Case:
    case = rolling(**GATED)
    for _ in range(2):
        case.carry_out()
        case.do(Promote())
    case.finish()
    case.do(Replace(pod="web-base-7"))
    return case


def confirms_from_the_second_batch_on() -> Case:
    case = verified()
    case.apply("2.0.0", **STEPS, needConfirm=True)
    assert case.plan.batch == 2
    return case


def only_removing() -> Case:
    case = healthy()
    case.apply("1.0.0", **{**STEPS, **GATED, "replicas": 4})
    return case


@pytest.mark.parametrize(
    ("state", "confirms", "seconds"),
    [
        (accepted, 0, 0),
        (lambda: accepted(needConfirm=True), 2, 0),
        (lambda: accepted(grayTime=60), 0, 120),
        (lambda: accepted(minReadySeconds=7), 0, 21),
        (lambda: accepted(**GATED), 2, 141),
        (lambda: rolling(**GATED), 2, 141),
        (lambda: verified(**GATED), 2, 134),
        (first_confirmed, 1, 134),
        (first_promoted, 1, 74),
        (second_verified, 1, 67),
        (in_full, 0, 21),
        (aborting, 0, 0),
        (replacing, 0, 0),
        (only_removing, 2, 120),
        (confirms_from_the_second_batch_on, 1, 0),
    ],
)
def test_how_often_somebody_must_confirm_and_how_long_it_waits_at_least(
    state: Callable[[], Case], confirms: int, seconds: int
) -> None:
    told = answered(state())
    assert (told.confirms, told.earliest_finish_seconds) == (confirms, seconds)


def test_the_preview_of_what_is_carried_out_already_is_empty() -> None:
    case = healthy(maxUnavailable=2)
    case.tell(available=9, updated_available=9)
    assert nothing(case.it, ("odd",)) == Preview(
        generation=1,
        changes=0,
        budget=BudgetStatus(max_unavailable=2, resolved=2, unavailable=1, headroom=1),
        lowest_available=9,
        warnings=("odd",),
    )


def test_a_preview_before_anything_was_counted_knows_of_nothing_available() -> None:
    case = Case()
    case.apply("1.0.0", replicas=10)
    assert nothing(case.it, ()).lowest_available == 0


def test_the_budget_of_a_preview_is_of_the_counts_it_was_made_from() -> None:
    told = answered(accepted(maxUnavailable=3), available=8)
    assert (told.budget.unavailable, told.budget.headroom) == (2, 1)


def test_a_wish_scaled_within_its_rollout_shows_what_is_left() -> None:
    case = verified(needConfirm=True)
    case.do(Scale(replicas=14))
    assert asked(ahead(case)) == [(1, "roll", 14, 1), (2, "roll", 14, 7), (3, "roll", 14, ALL)]
