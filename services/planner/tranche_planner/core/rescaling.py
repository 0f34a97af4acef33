"""What is left of a rollout, cut again: the wish's replicas changed, or a peer's pods did (design 1.2)."""

from __future__ import annotations

from tranche.contract.plan import ALL
from tranche_planner.core.batches import Counts, Release, releases
from tranche_planner.core.document import Batch, Document
from tranche_planner.core.plans import answered


def batch_of(release: Release) -> Batch:
    """A released number as the document keeps it."""
    return Batch(
        size=release.size,
        replicas=release.replicas,
        updated=release.updated,
        beta=release.beta,
        brings=release.brings,
    )


def rescaled(document: Document, before: int) -> Document:
    """The running rollout with another number of replicas than ``before``: batches and confirms are kept,
    what is left is cut again. Added replicas come at once at stable, with no stable they join what is left."""
    batch, wanted = document.rollout.batch, document.spec.replicas
    if batch is None or document.rollout.last_batch:
        # Nothing is left to be cut: what is added or removed joins the batch that is under way.
        return _with_level(document, wanted, ALL, ())
    joins = document.stable is None
    present = min(batch.replicas, wanted) if joins else max(0, batch.replicas + wanted - before)
    return _cut_again(document, present, min(batch.updated, present), wanted)


def installs_first(document: Document) -> Document | None:
    """The running rollout with what is still missing installed before anything else is replaced; None: no need.

    Where no pod could take a missing replica when the rollout was cut, or operations under way ended otherwise
    than they were counted, its batch replaces while replicas are missing. Missing ones spend the budget, so once
    they may be installed they have to come first, or both wait for each other for ever.
    """
    rollout, batch, progress = document.rollout, document.rollout.batch, document.progress
    if batch is None or progress is None or batch.replicas == ALL or batch.updated == ALL:
        return None
    if progress.blocked != "BudgetExhausted" or progress.moving or not answered(document):
        return None
    left = batch.updated - progress.updated - progress.failed - progress.retrying
    replicas = progress.present + min(left, progress.placeable)
    if replicas <= batch.replicas:
        return None
    batches = tuple(
        one
        if index < rollout.current or one.replicas == ALL
        else one.but(replicas=max(one.replicas, replicas))
        for index, one in enumerate(rollout.batches, start=1)
    )
    return document.but(rollout=rollout.but(batches=batches))


def followed(document: Document) -> Document:
    """A peer's rollout cut again behind a verified batch, where pods came or went since it was cut."""
    rollout, batch, progress = document.rollout, document.rollout.batch, document.progress
    if not document.spec.peer or batch is None or progress is None or progress.pods == rollout.pods:
        return document
    updated = batch.updated
    if updated == ALL:
        return document
    updated = min(updated, progress.outcome_updated + progress.failed)
    present = progress.outcome if document.stable is not None else updated
    document = document.but(rollout=rollout.but(pods=progress.pods))
    return _cut_again(document, present, updated, progress.pods)


def _cut_again(document: Document, present: int, updated: int, wanted: int) -> Document:
    spec, rollout, progress = document.spec, document.rollout, document.progress
    counts = Counts(
        present=present,
        updated=updated,
        wanted=wanted,
        placeable=max(0, wanted - present),
        down=progress.down if progress else 0,
    )
    left = max(1, spec.batch_count - rollout.current)
    cut = releases(
        counts, batch_count=left, use_beta=False, peer=spec.peer, stable=document.stable is not None
    )
    if not cut:
        return _with_level(document, ALL if spec.peer else wanted, ALL, ())
    following = spec.peer and document.stable is not None
    return _with_level(document, ALL if following else present, updated, tuple(map(batch_of, cut)))


def _with_level(document: Document, replicas: int, updated: int, rest: tuple[Batch, ...]) -> Document:
    rollout = document.rollout
    current = rollout.batches[: rollout.current]
    if current:
        current = (*current[:-1], current[-1].but(replicas=replicas, updated=updated))
    return document.but(rollout=rollout.but(batches=(*current, *rest)))
