"""Lost history and what a ledger remembers: signs, questions, answers, rest (design 2.2)."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from tests.scheduler_oracle import NOW, content, entry, operation, plan, record
from tests.unit.scheduler_desk import Pool
from tranche.contract.ledger import MAX_CLAIMS, Frozen
from tranche_scheduler.core.history import ON_ITS_WAY, sign_of_loss
from tranche_scheduler.core.ledger import Round, play, proven_over, rest

LOST = {"operation": operation(50)}
"""An operation of which the ledger knows nothing."""


def old(*pods: str, **facts: Any):
    return [record(pod, {"cart": entry(1)}, **facts) for pod in pods]


def frozen(*records: Any) -> tuple[Pool, Round]:
    """A pool in its first round after its history was lost."""
    pool = Pool(*records, record("lost", **LOST))
    pool.tell(plan(replicas=len(records), max_unavailable=1))
    result = pool.round()
    assert pool.ledger.frozen is not None
    return pool, result


# --- signs ---


@pytest.mark.parametrize(
    ("sign", "numbers"),
    [
        ("an operation above the counter", ["50", "5"]),
        ("a plan that saw a later ledger", ["101", "100"]),
        ("a stream that ends early", ["2", "99"]),
    ],
)
def test_the_reason_of_a_freeze_tells_what_was_found_and_what_is_known(sign: str, numbers: list[str]) -> None:
    pool, told = Pool(*old("a", "b")), plan(replicas=2)
    match sign:
        case "an operation above the counter":
            pool.put(record("b", **LOST))
        case "a plan that saw a later ledger":
            told = told.but(seen_ledger=101)
        case _:
            pool.ledger = pool.ledger.but(seen=99)
    pool.tell(told)
    pool.round(revision=100, caught_up=True)
    assert pool.ledger.frozen is not None
    assert re.findall(r"\d+", pool.ledger.frozen.reason) == numbers


def test_one_plan_of_many_that_saw_a_later_ledger_is_a_sign() -> None:
    pool = Pool(*old("a"))
    pool.tell(plan("cart", replicas=1))
    pool.tell(plan("menu", replicas=0, seen_ledger=101))
    pool.round(revision=100)
    assert pool.ledger.frozen is not None


@pytest.mark.parametrize("revision", [0, 100], ids=["a ledger not written yet", "a ledger in use"])
def test_a_pool_without_plans_shows_no_sign(revision: int) -> None:
    pool = Pool(record("a", operation=operation(5)), counter=5)
    assert sign_of_loss(pool.view, pool.ledger, revision, caught_up=True) == ""
    pool.round(revision=revision, caught_up=True)
    assert pool.ledger.frozen is None


# --- questions ---


def test_a_question_is_nobodys_disturbance_and_its_token_follows_all_that_were_seen() -> None:
    pool, result = frozen(*old("a", "b"))
    assert [(claim.pod, claim.token) for claim in result.claims] == [("a", 51), ("b", 52), ("lost", 53)]
    assert pool.ledger.counter == 53
    assert {
        (claim.op, claim.deployment, claim.module, claim.generation, claim.batch, claim.revision, claim.costs)
        for claim in result.claims
    } == {("observe", "", "", 0, 0, 0, False)}


def test_no_more_are_asked_than_claims_may_be_in_flight_and_those_that_can_answer_first() -> None:
    pool = Pool(*old("cart"))
    pool.tell(plan(replicas=1, max_unavailable=1))
    assert len(pool.round().claims) == 1
    for number in range(100):
        pool.put(record(f"a{number:04}", ready=False))
    ready = [f"p{number:04}" for number in range(MAX_CLAIMS + 100)]
    for pod in reversed(ready):
        pool.put(record(pod, **LOST))
    result = pool.round()
    assert len(pool.ledger.claims) == MAX_CLAIMS, "what was in flight before takes its place"
    assert [claim.pod for claim in result.claims] == ready[: MAX_CLAIMS - 1]


def test_a_round_that_asks_is_written_and_known_and_the_same_questions_are_not_asked_again() -> None:
    pool = Pool(*old("a"), record("lost", **LOST))
    pool.tell(plan(replicas=1))
    first = play(pool.view, pool.ledger, 100, NOW, caught_up=False)
    assert isinstance(first, Round)
    assert first.changed is True
    assert pool.view.claims == first.ledger.claims
    assert first.ledger.claims.keys() == {"a", "lost"}
    second = play(pool.view, first.ledger, 101, NOW, caught_up=False)
    assert isinstance(second, Round)
    assert (second.changed, second.claims) == (False, ())


def test_a_pod_made_anew_while_it_is_asked_is_asked_again() -> None:
    pool, _ = frozen(*old("a"))
    pool.end("lost")
    asked = pool.ledger.claims["a"]
    pool.put(record("a", uid="another", operation=operation(asked.token, "started")))
    result = pool.round()
    assert [(claim.pod, claim.op, claim.uid) for claim in result.claims] == [("a", "observe", "another")]
    assert pool.ledger.frozen is not None


def test_what_claims_in_flight_install_is_kept_through_a_freeze_and_no_longer() -> None:
    pool = Pool(*old("a"))
    pool.tell(plan(replicas=1, max_unavailable=1))
    pool.round()
    pool.put(record("lost", **LOST))
    pool.round()
    assert pool.ledger.frozen is not None
    assert pool.ledger.contents == {"cart": {2: content(2)}}
    pool.end("a", modules={"cart": entry(2)})
    pool.round()
    assert pool.ledger.frozen is not None
    assert pool.ledger.contents == {}


def test_a_pool_is_asked_for_as_long_as_something_may_be_on_its_way_to_a_pod_nobody_knows_of() -> None:
    """The record of a pod that is being taken down may be forgotten too: a peer would not miss it."""
    pool, _ = frozen(*old("a", "b", "c"))
    began = pool.now
    for pod in ("a", "b", "c", "lost"):
        pool.end(pod)
    pool.now = began + ON_ITS_WAY - timedelta(milliseconds=1)
    result = pool.round()
    assert (result.claims, result.next_at) == ((), began + ON_ITS_WAY)
    assert pool.ledger.frozen is not None

    pool.put(record("d"))  # it was forgotten, and is found again
    assert [(claim.pod, claim.op) for claim in pool.round().claims] == [("d", "observe")]
    pool.end("d")
    pool.now = began + ON_ITS_WAY
    assert [claim.op for claim in pool.round().claims] == ["replace"]
    assert pool.ledger.frozen is None


def test_a_clock_that_is_set_back_keeps_no_pool_frozen() -> None:
    pool, _ = frozen(*old("a"))
    for pod in ("a", "lost"):
        pool.end(pod)
    pool.now -= timedelta(days=1)
    pool.round()
    assert pool.ledger.frozen is None


# --- what a ledger remembers ---


def test_nothing_is_withdrawn_under_a_plan_older_than_noted() -> None:
    pool = Pool(*old("a"))
    pool.tell(plan(replicas=1, max_unavailable=1))
    (claim,) = pool.round().claims
    pool.ledger = pool.ledger.but(noted={"cart": 9})
    pool.tell(plan(replicas=1, max_unavailable=1, updated=0))
    pool.round()
    assert pool.ledger.claims == {"a": claim}


def test_of_a_pod_without_a_record_nothing_is_proven() -> None:
    pool = Pool(*old("a"))
    pool.tell(plan(replicas=1, max_unavailable=1))
    (claim,) = pool.round().claims
    assert proven_over(claim, None) is False


# --- when another round would change nothing ---


def settled() -> Pool:
    """Nothing is left to be done, and the newest token is the ledger's own."""
    pool = Pool(record("a", {"cart": entry(2)}, operation=operation(5)), counter=5)
    pool.tell(plan(replicas=1))
    assert not pool.round().claims
    return pool


def test_a_round_is_left_out_only_where_pool_ledger_and_reader_stand_as_before() -> None:
    pool = settled()
    here = rest(pool.view, pool.ledger, 7, True)
    assert here is not None
    assert rest(pool.view, pool.ledger, 7, True) == here
    assert rest(pool.view, pool.ledger, 8, True) != here
    assert rest(pool.view, pool.ledger, 7, False) != here
    pool.put(record("a", {"cart": entry(2, "inactive")}, operation=operation(5)))
    assert rest(pool.view, pool.ledger, 7, True) != here


@pytest.mark.parametrize("why", ["frozen", "a token above the counter", "a try to come"])
def test_no_round_is_left_out_where_more_than_a_change_counts(why: str) -> None:
    pool = settled()
    match why:
        case "frozen":
            pool.ledger = pool.ledger.but(frozen=Frozen(reason="a disk broke", since=NOW, above=5))
        case "a token above the counter":
            pool.ledger = pool.ledger.but(counter=4)
        case _:
            since = NOW - timedelta(seconds=1)
            pool.put(record("a", {"cart": entry(2, "failed", tries=1, passing=True, since=since)}))
    assert rest(pool.view, pool.ledger, 7, True) is None
