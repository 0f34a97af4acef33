"""What is done next on which pod: surplus, repairs, pairs, and when to look again (design 1.2-1.6)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.scheduler_oracle import NOW, content, entry, plan, record, serving
from tests.unit.scheduler_desk import Pool, said
from tranche.contract.plan import ALL
from tranche.contract.record import ModuleEntry
from tranche_scheduler.core.ledger import Round
from tranche_scheduler.core.step import bring

NO_TARGET = {"target": None}
NO_STABLE = {"stable": None}
PAIRS = {"upgrade_policy": "scaleup_then_scaledown", "max_unavailable": 0}
UNDONE = {
    "target": content(3).but(version="1.0.0"),
    "target_revisions": (1, 3),
    "stable": content(2),
    "stable_revisions": (2,),
}
"""Undone by hand: revision 3 has the content of revision 1."""


def played(*records: Any, **facts: Any) -> tuple[Pool, Round]:
    """One round of a plan for as many replicas as there are records."""
    pool = Pool(*records)
    pool.tell(plan(**({"replicas": len(records)} | facts)))
    return pool, pool.round()


def begun(*records: Any, **facts: Any) -> list[tuple[str, str, int, bool]]:
    """Operation, pod, revision that is to run, and whether the budget pays."""
    _, result = played(*records, **facts)
    return [(claim.op, claim.pod, claim.revision, claim.costs) for claim in result.claims]


def on(pod: str, revision: int = 1, state: str = "available", **facts: Any):
    return record(pod, {"cart": entry(revision, state, **facts)})


def unremoved(pod: str, revision: int = 1, **facts: Any):
    """Could not be taken away, long enough ago to be tried again."""
    return on(pod, revision, "failed", **({"reason": "UninstallFailed", "tries": 1} | facts))


def failed(pod: str, revision: int = 2, **facts: Any):
    """Failed from a cause that can pass, long enough ago to be tried again."""
    return on(pod, revision, "failed", **({"tries": 1, "passing": True} | facts))


# --- before the cutting ---


@pytest.mark.parametrize(
    ("facts", "removed"),
    [
        ({"replicas": 3}, []),
        ({"replicas": 2}, ["a"]),
        ({"replicas": 0}, ["a", "b"]),
        ({"replicas": 2, "held": True}, []),
        ({"replicas": ALL}, []),
    ],
)
def test_before_the_cutting_only_surplus_that_is_not_available_goes(
    facts: dict[str, Any], removed: list[str]
) -> None:
    records = [on("a", 1, "inactive"), on("b", 1, "inactive"), on("c")]
    assert begun(*records, mode="open", **facts) == [("remove", pod, 0, False) for pod in removed]


def test_before_the_cutting_surplus_that_could_not_be_taken_away_is_tried_again() -> None:
    assert begun(unremoved("a"), on("b"), mode="open", replicas=1) == [("remove", "a", 0, False)]


# --- surplus ---


def test_surplus_that_could_not_be_taken_away_goes_before_what_serves() -> None:
    assert begun(unremoved("a"), on("b", 2), replicas=1) == [("remove", "a", 0, False)]


def test_surplus_that_serves_nobody_goes_though_the_budget_is_spent() -> None:
    down = record("c", {"cart": entry(2)}, ready=False)
    taken = begun(on("a", 1, "inactive"), on("b", 2), down, replicas=2, max_unavailable=0)
    assert taken == [("remove", "a", 0, False)]


@pytest.mark.parametrize("mode", ["remove", "open"])
def test_a_plan_that_is_over_leaves_what_is_there(mode: str) -> None:
    facts = {"mode": mode, "target": None, "target_revisions": (), "replicas": 0, "wanted": 1}
    left = on("a", 1, "inactive")
    assert begun(left, complete=False, **facts) == [("remove", "a", 0, False)]
    assert begun(left, complete=True, **facts) == []


# --- replace: off this pod, and anew on another ---


def test_a_replica_leaves_its_pod_only_for_a_pod_that_is_free() -> None:
    pool, result = played(
        on("a"), on("b"), record("c"), replicas=2, updated=0, max_unavailable=2, evict=("a", "b")
    )
    assert [(claim.op, claim.pod) for claim in result.claims] == [("remove", "a"), ("install", "c")]
    (problem,) = said(pool, "cart", result).problems
    assert (problem.reason, problem.count) == ("InsufficientCapacity", 1)


def test_what_serves_nobody_leaves_its_pod_though_the_budget_is_spent() -> None:
    records = [on("a", 1, "inactive"), on("b"), record("c")]
    taken = begun(*records, replicas=2, updated=0, max_unavailable=0, evict=("a",))
    assert taken == [("remove", "a", 0, False), ("install", "c", 1, False)]


GIVEN_UP = {"passing": False}


def test_after_too_many_failures_nobody_is_taken_off_a_pod() -> None:
    records = [on("a"), failed("b", **GIVEN_UP), record("c")]
    assert begun(*records, replicas=2, max_unavailable=2, evict=("a",)) == []
    assert begun(*records, replicas=2, max_unavailable=2, evict=("a",), failure_threshold=1) != []


def test_after_too_many_failures_what_is_on_its_way_off_a_pod_is_placed_anew_at_stable() -> None:
    records = [unremoved("a"), failed("b", **GIVEN_UP), record("c")]
    taken = begun(*records, replicas=2, evict=("a",), evicted_at=NOW)
    assert taken == [("remove", "a", 0, False), ("install", "c", 1, False)]


# --- repairs ---


def test_what_is_down_is_repaired_where_the_fewest_modules_are_first() -> None:
    def down(pod: str, revision: int, *others: str):
        return record(pod, {"cart": entry(revision, "inactive")} | {name: entry(1) for name in others})

    for revision, updated in ((2, ALL), (1, 0)):
        records = [down("a", revision, "x", "y"), down("b", revision), down("c", revision, "x")]
        repaired = begun(*records, updated=updated)
        assert [pod for _, pod, _, _ in repaired] == ["b", "c", "a"]
        assert {(op, now, costs) for op, _, now, costs in repaired} == {("install", revision, False)}


@pytest.mark.parametrize(
    ("here", "facts", "expected"),
    [
        (unremoved("a", 1), {}, 2),
        (unremoved("a", 1), {"updated": 0}, 1),
        (unremoved("a", 2, passing=True), {"updated": 1}, 2),
        (unremoved("a", 2), {}, None),
        (unremoved("a", 1), {"updated": 0, "stable": None, "stable_revisions": ()}, None),
        (unremoved("a", 1), {"max_unavailable": 0}, 2),
        (unremoved("a", 1), {"held": True}, 2),
    ],
    ids=[
        "below the level at the target",
        "at the level at stable",
        "that has its place in the level at the target",
        "given up not at all",
        "without a stable not at all",
        "though the budget is spent",
        "though the rollout is paused",
    ],
)
def test_what_could_not_be_taken_away_and_is_wanted_after_all_is_brought_back(
    here: Any, facts: dict[str, Any], expected: int | None
) -> None:
    assert begun(here, **facts) == ([("install", "a", expected, False)] if expected else [])


@pytest.mark.parametrize(
    ("held", "max_unavailable", "expected"),
    [
        (False, 1, [("replace", "a", 2, True)]),
        (False, 0, []),
        (True, 1, []),
        (True, 0, []),
    ],
)
@pytest.mark.parametrize("here", [failed("a", 2, serving=serving(1)), unremoved("a", 1, serving=serving(1))])
def test_another_try_where_an_old_version_serves_needs_budget_and_no_pause(
    here: Any, held: bool, max_unavailable: int, expected: list[Any]
) -> None:
    assert begun(here, held=held, max_unavailable=max_unavailable) == expected


@pytest.mark.parametrize("state", ["failed", "inactive"])
def test_stable_that_is_down_is_brought_back_to_stable(state: str) -> None:
    assert begun(on("a", 1, state, tries=1), updated=0) == [("install", "a", 1, False)]


def test_a_failed_try_beside_the_same_content_only_has_to_be_looked_at() -> None:
    here = failed("a", 3, version="1.0.0", serving=serving(1))
    assert begun(here, max_unavailable=0, **UNDONE) == [("observe", "a", 3, False)]


def test_a_ripe_replica_is_looked_at_under_the_number_it_was_installed_under() -> None:
    ripe = on("a", 1, since=NOW - timedelta(seconds=60)).but(observed_at=NOW - timedelta(seconds=40))
    pool, result = played(ripe, min_ready_s=30, **UNDONE)
    assert [(claim.op, claim.pod, claim.revision) for claim in result.claims] == [("observe", "a", 1)]
    assert pool.ledger.contents["cart"][1].version == "1.0.0"


@pytest.mark.parametrize(("here", "ready"), [(None, True), (entry(1), False), (entry(1, "inactive"), True)])
def test_where_nothing_serves_it_is_installed_and_costs_nothing(
    here: ModuleEntry | None, ready: bool
) -> None:
    step = bring("a", here, ready, content(2), plan())
    assert (step.op, step.content, step.costs) == ("install", content(2), False)


@pytest.mark.parametrize(("seconds", "costs"), [(0, False), (1, True)])
def test_beside_the_old_one_a_new_version_costs_only_while_it_has_to_ripen(seconds: int, costs: bool) -> None:
    taken = begun(
        on("a"), upgrade_policy="install_then_uninstall", min_ready_s=seconds, max_unavailable=int(costs)
    )
    assert taken == [("replace", "a", 2, costs)]


# --- what a plan does not name ---


@pytest.mark.parametrize(
    "here",
    [
        on("a", 2, "inactive"),
        failed("a", 2),
        on("a", 2, since=NOW - timedelta(seconds=60)).but(observed_at=NOW - timedelta(seconds=40)),
        on("a", 1),
    ],
    ids=["down", "failed", "ripe", "stable"],
)
def test_a_plan_without_a_target_brings_nothing_to_it(here: Any) -> None:
    assert begun(here, min_ready_s=30, **NO_TARGET) == []


@pytest.mark.parametrize("state", ["inactive", "failed"])
def test_a_plan_without_a_stable_brings_nothing_back_to_it(state: str) -> None:
    assert begun(on("a", 1, state, tries=1), updated=0, **NO_STABLE) == []


@pytest.mark.parametrize(
    ("facts", "revision"),
    [
        ({}, 2),
        (NO_TARGET, 1),
        ({"held": True, "held_at": 1}, 1),
        ({"held": True, "held_at": 1} | NO_STABLE, 2),
        ({"held": True, "held_at": 1, "updated": 0} | NO_STABLE, None),
    ],
)
def test_what_a_missing_replica_is_made_at(facts: dict[str, Any], revision: int | None) -> None:
    assert begun(record("a"), **facts) == ([("install", "a", revision, False)] if revision else [])


# --- pairs ---


def test_a_peer_has_no_other_pod_to_go_to() -> None:
    taken = begun(on("a"), on("b"), replicas=ALL, **PAIRS | {"max_unavailable": 1})
    assert taken == [("replace", "a", 2, True)]


def test_the_way_back_goes_by_pairs_too() -> None:
    back = {"mode": "abort", "target": content(1), "target_revisions": (1,)}
    assert begun(on("a", 2), on("b", 1), record("c"), replicas=2, **back, **PAIRS) == [
        ("install", "c", 1, False)
    ]


def test_an_old_one_that_is_down_and_no_surplus_is_repaired_where_it_is() -> None:
    assert begun(on("a", 1, "inactive"), on("b", 2), **PAIRS) == [("install", "a", 2, False)]


# --- when to look again ---


def test_the_next_look_is_at_the_earliest_try_of_all_deployments() -> None:
    soon = entry(2, "failed", tries=1, passing=True, since=NOW - timedelta(seconds=3))
    later = entry(2, "failed", tries=2, passing=True, since=NOW)
    pool = Pool(record("a", {"cart": later}), record("b", {"menu": soon}))
    pool.tell(plan("cart", replicas=1))
    pool.tell(plan("menu", replicas=1))
    result = pool.round()
    assert (result.claims, result.next_at) == ((), NOW + timedelta(seconds=2))


@pytest.mark.parametrize("ago", [timedelta(hours=1), timedelta(seconds=5)], ids=["long ago", "now"])
def test_a_try_that_is_due_and_waits_for_budget_waits_for_no_time(ago: timedelta) -> None:
    here = failed("a", 2, serving=serving(1), since=NOW - ago)
    pool, result = played(here, max_unavailable=0)
    assert (result.claims, result.next_at) == ((), None)
    assert said(pool, "cart", result).blocked == "BudgetExhausted"


# --- what costs nothing waits for no budget (design 1.4) ---

LONG_DUE = NOW - timedelta(hours=2)


@pytest.mark.parametrize("facts", [{}, {"mode": "abort"}, {"held": True}])
def test_what_is_down_is_tried_again_though_one_that_serves_has_been_due_for_longer(
    facts: dict[str, Any],
) -> None:
    found = begun(
        failed("a", 2, serving=serving(1), since=LONG_DUE), failed("b", 2), max_unavailable=1, **facts
    )
    assert [(op, pod, costs) for op, pod, _, costs in found] == [("install", "b", False)]


def test_what_is_down_and_could_not_be_taken_away_is_mended_before_what_serves() -> None:
    found = begun(unremoved("a", 1, serving=serving(1), since=LONG_DUE), unremoved("b", 1), max_unavailable=1)
    assert [(op, pod, costs) for op, pod, _, costs in found] == [("install", "b", False)]


def test_surplus_that_is_dead_goes_though_the_budget_is_spent() -> None:
    found = begun(
        unremoved("a", 1, serving=serving(1), since=LONG_DUE),
        on("b", 1, "inactive"),
        on("c", 2),
        replicas=2,
        max_unavailable=0,
    )
    assert found == [("remove", "b", 0, False)]


def test_before_the_cut_only_surplus_that_serves_nobody_goes() -> None:
    found = begun(
        unremoved("a", 1, serving=serving(1), since=LONG_DUE),
        unremoved("b", 1, since=LONG_DUE),
        replicas=1,
        mode="open",
        updated=0,
    )
    assert found == [("remove", "b", 0, False)]


def test_a_replica_that_is_down_leaves_its_pod_though_one_that_serves_has_to_wait() -> None:
    found = begun(
        unremoved("a", 1, serving=serving(1), since=LONG_DUE),
        on("b", 1, "inactive"),
        record("c"),
        record("d"),
        replicas=2,
        updated=0,
        max_unavailable=1,
        evict=("a", "b"),
        evicted_at=NOW,
    )
    assert ("remove", "b", 0, False) in found


def test_what_is_there_already_is_taken_over_though_the_budget_is_spent() -> None:
    found = begun(
        on("a", 3, "failed", serving=serving(1), tries=1),
        on("b", 0, version="2.0.0"),
        record("c", {"cart": entry(1)}, ready=False),
        max_unavailable=1,
    )
    assert found == [("observe", "b", 2, False)]


# --- the target idle beside an older version that serves ---


def idle(pod: str) -> Any:
    """Somebody switched back to revision 1, or the switch to 2 was forgotten."""
    return on(pod, 2, "inactive", serving=serving(1))


@pytest.mark.parametrize(
    "policy", ["uninstall_then_install", "install_then_uninstall", "scaleup_then_scaledown"]
)
@pytest.mark.parametrize("facts", [{}, {"mode": "abort"}, {"complete": True}, {"updated": 1}])
def test_the_target_is_made_to_serve_where_it_stands_idle(policy: str, facts: dict[str, Any]) -> None:
    pool, result = played(idle("a"), upgrade_policy=policy, max_unavailable=0, **facts)
    assert [(claim.op, claim.revision, claim.beside, claim.costs) for claim in result.claims] == [
        ("replace", 2, True, False)
    ]
    assert said(pool, "cart", result).updated_available == 0


def test_one_that_has_to_prove_itself_first_waits_for_the_budget() -> None:
    facts = {"min_ready_s": 30}
    assert begun(idle("a"), idle("b"), max_unavailable=1, **facts) == [("replace", "a", 2, True)]
    pool, result = played(idle("a"), max_unavailable=0, **facts)
    assert result.claims == ()
    assert said(pool, "cart", result).blocked == "BudgetExhausted"


def test_under_a_pause_whoever_switched_back_is_left_alone() -> None:
    assert begun(idle("a"), max_unavailable=1, held=True, held_at=1) == []


@pytest.mark.parametrize("facts", [{}, PAIRS])
def test_one_that_stands_idle_goes_before_one_that_serves_at_the_target(facts: dict[str, Any]) -> None:
    found = begun(idle("b"), on("a", 2), replicas=1, **({"max_unavailable": 1} | facts))
    assert found == [("remove", "b", 0, True)]


# --- a level above what is wanted: the rest is only not taken away yet ---


def test_one_that_is_lost_of_more_than_are_wanted_is_not_made_again() -> None:
    facts = {"replicas": 3, "wanted": 2, "updated": 0, "max_unavailable": 1}
    assert begun(on("a", 1), on("b", 1), record("c"), **facts) == []
    assert begun(on("a", 1), record("b"), record("c"), **facts) == [("install", "b", 1, False)]


@pytest.mark.parametrize("facts", [{"held": True, "held_at": 3}, {"mode": "abort"}])
def test_nor_under_a_pause_or_on_the_way_back(facts: dict[str, Any]) -> None:
    facts = {"replicas": 3, "wanted": 2, "updated": 0, "max_unavailable": 1} | facts
    assert begun(on("a", 1), on("b", 1), record("c"), **facts) == []


def test_nor_while_failures_hold_the_rollout() -> None:
    facts = {"replicas": 3, "wanted": 2, "updated": 1, "max_unavailable": 2}
    assert begun(on("a", 2, "failed", tries=1), on("b", 1), record("c"), **facts) == []


def test_a_replica_that_is_more_than_wanted_leaves_its_pod_without_a_place_elsewhere() -> None:
    facts = {
        "replicas": 3,
        "wanted": 2,
        "updated": 0,
        "max_unavailable": 1,
        "evict": ("c",),
        "evicted_at": NOW,
    }
    assert begun(on("a", 1), on("b", 1), on("c", 1), **facts) == [("remove", "c", 0, True)]


def test_a_pair_begins_on_the_place_of_one_that_was_lost() -> None:
    facts = {"replicas": 3, "wanted": 2, "updated": 1, **PAIRS}
    assert begun(on("a", 1), on("b", 1), record("c"), **facts) == [("install", "c", 2, False)]
