"""How a deployment stands on a pod: what counts, what may be done there, and when it is looked at again."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.scheduler_oracle import NOW, content, entry, operation, plan, record, serving
from tests.unit.scheduler_desk import Pool
from tranche.contract.ledger import Claim
from tranche.contract.plan import ALL
from tranche_scheduler.core.eviction import evicted
from tranche_scheduler.core.maturity import min_ready
from tranche_scheduler.core.standing import Kind, Standing, queued, standing

BEFORE, AFTER = NOW - timedelta(minutes=1), NOW + timedelta(minutes=1)
REPLACE: dict[str, Any] = {"evict": ("a",), "evicted_at": NOW}
UNREMOVED = {"state": "failed", "reason": "UninstallFailed", "tries": 1}


def claim(op: str = "install", revision: int = 2, **facts: Any) -> Claim:
    """Cart's claim on pod a, token 6."""
    facts = {"deployment": "cart", "module": "cart", "token": 6} | facts
    return Claim(pod="a", uid="u", generation=2, batch=1, op=op, revision=revision, **facts)


REMOVE = claim("remove", 0)


def stands(there: Any = None, held: Claim | None = None, *, under: Any = None, **pod: Any) -> Standing:
    """How cart stands on pod a, where ``there`` runs and ``held`` is claimed."""
    return standing(record("a", {"cart": there} if there else {}, **pod), held, under or plan())


# --- what counts ---


@pytest.mark.parametrize(
    ("there", "ready", "expected"),
    [
        (entry(2), True, (True, True, True, True)),
        (entry(2), False, (True, False, True, False)),
        (entry(2, "inactive"), True, (True, False, True, False)),
        (entry(2, "inactive", serving=serving(1)), True, (True, True, True, False)),
        (entry(2, "failed", serving=serving(1)), True, (True, True, False, False)),
        (entry(1), True, (True, True, False, False)),
        (None, True, (False, False, False, False)),
    ],
)
def test_a_replica_counts_as_there_as_available_and_at_the_target(
    there: Any, ready: bool, expected: tuple[bool, ...]
) -> None:
    found = stands(there, ready=ready)
    assert (found.present, found.available, found.updated, found.updated_available) == expected


@pytest.mark.parametrize("pod", [{"gone": True}, {"terminating": True}])
@pytest.mark.parametrize("held", [None, claim("replace")])
def test_a_replica_on_a_pod_that_goes_counts_for_nothing(pod: dict[str, bool], held: Claim | None) -> None:
    assert not any(stands(entry(2), held, **pod))


@pytest.mark.parametrize(
    ("held", "available"),
    [
        (None, True),
        (claim("observe"), True),
        (claim("replace", beside=True), True),
        (claim("replace", costs=True), False),
        (claim("remove", 0, costs=True), False),
        (REMOVE, False),
        (claim("remove", 0, deployment="menu", module="menu", costs=True), True),
    ],
)
def test_what_we_are_about_to_take_down_is_not_available(held: Claim | None, available: bool) -> None:
    assert stands(entry(1), held).available is available


def test_a_number_is_at_the_target_where_the_plan_names_no_content() -> None:
    assert stands(entry(2), under=plan(target=None)).updated
    assert not stands(entry(1), under=plan(target=None)).updated
    assert stands(entry(1), under=plan(stable=None)).kind is Kind.STABLE


@pytest.mark.parametrize(
    ("there", "pod", "retrying", "given_up"),
    [
        (entry(2, "failed", tries=1, passing=True), {}, True, False),
        (entry(2, "failed", tries=3, passing=True), {}, False, True),
        (entry(2, "failed", tries=1, passing=True), {"ready": False}, False, False),
        (entry(1, "failed", tries=1, passing=True), {}, False, False),
        (entry(2, "inactive"), {}, False, False),
    ],
)
def test_only_a_failed_target_on_a_ready_pod_is_told_as_being_tried_again(
    there: Any, pod: dict[str, Any], retrying: bool, given_up: bool
) -> None:
    found = stands(there, **pod)
    assert (found.retrying, found.given_up) == (retrying, given_up)


@pytest.mark.parametrize(
    ("there", "ready", "down"),
    [
        (entry(1), False, True),
        (entry(2, "failed", tries=1, passing=True), False, True),
        (entry(1), True, False),
        (entry(2), False, False),
        (entry(2, "failed", tries=3), False, False),
        (None, False, False),
    ],
)
def test_excused_is_what_is_not_at_the_target_nor_given_up_because_its_pod_is_down(
    there: Any, ready: bool, down: bool
) -> None:
    found = stands(there, claim(), ready=ready)
    assert found.down is down
    assert found.unready is (there is not None and not ready)


def test_only_somebody_elses_other_version_is_foreign() -> None:
    assert stands(entry(0, version="0.9")).foreign == "0.9"
    assert stands(entry(0, version="2.0.0")).foreign == ""
    assert stands(entry(0, version="2.0.0"), under=plan(target=None)).foreign == "2.0.0"
    assert stands(entry(1)).foreign == ""
    assert stands(None, claim()).foreign == ""


@pytest.mark.parametrize(
    ("token", "state", "stuck"),
    [(6, "stuck", True), (6, "started", False), (5, "stuck", False)],
)
def test_stuck_is_the_operation_of_this_claim_and_no_earlier_one(token: int, state: str, stuck: bool) -> None:
    assert stands(entry(1), claim("replace"), operation=operation(token, state)).stuck is stuck


OTHERS = claim("install", deployment="menu", module="menu")


@pytest.mark.parametrize(
    ("there", "held", "pod", "busy"),
    [
        (entry(1), OTHERS, {}, True),
        (entry(2, "inactive"), OTHERS, {}, True),
        (entry(2, "failed", tries=1, passing=True), OTHERS, {}, True),
        (entry(2), OTHERS, {}, False),
        (entry(1), OTHERS, {"ready": False}, False),
        (entry(1), claim("replace"), {}, False),
        (entry(1), None, {}, False),
        (None, OTHERS, {}, False),
    ],
)
def test_a_replica_that_is_still_to_be_changed_waits_for_its_pod_while_that_is_at_work_for_another(
    there: Any, held: Claim | None, pod: dict[str, bool], busy: bool
) -> None:
    assert stands(there, held, **pod).busy is busy


# --- what will be there once the claim is over ---


@pytest.mark.parametrize(
    ("found", "waits"),
    [
        (None, True),
        (record("a"), True),
        (record("a", operation=operation(5)), True),
        (record("a", operation=operation(6, "started")), False),
        (record("a", operation=operation(7, "started")), False),
    ],
)
def test_a_claim_is_queued_until_its_own_operation_or_a_later_one_is_seen(found: Any, waits: bool) -> None:
    assert queued(claim(), found) is waits


def outlook(there: Any, held: Claim | None, **pod: Any) -> tuple[bool, ...]:
    """Present afterwards: as meant, for sure, perhaps; at the target afterwards, and on the way there."""
    found = stands(there, held, **pod)
    return found.outcome, found.surely, found.perhaps, found.outcome_updated, found.tried


@pytest.mark.parametrize(
    ("there", "held", "expected"),
    [
        (entry(2), None, (True, True, True, True, True)),
        (entry(1), None, (True, True, True, False, False)),
        (entry(2, "failed"), None, (True, True, True, False, True)),
        (None, claim("install", 2), (True, True, True, True, True)),
        (None, claim("install", 1), (True, True, True, False, False)),
        (entry(1), claim("replace", 2), (True, True, True, True, True)),
        (entry(2), REMOVE, (False, False, False, False, False)),
    ],
)
def test_a_claim_is_counted_by_its_end(there: Any, held: Claim | None, expected: tuple[bool, ...]) -> None:
    assert outlook(there, held) == expected


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        (None, (False, False, False, False, False)),
        (entry(1), (True, True, True, False, False)),
        (entry(2), (True, True, True, True, True)),
    ],
)
def test_to_ask_a_pod_changes_nothing_there(there: Any, expected: tuple[bool, ...]) -> None:
    assert outlook(there, claim("observe", 0)) == expected


def test_to_take_over_makes_what_is_there_the_target() -> None:
    theirs = entry(0, version="2.0.0")
    assert outlook(theirs, None) == (True, True, True, False, False)
    assert outlook(theirs, claim("observe", 2)) == (True, True, True, True, True)


@pytest.mark.parametrize(
    ("there", "held", "expected"),
    [
        (None, claim("install", 2), (False, False, True, False, True)),
        (None, claim("install", 1), (False, False, True, False, False)),
        (entry(1), REMOVE, (True, False, True, False, False)),
        (entry(2), REMOVE, (True, False, True, True, True)),
        (entry(1), claim("replace", 2), (True, True, True, False, True)),
    ],
)
def test_a_withdrawn_claim_that_nobody_was_seen_to_start_counts_both_ways(
    there: Any, held: Claim, expected: tuple[bool, ...]
) -> None:
    withdrawn = held.but(withdrawn=True)
    assert outlook(there, withdrawn) == expected
    assert outlook(there, withdrawn, operation=operation(5)) == expected


@pytest.mark.parametrize(
    ("there", "held"), [(None, claim("install", 2)), (entry(1), claim("replace", 2)), (entry(2), REMOVE)]
)
def test_a_withdrawn_claim_that_was_started_ends_as_it_was_meant(there: Any, held: Claim) -> None:
    begun = operation(6, "started")
    assert outlook(there, held.but(withdrawn=True), operation=begun) == outlook(there, held, operation=begun)


# --- replicas that a person wants elsewhere ---


@pytest.mark.parametrize(
    ("mode", "replicas", "leaves"),
    [
        ("roll", 2, True),
        ("abort", 2, True),
        ("roll", 0, True),
        ("roll", ALL, False),
        ("abort", ALL, False),
        ("open", 2, False),
        ("remove", 2, False),
    ],
)
def test_replace_acts_in_a_rollout_and_not_on_a_peer(mode: str, replicas: int, leaves: bool) -> None:
    told = plan(mode=mode, replicas=replicas, **REPLACE)
    assert stands(entry(1), under=told).evicting is leaves


@pytest.mark.parametrize(
    ("facts", "leaves"),
    [
        ({"since": BEFORE}, True),
        ({"since": NOW}, False),
        ({"since": AFTER}, False),
        ({"since": AFTER, **UNREMOVED}, True),
        ({"since": AFTER, "state": "failed", "reason": "InstallFailed"}, False),
        ({"since": AFTER, "state": "inactive", "reason": "UninstallFailed"}, False),
        ({"since": BEFORE, "state": "failed", "reason": "InstallFailed"}, True),
    ],
)
def test_replace_takes_what_is_older_than_the_order_or_could_not_be_taken_off(
    facts: dict[str, Any], leaves: bool
) -> None:
    there = entry(1, **facts)
    assert evicted("a", there, plan(**REPLACE)) is leaves
    assert evicted("b", there, plan(**REPLACE)) is False
    assert evicted("a", there, plan(evicted_at=NOW)) is False


def test_an_order_without_a_time_takes_whatever_is_there() -> None:
    assert evicted("a", entry(1, since=AFTER), plan(evict=("a",)))


@pytest.mark.parametrize(
    ("there", "held", "pods", "evicting"),
    [
        (None, REMOVE, ("a",), True),
        (None, claim("install"), ("a",), False),
        (entry(1, since=AFTER), claim("replace"), ("a",), False),
        (entry(1), REMOVE, ("b",), False),
        (entry(1), REMOVE, (), False),
    ],
)
def test_a_replica_leaves_its_pod_until_the_removal_is_over(
    there: Any, held: Claim, pods: tuple[str, ...], evicting: bool
) -> None:
    assert stands(there, held, under=plan(evict=pods, evicted_at=NOW)).evicting is evicting


# --- minReadySeconds ---


RIPENING = plan(min_ready_s=30)


@pytest.mark.parametrize(
    ("there", "pod", "maturing", "available"),
    [
        (entry(2, since=NOW), {}, True, False),
        (entry(2, since=NOW - timedelta(seconds=30)), {}, False, True),
        (entry(1, since=NOW), {}, False, True),
        (entry(2, "failed", since=NOW, serving=serving(1)), {}, False, True),
        (entry(2, since=NOW), {"ready": False}, False, False),
        (entry(2, "inactive", since=NOW), {}, False, False),
    ],
)
def test_only_what_runs_the_target_on_a_ready_pod_has_to_run_for_a_while(
    there: Any, pod: dict[str, Any], maturing: bool, available: bool
) -> None:
    found = stands(there, under=RIPENING, **pod)
    assert (found.maturing, found.available) == (maturing, available)


def test_what_is_being_taken_away_ripens_no_more() -> None:
    assert not stands(entry(2, since=NOW), REMOVE, under=RIPENING).maturing


def test_without_min_ready_seconds_a_replica_counts_whichever_clock_is_ahead() -> None:
    assert stands(entry(2, since=AFTER)).available


def test_to_take_everything_away_waits_for_nothing_to_ripen() -> None:
    going = plan(mode="remove", target=None, replicas=0, min_ready_s=30)
    assert min_ready(going) == 0
    assert min_ready(RIPENING) == 30
    assert stands(entry(2, since=NOW), under=going).available


# --- what could be done there ---


@pytest.mark.parametrize(
    ("there", "facts", "expected"),
    [
        (entry(2), {}, Kind.CURRENT),
        (entry(2, "inactive"), {}, Kind.BROKEN),
        (entry(2, "inactive", serving=serving(1)), {}, Kind.BESIDE),
        (entry(2, "inactive", serving=serving(1)), {"min_ready_s": 9}, Kind.BESIDE),
        (entry(2, "failed"), {}, Kind.FAILED_TARGET),
        (entry(2, "failed", serving=serving(1)), {}, Kind.FAILED_TARGET_SERVING),
        (entry(1), {}, Kind.STABLE),
        (entry(1, "inactive"), {}, Kind.DOWN_STABLE),
        (entry(1, "failed"), {}, Kind.FAILED_STABLE),
        (entry(9), {}, Kind.OTHER),
        (entry(9, "inactive"), {}, Kind.DOWN),
        (entry(9, "failed"), {}, Kind.FAILED),
        (entry(9, "failed", serving=serving(1)), {}, Kind.FAILED_SERVING),
        (entry(1, **UNREMOVED), {}, Kind.UNREMOVED),
        (entry(2, **UNREMOVED), {}, Kind.UNREMOVED),
        (entry(1, "inactive", reason="UninstallFailed"), {}, Kind.DOWN_STABLE),
        (entry(0, version="2.0.0"), {}, Kind.ADOPT),
        (entry(0, version="1.0.0"), {}, Kind.OTHER),
        (entry(9, version="2.0.0"), {}, Kind.OTHER),
        (entry(0, version="2.0.0"), {"target": None, "target_revisions": ()}, Kind.OTHER),
        (entry(2, since=NOW), {"min_ready_s": 30}, Kind.MATURING),
        (entry(1), REPLACE, Kind.EVICTED),
        (entry(2, since=BEFORE), REPLACE | {"min_ready_s": 90}, Kind.EVICTED),
        (entry(1, "inactive"), REPLACE, Kind.EVICTED_DOWN),
        (entry(1, "inactive", reason="UninstallFailed"), REPLACE, Kind.EVICTED_DOWN),
        (entry(1, "failed", reason="InstallFailed"), REPLACE, Kind.EVICTED_DOWN),
        (entry(9, "failed", reason="InstallFailed", serving=serving(1)), REPLACE, Kind.EVICTED),
        (entry(1, **UNREMOVED, since=AFTER), REPLACE, Kind.UNEVICTED),
    ],
)
def test_an_idle_replica_is_of_one_kind(there: Any, facts: dict[str, Any], expected: Kind) -> None:
    assert stands(there, under=plan(**facts)).kind is expected


@pytest.mark.parametrize(
    ("held", "pod"),
    [
        (claim("replace"), {}),
        (claim("remove", 0, deployment="menu", module="menu"), {}),
        (None, {"ready": False}),
        (None, {"operation": operation(5, "started")}),
    ],
)
def test_nothing_can_be_done_where_something_is_under_way_or_the_pod_is_down(
    held: Claim | None, pod: dict[str, Any]
) -> None:
    found = stands(entry(2, "failed", tries=1, passing=True), held, **pod)
    assert (found.kind, found.due) == (None, None)


# --- when it is looked at again ---


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("there", "facts", "due"),
    [
        (entry(2), {}, None),
        (entry(1), {}, None),
        (entry(1, "inactive"), {}, None),
        (entry(9, "failed", since=NOW, tries=1), {}, None),
        (entry(2, "failed", since=NOW, tries=1, passing=True), {}, later(5)),
        (entry(2, "failed", since=NOW, tries=3, passing=True), {}, None),
        (entry(1, "failed", since=NOW, tries=2), {}, later(30)),
        (entry(2, since=NOW), {"min_ready_s": 30}, later(30)),
        (entry(2, "failed", since=NOW, tries=3, reason="UninstallFailed"), {}, later(180)),
        (entry(2, "failed", since=NOW, tries=3, reason="UninstallFailed"), REPLACE, later(180)),
        (entry(1), REPLACE, None),
    ],
)
def test_only_what_may_be_tried_again_or_ripens_waits_and_taking_away_is_tried_for_ever(
    there: Any, facts: dict[str, Any], due: datetime | None
) -> None:
    assert stands(there, under=plan(**facts)).due == due


def test_the_next_look_is_at_what_is_due_first_whatever_it_is() -> None:
    failed = {"since": NOW, "passing": True}
    pool = Pool(
        record("a", {"cart": entry(2, "failed", tries=1, **failed)}),
        record("b", {"cart": entry(2, "failed", tries=2, serving=serving(1), **failed)}),
        record("c", {"cart": entry(1, "failed", tries=3, **failed)}),
    )
    pool.tell(plan(replicas=3, updated=2, max_unavailable=3))
    assert pool.round().next_at == later(5)


# --- which goes first ---


@pytest.mark.parametrize("revisions", [(1, 9, 9), (9, 1, 9), (9, 9, 1), (1, 1, 9), (9, 1, 1), (1, 9, 1)])
@pytest.mark.parametrize(("policy", "order"), [("scatter", "bdca"), ("stacking", "acbd")])
def test_all_that_failed_is_repaired_by_policy_whichever_revision_it_was(
    revisions: tuple[int, int, int], policy: str, order: str
) -> None:
    crowd = {"a": 3, "b": 1, "c": 2, "d": 1}
    others = {pod: {f"x{number}": entry() for number in range(count - 1)} for pod, count in crowd.items()}
    pool = Pool(
        *(
            record(pod, {"cart": entry(revision, "failed"), **others[pod]})
            for pod, revision in zip("abcd", (*revisions, 9), strict=True)
        )
    )
    pool.tell(plan(replicas=4, max_unavailable=4, scheduling_policy=policy))
    assert "".join(one.pod for one in pool.round().claims) == order


def test_a_version_that_stands_for_another_content_since_the_numbers_began_anew_is_not_the_target() -> None:
    pool = Pool(record("a", {"cart": entry(2)}))
    pool.tell(plan(replicas=1))
    assert pool.view.total("cart", "updated") == 1
    pool.tell(plan(replicas=1, target=content(2).but(version="2.1.0")))
    assert pool.view.total("cart", "updated") == 0
