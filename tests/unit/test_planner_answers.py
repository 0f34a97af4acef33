"""What people are told who say a verb, and what is kept of who said it; events that come late or again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.unit.planner_desk import BEGAN, Case, wish
from tests.unit.test_planner_verbs import STATES
from tranche.contract.answer import AcceptedAnswer, FieldError, RefusedAnswer, refused
from tranche_planner.core.document import Mark
from tranche_planner.core.status import status
from tranche_planner.core.verbs import decide, reject
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
)

BOB: dict[str, Any] = {"by": "bob", "reason": "so it is"}
ABSENT = "there is no such deployment: apply a manifest first"
NOTHING_BEFORE = "what was installed is removed, there was nothing before"
LEFT_BEHIND = "what is on pods that do not answer is left behind"
PEER_REPLACED = (
    "a peer has one replica on every pod, so there is no other pod to place it on: "
    "use restart to install it again"
)
PEER_SCALED = (
    "got a number for a peer, which follows the pods of its base (replicas -1); expected none: "
    "apply a manifest with another spec.replicas to give that up"
)


def first() -> Case:
    """A first installation under way."""
    case = Case()
    case.apply("1.0.0", replicas=10, batchCount=2)
    case.tell()
    return case


def slow() -> Case:
    """The progress deadline is over."""
    case = STATES["rolling"]()
    case.later(601)
    return case


def abandoning() -> Case:
    case = STATES["deleting"]()
    case.do(Delete(abandon=True))
    return case


def failing_anew() -> Case:
    """Two replicas failed under a wish that another has taken the place of."""
    case = STATES["rolling"]()
    case.tell(failed=1, retrying=1, available=8)
    case.apply("3.0.0", replicas=10)
    return case


def failing() -> Case:
    case = STATES["rolling"]()
    case.tell(failed=1, retrying=1, available=8)
    return case


def peer() -> Case:
    case = Case(pods=4)
    case.apply("1.0.0", replicas=-1)
    case.finish()
    return case


def replacing() -> Case:
    case = STATES["healthy"]()
    case.do(Replace(pod="web-base-1"))
    return case


STARTS = {
    **STATES,
    **{one.__name__: one for one in (first, slow, abandoning, failing, failing_anew, peer, replacing)},
}


@pytest.mark.parametrize(
    ("state", "verb", "told"),
    [
        ("rolling", Abort(), "aborting: back to 1.0.0"),
        ("first", Abort(), f"aborting: {NOTHING_BEFORE}"),
        ("aborting", Abort(), "it is being aborted already"),
        ("aborted", Abort(), "it is aborted"),
        ("healthy", Delete(), "all replicas will be uninstalled"),
        ("deleting", Delete(), "it is being deleted already"),
        ("deleting", Delete(abandon=True), LEFT_BEHIND),
        ("abandoning", Delete(abandon=True), "it is being deleted already"),
        ("deleted", Delete(), "it is deleted"),
        ("degraded", Retry(), "1 replica that failed will be tried again at once"),
        ("failing", Retry(), "2 replicas that failed will be tried again at once"),
        ("failing_anew", Retry(), "nothing has failed, so nothing is tried again"),
        ("pending", Retry(), "nothing has failed, so nothing is tried again"),
        ("slow", Retry(), "its time begins anew"),
        ("aborted", Retry(), "generation 3 tries the same wish again"),
        ("healthy", Restart(), "generation 3: cart 1.0.0 is installed again on every replica"),
        ("healthy", Undo(), "generation 3: back to revision 1 (0.9.0)"),
        ("healthy", Undo(fast=True), "generation 3: back to revision 1 (0.9.0), without gates"),
        ("healthy", Undo(revision=2), "revision 2 (1.0.0) is the wish already"),
        ("aborted", Undo(revision=2), "generation 3: back to revision 2 (2.0.0)"),
        ("healthy", Replace(pod="web-base-1"), "the replica on web-base-1 is taken off and placed anew"),
        ("replacing", Replace(pod="web-base-1"), "the replica on web-base-1 is being replaced already"),
        ("healthy", Scale(replicas=12), "generation 3: from 10 to 12 replicas"),
        ("healthy", Scale(replicas=1), "generation 3: from 10 to 1 replica"),
        ("healthy", Scale(replicas=10), "it has 10 replicas already"),
    ],
)
def test_what_a_verb_is_answered(state: str, verb: Wish, told: str) -> None:
    case = STARTS[state]()
    answer = case.do(verb)
    assert isinstance(answer, AcceptedAnswer), answer
    assert (answer.message, answer.generation) == (told, case.it.generation)


@pytest.mark.parametrize(
    ("state", "verb", "field", "told"),
    [
        (
            "healthy",
            Abort(),
            "",
            "the rollout is complete, nothing is left to abort: go back with tranche undo shop/cart",
        ),
        ("deleting", Abort(), "", "the deployment is being deleted"),
        ("deleted", Abort(), "", ABSENT),
        (
            "aborting",
            Retry(),
            "",
            "it is being aborted: what failed on the way back is tried again by itself",
        ),
        ("aborting", Undo(), "", "it is being aborted, which goes back already: wait for it, then undo"),
        ("first", Undo(), "", "no other revision ever completed, so there is nothing to go back to"),
        (
            "healthy",
            Undo(revision=9),
            "revision",
            "got revision 9; expected one that is kept: 1 (0.9.0), 2 (1.0.0)",
        ),
        ("aborting", Replace(pod="web-base-1"), "", "it is being aborted: wait for it, then replace"),
        ("peer", Replace(pod="web-base-1"), "pod", PEER_REPLACED),
        ("peer", Scale(replicas=3), "replicas", PEER_SCALED),
    ],
)
def test_what_a_verb_is_refused_with(state: str, verb: Wish, field: str, told: str) -> None:
    assert STARTS[state]().do(verb) == refused(told, field=field)


@pytest.mark.parametrize(
    "verb",
    [
        Abort(),
        Confirm(),
        Delete(),
        Pause(),
        Promote(),
        Replace(pod="web-base-1"),
        Restart(),
        Resume(),
        Retry(),
        Scale(replicas=3),
        Undo(),
    ],
    ids=lambda verb: type(verb).__name__,
)
def test_of_what_never_was_nothing_can_be_asked_but_to_be(verb: Wish) -> None:
    case = Case()
    assert case.do(verb) == refused(ABSENT)
    assert case.document is None


def test_at_most_twenty_revisions_are_offered_to_go_back_to() -> None:
    case = Case()
    for number in range(1, 24):
        case.apply(f"{number}.0.0", replicas=1, revisionHistoryLimit=50)
    answer = case.do(Undo(revision=99))
    assert isinstance(answer, RefusedAnswer)
    known = answer.errors[0].message.partition(": ")[2].split(", ")
    assert known == [f"{number} ({number}.0.0)" for number in range(4, 24)]


@pytest.mark.parametrize(
    ("state", "verb", "reason", "message"),
    [
        ("aborted", Retry(**BOB), "Retried", "the aborted wish is tried again"),
        ("degraded", Retry(**BOB), "Retried", "1 replica that failed will be tried again at once"),
        ("slow", Retry(**BOB), "Retried", "its time begins anew"),
        (
            "healthy",
            Restart(**BOB),
            "Accepted",
            "generation 3: cart 1.0.0 is installed again on every replica",
        ),
        ("healthy", Undo(**BOB), "RolledBack", "generation 3: back to revision 1 (0.9.0)"),
        (
            "healthy",
            Undo(fast=True, **BOB),
            "RolledBack",
            "generation 3: back to revision 1 (0.9.0), without gates",
        ),
        (
            "healthy",
            Replace(pod="web-base-1", **BOB),
            "Accepted",
            "the replica on web-base-1 is taken off and placed anew",
        ),
        ("healthy", Scale(replicas=12, **BOB), "Scaled", "generation 3: from 10 to 12 replicas"),
    ],
)
def test_what_happened_last_names_who_did_it_and_why(
    state: str, verb: Wish, reason: str, message: str
) -> None:
    case = STARTS[state]()
    case.do(verb)
    event = case.status.event
    assert (event.reason, event.message) == (reason, f"{message} by bob: so it is")


@pytest.mark.parametrize("verb", [Retry(**BOB), Restart(**BOB), Undo(**BOB), Scale(replicas=3, **BOB)])
def test_a_new_generation_is_of_who_asked_for_it(verb: Wish) -> None:
    case = STARTS["aborted"]()
    case.do(verb)
    assert (case.status.generation, case.status.by) == (3, "bob")


def test_who_aborts_is_told_with_the_reason() -> None:
    case = STARTS["rolling"]()
    case.do(Abort(**BOB))
    case.tell(moving=1)
    assert case.status.message == "aborting 2.0.0 by bob: so it is; back to 1.0.0"


def test_a_deletion_keeps_who_asked_and_that_it_leaves_something_behind() -> None:
    case = STARTS["healthy"]()
    case.do(Delete(abandon=True, **BOB))
    rollout = case.it.rollout
    assert (rollout.by, rollout.reason, rollout.abandon) == ("bob", "so it is", True)
    plain = STARTS["healthy"]()
    plain.do(Delete())
    assert not plain.it.rollout.abandon
    plain.do(Delete(abandon=True))
    assert plain.it.rollout.abandon
    event = plain.status.event
    assert (event.reason, event.message) == ("Deleted", LEFT_BEHIND)


def test_scaling_warns_like_a_manifest() -> None:
    case = Case()
    case.apply("1.0.0", replicas=10, maxUnavailable="50%")
    case.finish()
    answer = case.do(Scale(replicas=1))
    assert isinstance(answer, AcceptedAnswer)
    assert [one.partition(":")[0] for one in answer.warnings] == ["maxUnavailable 50% of 1 rounds down to 0"]


# --- what is installed ---


def restarts(case: Case) -> int:
    assert case.plan.target is not None
    return case.plan.target.restarts


def test_a_restart_is_never_like_one_before() -> None:
    case = STARTS["healthy"]()
    for count in (1, 2):
        case.do(Restart())
        assert restarts(case) == count
    case.do(Undo(revision=2))
    assert restarts(case) == 0
    case.do(Restart())
    assert restarts(case) == 3
    case.apply("2.0.0", replicas=10)
    case.do(Restart())
    assert restarts(case) == 1, "of another version nothing was restarted yet"


def test_undo_brings_back_all_of_the_module() -> None:
    module = {
        "url": "http://elsewhere.example/cart.jar",
        "sha256": "ab" * 32,
        "args": ["--color=red", "--size=3"],
    }
    case = Case()
    case.apply("1.0.0", replicas=3, module=module)
    case.finish()
    before = case.it.spec.module
    assert (before.url, before.sha256, before.args) == (
        module["url"],
        module["sha256"],
        tuple(module["args"]),
    )
    case.apply("2.0.0", replicas=5)
    case.finish()
    case.do(Undo())
    assert case.it.spec.module == before
    assert (case.plan.target.url, case.plan.target.args) == (before.url, before.args)  # type: ignore[union-attr]
    assert case.it.spec.replicas == 5, "the rest of the wish stays"


def test_undo_passes_over_what_never_completed() -> None:
    case = STARTS["healthy"]()
    case.apply("2.0.0", replicas=10, batchCount=2)
    case.tell()
    case.do(Abort())
    case.finish()
    case.apply("3.0.0", replicas=10)
    case.finish()
    case.do(Undo())
    assert case.status.target_version == "1.0.0"


def test_undo_counts_what_was_gone_back_to_as_completed_last() -> None:
    case = STARTS["healthy"]()
    case.later(10)
    case.do(Undo(revision=1))
    case.later(10)
    case.finish()
    case.later(10)
    case.apply("2.0.0", replicas=10)
    case.finish()
    case.do(Undo())
    assert case.status.target_version == "0.9.0"


# --- the pods that are replaced ---


def replaced(case: Case, pod: str, at: Any, sequence: int) -> None:
    decision = decide(case.it, Replace(pod=pod), Mark(sequence=sequence, time=at), case.now)
    assert decision.document is not None
    case.document = decision.document


def test_a_replacement_takes_off_what_was_there_when_it_was_asked_for() -> None:
    case = STARTS["healthy"]()
    case.later(60)
    asked = BEGAN + timedelta(seconds=30)
    replaced(case, "web-base-1", asked, 101)
    assert (case.plan.evict, case.plan.evicted_at) == (("web-base-1",), asked)
    replaced(case, "web-base-2", BEGAN + timedelta(seconds=10), 102)
    assert case.plan.evicted_at == asked, "the newest of all"
    replaced(case, "web-base-3", None, 103)
    assert (len(case.plan.evict), case.plan.evicted_at) == (3, case.now)


def test_counts_from_before_the_second_replacement_do_not_end_it() -> None:
    case = STARTS["healthy"]()
    case.do(Replace(pod="web-base-1"))
    early = case.counts(evicting=0)
    case.do(Replace(pod="web-base-2"))
    case.see(early)
    assert case.plan.evict == ("web-base-1", "web-base-2")


def test_once_the_abort_is_over_a_replica_may_be_replaced() -> None:
    case = STARTS["aborted"]()
    case.do(Replace(pod="web-base-1"))
    assert (case.plan.mode, case.plan.evict) == ("abort", ("web-base-1",))


# --- events that come late, or again ---

ORDERED: list[tuple[str, Wish, str]] = [
    ("waiting", wish("3.0.0", replicas=10), "wish"),
    ("waiting", Delete(), "wish"),
    ("waiting", Abort(), "wish"),
    ("waiting", Retry(), "wish"),
    ("waiting", Restart(), "wish"),
    ("waiting", Undo(), "wish"),
    ("waiting", Scale(replicas=3), "wish"),
    ("waiting", Pause(), "pause or resume"),
    ("waiting", Resume(), "pause or resume"),
    ("waiting", Confirm(), "confirm"),
    ("waiting", Promote(), "promote"),
]


@pytest.mark.parametrize(
    ("state", "verb", "kind"), ORDERED, ids=[type(verb).__name__ for _, verb, _ in ORDERED]
)
def test_one_that_is_older_than_the_last_of_its_kind_is_superseded(state: str, verb: Wish, kind: str) -> None:
    case = STARTS[state]()
    assert isinstance(case.do(verb, sequence=100), AcceptedAnswer)
    words = f"superseded: a newer {kind} of this deployment was handled before this older one"
    assert case.do(verb, sequence=99) == refused(words)


@pytest.mark.parametrize(
    ("before", "verb"),
    [(Pause(), Abort()), (Scale(replicas=12), Pause()), (Promote(), Pause()), (Confirm(), Promote())],
    ids=lambda verb: type(verb).__name__,
)
def test_one_that_is_older_than_another_kind_is_carried_out(before: Wish, verb: Wish) -> None:
    case = STARTS["waiting"]()
    assert isinstance(case.do(before, sequence=100), AcceptedAnswer)
    assert isinstance(case.do(verb, sequence=99), AcceptedAnswer)


def test_what_names_its_batch_or_its_pod_means_the_same_whenever_it_comes() -> None:
    case = STARTS["waiting"]()
    case.do(Replace(pod="web-base-1"), sequence=100)
    case.do(Replace(pod="web-base-2"), sequence=99)
    assert case.plan.evict == ("web-base-1", "web-base-2")
    again = case.do(Replace(pod="web-base-1"), sequence=100)
    assert (again.accepted, getattr(again, "message", "")) == (True, "done"), "the newest is remembered"
    refused_ = case.do(Confirm(batch=7), sequence=100)
    assert isinstance(refused_, RefusedAnswer)
    case.do(Confirm(batch=1), sequence=100)
    late = case.do(Confirm(batch=1), sequence=99)
    assert isinstance(late, AcceptedAnswer)
    assert late.message == "batch 1 was confirmed already"
    before = case.it
    case.do(Replace(pod="web-base-1"), sequence=99)
    assert case.it == before, "nothing is saved that is so already"


def test_one_that_comes_again_is_done_with_the_warnings_of_before() -> None:
    case = Case()
    case.apply("1.0.0", replicas=3)
    warned = wish("2.0.0", replicas=3, module={"md5": "0" * 32})
    before = case.do(warned, sequence=7)
    again = case.do(warned, sequence=7)
    assert isinstance(before, AcceptedAnswer)
    assert again == AcceptedAnswer(generation=2, message="done", warnings=before.warnings)
    assert len(before.warnings) == 1
    case.do(Pause(), sequence=8)
    assert case.do(Pause(), sequence=8) == AcceptedAnswer(generation=2, message="done")


@pytest.mark.parametrize(
    ("state", "verb"),
    [*((state, verb) for state, verb, _ in ORDERED), ("healthy", Replace(pod="web-base-1"))],
    ids=lambda one: one if isinstance(one, str) else type(one).__name__,
)
def test_a_refusal_is_no_problem_once_something_newer_was_accepted(state: str, verb: Wish) -> None:
    case = STARTS[state]()
    case.do(verb, sequence=100)
    older, newer = (Mark(sequence=number, time=case.now) for number in (99, 101))
    assert reject(case.it, "apply", refused("no"), older, case.now) is case.it
    shown = reject(case.it, "apply", refused("no"), newer, case.now)
    assert [problem.reason for problem in status(shown, case.now).problems] == ["Invalid"]


def test_a_refusal_names_the_verb_its_first_error_and_how_many_more_there_are() -> None:
    case = STARTS["healthy"]()
    mark = Mark(sequence=100, time=case.now)
    answer = refused("got 0; expected a whole number from 1", field="batch")
    case.document = reject(case.it, "confirm", answer, mark, case.now)
    (problem,) = case.status.problems
    assert (problem.message, problem.count) == (
        "the last confirm was refused and changed nothing: batch: got 0; expected a whole number from 1",
        1,
    )
    many = RefusedAnswer(errors=tuple(FieldError(field=name, message="no") for name in "abc"))
    case.document = reject(case.it, "apply", many, mark, case.now)
    (problem,) = case.status.problems
    assert problem.message == "the last apply was refused and changed nothing: a: no (and 2 more)"
    assert problem.count == 3
    case.do(Pause())
    assert case.status.problems == ()


def test_the_same_refusal_again_changes_nothing() -> None:
    case = STATES["waiting"]()
    case.apply("2.0.0", replicas=10, batchCount=3, needConfirm=True, grayTime=60)
    case.tell()
    assert case.gates == ["grayTime", "confirm"]
    mark = Mark(sequence=100, time=case.now)
    once = reject(case.it, "apply", refused("no"), mark, case.now)
    assert once.revision == case.it.revision + 1
    assert reject(once, "apply", refused("no"), mark, case.now) is once


# --- a pause and its end ---


def test_a_resume_ends_no_gray_time_and_no_freeze() -> None:
    case = STATES["rolling"]()
    case.apply("2.0.0", replicas=10, batchCount=3, grayTime=60)
    case.tell()
    case.carry_out()
    case.freeze()
    case.tell()
    case.do(Pause())
    assert case.gates == ["grayTime", "pause", "freeze"]
    case.tell()
    case.do(Resume())
    assert (case.gates, case.plan.held) == (["grayTime", "freeze"], True)


def test_a_deletion_is_paused_resumed_and_tried_again_like_a_rollout() -> None:
    case = STATES["deleting"]()
    case.do(Pause(**BOB))
    assert (case.plan.held, case.status.event.message) == (True, "paused by bob: so it is")
    answer = case.do(Resume(**BOB))
    assert (case.plan.held, case.status.event.message) == (False, "resumed by bob")
    assert isinstance(answer, AcceptedAnswer)
    case.tell(failed=1)
    case.later(5)
    answer = case.do(Retry(**BOB))
    assert isinstance(answer, AcceptedAnswer)
    assert answer.message == "1 replica that failed will be tried again at once"
    assert (case.plan.mode, case.plan.retried_at) == ("remove", case.now)
    assert case.status.event.message == f"{answer.message} by bob: so it is"


# --- what comes first ---


def test_a_module_is_owned_before_its_first_wish_is_carried_out() -> None:
    now, mark = BEGAN, Mark(sequence=1, time=BEGAN)
    created = decide(None, wish("1.0.0", replicas=3), mark, now)
    assert created.takes_pool
    assert created.document is not None
    changed = decide(created.document, wish("2.0.0", replicas=3), Mark(sequence=2, time=now), now)
    assert (changed.takes_pool, changed.document is not None) == (False, True)
