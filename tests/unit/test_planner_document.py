"""The planner's document: its order, its holds, its revisions, and what in it contradicts itself."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Literal

import pytest

from tests.unit.planner_desk import BEGAN, Case
from tranche.contract.content import Content
from tranche_planner.core.document import Batch, Document, Mark, Revision, Rollout, kept
from tranche_planner.core.explaining import history
from tranche_planner.core.wishes import Abort, Delete, Pause, Resume, Retry, Scale

SOON = BEGAN + timedelta(seconds=1)


@pytest.fixture
def case() -> Case:
    case = Case()
    case.apply("1.0.0", replicas=10)
    case.finish()
    case.apply("2.0.0", replicas=10, batchCount=3)
    case.tell()
    return case


@pytest.mark.parametrize(
    ("newer", "older", "supersedes"),
    [
        (Mark(sequence=2, time=SOON), Mark(sequence=1, time=BEGAN), True),
        (Mark(sequence=2, time=BEGAN), Mark(sequence=1, time=BEGAN), True),
        (Mark(sequence=2, time=BEGAN), Mark(sequence=1), True),
        (Mark(sequence=2), Mark(sequence=1, time=BEGAN), True),
        (Mark(sequence=2), Mark(sequence=1), True),
        (Mark(sequence=1), Mark(), True),
        (Mark(sequence=2, time=BEGAN), Mark(sequence=1, time=SOON), False),
        (Mark(sequence=1, time=SOON), Mark(sequence=1, time=BEGAN), False),
        (Mark(sequence=1, time=SOON), Mark(sequence=2, time=BEGAN), False),
        (Mark(), Mark(), False),
    ],
)
def test_a_mark_supersedes_what_came_before_it_in_the_same_stream(
    newer: Mark, older: Mark, supersedes: bool
) -> None:
    assert newer.supersedes(older) == supersedes


def broken(document: Document, what: str) -> Document:
    assert document.plan is not None
    assert document.progress is not None
    other = {"namespace": "other"} if what.endswith("namespace") else {"name": "other"}
    match what.split()[0]:
        case "target":
            return document.but(target=9)
        case "stable":
            return document.but(stable=9)
        case "above":
            return document.but(rollout=document.rollout.but(current=4))
        case "below":
            return document.but(rollout=document.rollout.but(current=-1))
        case "plan":
            return document.but(plan=document.plan.but(**other))
        case "progress":
            return document.but(progress=document.progress.but(**other))
        case _:
            return document.but(spec=document.spec.but(**other))


ANOTHER = "got that of another deployment; expected this one's"


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("target", "target: got 9; expected the number of a revision that is kept"),
        ("stable", "stable: got 9; expected the number of a revision that is kept"),
        ("above", "rollout.current: got 4; expected one of 3 batches"),
        ("below", "rollout.current: got -1; expected one of 3 batches"),
        ("plan of another namespace", f"plan: {ANOTHER}"),
        ("plan of another name", f"plan: {ANOTHER}"),
        ("progress of another namespace", f"progress: {ANOTHER}"),
        ("progress of another name", f"progress: {ANOTHER}"),
        ("spec of another namespace", f"spec: {ANOTHER}"),
        ("spec of another name", f"spec: {ANOTHER}"),
    ],
)
def test_what_contradicts_itself_is_named(case: Case, what: str, words: str) -> None:
    assert case.it.fault == ""
    assert broken(case.it, what).fault == words


@pytest.mark.parametrize("current", [0, 1, 3])
def test_every_batch_may_be_the_current_one(case: Case, current: int) -> None:
    assert case.it.but(rollout=case.it.rollout.but(current=current)).fault == ""


def test_what_was_never_planned_nor_counted_contradicts_nothing() -> None:
    case = Case()
    case.apply("1.0.0")
    assert case.it.but(plan=None).fault == ""


@pytest.mark.parametrize(
    ("current", "size", "last"), [(0, None, False), (1, 2, False), (2, 3, True), (3, None, True)]
)
def test_the_current_batch_is_counted_from_one(current: int, size: int | None, last: bool) -> None:
    batches = tuple(Batch(size=size, replicas=5, updated=size) for size in (2, 3))
    rollout = Rollout(first_generation=1, started_at=BEGAN, batches=batches, current=current)
    assert (rollout.batch.size if rollout.batch else None) == size
    assert rollout.last_batch == last


def test_what_has_held_longest_says_how_many_are_kept_up(case: Case) -> None:
    case.do(Pause())
    case.later(10)
    case.tell(outcome=7, present=7)
    case.freeze()
    assert case.plan.held_at == 10
    case.do(Resume())
    assert (case.plan.held, case.plan.held_at) == (True, 7), "the freeze began with fewer"
    case.later(10)
    case.tell(outcome=9, present=9)
    case.do(Pause())
    assert case.plan.held_at == 7
    case.unfreeze()
    assert (case.plan.held, case.plan.held_at) == (True, 9)


def finished(case: Case) -> dict[int, datetime | None]:
    return {one.revision: one.finished_at for one in history(case.it).revisions}


def test_a_revision_completes_once(case: Case) -> None:
    case.later(10)
    case.do(Scale(replicas=12))
    case.pods = 12
    case.finish()
    assert finished(case) == {1: BEGAN, 2: BEGAN + timedelta(seconds=10)}
    case.later(10)
    case.do(Scale(replicas=11))
    case.finish()
    assert case.status.phase == "Healthy"
    assert finished(case) == {1: BEGAN, 2: BEGAN + timedelta(seconds=10)}


def test_an_aborted_revision_may_yet_complete(case: Case) -> None:
    case.later(10)
    case.do(Abort())
    case.finish()
    assert finished(case) == {1: BEGAN, 2: BEGAN + timedelta(seconds=10)}
    assert [one.outcome for one in history(case.it).revisions] == ["completed", "aborted"]
    case.later(10)
    case.do(Retry())
    case.finish()
    assert finished(case) == {1: BEGAN, 2: BEGAN + timedelta(seconds=20)}
    assert [one.outcome for one in history(case.it).revisions] == ["completed", "completed"]


def test_an_aborted_revision_stays_aborted_whatever_comes_after(case: Case) -> None:
    case.do(Abort())
    case.finish()
    case.later(10)
    case.apply("3.0.0", replicas=10)
    case.finish()
    assert [one.outcome for one in history(case.it).revisions] == ["completed", "aborted", "completed"]
    assert finished(case) == {1: BEGAN, 2: BEGAN, 3: BEGAN + timedelta(seconds=10)}


def test_a_deletion_is_under_way_until_it_is_over(case: Case) -> None:
    assert (case.it.deleting, case.it.deleted) == (False, False)
    case.do(Delete())
    assert (case.it.deleting, case.it.deleted) == (True, False)
    case.carry_out()
    assert (case.it.deleting, case.it.deleted) == (False, True)


def test_a_revision_that_is_carried_out_has_no_fate_yet(case: Case) -> None:
    newest = history(case.it).revisions[-1]
    assert (newest.outcome, newest.finished_at, newest.by) == ("", None, None)


def revisions(*versions: str, outcome: Literal["", "completed"] = "completed") -> tuple[Revision, ...]:
    return tuple(
        Revision(
            content=Content(revision=number, module="cart", version=version),
            generation=number,
            started_at=BEGAN,
            outcome=outcome,
        )
        for number, version in enumerate(versions, start=1)
    )


@pytest.mark.parametrize(
    ("versions", "needed", "limit", "left"),
    [
        ("abcde", {5}, 2, [3, 4, 5]),
        ("abcde", {5}, 0, [5]),
        ("abcde", {5}, 10, [1, 2, 3, 4, 5]),
        ("abcde", {1}, 1, [1, 5]),
        ("abcde", {1, 5}, 1, [1, 4, 5]),
        ("abcae", {4}, 0, [1, 4]),
        ("abcbe", {4, 5}, 1, [2, 3, 4, 5]),
    ],
)
def test_old_revisions_are_kept_up_to_the_limit_and_those_of_the_same_content(
    versions: str, needed: set[int], limit: int, left: list[int]
) -> None:
    found = kept(revisions(*versions), frozenset(needed), limit)
    assert [one.content.revision for one in found] == left


def test_even_of_the_same_content_only_so_many_are_kept_and_always_the_needed_ones() -> None:
    many = revisions(*["a"] * 105)
    found = [one.content.revision for one in kept(many, frozenset({2}), 10)]
    assert found == [2, *range(6, 106)]


def test_a_deployment_without_revisions_kept_by_the_limit_still_goes_back_to_stable(case: Case) -> None:
    case.apply("3.0.0", replicas=10, revisionHistoryLimit=0)
    assert [one.version for one in history(case.it).revisions] == ["1.0.0", "3.0.0"]
    assert case.it.fault == ""
    case.do(Abort())
    case.finish()
    assert case.status.message.startswith("3.0.0 was aborted; back at 1.0.0")


def test_the_same_content_goes_by_all_its_numbers(case: Case) -> None:
    case.apply("1.0.0", replicas=10)
    assert case.plan.target_revisions == case.plan.stable_revisions == (1, 3)
    case.apply("1.0.0", replicas=10, module={"args": ["--debug"]})
    assert (case.plan.target_revisions, case.plan.stable_revisions) == ((4,), (1, 3))


AT = "2026-01-31T09:00:00.000Z"
NOBODY = {"by": None, "reason": None}
CONTENT = {"revision": 1, "module": "cart", "version": "1.0.0"}
WISH = {"namespace": "shop", "name": "cart", "base": "web-base"}
ROLLOUT = {"firstGeneration": 1, "startedAt": AT}


def read_again(**changes: object) -> dict[str, object]:
    """A document with no more than what every one has, as it is written once it was read."""
    module = {"name": "cart", "version": "1.0.0", "url": "http://modules.example/cart.jar"}
    least = {
        "namespace": "shop",
        "name": "cart",
        "spec": {**WISH, "module": module},
        "generation": 1,
        "revisions": [{"content": CONTENT, "generation": 1, "startedAt": AT}],
        "nextRevision": 2,
        "target": 1,
        "rollout": ROLLOUT,
        "event": {"reason": "Accepted", "message": "generation 1 is accepted"},
    }
    found = json.loads(Document.decode(json.dumps({**least, **changes}).encode()).encode())
    assert isinstance(found, dict)
    return found


def test_what_an_older_release_did_not_write_has_not_happened() -> None:
    found = read_again()
    none = {"sequence": 0, "time": None}
    marks = (
        "lastWish",
        "lastHold",
        "lastConfirm",
        "lastPromote",
        "lastReplace",
        "lastProgress",
        "freezeMark",
    )
    assert {mark: found[mark] for mark in marks} == dict.fromkeys(marks, none)
    counts = ("revision", "observedGeneration", "stableReplicas", "evictPlan")
    assert {count: found[count] for count in counts} == dict.fromkeys(counts, 0)
    nothing = ("stable", "by", "paused", "frozen", "plan", "progress", "rejected", "evictedAt")
    assert {one: found[one] for one in nothing} == dict.fromkeys(nothing)
    assert (found["evict"], found["conditions"], found["nonce"]) == ([], [], "")


def test_a_rollout_that_says_no_more_is_counted_first() -> None:
    assert read_again()["rollout"] == {
        **ROLLOUT,
        **NOBODY,
        "kind": "roll",
        "stage": "opening",
        "firstPlan": 0,
        "openReplicas": -1,
        "batches": [],
        "current": 0,
        "gateless": False,
        "pods": 0,
        "watch": {"spentS": 0, "since": None, "updated": 0, "available": 0},
        "expired": None,
        "retriedAt": None,
        "retriedPlan": 0,
        "scarred": False,
        "abandon": False,
        "left": [],
        "leftCount": 0,
    }


def test_a_batch_that_says_no_more_is_not_released() -> None:
    batch = {"size": 3, "replicas": 10, "updated": 3}
    rollout = read_again(rollout={**ROLLOUT, "batches": [batch]})["rollout"]
    assert isinstance(rollout, dict)
    assert rollout["batches"] == [
        {
            **batch,
            "beta": False,
            "startedAt": None,
            "verifiedAt": None,
            "confirmedBy": None,
            "confirmedAt": None,
            "confirmReason": None,
            "promotedAt": None,
            "brings": 0,
            "availableBefore": 0,
        }
    ]


def test_a_hold_that_says_no_more_was_told_to_nobody() -> None:
    hold = {"since": AT, "heldAt": None, "firstPlan": 0}
    found = read_again(
        paused={"since": AT},
        frozen={"since": AT, "scope": "shop"},
        rollout={**ROLLOUT, "expired": {"since": AT}},
    )
    assert found["paused"] == {**hold, **NOBODY, "byManifest": False}
    assert found["frozen"] == {**hold, "scope": "shop", "until": None, "by": None, "reason": ""}
    rollout = found["rollout"]
    assert isinstance(rollout, dict)
    assert rollout["expired"] == hold
