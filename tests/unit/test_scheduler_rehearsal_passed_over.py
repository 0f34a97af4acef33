"""What a preview says of the next step that cannot be had, and of the pods that are passed over (design 9.2)."""

from __future__ import annotations

import pytest

from tests.scheduler_oracle import NOW, entry, plan, record
from tests.unit.scheduler_desk import REHEARSED, old, rehearse, told
from tranche.contract.ledger import Claim, Frozen
from tranche.contract.plan import ALL
from tranche.contract.preview import Skipped
from tranche.contract.progress import Problem

DOWN = "on a pod that is not ready: updated once it is back"
TAKEN_OVER = "runs the target's version already: taken over, not installed again"

FROZEN = REHEARSED.but(frozen=Frozen(reason="the bucket was restored", since=NOW, above=3))
MENU = Claim(
    pod="c",
    uid="u",
    deployment="menu",
    module="menu",
    generation=1,
    batch=1,
    op="install",
    revision=1,
    token=5,
)
REMOVE = plan(mode="remove", target=None, target_revisions=(), replicas=0, wanted=1)
FIRST = plan(replicas=3, updated=1, stable=None, stable_revisions=())
BACK = plan(mode="abort", replicas=2, generation=3)
ELSEWHERE = plan(replicas=1, upgrade_policy="scaleup_then_scaledown")


def at_target(*pods: str) -> list:
    return [record(pod, {"cart": entry(2)}) for pod in pods]


def cordoned(*pods: str) -> list:
    return [record(pod, cordoned=True) for pod in pods]


def full(*pods: str) -> list:
    return [record(pod, max_modules=0) for pod in pods]


@pytest.mark.parametrize(
    ("pool", "told_plan", "ledger", "problem"),
    [
        pytest.param(
            [*old("a"), *old("c", "b", ready=False)],
            plan(replicas=3, max_unavailable=2),
            REHEARSED,
            Problem(
                reason="BudgetExhausted",
                message="2 of 3 unavailable, 2 may be: maxUnavailable 2",
                count=1,
                pods=("b", "c"),
            ),
            id="the budget is spent",
        ),
        pytest.param(
            [*at_target("a"), *old("d", ready=False), *cordoned("b")],
            plan(replicas=4, max_unavailable=2),
            REHEARSED,
            Problem(reason="InsufficientCapacity", message="2 short: 1 pod cordoned", count=2),
            id="pods are missing",
        ),
        pytest.param(
            old("a"),
            plan(replicas=1, max_unavailable=1),
            FROZEN,
            Problem(reason="PoolFrozen", message="history was lost: the bucket was restored"),
            id="the pool lost history",
        ),
    ],
)
def test_what_forbids_the_next_step_is_told(pool, told_plan, ledger, problem) -> None:
    answer = rehearse(pool, told_plan, ledger=ledger)
    assert (told(answer.levels[0]), answer.levels[0].rounds) == ([], 0)
    assert answer.levels[0].blocked == problem
    assert answer.progress.blocked == problem.reason, "the counts say so too"


@pytest.mark.parametrize(
    ("pool", "plans", "skipped"),
    [
        pytest.param(
            [*full("c"), *cordoned("f", "b"), *at_target("a")],
            [plan(replicas=4)],
            [
                Skipped(reason="cordoned", count=2, pods=("b", "f")),
                Skipped(reason="full", count=1, pods=("c",)),
            ],
            id="replicas find no pod: why not, by pod",
        ),
        pytest.param(
            [*cordoned("b"), record("c"), *old("a")],
            [plan(replicas=1, max_unavailable=0)],
            [],
            id="the budget is spent and no replica is missing: other pods do not matter",
        ),
        pytest.param(
            [*cordoned("b"), *old("a")],
            [ELSEWHERE.but(mode="open", updated=0), ELSEWHERE],
            [Skipped(reason="cordoned", count=1, pods=("b",))],
            id="the new one finds no place beside the old one",
        ),
        pytest.param(
            [*full("c"), record("a")],
            [FIRST],
            [Skipped(reason="full", count=1, pods=("c",))],
            id="replicas of a later level are missing still",
        ),
        pytest.param(
            [record("c"), *at_target("a")],
            [plan(replicas=2)],
            [Skipped(reason="busy", count=1, pods=("c",))],
            id="the pod is at work for another deployment",
        ),
        pytest.param(
            [*full("c"), *cordoned("b"), *old("a")],
            [plan(replicas=ALL, wanted=ALL, max_unavailable=1)],
            [Skipped(reason="cordoned", count=1, pods=("b",)), Skipped(reason="full", count=1, pods=("c",))],
            id="a peer is to be everywhere",
        ),
        pytest.param(
            [*old("c", "b", ready=False), record("t", {"cart": entry(0, version="2.0.0")})],
            [plan(replicas=3, max_unavailable=1)],
            [
                Skipped(reason=TAKEN_OVER, count=1, pods=("t",)),
                Skipped(reason=DOWN, count=2, pods=("b", "c")),
            ],
            id="replicas on pods that are down are updated later",
        ),
        pytest.param([*cordoned("b"), *old("a")], [REMOVE], [], id="nothing is missing when all goes"),
        pytest.param(old("a", ready=False), [REMOVE], [], id="what is to go is not updated once it is back"),
        pytest.param(cordoned("b"), [plan(mode="open", replicas=2)], [], id="nothing is missing in a count"),
    ],
)
def test_what_is_passed_over_is_told_with_its_pods(pool, plans, skipped) -> None:
    at_work = any(one.pod == "c" and one.ready and not one.modules for one in pool)
    ledger = REHEARSED.but(claims={"c": MENU} if at_work else {})
    assert list(rehearse(pool, *plans, ledger=ledger).skipped) == skipped


@pytest.mark.parametrize("told_plan", [plan(replicas=2), BACK], ids=["forth", "back"])
def test_where_history_was_lost_it_is_told_which_pods_will_take_nothing_afterwards(told_plan) -> None:
    answer = rehearse([*old("a"), *cordoned("b"), record("c")], told_plan, ledger=FROZEN)
    assert answer.skipped == (Skipped(reason="cordoned", count=1, pods=("b",)),)
    assert (answer.progress.present, answer.levels[0].lowest_available) == (1, 1)


def test_a_few_pods_stand_for_many() -> None:
    answer = rehearse(cordoned(*"hgfedcba"), plan(replicas=9))
    assert answer.skipped == (Skipped(reason="cordoned", count=8, pods=tuple("abcde")),)
    assert answer.levels[0].blocked == Problem(
        reason="InsufficientCapacity", message="9 short: 8 pods cordoned", count=9
    )
