"""Cutting a rollout into batches: how many changes each one releases, and as which level (design 1.2)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from tranche.contract.plan import ALL


@dataclass(frozen=True, slots=True)
class Counts:
    """What is there when the cutting starts. ``wanted``: how many in all; ``down``: replicas not at the target
    on pods that are down; ``placeable``: missing ones that some pod could take now."""

    present: int
    updated: int
    wanted: int
    placeable: int
    down: int = 0

    @property
    def installs(self) -> int:
        return max(0, self.wanted - self.present)

    @property
    def removals(self) -> int:
        return max(0, self.present - self.wanted)

    @property
    def replacements(self) -> int:
        # Replicas on down pods hold up no batch: they get the target when their pod returns.
        return max(0, min(self.present, self.wanted) - self.updated - self.down)

    @property
    def changes(self) -> int:
        return self.installs + self.replacements + self.removals


@dataclass(frozen=True, slots=True)
class Release:
    """One batch: so many changes, told to the scheduler as so many ``replicas``, ``updated`` of them."""

    size: int
    replicas: int
    updated: int
    beta: bool = False
    brings: int = 0


def cuts(changes: int, *, batch_count: int, use_beta: bool) -> tuple[int, ...]:
    """Cumulative changes released after each batch; the last equals ``changes``.

    >>> cuts(10, batch_count=3, use_beta=False), cuts(10, batch_count=3, use_beta=True)
    ((3, 6, 10), (1, 5, 10))
    >>> cuts(0, batch_count=3, use_beta=True)
    ()
    """
    if changes <= 0:
        return ()
    if use_beta and changes > 1:
        rest = changes - 1
        return (1, *(1 + cut for cut in _even(rest, batch_count - 1)))
    return _even(changes, batch_count)


def releases(
    counts: Counts, *, batch_count: int, use_beta: bool, peer: bool = False, stable: bool = True
) -> tuple[Release, ...]:
    """The batches of a rollout from what is there; empty when nothing needs a change.

    A ``peer`` with a ``stable`` revision always asks for every pod, so joining pods get stable; without one it
    is released by counts, and every pod in the last batch.

    >>> ten = Counts(present=10, updated=0, wanted=10, placeable=0)
    >>> releases(ten, batch_count=3, use_beta=True)[1]
    Release(size=4, replicas=10, updated=5, beta=False, brings=4)
    """
    following = peer and stable
    counts = Counts(
        present=counts.present,
        updated=counts.updated,
        wanted=counts.present if following else counts.wanted,
        placeable=counts.placeable,
        down=counts.down,
    )
    ends = (0, *cuts(counts.changes, batch_count=batch_count, use_beta=use_beta))
    found: list[Release] = []
    for index, (begin, end) in enumerate(pairwise(ends), start=1):
        replicas, updated = level(counts, end)
        brings = brought(counts, end) - brought(counts, begin)
        if index == len(ends) - 1:
            replicas, updated = ALL if peer else counts.wanted, ALL
        beta = index == 1 and use_beta and counts.changes > 1
        found.append(Release(end - begin, ALL if following else replicas, updated, beta, brings))
    return tuple(found)


def level(counts: Counts, done: int) -> tuple[int, int]:
    """Replicas and how many of them at the target, after so many changes: installs, replacements, removals,
    and at last the installs that no pod can take now.

    >>> level(Counts(present=2, updated=0, wanted=5, placeable=1), 2)
    (3, 2)
    """
    installs, replaced, removed = _parts(counts, done)
    replicas = counts.present + installs - removed
    return replicas, min(replicas, counts.updated + installs + replaced)


def brought(counts: Counts, done: int) -> int:
    """How many of so many changes bring a replica to the target."""
    installs, replaced, _ = _parts(counts, done)
    return installs + replaced


def _parts(counts: Counts, done: int) -> tuple[int, int, int]:
    """So many changes as installs, replacements and removals."""
    installs = min(done, counts.installs, max(0, counts.placeable))
    replaced = min(done - installs, counts.replacements)
    removed = min(done - installs - replaced, counts.removals)
    return done - replaced - removed, replaced, removed


def _even(changes: int, batches: int) -> tuple[int, ...]:
    """Sizes differ by at most one, the first is a smallest and the last a largest one."""
    count = max(1, min(batches, changes))
    return tuple(index * changes // count for index in range(1, count + 1))
