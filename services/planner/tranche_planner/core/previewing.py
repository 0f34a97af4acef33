"""What a wish would lead to: the plans to ask the scheduler about, and the answer for people (design 9.2)."""

from __future__ import annotations

from dataclasses import dataclass

from tranche.contract.plan import Plan
from tranche.contract.preview import Levels, Preview, PreviewBatch
from tranche.contract.progress import Problem, Progress
from tranche_planner.core.budget import budget
from tranche_planner.core.document import Batch, Document
from tranche_planner.core.plans import plan_of
from tranche_planner.core.rollout import cut
from tranche_planner.core.status import foreign_words

OUTSIDE = 0
"""The number of what is done outside batches: surplus removed before the cutting, replicas moved, ways back."""


@dataclass(frozen=True, slots=True)
class Course:
    """A document with its batches, and the plans it leads through, each with its batch's number."""

    document: Document
    plans: tuple[Plan, ...] = ()
    numbers: tuple[int, ...] = ()


def counted(document: Document) -> Document:
    """The document as if nobody held it: what a preview starts from."""
    rollout = document.rollout.but(expired=None)
    return document.but(paused=None, frozen=None, rollout=rollout)


def course(document: Document, progress: Progress) -> Course:
    """What lies before the document, from these counts on."""
    document = counted(document)
    rollout = document.rollout
    plan = plan_of(document)
    if rollout.kind != "roll" or rollout.over:
        wanted = rollout.over and not document.evict
        return Course(document) if wanted else Course(document, (plan,), (OUTSIDE,))
    if rollout.stage == "releasing":
        return _levels(document, rollout.current, ())
    if document.spec.peer and progress.pods == 0 and document.stable is None:
        return Course(document)
    first: tuple[Plan, ...] = ()
    if surplus := progress.surplus_unavailable:
        left = progress.present - surplus
        trim = document.but(rollout=rollout.but(open_replicas=left))
        first = (plan_of(trim),)
        progress = progress.but(outcome=left)
    batches = cut(document, progress)
    document = document.but(rollout=rollout.but(batches=batches, stage="releasing", pods=progress.pods))
    if not batches:
        return Course(document, first, (OUTSIDE,) * len(first))
    return _levels(document, 1, first)


def preview(
    course: Course, levels: Levels, *, more: str | None, warnings: tuple[str, ...], held: tuple[str, ...]
) -> Preview:
    """The scheduler's answer as people read it. ``held``: what keeps it from beginning."""
    document, progress = course.document, levels.progress
    document = document.but(progress=progress)
    left = _left(document)
    told = [level.lowest_available for level in levels.levels]
    foreign = (foreign_words(progress.foreign),) if progress.foreign else ()
    batches = _batches(course, levels)
    return Preview(
        generation=document.generation,
        changes=sum(batch.size for batch in batches),
        batches=batches,
        skipped=levels.skipped,
        budget=budget(document),
        lowest_available=min([progress.available, *told]),
        confirms=_confirms(document, left),
        earliest_finish_seconds=_seconds(document, left),
        warnings=(*warnings, *foreign, *held),
        problems=_problems(levels),
        continue_=more,
    )


def nothing(document: Document, warnings: tuple[str, ...]) -> Preview:
    """The preview of a wish that is carried out already."""
    progress = document.progress
    return Preview(
        generation=document.generation,
        changes=0,
        budget=budget(document),
        lowest_available=progress.available if progress else 0,
        warnings=warnings,
    )


def _levels(document: Document, current: int, first: tuple[Plan, ...]) -> Course:
    rollout = document.rollout
    numbers = range(current, len(rollout.batches) + 1)
    plans = (plan_of(document.but(rollout=rollout.but(current=number))) for number in numbers)
    return Course(document, (*first, *plans), (*(OUTSIDE,) * len(first), *numbers))


def _batches(course: Course, levels: Levels) -> tuple[PreviewBatch, ...]:
    found: list[PreviewBatch] = []
    for number, level in zip(course.numbers, levels.levels, strict=False):
        batch = course.document.rollout.batches[number - 1] if number else None
        found.append(
            PreviewBatch(
                index=number,
                beta=batch.beta if batch else False,
                # What cannot be carried out now is still to be done; of what is under way the rest is.
                size=batch.size if batch is not None and batch.started_at is None else level.size,
                pods=level.steps,
            )
        )
    return tuple(found)


def _left(document: Document) -> tuple[Batch, ...]:
    """Batches that are still to be verified and waited behind."""
    rollout = document.rollout
    return rollout.batches[max(0, rollout.current - 1) :]


def _confirms(document: Document, left: tuple[Batch, ...]) -> int:
    if not document.spec.need_confirm or document.rollout.gateless:
        return 0
    return sum(1 for batch in left[:-1] if batch.confirmed_at is None)


def _seconds(document: Document, left: tuple[Batch, ...]) -> int:
    """Waiting times alone: nobody knows how long the installing takes."""
    waits = 0 if document.rollout.gateless else document.spec.gray_time_s
    gray = sum(waits for batch in left[:-1] if batch.promoted_at is None)
    ripe = sum(
        document.spec.min_ready_seconds for batch in left if batch.brings and batch.verified_at is None
    )
    return gray + ripe


def _problems(levels: Levels) -> tuple[Problem, ...]:
    found: dict[str, Problem] = {}
    for level in levels.levels:
        if level.blocked is not None:
            found.setdefault(level.blocked.reason, level.blocked)
    return tuple(found.values())
