"""Which claims that nobody has begun a newer plan takes back, and which it leaves (design 2.2)."""

from __future__ import annotations

import pytest

from tests.scheduler_oracle import content, entry, operation, plan, record
from tranche.contract.ledger import Claim
from tranche.contract.plan import Plan
from tranche.contract.record import PodRecord
from tranche_scheduler.core.pool import PoolView
from tranche_scheduler.core.withdrawal import superseded

TOKEN = 6


def claim(pod: str, op: str = "replace", revision: int = 2, **facts) -> Claim:
    """Nobody has begun it. Replacing costs, unless it is said otherwise."""
    facts = {"generation": 2, "costs": op == "replace", "token": TOKEN} | facts
    revision = 0 if op == "remove" else revision
    return Claim(
        pod=pod, uid="u", deployment="cart", module="cart", batch=1, op=op, revision=revision, **facts
    )


def old(pods: str) -> list[PodRecord]:
    """One replica at stable on each."""
    return [record(pod, {"cart": entry(1)}) for pod in pods]


def new(pods: str) -> list[PodRecord]:
    return [record(pod, {"cart": entry(2)}) for pod in pods]


def empty(pods: str) -> list[PodRecord]:
    return [record(pod) for pod in pods]


def begun(pod: str) -> PodRecord:
    """An executor has written itself in."""
    return record(pod, {"cart": entry(1)}, operation=operation(TOKEN, "started"))


def taken_back(told: Plan, records: list[PodRecord], *claims: Claim) -> str:
    """The pods whose claims are taken back, in order."""
    view = PoolView()
    for found in records:
        view.fold(found, view.position + 1)
    view.fold_plan(told)
    view.fold_claims({one.pod: one for one in claims})
    return "".join(sorted(superseded(view, told)))


REMOVING = plan(mode="remove", target=None, target_revisions=(), replicas=0, wanted=3)


@pytest.mark.parametrize(
    ("records", "given", "gone"),
    [
        (old("a"), claim("a"), "a"),
        ([], claim("a", "install"), "a"),
        (old("a"), claim("a", withdrawn=True), ""),
        (old("a"), claim("a", generation=3), ""),
        (old("a"), claim("a", generation=1), "a"),
        ([begun("a")], claim("a"), ""),
        ([record("a", {"cart": entry(1)}, operation=operation(TOKEN - 1))], claim("a"), "a"),
    ],
    ids=["queued", "pod unknown", "already", "newer than the plan", "older", "begun", "another before it"],
)
def test_only_what_nobody_has_begun_is_taken_back_and_only_once(
    records: list[PodRecord], given: Claim, gone: str
) -> None:
    assert taken_back(REMOVING, records, given) == gone


def test_who_takes_all_away_keeps_removals_whatever_the_promise_was() -> None:
    queued = [claim("a", "remove", costs=True), claim("b", "remove", costs=True), claim("c", "install")]
    told = REMOVING.but(max_unavailable=0)
    assert taken_back(told, [*old("ab"), *empty("c")], *queued) == "c"
    assert taken_back(told.but(held=True), [*old("ab"), *empty("c")], *queued) == "abc"


@pytest.mark.parametrize(
    ("given", "gone"),
    [
        (claim("a", "install", generation=1), "a"),
        (claim("a", "install"), ""),
        (claim("b"), "b"),
        (claim("b", costs=False), ""),
    ],
    ids=["of the generation before", "of this one", "takes one down", "takes none down"],
)
def test_while_replicas_are_counted_only_what_changes_nothing_for_users_goes_on(
    given: Claim, gone: str
) -> None:
    told = plan(mode="open", replicas=1, updated=0, max_unavailable=1)
    assert taken_back(told, [*empty("a"), *old("b")], given) == gone


@pytest.mark.parametrize("mode", ["roll", "abort"])
@pytest.mark.parametrize(
    ("given", "gone"),
    [
        (claim("a"), "a"),
        (claim("a", costs=False), "a"),
        (claim("a", "remove"), "a"),
        (claim("a", "install", costs=True), "a"),
        (claim("a", "install"), ""),
        (claim("c", "install"), ""),
    ],
    ids=["replacement", "beside", "removal", "one that costs", "repair", "lost replica"],
)
def test_a_pause_leaves_only_what_brings_replicas_back(mode: str, given: Claim, gone: str) -> None:
    told = plan(mode=mode, replicas=3, wanted=3, max_unavailable=2, held=True, held_at=3)
    assert taken_back(told, [*old("ab"), *empty("c")], given) == gone


@pytest.mark.parametrize(
    ("records", "held_at", "gone"),
    [
        ([*old("a"), *empty("c")], 2, ""),
        ([*old("a"), *empty("c")], 1, "c"),
        ([*old("a"), *empty("c")], None, "c"),
        ([*old("ac")], 1, ""),
        ([*old("ac")], None, ""),
        (old("ab"), 1, "c"),
        (old("ab"), 2, ""),
    ],
    ids=[
        "lost",
        "never there",
        "unknown count",
        "repair",
        "repair, unknown",
        "no record, beyond",
        "no record",
    ],
)
def test_under_a_pause_no_replica_is_made_that_was_not_there_before(
    records: list[PodRecord], held_at: int | None, gone: str
) -> None:
    told = plan(replicas=3, max_unavailable=2, held=True, held_at=held_at)
    assert taken_back(told, records, claim("c", "install", 1)) == gone


@pytest.mark.parametrize(
    ("given", "gone"),
    [
        (claim("a", revision=2), ""),
        (claim("a", revision=1), "a"),
        (claim("a", revision=9), "a"),
        (claim("c", "install", 2), ""),
        (claim("c", "install", 1), ""),
        (claim("c", "install", 9), "c"),
    ],
)
def test_what_leads_to_a_revision_that_nobody_wants_is_taken_back(given: Claim, gone: str) -> None:
    told = plan(replicas=3, max_unavailable=2)
    assert taken_back(told, [*old("ab"), *empty("c")], given) == gone


@pytest.mark.parametrize("mode", ["roll", "abort"])
def test_a_removal_of_what_is_surplus_stays(mode: str) -> None:
    told = plan(mode=mode, replicas=2, max_unavailable=1)
    assert taken_back(told, new("abc"), claim("c", "remove")) == ""


@pytest.mark.parametrize("mode", ["roll", "abort"])
@pytest.mark.parametrize(("updated", "gone"), [(3, ""), (2, "c"), (1, "bc"), (0, "abc")])
def test_no_more_go_to_the_target_than_the_level_says_and_the_first_by_name_keep_their_turn(
    mode: str, updated: int, gone: str
) -> None:
    told = plan(mode=mode, replicas=3, updated=updated, max_unavailable=3)
    assert taken_back(told, old("abc"), *map(claim, "abc")) == gone


def test_while_replicas_are_counted_no_level_takes_anything_back() -> None:
    told = plan(mode="open", replicas=1, updated=0)
    assert taken_back(told, empty("a"), claim("a", "install")) == ""


@pytest.mark.parametrize(
    ("records", "claims", "gone"),
    [
        # a ends unchanged: only b and c still go to the target
        (old("abc"), [claim("a", withdrawn=True), claim("b"), claim("c")], "c"),
        # a was withdrawn too late, an executor has begun: it gets there
        ([begun("a"), *old("bc")], [claim("a", withdrawn=True), claim("b")], "b"),
        # a leads to stable, so it takes no place in the level
        ([*empty("a"), *old("bc")], [claim("a", "install", 1, withdrawn=True), claim("b"), claim("c")], "c"),
        # c is there and counts, repaired or not: b is the one too many
        ([*old("b"), record("c", {"cart": entry(2, "failed")})], [claim("b"), claim("c", "install")], "b"),
        # d goes to stable, and is never in the way
        ([*new("a"), *old("b"), *empty("d")], [claim("b"), claim("d", "install", 1)], "b"),
    ],
    ids=["withdrawn", "withdrawn too late", "withdrawn, to stable", "failed before", "to stable"],
)
def test_what_takes_a_place_in_the_level(records: list[PodRecord], claims: list[Claim], gone: str) -> None:
    told = plan(replicas=3, updated=1, max_unavailable=3, failure_threshold=1)
    assert taken_back(told, records, *claims) == gone


def test_a_pause_takes_back_the_replacement_and_so_the_lost_replica_has_its_place_in_the_level() -> None:
    told = plan(replicas=2, updated=1, max_unavailable=2, held=True, held_at=2)
    assert taken_back(told, [*old("a"), *empty("b")], claim("a"), claim("b", "install")) == "a"


@pytest.mark.parametrize("mode", ["roll", "abort"])
@pytest.mark.parametrize(("replicas", "gone"), [(4, ""), (3, "d"), (2, "cd"), (1, "cd")])
def test_installations_are_taken_back_when_fewer_replicas_are_wanted(
    mode: str, replicas: int, gone: str
) -> None:
    told = plan(mode=mode, replicas=replicas, max_unavailable=2)
    installing = [claim(pod, "install") for pod in "cd"]
    assert taken_back(told, [*new("ab"), *empty("cd")], *installing) == gone


def test_a_repair_is_not_taken_back_when_fewer_are_wanted() -> None:
    """What is down there is still a replica: removing it is another claim."""
    down = record("b", {"cart": entry(2, "inactive")})
    told = plan(replicas=1, max_unavailable=2)
    assert taken_back(told, [*new("a"), down], claim("b", "install")) == ""


@pytest.mark.parametrize(("replicas", "gone"), [(3, "d"), (2, "cd")])
def test_what_is_taken_back_for_another_reason_counts_once(replicas: int, gone: str) -> None:
    told = plan(replicas=replicas, max_unavailable=2)
    wrong, right = claim("d", "install", 9), claim("c", "install")
    assert taken_back(told, [*new("ab"), *empty("cd")], right, wrong) == gone


@pytest.mark.parametrize(("replicas", "gone"), [(2, ""), (3, "d"), (4, "cd"), (9, "cd")])
def test_removals_are_taken_back_when_more_replicas_are_wanted(replicas: int, gone: str) -> None:
    told = plan(replicas=replicas, max_unavailable=9)
    assert taken_back(told, new("abcd"), claim("c", "remove"), claim("d", "remove")) == gone


def test_a_replica_that_is_to_be_placed_elsewhere_leaves_all_the_same() -> None:
    told = plan(replicas=4, max_unavailable=9, evict=("d",))
    assert taken_back(told, new("abcd"), claim("c", "remove"), claim("d", "remove")) == "c"


@pytest.mark.parametrize("mode", ["open", "roll"])
@pytest.mark.parametrize(("held", "gone"), [(True, ""), (False, "c")])
def test_numbers_take_nothing_back_while_they_are_counted_or_held(mode: str, held: bool, gone: str) -> None:
    told = plan(mode=mode, replicas=1, max_unavailable=2, held=held, held_at=3)
    found = taken_back(told, [*new("ab"), *empty("c")], claim("c", "install"))
    assert found == (gone if mode == "roll" else "")


PAIRS = plan(replicas=3, max_unavailable=1, upgrade_policy="scaleup_then_scaledown")


@pytest.mark.parametrize(
    ("told", "records", "claims", "gone"),
    [
        (PAIRS, [*old("abc"), *empty("d")], "d", ""),
        (PAIRS, [*old("abc"), *empty("de")], "de", ""),
        (PAIRS.but(replicas=2, wanted=2), [*old("a"), *new("b"), *empty("def")], "def", "ef"),
        (
            PAIRS.but(replicas=2, wanted=2, max_unavailable=2),
            [*old("a"), *new("b"), *empty("def")],
            "def",
            "f",
        ),
        (PAIRS.but(replicas=1, wanted=1), [*old("ab"), *empty("d")], "d", ""),
        (PAIRS.but(upgrade_policy="install_then_uninstall"), [*old("abc"), *empty("de")], "de", "de"),
    ],
    ids=["a pair", "old ones give way", "one pair", "two pairs", "fewer wanted", "another policy"],
)
def test_pairs_under_way_are_surplus_only_where_no_old_one_gives_way(
    told: Plan, records: list[PodRecord], claims: str, gone: str
) -> None:
    assert taken_back(told, records, *(claim(pod, "install") for pod in claims)) == gone


def test_a_new_replica_at_stable_has_no_old_one_that_gives_way_to_it() -> None:
    records = [*old("abc"), *empty("de")]
    assert taken_back(PAIRS, records, claim("d", "install", 1), claim("e", "install", 2)) == "d"


@pytest.mark.parametrize(("allowed", "gone"), [(0, "abc"), (1, "bc"), (2, "c"), (3, ""), (4, "")])
def test_a_tightened_promise_takes_back_what_it_does_not_allow(allowed: int, gone: str) -> None:
    told = plan(replicas=4, max_unavailable=allowed)
    assert taken_back(told, old("abcd"), *map(claim, "abc")) == gone


@pytest.mark.parametrize(
    ("records", "claims", "gone"),
    [
        (old("abcd"), [claim("a", withdrawn=True), claim("b"), claim("c")], "c"),
        (old("abcd"), [claim("a"), claim("b", revision=9), claim("c")], "bc"),
        (old("abcd"), [claim("a"), claim("b"), claim("c", revision=9)], "bc"),
        (old("abcd"), [claim("a"), claim("b"), claim("c", costs=False)], "b"),
        (old("abcd"), [claim("a"), claim("b"), claim("c", costs=False, withdrawn=True)], "b"),
        (
            [*old("abc"), record("d", {"cart": entry(2, "inactive")})],
            [claim("a"), claim("b"), claim("d", "install")],
            "ab",
        ),
    ],
    ids=[
        "one ends unchanged",
        "one is taken back anyway",
        "the last is taken back anyway",
        "one costs nothing",
        "one that costs nothing ends unchanged",
        "a repair",
    ],
)
def test_only_costing_claims_are_taken_back_and_each_counts_once(
    records: list[PodRecord], claims: list[Claim], gone: str
) -> None:
    assert taken_back(plan(replicas=4, max_unavailable=1), records, *claims) == gone


def test_a_peers_promise_is_of_the_pods_it_counts() -> None:
    told = plan(replicas=-1, wanted=-1, max_unavailable="50%")
    assert taken_back(told, old("abcd"), *map(claim, "abc")) == "c"


def test_other_deployments_claims_are_not_looked_at() -> None:
    told = plan(mode="abort", replicas=2, target=content(1), target_revisions=(1,), max_unavailable=1)
    assert taken_back(told, old("ab"), claim("a").but(deployment="menu", module="menu")) == ""
