"""What a look at a pod and its base leaves in the record: what is there, whose it is, and since when."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.unit.executor_desk import ACTIVE, BROKEN, IDLE, NOW, POD, STARTING, bizzes, module, record
from tranche.contract.record import ModuleEntry, PodRecord, Serving
from tranche_executor.arklet.wire import Biz, BizState, Bizzes
from tranche_executor.core.capacity import Capacity, capacity
from tranche_executor.core.observation import (
    Silence,
    answered,
    changed,
    described,
    fold,
    gone,
    observe,
    replaced,
)
from tranche_executor.core.pod import HEARTBEAT, Pod, PodKey, PoolKey

LATER = NOW + timedelta(hours=1)
OLD = Serving(version="1.0.0", revision=1)


def fresh(**changes: Any) -> PodRecord:
    """The record of the pod when nothing is known of it but what its source says."""
    made = PodRecord(
        namespace="shop",
        base="web-base",
        pod="web-1",
        uid="u1",
        address="10.0.0.7:1238",
        ready=False,
        observed_at=LATER,
        source="static",
    )
    return made.but(**changes)


# --- the pod ---


def test_a_pod_is_one_of_its_bases_pool() -> None:
    assert POD.key.pool == PoolKey("shop", "web-base")
    assert POD.key.pool == ("shop", "web-base")


def test_a_pod_of_which_nothing_is_said_is_in_use_and_listed_by_hand() -> None:
    assert (POD.ready, POD.terminating, POD.source) == (True, False, "static")
    assert (dict(POD.labels), dict(POD.base_labels)) == ({}, {})


def test_what_the_source_says_is_in_the_record() -> None:
    labels = {"koupleless.io/max-module-count": "3", "tranche.dev/cordoned": "true"}
    pod = replace(POD, terminating=True, labels=labels, source=HEARTBEAT)
    assert described(None, pod, LATER) == fresh(
        terminating=True, max_modules=3, cordoned=True, source="heartbeat"
    )
    unreadable = replace(POD, labels={"koupleless.io/max-module-count": "many"})
    assert "many" in described(None, unreadable, LATER).capacity_problem
    known = record(modules={"cart": module()}).but(gone=True, source="heartbeat", cordoned=True)
    assert described(known, replace(pod, address="10.0.0.8:1238"), LATER) == known.but(
        address="10.0.0.8:1238", terminating=True, max_modules=3, cordoned=True, gone=False
    )


@pytest.mark.parametrize(
    ("noted", "said", "ready"), [(True, True, True), (True, False, False), (False, True, False)]
)
def test_ready_is_who_answered_and_is_said_to_be(noted: bool, said: bool, ready: bool) -> None:
    assert described(record().but(ready=noted), replace(POD, ready=said), LATER).ready is ready


def test_another_pod_of_the_same_name_has_only_the_operation_of_the_one_before() -> None:
    before = record(modules={"cart": module()}).but(base_identity="jvm-1", reason="PodUnreachable")
    after = described(before, replace(POD, uid="u2"), LATER)
    assert after == fresh(uid="u2", operation=before.operation)


@pytest.mark.parametrize("ready", [True, False])
def test_a_look_shows_the_modules_and_that_the_base_answers(ready: bool) -> None:
    before = record(modules={"cart": module(), "stock": module("5", 0)}).but(
        ready=False, reason="PodUnreachable", message="away", base_identity="jvm-1", operation=None
    )
    seen = bizzes(("1.0.0", ACTIVE), ("orders", "4", IDLE))
    after = observe(before, replace(POD, ready=ready), seen, LATER)
    assert after == before.but(
        ready=ready,
        reason="",
        message="",
        observed_at=LATER,
        source="static",
        modules={"cart": module(), "orders": module("4", 0, "inactive").but(since=LATER)},
    )


def test_a_base_says_who_it_is_or_stays_who_it_was() -> None:
    before = record().but(base_identity="jvm-1")
    assert answered(before, True, Bizzes(base_identity="jvm-2")).base_identity == "jvm-2"
    assert answered(before, True, Bizzes()).base_identity == "jvm-1"


def test_a_base_that_is_silent_is_not_ready_and_says_why() -> None:
    before = record(modules={"cart": module()})
    assert observe(before, POD, Silence("no route"), LATER) == before.but(
        ready=False, reason="PodUnreachable", message="no route", observed_at=LATER, source="static"
    )


def test_a_pod_that_is_gone_holds_nothing_and_its_operation_is_over() -> None:
    before = record("install:2.0.0", modules={"cart": module()})
    assert before.operation is not None
    before = before.but(message="slow", operation=before.operation.but(open=("e0-7-install-1",)))
    after = gone(before, LATER)
    assert after.operation is not None
    assert before.operation is not None
    assert after.operation.message
    assert after.operation == before.operation.but(
        state="unchanged", since=LATER, message=after.operation.message
    )
    assert after == before.but(
        gone=True,
        ready=False,
        reason="PodLost",
        message="",
        modules={},
        observed_at=LATER,
        operation=after.operation,
    )


@pytest.mark.parametrize("state", ["done", "failed", "unchanged"])
def test_an_operation_that_was_over_stays_as_it_ended(state: Any) -> None:
    before = record("install:2.0.0")
    assert before.operation is not None
    over = before.but(operation=before.operation.but(state=state, message="so it ended"))
    assert replaced(over, LATER) == over
    idle = before.but(operation=None)
    assert replaced(idle, LATER) == idle


# --- one module ---


@pytest.mark.parametrize(
    ("state", "noted"),
    [
        (ACTIVE, "available"),
        (IDLE, "inactive"),
        (STARTING, "installing"),
        (BROKEN, "failed"),
        (BizState.STOPPED, "inactive"),
        (BizState.UNKNOWN, "unknown"),
    ],
)
def test_a_module_of_others_is_noted_as_it_stands(state: BizState, noted: Any) -> None:
    seen = (Biz("cart", "1.0.0", state, message="its words"),)
    assert fold(None, seen, LATER) == module("1.0.0", 0, noted, message="its words").but(since=LATER)


def test_which_version_stands_for_a_module_of_others() -> None:
    assert fold(None, bizzes(("1.0.0", IDLE), ("0.9", BROKEN)).of("cart"), LATER) == module(
        "1.0.0", 0, "inactive"
    ).but(since=LATER)


def test_what_is_as_it_was_is_so_since_it_was() -> None:
    ours = module(generation=3, batch=2, token=5, tries=1, message="kept")
    assert fold(ours, bizzes(("1.0.0", ACTIVE)).of("cart"), LATER) == ours


def test_what_stands_otherwise_does_so_from_now_on_and_is_still_ours() -> None:
    beside = Serving(version="0.9", revision=4)
    ours = module(
        state="installing",
        generation=3,
        batch=2,
        token=5,
        tries=1,
        message="x",
        reason="y",
        passing=True,
        serving=beside,
    )
    clean = ours.but(
        state="available", serving=None, tries=0, message="", reason="", passing=False, since=LATER
    )
    assert fold(ours, bizzes(("1.0.0", ACTIVE)).of("cart"), LATER) == clean
    after = fold(ours, bizzes(("1.0.0", IDLE), ("0.9", ACTIVE)).of("cart"), LATER)
    assert after == clean.but(state="inactive", serving=beside)
    strange = fold(ours, bizzes(("1.0.0", IDLE), ("0.8", ACTIVE)).of("cart"), LATER)
    assert strange == clean.but(state="inactive", serving=Serving(version="0.8", revision=0))


def test_what_serves_itself_needs_no_other_beside_it() -> None:
    both = bizzes(("0.9", ACTIVE), ("1.0.0", ACTIVE))
    assert fold(module(), both.of("cart"), LATER) == module()


def test_why_it_broke_is_told_also_where_another_version_serves() -> None:
    ours = module("2.0.0", 2, "installing", serving=OLD)
    broken = Biz("cart", "2.0.0", BROKEN, message="no bean")
    after = fold(ours, (broken, Biz("cart", "1.0.0", ACTIVE)), LATER)
    assert after is not None
    assert (after.state, after.message, after.serving) == ("failed", "no bean", OLD)


def test_modules_are_noted_in_the_order_of_their_names() -> None:
    names = [f"m{number}" for number in range(20)]
    after = observe(None, POD, bizzes(*((name, "1", ACTIVE) for name in names[::-1])), LATER)
    assert list(after.modules) == sorted(names)


def test_what_no_longer_serves_beside_is_not_said_to() -> None:
    ours = module("2.0.0", 2, "inactive", serving=OLD)
    assert fold(ours, bizzes(("2.0.0", IDLE), ("1.0.0", IDLE)).of("cart"), LATER) == ours.but(serving=None)


@pytest.mark.parametrize("words", ["no bean", ""])
def test_what_broke_failed_and_counts_as_a_try(words: str) -> None:
    ours = module(generation=3, tries=1)
    after = fold(ours, (Biz("cart", "1.0.0", BROKEN, message=words),), LATER)
    assert after is not None
    assert after.message == words if words else after.message
    assert after == ours.but(
        state="failed", reason="InstallFailed", message=after.message, tries=2, passing=False, since=LATER
    )


def test_another_version_is_ours_where_it_was_noted_as_serving() -> None:
    ours = module("2.0.0", 2, "installing", serving=OLD, generation=3, tries=1)
    assert fold(ours, bizzes(("1.0.0", ACTIVE)).of("cart"), LATER) == ours.but(
        version="1.0.0", revision=1, state="available", serving=None, tries=0, since=LATER
    )
    assert fold(ours, bizzes(("0.9", ACTIVE)).of("cart"), LATER) == module("0.9", 0).but(since=LATER)


FAILED = module("2.0.0", 2, "failed", serving=OLD, reason="InstallFailed", message="no bean", tries=2)


@pytest.mark.parametrize(
    ("before", "there", "expected"),
    [
        # A base that restarted, or where the failed start left nothing.
        (FAILED, [], FAILED.but(serving=None)),
        (FAILED, [("2.0.0", BROKEN), ("1.0.0", ACTIVE)], FAILED),
        (FAILED, [("2.0.0", BROKEN)], FAILED.but(serving=None)),
        (FAILED, [("1.0.0", IDLE)], FAILED.but(serving=None)),
        (FAILED, [("0.9", ACTIVE)], FAILED.but(serving=Serving(version="0.9", revision=0))),
        (FAILED, [("2.0.0", IDLE)], FAILED.but(serving=None)),
        # It appeared after all.
        (
            FAILED,
            [("2.0.0", ACTIVE)],
            FAILED.but(state="available", serving=None, reason="", message="", tries=0, since=LATER),
        ),
        # What could not be uninstalled serves, and its removal has failed all the same.
        (
            FAILED.but(reason="UninstallFailed"),
            [("2.0.0", ACTIVE)],
            FAILED.but(reason="UninstallFailed", serving=Serving(version="2.0.0", revision=2)),
        ),
    ],
)
def test_seeing_clears_a_failure_only_where_the_module_appeared(
    before: ModuleEntry, there: list[Any], expected: ModuleEntry
) -> None:
    assert fold(before, bizzes(*there).of("cart"), LATER) == expected


def test_a_record_is_written_again_when_something_differs_or_it_is_old() -> None:
    first = record().but(nonce="a")
    assert not changed(first, first.but(nonce="b"))
    assert changed(first, first.but(nonce="b", ready=False))
    assert not changed(first, first.but(observed_at=NOW + timedelta(seconds=599)))
    assert changed(first, first.but(observed_at=NOW + timedelta(seconds=600)))


# --- its capacity ---


@pytest.mark.parametrize(
    "spelling",
    [
        "koupleless.io/max-module-count",
        "koupleless.alipay.com/max-module-count",
        "serverless.alipay.com/max-module-count",
    ],
)
@pytest.mark.parametrize(("given", "limit"), [("0", 0), ("007", 7), ("999999999", 999_999_999)])
def test_each_spelling_of_the_limit_is_read(spelling: str, given: str, limit: int) -> None:
    assert capacity(replace(POD, labels={spelling: given})) == Capacity(max_modules=limit)
    assert capacity(replace(POD, base_labels={spelling: given})) == Capacity(max_modules=limit)


@pytest.mark.parametrize("given", ["", "1000000000", "five", "5 ", "-1", "٣", "1e2"])
@pytest.mark.parametrize("whose", ["pod", "base"])
def test_a_limit_that_cannot_be_read_is_told_with_its_label(whose: str, given: str) -> None:
    labels = {"koupleless.alipay.com/max-module-count": given}
    room = capacity(replace(POD, **{"labels" if whose == "pod" else "base_labels": labels}))
    assert room.max_modules is None
    for told in ("koupleless.alipay.com/max-module-count", f"the {whose}", repr(given)):
        assert told in room.problem


def test_of_a_long_limit_the_beginning_is_told() -> None:
    text = "".join(map(str, range(100)))
    room = capacity(replace(POD, labels={"koupleless.io/max-module-count": text}))
    assert text[:40] in room.problem
    assert text[:41] not in room.problem


@pytest.mark.parametrize("limit", ["5", "five", None])
@pytest.mark.parametrize(
    ("of_pod", "of_base", "cordoned"),
    [
        ("true", None, True),
        (None, "true", True),
        ("false", "true", True),
        ("true", "false", True),
        ("false", None, False),
        ("True", "yes", False),
        (None, None, False),
    ],
)
def test_a_pod_is_cordoned_by_its_label_or_its_bases(
    of_pod: str | None, of_base: str | None, cordoned: bool, limit: str | None
) -> None:
    labels = {"koupleless.io/max-module-count": limit} if limit else {}
    pod = Pod(
        PodKey("shop", "web-base", "web-1"),
        "u1",
        "h:1",
        labels=labels | ({"tranche.dev/cordoned": of_pod} if of_pod else {}),
        base_labels={"tranche.dev/cordoned": of_base} if of_base else {},
    )
    assert capacity(pod).cordoned is cordoned
