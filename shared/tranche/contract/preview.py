"""What would happen: the question to a pool's scheduler, and the answer people get (contract 3.1, design 9.2)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tranche.contract.message import Message
from tranche.contract.plan import Plan
from tranche.contract.progress import Problem, Progress
from tranche.contract.status import BudgetStatus

MOST_STEPS = 20_000
"""Steps in one answer at most; fewer where their names are long, so that it stays below 1 MiB."""
PAGE_BYTES = 800_000

StepKind = Literal["install", "replace", "remove"]


class LevelsQuestion(Message):
    """Asked at ``subjects.preview``: carry these plans out, one after the other, on a copy of the pool.

    The first one's counts are answered as ``progress``, before anything was carried out. ``skip``, ``limit``: which
    part of all steps is wanted.
    """

    plans: tuple[Plan, ...]
    skip: int = 0
    limit: int = MOST_STEPS


class PreviewStep(Message):
    """One pod, and what is done there. Versions are None where there is none, or nobody knows which."""

    pod: str
    step: StepKind
    from_: str | None = Field(default=None, alias="from")
    to: str | None = None


class Skipped(Message):
    """Pods or replicas that are passed over, and why."""

    reason: str
    count: int
    pods: tuple[str, ...] = ()


class Level(Message):
    """What one plan leads to, in the order in which the pods are taken."""

    steps: tuple[PreviewStep, ...] = ()
    size: int = 0
    """All steps of the level, those left out by ``skip`` and ``limit`` too."""
    lowest_available: int = 0
    """The fewest replicas available at any moment, when each operation takes the same time."""
    rounds: int = 0
    """Waves of operations, one after the other, that the budget leads to."""
    blocked: Problem | None = None


class Levels(Message):
    """The scheduler's answer."""

    progress: Progress
    levels: tuple[Level, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    more: bool = False


class PreviewBatch(Message):
    """One batch with its exact pods."""

    index: int
    beta: bool = False
    size: int = 0
    pods: tuple[PreviewStep, ...] = ()


class Preview(Message):
    """What a manifest, or the wish as it stands, would lead to; nothing was changed."""

    generation: int
    changes: int
    """Replicas that need a change; 0: nothing would happen."""
    batches: tuple[PreviewBatch, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    budget: BudgetStatus
    lowest_available: int
    confirms: int = 0
    earliest_finish_seconds: int = 0
    """Gray times and minReadySeconds alone; installing and confirming come on top."""
    warnings: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    continue_: str | None = Field(default=None, alias="continue")
