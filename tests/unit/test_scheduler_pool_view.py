"""What the view of a pool knows after records, claims and plans, and which of them lead to a new decision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.scheduler_oracle import NOW, content, entry, operation, plan, record
from tests.unit.scheduler_desk import Pool, said
from tranche.contract.ledger import Claim, Ledger
from tranche.contract.plan import ALL
from tranche_scheduler.core.ledger import Rest, Stale, play, rest
from tranche_scheduler.core.pool import (
    CORDONED,
    EMPTIED,
    FULL,
    NOT_READY,
    PoolView,
    mere_step,
    modules_on,
    vacated,
)

LEDGER = Ledger(namespace="shop", base="web", epoch="e", counter=99)
EVERYWHERE: dict[str, Any] = {"replicas": ALL, "wanted": ALL}


def claim(pod: str = "a", op: str = "install", revision: int = 2, name: str = "cart", **facts: Any) -> Claim:
    facts = {"deployment": name, "module": name, "token": 6} | facts
    return Claim(pod=pod, uid="u", generation=2, batch=1, op=op, revision=revision, **facts)


def remove(pod: str = "a", name: str = "cart", **facts: Any) -> Claim:
    return claim(pod, "remove", 0, name, **facts)


def view_of(*records: Any, plans: Any = (), claims: Any = ()) -> PoolView:
    """A view whose deployments were all told of."""
    view = PoolView()
    for found in records:
        put(view, found)
    for told in plans:
        view.fold_plan(told)
    for held in claims:
        view.claim(held)
    view.touched.clear()
    return view


def put(view: PoolView, found: Any) -> None:
    view.fold(found, view.position + 1)


def resting(view: PoolView) -> Rest | None:
    return rest(view, LEDGER, 1, True)


# --- room on a pod ---


@pytest.mark.parametrize(
    ("held", "count"),
    [
        (None, 2),
        (claim("a", "install"), 3),
        (claim("a", "replace"), 3),
        (claim("a", "install", name="x"), 2),
        (claim("a", "replace", name="x"), 2),
        (claim("a", "observe", name="x"), 2),
        (claim("a", "observe", 0, ""), 2),
        (remove("a", "x"), 2),
        (remove("a"), 2),
    ],
)
def test_a_pod_has_the_modules_on_it_and_the_one_that_comes(held: Claim | None, count: int) -> None:
    assert modules_on(record("a", {"x": entry(), "y": entry()}), held) == count


TWO = {"cart": entry(1), "x": entry()}


@pytest.mark.parametrize(
    ("held", "facts", "expected"),
    [
        (remove(), {}, True),
        (remove(), {"operation": operation(6, "started")}, True),
        (remove(), {"max_modules": 2}, True),
        (remove(), {"max_modules": 3}, True),
        (None, {}, False),
        (claim("a", "replace"), {}, False),
        (remove("a", "menu"), {}, False),
        (remove(), {"max_modules": 1}, False),
        (remove(), {"operation": operation(6, "stuck")}, False),
        (remove(), {"operation": operation(6, "stuck"), "max_modules": 2}, False),
        (remove(), {"terminating": True}, False),
        (remove(), {"ready": False}, False),
        (remove(), {"cordoned": True}, False),
        (remove(), {"capacity_problem": "lots"}, False),
    ],
)
def test_a_pod_will_take_a_module_again_once_one_is_taken_off_unless_something_else_hinders_it(
    held: Claim | None, facts: dict[str, Any], expected: bool
) -> None:
    assert vacated(record("a", TWO, **facts), held) is expected


def crowded(pod: str, others: int, *names: str, **facts: Any) -> Any:
    modules = {f"x{number}": entry() for number in range(others)} | {name: entry(1) for name in names}
    return record(pod, modules, **facts)


@pytest.mark.parametrize(
    ("free", "direction", "better"),
    [
        ({}, 1, True),
        ({"c": 1}, 1, True),
        ({"c": 0}, 1, True),
        ({"0": 0}, 1, False),
        ({"c": 1, "d": 5}, 1, True),
        ({}, -1, True),
        ({"c": 1}, -1, True),
        ({"c": 2}, -1, True),
        ({"0": 2}, -1, False),
        ({"c": 1, "d": 5}, -1, False),
    ],
)
def test_a_seat_that_comes_free_is_compared_with_the_best_there_is_by_policy_then_by_name(
    free: dict[str, int], direction: Any, better: bool
) -> None:
    """Pods a and b will hold no other module and two."""
    view = view_of(
        *(crowded("a", 0, "cart"), crowded("b", 2, "cart")),
        *(crowded(pod, count) for pod, count in free.items()),
        plans=[plan()],
        claims=[remove("a"), remove("b", token=7)],
    )
    assert view.better_seat_coming("cart", direction) is better


def test_no_seat_comes_free_where_nothing_is_taken_off() -> None:
    view = view_of(crowded("a", 0, "cart"), crowded("b", 1), plans=[plan()])
    assert view.better_seat_coming("cart", 1) is False


def test_a_pod_that_a_person_empties_is_no_seat_afterwards() -> None:
    view = view_of(crowded("a", 0, "cart"), plans=[plan(evict=("a",), evicted_at=NOW)], claims=[remove()])
    assert view.better_seat_coming("cart", 1) is False


def test_a_removal_for_a_deployment_nobody_told_of_makes_a_seat_for_none() -> None:
    view = view_of(crowded("a", 0, "menu"), plans=[plan()], claims=[remove(name="menu")])
    assert view.better_seat_coming("cart", 1) is False
    view = view_of(crowded("a", 0, "menu"), plans=[plan()], claims=[remove(module="menu")])
    assert view.better_seat_coming("cart", 1) is False


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({}, EMPTIED),
        ({"ready": False}, NOT_READY),
        ({"cordoned": True}, CORDONED),
        ({"max_modules": 0}, FULL),
    ],
)
def test_an_emptied_pod_is_refused_for_one_reason_only(facts: dict[str, Any], why: str) -> None:
    view = view_of(record("a", **facts), plans=[plan(evict=("a",), evicted_at=NOW)])
    assert view.obstacles("cart") == {why: 1}


def test_an_order_that_was_taken_back_leaves_the_pod_a_seat() -> None:
    view = view_of(record("a"), plans=[plan(evict=("a",), evicted_at=NOW)])
    assert (view.seats("cart"), view.seat("cart", 1)) == (0, None)
    view.fold_plan(plan(revision=2))
    assert (view.seats("cart"), view.seat("cart", 1)) == (1, "a")
    assert view.obstacles("cart") == {}


# --- whose a module is ---


def owner(view: PoolView) -> list[str]:
    return [name for name in view.plans if view.total(name, "present")]


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
def test_a_module_is_of_the_deployment_told_of_last(names: tuple[str, str]) -> None:
    told = [plan(name, module="m", revision=number) for number, name in enumerate(names, 1)]
    assert owner(view_of(record("p", {"m": entry(1)}), plans=told)) == [names[1]]


@pytest.mark.parametrize(
    ("facts", "keeps"),
    [
        ({"mode": "remove", "complete": True}, False),
        ({"mode": "open", "complete": True}, False),
        ({"mode": "roll", "complete": True}, True),
        ({"mode": "remove"}, True),
        ({"mode": "open"}, True),
    ],
)
def test_a_deployment_that_is_done_with_takes_no_module_from_another(
    facts: dict[str, Any], keeps: bool
) -> None:
    told = [plan("new", module="m"), plan("old", module="m", **facts)]
    assert owner(view_of(record("p", {"m": entry(1)}), plans=told)) == (["old"] if keeps else ["new"])


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
def test_the_end_of_one_deployment_leaves_the_module_with_whoever_has_it(names: tuple[str, str]) -> None:
    told = [plan(name, module="m", revision=number) for number, name in enumerate(names, 1)]
    view = view_of(record("p", {"m": entry(1)}), plans=told)
    view.fold_plan(plan("z", module="m", revision=3, mode="open", complete=True))
    assert owner(view) == [names[1]]


def test_a_deployment_made_anew_for_another_module_has_nothing_to_do_with_the_former_one() -> None:
    view = view_of(record("a", {"cart": entry(1)}), record("b", {"till": entry(1)}), plans=[plan()])
    view.fold_plan(plan(module="till", revision=2))
    assert view.standing("a", "cart").present is False
    assert view.standing("b", "cart").present is True
    assert (view.seats("cart"), view.seat("cart", 1)) == (1, "a")


def test_a_deployment_finds_the_pods_that_had_its_module_before_it_was_told_of() -> None:
    view = view_of(record("a", {"cart": entry(1)}))
    put(view, record("a", {"menu": entry(1)}))
    view.fold_plan(plan("menu"))
    view.fold_plan(plan("cart"))
    assert (view.total("menu", "present"), view.total("cart", "present")) == (1, 0)


def test_a_claim_known_before_its_deployment_is_counted_with_it() -> None:
    view = view_of(record("a"), claims=[claim()])
    view.fold_plan(plan())
    assert view.replicas("cart").claims == {"a": claim()}
    assert view.total("cart", "outcome") == 1


# --- newest means latest ---


def test_an_older_plan_changes_nothing() -> None:
    view = view_of(plans=[plan(revision=3, replicas=3)])
    assert view.fold_plan(plan(revision=2, replicas=2)) is False
    assert view.goal("cart") == 3
    assert view.fold_plan(plan(revision=3, replicas=3)) is True
    assert view.fold_plan(plan(revision=4, replicas=4)) is True
    assert view.goal("cart") == 4


def test_a_view_that_has_folded_nothing_is_older_than_any_ledger_that_has_seen_something() -> None:
    assert play(PoolView(), LEDGER.but(seen=1), 1, NOW, caught_up=False) == Stale(1)


def test_nothing_is_left_of_a_pod_that_came_back_and_went_again_unclaimed() -> None:
    view = view_of(record("a"), plans=[plan()], claims=[claim()])
    put(view, record("a", gone=True))
    assert view.record("a") is not None, "it proves the claim over"
    put(view, record("a"))
    view.end(record("a", {"cart": entry(2)}, operation=operation(6)))
    put(view, record("a", gone=True))
    assert view.record("a") is None


# --- what is not so any more ---


def one_pod(found: Any, **facts: Any) -> Pool:
    pool = Pool(found)
    pool.tell(plan(replicas=1, updated=0, **facts))
    return pool


def test_what_was_mended_is_told_no_more() -> None:
    pool = one_pod(record("a", {"cart": entry(2, "failed", tries=3, message="no such class")}))
    assert [one.reason for one in said(pool, "cart", pool.round()).problems] == ["InstallFailed"]
    pool.put(record("a", {"cart": entry(2)}))
    assert list(pool.view.replicas("cart").failed) == []
    assert said(pool, "cart", pool.round()).problems == ()


def test_a_pod_that_is_ready_again_is_told_no_more() -> None:
    pool = one_pod(record("a", {"cart": entry(1)}, ready=False))
    assert list(pool.view.replicas("cart").unready) == ["a"]
    pool.put(record("a", {"cart": entry(1)}))
    assert list(pool.view.replicas("cart").unready) == []
    assert said(pool, "cart", pool.round()).problems == ()


def test_an_operation_that_came_unstuck_is_told_no_more() -> None:
    pool = one_pod(record("a", {"cart": entry(1, "inactive")}))
    (held,) = pool.round().claims
    there = record("a", {"cart": entry(1, "inactive")})
    pool.put(there.but(operation=operation(held.token, "stuck", message="it still runs")))
    assert [one.pods for one in said(pool, "cart", pool.round()).problems] == [("a",)]
    pool.put(there.but(operation=operation(held.token, "started")))
    assert list(pool.view.replicas("cart").stuck) == []
    assert said(pool, "cart", pool.round()).problems == ()


def test_somebody_elses_version_is_told_until_the_last_pod_with_it_has_another() -> None:
    theirs = {"cart": entry(0, version="0.9")}
    pool = Pool(record("a", theirs), record("b", theirs))
    pool.tell(plan(replicas=2, updated=0))
    for pod, foreign in (("", ("0.9",)), ("a", ("0.9",)), ("b", ())):
        if pod:
            pool.put(record(pod, {"cart": entry(2)}))
        assert said(pool, "cart", pool.round()).foreign == foreign


def test_a_replica_waits_for_its_pod_until_that_has_done_its_work_for_another() -> None:
    view = view_of(
        record("a", {"cart": entry(1)}),
        record("b", {"cart": entry(1)}),
        plans=[plan(), plan("menu")],
        claims=[claim(name="menu")],
    )
    assert list(view.replicas("cart").busy) == ["a"]
    view.unclaim("a")
    assert list(view.replicas("cart").busy) == []


def test_a_limit_that_cannot_be_read_is_told_for_as_long_as_that_is_so_on_a_cordoned_pod_too() -> None:
    view = view_of(record("a", cordoned=True), plans=[plan()])
    put(view, record("a", cordoned=True, capacity_problem="lots"))
    assert view.unreadable == {"a"}
    put(view, record("a", cordoned=True, capacity_problem="many"))
    assert view.unreadable == {"a"}
    put(view, record("a", cordoned=True))
    assert view.unreadable == set()


# --- what leads to another decision ---


STARTED = operation(6, "started")


def began(**facts: Any) -> Any:
    return record("a", {"cart": entry(1)}, operation=STARTED, **facts)


@pytest.mark.parametrize(
    "later",
    [began(), began().but(operation=operation(6, "started", step="uninstall:1.0.0", attempt=1))],
)
def test_a_step_of_an_operation_leads_to_no_other_decision(later: Any) -> None:
    view = view_of(record("a", {"cart": entry(1)}), plans=[plan()], claims=[claim(op="replace", costs=True)])
    before = resting(view)
    put(view, later)
    assert before is not None
    assert resting(view) == before
    assert view.touched == {"cart"}, "it is told all the same"


@pytest.mark.parametrize(
    "later",
    [
        record("a", {"cart": entry(1, message="slow")}),
        record("a", {"cart": entry(1)}, message="slow"),
        began().but(operation=operation(6, "done")),
        began().but(operation=operation(5, "started")),
        began().but(operation=operation(7, "started")),
        began(uid="another"),
        began().but(modules={"cart": entry(1, generation=2)}),
        began().but(modules={"cart": entry(1), "x": entry()}),
    ],
)
def test_whatever_else_a_record_says_may_lead_to_another_decision(later: Any) -> None:
    view = view_of(record("a", {"cart": entry(1)}), plans=[plan()], claims=[claim(op="replace", costs=True)])
    before = view.changes
    put(view, later)
    assert view.changes > before


def test_a_withdrawn_claim_that_is_started_all_the_same_may_lead_to_another_decision() -> None:
    held = claim(op="observe", withdrawn=True)
    there = record("a", {"cart": entry(2)})
    view = view_of(there, plans=[plan()], claims=[held])
    before = view.changes
    put(view, there.but(operation=STARTED))
    assert view.changes > before
    assert mere_step(there, there.but(operation=STARTED), held.but(withdrawn=False)) is True
    assert mere_step(there, there.but(operation=STARTED), held) is False


def no_step(view: PoolView) -> None:
    put(view, record("a", {"cart": entry(1)}, message="slow"))


def told(view: PoolView) -> None:
    view.fold_plan(plan(revision=2, updated=1))


def lost(view: PoolView) -> None:
    view.unclaim("b")


@pytest.mark.parametrize("happened", [no_step, told, lost])
def test_news_is_never_taken_for_old_whatever_came_before_it(happened: Callable[[PoolView], None]) -> None:
    view = view_of(
        record("a", {"cart": entry(1)}),
        record("b"),
        plans=[plan()],
        claims=[claim("b", token=7)],
    )
    put(view, record("b", gone=True))
    before = view.changes
    happened(view)
    assert view.changes > before


def test_nothing_rests_while_one_of_several_deployments_waits_for_a_time() -> None:
    failed = entry(2, "failed", tries=1, passing=True, since=NOW)
    view = view_of(record("a", {"cart": failed}), record("b", {"menu": entry(2)}), plans=[plan()])
    view.fold_plan(plan("menu"))
    assert resting(view) is None
    put(view, record("a", {"cart": entry(2)}))
    assert resting(view) is not None


def test_a_ledger_read_again_says_nothing_new() -> None:
    view = view_of(record("a", {"cart": entry(1)}), plans=[plan()])
    view.fold_claims({"a": claim(op="replace")})
    view.touched.clear()
    before = resting(view)
    view.fold_claims({"a": claim(op="replace")})
    assert (resting(view), view.touched) == (before, set())
    view.fold_claims({"a": claim(op="replace", withdrawn=True)})
    assert resting(view) != before
    assert view.touched == {"cart"}


# --- whom it concerns ---


def appears(view: PoolView) -> None:
    put(view, record("new", {"cart": entry(1)}))


def goes(view: PoolView) -> None:
    put(view, record("a", gone=True))


def gains(view: PoolView) -> None:
    put(view, record("free", {"cart": entry(1)}))


def loses(view: PoolView) -> None:
    put(view, record("a"))


def claimed(view: PoolView) -> None:
    view.claim(claim("free"))


def claimed_unknown(view: PoolView) -> None:
    view.claim(claim("unknown"))


def unclaimed(view: PoolView) -> None:
    view.unclaim("lost")


def says_more(view: PoolView) -> None:
    put(view, record("a", {"cart": entry(1, message="slow")}))


def elsewhere(view: PoolView) -> None:
    put(view, record("b", {"menu": entry(2)}))
    view.touched.discard("menu")


@pytest.mark.parametrize(
    ("happened", "concerned"),
    [
        (appears, {"cart"}),
        (goes, {"cart"}),
        (gains, {"cart"}),
        (loses, {"cart"}),
        (claimed, {"cart"}),
        (claimed_unknown, {"cart"}),
        (unclaimed, {"cart"}),
        (says_more, {"cart"}),
        (elsewhere, set()),
    ],
)
def test_a_deployment_hears_of_all_that_concerns_its_replicas_and_of_nothing_else(
    happened: Callable[[PoolView], None], concerned: set[str]
) -> None:
    view = view_of(
        record("a", {"cart": entry(1)}),
        record("b", {"menu": entry(1)}),
        record("free"),
        plans=[plan(), plan("menu")],
        claims=[claim("lost", token=9)],
    )
    happened(view)
    assert view.touched == concerned


def test_a_plan_concerns_nobody_on_pods_its_module_has_left() -> None:
    view = view_of(
        record("a", {"cart": entry(1), "menu": entry(1)}),
        plans=[plan(), plan("menu")],
    )
    put(view, record("a", {"menu": entry(1)}))
    view.touched.clear()
    view.fold_plan(plan(revision=2, target=content(3), target_revisions=(3,)))
    assert view.touched == {"cart"}


def test_the_pods_a_peer_counts_are_those_it_is_on_and_those_that_take_it() -> None:
    view = view_of(record("a", {"cart": entry(1)}, cordoned=True), plans=[plan(**EVERYWHERE)])
    assert view.counted("cart") == 1
    put(view, record("a", {"cart": entry(1)}, cordoned=True, terminating=True))
    assert view.counted("cart") == 0
    put(view, record("a", cordoned=True))
    assert view.counted("cart") == 0
    put(view, record("a"))
    assert view.counted("cart") == 1
