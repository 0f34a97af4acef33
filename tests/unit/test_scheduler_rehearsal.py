"""What a preview answers: steps in order, rounds, the lowest availability, what is passed over (design 9.2)."""

from __future__ import annotations

from tests.scheduler_oracle import NOW, content, entry, operation, plan, record, serving
from tranche.contract.ledger import Claim, Frozen, Ledger
from tranche.contract.plan import ALL
from tranche_scheduler.core.rehearsal import DOWN, TAKEN_OVER, Rehearsal, Snapshot

LEDGER = Ledger(namespace="shop", base="web", epoch="e", counter=9)


def rehearse(records, *plans, ledger=LEDGER, skip=0, limit=100):
    rehearsal = Rehearsal(Snapshot(records, ledger, 7, 20), plans, NOW)
    for _ in rehearsal.perform():
        pass
    return rehearsal.answer(skip, limit)


def old(*pods: str, **facts):
    return [record(pod, {"cart": entry(1)}, **facts) for pod in pods]


def told(level) -> list[str]:
    return [f"{step.step} {step.pod} {step.from_}>{step.to}" for step in level.steps]


def test_levels_follow_one_another() -> None:
    pool = [*old("a", "b", "c"), record("d")]
    common = {"replicas": 4, "wanted": 4, "max_unavailable": 1}
    answer = rehearse(
        pool,
        plan(**common, mode="open", updated=0),
        plan(**common, updated=2),
        plan(**common, updated=ALL),
    )
    assert (answer.progress.present, answer.progress.placeable, answer.progress.ledger_revision) == (3, 1, 7)
    opened, first, last = answer.levels
    assert (told(opened), opened.rounds, opened.lowest_available) == ([], 0, 3)
    assert told(first) == ["install d None>2.0.0", "replace a 1.0.0>2.0.0"]
    assert (first.rounds, first.lowest_available) == (2, 3)
    assert told(last) == ["replace b 1.0.0>2.0.0", "replace c 1.0.0>2.0.0"]
    assert (last.rounds, last.lowest_available, last.blocked) == (2, 3, None)


def test_a_part_of_the_steps() -> None:
    pool = old("a", "b", "c", "d")
    levels = [plan(replicas=4, updated=2), plan(replicas=4, updated=ALL)]
    answer = rehearse(pool, *levels, skip=1, limit=2)
    assert [[step.pod for step in level.steps] for level in answer.levels] == [["b"], ["c"]]
    assert [level.size for level in answer.levels] == [2, 2]
    assert answer.more
    assert not rehearse(pool, *levels, skip=1, limit=3).more
    assert rehearse(pool, *levels, skip=9).levels[1].steps == ()


def test_what_forbids_the_next_step_is_told() -> None:
    (level,) = rehearse(old("a"), plan(replicas=1, max_unavailable="50%")).levels
    assert level.blocked is not None
    assert level.blocked.reason == "BudgetExhausted"
    answer = rehearse([record("b", cordoned=True), *old("a")], plan(replicas=2))
    assert answer.levels[0].blocked is not None
    assert [(one.reason, one.pods) for one in answer.skipped] == [("cordoned", ("b",))]
    frozen = LEDGER.but(frozen=Frozen(reason="lost", since=NOW, above=3))
    (level,) = rehearse(old("a"), plan(replicas=1), ledger=frozen).levels
    assert level.blocked is not None
    assert (level.blocked.reason, level.steps) == ("PoolFrozen", ())


def test_what_is_passed_over_is_told() -> None:
    theirs = record("t", {"cart": entry(0, version="2.0.0")})
    answer = rehearse([*old("a"), *old("b", ready=False), theirs], plan(replicas=3, max_unavailable=2))
    assert told(answer.levels[0]) == ["replace t 2.0.0>2.0.0", "replace a 1.0.0>2.0.0"]
    assert answer.levels[0].lowest_available == 1
    assert [(one.reason, one.count, one.pods) for one in answer.skipped] == [
        (TAKEN_OVER, 1, ("t",)),
        (DOWN, 1, ("b",)),
    ]
    peer = rehearse([*old("a"), record("c", max_modules=0)], plan(replicas=ALL, wanted=ALL))
    assert [one.reason for one in peer.skipped] == ["full"]


def test_what_is_under_way_ends_before_the_counting() -> None:
    running = Claim(
        pod="a",
        uid="u",
        deployment="cart",
        module="cart",
        generation=1,
        batch=1,
        op="replace",
        revision=2,
        costs=True,
        token=5,
    )
    ledger = LEDGER.but(
        claims={
            "a": running,
            "b": running.but(pod="b", token=6, revision=3),
            "c": running.but(pod="c", token=7, deployment="menu", module="menu", op="install"),
        },
        contents={"cart": {2: content(2), 3: content(3)}},
    )
    pool = [*old("a", operation=operation(5, "started")), *old("b", "c")]
    answer = rehearse(pool, plan(replicas=3, updated=0, mode="open"), plan(replicas=3), ledger=ledger)
    assert (answer.progress.updated, answer.progress.moving, answer.progress.present) == (1, 0, 3)
    assert [step.pod for step in answer.levels[1].steps] == ["b"], "c belongs to another deployment for now"


def test_time_passes_for_retries_and_until_ready() -> None:
    later = entry(2, "failed", since=NOW, tries=1, passing=True, reason="InstallFailed")
    pool = [record("a", {"cart": later}), *old("b")]
    (level,) = rehearse(pool, plan(replicas=2, max_unavailable=1, min_ready_s=60)).levels
    assert told(level) == ["install a 2.0.0>2.0.0", "replace b 1.0.0>2.0.0"]
    assert (level.lowest_available, level.rounds) == (1, 2)


def test_the_version_that_serves_is_replaced() -> None:
    beside = entry(3, "failed", serving=serving(1), reason="InstallFailed")
    (level,) = rehearse([record("a", {"cart": beside})], plan(replicas=1)).levels
    assert told(level) == ["replace a 1.0.0>2.0.0"]


def test_deleting_is_rehearsed_too() -> None:
    (level,) = rehearse(
        old("a", "b"), plan(mode="remove", target=None, target_revisions=(), replicas=0, wanted=2)
    ).levels
    assert told(level) == ["remove a 1.0.0>None", "remove b 1.0.0>None"]
    assert (level.rounds, level.lowest_available) == (2, 0)
