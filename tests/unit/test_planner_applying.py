"""Applying a manifest: what is answered and told, and what only a change of it means (design 1.1, 1.3)."""

from __future__ import annotations

import pytest

from tests.unit.planner_desk import BEGAN, Case, wish
from tranche.contract.answer import AcceptedAnswer, RefusedAnswer
from tranche_planner.core.document import Mark
from tranche_planner.core.rollout import observe
from tranche_planner.core.verbs import decide, reject
from tranche_planner.core.wishes import Abort, Confirm, Delete, Pause, Promote, Replace, Resume, Wish

WAITS = {"replicas": 10, "batchCount": 3, "needConfirm": True}


@pytest.fixture
def healthy() -> Case:
    case = Case()
    case.apply("1.0.0", replicas=10)
    case.finish()
    return case


@pytest.fixture
def rolling(healthy: Case) -> Case:
    """Its first batch is under way."""
    healthy.apply("2.0.0", **WAITS)
    healthy.tell()
    return healthy


@pytest.fixture
def waiting(rolling: Case) -> Case:
    """Its first batch waits for a person."""
    rolling.carry_out()
    assert rolling.gates == ["confirm"]
    return rolling


def deleted(case: Case) -> Case:
    case.do(Delete())
    case.carry_out()
    assert case.status.phase == "Deleted"
    return case


def told(case: Case) -> tuple[str, str]:
    return case.status.event.reason, case.status.event.message


def accepted(case: Case, version: str = "2.0.0", **changes: object) -> AcceptedAnswer:
    answer = case.apply(version, **changes)
    assert isinstance(answer, AcceptedAnswer), answer
    return answer


@pytest.mark.parametrize(
    ("version", "changes", "event"),
    [
        ("2.0.0", {"replicas": 10}, ("Accepted", "generation 2 is accepted: 10 replicas of cart 2.0.0")),
        ("2.0.0", {"replicas": 1}, ("Accepted", "generation 2 is accepted: 1 replica of cart 2.0.0")),
        (
            "1.0.0",
            {"replicas": 10, "grayTime": 5},
            ("Accepted", "generation 2 is accepted: 10 replicas of cart 1.0.0"),
        ),
        (
            "2.0.0",
            {"replicas": -1},
            ("Accepted", "generation 2 is accepted: a replica on every pod of cart 2.0.0"),
        ),
        ("1.0.0", {"replicas": 14}, ("Scaled", "generation 2: from 10 replicas to 14 replicas")),
        ("1.0.0", {"replicas": 1}, ("Scaled", "generation 2: from 10 replicas to 1 replica")),
        ("1.0.0", {"replicas": -1}, ("Scaled", "generation 2: from 10 replicas to a replica on every pod")),
    ],
)
def test_another_wish_is_answered_and_told(
    healthy: Case, version: str, changes: dict[str, object], event: tuple[str, str]
) -> None:
    answer = accepted(healthy, version, **changes)
    assert (answer.generation, answer.message) == (2, "generation 2 is accepted")
    assert told(healthy) == event


def test_the_same_wish_again_is_unchanged(healthy: Case) -> None:
    before = told(healthy)
    answer = accepted(healthy, "1.0.0", replicas=10)
    assert (answer.generation, answer.message) == (1, "unchanged: the same wish as before")
    assert told(healthy) == before


def test_a_first_wish_is_answered_and_told() -> None:
    case = Case()
    answer = accepted(case, "1.0.0", replicas=3)
    assert (answer.generation, answer.message) == (1, "generation 1 is accepted")
    assert told(case) == ("Accepted", "generation 1 is accepted: 3 replicas of cart 1.0.0")
    assert case.status.document_revision == 1


def test_a_first_wish_is_warned_of_what_does_not_work_here() -> None:
    warnings = accepted(Case(), "1.0.0", module={"md5": "0" * 32}).warnings
    assert [warning.partition(":")[0] for warning in warnings] == ["module.md5 is accepted but not checked"]


def test_only_a_new_life_has_to_own_the_module_first(healthy: Case) -> None:
    mark = Mark(sequence=100, time=BEGAN)
    assert decide(None, wish(), mark, BEGAN).takes_pool
    assert not decide(healthy.it, wish("2.0.0"), mark, BEGAN).takes_pool
    assert decide(deleted(healthy).it, wish(), mark, BEGAN).takes_pool


def test_while_it_is_deleted_nothing_is_applied(healthy: Case) -> None:
    healthy.do(Delete())
    healthy.tell(moving=1)
    answer = healthy.apply("2.0.0", replicas=10)
    assert isinstance(answer, RefusedAnswer)
    assert answer.errors[0].field == ""
    assert answer.errors[0].message == (
        "shop/cart is being deleted; apply it again when its phase is Deleted"
    )


def test_a_new_life_goes_on_counting(healthy: Case) -> None:
    deleted(healthy)
    before, plan = healthy.status.document_revision, healthy.plan.revision
    answer = accepted(healthy, "3.0.0", replicas=2)
    assert (answer.generation, answer.message) == (2, "generation 2 is accepted")
    assert told(healthy) == ("Accepted", "generation 2 is accepted: 2 replicas of cart 3.0.0")
    assert healthy.status.document_revision == before + 1
    assert healthy.plan.revision == plan + 1


@pytest.mark.parametrize(
    ("newer", "older"),
    [
        (Pause(), Resume()),
        (Confirm(), Confirm()),
        (Promote(), Promote()),
        (Delete(), Abort()),
    ],
)
def test_what_was_said_in_an_earlier_life_comes_too_late(healthy: Case, newer: Wish, older: Wish) -> None:
    healthy.apply("2.0.0", **WAITS)
    healthy.tell()
    healthy.carry_out()
    assert isinstance(healthy.do(newer), AcceptedAnswer)
    late = healthy.sequence - 1
    deleted(healthy)
    healthy.apply("3.0.0", replicas=2)
    answer = healthy.do(older, sequence=late)
    assert isinstance(answer, RefusedAnswer)
    assert "superseded" in answer.errors[0].message


def test_a_replacement_of_an_earlier_life_that_comes_again_is_no_problem(healthy: Case) -> None:
    healthy.do(Replace(pod="web-base-1"))
    said = healthy.sequence
    deleted(healthy)
    healthy.apply("3.0.0", replicas=2)
    assert isinstance(healthy.do(Replace(pod="web-base-1"), sequence=said), AcceptedAnswer)
    assert healthy.plan.evict == ()


def test_counts_of_an_earlier_life_are_not_read_again(healthy: Case) -> None:
    healthy.do(Delete())
    old = healthy.counts(plan_revision=1)
    healthy.carry_out()
    healthy.apply("3.0.0", replicas=2)
    mark = Mark(sequence=old.ledger_revision, time=healthy.now)
    assert observe(healthy.it, old, mark, healthy.now) == healthy.it


def test_a_first_wish_may_be_paused_from_the_start() -> None:
    case = Case()
    accepted(case, "1.0.0", replicas=3, pause=True)
    assert told(case) == ("Paused", "paused by the manifest: spec.pause is true")
    case.tell()
    status = case.status
    assert (status.phase, status.reason) == ("Paused", "Paused")
    assert status.message == "paused by the manifest: spec.pause is true; nothing new is disturbed"
    assert [gate.since for gate in status.gates] == [BEGAN]
    assert case.it.paused is not None
    assert case.it.paused.by_manifest
    accepted(case, "1.0.0", replicas=3, pause=False)
    case.finish()
    assert case.status.phase == "Healthy"


def test_a_pause_by_the_manifest_says_so(rolling: Case) -> None:
    rolling.apply("2.0.0", **WAITS, pause=True)
    assert told(rolling) == ("Paused", "paused by the manifest: spec.pause is true")
    rolling.apply("2.0.0", **WAITS, pause=False)
    assert told(rolling) == ("Resumed", "resumed by the manifest")


def test_pause_true_applied_again_by_a_robot_pauses_nothing(rolling: Case) -> None:
    rolling.apply("2.0.0", **WAITS, pause=True)
    rolling.do(Resume(by="bob"))
    rolling.apply("2.0.0", **WAITS, pause=True, maxUnavailable=4)
    assert not rolling.plan.held
    assert "pause" not in rolling.gates


def test_pause_false_takes_back_its_own_pause_and_confirms_nothing(rolling: Case) -> None:
    rolling.apply("2.0.0", **WAITS, pause=True)
    rolling.revisions = {1: 7, 2: 3}
    rolling.tell()
    assert rolling.gates == ["confirm", "pause"]
    rolling.apply("2.0.0", **WAITS, pause=False)
    rolling.tell()
    assert (rolling.gates, rolling.plan.batch) == (["confirm"], 1)


def test_pause_false_confirms_the_batch_that_waits_but_leaves_the_pause_of_a_person(waiting: Case) -> None:
    waiting.do(Pause(by="bob"))
    waiting.apply("2.0.0", **WAITS, pause=True)
    waiting.apply("2.0.0", **WAITS, pause=False)
    waiting.tell()
    assert waiting.gates == ["pause"]
    assert waiting.status.batches[0].confirmed_by == "the manifest"


def test_pause_false_ends_the_pause_of_a_person_where_no_batch_waits(rolling: Case) -> None:
    rolling.do(Pause(by="bob"))
    rolling.apply("2.0.0", **WAITS, pause=False)
    assert rolling.gates == ["verified"]
    assert not rolling.plan.held


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        ({"pause": False}, "spec.pause went to false"),
        ({"confirmBatchNum": 1}, "spec.confirmBatchNum went to 1"),
    ],
)
def test_a_confirm_by_the_manifest_says_so(waiting: Case, field: dict[str, object], reason: str) -> None:
    waiting.apply("2.0.0", **WAITS, pause=True)
    waiting.later(5)
    answer = accepted(waiting, **WAITS, **field)
    assert answer.warnings == ()
    first = waiting.status.batches[0]
    assert (first.confirmed_by, first.confirm_reason) == ("the manifest", reason)
    assert first.confirmed_at == waiting.now
    assert waiting.plan.batch == 2


@pytest.mark.parametrize("number", [1, 2, 7])
def test_a_confirm_of_a_batch_that_does_not_wait_is_warned_of(rolling: Case, number: int) -> None:
    answer = accepted(rolling, **WAITS, confirmBatchNum=number)
    assert answer.warnings == (
        f"spec.confirmBatchNum {number} confirms nothing: that batch does not wait now",
    )
    assert rolling.status.batches[0].confirmed_at is None
    rolling.carry_out()
    assert rolling.gates == ["confirm"], "it was said too early"


def test_a_confirm_is_warned_of_after_an_abort(waiting: Case) -> None:
    waiting.do(Confirm(batch=1))
    waiting.do(Abort())
    answer = accepted(waiting, **WAITS, confirmBatchNum=1)
    assert [warning.partition(":")[0] for warning in answer.warnings] == [
        "spec.confirmBatchNum 1 confirms nothing"
    ]


def test_the_same_confirm_batch_num_again_confirms_nothing(waiting: Case) -> None:
    waiting.apply("2.0.0", **WAITS, confirmBatchNum=2)
    waiting.do(Confirm(batch=1))
    waiting.carry_out()
    assert (waiting.gates, waiting.plan.batch) == (["confirm"], 2)
    answer = accepted(waiting, **WAITS, confirmBatchNum=2, maxUnavailable=4)
    waiting.tell()
    assert (waiting.gates, answer.warnings) == (["confirm"], ())


def test_what_a_person_confirmed_before_is_not_warned_of(waiting: Case) -> None:
    waiting.do(Confirm(batch=1, by="bob"))
    answer = accepted(waiting, **WAITS, confirmBatchNum=1)
    assert answer.warnings == ()
    assert waiting.status.batches[0].confirmed_by == "bob"


def test_a_last_batch_that_was_confirmed_before_is_not_warned_of(rolling: Case) -> None:
    """Scaled in behind it, what was the first batch is the last one."""
    rolling.apply("2.0.0", **WAITS, grayTime=60)
    rolling.carry_out()
    rolling.do(Confirm(batch=1))
    assert rolling.gates == ["grayTime"]
    few = {**WAITS, "replicas": 3}
    answer = accepted(rolling, **few, grayTime=60, confirmBatchNum=1)
    assert rolling.status.batch.count == 1
    assert answer.warnings == ()


def test_a_refusal_is_shown_no_more_once_a_manifest_is_accepted(healthy: Case) -> None:
    refusal = healthy.apply("1.0.0", base="edge-base")
    assert isinstance(refusal, RefusedAnswer)
    mark = Mark(sequence=healthy.sequence, time=healthy.now)
    healthy.document = reject(healthy.it, "apply", refusal, mark, healthy.now)
    assert [problem.reason for problem in healthy.status.problems] == ["Invalid"]
    healthy.apply("1.0.0", replicas=10)
    assert healthy.status.problems == ()
