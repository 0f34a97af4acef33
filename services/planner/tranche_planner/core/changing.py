"""A changed wish: a new generation, and what of a running rollout survives it (design 1.2)."""

from __future__ import annotations

from datetime import datetime

from tranche.contract.content import Content
from tranche.contract.spec import PEER, Change, Spec, cuts_anew, difference
from tranche_planner.core.deadline import restarted
from tranche_planner.core.document import Document, Revision
from tranche_planner.core.rescaling import rescaled
from tranche_planner.core.rollout import begin


def rewished(document: Document, spec: Spec, now: datetime) -> Document:
    """The document with another wish as its next generation; what of it was cut stays where it can."""
    changes, before = difference(document.spec, spec), document.spec.replicas
    after = document.but(spec=spec, generation=document.generation + 1, by=None)
    if Change.CONTENT in changes:
        after = with_target(after, content_of(spec, 0), now)
    after = after.trimmed()
    if _starts_anew(document, spec, changes):
        return begin(after, now)
    after = restarted(after)
    return rescaled(after, before) if Change.SCALE in changes else after


def with_target(document: Document, content: Content, now: datetime) -> Document:
    """The document with this content as its next revision, and as what the wish asks for."""
    number = document.next_revision
    revision = Revision(
        content=content.but(revision=number), generation=document.generation, by=document.by, started_at=now
    )
    document = document.ended(document.target, "superseded", now)
    revisions = (*document.revisions, revision)
    return document.but(revisions=revisions, next_revision=number + 1, target=number).trimmed()


def content_of(spec: Spec, number: int) -> Content:
    """What a wish installs."""
    module = spec.module
    return Content(
        revision=number,
        module=module.name,
        version=module.version,
        url=module.url,
        sha256=module.sha256,
        args=module.args,
    )


def _starts_anew(document: Document, spec: Spec, changes: frozenset[Change]) -> bool:
    rollout = document.rollout
    if cuts_anew(changes) or rollout.kind != "roll":
        return True
    if Change.SCALE not in changes:
        return False
    # Nothing is cut yet, or no longer under way; and a peer is cut by other rules.
    return rollout.stage != "releasing" or PEER in (document.spec.replicas, spec.replicas)
