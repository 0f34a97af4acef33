"""What follows from a saved document is said: plan, status and wake-up. Saying it again is harmless."""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime, timedelta
from typing import NamedTuple

from tranche.bus import cas
from tranche.bus.port import Bus
from tranche.contract import subjects
from tranche.contract.plan import Plan
from tranche.contract.status import Status
from tranche.errors import Conflict
from tranche_planner.core.document import Document
from tranche_planner.core.rollout import due
from tranche_planner.core.status import status

SAY_AGAIN = timedelta(hours=24)
REMEMBERED = 10_000
"""Deployments whose last plan is remembered."""


class Plans:
    """Says plans, each behind the one before it. What was said here last need not be read again."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._said: OrderedDict[str, _Said] = OrderedDict()

    async def see_to(self, plan: Plan) -> None:
        """Publish the plan unless it was published here, or as new a one is there."""
        last = self._said.get(subjects.plan(plan.namespace, plan.base, plan.name))
        if last is None or last.revision < plan.revision:
            await self.say(plan)

    async def say(self, plan: Plan) -> int:
        """Publish the plan unless as new a one is there; the newest plan revision known afterwards."""
        subject = subjects.plan(plan.namespace, plan.base, plan.name)
        last = self._said.pop(subject, None)
        expect = last.sequence if last is not None and last.revision < plan.revision else None
        while True:
            if expect is None:
                found = await self._bus.last(subjects.PLANS, subject)
                if found is not None and (newest := _outranked(found.data, plan)) >= plan.revision:
                    return newest
                expect = found.sequence if found is not None else 0
            try:
                sequence = await self._bus.publish(subject, plan.encode(), expect=expect, headers=cas.HEADERS)
            except Conflict:
                expect = None
                continue
            self._remember(subject, _Said(plan.revision, sequence))
            return plan.revision

    def _remember(self, subject: str, said: _Said) -> None:
        self._said[subject] = said
        while len(self._said) > REMEMBERED:
            self._said.popitem(last=False)


class _Said(NamedTuple):
    revision: int
    sequence: int


def _outranked(data: bytes, plan: Plan) -> int:
    """The revision of a plan that is there, or one above where it says something else under the number of ours: its
    document was forgotten. One that nobody can read is replaced."""
    try:
        found = Plan.decode(data)
    except ValueError:
        return -1
    if found.revision == plan.revision and found != plan:
        return plan.revision + 1
    return found.revision


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
