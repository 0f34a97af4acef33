"""Verbs that mend or renew what is there: retry, restart, undo, replace, scale (design 1.3)."""

from __future__ import annotations

from datetime import datetime

from tranche.contract.content import Content
from tranche.contract.spec import Module
from tranche.contract.wish import spec_warnings
from tranche_planner.core.changing import rewished, with_target
from tranche_planner.core.deadline import restarted
from tranche_planner.core.decisions import Decision, accept, refuse
from tranche_planner.core.document import Document, Mark, Revision
from tranche_planner.core.rollout import advance, begin
from tranche_planner.core.verification import fresh
from tranche_planner.core.wishes import Replace, Restart, Retry, Scale, Undo
from tranche_planner.core.words import replicas, signed


def retry(document: Document, wish: Retry, now: datetime) -> Decision:
    """Tries what failed again at once, or an aborted wish from the start."""
    rollout = document.rollout
    if rollout.kind == "abort":
        if not rollout.over:
            return refuse("it is being aborted: what failed on the way back is tried again by itself")
        after = document.but(generation=document.generation + 1, by=wish.by)
        after = begin(after, now, retried_at=now)
        after = after.told("Retried", f"the aborted wish is tried again{signed(wish.by, wish.reason)}")
        return accept(advance(after, now), f"generation {after.generation} tries the same wish again")
    failed = _failed(document)
    if not failed and rollout.expired is None:
        return accept(document, "nothing has failed, so nothing is tried again")
    after = restarted(document)
    after = after.but(rollout=after.rollout.but(retried_at=now, retried_plan=0))
    after = after.told("Retried", f"{_trying(failed)}{signed(wish.by, wish.reason)}")
    return accept(advance(after, now), _trying(failed))


def restart(document: Document, wish: Restart, now: datetime) -> Decision:
    """A new rollout that installs the same content again."""
    target = document.target_content
    counts = [one.content.restarts for one in document.revisions if _alike(one.content, target)]
    content = target.but(restarts=max(counts) + 1)
    after = document.but(generation=document.generation + 1, by=wish.by)
    after = begin(with_target(after, content, now), now)
    words = f"{content.module} {content.version} is installed again on every replica"
    after = after.told("Accepted", f"generation {after.generation}: {words}{signed(wish.by, wish.reason)}")
    return accept(advance(after, now), f"generation {after.generation}: {words}")


def undo(document: Document, wish: Undo, now: datetime) -> Decision:
    """A new rollout of an older revision's content."""
    if document.rollout.kind == "abort" and not document.rollout.over:
        return refuse("it is being aborted, which goes back already: wait for it, then undo")
    revision = _undone(document, wish.revision)
    if revision is None:
        return _no_revision(document, wish.revision)
    content = revision.content
    going = document.rollout.kind == "roll" and content.same_as(document.target_content)
    if going:
        return accept(document, f"revision {content.revision} ({content.version}) is the wish already")
    module = Module(
        name=content.module,
        version=content.version,
        url=content.url,
        sha256=content.sha256,
        args=content.args,
    )
    spec = document.spec.but(module=module)
    after = document.but(spec=spec, generation=document.generation + 1, by=wish.by)
    after = begin(with_target(after, content, now), now, gateless=wish.fast)
    fast = ", without gates" if wish.fast else ""
    words = f"back to revision {content.revision} ({content.version}){fast}"
    after = after.told("RolledBack", f"generation {after.generation}: {words}{signed(wish.by, wish.reason)}")
    return accept(advance(after, now), f"generation {after.generation}: {words}")


def replace(document: Document, wish: Replace, mark: Mark, now: datetime) -> Decision:
    """Takes a replica off a pod, within the budget, and places it anew by policy."""
    if document.spec.peer:
        return refuse(
            "a peer has one replica on every pod, so there is no other pod to place it on: "
            "use restart to install it again",
            field="pod",
        )
    if document.rollout.kind == "abort" and not document.rollout.over:
        return refuse("it is being aborted: wait for it, then replace")
    if wish.pod in document.evict:
        return accept(document, f"the replica on {wish.pod} is being replaced already")
    # The event's own time: the same event again finds a younger replica there, and leaves it alone.
    at = max(filter(None, (document.evicted_at, mark.time or now)))
    after = document.but(evict=(*document.evict, wish.pod), evicted_at=at, evict_plan=0)
    words = f"the replica on {wish.pod} is taken off and placed anew"
    return accept(after.told("Accepted", f"{words}{signed(wish.by, wish.reason)}"), words)


def scale(document: Document, wish: Scale, now: datetime) -> Decision:
    """Changes the number of replicas alone."""
    before = document.spec.replicas
    if document.spec.peer:
        return refuse(
            "got a number for a peer, which follows the pods of its base (replicas -1); expected none: "
            "apply a manifest with another spec.replicas to give that up",
            field="replicas",
        )
    if wish.replicas == before:
        return accept(document, f"it has {replicas(before)} already")
    spec = document.spec.but(replicas=wish.replicas)
    after = rewished(document, spec, now).but(by=wish.by)
    words = f"from {before} to {replicas(wish.replicas)}"
    after = after.told("Scaled", f"generation {after.generation}: {words}{signed(wish.by, wish.reason)}")
    message = f"generation {after.generation}: {words}"
    return accept(advance(after, now), message, spec_warnings(spec))


def _failed(document: Document) -> int:
    progress = document.progress
    return progress.failed + progress.retrying if progress is not None and fresh(document) else 0


def _trying(failed: int) -> str:
    return f"{replicas(failed)} that failed will be tried again at once" if failed else "its time begins anew"


def _alike(one: Content, other: Content) -> bool:
    return one.but(restarts=0).same_as(other.but(restarts=0))


def _undone(document: Document, number: int | None) -> Revision | None:
    """The revision to go back to: the one named, or the last that completed with another content."""
    if number is not None:
        return next((one for one in document.revisions if one.content.revision == number), None)
    target = document.target_content
    before = [
        one
        for one in document.revisions
        if one.outcome == "completed" and one.finished_at is not None and not one.content.same_as(target)
    ]
    return max(before, key=lambda one: (one.finished_at, one.content.revision), default=None)


def _no_revision(document: Document, number: int | None) -> Decision:
    if number is None:
        return refuse("no other revision ever completed, so there is nothing to go back to")
    known = ", ".join(f"{one.content.revision} ({one.content.version})" for one in document.revisions[-20:])
    return refuse(f"got revision {number}; expected one that is kept: {known}", field="revision")
