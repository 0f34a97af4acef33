"""Laws of cutting: nothing lost, nothing empty, as even as can be, levels that only go up."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tranche.contract.plan import ALL
from tranche_planner.core.batches import Counts, cuts, level, releases

COUNTS = st.builds(
    lambda present, updated, wanted, placeable, down: Counts(
        present, min(updated, present), wanted, placeable, min(down, present - min(updated, present))
    ),
    *(st.integers(0, 60) for _ in range(5)),
)


@given(st.integers(0, 5000), st.integers(1, 1000), st.booleans())
def test_every_change_is_in_exactly_one_batch(changes: int, batch_count: int, use_beta: bool) -> None:
    batch_count = max(batch_count, 2) if use_beta else batch_count
    ends = cuts(changes, batch_count=batch_count, use_beta=use_beta)
    sizes = [end - begin for begin, end in pairwise((0, *ends))]

    assert sum(sizes) == changes
    assert all(size > 0 for size in sizes)
    assert len(sizes) <= batch_count
    even = sizes[1:] if use_beta and changes > 1 else sizes
    assert not even or (even[0] == min(even) and even[-1] == max(even))
    assert not even or max(even) - min(even) <= 1
    if use_beta and changes:
        assert sizes[0] == 1


@given(COUNTS, st.integers(1, 20), st.booleans())
def test_levels_go_from_what_is_there_to_what_is_wanted(
    counts: Counts, batch_count: int, use_beta: bool
) -> None:
    found = releases(counts, batch_count=max(batch_count, 2), use_beta=use_beta)
    assert sum(one.size for one in found) == counts.changes
    if not found:
        return
    assert (found[-1].replicas, found[-1].updated) == (counts.wanted, ALL)
    levels = [(counts.present, counts.updated), *((one.replicas, one.updated) for one in found[:-1])]
    for (replicas, updated), (more_replicas, more_updated) in pairwise(levels):
        assert min(counts.present, counts.wanted) <= more_replicas <= max(counts.present, counts.wanted)
        assert more_updated <= more_replicas
        if counts.wanted >= counts.present:
            assert more_replicas >= replicas
            assert more_updated >= updated


@given(COUNTS)
def test_all_changes_make_what_is_wanted(counts: Counts) -> None:
    replicas, updated = level(counts, counts.changes)
    assert replicas == counts.wanted
    assert updated == min(counts.wanted, counts.updated + counts.installs + counts.replacements)


@given(COUNTS, st.integers(1, 20), st.booleans())
def test_a_peer_never_lets_go_of_a_pod(counts: Counts, batch_count: int, stable: bool) -> None:
    found = releases(counts, batch_count=max(2, batch_count), use_beta=False, peer=True, stable=stable)
    if found:
        assert (found[-1].replicas, found[-1].updated) == (ALL, ALL)
        assert not stable or all(one.replicas == ALL for one in found)
