"""What people are answered who confirm, promote, pause and resume (design 1.3)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.planner_desk import Case
from tranche.contract.answer import AcceptedAnswer, RefusedAnswer
from tranche.contract.status import StatusEvent
from tranche_planner.core.wishes import Abort, Confirm, Pause, Promote, Resume, Retry, Scale

GATED = {"needConfirm": True, "grayTime": 60}
SIGNED = {"by": "bob", "reason": "looks good"}
UNDER_WAY = (
    "; batch 1 of 3 is under way and nothing waits for a person "
    "(batch 1 is not yet as it should be; opens by itself when it is)"
)


def healthy() -> Case:
    case = Case()
    case.apply("1.0.0", replicas=10)
    case.finish()
    return case


def accepted(**changes: object) -> Case:
    case = healthy()
    case.apply("2.0.0", **{"replicas": 10, "batchCount": 3, "needConfirm": True, **changes})
    return case


def rolling(**changes: object) -> Case:
    case = accepted(**changes)
    case.tell()
    return case


def waiting(**changes: object) -> Case:
    case = rolling(**changes)
    case.carry_out()
    return case


def waiting_and_paused() -> Case:
    case = waiting(**GATED)
    case.do(Pause(by="eve"))
    case.tell()
    return case


def last_batch() -> Case:
    case = waiting()
    case.do(Confirm())
    case.carry_out()
    case.do(Confirm())
    assert case.plan.batch == 3
    return case


def aborted() -> Case:
    case = rolling()
    case.do(Abort())
    case.finish()
    return case


def failed() -> Case:
    case = rolling()
    case.tell(available=9, failed=1)
    return case


def accepted_words(answer: AcceptedAnswer | RefusedAnswer) -> str:
    assert isinstance(answer, AcceptedAnswer), answer
    return answer.message


def refused_words(answer: AcceptedAnswer | RefusedAnswer) -> tuple[str, str]:
    assert isinstance(answer, RefusedAnswer), answer
    (error,) = answer.errors
    return error.field, error.message


@pytest.mark.parametrize(
    ("state", "wish", "field", "message"),
    [
        (
            aborted,
            Confirm(),
            "",
            "nothing is rolled out: the rollout was aborted, which nobody has to confirm",
        ),
        (
            waiting,
            Confirm(generation=1),
            "generation",
            "got generation 1; the rollout under way is generation 2; batch 1 of generation 2 waits",
        ),
        (
            healthy,
            Confirm(generation=9),
            "generation",
            "got generation 9; the rollout under way is generation 1; the rollout is complete, nothing waits",
        ),
        (
            waiting,
            Confirm(batch=2),
            "batch",
            "batch 2 does not wait for a confirm; batch 1 of generation 2 waits",
        ),
        (
            waiting,
            Confirm(batch=9),
            "batch",
            "batch 9 does not wait for a confirm; batch 1 of generation 2 waits",
        ),
        (rolling, Confirm(), "", f"no batch waits for a confirm{UNDER_WAY}"),
        (rolling, Confirm(batch=1), "batch", f"batch 1 does not wait for a confirm{UNDER_WAY}"),
        (accepted, Confirm(), "", "no batch waits for a confirm; no batch is released yet"),
        (healthy, Confirm(), "", "no batch waits for a confirm; the rollout is complete, nothing waits"),
        (
            last_batch,
            Confirm(),
            "",
            "no batch waits for a confirm; batch 3 of 3 is under way and nothing waits for a person",
        ),
        (
            lambda: waiting(needConfirm=False, grayTime=60),
            Confirm(),
            "",
            "no batch waits for a confirm; batch 1 of 3 is under way and nothing waits for a person "
            "(batch 1 is watched until 2026-01-31 09:01:00 UTC; opens by itself then)",
        ),
        (
            lambda: waiting(needConfirm=False, grayTime=60),
            Confirm(generation=1),
            "generation",
            "got generation 1; the rollout under way is generation 2; batch 1 of 3 is under way and nothing waits "
            "for a person (batch 1 is watched until 2026-01-31 09:01:00 UTC; opens by itself then)",
        ),
    ],
)
def test_a_confirm_of_what_does_not_wait_says_what_does(
    state: Callable[[], Case], wish: Confirm, field: str, message: str
) -> None:
    assert refused_words(state().do(wish)) == (field, message)


def test_several_shut_gates_are_all_told() -> None:
    case = rolling()
    case.do(Pause(by="eve"))
    assert refused_words(case.do(Confirm()))[1].endswith(
        "nothing waits for a person (batch 1 is not yet as it should be; opens by itself when it is; paused by eve)"
    )


@pytest.mark.parametrize("wish", [Confirm(**SIGNED), Confirm(batch=1, generation=2, **SIGNED)])
def test_a_confirm_is_kept_with_who_when_and_why(wish: Confirm) -> None:
    case = waiting(**GATED)
    case.later(5)
    assert accepted_words(case.do(wish)) == "batch 1 is confirmed"
    batch = case.status.batches[0]
    assert (batch.confirmed_by, batch.confirmed_at, batch.confirm_reason) == ("bob", case.now, "looks good")
    assert case.status.event == StatusEvent(
        reason="Confirmed", message="batch 1 of 3 was confirmed by bob: looks good"
    )
    assert [batch.confirmed_at for batch in case.status.batches[1:]] == [None, None]


@pytest.mark.parametrize("wish", [Confirm(by="eve"), Confirm(batch=1, by="eve")])
def test_a_second_confirm_changes_nothing(wish: Confirm) -> None:
    case = waiting(**GATED)
    case.do(Confirm(by="bob"))
    assert accepted_words(case.do(wish)) == "batch 1 was confirmed already"
    assert case.status.batches[0].confirmed_by == "bob"


def test_a_batch_that_was_confirmed_stays_so_once_all_is_complete() -> None:
    case = waiting(**GATED)
    case.do(Confirm())
    case.do(Scale(replicas=3))
    case.finish()
    assert case.status.phase == "Healthy"
    assert accepted_words(case.do(Confirm(batch=1))) == "batch 1 was confirmed already"
    assert isinstance(case.do(Confirm()), RefusedAnswer), "no batch waits"


def test_every_generation_of_a_rollout_confirms_its_batches() -> None:
    for generation in (2, 3):
        case = waiting()
        case.apply("2.0.0", replicas=10, batchCount=3, needConfirm=True, maxUnavailable=3)
        assert case.it.generation == 3
        assert isinstance(case.do(Confirm(generation=generation)), AcceptedAnswer)
        case.tell()
        assert case.plan.batch == 2


def test_a_pause_and_its_end_are_told() -> None:
    case = rolling()
    assert accepted_words(case.do(Resume())) == "it is not paused"
    assert accepted_words(case.do(Pause(by="bob", reason="lunch"))) == "paused: nothing new is disturbed"
    assert case.status.event == StatusEvent(reason="Paused", message="paused by bob: lunch")
    assert accepted_words(case.do(Pause(by="eve"))) == "it is paused already"
    assert case.status.gates[-1].message == "paused by bob: lunch"
    assert accepted_words(case.do(Resume(by="eve"))) == "it goes on"
    assert case.status.event == StatusEvent(reason="Resumed", message="resumed by eve")
    assert case.gates == ["verified"]


def test_a_pause_of_the_manifest_takes_nobody_elses_place() -> None:
    case = rolling()
    case.do(Pause(by="bob"))
    case.later(5)
    case.apply("2.0.0", replicas=10, batchCount=3, needConfirm=True, pause=True)
    gate = case.status.gates[-1]
    assert (gate.message, gate.since) == ("paused by bob", case.now.replace(second=0))


def test_the_end_of_the_manifests_pause_confirms_no_batch_that_was_verified_meanwhile() -> None:
    case = rolling()
    case.apply("2.0.0", replicas=10, batchCount=3, needConfirm=True, pause=True)
    case.revisions = {1: 7, 2: 3}
    case.tell()
    assert case.gates == ["confirm", "pause"]
    case.apply("2.0.0", replicas=10, batchCount=3, needConfirm=True, pause=False)
    case.tell()
    assert (case.gates, case.plan.batch, case.plan.held) == (["confirm"], 1, False)


def test_the_manifest_confirms_a_batch_and_leaves_a_persons_pause() -> None:
    case = rolling()
    case.do(Pause(by="bob"))
    case.revisions = {1: 7, 2: 3}
    case.tell()
    case.apply("2.0.0", replicas=10, batchCount=3, needConfirm=True, pause=False)
    assert case.gates == ["pause"]
    assert case.status.batches[0].confirmed_by == "the manifest"


def test_resume_gives_a_rollout_that_was_too_slow_its_time_again() -> None:
    case = rolling(progressDeadlineSeconds=300)
    case.later(300)
    assert case.status.phase == "Degraded"
    assert accepted_words(case.do(Resume(by="bob"))) == "it goes on"
    case.tell(moving=1)
    case.later(299)
    assert case.status.phase == "Progressing"
    case.later(1)
    assert case.status.phase == "Degraded"


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (aborted, "nothing is rolled out: the rollout was aborted, so there is no gate to open"),
        (
            failed,
            "the rollout is held by what failed, not by a gate: look at it, then "
            "tranche retry shop/cart or tranche abort shop/cart",
        ),
    ],
)
@pytest.mark.parametrize("full", [False, True])
def test_a_promote_opens_nothing_where_no_gate_is_what_holds(
    state: Callable[[], Case], message: str, full: bool
) -> None:
    assert refused_words(state().do(Promote(full=full))) == ("", message)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (healthy, "the rollout is complete, no gate is left"),
        (rolling, f"no gate is shut that a promote could open{UNDER_WAY}"),
        (accepted, "no gate is shut that a promote could open; no batch is released yet"),
        (
            last_batch,
            "no gate is shut that a promote could open; batch 3 of 3 is under way and nothing waits for a person",
        ),
    ],
)
def test_a_promote_without_a_gate_says_what_is_under_way(state: Callable[[], Case], message: str) -> None:
    case = state()
    before = case.it
    assert accepted_words(case.do(Promote())) == message
    assert case.it.rollout == before.rollout


def test_a_promote_does_not_open_a_pause() -> None:
    case = waiting_and_paused()
    case.do(Promote())
    assert accepted_words(case.do(Promote())) == (
        "no gate is shut that a promote could open; batch 1 of 3 is under way and nothing waits for a person "
        "(paused by eve)"
    )


def test_a_promote_does_not_open_a_pause_behind_gray_time_that_is_over() -> None:
    case = waiting(needConfirm=False, grayTime=60)
    case.do(Pause(by="eve"))
    case.tell()
    case.later(61)
    assert accepted_words(case.do(Promote())).endswith("nothing waits for a person (paused by eve)")
    assert case.status.batches[0].confirmed_at is None


@pytest.mark.parametrize("strategy", [{"needConfirm": True}, {"needConfirm": False, "grayTime": 60}, GATED])
def test_a_promote_opens_the_gates_of_the_batch_that_waits(strategy: dict[str, object]) -> None:
    case = waiting(**strategy)
    assert accepted_words(case.do(Promote())) == "batch 1 of 3 was promoted"
    assert case.plan.batch == 2
    assert case.status.batches[1].started_at == case.now


def test_a_promote_is_kept_with_who_when_and_why() -> None:
    case = waiting_and_paused()
    case.later(5)
    case.do(Promote(**SIGNED))
    batch = case.status.batches[0]
    assert (batch.confirmed_by, batch.confirmed_at, batch.confirm_reason) == ("bob", case.now, "looks good")
    assert case.status.event == StatusEvent(
        reason="Confirmed", message="batch 1 of 3 was promoted by bob: looks good"
    )
    assert case.gates == ["pause"]


def test_a_promote_in_full_opens_all_gates_and_the_pause() -> None:
    case = waiting_and_paused()
    case.freeze()
    answer = case.do(Promote(full=True, **SIGNED))
    assert accepted_words(answer) == "all remaining gates of this rollout are open"
    assert case.status.event == StatusEvent(reason="Confirmed", message="promoted in full by bob: looks good")
    case.tell()
    assert case.gates == ["freeze"]


def test_a_second_promote_in_full_opens_only_a_new_pause() -> None:
    case = waiting(**GATED)
    case.do(Promote(full=True))
    before = case.it
    assert accepted_words(case.do(Promote(full=True))) == "all gates of this rollout are open already"
    assert case.it.rollout == before.rollout
    case.do(Pause())
    assert accepted_words(case.do(Promote(full=True))) == "all remaining gates of this rollout are open"
    assert case.it.paused is None
    assert isinstance(case.do(Retry()), AcceptedAnswer)
