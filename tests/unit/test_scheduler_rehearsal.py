"""What a preview answers: steps in order, versions, rounds, the lowest availability (design 9.2)."""

from __future__ import annotations

import pytest

from tests.scheduler_oracle import NOW, entry, plan, record, serving
from tests.unit.scheduler_desk import REHEARSED, old, rehearse, told
from tranche.contract.plan import ALL
from tranche.contract.preview import Level, PreviewStep


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


def test_a_version_that_nobody_knows_is_not_told() -> None:
    (level,) = rehearse([record("a", {"cart": entry(9, "unknown", version="")})], plan(replicas=1)).levels
    assert level == Level(
        steps=(PreviewStep(pod="a", step="install", from_=None, to="2.0.0"),), size=1, rounds=1
    )


TAKEN_OVER = "runs the target's version already: taken over, not installed again"


@pytest.mark.parametrize(
    "there",
    [
        entry(0, version="2.0.0"),
        entry(4, "failed", version="4.0.0", serving=serving(3).but(version="2.0.0")),
        entry(2, "failed", tries=1, passing=True, serving=serving(3).but(version="2.0.0")),
    ],
    ids=["somebody else's", "an earlier revision's beside what failed", "the same number beside what failed"],
)
def test_what_runs_already_is_taken_over_as_a_step_of_its_own(there) -> None:
    same = plan(replicas=2, target_revisions=(2, 3), max_unavailable=1)
    answer = rehearse([record("t", {"cart": there}), *old("a")], same)
    assert told(answer.levels[0]) == ["replace t 2.0.0>2.0.0", "replace a 1.0.0>2.0.0"]
    assert (answer.levels[0].rounds, answer.levels[0].lowest_available) == (1, 1)
    assert [(one.reason, one.count, one.pods) for one in answer.skipped] == [(TAKEN_OVER, 1, ("t",))]


def test_what_was_noted_of_plans_told_before_forbids_nothing() -> None:
    """The plans of a preview have no number yet."""
    (level,) = rehearse(old("a"), plan(replicas=1), ledger=REHEARSED.but(noted={"cart": 8})).levels
    assert told(level) == ["replace a 1.0.0>2.0.0"]
