"""Every verb in every state: the table of design 1.3, and what ``pause`` and ``confirmBatchNum`` mean."""

from __future__ import annotations

import pytest

from tests.unit.planner_desk import Case, wish
from tranche.contract.answer import AcceptedAnswer, RefusedAnswer, refused
from tranche_planner.core.document import Mark
from tranche_planner.core.status import status
from tranche_planner.core.verbs import reject
from tranche_planner.core.wishes import (
    Abort,
    Confirm,
    Delete,
    Pause,
    Promote,
    Replace,
    Restart,
    Resume,
    Retry,
    Scale,
    Undo,
    Wish,
    read_wish,
)

WAITS = {"replicas": 10, "batchCount": 3, "needConfirm": True}


def healthy() -> Case:
    case = Case()
    case.apply("1.0.0", replicas=10)
    case.finish()
    return case


def renewed() -> Case:
    """Healthy, with an older revision to go back to."""
    case = Case()
    case.apply("0.9.0", replicas=10)
    case.finish()
    case.apply("1.0.0", replicas=10)
    case.finish()
    return case


def rolling() -> Case:
    case = healthy()
    case.apply("2.0.0", **WAITS)
    case.tell()
    return case


def waiting() -> Case:
    case = rolling()
    case.carry_out()
    assert case.gates == ["confirm"]
    return case


def paused() -> Case:
    case = rolling()
    case.do(Pause())
    case.tell()
    return case


def degraded() -> Case:
    case = rolling()
    case.tell(failed=1, available=9)
    return case


def aborting() -> Case:
    case = rolling()
    case.do(Abort())
    case.tell(moving=1)
    return case


def aborted() -> Case:
    case = aborting()
    case.carry_out()
    return case


def deleting() -> Case:
    case = healthy()
    case.do(Delete())
    case.tell(moving=1)
    return case


def deleted() -> Case:
    case = deleting()
    case.carry_out()
    return case


def pending() -> Case:
    case = healthy()
    case.apply("2.0.0", **WAITS)
    return case


def blocked() -> Case:
    case = rolling()
    case.tell(blocked="BudgetExhausted")
    return case


STATES = {
    state.__name__: state
    for state in (
        pending,
        rolling,
        waiting,
        blocked,
        paused,
        degraded,
        aborting,
        aborted,
        healthy,
        deleting,
        deleted,
    )
}
STATES["healthy"] = renewed
PHASES = {
    "pending": "Pending",
    "rolling": "Progressing",
    "waiting": "Waiting",
    "blocked": "Blocked",
    "paused": "Paused",
    "degraded": "Degraded",
    "aborting": "Aborting",
    "aborted": "Aborted",
    "healthy": "Healthy",
    "deleting": "Deleting",
    "deleted": "Deleted",
}
VERBS: dict[str, Wish] = {
    "confirm": Confirm(),
    "pause": Pause(),
    "resume": Resume(),
    "promote": Promote(),
    "promote full": Promote(full=True),
    "abort": Abort(),
    "retry": Retry(),
    "restart": Restart(),
    "undo": Undo(),
    "scale": Scale(replicas=12),
    "replace": Replace(pod="web-base-1"),
    "apply": wish("9.0.0", replicas=2),
    "delete": Delete(),
    "delete abandon": Delete(abandon=True),
}
MARKS = {
    name: Mark()
    for name in ("last_wish", "last_hold", "last_confirm", "last_promote", "last_replace", "last_progress")
}
QUIET = {("promote full", state) for state in ("pending", "rolling", "blocked")} | {
    ("delete abandon", "deleting")
}
"""Nothing changes for the scheduler yet."""
A, S, R = "acts", "so already", "refused"
TABLE = {
    #          pending rolling waiting blocked paused degraded aborting aborted healthy deleting deleted
    "confirm": (R, R, A, R, R, R, R, R, R, R, R),
    "pause": (A, A, A, A, S, A, A, A, A, A, R),
    "resume": (S, S, S, S, A, S, S, S, S, S, R),
    "promote": (S, S, A, S, S, R, R, R, S, R, R),
    "promote full": (A, A, A, A, A, R, R, R, S, R, R),
    "abort": (A, A, A, A, A, A, S, S, R, R, R),
    "retry": (S, S, S, S, S, A, R, A, S, S, R),
    "restart": (A, A, A, A, A, A, A, A, A, R, R),
    "undo": (A, A, A, A, A, A, R, A, A, R, R),
    "scale": (A, A, A, A, A, A, A, A, A, R, R),
    "replace": (A, A, A, A, A, A, R, A, A, R, R),
    "apply": (A, A, A, A, A, A, A, A, A, R, A),
    "delete": (A, A, A, A, A, A, A, A, A, S, S),
    "delete abandon": (A, A, A, A, A, A, A, A, A, A, S),
}


@pytest.mark.parametrize(("state", "phase"), PHASES.items())
def test_the_states_are_what_they_are_called(state: str, phase: str) -> None:
    assert STATES[state]().status.phase == phase


@pytest.mark.parametrize(
    ("verb", "state", "expected"),
    [(verb, state, row[i]) for verb, row in TABLE.items() for i, state in enumerate(STATES)],
)
def test_verb_in_state(verb: str, state: str, expected: str) -> None:
    case = STATES[state]()
    before = case.it
    answer = case.do(VERBS[verb])
    assert isinstance(answer, RefusedAnswer) == (expected == R), answer
    changed = case.it.but(revision=0, **MARKS) != before.but(revision=0, **MARKS)
    assert changed == (expected == A)
    assert case.it.plan is not None
    told = case.it.plan.revision > before.plan.revision if before.plan else False
    assert told == (expected == A and (verb, state) not in QUIET), "the scheduler hears of it"


def test_a_repeated_confirm_is_so_already() -> None:
    case = waiting()
    assert isinstance(case.do(Confirm(generation=2, batch=1, by="bob", reason="ok")), AcceptedAnswer)
    assert case.plan.batch == 2
    first = case.status.batches[0]
    assert (first.confirmed_by, first.confirm_reason, first.state) == ("bob", "ok", "Verified")
    again = case.do(Confirm(batch=1, by="eve"))
    assert isinstance(again, AcceptedAnswer)
    assert "already" in again.message
    assert case.status.batches[0].confirmed_by == "bob"


def test_a_redelivered_confirm_without_a_batch_does_not_confirm_the_next_one() -> None:
    case = waiting()
    case.do(Confirm())
    sequence = case.sequence
    case.carry_out()
    assert case.gates == ["confirm"]
    assert isinstance(case.do(Confirm(), sequence=sequence), AcceptedAnswer)
    assert case.plan.batch == 2


def test_a_confirm_names_its_rollout() -> None:
    case = waiting()
    for generation in (1, 3, 99):
        answer = case.do(Confirm(generation=generation, batch=1))
        assert isinstance(answer, RefusedAnswer)
        assert "batch 1 of generation 2 waits" in answer.errors[0].message
    case.apply("2.0.0", **WAITS, maxUnavailable=3)
    assert case.it.generation == 3
    assert isinstance(case.do(Confirm(generation=2, batch=1)), AcceptedAnswer), "the same rollout"


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        (Confirm(generation=9), "generation"),
        (Confirm(batch=2), "batch"),
        (Undo(revision=9), "revision"),
        (wish("2.0.0", **WAITS, base="edge-base"), "spec.baseDeploymentName"),
    ],
)
def test_a_refusal_names_the_field(wanted: Wish, field: str) -> None:
    answer = waiting().do(wanted)
    assert isinstance(answer, RefusedAnswer)
    assert [error.field for error in answer.errors] == [field]


def test_a_confirm_of_a_verified_batch_survives_a_change_of_gates() -> None:
    case = waiting()
    case.apply("2.0.0", **WAITS, grayTime=60)
    case.do(Confirm(batch=1))
    case.tell()
    assert case.gates == ["grayTime"]
    case.later(61)
    assert case.plan.batch == 2


def test_an_older_event_is_superseded() -> None:
    case = healthy()
    case.do(Pause(), sequence=100)
    answer = case.do(Resume(), sequence=99)
    assert isinstance(answer, RefusedAnswer)
    assert "superseded" in answer.errors[0].message
    assert case.it.paused is not None


def test_a_refusal_is_shown_until_something_newer_is_accepted() -> None:
    case = healthy()
    shown = reject(case.it, "apply", refused("no"), Mark(sequence=100, time=case.now), case.now)
    assert [problem.reason for problem in status(shown, case.now).problems] == ["Invalid"]


def test_an_event_that_comes_again_after_a_newer_one_is_no_problem() -> None:
    case = healthy()
    case.do(wish("2.0.0", replicas=10), sequence=100)
    again = Mark(sequence=99, time=case.now)
    answer = case.do(wish("1.0.0", replicas=10), sequence=99)
    assert isinstance(answer, RefusedAnswer)
    assert reject(case.it, "apply", answer, again, case.now) == case.it


def test_a_stream_made_anew_starts_a_new_order() -> None:
    case = healthy()
    case.do(Pause(), sequence=100)
    case.later(1)
    assert isinstance(case.do(Resume(), sequence=1), AcceptedAnswer)
    assert case.it.paused is None


def test_the_base_and_the_module_cannot_be_changed() -> None:
    answer = healthy().apply("1.0.0", replicas=10, base="edge-base")
    assert isinstance(answer, RefusedAnswer)
    assert answer.errors[0].field == "spec.baseDeploymentName"


def test_pause_false_confirms_the_batch_that_waits() -> None:
    case = waiting()
    case.apply("2.0.0", **WAITS, pause=True)
    assert case.it.paused is None, "while a batch waits the field reads true already"
    answer = case.apply("2.0.0", **WAITS, pause=False)
    assert isinstance(answer, AcceptedAnswer)
    assert (answer.generation, case.plan.batch) == (2, 2)
    case.carry_out()
    case.apply("2.0.0", **WAITS, pause=False)
    assert case.plan.batch == 2, "applied again by a robot it confirms nothing"


def test_pause_true_while_nothing_waits_is_a_pause_by_a_person() -> None:
    case = rolling()
    case.apply("2.0.0", **WAITS, pause=True)
    assert case.plan.held
    case.carry_out()
    case.apply("2.0.0", **WAITS, pause=False)
    assert not case.plan.held
    assert case.plan.batch == 1


def test_a_change_of_confirm_batch_num_confirms() -> None:
    case = waiting()
    early = case.apply("2.0.0", **WAITS, confirmBatchNum=2)
    assert isinstance(early, AcceptedAnswer)
    assert any("confirms nothing" in warning for warning in early.warnings)
    case.apply("2.0.0", **WAITS, confirmBatchNum=1)
    assert case.plan.batch == 2
    case.carry_out()
    case.apply("2.0.0", **WAITS, confirmBatchNum=1)
    assert case.plan.batch == 2


@pytest.mark.parametrize(
    ("verb", "body", "words"),
    [
        ("confirm", b'{"batch": "one"}', 'got "one"; expected a whole number'),
        ("confirm", b'{"batch": true}', "got true; expected a whole number"),
        ("confirm", b'{"batch": 0}', "got 0"),
        ("confirm", b'{"bach": 1}', "did you mean batch?"),
        ("pause", b'{"by": {"name": []}}', "expected text"),
        ("resume", b"true", "expected a JSON object"),
        ("abort", b'{"unknown": 1}', "known here: by, reason"),
        ("delete", b'{"abandon": "yes"}', "expected true or false"),
        ("replace", b"{}", "got nothing; expected text"),
        ("replace", b'{"pod": "a b"}', "expected a pod's name"),
        ("scale", b"{}", "got nothing; expected a whole number from 0"),
        ("scale", b'{"replicas": -1}', "got -1; expected a whole number from 0 to 1000000"),
        ("scale", b'{"replicas": "3"}', "expected a whole number"),
        ("undo", b'{"revision": 0}', "got 0; expected a whole number from 1"),
        ("undo", b'{"fast": 1}', "expected true or false"),
        ("freeze", b"{}", "through the request API alone"),
        ("history", b"{}", "through the request API alone"),
        ("explode", b"{}", "expected one of apply, delete"),
        ("promote", b'{"ful": true}', "did you mean full?"),
        ("apply", b"", "got nothing"),
        ("apply", b"[" * 200_000, "nests too deeply"),
        ("apply", b"[]", "expected a ModuleDeployment"),
        ("apply", b"not json \xff", "expected a JSON object"),
        ("abort", b'{"by": NaN}', "NaN is no JSON"),
    ],
)
def test_a_body_that_makes_no_sense(verb: str, body: bytes, words: str) -> None:
    answer = read_wish(verb, body, namespace="shop", name="cart")
    assert isinstance(answer, RefusedAnswer)
    assert words in answer.errors[0].message
    assert answer.encode()


def test_an_empty_body_is_an_empty_object() -> None:
    assert read_wish("pause", b"", namespace="shop", name="cart") == Pause()
