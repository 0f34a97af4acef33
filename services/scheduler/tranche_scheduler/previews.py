"""Answers what-if questions about pools: by the same choice as the real one, on a copy (design 9.2)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from tranche import __version__
from tranche.bus.port import Bus, Endpoint, Request
from tranche.contract import subjects
from tranche.contract.answer import refused
from tranche.contract.placing import decode_at, home_of_record, plan_fault
from tranche.contract.preview import MOST_STEPS, LevelsQuestion
from tranche.contract.record import PodRecord
from tranche.errors import TrancheError
from tranche.runtime import Runtime
from tranche_scheduler.core.rehearsal import AT_ONCE, Rehearsal, Snapshot
from tranche_scheduler.inbox import CATCH_UP_S
from tranche_scheduler.store import PoolStore

NAME = "tranche-scheduler"
DESCRIPTION = "Says what a plan would lead to, pod by pod; nothing is changed"
MOST_PLANS = 2000
"""Levels in one question: more than there may be batches."""
PAUSE_S = 1.0
KEPT = 2
"""Rehearsals kept for their next pages."""

log = structlog.get_logger()

Key = tuple[str, str]


class Previews:
    """An endpoint that any scheduler answers: a pool kept here is known, any other one is read.

    So a pool that nobody keeps, because it has no plan yet, has its preview too.
    """

    def __init__(self, bus: Bus, runtime: Runtime, kept: Callable[[Key], Snapshot | None]) -> None:
        self._bus = bus
        self._runtime = runtime
        self._kept = kept
        self._counted: dict[tuple[str, str, int, int], Rehearsal] = {}
        """The copy of the pool that was counted last, until it is used."""
        self._performed: dict[tuple[bytes, int, int], Rehearsal] = {}

    async def run(self) -> None:
        """Until cancelled."""
        endpoint = Endpoint("preview", subjects.PREVIEWS, self.answer)
        while True:
            try:
                async with self._bus.serve(NAME, __version__, DESCRIPTION, [endpoint]):
                    await asyncio.Event().wait()
            except TrancheError as error:
                log.warning("previews cannot be served, trying again", error=str(error))
            await self._runtime.clock.sleep(PAUSE_S)

    async def answer(self, request: Request) -> bytes:
        """The levels asked for, or a refusal that says why not."""
        try:
            key = subjects.read_preview(request.subject)
            question = LevelsQuestion.decode(request.data)
        except ValueError as error:
            return refused(f"the question cannot be read: {error}").encode()
        if why := _faulty(key, question):
            return refused(why).encode()
        try:
            pool = self._kept(key) or await self._read(*key)
        except TrancheError as error:
            return refused(f"the pool cannot be read now, ask again: {error}").encode()
        rehearsal = await self._rehearse(pool, question)
        return rehearsal.answer(question.skip, min(question.limit, MOST_STEPS)).encode()

    async def _rehearse(self, pool: Snapshot, question: LevelsQuestion) -> Rehearsal:
        """The question carried out; its next page is answered from the same one while the pool stands still."""
        asked = (question.but(skip=0, limit=0).encode(), pool.revision, pool.position)
        if (known := self._performed.get(asked)) is not None:
            return known
        first = question.plans[0]
        copy = (first.name, first.module, pool.revision, pool.position)
        # Who was told the counts asks for the levels next: the same copy of the pool serves both.
        counted = self._counted.pop(copy, None)
        rehearsal = Rehearsal(pool, question.plans, self._runtime.clock.now(), counted)
        for _ in rehearsal.perform():
            await self._runtime.clock.sleep(0)
        if rehearsal.counted_only:
            self._counted = {copy: rehearsal}
            return rehearsal
        self._performed[asked] = rehearsal
        while len(self._performed) > KEPT:
            del self._performed[next(iter(self._performed))]
        return rehearsal

    async def _read(self, namespace: str, base: str) -> Snapshot:
        """A pool that is not kept here. The ledger first: what it has seen is in the stream by then."""
        held = await PoolStore(self._bus, self._runtime, namespace, base).read_ledger()
        found: dict[str, PodRecord] = {}
        records = subjects.records_of(namespace, base)
        async with self._bus.follow(subjects.AVAILABILITY, [records], start="last_per_subject") as follow:
            for index, stored in enumerate(await follow.catch_up(wait_s=CATCH_UP_S), 1):
                try:
                    record = decode_at(PodRecord, stored.data, stored.subject, home_of_record)
                except ValueError as error:
                    log.warning("a pod record cannot be read", subject=stored.subject, error=str(error))
                    continue
                found[record.pod] = record
                if index % AT_ONCE == 0:
                    await self._runtime.clock.sleep(0)
            live = [record for record in found.values() if not record.gone]
            return Snapshot(live, held.value, held.sequence, follow.position)


def _faulty(key: Key, question: LevelsQuestion) -> str:
    """Why the question makes no sense; empty: it does."""
    plans = question.plans
    if not plans:
        return "no plan was given"
    if len(plans) > MOST_PLANS:
        return f"{len(plans)} plans are too many: {MOST_PLANS} at most"
    if any((plan.namespace, plan.base) != key for plan in plans):
        return f"a plan is not for the pool {'/'.join(key)}"
    if any((plan.name, plan.module) != (plans[0].name, plans[0].module) for plan in plans):
        return "the plans are not of one deployment"
    if fault := next(filter(None, map(plan_fault, plans)), ""):
        return f"a plan contradicts itself: {fault}"
    if question.skip < 0 or question.limit < 0:
        return "skip and limit count steps: 0 or more"
    return ""
