"""What the scheduler says of a deployment: counts, problems in words a person can act on, and pods to look at."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.scheduler_oracle import NOW, entry, operation, plan, record, serving
from tests.unit.scheduler_desk import Pool, said
from tranche.contract.ledger import Frozen
from tranche.contract.plan import ALL
from tranche.contract.progress import Progress
from tranche_scheduler.core.progress import newer, progress, same

MANY = 60
"""More failed pods than are looked at one by one."""


def told(*records: Any, **facts: Any) -> Progress:
    """What is said after one round of a plan for as many replicas as there are records."""
    pool = Pool(*records)
    pool.tell(plan(**({"replicas": len(records), "max_unavailable": 1} | facts)))
    return said(pool, "cart", pool.round())


def counted(*records: Any, **facts: Any) -> Progress:
    """What is said of the pods as they are, before anything is decided."""
    pool = Pool(*records)
    pool.tell(plan(**facts))
    return progress(pool.view, pool.view.plans["cart"], pool.ledger, 7, None, NOW)


def problems(found: Progress) -> list[tuple[str, str, int, tuple[str, ...]]]:
    return [(one.reason, one.message, one.count, one.pods) for one in found.problems]


# --- problems ---


def test_failures_are_grouped_by_what_their_bases_said() -> None:
    failed = {"tries": 3, "passing": True}
    found = told(
        record("a", {"cart": entry(2, "failed", message="no such class", **failed)}),
        record(
            "b", {"cart": entry(2, "failed", message="out of metaspace", reason="UninstallFailed", **failed)}
        ),
        record("c", {"cart": entry(2, "failed", message="no such class", **failed)}),
        failure_threshold=9,
    )
    assert problems(found) == [
        ("InstallFailed", "no such class", 2, ("a", "c")),
        ("UninstallFailed", "out of metaspace", 1, ("b",)),
    ]
    assert (found.failed, found.retrying) == (3, 0)


def test_of_many_failures_the_first_are_named_and_all_are_counted() -> None:
    names = [f"p{number:02}" for number in range(MANY)]
    failed = entry(2, "failed", tries=3, message="no such class")
    found = told(*(record(name, {"cart": failed}) for name in names), failure_threshold=MANY)
    assert problems(found) == [("InstallFailed", "no such class", MANY, tuple(names[:5]))]


def test_those_beyond_the_ones_looked_at_are_counted_once() -> None:
    records = [
        record(
            f"p{number:02}",
            {"cart": entry(2, "failed", tries=3, message="even" if number % 2 == 0 else "odd")},
        )
        for number in range(MANY)
    ]
    found = told(*records, failure_threshold=MANY)
    assert [(one.message, one.count) for one in found.problems] == [("even", 35), ("odd", 25)]


def test_an_operation_that_is_stuck_says_what_its_executor_says() -> None:
    pool = Pool(*(record(name, {"cart": entry(1)}) for name in "ab"))
    pool.tell(plan(replicas=2, max_unavailable=2))
    pool.round()
    for name in "ab":
        claim = pool.ledger.claims[name]
        stuck = operation(claim.token, "stuck", message=f"install still runs on {name}")
        pool.put(record(name, {"cart": entry(1)}, operation=stuck))
    found = said(pool, "cart", pool.round())
    assert problems(found) == [("OperationStuck", "install still runs on a", 2, ("a", "b"))]
    assert (found.stuck, found.moving) == (2, 2)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"message": "connection refused", "reason": "PodUnreachable"}, ": connection refused"),
        ({"reason": "PodUnreachable"}, ": PodUnreachable"),
        ({}, ""),
    ],
)
@pytest.mark.parametrize(("names", "many"), [("a", "1 pod is"), ("ab", "2 pods are")])
def test_pods_that_are_not_ready_are_named_with_the_reason(
    facts: dict[str, Any], words: str, names: str, many: str
) -> None:
    down = [record(name, {"cart": entry(1)}, ready=False, **facts) for name in names]
    found = told(*down, updated=0)
    assert problems(found) == [
        ("PodUnreachable", f"{many} not ready{words}", len(names), tuple(names)),
    ]
    assert found.down == len(names)


def test_a_spent_budget_names_the_pods_that_are_down() -> None:
    found = told(
        record("a", {"cart": entry(1)}),
        record("b", {"cart": entry(1)}, ready=False, reason="PodUnreachable"),
    )
    assert problems(found)[-1] == (
        *("BudgetExhausted", "1 of 2 unavailable, 1 may be: maxUnavailable 1", 1, ("b",)),
    )
    assert (found.blocked, found.unavailable_pods) == ("BudgetExhausted", ("b",))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (None, "1 of 2 unavailable, 1 may be: the default maxUnavailable"),
        ("50%", "1 of 2 unavailable, 1 may be: maxUnavailable 50%"),
        (
            "40%",
            "0 of 2 may be unavailable: maxUnavailable 40% of 2 rounds down to 0; allow 1, or use "
            "install_then_uninstall where two versions can stand side by side",
        ),
        (
            "0%",
            "0 of 2 may be unavailable: maxUnavailable 0%; allow 1, or use install_then_uninstall where two "
            "versions can stand side by side",
        ),
        (
            0,
            "0 of 2 may be unavailable: maxUnavailable 0; allow 1, or use install_then_uninstall where two "
            "versions can stand side by side",
        ),
        (
            "soon",
            "0 of 2 may be unavailable: maxUnavailable 'soon' is not a whole number from 0 to 1000000, or whole "
            'percent as text, "0%" to "100%"',
        ),
    ],
)
def test_a_spent_budget_says_which_promise(given: int | str | None, words: str) -> None:
    found = told(
        record("a", {"cart": entry(1)}), record("b", {"cart": entry(1)}, ready=False), max_unavailable=given
    )
    assert problems(found)[-1][:2] == ("BudgetExhausted", words)


def test_missing_capacity_counts_those_that_are_short_and_what_hinders_the_pods() -> None:
    found = told(
        record("a", {"cart": entry(2)}),
        record("b", {"x": entry(1)}, max_modules=1),
        record("c", ready=False),
        replicas=4,
    )
    assert [one[:3] for one in problems(found)] == [
        ("InsufficientCapacity", "3 short: 1 pod full, 1 not ready", 3),
    ]
    assert found.blocked == "InsufficientCapacity"


def test_missing_capacity_is_told_also_while_others_move() -> None:
    found = told(record("a", {"cart": entry(1)}), replicas=2, max_unavailable=2)
    assert (found.moving, found.blocked) == (1, "")
    assert [one[0] for one in problems(found)] == ["InsufficientCapacity"]


def test_a_spent_budget_is_no_problem_while_others_move() -> None:
    found = told(*(record(name, {"cart": entry(1)}) for name in "ab"))
    assert (found.moving, found.blocked, found.problems) == (1, "", ())


def test_labels_that_cannot_be_read_are_named_in_order() -> None:
    found = told(
        record("b", max_modules=0, capacity_problem='max-module-count: got "x"'),
        record("a", max_modules=0, capacity_problem='max-module-count: got "many"'),
        replicas=0,
    )
    assert problems(found) == [("InvalidCapacity", 'max-module-count: got "many"', 2, ("a", "b"))]


def test_a_frozen_pool_says_what_was_lost() -> None:
    pool = Pool(record("a", {"cart": entry(1)}))
    pool.tell(plan(replicas=1, max_unavailable=1))
    pool.ledger = pool.ledger.but(frozen=Frozen(reason="a disk broke", since=NOW, above=9))
    found = said(pool, "cart", pool.round())
    assert found.blocked == "PoolFrozen"
    assert problems(found)[0] == (
        *(
            "PoolFrozen",
            "history was lost: a disk broke. Nothing is disturbed until every pod was asked",
            1,
            (),
        ),
    )


# --- counts ---


def test_a_peer_counts_pods_and_others_what_they_want() -> None:
    records = [record("a", {"cart": entry(2)}), record("b", {"cart": entry(2)}), record("c")]
    peer = told(*records, replicas=ALL)
    assert (peer.pods, peer.placeable) == (3, 0), "the third is on its way"
    some = told(*records, replicas=2)
    assert (some.pods, some.placeable, some.surplus_unavailable) == (3, 0, 0)


def test_places_are_counted_up_to_what_is_missing() -> None:
    records = [record("a", {"cart": entry(2)}), record("b"), record("c"), record("d")]
    assert counted(*records, replicas=3).placeable == 2
    assert counted(*records, replicas=9).placeable == 3
    assert counted(*records, replicas=1).placeable == 0


def test_surplus_that_is_not_available_is_counted_up_to_the_surplus() -> None:
    dead = entry(1, "inactive")
    unremoved = entry(1, "failed", reason="UninstallFailed", tries=1, since=NOW)
    records = [record("a", {"cart": dead}), record("b", {"cart": unremoved}), record("c", {"cart": entry(1)})]
    assert counted(*records, replicas=1).surplus_unavailable == 2
    assert counted(*records, replicas=2).surplus_unavailable == 1
    assert counted(*records, replicas=3).surplus_unavailable == 0
    assert counted(*records, replicas=9).surplus_unavailable == 0


def test_versions_that_somebody_else_installed_are_named_in_order() -> None:
    theirs = [record(name, {"cart": entry(0, version=f"{name}.0")}) for name in "ba"]
    found = told(*theirs, record("c", {"cart": entry(0, version="2.0.0")}), updated=0)
    assert found.foreign == ("a.0", "b.0"), "the target's own version is none of them"


def test_pods_that_a_person_emptied_are_told() -> None:
    found = told(
        record("a", {"cart": entry(2, since=NOW - timedelta(hours=1))}),
        record("b"),
        replicas=1,
        evict=("a", "b"),
        evicted_at=NOW,
    )
    assert (found.emptied, found.evicting) == (("b",), 1)


def test_replicas_that_ripen_keep_the_budget_busy() -> None:
    young = entry(2, since=NOW - timedelta(seconds=1))
    found = told(
        record("a", {"cart": young}), record("b", {"cart": entry(1)}), min_ready_s=10, max_unavailable=1
    )
    assert (found.maturing, found.moving, found.blocked) == (1, 0, "")
    assert found.mature_at == NOW + timedelta(seconds=9)
    assert found.problems == ()


# --- what is said again, and what is newer ---


def test_the_same_is_said_whenever_it_was_computed() -> None:
    one = told(record("a", {"cart": entry(1)}))
    assert same(one, one.but(at=NOW + timedelta(hours=1), position=99, ledger_revision=99, nonce="n"))
    assert not same(one, one.but(available=7))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({}, False),
        ({"ledger_revision": 6}, True),
        ({"position": 0}, True),
        ({"plan_revision": 0}, True),
        ({"ledger_revision": 8}, False),
        ({"position": 9}, False),
        ({"plan_revision": 9}, False),
        ({"ledger_revision": 6, "position": 9, "plan_revision": 9}, True),
        ({"ledger_revision": 11}, True),
        ({"ledger_revision": 10}, False),
    ],
)
def test_later_is_a_later_ledger_then_more_records_then_a_newer_plan(
    found: dict[str, int], expected: bool
) -> None:
    ours = told(record("a", {"cart": entry(1)}))
    assert (ours.ledger_revision, ours.position, ours.plan_revision) == (7, 1, 1)
    assert newer(ours, ours.but(**found), revision=10) is expected


# --- pods to look at ---


def test_pods_under_way_come_first_then_those_that_are_wrong() -> None:
    records = [record(f"p{number:02}", {"cart": entry(1, "inactive")}) for number in range(30)]
    found = told(*records, replicas=30, max_unavailable=30, updated=25)
    assert len(found.samples) == 20
    pool = Pool(*records[:4], record("x", {"cart": entry(1)}))
    pool.tell(plan(replicas=5, max_unavailable=5, updated=1))
    claimed = {claim.pod for claim in pool.round().claims}
    samples = [sample.pod for sample in said(pool, "cart", pool.round()).samples]
    assert samples[: len(claimed)] == sorted(claimed)
    assert sorted(samples) == ["p00", "p01", "p02", "p03"]


def test_a_sample_tells_how_it_stands_on_the_pod() -> None:
    failed = entry(2, "failed", tries=2, batch=3, since=NOW, passing=True, message="no such class")
    (sample,) = told(record("a", {"cart": failed}), replicas=1).samples
    assert (sample.pod, sample.version, sample.revision, sample.state) == ("a", "2.0.0", 2, "failed")
    assert (sample.tries, sample.batch, sample.since) == (2, 3, NOW)
    assert (sample.reason, sample.message) == ("", "no such class")
    assert sample.retry_at == NOW + timedelta(seconds=30)


@pytest.mark.parametrize(
    ("module", "pod", "expected"),
    [
        ({"reason": "InstallFailed", "message": "own"}, {"ready": False}, ("InstallFailed", "own")),
        ({}, {"ready": False}, ("PodUnreachable", "no answer")),
        ({"state": "inactive"}, {"ready": True}, ("", "")),
    ],
)
def test_a_sample_has_its_own_words_or_those_of_its_pod(
    module: dict[str, str], pod: dict[str, Any], expected: tuple[str, str]
) -> None:
    here = entry(1, **module)
    record_ = record("a", {"cart": here}, reason="PodUnreachable", message="no answer", **pod)
    (sample,) = told(record_, replicas=1, updated=0, stable=None, stable_revisions=()).samples
    assert (sample.reason, sample.message) == expected


@pytest.mark.parametrize(("revision", "version"), [(2, "2.0.0"), (1, "1.0.0"), (7, "")])
def test_where_nothing_runs_yet_a_sample_tells_what_comes(revision: int, version: str) -> None:
    pool = Pool(record("a"))
    pool.tell(plan(replicas=1))
    (claim,) = pool.round().claims
    pool.ledger = pool.ledger.but(claims={"a": claim.but(revision=revision)})
    pool.view.fold_claims(pool.ledger.claims)
    plan_ = pool.view.plans["cart"]
    (sample,) = said(pool, plan_.name, pool.round()).samples
    assert (sample.pod, sample.version, sample.revision, sample.state) == ("a", version, revision, "unknown")


def test_a_version_that_serves_beside_does_not_make_an_old_one_available() -> None:
    beside = entry(2, "installing", serving=serving(1))
    found = told(record("a", {"cart": beside}), updated=0)
    assert (found.available, found.updated, found.updated_available) == (1, 1, 0)
