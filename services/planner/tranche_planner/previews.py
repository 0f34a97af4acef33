"""Asks the scheduler what would happen, and changes nothing (design 2.4, 9.2)."""

from __future__ import annotations

from datetime import datetime

from tranche.bus.port import Bus
from tranche.contract import subjects
from tranche.contract.answer import RefusedAnswer, read_answer, refused
from tranche.contract.plan import Plan
from tranche.contract.preview import MOST_STEPS, Levels, LevelsQuestion, Preview
from tranche.errors import TrancheError, Unavailable, Unknown
from tranche_planner.core.document import Document
from tranche_planner.core.gates import shut, told
from tranche_planner.core.plans import plan_of
from tranche_planner.core.previewing import counted, course, nothing, preview
from tranche_planner.core.status import foreign_words

ANSWER_S = 6.0
"""A preview asks twice, and a client waits for 15 seconds."""
WARN_S = 1.0
HOLDS = ("pause", "freeze")


async def foreign_warnings(bus: Bus, document: Document) -> tuple[str, ...]:
    """What to know of replicas that somebody else installed; nothing where nobody tells in time."""
    try:
        levels = await _levels(bus, document, (plan_of(document),), timeout_s=WARN_S, limit=0)
    except (TrancheError, ValueError):
        return ()
    foreign = levels.progress.foreign if isinstance(levels, Levels) else ()
    return (foreign_words(foreign),) if foreign else ()


async def preview_of(
    bus: Bus, document: Document, warnings: tuple[str, ...], now: datetime, *, skip: int, limit: int
) -> Preview | RefusedAnswer:
    """The preview of a document, steps after ``skip``. Raises Unavailable and Unknown."""
    limit = min(limit, MOST_STEPS)
    gates = [told(gate, document) for gate in shut(document, now)]
    held = tuple(f"nothing begins yet: {gate.message}" for gate in gates if gate.gate in HOLDS)
    if document.rollout.over and not document.evict:
        return nothing(document, warnings)
    begin = plan_of(counted(document))
    first = await _levels(bus, document, (begin,), timeout_s=ANSWER_S, limit=0)
    if isinstance(first, RefusedAnswer):
        return first
    ahead = course(document, first.progress)
    if not ahead.plans:
        return nothing(ahead.document.but(progress=first.progress), (*warnings, *held))
    levels = await _levels(bus, document, ahead.plans, timeout_s=ANSWER_S, skip=skip, limit=limit)
    if isinstance(levels, RefusedAnswer):
        return levels
    shown = sum(len(level.steps) for level in levels.levels)
    more = str(skip + shown) if levels.more else None
    return preview(ahead, levels, more=more, warnings=warnings, held=held)


async def _levels(
    bus: Bus, document: Document, plans: tuple[Plan, ...], *, timeout_s: float, limit: int, skip: int = 0
) -> Levels | RefusedAnswer:
    question = LevelsQuestion(plans=plans, skip=skip, limit=limit)
    subject = subjects.preview(document.namespace, document.spec.base)
    try:
        data = await bus.request(subject, question.encode(), timeout_s=timeout_s)
    except Unavailable as error:
        raise Unavailable(f"no scheduler answers for pool {_pool(document)}: {error}") from error
    try:
        return Levels.decode(data)
    except ValueError as error:
        try:
            answer = read_answer(data)
        except ValueError:
            raise Unknown(
                f"the scheduler's answer for pool {_pool(document)} cannot be understood"
            ) from error
        if isinstance(answer, RefusedAnswer):
            return answer
        return refused(f"the scheduler of pool {_pool(document)} answered without a preview")


def _pool(document: Document) -> str:
    return f"{document.namespace}/{document.spec.base}"
