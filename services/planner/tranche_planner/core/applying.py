"""Applying a manifest: a first wish, the same again, another one (design 1.1, 1.2, 1.3)."""

from __future__ import annotations

from datetime import datetime

from tranche.contract.answer import AcceptedAnswer, RefusedAnswer
from tranche.contract.spec import Change, Spec, difference, immutable_errors
from tranche.contract.status import StatusEvent
from tranche_planner.core.changing import content_of, rewished
from tranche_planner.core.decisions import Decision, accept, refuse
from tranche_planner.core.document import Document, Mark, Revision, Rollout
from tranche_planner.core.gates import waits_for_confirm
from tranche_planner.core.holding import confirmed, paused, resumed
from tranche_planner.core.rollout import advance
from tranche_planner.core.wishes import Apply
from tranche_planner.core.words import replicas

MANIFEST = "the manifest"


def apply(document: Document | None, wish: Apply, now: datetime) -> Decision:
    """What an applied manifest means for what is there."""
    if document is None or document.deleted:
        return _create(document, wish, now)
    if document.deleting:
        return refuse(
            f"{document.namespace}/{document.name} is being deleted; apply it again when its phase is Deleted"
        )
    if errors := immutable_errors(document.spec, wish.spec):
        return Decision(RefusedAnswer(errors=errors))
    changes = difference(document.spec, wish.spec)
    after = document
    if changes:
        after = rewished(document, wish.spec, now)
        after = after.but(event=_changed(document, wish.spec, changes, after.generation))
    after, more = _fields(document, after.but(spec=wish.spec, rejected=None), now)
    message = (
        f"generation {after.generation} is accepted" if changes else "unchanged: the same wish as before"
    )
    return accept(advance(after, now), message, (*wish.warnings, *more))


def _create(document: Document | None, wish: Apply, now: datetime) -> Decision:
    spec = wish.spec
    number = document.next_revision if document else 1
    generation = document.generation + 1 if document else 1
    content = content_of(spec, number)
    # A new life: generations, revisions and plans go on, so that newest still means latest.
    after = Document(
        namespace=spec.namespace,
        name=spec.name,
        revision=document.revision if document else 0,
        spec=spec,
        generation=generation,
        revisions=(Revision(content=content, generation=generation, started_at=now),),
        next_revision=number + 1,
        target=number,
        rollout=Rollout(first_generation=generation, started_at=now),
        plan=document.plan if document else None,
        event=_accepted(spec, generation),
        last_wish=document.last_wish if document else Mark(),
        last_hold=document.last_hold if document else Mark(),
        last_confirm=document.last_confirm if document else Mark(),
        last_promote=document.last_promote if document else Mark(),
        last_replace=document.last_replace if document else Mark(),
        last_progress=document.last_progress if document else Mark(),
    )
    if spec.pause:
        after = paused(after, MANIFEST, "spec.pause is true", now, by_manifest=True)
    answer = AcceptedAnswer(
        generation=generation, message=f"generation {generation} is accepted", warnings=wish.warnings
    )
    return Decision(answer, after, takes_pool=True)


def _changed(document: Document, spec: Spec, changes: frozenset[Change], generation: int) -> StatusEvent:
    if changes != {Change.SCALE}:
        return _accepted(spec, generation)
    return StatusEvent(
        reason="Scaled", message=f"generation {generation}: from {_many(document.spec)} to {_many(spec)}"
    )


def _many(spec: Spec) -> str:
    return "a replica on every pod" if spec.peer else replicas(spec.replicas)


def _accepted(spec: Spec, generation: int) -> StatusEvent:
    return StatusEvent(
        reason="Accepted",
        message=f"generation {generation} is accepted: {_many(spec)} of {spec.module.name} {spec.module.version}",
    )


def _fields(before: Document, after: Document, now: datetime) -> tuple[Document, tuple[str, ...]]:
    """``spec.pause`` and ``spec.confirmBatchNum``: only a change against the manifest before counts."""
    warnings: tuple[str, ...] = ()
    was, is_ = before.spec, after.spec
    if is_.pause is True and was.pause is not True and not waits_for_confirm(after):
        after = paused(after, MANIFEST, "spec.pause is true", now, by_manifest=True)
    if is_.pause is False and was.pause is not False:
        if after.paused is not None and (after.paused.by_manifest or not waits_for_confirm(after)):
            after = resumed(after, MANIFEST)
        elif waits_for_confirm(after):
            after = confirmed(after, after.rollout.current, MANIFEST, "spec.pause went to false", now)
    number = is_.confirm_batch_num
    if number and number != was.confirm_batch_num:
        if waits_for_confirm(after) and after.rollout.current == number:
            after = confirmed(after, number, MANIFEST, f"spec.confirmBatchNum went to {number}", now)
        elif not _was_confirmed(after, number):
            warnings = (f"spec.confirmBatchNum {number} confirms nothing: that batch does not wait now",)
    return after, warnings


def _was_confirmed(document: Document, number: int) -> bool:
    batches = document.rollout.batches
    return number <= len(batches) and batches[number - 1].confirmed_at is not None
