"""Which pods are chosen: the golden cases and orders of design 1.2 and 1.5."""

from __future__ import annotations

import pytest

from tests.scheduler_oracle import NOW, content, entry, operation, plan, record, serving
from tranche.contract.ledger import Ledger
from tranche.contract.plan import ALL
from tranche_scheduler.core.choice import Choice, choose
from tranche_scheduler.core.placement import RANK, Rank
from tranche_scheduler.core.pool import PoolView

LEDGER = Ledger(namespace="shop", base="web", epoch="e")


def view_of(*records, plans=()) -> PoolView:
    view = PoolView()
    for position, found in enumerate(records, 1):
        view.fold(found, position)
    for told in plans:
        view.fold_plan(told)
    return view


def chosen(told, *records) -> Choice:
    return choose(view_of(*records, plans=[told]), LEDGER, NOW)


def pods(choice: Choice) -> list[tuple[str, str]]:
    return [(claim.op, claim.pod) for claim in choice.claims]


def filled(*with_cart: int) -> list:
    """Pods a, b, c, d with 0, 1, 2, 3 modules and room for 3; ``cart`` is one of them on those numbered."""
    names = ["x", "y", "z"]
    found = []
    for count, pod in enumerate("abcd"):
        others = names[: count - (count in with_cart)]
        modules = {name: entry() for name in others} | ({"cart": entry(2)} if count in with_cart else {})
        found.append(record(pod, modules, max_modules=3))
    return found


def test_the_orders_of_both_policies() -> None:
    """1: fewest modules first; -1: most."""
    assert RANK == {"scatter": (1, -1, 1), "stacking": (-1, 1, -1)}
    assert Rank._fields == ("install", "remove", "replace")


@pytest.mark.parametrize(("policy", "pod"), [("scatter", "a"), ("stacking", "c")])
def test_golden_install_with_the_module_on_the_second(policy: str, pod: str) -> None:
    choice = chosen(plan(replicas=2, scheduling_policy=policy), *filled(1))
    assert pods(choice) == [("install", pod)]


@pytest.mark.parametrize(("policy", "pod"), [("scatter", "d"), ("stacking", "c")])
def test_golden_removal_with_replicas_on_third_and_fourth(policy: str, pod: str) -> None:
    choice = chosen(plan(replicas=1, scheduling_policy=policy), *filled(2, 3))
    assert pods(choice) == [("remove", pod)]


@pytest.mark.parametrize(("policy", "pod"), [("scatter", "a"), ("stacking", "b")])
def test_replacing_starts_with_fewest_or_most_modules(policy: str, pod: str) -> None:
    found = [record("a", {"cart": entry(1)}), record("b", {"cart": entry(1), "x": entry()})]
    choice = chosen(plan(replicas=2, max_unavailable=1, scheduling_policy=policy), *found)
    assert pods(choice) == [("replace", pod)]


def test_ties_break_by_name_bytewise() -> None:
    found = [record(name) for name in ("é", "b", "a-10", "a-9", "B")]
    choice = chosen(plan(replicas=5), *found)
    assert [claim.pod for claim in choice.claims] == ["B", "a-10", "a-9", "b", "é"]


def test_each_choice_counts_the_ones_before_it() -> None:
    """Two deployments on two pods with one slot each: one replica each."""
    found = [record("a", max_modules=1), record("b", max_modules=1)]
    view = view_of(*found, plans=[plan("cart", replicas=2), plan("menu", replicas=2)])
    choice = choose(view, LEDGER, NOW)
    assert [(claim.deployment, claim.pod) for claim in choice.claims] == [("cart", "a"), ("menu", "b")]
    assert choice.blocked["cart"].short == choice.blocked["menu"].short == 1


def test_replacement_order() -> None:
    found = [
        record("a", {"cart": entry(1)}),
        record("b", {"cart": entry(9)}),
        record("c", {"cart": entry(0, version="2.0.0")}),
        record("d", {"cart": entry(1, "inactive")}),
        record("e", {"cart": entry(9, "inactive")}),
        record("f", {"cart": entry(9, "failed")}),
    ]
    choice = chosen(plan(replicas=6, max_unavailable="100%"), *found)
    assert pods(choice) == [
        ("install", "f"),
        ("install", "e"),
        ("install", "d"),
        ("observe", "c"),
        ("replace", "b"),
        ("replace", "a"),
    ]
    assert [claim.costs for claim in choice.claims] == [False, False, False, False, True, True]


def test_what_never_took_the_place_of_stable_is_noted_on_the_way_back_and_nothing_is_disturbed() -> None:
    found = [record("a", {"cart": entry(2, "failed", serving=serving(1))}), record("b", {"cart": entry(1)})]
    back = plan(
        mode="abort", target=content(1), target_revisions=(1,), replicas=2, max_unavailable=0, generation=3
    )
    choice = chosen(back, *found)
    assert pods(choice) == [("observe", "a")]
    assert [(claim.revision, claim.costs) for claim in choice.claims] == [(1, False)]


def test_removal_order() -> None:
    found = [
        record("a", {"cart": entry(2)}),
        record("b", {"cart": entry(1)}),
        record("c", {"cart": entry(2, "inactive")}),
        record("d", {"cart": entry(1, "failed")}),
    ]
    choice = chosen(plan(replicas=0, wanted=0), *found)
    assert pods(choice) == [("remove", "d"), ("remove", "c"), ("remove", "b"), ("remove", "a")]


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"ready": False}, "not ready"),
        ({"cordoned": True}, "cordoned"),
        ({"terminating": True}, "terminating"),
        ({"max_modules": 0}, "full"),
        ({"capacity_problem": "lots"}, "with a module limit that cannot be read"),
        ({"operation": operation(1, "started")}, "busy"),
    ],
)
def test_pods_that_take_nothing_are_counted_by_why_not(facts: dict, words: str) -> None:
    choice = chosen(plan(replicas=2), record("a", **facts), record("b", **facts))
    assert choice.claims == ()
    assert choice.blocked["cart"].message == f"2 short: 2 pods {words}"


def test_several_reasons_are_told_together() -> None:
    found = [record(f"f{n}", max_modules=0) for n in range(12)] + [
        record(f"r{n}", ready=False) for n in range(3)
    ]
    assert chosen(plan(replicas=4), *found).blocked["cart"].message == "4 short: 12 pods full, 3 not ready"


def test_replacing_needs_no_slot_above_a_lowered_limit() -> None:
    found = record("a", {"cart": entry(1), "x": entry(), "y": entry()}, max_modules=1)
    assert pods(chosen(plan(replicas=1, max_unavailable=1), found)) == [("replace", "a")]


def test_peer_counts_cordoned_and_full_pods_only_with_the_module() -> None:
    found = [
        record("a", {"cart": entry(2)}, cordoned=True),
        record("b", cordoned=True),
        record("c", {"cart": entry(2)}, max_modules=1),
        record("d", {"x": entry()}, max_modules=1),
        record("e", ready=False),
        record("f", terminating=True),
        record("g"),
    ]
    view = view_of(*found, plans=[plan(replicas=ALL)])
    assert view.counted("cart") == 4
    assert pods(choose(view, LEDGER, NOW)) == [("install", "g")]


@pytest.mark.parametrize(
    ("was", "beside", "costs"),
    [
        (entry(1), True, False),
        (entry(9, version="2.0.0"), False, True),
        (entry(9, "failed", serving=serving(1)), True, False),
    ],
)
def test_beside_needs_two_versions(was, beside: bool, costs: bool) -> None:
    told = plan(replicas=1, max_unavailable=1, upgrade_policy="install_then_uninstall")
    (claim,) = chosen(told, record("a", {"cart": was})).claims
    assert (claim.op, claim.beside, claim.costs) == ("replace", beside, costs)


def test_a_claim_says_how_long_the_replica_is_out_of_traffic_first() -> None:
    told = plan(replicas=1, max_unavailable=1, drain_s=20)
    (claim,) = chosen(told, record("a", {"cart": entry(1)})).claims
    assert claim.drain_s == 20


def test_the_level_is_kept_by_failed_canaries_and_missing_ones_come_at_stable() -> None:
    found = [
        record("a", {"cart": entry(2, "failed", tries=1)}),
        record("b", {"cart": entry(1)}),
        record("c"),
    ]
    choice = chosen(plan(replicas=3, updated=1, failure_threshold=1, max_unavailable=3), *found)
    assert [(claim.op, claim.pod, claim.revision) for claim in choice.claims] == [("install", "c", 1)]


def test_failures_above_the_threshold_hold_everything_but_what_was_lost_which_comes_at_stable() -> None:
    found = [record("a", {"cart": entry(2, "failed", tries=1)}), record("b", {"cart": entry(1)}), record("c")]
    choice = chosen(plan(replicas=3, max_unavailable=3), *found)
    assert [(claim.op, claim.pod, claim.revision) for claim in choice.claims] == [("install", "c", 1)]
    first = plan(replicas=3, max_unavailable=3, stable=None, stable_revisions=())
    assert chosen(first, *found).claims == ()


def test_budget_words() -> None:
    found = record("a", {"cart": entry(1)})
    blocked = chosen(plan(replicas=1, max_unavailable="50%"), found).blocked["cart"]
    assert blocked.reason == "BudgetExhausted"
    assert blocked.message == (
        "0 of 1 may be unavailable: maxUnavailable 50% of 1 rounds down to 0; allow 1, or use "
        "install_then_uninstall where two versions can stand side by side"
    )


def test_removing_everything_goes_a_few_at_a_time() -> None:
    found = [record(pod, {"cart": entry(1)}) for pod in "abcd"]
    told = plan(mode="remove", target=None, target_revisions=(), replicas=0, wanted=4, max_unavailable=2)
    assert pods(chosen(told, *found)) == [("remove", "a"), ("remove", "b")]
    assert pods(chosen(told.but(max_unavailable=0), *found)) == [("remove", "a")]


def test_held_brings_back_what_is_down_and_begins_nothing() -> None:
    found = [
        record("a", {"cart": entry(2, "inactive")}),
        record("b", {"cart": entry(1, "inactive")}),
        record("c", {"cart": entry(1)}),
        record("d"),
    ]
    held = plan(replicas=4, updated=3, max_unavailable=4, held=True, held_at=4)
    choice = chosen(held, *found)
    assert [(claim.op, claim.pod, claim.revision) for claim in choice.claims] == [
        ("install", "a", 2),
        ("install", "b", 1),
        ("install", "d", 1),
    ]
    assert len(chosen(held.but(held_at=3), *found).claims) == 2


def test_open_removes_only_surplus_that_is_down() -> None:
    found = [record("a", {"cart": entry(1)}), record("b", {"cart": entry(1, "inactive")}), record("c")]
    told = plan(mode="open", replicas=1, updated=0)
    assert pods(chosen(told, *found)) == [("remove", "b")]
    assert chosen(told.but(replicas=-1), *found).claims == ()


def test_a_finished_plan_owns_no_module_that_another_wants() -> None:
    done = plan("old", module="cart", mode="open", replicas=-1, complete=True)
    view = view_of(record("a", {"cart": entry(2)}), plans=[done, plan("new", module="cart", replicas=1)])
    assert view.total("new", "available") == 1
    assert view.total("old", "present") == 0
    assert choose(view, LEDGER, NOW).claims == ()


def test_contents_of_the_choice_are_what_claims_install() -> None:
    choice = chosen(plan(replicas=1), record("a"))
    assert choice.contents == (content(2),)
