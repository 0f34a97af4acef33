"""What is proof that a claim is over, and what never is; and what a claim takes up until then (design 2.2, 1.5)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.scheduler_oracle import NOW, entry, operation, plan, record
from tranche.contract.ledger import Ledger
from tranche.contract.plan import ALL
from tranche.contract.record import PodRecord
from tranche_scheduler.core.choice import choose
from tranche_scheduler.core.ledger import Round, play
from tranche_scheduler.core.pool import FULL, PoolView
from tranche_scheduler.core.progress import progress

EMPTY = Ledger(namespace="shop", base="web", epoch="e", counter=5)


def view_of(*records: PodRecord) -> PoolView:
    view = PoolView()
    for position, found in enumerate(records, 1):
        view.fold(found, position)
    return view


def played(view: PoolView, ledger: Ledger, after: timedelta = timedelta()) -> Round:
    result = play(view, ledger, 100, NOW + after, caught_up=True)
    assert isinstance(result, Round)
    view.fold_claims(result.ledger.claims)
    return result


@pytest.mark.parametrize("state", ["", "started", "stuck"])
def test_no_time_that_passes_ends_a_claim(state: str) -> None:
    found = [record("a", {"cart": entry(1)}), record("b", {"cart": entry(1)})]
    view = view_of(*found)
    view.fold_plan(plan(replicas=2, max_unavailable=1))
    ledger = played(view, EMPTY).ledger
    assert list(ledger.claims) == ["a"]
    if state:
        begun = operation(6, state, since=NOW)
        view.fold(record("a", {"cart": entry(1, "installing")}, operation=begun), 3)
    for after in (timedelta(minutes=1), timedelta(minutes=20), timedelta(days=30)):
        ledger = played(view, ledger, after).ledger
        assert {pod: claim.token for pod, claim in ledger.claims.items()} == {"a": 6}, after


def test_a_pod_made_anew_under_the_same_name_ends_the_claim_of_the_one_before() -> None:
    view = view_of(record("a", {"cart": entry(1)}))
    view.fold_plan(plan(replicas=1, max_unavailable=1))
    ledger = played(view, EMPTY).ledger
    view.fold(record("a", uid="another"), 2)
    (claim,) = played(view, ledger).ledger.claims.values()
    assert (claim.uid, claim.token, claim.op) == ("another", 7, "install")


def test_what_is_claimed_for_a_pod_takes_up_its_room_before_it_is_there() -> None:
    view = view_of(record("a", max_modules=1), record("b", max_modules=2))
    view.fold_plan(plan("cart", replicas=ALL, stable=None, stable_revisions=()))
    ledger = played(view, EMPTY).ledger
    assert set(ledger.claims) == {"a", "b"}
    view.fold_plan(plan("menu", replicas=ALL, stable=None, stable_revisions=()))
    assert view.obstacles("menu")[FULL] == 1
    assert view.counted("menu") == 1, "a peer cannot be on a pod that will be full"


def test_a_limit_of_no_modules_is_a_limit() -> None:
    view = view_of(record("a", max_modules=0))
    view.fold_plan(plan(replicas=1))
    choice = choose(view, EMPTY, NOW)
    assert choice.claims == ()
    assert choice.blocked["cart"].reason == "InsufficientCapacity"


@pytest.mark.parametrize("mode", ["roll", "abort"])
def test_what_is_down_already_uses_up_the_budget(mode: str) -> None:
    """One of three may be down, and one is: that one is brought back, and nothing else disturbed meanwhile."""
    view = view_of(
        record("a", {"cart": entry(3)}),
        record("b", {"cart": entry(3)}),
        record("c", {"cart": entry(3, "failed", tries=1)}),
    )
    view.fold_plan(plan(mode=mode, replicas=3, max_unavailable=1))
    result = played(view, EMPTY)
    assert [(claim.pod, claim.op, claim.costs) for claim in result.claims] == [("c", "install", False)]
    assert result.blocked["cart"].reason == "BudgetExhausted"


def test_a_batch_has_no_budget_of_its_own() -> None:
    view = view_of(*(record(pod, {"cart": entry(1)}) for pod in "abcd"))
    view.fold_plan(plan(replicas=4, max_unavailable=1, updated=1, batch=1))
    ledger = played(view, EMPTY).ledger
    view.fold_plan(plan(replicas=4, max_unavailable=1, updated=3, batch=2, revision=2))
    result = played(view, ledger)
    assert result.claims == ()
    assert result.blocked["cart"].reason == "BudgetExhausted"


def test_the_same_content_under_an_older_number_is_at_the_target() -> None:
    """Undone by hand: revision 3 has the content of revision 1, which some pods still run."""
    view = view_of(
        record("a", {"cart": entry(1)}),
        record("b", {"cart": entry(2)}),
        record("c", {"cart": entry(3, version="1.0.0")}),
    )
    told = plan(replicas=3, max_unavailable=3, target_revisions=(1, 3), stable_revisions=(2,))
    assert told.target is not None
    view.fold_plan(told.but(target=told.target.but(revision=3, version="1.0.0")))
    result = played(view, EMPTY)
    assert [(claim.pod, claim.op) for claim in result.claims] == [("b", "replace")]
    said = progress(view, view.plans["cart"], result.ledger, 1, None, NOW)
    assert (said.updated, said.updated_available) == (2, 2)


@pytest.mark.parametrize("sign", ["a record", "a plan"])
def test_a_ledger_begun_anew_beside_an_older_history_disturbs_nothing(sign: str) -> None:
    noted = operation(50) if sign == "a record" else None
    view = view_of(record("a", {"cart": entry(1)}, operation=noted), record("b", {"cart": entry(1)}))
    view.fold_plan(plan(replicas=2, max_unavailable=1, seen_ledger=9 if sign == "a plan" else 0))
    result = play(view, EMPTY.but(counter=0), 0, NOW, caught_up=True)
    assert isinstance(result, Round)
    assert result.ledger.frozen is not None
    assert {(claim.pod, claim.op, claim.revision) for claim in result.claims} == {
        ("a", "observe", 0),
        ("b", "observe", 0),
    }
    assert min(claim.token for claim in result.claims) > view.max_token
