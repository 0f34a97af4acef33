"""The plans a deployment means: what the scheduler is told of the wish, and under which number (design 2.1)."""

from __future__ import annotations

import pytest

from tests.unit.planner_desk import Case
from tranche.contract.content import Content
from tranche.contract.plan import ALL, Plan
from tranche_planner.core.plans import answered, held_level, plan_of, replanned, same, wanted
from tranche_planner.core.wishes import Abort, Delete, Pause, Replace, Resume, Retry, Scale

STEPS = {"replicas": 10, "batchCount": 3, "useBeta": True}


def content(revision: int, version: str) -> Content:
    return Content(
        revision=revision,
        module="cart",
        version=version,
        url=f"http://modules.example/cart-{version}.jar",
    )


ONE, TWO = content(1, "1.0.0"), content(2, "2.0.0")


def healthy(**changes: object) -> Case:
    case = Case()
    case.apply("1.0.0", **{"replicas": 10, **changes})
    case.finish()
    return case


def rolling(**changes: object) -> Case:
    case = healthy()
    case.apply("2.0.0", **{**STEPS, **changes})
    case.tell()
    return case


def asked(case: Case) -> Plan:
    """The plan without what differs from life to life."""
    return case.plan.but(revision=0, seen_ledger=0, nonce="")


def plan(generation: int, **about: object) -> Plan:
    what = {"replicas": 10, "updated": 0, "wanted": 10, **about}
    return Plan(
        namespace="shop",
        base="web-base",
        name="cart",
        module="cart",
        revision=0,
        generation=generation,
        **what,
    )


UPGRADE = {
    "target": TWO,
    "target_revisions": (2,),
    "stable": ONE,
    "stable_revisions": (1,),
}
BACK = {"target": ONE, "target_revisions": (1,), "stable": ONE, "stable_revisions": (1,)}


def test_a_first_wish_is_counted_before_anything_is_released() -> None:
    case = Case()
    case.apply("1.0.0", replicas=10)
    assert (case.plan.revision, asked(case)) == (
        1,
        plan(1, mode="open", replicas=-1, target=ONE, target_revisions=(1,)),
    )


def test_a_first_wish_that_is_complete_asks_for_all_of_it() -> None:
    assert asked(healthy()) == plan(1, updated=ALL, batch=1, complete=True, **BACK)


def test_an_upgrade_asks_for_one_batch_after_the_other() -> None:
    case = rolling()
    assert asked(case) == plan(2, updated=1, batch=1, **UPGRADE)
    case.carry_out()
    assert asked(case) == plan(2, updated=5, batch=2, **UPGRADE)
    case.carry_out()
    assert asked(case) == plan(2, updated=ALL, batch=3, **UPGRADE)
    case.carry_out()
    assert asked(case) == plan(
        2, updated=ALL, batch=3, complete=True, target=TWO, target_revisions=(2,), stable=TWO, stable_revisions=(2,)
    )  # fmt: skip


def test_surplus_is_taken_down_before_the_first_batch() -> None:
    case = healthy()
    case.apply("2.0.0", **{**STEPS, "replicas": 6})
    case.tell(surplus_unavailable=3)
    assert asked(case) == plan(2, mode="open", replicas=7, wanted=6, **UPGRADE)


def test_a_rollout_without_changes_asks_for_what_is_there() -> None:
    case = healthy()
    case.apply("1.0.0", replicas=10, batchCount=4)
    case.tell()
    assert asked(case) == plan(2, updated=ALL, complete=True, **BACK)


def test_an_abort_asks_for_the_version_and_the_number_of_before() -> None:
    case = rolling(replicas=14)
    case.do(Abort())
    assert asked(case) == plan(2, mode="abort", updated=ALL, **BACK)
    case.finish()
    assert asked(case) == plan(2, mode="abort", updated=ALL, complete=True, **BACK)


def test_the_abort_of_a_first_wish_and_a_deletion_ask_for_nothing_to_be_left() -> None:
    case = Case()
    case.apply("1.0.0", replicas=10)
    case.tell()
    case.do(Abort())
    assert asked(case) == plan(1, mode="remove", replicas=0)
    case.finish()
    assert asked(case) == plan(1, mode="remove", replicas=0, complete=True)
    case.do(Delete())
    case.tell(present=1, outcome=1, moving=1)
    assert asked(case) == plan(1, mode="remove", replicas=0)
    case.finish()
    assert asked(case) == plan(1, mode="open", replicas=-1, complete=True)


def test_what_the_manifest_says_is_passed_on() -> None:
    case = rolling(
        maxUnavailable="30%",
        schedulingPolicy="stacking",
        upgradePolicy="install_then_uninstall",
        failureThreshold="25%",
        minReadySeconds=7,
        drainSeconds=9,
    )
    assert asked(case) == plan(
        2,
        updated=1,
        batch=1,
        max_unavailable="30%",
        scheduling_policy="stacking",
        upgrade_policy="install_then_uninstall",
        failure_threshold=2,
        min_ready_s=7,
        drain_s=9,
        **UPGRADE,
    )


def test_a_retry_and_a_replacement_are_passed_on_with_their_time() -> None:
    case = healthy()
    case.tell(available=9, updated_available=9, failed=1)
    case.later(5)
    case.do(Retry())
    retried = case.now
    case.later(5)
    case.do(Replace(pod="web-base-7"))
    assert asked(case) == plan(
        1,
        updated=ALL,
        batch=1,
        complete=True,
        retried_at=retried,
        evict=("web-base-7",),
        evicted_at=case.now,
        **BACK,
    )


@pytest.mark.parametrize(
    ("replicas", "threshold", "allowed"),
    [(10, 3, 3), (10, "25%", 2), (10, "100%", 10), (0, "100%", 0), (-1, "50%", 5), (10, 0, 0)],
)
def test_a_threshold_in_percent_is_of_what_is_wanted(replicas: int, threshold: object, allowed: int) -> None:
    case = Case()
    case.apply("1.0.0", replicas=replicas, failureThreshold=threshold)
    case.tell()
    assert case.plan.failure_threshold == allowed


def test_of_a_peer_as_many_are_wanted_as_there_are_pods() -> None:
    case = Case(pods=4)
    case.apply("1.0.0", replicas=-1)
    assert (case.plan.wanted, wanted(case.it)) == (ALL, 0)
    case.finish()
    assert (case.plan.wanted, wanted(case.it)) == (ALL, 4)
    case.apply("2.0.0", replicas=-1, batchCount=2)
    case.tell()
    case.pods = 6
    case.do(Abort())
    assert (case.plan.replicas, case.plan.wanted, wanted(case.it)) == (ALL, ALL, 4)
    case.tell(moving=1)
    assert wanted(case.it) == 6


def test_what_is_wanted_follows_the_way_the_rollout_goes() -> None:
    case = healthy()
    case.do(Scale(replicas=14))
    assert wanted(case.it) == 14
    case.tell()
    case.do(Abort())
    assert wanted(case.it) == 10
    case.do(Delete())
    assert wanted(case.it) == 0


def test_a_hold_remakes_lost_replicas_up_to_what_was_there() -> None:
    case = rolling()
    case.tell(present=9, outcome=8, available=8, moving=1)
    case.do(Pause())
    assert (case.plan.held, case.plan.held_at) == (True, 8)


@pytest.mark.parametrize(("outcome", "level"), [(8, 10), (10, 10), (11, 11)])
def test_a_hold_of_a_complete_rollout_remakes_all_that_are_wanted(outcome: int, level: int) -> None:
    case = healthy()
    case.tell(present=outcome, outcome=outcome, available=8)
    case.do(Pause())
    assert (case.plan.held, case.plan.held_at) == (True, level)


def test_a_hold_before_anything_was_counted_has_no_level() -> None:
    case = Case()
    case.apply("1.0.0", replicas=10)
    assert held_level(case.it) is None
    case.do(Pause())
    assert (case.plan.held, case.plan.held_at) == (True, None)


@pytest.mark.parametrize(
    ("about", "abandon", "stuck", "in_work"),
    [
        ({}, False, 2, None),
        ({"maxUnavailable": "50%"}, False, 2, "50%"),
        ({"maxUnavailable": 3}, True, 0, 3),
        ({}, True, 0, None),
        ({}, True, 2, 4),
        ({"maxUnavailable": "50%"}, True, 2, 7),
        ({"maxUnavailable": 0}, True, 1, 2),
        ({"maxUnavailable": 3}, True, 1, 4),
        ({"replicas": -1, "maxUnavailable": "50%"}, True, 1, 6),
    ],
)
def test_stuck_replicas_take_up_no_place_in_a_deletion_that_abandons_them(
    about: dict[str, object], abandon: bool, stuck: int, in_work: object
) -> None:
    case = healthy(**about)
    case.do(Delete(abandon=abandon))
    case.tell(stuck=stuck, moving=stuck)
    assert (case.plan.mode, case.plan.max_unavailable) == ("remove", in_work)


def test_a_deletion_that_was_never_counted_keeps_its_budget() -> None:
    case = Case()
    case.apply("1.0.0", replicas=10, maxUnavailable=3)
    case.do(Delete(abandon=True))
    assert case.plan.max_unavailable == 3


def test_a_plan_has_a_new_number_only_where_it_asks_for_something_else() -> None:
    case = rolling()
    before = case.plan
    case.tell(available=9, moving=1)
    assert case.plan == before
    case.do(Pause())
    assert (case.plan.revision, case.plan.held) == (before.revision + 1, True)


def test_a_new_plan_tells_the_newest_ledger_that_was_seen() -> None:
    case = rolling()
    case.do(Pause())
    assert case.plan.seen_ledger == case.ledger
    seen = case.plan.seen_ledger
    case.tell()
    assert case.plan.seen_ledger == seen, "the plan is the same"
    case.ledger = 0
    case.later(1)
    case.tell(moving=1)
    case.do(Resume())
    assert case.plan.seen_ledger == seen, "never less than was known"


def test_before_anything_was_counted_no_ledger_was_seen() -> None:
    case = Case()
    case.apply("1.0.0", replicas=10)
    case.do(Pause())
    assert (case.plan.revision, case.plan.seen_ledger) == (2, 0)


def test_a_wish_that_is_only_previewed_has_a_plan_without_a_number() -> None:
    case = Case()
    case.apply("1.0.0", replicas=10)
    assert plan_of(case.it.but(plan=None)).revision == 0


def test_another_number_is_no_other_plan() -> None:
    it = rolling().it
    assert it.plan is not None
    assert same(it.plan, it.plan.but(revision=9, seen_ledger=99, nonce="x"))
    assert not same(it.plan, it.plan.but(batch=2))
    assert replanned(it) == it.plan
    assert plan_of(it).revision == it.plan.revision


def test_only_the_newest_plan_is_answered() -> None:
    case = Case()
    case.apply("1.0.0", replicas=10)
    assert not answered(case.it)
    case = rolling()
    assert not answered(case.it), "that was the plan before"
    case.tell(moving=1)
    assert answered(case.it)
    assert not answered(case.it.but(generation=9)), "it means another plan by now"
    assert not answered(case.it.but(plan=None))
    assert not answered(case.it.but(progress=None))
