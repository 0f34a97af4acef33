"""The table of design 1.2, and levels from counts."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tranche.contract.plan import ALL
from tranche_planner.core.batches import Counts, cuts, level, releases


@pytest.mark.parametrize(
    ("changes", "batch_count", "use_beta", "sizes"),
    [
        (10, 3, False, [3, 3, 4]),
        (10, 3, True, [1, 4, 5]),
        (10, 2, True, [1, 9]),
        (5, 4, False, [1, 1, 1, 2]),
        (3, 10, False, [1, 1, 1]),
        (1, 5, True, [1]),
        (0, 5, True, []),
        (0, 1, False, []),
        (2, 2, True, [1, 1]),
        (100, 1, False, [100]),
    ],
)
def test_sizes(changes: int, batch_count: int, use_beta: bool, sizes: list[int]) -> None:
    ends = cuts(changes, batch_count=batch_count, use_beta=use_beta)
    assert [end - begin for begin, end in pairwise((0, *ends))] == sizes


def test_scale_out_and_upgrade_at_once_installs_first() -> None:
    found = releases(Counts(present=4, updated=0, wanted=6, placeable=2), batch_count=3, use_beta=False)
    assert [(one.size, one.replicas, one.updated) for one in found] == [(2, 6, 2), (2, 6, 4), (2, 6, ALL)]


def test_installs_that_no_pod_can_take_come_last() -> None:
    counts = Counts(present=4, updated=0, wanted=6, placeable=0)
    assert [level(counts, done) for done in range(7)] == [
        (4, 0), (4, 1), (4, 2), (4, 3), (4, 4), (5, 5), (6, 6)
    ]  # fmt: skip


def test_scale_in_and_upgrade_at_once_removes_last() -> None:
    found = releases(Counts(present=6, updated=0, wanted=4, placeable=0), batch_count=3, use_beta=False)
    assert [(one.replicas, one.updated) for one in found] == [(6, 2), (6, 4), (4, ALL)]


def test_replicas_on_down_pods_are_in_no_batch() -> None:
    found = releases(
        Counts(present=10, updated=0, wanted=10, placeable=0, down=2), batch_count=2, use_beta=False
    )
    assert [(one.size, one.updated) for one in found] == [(4, 4), (4, ALL)]


def test_a_peer_with_stable_always_asks_for_every_pod() -> None:
    counts = Counts(present=4, updated=0, wanted=5, placeable=1)
    found = releases(counts, batch_count=2, use_beta=False, peer=True, stable=True)
    assert [(one.size, one.replicas, one.updated) for one in found] == [(2, ALL, 2), (2, ALL, ALL)]


def test_a_peer_without_stable_is_released_by_counts() -> None:
    counts = Counts(present=0, updated=0, wanted=5, placeable=5)
    found = releases(counts, batch_count=2, use_beta=False, peer=True, stable=False)
    assert [(one.size, one.replicas, one.updated) for one in found] == [(2, 2, 2), (3, ALL, ALL)]


@pytest.mark.parametrize(
    ("changes", "use_beta", "betas"),
    [
        (10, True, [True, False, False]),
        (10, False, [False, False, False]),
        (2, True, [True, False]),
        (2, False, [False, False]),
        (1, True, [False]),
        (0, True, []),
    ],
)
def test_the_first_of_several_is_the_beta_where_one_is_wished_for(
    changes: int, use_beta: bool, betas: list[bool]
) -> None:
    counts = Counts(present=changes, updated=0, wanted=changes, placeable=0)
    assert [one.beta for one in releases(counts, batch_count=3, use_beta=use_beta)] == betas
