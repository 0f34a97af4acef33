"""The beats of every handler: load, decide, save, say. Whatever is decided is decided in ``core``."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import structlog

from tranche.bus.cas import Held
from tranche.bus.port import Bus, Stored
from tranche.contract import subjects
from tranche.contract.answer import AcceptedAnswer, RefusedAnswer, refused
from tranche.contract.placing import decode_at, home_of_record
from tranche.contract.progress import Progress
from tranche.contract.record import PodRecord
from tranche.errors import Conflict, Refused, TrancheError
from tranche.runtime import Runtime
from tranche_planner.bells import Bells
from tranche_planner.core.document import Document, Mark
from tranche_planner.core.rollout import due, observe, outrank, wake
from tranche_planner.core.settling import settled
from tranche_planner.core.verbs import decide, reject
from tranche_planner.core.wishes import Apply, Replace, Wish
from tranche_planner.freezes import Freezes
from tranche_planner.metrics import Metrics
from tranche_planner.previews import foreign_warnings
from tranche_planner.saying import Plans, ask_to_be_woken, say_status
from tranche_planner.store import Owner, Store
from tranche_planner.turns import Turns

TRIES = 30
"""So often a decision is made anew because another planner was faster."""

SIDE_BY_SIDE = 50
"""Deployments that are decided anew at once when a freeze begins or ends."""

Change = Callable[[Document, datetime], Document]


@dataclass(slots=True)
class Desk:
    """What handlers work with. All methods raise Unavailable or Unknown when the bus does not answer, and
    Conflict when others were faster too often: the message comes again then."""

    bus: Bus
    runtime: Runtime
    store: Store
    metrics: Metrics
    turns: Turns
    plans: Plans
    freezes: Freezes
    bells: Bells

    def now(self) -> datetime:
        """The time, in the whole milliseconds that documents keep."""
        return milliseconds(self.runtime.clock.now())

    async def wish(
        self, place: tuple[str, str], wish: Wish, mark: Mark, *, again: bool
    ) -> AcceptedAnswer | RefusedAnswer:
        """Carry out an intent. ``again``: it may have been saved before by one who could not say it."""
        async with self.turns.of(place):
            for _ in range(TRIES):
                held = await self.store.load(*place)
                now = self.now()
                before = held.value if held else None
                # A freeze that is known holds whatever follows from the wish.
                decision = decide(self.freezes.under(before, now) if before else None, wish, mark, now)
                after = decision.document
                if after is None:
                    if again and before is not None:
                        await self._say(before, before, again=True)
                    return decision.answer
                if isinstance(wish, Replace) and (missing := await self._missing(before, after, wish)):
                    return missing
                after = settled(after, self.freezes.under(after, now), now)
                answer = decision.answer
                try:
                    owner = await self.store.own(after) if decision.takes_pool else None
                except Refused as error:
                    return refused(f"whose the module is cannot be told: {error}")
                if owner is not None:
                    return _owned(after, owner)
                if decision.takes_pool and isinstance(answer, AcceptedAnswer):
                    warnings = await foreign_warnings(self.bus, after)
                    answer = answer.but(warnings=(*answer.warnings, *warnings))
                try:
                    await self._save(held, after, again=again)
                except Conflict:
                    continue
                except Refused as error:
                    return refused(f"this cannot be kept: {error}")
                return answer
            raise Conflict(f"{'/'.join(place)}: others were faster {TRIES} times")

    async def tried(
        self, before: Document | None, wish: Apply
    ) -> tuple[Document | RefusedAnswer, tuple[str, ...]]:
        """What a manifest would make of the document, and what to warn of; nothing is kept."""
        now = self.now()
        last = before.last_wish if before else Mark()
        mark = Mark(sequence=last.sequence + 1, time=now)
        decision = decide(self.freezes.under(before, now) if before else None, wish, mark, now)
        if isinstance(decision.answer, RefusedAnswer):
            return decision.answer, ()
        after = decision.document or before
        assert after is not None
        if decision.takes_pool and (owner := await self.store.owner(after)) is not None:
            return _owned(after, owner), ()
        return self.freezes.under(after, now), decision.answer.warnings

    async def note_refusal(
        self, place: tuple[str, str], verb: str, answer: RefusedAnswer, mark: Mark
    ) -> None:
        """Show a refused event in the status, where there is one."""
        await self.change(place, lambda document, now: reject(document, verb, answer, mark, now))

    async def progress(self, progress: Progress, mark: Mark, *, again: bool) -> None:
        """Act on the scheduler's newest counts."""
        place = progress.namespace, progress.name
        held = await self.change(place, partial(_observed, progress, mark), again=again)
        plan = held.value.plan if held is not None else None
        if plan is not None and progress.plan_revision < plan.revision:
            # Whoever saved the plan may not have come to say it, and what it followed from is not there any more.
            await self.plans.see_to(plan)

    async def wake(self, place: tuple[str, str]) -> None:
        """Act on the time. The bell may ring early by another clock: then it is set again."""
        held = await self.change(place, wake)
        if held is not None and (at := due(held.value)) is not None and at > self.now():
            self.bells.set(place, at)
            await ask_to_be_woken(self.bus, held.value)

    async def repair(self, place: tuple[str, str]) -> Held[Document] | None:
        """Do what is due, act on counts that were lost on the way, and say again what somebody may have saved
        and not said."""
        stored = await self.bus.last(subjects.PROGRESS, subjects.progress(*place))
        change: Change = wake
        if stored is not None:
            with suppress(ValueError):
                change = partial(_observed, Progress.decode(stored.data), mark_of(stored))
        return await self.change(place, change, again=True)

    async def change(
        self, place: tuple[str, str], change: Change, *, again: bool = False
    ) -> Held[Document] | None:
        """Change a document, where there is one; what there is now."""
        async with self.turns.of(place):
            for _ in range(TRIES):
                held = await self.store.load(*place)
                if held is None:
                    return None
                now = self.now()
                after = settled(held.value, change(self.freezes.under(held.value, now), now), now)
                try:
                    return await self._save(held, after, again=again)
                except Conflict:
                    continue
            raise Conflict(f"{'/'.join(place)}: others were faster {TRIES} times")

    async def refreeze(self, namespace: str | None) -> None:
        """Decide anew wherever a freeze began or ended; None: everywhere."""
        places = await self.store.names(namespace)
        for begin in range(0, len(places), SIDE_BY_SIDE):
            async with self.runtime.tasks.group() as group:
                for place in places[begin : begin + SIDE_BY_SIDE]:
                    group.spawn(self._refreeze(place), name=f"freeze {place}")

    async def _refreeze(self, place: tuple[str, str]) -> None:
        try:
            await self.change(place, wake)
        except* TrancheError as group:
            words = "; ".join(map(str, group.exceptions))
            structlog.get_logger().info(
                "a freeze reaches this deployment with the next sweep", deployment=place, error=words
            )
        except* Exception:
            structlog.get_logger().exception(
                "a freeze reaches this deployment with the next sweep", deployment=place
            )

    async def _missing(self, before: Document | None, after: Document, wish: Replace) -> RefusedAnswer | None:
        """Why a replica cannot be taken off a pod: there is none."""
        if before is None or before.evict == after.evict:
            return None
        subject = subjects.record(after.namespace, after.spec.base, wish.pod)
        stored = await self.bus.last(subjects.AVAILABILITY, subject)
        try:
            record = decode_at(PodRecord, stored.data, subject, home_of_record) if stored else None
        except ValueError as error:
            return refused(f"what is known of {wish.pod} cannot be read: {error}", field="pod")
        if record is not None and not record.gone and after.spec.module.name in record.modules:
            return None
        where = f"{after.namespace}/{after.name}"
        return refused(
            f"got {wish.pod}; expected a pod of {after.spec.base} with {after.spec.module.name} on it: "
            f"tranche get pods {where} lists them",
            field="pod",
        )

    async def _save(self, held: Held[Document] | None, after: Document, *, again: bool) -> Held[Document]:
        before = held.value if held else None
        if held is None or after is not before:
            after = self._marked(before, after)
            try:
                held = await self.store.save(after, expect=held.sequence if held else 0)
            except Conflict:
                self.metrics.conflicts.inc()
                raise
        await self._say(before, after, again=again)
        return held

    def _marked(self, before: Document | None, after: Document) -> Document:
        """With a nonce on a plan that is new."""
        plan, last = after.plan, before.plan if before is not None else None
        if plan is None or (last is not None and plan.revision == last.revision):
            return after
        return after.but(plan=plan.but(nonce=self.runtime.dice.nonce()))

    async def _say(self, before: Document | None, after: Document, *, again: bool) -> None:
        if after is before and not again:
            return
        if (newest := await self._said(before, after, again=again)) == _Newest.of(after):
            return
        # Newer ones of ours are there: another planner was faster, or our history was lost.
        held = await self.store.load(after.namespace, after.name)
        if held is None:
            return
        raised = outrank(held.value, newest.plan, newest.document)
        if raised != held.value:
            raised = self._marked(held.value, settled(held.value, raised, self.now()))
            await self.store.save(raised, expect=held.sequence)
            await self._said(None, raised, again=True)

    async def _said(self, before: Document | None, after: Document, *, again: bool) -> _Newest:
        """Say all that changed; the newest revisions that are there afterwards."""
        newest = _Newest.of(after)

        async def plan() -> None:
            if after.plan is not None:
                newest.plan = await self.plans.say(after.plan)

        async def status() -> None:
            newest.document = await say_status(self.bus, after, self.now())

        async with self.runtime.tasks.group() as group:
            if again or before is None or before.plan != after.plan:
                group.spawn(plan(), name="say plan")
            group.spawn(status(), name="say status")
            if again or _sooner(before, after, self.now()):
                if (at := due(after)) is not None:
                    self.bells.set((after.namespace, after.name), at)
                group.spawn(ask_to_be_woken(self.bus, after), name="ask to be woken")
        return newest


@dataclass(slots=True)
class _Newest:
    """Revisions of the newest plan and status."""

    plan: int
    document: int

    @classmethod
    def of(cls, document: Document) -> _Newest:
        return cls(document.plan.revision if document.plan else 0, document.revision)


def _observed(progress: Progress, mark: Mark, document: Document, now: datetime) -> Document:
    return wake(observe(document, progress, mark, now), now)


def _owned(document: Document, owner: Owner) -> RefusedAnswer:
    return refused(
        f"{document.spec.module.name} on {document.spec.base} belongs to "
        f"{owner.namespace}/{owner.name} already: change that one, or delete it first",
        field="spec.template.spec.module.name",
    )


def _sooner(before: Document | None, after: Document, now: datetime) -> bool:
    """Whether the bell that is set would ring too late: one that rings early is set again then."""
    at, set_ = due(after), due(before) if before is not None else None
    return at is not None and (set_ is None or set_ <= now or at < set_)


def mark_of(message: Stored) -> Mark:
    """Where a message stands in its stream."""
    return Mark(sequence=message.sequence, time=milliseconds(message.time))


def milliseconds(at: datetime) -> datetime:
    """A time as documents keep it: rounded down."""
    return at - timedelta(microseconds=at.microsecond % 1000)
