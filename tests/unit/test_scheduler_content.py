"""A number on a pod that stands for another content than the same number in the plan (design 1: at the target)."""

from __future__ import annotations

from tests.scheduler_oracle import entry, plan, record
from tranche_scheduler.core.standing import Kind, standing


def test_the_same_number_with_another_version_is_not_the_target() -> None:
    told = plan(stable=None, stable_revisions=())
    ours = standing(record("a", {"cart": entry(2)}), None, told)
    theirs = standing(record("a", {"cart": entry(2, version="1.0.0")}), None, told)
    assert (ours.updated, ours.kind) == (True, Kind.CURRENT)
    assert (theirs.updated, theirs.available, theirs.kind) == (False, True, Kind.OTHER)


def test_the_same_number_with_another_version_is_not_stable() -> None:
    assert standing(record("a", {"cart": entry(1)}), None, plan()).kind is Kind.STABLE
    assert standing(record("a", {"cart": entry(1, version="0.9.0")}), None, plan()).kind is Kind.OTHER
