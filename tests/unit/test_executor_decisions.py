"""The next step for one claim on one pod, case by case."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.unit.executor_desk import (
    ACTIVE,
    BROKEN,
    IDLE,
    NO,
    NOW,
    POD,
    STARTING,
    TARGET,
    bizzes,
    claim,
    module,
    record,
)
from tranche.contract.record import ModuleEntry, Serving
from tranche_executor.arklet.operation import Operation as Recorded
from tranche_executor.arklet.operation import OperationState
from tranche_executor.core import admission, entry
from tranche_executor.core.capacity import SPELLINGS, capacity
from tranche_executor.core.fence import (
    Ask,
    Burn,
    Forgotten,
    NeverRan,
    Outcome,
    Running,
    Succeeded,
    Told,
    fence,
    outcome,
)
from tranche_executor.core.observation import Silence, changed, fold, gone, observe
from tranche_executor.core.operation import MOST_ATTEMPTS, Situation, decide
from tranche_executor.core.pod import Pod
from tranche_executor.core.step import Done, Failed, Install, Step, Switch, Uninstall, Wait

OURS = {"cart": module("2.0.0", 2)}


@pytest.mark.parametrize(
    ("step", "last", "there", "expected"),
    [
        ("", None, [], Install("cart", "2.0.0")),
        ("", None, [("1.0.0", ACTIVE)], Uninstall("cart", "1.0.0")),
        ("", None, [("2.0.0", ACTIVE)], Uninstall("cart", "2.0.0")),
        ("", None, [("2.0.0", BROKEN)], Uninstall("cart", "2.0.0", "clear")),
        ("", None, [("orders", "1.0.0", STARTING)], Wait("orders:1.0.0 is starting")),
        ("clear:2.0.0", Succeeded(), [], Install("cart", "2.0.0")),
        ("uninstall:1.0.0", Succeeded(), [], Install("cart", "2.0.0")),
        ("uninstall:1.0.0", NeverRan(), [("1.0.0", ACTIVE)], Uninstall("cart", "1.0.0")),
        ("uninstall:1.0.0", NO, [("1.0.0", ACTIVE)], Failed(NO.failure, "UninstallFailed")),
        ("install:2.0.0", Succeeded(), [("2.0.0", ACTIVE)], Done()),
        ("install:2.0.0", NO, [("2.0.0", ACTIVE)], Done()),
        ("install:2.0.0", None, [("2.0.0", IDLE)], Switch("cart", "2.0.0")),
        ("install:2.0.0", NO, [], Failed(NO.failure)),
        ("install:2.0.0", NO, [("2.0.0", BROKEN)], Failed(NO.failure)),
        ("install:2.0.0", NeverRan(), [], Install("cart", "2.0.0")),
        ("install:2.0.0", Succeeded(), [("orders", "9", ACTIVE)], Uninstall("orders", "9", "undo")),
        (
            "install:2.0.0",
            Succeeded(),
            [("2.0.0", ACTIVE), ("1.0.0", IDLE)],
            Uninstall("cart", "1.0.0", "retire"),
        ),
        ("switch:2.0.0", Succeeded(), [("2.0.0", ACTIVE)], Done()),
        ("switch:2.0.0", NO, [("2.0.0", IDLE), ("1.0.0", ACTIVE)], Failed(NO.failure)),
        ("retire:1.0.0", Succeeded(), [("2.0.0", ACTIVE)], Done()),
        ("retire:1.0.0", NO, [("2.0.0", ACTIVE), ("1.0.0", IDLE)], Failed(NO.failure, "UninstallFailed")),
        ("undo:orders:9", NeverRan(), [("orders", "9", ACTIVE)], Uninstall("orders", "9", "undo")),
    ],
)
def test_bringing(step: str, last: Outcome | None, there: list[Any], expected: Step) -> None:
    assert decide(Situation(claim(), TARGET, record(step), bizzes(*there), last)) == expected


@pytest.mark.parametrize(
    ("step", "last", "there", "expected"),
    [
        ("", None, [("1.0.0", ACTIVE)], Install("cart", "2.0.0")),
        ("install:2.0.0", Succeeded(), [("1.0.0", ACTIVE), ("2.0.0", IDLE)], Switch("cart", "2.0.0")),
        ("install:2.0.0", NO, [("1.0.0", ACTIVE)], Failed(NO.failure)),
        ("switch:2.0.0", None, [("1.0.0", IDLE), ("2.0.0", ACTIVE)], Uninstall("cart", "1.0.0", "retire")),
    ],
)
def test_beside(step: str, last: Outcome | None, there: list[Any], expected: Step) -> None:
    assert decide(Situation(claim(beside=True), TARGET, record(step), bizzes(*there), last)) == expected


def test_what_a_record_knows_to_be_the_target_is_kept() -> None:
    there = bizzes(("2.0.0", IDLE))
    assert decide(Situation(claim(), TARGET, record(modules=OURS), there)) == Switch("cart", "2.0.0")
    restarted = TARGET.but(revision=3)
    other = Situation(claim(revision=3), restarted, record(modules=OURS), there)
    assert decide(other) == Uninstall("cart", "2.0.0")


def test_removing() -> None:
    remove = claim("remove", revision=0)
    assert decide(Situation(remove, None, record(), bizzes())) == Done()
    there = bizzes(("1.0.0", ACTIVE), ("2.0.0", IDLE))
    assert decide(Situation(remove, None, record(), there)) == Uninstall("cart", "1.0.0")
    refused = Situation(remove, None, record("uninstall:1.0.0"), there, NO)
    assert decide(refused) == Failed(NO.failure, "UninstallFailed")


def test_a_jar_that_was_another_module_is_named() -> None:
    step = decide(Situation(claim(), TARGET, record("undo:orders:9"), bizzes(), Succeeded()))
    assert isinstance(step, Failed)
    assert step.failure.message == "the jar says it is orders:9, expected cart:2.0.0"


def test_a_module_of_others_is_never_taken_for_our_jar() -> None:
    known = record("install:2.0.0", modules={"orders": module("1.0.0", 0)})
    step = decide(Situation(claim(), TARGET, known, bizzes(("orders", "1.0.0", ACTIVE)), Succeeded()))
    assert isinstance(step, Failed)
    assert step.failure.passing


def test_it_ends_although_a_base_loses_every_call() -> None:
    tired = record("install:2.0.0", attempt=MOST_ATTEMPTS)
    assert isinstance(decide(Situation(claim(), TARGET, tired, bizzes(), NeverRan())), Failed)


def test_a_claim_without_content_fails() -> None:
    assert isinstance(decide(Situation(claim(), None, record(), bizzes())), Failed)


ID = "e0-7-install-1"


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (None, Ask(ID)),
        (Told(Recorded(ID, OperationState.UNKNOWN)), Burn(ID)),
        (Told(Recorded(ID, OperationState.UNKNOWN), spent=True), Forgotten(ID)),
        (Told(Recorded(ID, OperationState.INITIALIZED)), Running(ID)),
        (Told(Recorded(ID, OperationState.EXECUTING)), Running(ID)),
        (Told(Recorded(ID, OperationState.SUCCEEDED)), None),
        (Told(Recorded(ID, OperationState.FAILED, NO.failure)), None),
        (Told(burnt=True), None),
        (Told(Recorded(ID, OperationState.INITIALIZED, module="tranche-burnt")), None),
    ],
)
def test_the_fence(told: Told | None, expected: object) -> None:
    assert fence([ID], {ID: told} if told else {}) == expected


def test_outcomes() -> None:
    assert outcome(Told(Recorded(ID, OperationState.SUCCEEDED))) == Succeeded()
    assert outcome(Told(Recorded(ID, OperationState.FAILED, NO.failure))) == NO
    assert outcome(Told(Recorded(ID, OperationState.SUCCEEDED, module="tranche-burnt"))) == NeverRan()


def test_a_step_is_written_before_it_is_sent() -> None:
    before = record(modules={"cart": module()})
    there = bizzes(("1.0.0", ACTIVE))
    after, id_ = entry.stepping(before, claim(), TARGET, Install("cart", "2.0.0"), there, ready=True, now=NOW)
    assert id_ == "e0-7-install-1"
    assert after.operation is not None
    assert (after.operation.attempt, after.operation.open) == (1, (id_,))
    assert after.modules["cart"].state == "installing"
    assert after.modules["cart"].serving == Serving(version="1.0.0", revision=1)
    down, _ = entry.stepping(before, claim(), TARGET, Uninstall("cart", "1.0.0"), there, ready=True, now=NOW)
    assert not down.modules["cart"].serves


def test_tries_are_counted_until_it_runs() -> None:
    tried = record(modules={"cart": module("2.0.0", 2, "failed", tries=2)})
    moving, _ = entry.stepping(
        tried, claim(), TARGET, Install("cart", "2.0.0"), bizzes(), ready=True, now=NOW
    )
    failed = entry.ended(moving, claim(), TARGET, Failed(NO.failure), bizzes(), ready=True, now=NOW)
    assert failed.modules["cart"].tries == 3
    done = entry.ended(moving, claim(), TARGET, Done(), bizzes(("2.0.0", ACTIVE)), ready=True, now=NOW)
    assert done.modules["cart"].tries == 0


def test_ids_of_an_operation_before_are_not_forgotten() -> None:
    left = record()
    assert left.operation is not None
    left = left.but(operation=left.operation.but(open=("e9-1-install-1",)))
    after = entry.begun(left, claim(token=8), epoch="e1", holder="f", now=NOW)
    assert after.operation is not None
    assert (after.operation.token, after.operation.open) == (8, ("e9-1-install-1",))


def test_admission() -> None:
    started = record()
    assert not admission.over(started, claim())
    assert admission.held_by(started, claim(), "e")
    assert not admission.held_by(started, claim(), "another")
    assert admission.over(started, claim(token=6))
    assert admission.over(started, claim(uid="another"))
    assert admission.over(gone(started, NOW), claim())


# --- observation ---


@pytest.mark.parametrize(
    ("before", "there", "expected"),
    [
        (None, [], None),
        (None, [("1.0.0", ACTIVE)], ("1.0.0", 0, "available", None)),
        (None, [("1.0.0", IDLE), ("2.0.0", ACTIVE)], ("2.0.0", 0, "available", None)),
        (module(), [], None),
        (module(), [("1.0.0", ACTIVE)], ("1.0.0", 1, "available", None)),
        (module(), [("1.0.0", IDLE)], ("1.0.0", 1, "inactive", None)),
        (module(), [("3.0.0", ACTIVE)], ("3.0.0", 0, "available", None)),
        (module(state="failed"), [], ("1.0.0", 1, "failed", None)),
        (module(state="failed"), [("1.0.0", ACTIVE)], ("1.0.0", 1, "available", None)),
        (module(state="failed"), [("0.9", ACTIVE)], ("1.0.0", 1, "failed", "0.9")),
        (module(state="installing"), [("1.0.0", IDLE), ("0.9", ACTIVE)], ("1.0.0", 1, "inactive", "0.9")),
    ],
)
def test_folding(before: ModuleEntry | None, there: list[Any], expected: Any) -> None:
    after = fold(before, bizzes(*there).of("cart"), NOW)
    seen = after and (after.version, after.revision, after.state, after.serving and after.serving.version)
    assert seen == expected


def test_silence_is_not_ready_and_claims_nothing_new() -> None:
    before = record(modules={"cart": module()})
    after = observe(before, POD, Silence("refused"), NOW)
    assert (after.ready, after.reason, after.modules) == (False, "PodUnreachable", before.modules)


def test_only_what_changed_is_written_but_every_ten_minutes() -> None:
    first = observe(None, POD, bizzes(), NOW)
    assert changed(None, first)
    soon = observe(first, POD, bizzes(), NOW + timedelta(minutes=9))
    assert not changed(first, soon)
    assert changed(first, observe(first, POD, bizzes(), NOW + timedelta(minutes=10)))
    assert changed(first, observe(first, POD, bizzes(("1.0.0", ACTIVE)), NOW))


@pytest.mark.parametrize(
    ("labels", "of_base", "limit", "problem"),
    [
        ({}, {}, None, False),
        ({SPELLINGS[2]: "0"}, {SPELLINGS[0]: "5"}, 0, False),
        ({SPELLINGS[1]: "2", SPELLINGS[0]: "3"}, {}, 3, False),
        ({}, {SPELLINGS[1]: "5"}, 5, False),
        ({SPELLINGS[0]: "-1"}, {SPELLINGS[0]: "5"}, None, True),
        ({SPELLINGS[0]: "5.0"}, {}, None, True),
    ],
)
def test_capacity(labels: dict[str, str], of_base: dict[str, str], limit: int | None, problem: bool) -> None:
    room = capacity(Pod(POD.key, "u", "h:1", labels=labels, base_labels=of_base))
    assert (room.max_modules, bool(room.problem)) == (limit, problem)
