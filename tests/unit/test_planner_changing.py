"""A changed wish: what is told to the scheduler, and what starts anew (design 1.2)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.unit.planner_desk import BEGAN, Case
from tranche_planner.core.explaining import history
from tranche_planner.core.wishes import Abort

SHA = "ab" * 32


@pytest.fixture
def healthy() -> Case:
    case = Case()
    case.apply("1.0.0", replicas=10)
    case.finish()
    return case


@pytest.mark.parametrize("first", [True, False])
def test_all_of_the_module_is_told_to_the_scheduler(healthy: Case, first: bool) -> None:
    case = Case() if first else healthy
    module = {"sha256": SHA, "args": ["--color", "blue"], "url": "http://other.example/a.jar"}
    case.apply("2.0.0", replicas=10, module=module)
    target = case.plan.target
    assert target is not None
    assert (target.module, target.version, target.url) == ("cart", "2.0.0", "http://other.example/a.jar")
    assert (target.sha256, target.args) == (SHA, ("--color", "blue"))
    assert target.revision == case.status.revision == (1 if first else 2)


def test_a_revision_that_gave_way_knows_when(healthy: Case) -> None:
    healthy.later(100)
    healthy.apply("2.0.0", replicas=10)
    healthy.later(50)
    healthy.apply("3.0.0", replicas=10)
    second = history(healthy.it).revisions[1]
    assert (second.version, second.outcome) == ("2.0.0", "superseded")
    assert second.started_at == BEGAN + timedelta(seconds=100)
    assert second.finished_at == BEGAN + timedelta(seconds=150)


def test_an_aborted_wish_is_carried_out_where_only_its_gates_change(healthy: Case) -> None:
    healthy.apply("2.0.0", replicas=10, batchCount=3)
    healthy.tell()
    healthy.do(Abort())
    healthy.finish()
    assert healthy.status.phase == "Aborted"
    healthy.apply("2.0.0", replicas=10, batchCount=3, maxUnavailable=5)
    assert (healthy.status.phase, healthy.plan.mode) == ("Pending", "open")
    healthy.finish()
    assert (healthy.status.phase, healthy.status.stable_version) == ("Healthy", "2.0.0")


@pytest.mark.parametrize(("before", "after"), [(-1, 6), (6, -1)])
def test_a_peer_that_becomes_none_in_a_rollout_is_counted_anew(
    healthy: Case, before: int, after: int
) -> None:
    healthy.apply("2.0.0", replicas=before, batchCount=3)
    healthy.tell()
    assert healthy.plan.batch == 1
    healthy.apply("2.0.0", replicas=after, batchCount=3)
    assert (healthy.plan.mode, healthy.status.batch.count) == ("open", 0)
    healthy.finish()
    assert (healthy.status.phase, healthy.status.replicas) == ("Healthy", 10 if after == -1 else 6)
