"""The rounds of a ledger: proof, withdrawal, freshness, lost history (design 2.2)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.scheduler_oracle import NOW, content, entry, operation, plan, record
from tests.unit.scheduler_desk import Pool, said
from tranche.contract.ledger import MAX_CLAIMS
from tranche.contract.plan import ALL
from tranche_scheduler.core.ledger import Round, Stale, play, proven_over
from tranche_scheduler.core.progress import progress
from tranche_scheduler.core.retry import given_up


def old(*names: str, **facts):
    return [record(name, {"cart": entry(1)}, **facts) for name in names]


def test_the_window_slides_within_one_write() -> None:
    pool = Pool(*old("a", "b", "c"))
    pool.tell(plan(replicas=3, max_unavailable=1))
    first = pool.round()
    assert [claim.pod for claim in first.claims] == ["a"]
    assert first.changed
    assert first.ledger.contents == {"cart": {2: content(2)}}
    assert not pool.round().changed
    pool.end("a", modules={"cart": entry(2)})
    second = pool.round()
    assert list(second.ledger.claims) == ["b"]
    assert second.ledger.counter == 7
    assert second.ledger.seen == pool.view.position


@pytest.mark.parametrize(
    ("facts", "proven"),
    [
        ({}, False),
        ({"operation": operation(6, "started")}, False),
        ({"operation": operation(6, "stuck")}, False),
        ({"operation": operation(5, "done")}, False),
        ({"operation": operation(6, "done")}, True),
        ({"operation": operation(6, "unchanged")}, True),
        ({"operation": operation(7, "started")}, True),
        ({"uid": "another"}, True),
        ({"gone": True}, True),
    ],
)
def test_a_claim_leaves_on_proof(facts: dict, proven: bool) -> None:
    pool = Pool(*old("a"))
    pool.tell(plan(replicas=1, max_unavailable=1))
    (claim,) = pool.round().claims
    assert claim.token == 6
    assert proven_over(claim, record("a", **facts)) is proven


def test_a_gone_pod_takes_its_claim_along() -> None:
    pool = Pool(*old("a", "b"))
    pool.tell(plan(replicas=2, max_unavailable=1))
    pool.round()
    pool.put(record("a", gone=True))
    pool.round()
    assert "a" not in pool.ledger.claims
    assert pool.view.record("a") is None, "nothing is remembered of a pod that is gone and not claimed"


def test_nobody_claims_with_a_view_older_than_the_ledger() -> None:
    pool = Pool(*old("a"))
    pool.tell(plan(replicas=1, max_unavailable=1))
    pool.ledger = pool.ledger.but(seen=99)
    assert play(pool.view, pool.ledger, 1, NOW, caught_up=False) == Stale(99)


def test_nobody_claims_under_a_plan_older_than_noted() -> None:
    pool = Pool(*old("a"))
    pool.tell(plan(replicas=1, max_unavailable=1))
    pool.ledger = pool.ledger.but(noted={"cart": 2})
    assert pool.round().claims == ()
    assert pool.ledger.noted == {"cart": 2}


def test_at_most_so_many_claims_and_nobody_starves() -> None:
    pool = Pool(*(record(f"p{number:04}") for number in range(1200)))
    pool.tell(plan("cart", replicas=ALL))
    pool.round()
    assert len(pool.ledger.claims) == MAX_CLAIMS
    pool.tell(plan("menu", replicas=1))
    assert pool.round().claims == ()
    pool.end("p0000", modules={"cart": entry(2)})
    (claim,) = pool.round().claims
    assert claim.deployment == "menu"


def withdrawn(pool: Pool) -> list[str]:
    return sorted(pod for pod, claim in pool.ledger.claims.items() if claim.withdrawn)


def test_a_tightened_promise_withdraws_what_is_queued() -> None:
    pool = Pool(*old("a", "b", "c", "d"))
    pool.tell(plan(replicas=4, max_unavailable=3))
    pool.round()
    pool.put(pool.view.record("a").but(operation=operation(6, "started")))
    pool.tell(plan(replicas=4, max_unavailable=1, generation=3))
    pool.round()
    assert withdrawn(pool) == ["b", "c"]
    assert not pool.round().changed


def test_a_superseded_level_withdraws_what_is_above_it() -> None:
    pool = Pool(*old("a", "b", "c", "d"))
    pool.tell(plan(replicas=4, max_unavailable=3))
    pool.round()
    pool.tell(plan(replicas=4, max_unavailable=3, updated=1, generation=3))
    pool.round()
    assert withdrawn(pool) == ["b", "c"]
    assert not pool.round().changed


def test_the_same_target_under_another_generation_keeps_its_claims() -> None:
    pool = Pool(*old("a", "b"))
    pool.tell(plan(replicas=2, max_unavailable=1))
    pool.round()
    pool.tell(plan(replicas=2, max_unavailable=1, generation=3))
    pool.round()
    assert withdrawn(pool) == []


def test_an_abort_withdraws_and_repairs_first() -> None:
    pool = Pool(*old("a", "b"), record("c", {"cart": entry(2, "failed", tries=1)}))
    pool.tell(plan(replicas=3, max_unavailable=2, failure_threshold=1))
    pool.round()
    assert list(pool.ledger.claims) == ["a"]
    pool.tell(
        plan(
            mode="abort",
            target=content(1),
            target_revisions=(1,),
            replicas=3,
            max_unavailable=2,
        )
    )
    result = pool.round()
    assert withdrawn(pool) == ["a"]
    assert [(claim.pod, claim.op, claim.revision) for claim in result.claims] == [("c", "install", 1)]


def test_removals_that_are_not_wanted_any_more_are_withdrawn_and_nothing_is_installed_for_them() -> None:
    pool = Pool(*(record(pod, {"cart": entry(2)}) for pod in "abc"), record("d"))
    pool.tell(plan(replicas=2, wanted=2))
    pool.round()
    assert [claim.op for claim in pool.ledger.claims.values()] == ["remove"]
    pool.tell(plan(replicas=3, generation=3))
    result = pool.round()
    assert len(withdrawn(pool)) == 1
    assert result.claims == ()


@pytest.mark.parametrize("sign", ["token", "plan", "stream"])
def test_signs_of_lost_history_freeze_the_pool(sign: str) -> None:
    pool = Pool(*old("a", "b"))
    revision, told = 100, plan(replicas=2, max_unavailable=1)
    match sign:
        case "token":
            pool.put(record("b", {"cart": entry(1)}, operation=operation(50)))
        case "plan":
            told = told.but(seen_ledger=101)
        case "stream":
            pool.ledger = pool.ledger.but(seen=99)
    pool.tell(told)
    result = pool.round(revision=revision, caught_up=True)
    assert pool.ledger.frozen is not None
    assert {(claim.pod, claim.op, claim.revision) for claim in result.claims} == {
        ("a", "observe", 0),
        ("b", "observe", 0),
    }
    assert min(claim.token for claim in result.claims) > pool.ledger.frozen.above >= pool.view.max_token
    pool.end("a")
    pool.round(revision=revision, caught_up=True)
    assert pool.ledger.frozen is not None
    pool.end("b")
    pool.calm()
    result = pool.round(revision=revision, caught_up=True)
    assert pool.ledger.frozen is None
    assert [claim.op for claim in result.claims] == ["replace"], "it goes on in the very same round"


def test_a_claimed_pod_without_a_record_is_a_sign_of_lost_history() -> None:
    """A peer counts the pods it knows: one that is down and forgotten would be missed by nobody."""
    before = Pool(*old("a", "b", "c"))
    before.tell(plan(replicas=ALL, max_unavailable=1))
    (down,) = before.round().claims
    assert down.pod == "a"

    pool = Pool(*old("b", "c"))
    pool.ledger = before.ledger.but(seen=0)
    pool.view.fold_claims(pool.ledger.claims)
    pool.tell(plan(replicas=ALL, max_unavailable=1))
    assert isinstance(play(pool.view, pool.ledger, 100, NOW, caught_up=False), Round), "it may be on its way"
    pool.view.fold_claims(pool.ledger.claims)
    assert {(claim.pod, claim.op) for claim in pool.round(caught_up=True).claims} == {
        ("b", "observe"),
        ("c", "observe"),
    }
    assert pool.ledger.frozen is not None
    assert pool.ledger.frozen.reason == "a is claimed, and nothing is known of it"
    for pod in "bc":
        pool.end(pod)
    pool.calm()
    assert pool.round(caught_up=True).claims == ()
    assert pool.ledger.frozen is not None, "the others have answered, this one has not"

    pool.put(record("a", {"cart": entry(1)}))  # whoever got its task
    pool.round(caught_up=True)
    assert pool.ledger.claims["a"].token == down.token
    pool.end("a", modules={"cart": entry(2)})
    pool.round(caught_up=True)
    assert pool.ledger.frozen is None


def test_claims_in_flight_keep_the_content_they_were_made_with() -> None:
    """A document that was forgotten and applied anew counts its revisions from one again."""
    pool = Pool(record("a"), record("b"))
    first = plan(replicas=1, target=content(1), target_revisions=(1,), stable=None, stable_revisions=())
    pool.tell(first)
    (under_way,) = pool.round().claims
    other = content(1).but(version="9.9.9")
    pool.tell(first.but(replicas=2, wanted=2, max_unavailable=2, target=other))
    assert pool.round().claims == ()
    assert pool.ledger.contents == {"cart": {1: content(1)}}

    pool.end(under_way.pod, modules={"cart": entry(1)})
    result = pool.round()
    assert [(claim.op, claim.pod) for claim in result.claims] == [("install", "b"), ("replace", "a")]
    assert pool.ledger.contents == {"cart": {1: other}}


def test_pods_that_do_not_answer_stay_claimed_alone() -> None:
    pool = Pool(*old("a"), *old("b", ready=False), record("c", operation=operation(9)))
    pool.tell(plan(replicas=2, max_unavailable=2))
    pool.round()
    for pod in "ac":
        pool.end(pod)
    pool.calm()
    pool.round()
    assert pool.ledger.frozen is None
    assert pool.ledger.claims["b"].op == "observe"
    assert pool.ledger.claims["a"].op == "replace"


@pytest.mark.parametrize(
    ("tries", "passing", "facts", "over"),
    [
        (1, True, {}, False),
        (2, True, {}, False),
        (3, True, {}, True),
        (1, False, {}, True),
        (9, False, {"complete": True}, False),
        (9, False, {"mode": "abort"}, False),
    ],
)
def test_when_a_failure_is_given_up(tries: int, passing: bool, facts: dict, over: bool) -> None:
    assert given_up(entry(2, "failed", tries=tries, passing=passing), plan(**facts)) is over


def test_a_retry_is_claimed_when_it_is_due() -> None:
    since = NOW - timedelta(seconds=3)
    pool = Pool(record("a", {"cart": entry(2, "failed", tries=1, passing=True, since=since)}))
    pool.tell(plan(replicas=1, max_unavailable=1))
    result = pool.round()
    assert result.claims == ()
    assert result.next_at == since + timedelta(seconds=5)
    pool.now = since + timedelta(seconds=5)
    (claim,) = pool.round().claims
    assert (claim.op, claim.costs) == ("install", False)


def test_a_removal_that_failed_waits_before_it_is_tried_again() -> None:
    failed = entry(2, "failed", reason="UninstallFailed", tries=1, since=NOW)
    pool = Pool(record("a", {"cart": failed}))
    pool.tell(plan(mode="remove", target=None, target_revisions=(), replicas=0, wanted=1))
    assert pool.round().claims == ()
    pool.now = NOW + timedelta(seconds=5)
    assert [claim.op for claim in pool.round().claims] == ["remove"]


def test_progress_counts_what_is_there_and_what_is_meant() -> None:
    pool = Pool(
        record("a", {"cart": entry(2)}),
        record("b", {"cart": entry(1)}),
        record("c", {"cart": entry(1)}, ready=False),
        record("d", {"cart": entry(2, "failed", tries=1, message="no such class")}),
        record("e"),
    )
    pool.tell(plan(replicas=5, max_unavailable=4, failure_threshold=1))
    result = pool.round()
    said = progress(pool.view, pool.view.plans["cart"], pool.ledger, 7, result.blocked.get("cart"), pool.now)
    assert (said.present, said.outcome, said.updated, said.outcome_updated) == (4, 5, 1, 3)
    assert (said.available, said.updated_available, said.failed, said.retrying) == (1, 1, 1, 0)
    assert (said.down, said.moving, said.ledger_revision, said.blocked) == (1, 2, 7, "")
    assert said.unavailable_pods == ("b", "c", "d")
    assert [sample.pod for sample in said.samples] == ["b", "e", "c", "d"]
    assert [(problem.reason, problem.message) for problem in said.problems] == [
        ("InstallFailed", "no such class"),
        ("PodUnreachable", "1 pod is not ready"),
    ]


def test_a_replica_that_comes_back_under_a_wish_for_none_is_taken_away() -> None:
    pool = Pool()
    pool.tell(plan(replicas=0, complete=True))
    assert pool.round().claims == ()
    pool.put(
        record("a", {"cart": entry(0, version="2.0.0")})
    )  # forgotten with its record, found again by asking
    assert [claim.op for claim in pool.round().claims] == ["remove"]


def test_whose_pods_are_at_work_for_others_says_for_whom() -> None:
    pool = Pool(*(record(name, {"cart": entry(1), "greeter": entry(1)}) for name in "ab"))
    pool.tell(plan("greeter", replicas=2, max_unavailable=2))
    assert {claim.deployment for claim in pool.round().claims} == {"greeter"}
    pool.tell(plan(replicas=2, max_unavailable=1))
    waiting = said(pool, "cart", pool.round())
    assert [(one.reason, one.message, one.pods) for one in waiting.problems] == [
        ("PodBusy", "2 pods are at work for others: a for greeter", ("a", "b"))
    ]

    pool.end("a")  # one of them is free: cart goes on, and is not told to wait
    result = pool.round()
    assert [(claim.deployment, claim.pod) for claim in result.claims] == [("cart", "a")]
    assert said(pool, "cart", result).problems == ()


@pytest.mark.parametrize("names", ["a", "abc"])
def test_busy_pods_are_counted(names: str) -> None:
    pool = Pool(*(record(name, {"cart": entry(1), "greeter": entry(1)}) for name in names))
    pool.tell(plan("greeter", replicas=len(names), max_unavailable="100%"))
    pool.round()
    pool.tell(plan(replicas=len(names), max_unavailable=1))
    (problem,) = said(pool, "cart", pool.round()).problems
    assert (problem.count, problem.pods) == (len(names), tuple(names))
    assert problem.message.startswith("1 pod is at work" if len(names) == 1 else "3 pods are at work")


@pytest.mark.parametrize(
    "facts",
    [
        {"held": True},
        {"updated": 0},
        {"target": None, "updated": 0},
        {"mode": "open", "replicas": -1, "updated": ALL},
        {"mode": "open", "replicas": 0, "wanted": 1},
    ],
)
def test_who_wants_nothing_of_busy_pods_does_not_wait_for_them(facts) -> None:
    pool = Pool(record("a", {"cart": entry(1), "greeter": entry(1)}))
    pool.tell(plan("greeter", replicas=1, max_unavailable=1))
    pool.round()
    pool.tell(plan(**({"replicas": 1, "max_unavailable": 1} | facts)))
    assert said(pool, "cart", pool.round()).problems == ()


@pytest.mark.parametrize(
    "facts", [{"mode": "remove", "target": None, "target_revisions": (), "replicas": 0}, {"replicas": 0}]
)
def test_who_wants_to_leave_busy_pods_waits_for_them(facts) -> None:
    pool = Pool(record("a", {"cart": entry(1), "greeter": entry(1)}))
    pool.tell(plan("greeter", replicas=1, max_unavailable=1))
    pool.round()
    pool.tell(plan(max_unavailable=1, wanted=1, **facts))
    assert [one.reason for one in said(pool, "cart", pool.round()).problems] == ["PodBusy"]
