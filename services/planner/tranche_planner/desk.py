"""The beats of every handler: load, decide, save, say. Whatever is decided is decided in ``core``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from tranche.bus.cas import Held
from tranche.bus.port import Bus
from tranche.contract.answer import AcceptedAnswer, RefusedAnswer, refused
from tranche.contract.progress import Progress
from tranche.errors import Conflict, Refused
from tranche.runtime import Runtime
from tranche_planner.core.document import Document, Mark
from tranche_planner.core.rollout import due, observe, outrank, wake
from tranche_planner.core.settling import settled
from tranche_planner.core.verbs import decide, reject
from tranche_planner.core.wishes import Wish
from tranche_planner.metrics import Metrics
from tranche_planner.saying import ask_to_be_woken, say_plan, say_status
from tranche_planner.store import Store
from tranche_planner.turns import Turns

TRIES = 30
"""So often a decision is made anew because another planner was faster."""

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
                before = held.value if held else None
                decision = decide(before, wish, mark, self.now())
                after = decision.document
                if after is None:
                    if again and before is not None:
                        await self._say(before, before, again=True)
                    return decision.answer
                if decision.takes_pool and (owner := await self.store.own(after)) is not None:
                    return refused(
                        f"{after.spec.module.name} on {after.spec.base} belongs to "
                        f"{owner.namespace}/{owner.name} already: change that one, or delete it first",
                        field="spec.template.spec.module.name",
                    )
                try:
                    await self._save(held, after, again=again)
                except Conflict:
                    continue
                except Refused as error:
                    return refused(f"this cannot be kept: {error}")
                return decision.answer
            raise Conflict(f"{'/'.join(place)}: others were faster {TRIES} times")

    async def note_refusal(self, place: tuple[str, str], verb: str, answer: RefusedAnswer) -> None:
        """Show a refused event in the status, where there is one."""
        await self.change(place, lambda document, now: reject(document, verb, answer, now))

    async def progress(self, progress: Progress, *, again: bool) -> None:
        """Act on the scheduler's newest counts."""
        place = progress.namespace, progress.name
        await self.change(place, lambda document, now: observe(document, progress, now), again=again)

    async def wake(self, place: tuple[str, str]) -> None:
        """Act on the time. The bell may ring early by another clock: then it is set again."""
        held = await self.change(place, wake)
        if held is not None and (at := due(held.value)) is not None and at > self.now():
            await ask_to_be_woken(self.bus, held.value)

    async def repair(self, place: tuple[str, str]) -> Held[Document] | None:
        """Say again what somebody may have saved and not said, and do what is due."""
        return await self.change(place, wake, again=True)

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
                after = settled(held.value, change(held.value, now), now)
                try:
                    return await self._save(held, after, again=again)
                except Conflict:
                    continue
            raise Conflict(f"{'/'.join(place)}: others were faster {TRIES} times")

    async def _save(self, held: Held[Document] | None, after: Document, *, again: bool) -> Held[Document]:
        before = held.value if held else None
        if held is None or after is not before:
            try:
                held = await self.store.save(after, expect=held.sequence if held else 0)
            except Conflict:
                self.metrics.conflicts.inc()
                raise
        await self._say(before, after, again=again)
        return held

    async def _say(self, before: Document | None, after: Document, *, again: bool) -> None:
        if after is before and not again:
            return
        async with self.runtime.tasks.group() as group:
            if again or before is None or before.plan != after.plan:
                group.spawn(self._say_plan(after), name="say plan")
            group.spawn(say_status(self.bus, after, self.now()), name="say status")
            if again or before is None or due(before) != due(after):
                group.spawn(ask_to_be_woken(self.bus, after), name="ask to be woken")

    async def _say_plan(self, document: Document) -> None:
        if document.plan is None:
            return
        newest = await say_plan(self.bus, document.plan)
        if newest > document.plan.revision:
            await self._outrank(document, newest)

    async def _outrank(self, document: Document, newest: int) -> None:
        """A newer plan than ours is there: another planner was faster, or our history was lost."""
        held = await self.store.load(document.namespace, document.name)
        if held is None or held.value.plan is None:
            return
        now = self.now()
        after = settled(held.value, outrank(held.value, newest), now)
        if after is held.value or after.plan is None:
            return
        await self.store.save(after, expect=held.sequence)
        await say_plan(self.bus, after.plan)


def milliseconds(at: datetime) -> datetime:
    """A time as documents keep it: rounded down."""
    return at - timedelta(microseconds=at.microsecond % 1000)
