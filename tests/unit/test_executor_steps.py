"""The next step, where it matters what the last one came to, what else is there, and what is said of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.executor_desk import (
    ACTIVE,
    BROKEN,
    IDLE,
    NO,
    STARTING,
    TARGET,
    bizzes,
    claim,
    module,
    record,
)
from tranche.contract.record import ModuleEntry, PodRecord, Serving
from tranche_executor.arklet.failure import Cause, Failure
from tranche_executor.arklet.operation import Operation as Recorded
from tranche_executor.arklet.operation import OperationState
from tranche_executor.arklet.wire import Biz, BizState, Bizzes
from tranche_executor.core import admission
from tranche_executor.core.fence import (
    Ask,
    Burn,
    NeverRan,
    Outcome,
    Refused,
    Running,
    Succeeded,
    Told,
    fence,
    outcome,
)
from tranche_executor.core.operation import MOST_ATTEMPTS, Situation, decide, settled_by_sight
from tranche_executor.core.step import (
    Done,
    Failed,
    Install,
    Kept,
    Step,
    Switch,
    Uninstall,
    Wait,
    about,
    word_of,
    written,
)

OURS = {"cart": module("2.0.0", 2)}
BUSY = Refused(Failure(Cause.BUSY, True, "another command runs"))
UNCLEAR = Refused(Failure(Cause.UNKNOWN, True, "no reason"))


def bringing(
    step: str,
    last: Outcome | None,
    *there: Any,
    modules: dict[str, ModuleEntry] | None = None,
    **claimed: Any,
) -> Step:
    now = Situation(claim(**claimed), TARGET, record(step, modules=modules), bizzes(*there), last)
    return decide(now)


def failed(step: Step) -> Failure:
    assert isinstance(step, Failed)
    assert step.reason == "InstallFailed"
    return step.failure


# --- what nobody counted with ---


@pytest.mark.parametrize("op", ["install", "replace"])
@pytest.mark.parametrize("there", [("1.0.0", ACTIVE), ("2.0.0", ACTIVE)])
def test_what_serves_is_not_taken_down_where_the_budget_does_not_know_of_it(op: str, there: Any) -> None:
    assert bringing("", None, there, modules={}, op=op, costs=False) == Kept(there[0])
    assert bringing("", None, there, modules={}, op=op, costs=True) == Uninstall("cart", there[0])


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        ([("1.0.0", IDLE)], Uninstall("cart", "1.0.0")),
        ([("2.0.0", BROKEN)], Uninstall("cart", "2.0.0", "clear")),
        ([("1.0.0", ACTIVE), ("2.0.0", BROKEN)], Uninstall("cart", "2.0.0", "clear")),
        ([("1.0.0", ACTIVE), ("1.5.0", ACTIVE)], Uninstall("cart", "1.0.0")),
    ],
)
def test_what_does_not_serve_alone_may_be_taken_away(there: Any, expected: Step) -> None:
    assert bringing("", None, *there, modules={}, op="install", costs=False) == expected


def test_the_old_version_retires_beside_the_new_one() -> None:
    both = [("1.0.0", ACTIVE), ("2.0.0", ACTIVE)]
    step = bringing("install:2.0.0", Succeeded(), *both, beside=True, costs=False)
    assert step == Uninstall("cart", "1.0.0", "retire")


# --- what the record says of this operation ---


@pytest.mark.parametrize(("token", "step", "attempt"), [(7, "install:2.0.0", 3), (6, "", 0), (8, "", 0)])
def test_only_this_operations_steps_count(token: int, step: str, attempt: int) -> None:
    now = Situation(claim(token=token), TARGET, record("install:2.0.0", attempt=3), bizzes())
    assert (now.step, now.attempt) == (step, attempt)
    fresh = Situation(claim(), TARGET, record().but(operation=None), bizzes())
    assert (fresh.step, fresh.attempt) == ("", 0)


def test_what_starts_is_waited_for_by_name_whatever_is_wanted() -> None:
    there = [("2.0.0", ACTIVE), ("orders", "4", STARTING)]
    waiting = bringing("", None, *there)
    assert isinstance(waiting, Wait)
    assert "orders:4" in waiting.what
    assert isinstance(bringing("", None, *there, op="remove", revision=0), Wait)
    assert isinstance(bringing("", None, *there, op="observe"), Wait)


def test_looking_needs_no_step() -> None:
    assert bringing("", None, ("1.0.0", BROKEN), op="observe") == Done()
    assert bringing("", None, op="observe") == Done()


# --- bringing the target ---


@pytest.mark.parametrize(
    ("modules", "attempt", "there", "expected"),
    [
        (OURS, 0, [("2.0.0", ACTIVE)], Done()),
        (OURS, 0, [("2.0.0", ACTIVE), ("1.0.0", IDLE)], Uninstall("cart", "1.0.0", "retire")),
        (OURS, 0, [("2.0.0", IDLE), ("1.0.0", ACTIVE)], Switch("cart", "2.0.0")),
        # Another revision with the same version is other content.
        ({"cart": module("2.0.0", 1)}, 0, [("2.0.0", ACTIVE)], Uninstall("cart", "2.0.0")),
        # Once something was sent the record of before tells nothing.
        (OURS, 1, [("2.0.0", ACTIVE)], Uninstall("cart", "2.0.0")),
        ({"cart": module("1.0.0", 2)}, 0, [("2.0.0", ACTIVE)], Uninstall("cart", "2.0.0")),
        ({"orders": module("2.0.0", 2)}, 0, [("2.0.0", ACTIVE)], Uninstall("cart", "2.0.0")),
    ],
)
def test_what_is_there_is_kept_only_where_it_is_known_to_be_the_target(
    modules: dict[str, ModuleEntry], attempt: int, there: list[Any], expected: Step
) -> None:
    now = Situation(claim(), TARGET, record(attempt=attempt, modules=modules), bizzes(*there))
    assert decide(now) == expected


@pytest.mark.parametrize("word", ["install", "switch", "retire"])
def test_what_this_operation_brought_is_its_own(word: str) -> None:
    assert bringing(f"{word}:2.0.0", Succeeded(), ("2.0.0", ACTIVE)) == Done()


@pytest.mark.parametrize("word", ["clear", "uninstall"])
def test_what_is_there_before_the_target_was_sent_is_not_it(word: str) -> None:
    assert bringing(f"{word}:1.0.0", Succeeded(), ("2.0.0", ACTIVE)) == Uninstall("cart", "2.0.0")


def test_a_state_nobody_knows_is_waited_for_by_name() -> None:
    waiting = bringing("install:2.0.0", Succeeded(), ("2.0.0", BizState.UNKNOWN))
    assert isinstance(waiting, Wait)
    assert "cart:2.0.0" in waiting.what
    assert "unknown" in waiting.what


@pytest.mark.parametrize(
    ("step", "last", "expected"),
    [
        ("switch:2.0.0", BUSY, Failed(BUSY.failure)),
        ("switch:2.0.0", NeverRan(), Switch("cart", "2.0.0")),
        ("switch:2.0.0", Succeeded(), Switch("cart", "2.0.0")),
        ("install:2.0.0", BUSY, Switch("cart", "2.0.0")),
    ],
)
def test_a_switch_is_tried_until_it_is_refused(step: str, last: Outcome, expected: Step) -> None:
    assert bringing(step, last, ("2.0.0", IDLE), beside=True) == expected


@pytest.mark.parametrize(
    ("step", "last", "expected"),
    [
        ("uninstall:1.0.0", BUSY, Failed(BUSY.failure, "UninstallFailed")),
        ("uninstall:1.0.0", Succeeded(), Uninstall("cart", "1.0.0")),
        ("uninstall:0.9", BUSY, Uninstall("cart", "1.0.0")),
        ("clear:1.0.0", BUSY, Uninstall("cart", "1.0.0")),
    ],
)
def test_what_makes_room_is_tried_until_it_is_refused(step: str, last: Outcome, expected: Step) -> None:
    assert bringing(step, last, ("1.0.0", IDLE)) == expected


def test_every_other_version_makes_room_unless_the_new_one_comes_beside() -> None:
    there = [("0.9", IDLE), ("1.0.0", ACTIVE)]
    assert bringing("", None, *there) == Uninstall("cart", "0.9")
    assert bringing("", None, *there, beside=True) == Install("cart", "2.0.0")
    assert bringing("", None, ("orders", "1.0.0", ACTIVE)) == Install("cart", "2.0.0")


@pytest.mark.parametrize("state", [BROKEN, BizState.STOPPED])
@pytest.mark.parametrize(
    ("step", "last"),
    [
        ("", None),
        ("uninstall:1.0.0", Succeeded()),
        ("install:2.0.0", NeverRan()),
        ("clear:2.0.0", NeverRan()),
    ],
)
def test_what_is_dead_is_cleared_before_it_is_installed(
    state: BizState, step: str, last: Outcome | None
) -> None:
    assert bringing(step, last, ("2.0.0", state)) == Uninstall("cart", "2.0.0", "clear")


def test_a_dead_one_that_cannot_be_cleared_fails_as_an_uninstallation() -> None:
    assert bringing("clear:2.0.0", BUSY, ("2.0.0", BROKEN)) == Failed(BUSY.failure, "UninstallFailed")


@pytest.mark.parametrize(
    ("last", "said", "cause", "words"),
    [
        (BUSY, "its words", Cause.BUSY, "another command runs"),
        (UNCLEAR, "its words", Cause.MODULE, "its words"),
        (UNCLEAR, "", Cause.MODULE, "no reason"),
        (Succeeded(), "its words", Cause.MODULE, "its words"),
        (Succeeded(), "", Cause.MODULE, "cart:2.0.0 is broken"),
        (None, "", Cause.MODULE, "cart:2.0.0 is broken"),
    ],
)
def test_why_a_module_died_is_said_by_who_knows_best(
    last: Outcome | None, said: str, cause: Cause, words: str
) -> None:
    there = Bizzes((Biz("cart", "2.0.0", BROKEN, message=said),))
    failure = failed(decide(Situation(claim(), TARGET, record("install:2.0.0"), there, last)))
    assert (failure.cause, failure.message) == (cause, words)
    assert failure.passing is (last is BUSY)


@pytest.mark.parametrize("word", ["switch", "retire"])
def test_a_target_that_was_there_and_is_no_more_has_failed(word: str) -> None:
    failure = failed(bringing(f"{word}:2.0.0", Succeeded()))
    assert (failure.cause, failure.passing) == (Cause.UNKNOWN, True)
    assert "cart:2.0.0" in failure.message


@pytest.mark.parametrize("last", [NeverRan(), BUSY, None])
def test_it_comes_again_where_the_switch_did_not_happen(last: Outcome | None) -> None:
    assert bringing("switch:2.0.0", last) == Install("cart", "2.0.0")


# --- a jar that is something else ---


KNOWN = {"orders": module("1.0.0", 0)}


@pytest.mark.parametrize(
    ("modules", "there", "undone"),
    [
        ({}, [("orders", "1.0.0", ACTIVE)], ("orders", "1.0.0")),
        (KNOWN, [("orders", "1.0.0", ACTIVE), ("search", "2", BROKEN)], ("search", "2")),
        # Another version of the module itself; the one that serves was there before.
        ({}, [("3.0.0", ACTIVE)], ("cart", "3.0.0")),
        (
            {"cart": module("2.0.0", 2, "installing", serving=Serving(version="1.0.0", revision=1))},
            [("1.0.0", ACTIVE), ("3.0.0", IDLE)],
            ("cart", "3.0.0"),
        ),
        ({"cart": module("2.0.0", 2, "installing")}, [("3.0.0", IDLE)], ("cart", "3.0.0")),
    ],
)
def test_the_one_that_came_instead_of_the_target_is_taken_away(
    modules: dict[str, ModuleEntry], there: list[Any], undone: tuple[str, str]
) -> None:
    step = bringing("install:2.0.0", Succeeded(), *there, modules=modules)
    assert step == Uninstall(*undone, "undo")


@pytest.mark.parametrize(
    "there",
    [
        [],
        [("orders", "1.0.0", ACTIVE)],
        [("search", "2", ACTIVE), ("stock", "5", ACTIVE)],
        [("orders", "1.1", IDLE)],
    ],
)
def test_nothing_is_taken_away_where_it_is_not_clear_what_came(there: list[Any]) -> None:
    failure = failed(bringing("install:2.0.0", Succeeded(), *there, modules=KNOWN))
    assert (failure.cause, failure.passing) == (Cause.UNKNOWN, True)
    assert "cart:2.0.0" in failure.message


@pytest.mark.parametrize(
    ("last", "left"), [(Succeeded(), True), (NO, True), (Succeeded(), False), (None, False)]
)
def test_a_wrong_jar_is_told_by_name_and_whether_it_is_still_there(last: Outcome | None, left: bool) -> None:
    there = [("orders", "9:1", ACTIVE)] if left else []
    failure = failed(bringing("undo:orders:9:1", last, *there))
    assert (failure.cause, failure.passing) == (Cause.ARTEFACT, False)
    assert "orders:9:1, expected cart:2.0.0" in failure.message
    assert ("removed" in failure.message) is left


def test_a_wrong_jar_that_is_gone_needs_no_second_uninstallation() -> None:
    assert failed(bringing("undo:orders:9", NeverRan(), ("search", "9", ACTIVE))).cause is Cause.ARTEFACT


# --- ends without an end ---


@pytest.mark.parametrize("attempt", [MOST_ATTEMPTS - 1, MOST_ATTEMPTS, MOST_ATTEMPTS + 1])
@pytest.mark.parametrize(
    ("op", "there", "next_", "reason"),
    [
        ("replace", [], "install:2.0.0", "InstallFailed"),
        ("remove", [("1.0.0", ACTIVE)], "uninstall:1.0.0", "UninstallFailed"),
    ],
)
def test_after_the_most_calls_it_is_given_up_and_can_be_tried_again(
    attempt: int, op: str, there: list[Any], next_: str, reason: str
) -> None:
    now = Situation(claim(op), TARGET, record(attempt=attempt), bizzes(*there))
    step = decide(now)
    if attempt < MOST_ATTEMPTS:
        assert isinstance(step, Install | Uninstall)
        return
    assert isinstance(step, Failed)
    assert (step.reason, step.failure.passing, step.failure.cause) == (reason, True, Cause.UNKNOWN)
    assert str(attempt) in step.failure.message
    assert next_ in step.failure.message


def test_twelve_calls_are_the_most() -> None:
    assert MOST_ATTEMPTS == 12


def test_whatever_needs_no_call_is_done_also_after_the_most() -> None:
    tired = record("install:2.0.0", attempt=MOST_ATTEMPTS)
    assert decide(Situation(claim(), TARGET, tired, bizzes(("2.0.0", ACTIVE)), Succeeded())) == Done()


def test_content_that_is_not_in_the_ledger_is_asked_for_by_name_and_may_come() -> None:
    failure = failed(decide(Situation(claim(revision=31), None, record(), bizzes())))
    assert (failure.cause, failure.passing) == (Cause.UNKNOWN, True)
    assert "31" in failure.message
    assert "cart" in failure.message


# --- by sight ---


@pytest.mark.parametrize(
    ("step", "there", "settled"),
    [
        ("", [], False),
        ("install:2.0.0", [("2.0.0", BROKEN)], True),
        ("install:2.0.0", [("1.0.0", ACTIVE)], False),
        ("install:2.0.0", [("orders", "2.0.0", ACTIVE)], False),
        ("install:2.0.0", [("2.0.0", ACTIVE), ("orders", "1", STARTING)], False),
        ("uninstall:1.0.0", [], True),
        ("uninstall:1.0.0", [("1.0.0", IDLE)], False),
        ("uninstall:1.0.0", [("orders", "1.0.0", ACTIVE)], True),
        ("retire:1.0.0", [("1.0.0", IDLE)], False),
        ("clear:2.0.0", [], True),
        ("undo:orders:9:1", [("orders", "9:1", ACTIVE)], False),
        ("undo:orders:9:1", [("9:1", ACTIVE)], True),
        ("undo:orders:9:1", [("orders", "9", ACTIVE)], True),
        ("uninstall:1.0.0", [("orders", "1", STARTING)], False),
    ],
)
def test_a_lost_record_is_made_up_for_by_what_is_seen(step: str, there: list[Any], settled: bool) -> None:
    now = Situation(claim(), TARGET, record(step), bizzes(*there))
    assert settled_by_sight(now, step) is settled


# --- names of steps ---


@pytest.mark.parametrize(
    ("change", "text", "word", "what"),
    [
        (Install("cart", "2.0.0"), "install:2.0.0", "install", "2.0.0"),
        (Switch("cart", "2.0.0"), "switch:2.0.0", "switch", "2.0.0"),
        (Uninstall("cart", "2.0:1"), "uninstall:2.0:1", "uninstall", "2.0:1"),
        (Uninstall("cart", "1", "clear"), "clear:1", "clear", "1"),
        (Uninstall("orders", "9:1", "undo"), "undo:orders:9:1", "undo", "orders:9:1"),
    ],
)
def test_a_step_is_read_as_it_was_written(
    change: Install | Uninstall | Switch, text: str, word: str, what: str
) -> None:
    assert written(change) == text
    assert (word_of(text), about(text)) == (word, what)
    assert (word_of(""), about("")) == ("", "")


# --- the fence ---


def test_every_id_has_to_be_over_whichever_comes_first() -> None:
    over = Told(Recorded("a", OperationState.SUCCEEDED))
    assert fence(["a", "b"], {"a": over}) == Ask("b")
    assert fence(
        ["a", "b"], {"a": Told(burnt=True), "b": Told(Recorded("b", OperationState.UNKNOWN))}
    ) == Burn("b")
    assert fence(["a", "b"], {"a": Told(Recorded("a", OperationState.EXECUTING)), "b": over}) == Running("a")
    assert fence(["a", "b"], {"a": over, "b": over}) is None
    assert fence([], {}) is None


def test_an_id_that_was_burnt_never_ran_whatever_was_known_of_it() -> None:
    unknown = Recorded("a", OperationState.UNKNOWN)
    assert fence(["a"], {"a": Told(unknown, burnt=True)}) is None
    assert outcome(Told(unknown, burnt=True)) == NeverRan()
    assert outcome(Told()) == NeverRan()


# --- admission ---


def at(**changes: Any) -> PodRecord:
    noted = record().operation
    assert noted is not None
    return record().but(operation=noted.but(**changes))


@pytest.mark.parametrize(
    ("given", "over", "begun", "held"),
    [
        (record(), False, True, True),
        (record().but(operation=None), False, False, False),
        (at(token=6), False, False, False),
        (at(token=6, state="done"), False, False, False),
        (at(token=8), True, False, False),
        (at(state="stuck"), False, True, True),
        (at(state="done"), True, True, False),
        (at(state="failed"), True, True, False),
        (at(state="unchanged"), True, True, False),
        (at(holder="another"), False, True, False),
        (record().but(uid="u2"), True, True, False),
        (record().but(gone=True), True, True, False),
    ],
)
def test_what_a_record_says_of_a_claim(given: PodRecord, over: bool, begun: bool, held: bool) -> None:
    assert admission.over(given, claim()) is over
    assert admission.begun(given, claim()) is begun
    assert admission.held_by(given, claim(), "e") is held
