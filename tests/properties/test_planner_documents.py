"""Whatever people and schedulers say in whatever order: documents stay sound, and rollouts can be ended."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.planner_desk import Case
from tranche.contract.answer import AcceptedAnswer
from tranche_planner.core.explaining import explanation, history
from tranche_planner.core.rollout import wake
from tranche_planner.core.settling import settled
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
)

APPLY = st.tuples(
    st.just("apply"),
    st.fixed_dictionaries(
        {
            "version": st.sampled_from(["1.0.0", "2.0.0", "3.0.0"]),
            "replicas": st.sampled_from([-1, 0, 1, 3, 7]),
            "batchCount": st.integers(2, 4),
            "useBeta": st.booleans(),
            "needConfirm": st.booleans(),
            "grayTime": st.sampled_from([0, 60]),
            "maxUnavailable": st.sampled_from([1, "50%"]),
        },
        optional={
            "pause": st.booleans(),
            "confirmBatchNum": st.integers(0, 4),
            "minReadySeconds": st.sampled_from([0, 5]),
            "progressDeadlineSeconds": st.sampled_from([0, 60, 600]),
            "failureThreshold": st.sampled_from([0, 1, "50%"]),
            "autoRollback": st.booleans(),
            "revisionHistoryLimit": st.sampled_from([0, 1, 10]),
        },
    ),
)
WISH = st.tuples(
    st.just("wish"),
    st.sampled_from(
        [
            Abort(),
            Confirm(),
            Confirm(batch=1),
            Confirm(batch=2),
            Delete(),
            Delete(abandon=True),
            Pause(),
            Resume(),
            Promote(),
            Promote(full=True),
            Retry(),
            Restart(),
            Undo(),
            Undo(revision=1, fast=True),
            Replace(pod="web-base-1"),
            Scale(replicas=0),
            Scale(replicas=2),
            Scale(replicas=6),
        ]
    ),
)
COUNTS = st.tuples(
    st.just("tell"),
    st.fixed_dictionaries(
        {},
        optional={
            "moving": st.integers(0, 2),
            "failed": st.integers(0, 1),
            "retrying": st.integers(0, 1),
            "down": st.integers(0, 2),
            "surplus_unavailable": st.integers(0, 1),
            "stuck": st.integers(0, 1),
            "maturing": st.integers(0, 1),
            "evicting": st.integers(0, 1),
            "foreign": st.sampled_from([(), ("0.1.0",)]),
            "pods": st.sampled_from([2, 10, 12]),
            "blocked": st.sampled_from(["", "BudgetExhausted", "InsufficientCapacity"]),
        },
    ),
)
PLAIN = st.sampled_from(
    [
        ("carry_out", None),
        ("later", 61),
        ("later", 600),
        ("freeze", {}),
        ("freeze", {"reason": "sale"}),
        ("freeze", {"until": 30}),
        ("unfreeze", None),
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(APPLY, WISH, COUNTS, PLAIN), min_size=1, max_size=25))
def test_any_history(steps: list[tuple[str, Any]]) -> None:
    case = Case()
    case.apply("1.0.0", replicas=3)
    for kind, what in steps:
        before = case.it
        _do(case, kind, what)
        _sound(case, before)
    _can_be_ended(case)


def _do(case: Case, kind: str, what: Any) -> None:
    match kind:
        case "apply":
            changes = dict(what)
            case.apply(changes.pop("version"), **changes)
        case "wish":
            case.do(what)
        case "tell":
            case.tell(**what)
        case "freeze":
            ends = {"until": case.now + timedelta(seconds=what["until"])} if "until" in what else {}
            case.freeze(**{**what, **ends})
        case "unfreeze":
            case.unfreeze()
        case "later":
            case.later(what)
        case _:
            case.carry_out()


def _sound(case: Case, before: Any) -> None:
    now, status = case.it, case.status
    assert now.revision >= before.revision
    assert now.revision > before.revision or now == before
    assert now.generation >= before.generation
    assert now.plan.revision >= before.plan.revision
    assert now.plan.revision > before.plan.revision or now.plan == before.plan
    assert status.observed_generation <= status.generation
    assert status.unavailable >= 0
    assert status.batch.current <= status.batch.count
    assert status.encode()
    assert status.next
    assert explanation(now, case.now).encode()
    assert history(now).encode()
    assert not (now.plan.held and now.rollout.kind == "abort" and now.paused is None)
    assert settled(now, wake(now, case.now), case.now) == now, "all that is possible was done"
    if now.rollout == before.rollout:
        return
    if now.rollout.started_at == before.rollout.started_at and now.generation == before.generation:
        released = now.rollout.current - before.rollout.current
        assert released <= 1 or now.rollout.over, "one batch at a time"
    for batch in now.rollout.batches:
        assert batch.size > 0, "no batch is empty"


def _can_be_ended(case: Case) -> None:
    """A healthy world and a person who wants it: everything comes to its end."""
    case.unfreeze()
    if case.it.rollout.kind == "delete":
        if not case.it.rollout.over:
            case.do(Resume())
            case.finish()
        assert case.status.phase == "Deleted"
        return
    case.do(Resume())
    assert isinstance(case.apply("4.0.0", replicas=5), AcceptedAnswer)
    case.finish()
    assert case.status.phase == "Healthy", case.status
    assert case.status.available == 5
