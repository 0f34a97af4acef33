"""What follows from a saved document is said: plan, status and wake-up. Saying it again is harmless."""

from __future__ import annotations

from datetime import datetime, timedelta

from tranche.bus import cas
from tranche.bus.port import Bus
from tranche.contract import subjects
from tranche.contract.plan import Plan
from tranche.contract.status import Status
from tranche_planner.core.document import Document
from tranche_planner.core.rollout import due
from tranche_planner.core.status import status

SAY_AGAIN = timedelta(hours=24)


async def say_plan(bus: Bus, plan: Plan) -> int:
    """Publish the plan unless as new a one is there; the newest plan revision known afterwards."""
    newest = plan.revision

    def newer(found: Plan) -> bool:
        nonlocal newest
        newest = max(plan.revision, found.revision)
        return plan.revision > found.revision

    await cas.say(bus, subjects.PLANS, subjects.plan(plan.namespace, plan.base, plan.name), plan, newer=newer)
    return newest


async def say_status(bus: Bus, document: Document, now: datetime) -> int:
    """Publish the status unless one that tells the same is there already, not yet a day old; the newest
    document revision known afterwards."""
    ours = status(document, now)
    newest = document.revision

    def newer(found: Status) -> bool:
        nonlocal newest
        newest = max(document.revision, found.document_revision)
        if found.document_revision > ours.document_revision:
            return False
        # What nobody says again is forgotten by the stream in time (contract 3.2).
        if now - found.at >= SAY_AGAIN:
            return True
        if found.document_revision == ours.document_revision:
            return False
        return found.but(at=now, document_revision=ours.document_revision) != ours

    await cas.say(bus, subjects.STATUS, subjects.status(document.namespace, document.name), ours, newer=newer)
    return newest


async def ask_to_be_woken(bus: Bus, document: Document) -> None:
    """Have the broker wake a planner when time alone opens a gate."""
    if (at := due(document)) is not None:
        place = document.namespace, document.name
        await bus.schedule(subjects.schedule(*place), b"", at=at, target=subjects.wake(*place))
