"""The campaign of ``make kills`` in short: some processes die at random, a cluster loses its leaders."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.kills import strikes, wishes
from tests.kills.campaign import STREAMS, Record, Round, campaign
from tests.kills.recovery import Recovery
from tests.kills.rollout import Story
from tests.kills.strikes import LEADER, Strike, Struck
from tests.kills.summary import summary
from tests.kills.wishes import Wish
from tranche.contract import subjects

SEED = 11
"""Its first rollouts last long enough to be struck in their middle."""
LED = (subjects.bucket_stream(subjects.POOLS), subjects.AVAILABILITY)


@pytest.mark.nats
@pytest.mark.kills
async def test_processes_die_at_random_and_no_promise_is_broken(tmp_path: Path) -> None:
    record, lines = Record(SEED), list[str]()
    async with campaign(tmp_path, record, lines.append, clustered=False) as under_fire:
        await under_fire.run("alone", kills=4)
    assert not record.violations, "\n".join([f"seed {SEED}, logs in {tmp_path}", *lines])
    assert record.kills >= 4


@pytest.mark.nats
@pytest.mark.kills
async def test_a_cluster_loses_its_leaders_and_no_promise_is_broken(tmp_path: Path) -> None:
    record, lines = Record(SEED), list[str]()
    async with campaign(tmp_path, record, lines.append, clustered=True) as under_fire:
        await under_fire.round("cluster", 0, ())
        await under_fire.round("cluster", 1, [Strike((LEADER + one,), "kill", 0.2, 0.5) for one in LED])
    assert not record.violations, "\n".join([f"seed {SEED}, logs in {tmp_path}", *lines])
    assert [one.victims[0].startswith("nats-") for one in record.struck] == [True, True]


def _drawn(seed: int) -> list[object]:
    dice, standing = Random(f"{seed}"), wishes.first("cart", Random(f"{seed}"))
    services = ["planner-1", "scheduler-1", "executor-1", "executor-2", "executor-3"]
    return [
        drawn
        for number in range(300)
        for drawn in (
            wishes.draw(dice, standing, number),
            strikes.draw(dice, services, ["nats-1", "nats-2", "nats-3"], STREAMS),
        )
    ]


def test_a_seed_draws_the_same_again_and_in_the_long_run_everything() -> None:
    drawn = _drawn(1)
    assert drawn == _drawn(1)
    assert drawn != _drawn(2)
    asked = [one for one in drawn if isinstance(one, Wish)]
    assert {one.turn for one in asked} == {"", "abort", "pause", "supersede"}
    assert {one.policy for one in asked} == set(wishes.POLICIES)
    assert {True, False} == {one.confirm for one in asked} == {one.beta for one in asked}
    struck = [one for one in drawn if isinstance(one, Strike)]
    assert {one.kind for one in struck} == {"kill", "short freeze", "long freeze"}
    assert {LEADER + stream for stream in STREAMS} <= {name for one in struck for name in one.victims}
    assert {1, 2, 3} == {len(one.victims) for one in struck}


def test_the_summary_counts_victims_and_tells_the_slowest_recovery() -> None:
    wish = Wish("cart", "2.0.0", replicas=4, max_down=1)
    story = Story(wish, None, outcome="Healthy")
    both = Struck(Strike(("nats", "planner-1"), "kill", 0, 1), ("nats", "planner-1"), 1.0, 2.0)
    both.ready_s = {"nats": 0.1, "planner-1": 2.5}
    frozen = Struck(Strike(("executor-1",), "long freeze", 0, 9), ("executor-1",), 3.0, 12.0)
    backs = [Recovery(4.25, 5.0), Recovery(None, None, "nothing was left to do")]
    words = summary(Record(7, [Round("alone 1", [story], [both, frozen], backs, [], ["S1: broken"])]))
    assert "seed 7: 3 kills and freezes in 2 strikes" in words
    assert "1 strikes hit several at once" in words
    assert "violations: 1" in words
    assert "work goes on after: p50 4.25 s, p99 4.25 s, max 4.25 s (of 1)" in words
    assert "not measured: 1 nothing was left to do" in words
    assert "a killed service is ready: p50 2.50 s" in words
