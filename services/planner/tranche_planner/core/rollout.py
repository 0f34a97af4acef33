"""How a rollout goes on: counted, cut, released batch by batch, completed (design 1.2, 1.3, 2.1)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import assert_never

from tranche.contract.plan import Plan
from tranche.contract.progress import Progress
from tranche_planner.core.batches import Counts, releases
from tranche_planner.core.deadline import ends, expired, overdue, risen
from tranche_planner.core.document import Batch, Document, Mark, Rollout, Stopwatch
from tranche_planner.core.gates import gray_end, shut
from tranche_planner.core.leaving import rolled_back
from tranche_planner.core.plans import answered, needed, plan_of
from tranche_planner.core.rescaling import batch_of, followed, installs_first
from tranche_planner.core.verification import (
    abandoned,
    degraded,
    given_up,
    mended,
    removed,
    unanswering,
    verified,
)
from tranche_planner.core.words import replicas

_TICK = timedelta(milliseconds=1)
"""Times are kept in whole milliseconds, rounded down."""


def observe(document: Document, progress: Progress, mark: Mark, now: datetime) -> Document:
    """What follows from the scheduler's newest counts; older ones change nothing.

    The stream's order counts, because counts are published only behind what they are newer than: after lost
    history they begin again with a lower revision of the ledger, and must be heard all the same.
    """
    if progress.base != document.spec.base or document.plan is None:
        return document
    if document.last_progress == mark or document.last_progress.supersedes(mark):
        return document
    if progress.plan_revision > document.plan.revision:
        return outrank(document, progress.plan_revision)
    if _of_another(document.plan, progress):
        return document.but(plan=document.plan.but(revision=document.plan.revision + 1))
    failing = given_up(document) > 0
    document = risen(document, progress, now) if document.rollout.kind == "roll" else document
    document = document.but(
        progress=progress,
        last_progress=mark,
        observed_generation=max(document.observed_generation, min(progress.generation, document.generation)),
    )
    if given_up(document) and not failing:
        words = next((one.message for one in progress.problems if one.reason == "InstallFailed"), "")
        count = given_up(document)
        document = document.told("InstallFailed", words or f"{replicas(count)} failed and were given up")
    return advance(_mended(_replaced(document)), now)


def _of_another(plan: Plan, progress: Progress) -> bool:
    """Whether the counts answer another plan of the same number: one of the two was forgotten."""
    known = bool(plan.nonce and progress.plan_nonce)
    return known and plan.revision == progress.plan_revision and plan.nonce != progress.plan_nonce


def outrank(document: Document, plan_revision: int, document_revision: int = 0) -> Document:
    """What follows from a plan or status of ours that we do not remember: history was lost. Ours must be newer
    than those before anything else is said (decision 0005)."""
    if document.plan is not None and plan_revision > document.plan.revision:
        document = document.but(plan=document.plan.but(revision=plan_revision + 1))
    if document_revision > document.revision:
        document = document.but(revision=document_revision)
    return document


def unheard(document: Document) -> int:
    """The number of a plan that no scheduler has answered; 0: the last one was answered."""
    plan, progress = document.plan, document.progress
    if plan is None or (progress is not None and progress.plan_revision >= plan.revision):
        return 0
    return plan.revision


def said_anew(revision: int, document: Document, now: datetime) -> Document:
    """The same plan under the next number, where it is still the one that nobody answered: whoever follows plans
    may have read past it, in a stream that was shorter then."""
    document = wake(document, now)
    if document.plan is None or unheard(document) != revision:
        return document
    return document.but(plan=document.plan.but(revision=revision + 1))


def wake(document: Document, now: datetime) -> Document:
    """What follows from time alone."""
    return advance(document, now)


def due(document: Document) -> datetime | None:
    """When time alone may change something: open a gate, end a freeze, or the progress deadline; None: never."""
    frozen = document.frozen.until if document.frozen else None
    deadline = ends(document)
    # While the deadline's clock runs, no gate waits for time.
    times = [one for one in (frozen, deadline or _gray_over(document)) if one is not None]
    return min(times) if times else None


def _gray_over(document: Document) -> datetime | None:
    batch = document.rollout.batch
    if batch is None or document.rollout.last_batch:
        return None
    end = gray_end(document, batch)
    return end + _TICK if end else None


def advance(document: Document, now: datetime) -> Document:
    """All steps that are possible now, one after another."""
    while True:
        after = _step(document, now)
        if after is document:
            return document
        document = after


def _step(document: Document, now: datetime) -> Document:
    """The next step; the same document when there is none."""
    rollout = document.rollout
    match rollout.stage:
        case "opening":
            return _open(document, now)
        case "releasing" if rollout.kind == "roll":
            return _fail(document, now) or installs_first(document) or _verify(document, now)
        case "releasing":
            return _end(document)
        case "over":
            return document
        case _:
            assert_never(rollout.stage)


def _open(document: Document, now: datetime) -> Document:
    progress = document.progress
    if progress is None or document.hold is not None or not answered(document):
        return document
    if progress.surplus_unavailable > 0:
        # Surplus replicas that are not available go first, outside batches and gates (design 1.2).
        fewer = progress.present - progress.surplus_unavailable
        if fewer == document.rollout.open_replicas:
            return document
        return document.but(rollout=document.rollout.but(open_replicas=fewer))
    if document.spec.peer and progress.pods == 0 and document.stable is None:
        return document  # no pod of the base is known yet: there is nothing to be on
    batches = cut(document, progress)
    rollout = document.rollout.but(batches=batches, stage="releasing", pods=progress.pods)
    if not batches:
        return _complete(document.but(rollout=rollout), now)
    return _release(document.but(rollout=rollout), 1, now)


def cut(document: Document, progress: Progress) -> tuple[Batch, ...]:
    """The batches that lead from what was counted to what is wanted."""
    spec = document.spec
    counts = Counts(
        # What is under way ends as meant, and cannot be called back.
        present=progress.outcome,
        updated=progress.outcome_updated,
        wanted=progress.pods if spec.peer else spec.replicas,
        placeable=progress.placeable,
        down=progress.down,
    )
    found = releases(
        counts,
        batch_count=spec.batch_count,
        use_beta=spec.use_beta,
        peer=spec.peer,
        stable=document.stable is not None,
    )
    return tuple(map(batch_of, found))


def _release(document: Document, index: int, now: datetime) -> Document:
    progress = document.progress
    before = progress.updated_available if progress else 0
    rollout = document.rollout.but(current=index, watch=Stopwatch())
    rollout = rollout.with_batch(index, started_at=now, available_before=before)
    batch = rollout.batches[index - 1]
    message = f"batch {index} of {len(rollout.batches)} is released: {replicas(batch.size)}"
    return document.but(rollout=rollout).told("BatchReleased", message)


def _verify(document: Document, now: datetime) -> Document:
    rollout, batch = document.rollout, document.rollout.batch
    if batch is None or not verified(document):
        return document
    if batch.verified_at is None:
        progress = document.progress
        count = progress.updated_available if progress else 0
        message = (
            f"batch {rollout.current} of {len(rollout.batches)} is verified: "
            f"{count} available at {document.spec.module.version}"
        )
        seen = rollout.with_batch(rollout.current, verified_at=now)
        return document.but(rollout=seen).told("BatchVerified", message)
    if rollout.last_batch:
        return _complete(document, now)
    if rollout.expired is not None or shut(document, now):
        return document
    document = followed(document)
    if document.rollout.last_batch:
        # A peer whose pods went away meanwhile has nothing left to change: once more, for all that is there.
        return document
    return _release(document, rollout.current + 1, now)


def _fail(document: Document, now: datetime) -> Document | None:
    """What a deadline or failures lead to; None: nothing."""
    if overdue(document, now):
        document = expired(document, now)
    elif not degraded(document) or not document.spec.auto_rollback:
        return None
    return rolled_back(document, now) if document.spec.auto_rollback else document


def _complete(document: Document, now: datetime) -> Document:
    document = document.ended(document.target, "completed", now)
    rollout, progress = document.rollout, document.progress
    scarred = bool(rollout.batches) and progress is not None and progress.failed > 0
    document = document.but(
        stable=document.target,
        stable_replicas=document.spec.replicas,
        rollout=rollout.but(
            stage="over",
            expired=None,
            watch=Stopwatch(),
            scarred=scarred,
        ),
    )
    words = f"generation {document.generation} is complete at {document.spec.module.version}"
    return document.trimmed().told("RolloutCompleted", words)


def _end(document: Document) -> Document:
    """An abort or a deletion that has done its work."""
    aborting = document.rollout.kind == "abort"
    stable = document.stable_content
    done = verified(document) if aborting and stable else removed(document)
    left = document.rollout.abandon and abandoned(document)
    if not done and not left:
        return document
    rollout = document.rollout.but(stage="over")
    if not done and document.progress is not None:
        rollout = rollout.but(left=unanswering(document.progress), left_count=document.progress.present)
    document = document.but(rollout=rollout)
    if not aborting:
        return document.but(paused=None, frozen=None).told("Deleted", deleted_words(document))
    if stable is None:
        return document.told("Aborted", "the first installation was aborted and what it installed is removed")
    return document.told("Aborted", f"aborted: back at {stable.version}")


def deleted_words(document: Document) -> str:
    """What a deletion ended with, for people."""
    rollout = document.rollout
    if not rollout.left_count:
        return "all replicas are uninstalled; generations go on if it is applied again"
    more = rollout.left_count - len(rollout.left)
    pods = ", ".join(rollout.left) + (f" and {more} more" if more > 0 else "")
    return (
        f"{replicas(rollout.left_count)} left behind on pods that do not answer: {pods}; restart those bases to be "
        "rid of the module; all others are uninstalled"
    )


def begin(document: Document, now: datetime, **more: object) -> Document:
    """Start a rollout of the document's wish: count first, release nothing yet."""
    rollout = Rollout(first_generation=document.generation, started_at=now, by=document.by)
    return document.but(rollout=rollout.but(**more))


def _replaced(document: Document) -> Document:
    """The document without the pods that replicas were taken off and placed anew."""
    progress = document.progress
    if not document.evict or progress is None or not 0 < document.evict_plan <= progress.plan_revision:
        return document
    whole = progress.present >= needed(plan_of(document))
    if not answered(document) or progress.moving or not whole:
        return document
    # One that is done with is a place for the next, and may be the only one.
    left = tuple(pod for pod in document.evict if pod not in progress.emptied) if progress.evicting else ()
    if left == document.evict:
        return document
    return document.but(evict=left, evicted_at=document.evicted_at if left else None)


def _mended(document: Document) -> Document:
    """The document without the memory of failures within the threshold, once they are mended."""
    if document.rollout.scarred and mended(document):
        return document.but(rollout=document.rollout.but(scarred=False))
    return document
