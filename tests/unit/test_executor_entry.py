"""How one operation is written into its pod's record: nothing known is lost, nothing unseen is claimed."""

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
    STARTING,
    TARGET,
    bizzes,
    claim,
    module,
    record,
)
from tranche.contract.record import ModuleEntry, Operation, PodRecord, Serving
from tranche_executor.arklet.failure import Cause, Failure
from tranche_executor.arklet.wire import Bizzes
from tranche_executor.core import entry
from tranche_executor.core.step import Change, Done, Failed, Install, Kept, Switch, Uninstall

LATER = NOW + timedelta(hours=1)
OLD = Serving(version="1.0.0", revision=1)
NEW = Serving(version="2.0.0", revision=2)


def noted(record: PodRecord) -> Operation:
    assert record.operation is not None
    return record.operation


def unwell(**modules: ModuleEntry) -> PodRecord:
    """A record that says its base was away, with an operation that was stuck for it."""
    before = record("clear:2.0.0", attempt=3, modules=modules)
    return before.but(
        operation=noted(before).but(state="stuck", message="away", open=("e0-7-clear-3",)),
        ready=False,
        reason="PodUnreachable",
        message="away",
        base_identity="jvm-1",
    )


def step(before: PodRecord, change: Change, there: Bizzes, **claimed: Any) -> PodRecord:
    target = None if claimed.get("op") == "remove" else TARGET
    return entry.stepping(before, claim(**claimed), target, change, there, ready=True, now=LATER)[0]


# --- begun ---


def test_who_begins_writes_themselves_in_and_touches_nothing_else() -> None:
    before = record(modules={"cart": module()}).but(operation=None)
    after = entry.begun(before, claim("install", token=9), epoch="e5", holder="executor-1", now=LATER)
    assert after == before.but(
        operation=Operation(
            token=9,
            uid="u1",
            holder="executor-1",
            attempt=0,
            state="started",
            op="install",
            deployment="cart",
            epoch="e5",
            since=LATER,
        )
    )


def test_beginning_again_changes_nothing_and_taking_over_only_the_holder() -> None:
    before = unwell(cart=module())
    assert entry.begun(before, claim(), epoch="e0", holder="e", now=LATER) == before
    after = entry.begun(before, claim(), epoch="e0", holder="another", now=LATER)
    assert after == before.but(operation=noted(before).but(holder="another"))


# --- stepping ---


def test_a_step_is_noted_with_its_id_and_with_all_that_was_seen() -> None:
    before = unwell(cart=module(), orders=module("4", 0), stock=module("5", 0))
    there = bizzes(("1.0.0", ACTIVE), ("orders", "4", IDLE), ("search", "1", ACTIVE))
    after, id_ = entry.stepping(
        before, claim(), TARGET, Install("cart", "2.0.0"), there, ready=True, now=LATER
    )
    assert id_ == "e0-7-install-4"
    operation = noted(before).but(
        attempt=4, state="started", step="install:2.0.0", open=(id_,), since=LATER, message=""
    )
    moving = ModuleEntry(
        version="2.0.0",
        revision=2,
        state="installing",
        serving=OLD,
        generation=2,
        batch=1,
        token=7,
        since=LATER,
    )
    others = {
        "orders": module("4", 0, "inactive").but(since=LATER),
        "search": module("1", 0, "available").but(since=LATER),
    }
    assert after == before.but(
        ready=True,
        reason="",
        message="",
        observed_at=LATER,
        operation=operation,
        modules={"cart": moving, **others},
    )


def test_a_base_that_says_who_it_is_is_noted_and_readiness_is_the_sources() -> None:
    there = Bizzes(bizzes(("1.0.0", ACTIVE)).bizzes, base_identity="jvm-2")
    change = Uninstall("cart", "1.0.0")
    after, _ = entry.stepping(unwell(), claim(), TARGET, change, there, ready=False, now=LATER)
    assert (after.ready, after.base_identity) == (False, "jvm-2")


def test_a_switch_is_counted_but_leaves_no_id_open() -> None:
    after, id_ = entry.stepping(
        unwell(), claim(), TARGET, Switch("cart", "2.0.0"), bizzes(("2.0.0", IDLE)), ready=True, now=LATER
    )
    assert id_ == ""
    assert (noted(after).attempt, noted(after).step, noted(after).open) == (4, "switch:2.0.0", ())


@pytest.mark.parametrize(
    ("change", "serving"),
    [
        (Uninstall("cart", "1.0.0"), None),
        (Uninstall("cart", "2.0.0", "clear"), OLD),
        (Uninstall("orders", "1.0.0", "undo"), OLD),
        (Install("cart", "2.0.0"), OLD),
        (Switch("cart", "2.0.0"), OLD),
        (Switch("cart", "1.0.0"), OLD),
    ],
)
def test_what_is_being_taken_away_no_longer_serves(change: Change, serving: Serving | None) -> None:
    after = step(record(modules={"cart": module()}), change, bizzes(("1.0.0", ACTIVE)))
    assert after.modules["cart"].serving == serving


@pytest.mark.parametrize(
    ("before", "tries", "since"),
    [
        (None, 0, LATER),
        (module("2.0.0", 2, "installing", tries=2), 2, NOW),
        (module("2.0.0", 2, "failed", tries=2), 2, LATER),
        (module("1.0.0", 1, "installing", tries=2), 0, LATER),
        (module("1.0.0", 1, "failed", tries=2), 0, LATER),
    ],
)
def test_an_installation_goes_on_from_where_it_stood(
    before: ModuleEntry | None, tries: int, since: Any
) -> None:
    after = step(record(modules={"cart": before} if before else {}), Install("cart", "2.0.0"), bizzes())
    assert (after.modules["cart"].tries, after.modules["cart"].since) == (tries, since)
    assert after.modules["cart"].state == "installing"


def test_a_removal_says_so_and_keeps_whose_the_module_is() -> None:
    ours = module("2.0.0", 2, "available", generation=1, batch=3, token=2, tries=1)
    there = bizzes(("2.0.0", ACTIVE), ("1.0.0", IDLE))
    before = record(modules={"cart": ours})
    after = step(before, Uninstall("cart", "1.0.0"), there, op="remove", revision=0)
    assert after.modules == {"cart": ours.but(state="uninstalling", serving=NEW, token=7)}
    unknown = step(record(), Uninstall("cart", "1.0.0"), there, op="remove", revision=0)
    assert unknown.modules == {}


def test_a_removal_is_one_whatever_content_is_known() -> None:
    before = record(modules={"cart": module()})
    change = Uninstall("cart", "1.0.0")
    after, _ = entry.stepping(
        before, claim("remove"), TARGET, change, bizzes(("1.0.0", ACTIVE)), ready=True, now=LATER
    )
    assert after.modules["cart"] == module(state="uninstalling", token=7)
    failed = entry.ended(before, claim("remove"), TARGET, Failed(NO.failure), bizzes(), ready=True, now=LATER)
    assert (failed.modules["cart"].version, failed.modules["cart"].revision) == ("1.0.0", 1)


@pytest.mark.parametrize(
    ("before", "serving"),
    [
        (module("2.0.0", 2, "failed", serving=Serving(version="1.0.0", revision=5)), 5),
        (module("1.0.0", 4, serving=Serving(version="0.9", revision=3)), 4),
        (module("0.9", 4), 0),
        (None, 0),
    ],
)
def test_what_serves_has_the_number_it_was_noted_under(before: ModuleEntry | None, serving: int) -> None:
    found = entry.serving(before, claim(), TARGET, bizzes(("0.1", IDLE), ("1.0.0", ACTIVE)), None)
    assert found == Serving(version="1.0.0", revision=serving)


def test_the_target_serves_under_the_claims_number_and_the_idle_not_at_all() -> None:
    there = bizzes(("orders", "1.0.0", ACTIVE), ("1.0.0", BROKEN), ("2.0.0", ACTIVE))
    assert entry.serving(None, claim(), TARGET, there, None) == NEW
    assert entry.serving(None, claim(), None, there, None) == NEW.but(revision=0)
    assert entry.serving(None, claim(), TARGET, there, "2.0.0") is None


@pytest.mark.parametrize("token", [6, 8])
def test_a_record_of_another_operation_is_never_written(token: int) -> None:
    other = claim(token=token)
    with pytest.raises(ValueError, match=rf"web-1 .*{token}"):
        entry.stuck(record(), other, "away", unreachable=True, now=LATER)
    with pytest.raises(ValueError, match="web-1"):
        entry.resumed(record().but(operation=None), claim(), ready=True)


def test_the_target_serves_while_the_old_version_retires() -> None:
    before = record("install:2.0.0", modules={"cart": module()})
    after = step(before, Uninstall("cart", "1.0.0", "retire"), bizzes(("1.0.0", IDLE), ("2.0.0", ACTIVE)))
    assert after.modules["cart"].serving == NEW


def test_modules_are_noted_in_the_order_of_their_names() -> None:
    names = [f"m{number}" for number in range(20)]
    after = step(record(), Install("cart", "2.0.0"), bizzes(*((name, "1", ACTIVE) for name in names[::-1])))
    assert [name for name in after.modules if name != "cart"] == sorted(names)


# --- stuck and resumed ---


def test_what_is_stuck_says_why_and_an_unreachable_base_is_not_ready() -> None:
    before = record("install:2.0.0", modules={"cart": module()})
    operation = noted(before).but(state="stuck", message="busy")
    assert entry.stuck(before, claim(), "busy", unreachable=False, now=LATER) == before.but(
        operation=operation
    )
    assert entry.stuck(before, claim(), "busy", unreachable=True, now=LATER) == before.but(
        operation=operation, ready=False, reason="PodUnreachable", message="busy", observed_at=LATER
    )


@pytest.mark.parametrize("ready", [True, False])
def test_a_base_that_answers_again_lets_its_operation_go_on(ready: bool) -> None:
    before = unwell(cart=module())
    assert entry.resumed(before, claim(), ready=ready) == before.but(
        ready=ready, reason="", message="", operation=noted(before).but(state="started", message="")
    )


# --- ended ---


def test_what_was_left_alone_is_noted_as_it_is_seen() -> None:
    seen = bizzes(("1.0.0", ACTIVE), ("orders", "3.0.0", ACTIVE))
    after = entry.ended(record(), claim("install"), TARGET, Kept("1.0.0"), seen, ready=True, now=LATER)
    assert noted(after).state == "unchanged"
    assert noted(after).message == "cart:1.0.0 serves already, and nothing may be taken down for this"
    assert {name: (one.version, one.revision, one.state) for name, one in after.modules.items()} == {
        "cart": ("1.0.0", 0, "available"),
        "orders": ("3.0.0", 0, "available"),
    }
    assert (after.ready, after.observed_at) == (True, LATER)


def end(before: PodRecord, how: entry.End, there: Bizzes | None, **claimed: Any) -> PodRecord:
    target = None if claimed.get("op") == "remove" else TARGET
    return entry.ended(before, claim(**claimed), target, how, there, ready=True, now=LATER)


def test_a_withdrawn_claim_leaves_the_pod_as_it_was() -> None:
    before = record(modules={"cart": module()})
    before = before.but(operation=noted(before).but(open=("e9-1-install-1",)))
    after = end(before, entry.Withdrawn(), None)
    assert noted(after).message
    assert after == before.but(
        operation=noted(before).but(state="unchanged", open=(), message=noted(after).message)
    )


def test_a_base_that_was_never_reached_ends_it_unchanged_and_not_ready() -> None:
    before = record(modules={"cart": module()})
    before = before.but(operation=noted(before).but(open=("e9-1-install-1",)))
    assert end(before, entry.Unreachable("refused"), None) == before.but(
        operation=noted(before).but(state="unchanged", message="refused", open=()),
        ready=False,
        reason="PodUnreachable",
        message="refused",
        observed_at=LATER,
    )


def named(version: str = "2.0.0", **changes: Any) -> ModuleEntry:
    """Ours, installed by the claim."""
    made = ModuleEntry(
        version=version, revision=2, state="available", generation=2, batch=1, token=7, since=LATER
    )
    return made.but(**changes)


def test_what_was_installed_is_available_under_the_claims_name() -> None:
    before = unwell(cart=module("2.0.0", 2, "installing", tries=2, serving=OLD), stock=module("5", 0))
    after = end(before, Done(), bizzes(("2.0.0", ACTIVE), ("search", "1", ACTIVE)))
    assert after == before.but(
        ready=True,
        reason="",
        message="",
        observed_at=LATER,
        operation=noted(before).but(state="done", message="", open=(), since=LATER),
        modules={"cart": named(), "search": module("1", 0).but(since=LATER)},
    )


def test_without_content_what_was_seen_is_what_was_installed() -> None:
    seen = bizzes(("3.0.0", ACTIVE), ("1.0.0", IDLE))
    after = entry.ended(record(), claim("install"), None, Done(), seen, ready=True, now=LATER)
    assert after.modules == {"cart": named("3.0.0")}


def test_what_was_removed_is_no_more() -> None:
    before = record(modules={"cart": module(), "orders": module("4", 0)})
    after = end(before, Done(), bizzes(("orders", "4", ACTIVE)), op="remove", revision=0)
    assert after.modules == {"orders": module("4", 0)}
    assert noted(after).state == "done"


@pytest.mark.parametrize(
    ("before", "there", "expected"),
    [
        # Another's module at the target's version is taken over.
        (module("2.0.0", 0), [("2.0.0", ACTIVE)], named()),
        (None, [("2.0.0", ACTIVE)], named()),
        (module("2.0.0", 1), [("2.0.0", ACTIVE)], named()),
        (module("1.0.0", 2), [("2.0.0", ACTIVE)], named()),
        (module("2.0.0", 2, "inactive"), [("2.0.0", ACTIVE)], named()),
        # It was known to be there: it is available for as long as before.
        (module("2.0.0", 2), [("2.0.0", ACTIVE)], named(since=NOW)),
        # It is not the target, or does not serve: what was seen counts.
        (None, [("1.0.0", ACTIVE)], module("1.0.0", 0).but(since=LATER)),
        (module(), [("1.0.0", ACTIVE)], module()),
        (module(), [("2.0.0", IDLE), ("1.0.0", ACTIVE)], module()),
        (module("2.0.0", 2), [("2.0.0", IDLE)], module("2.0.0", 2, "inactive").but(since=LATER)),
        (module(), [], None),
        # What failed is not forgotten by looking, unless the target serves.
        (module("2.0.0", 2, "failed", tries=1), [], module("2.0.0", 2, "failed", tries=1)),
        (module("2.0.0", 2, "failed", tries=1), [("2.0.0", ACTIVE)], named()),
    ],
)
def test_looking_takes_over_what_serves_at_the_targets_version(
    before: ModuleEntry | None, there: list[Any], expected: ModuleEntry | None
) -> None:
    after = end(record(modules={"cart": before} if before else {}), Done(), bizzes(*there), op="observe")
    assert after.modules.get("cart") == expected


def test_looking_without_a_target_only_looks() -> None:
    there = bizzes(("2.0.0", ACTIVE))
    seen = module("2.0.0", 0).but(since=LATER)
    after = end(record(), Done(), there, op="observe", revision=0)
    assert after.modules == {"cart": seen}
    blind = entry.ended(record(), claim("observe"), None, Done(), there, ready=True, now=LATER)
    assert blind.modules == {"cart": seen}


def test_what_failed_says_why_what_was_tried_and_what_serves_all_the_same() -> None:
    before = unwell(cart=module("2.0.0", 2, "installing", tries=1), stock=module("5", 0))
    failure = Failure(Cause.CONTEXT_PATH, True, "path taken")
    after = end(before, Failed(failure), bizzes(("1.0.0", ACTIVE), ("search", "1", ACTIVE)))
    words = f"path taken; {failure.advice}"
    assert after == before.but(
        ready=True,
        reason="",
        message="",
        observed_at=LATER,
        operation=noted(before).but(state="failed", message=words, open=(), since=LATER),
        modules={
            "cart": named(
                state="failed",
                serving=Serving(version="1.0.0", revision=0),
                reason="InstallFailed",
                message=words,
                tries=2,
                passing=True,
            ),
            "search": module("1", 0).but(since=LATER),
        },
    )


def test_a_failure_without_advice_is_the_bases_own_words() -> None:
    assert entry.told(Failure(Cause.MODULE, False, "no bean")) == "no bean"


@pytest.mark.parametrize(
    ("before", "serves", "serving"),
    [
        (module("2.0.0", 2, "installing", serving=OLD), "1.0.0", OLD),
        (module("1.0.0", 1), "2.0.0", NEW),
    ],
)
def test_what_serves_after_a_failure_has_the_number_it_has(
    before: ModuleEntry, serves: str, serving: Serving
) -> None:
    after = end(record(modules={"cart": before}), Failed(NO.failure), bizzes((serves, ACTIVE)))
    assert after.modules["cart"].serving == serving


@pytest.mark.parametrize(
    ("before", "tries"),
    [(None, 1), (module("2.0.0", 2, "failed", tries=4), 5), (module("1.0.0", 1, "failed", tries=4), 1)],
)
def test_tries_are_of_one_revision(before: ModuleEntry | None, tries: int) -> None:
    after = end(record(modules={"cart": before} if before else {}), Failed(NO.failure), bizzes())
    assert (after.modules["cart"].tries, after.modules["cart"].passing) == (tries, False)


@pytest.mark.parametrize(
    ("before", "there", "version", "revision", "tries"),
    [
        (module("1.0.0", 4, "failed", tries=2), [("0.9", IDLE)], "1.0.0", 4, 3),
        (None, [("1.0.0", BROKEN), ("0.9", IDLE)], "1.0.0", 0, 1),
        (None, [], "", 0, 1),
    ],
)
def test_a_removal_that_failed_leaves_what_was_to_be_removed(
    before: ModuleEntry | None, there: list[Any], version: str, revision: int, tries: int
) -> None:
    given = record(modules={"cart": before} if before else {})
    how = Failed(NO.failure, "UninstallFailed")
    after = end(given, how, bizzes(*there), op="remove", revision=0).modules["cart"]
    assert (after.version, after.revision, after.tries) == (version, revision, tries)
    assert (after.state, after.reason) == ("failed", "UninstallFailed")


def test_an_installation_whose_content_is_unknown_fails_as_what_is_there() -> None:
    after = entry.ended(
        record(), claim(), None, Failed(NO.failure), bizzes(("1.0.0", ACTIVE)), ready=True, now=NOW
    )
    assert after.modules["cart"].version == "1.0.0"
    assert after.modules["cart"].serving == Serving(version="1.0.0", revision=0)


def test_an_operation_whose_content_is_unknown_says_of_its_module_what_was_known() -> None:
    before = record(modules={"cart": module("1.0.0", 4)})
    failed = entry.ended(before, claim(), None, Failed(NO.failure), bizzes(), ready=True, now=NOW)
    assert (failed.modules["cart"].version, failed.modules["cart"].revision) == ("1.0.0", 4)
    change = Uninstall("cart", "1.0.0")
    moving, _ = entry.stepping(before, claim(), None, change, bizzes(), ready=True, now=NOW)
    assert (moving.modules["cart"].version, moving.modules["cart"].state) == ("1.0.0", "uninstalling")


def test_an_end_without_a_look_claims_no_modules() -> None:
    before = record(modules={"cart": module(), "orders": module("4", 0)})
    assert end(before, Done(), None, op="remove").modules == {}


def test_modules_that_start_beside_are_noted_as_such() -> None:
    after = end(record(), Done(), bizzes(("2.0.0", ACTIVE), ("orders", "1", STARTING)))
    assert after.modules["orders"].state == "installing"
