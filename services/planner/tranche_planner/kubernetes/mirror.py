"""One object, seen to: each look compares what it says with what the bus says, and does what is missing.

Every step can be repeated, and every look does all that is not done: what failed is done by the next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from tranche.client.client import Client
from tranche.contract.answer import FieldError
from tranche.errors import Conflict, Refused
from tranche.runtime import Runtime
from tranche_planner.core.objects import notices, telling, wishes
from tranche_planner.core.objects.pausing import (
    Confirm,
    GoOn,
    Said,
    Stop,
    Write,
    pausing,
    remembered,
    said,
)
from tranche_planner.core.objects.scaling import scaling
from tranche_planner.core.objects.seen import Seen
from tranche_planner.core.objects.telling import Mirrored
from tranche_planner.kubernetes.agenda import Place
from tranche_planner.kubernetes.known import Known
from tranche_planner.kubernetes.module_services import ModuleServices
from tranche_planner.kubernetes.objects import Objects
from tranche_planner.store import Store

STATUS_S = 0.5
"""Counts alone are written no more often than this."""
HEAL_S = 1.0
"""Our ``true`` is put back no more often than this."""
REPEAT_S = 5.0
"""A confirm whose effect is not seen by then is sent again."""
REFUSED_S = 60.0
"""A wish that was refused is sent again: what stood against it may be gone."""
STEPS = 4

Ring = Callable[[Place, float], None]


@dataclass(slots=True)
class Mirror:
    """``ring``: have a place looked at after so many seconds."""

    runtime: Runtime
    client: Client
    store: Store
    objects: Objects
    services: ModuleServices
    ring: Ring
    url_allow: Sequence[str] = ()
    log: Any = field(default_factory=structlog.get_logger)

    async def look(self, place: Place, known: Known) -> None:
        """See to one object. Raises TrancheError: look again later."""
        if known.body is None:
            return
        object_ = known.learn(known.body)
        try:
            if object_.deleting:
                await self._leave(object_, known)
            else:
                await self._see_to(object_, known)
        except Conflict:
            # It is not what it was: decided again on what it is now, which the watch may not have told yet.
            if (now := await self.objects.read(*place)) is not None:
                known.learn(now)
                self.ring(place, self.runtime.dice.uniform(0.02, 0.1))

    async def _see_to(self, object_: Seen, known: Known) -> None:
        if not object_.finalized:
            # With the first write, so that nothing is installed for an object that could vanish unseen.
            object_ = known.learn(await self.objects.own(object_, _as_it_is(object_)))
        object_ = await self._scale(object_, known)
        wish = await self._send(object_, known)
        if telling.describes(known.status, wish) or wish.errors:
            object_ = await self._pause(object_, known, said(known.status))
        object_, wish = await self._write_back(object_, known, wish)
        problems = await self.services.see_to(object_, known)
        await self._tell(object_, known)
        await self._say(object_, known, problems)

    async def _scale(self, object_: Seen, known: Known) -> Seen:
        """Hear what ``kubectl scale`` asks for."""
        if (step := scaling(object_)) is None:
            return object_
        if step.refused is not None:
            notice = notices.unscaled_notice(step.refused, self.runtime.clock.now())
            await self.objects.tell(notices.event_of(notice, object_))
        return known.learn(await self.objects.scale(object_, step))

    async def _send(self, object_: Seen, known: Known) -> Mirrored:
        """Have the wish carried out, where it is another one than before."""
        noted, word, now = known.noted(object_), wishes.digest(object_), self.runtime.clock.monotonic()
        if noted.digest == word and not (noted.errors and now >= known.life.ask_at):
            known.life.wish = noted.but(generation=object_.generation)
            return known.life.wish
        alive = said(known.status).alive
        stopped = object_.pause.value is True and bool(object_.pause.others)
        if alive and stopped and telling.describes(known.status, noted):
            # A pause that comes with another wish holds before that one begins.
            object_ = await self._pause(object_, known, said(known.status))
        manifest = wishes.manifest_of(object_, paused=stopped and not alive)
        wish = noted.but(digest=word, generation=object_.generation, errors=())
        try:
            answer = await self.client.apply(manifest, namespace=object_.namespace)
        except Refused as error:
            wish = wish.but(errors=error.errors or (FieldError(field="", message=str(error)),))
            known.life.ask_at = now + REFUSED_S * self.runtime.dice.uniform(1.0, 1.5)
            self.ring((object_.namespace, object_.name), known.life.ask_at - now)
            if (wish.digest, wish.errors) != (noted.digest, noted.errors):
                at = self.runtime.clock.now()
                await self.objects.tell(notices.event_of(notices.refused_notice(wish, at), object_))
        else:
            wish = wish.but(rollout_generation=answer.generation or noted.rollout_generation)
        known.life.wish = wish
        return wish

    async def _pause(self, object_: Seen, known: Known, now: Said) -> Seen:
        """What ``spec.pause`` asks for, and what it should read."""
        for _ in range(STEPS):
            step = pausing(object_.pause, now)
            if step is None:
                break
            if isinstance(step, Confirm):
                await self._confirm(object_, known, step)
                break
            if isinstance(step, Stop | GoOn):
                await self._order(object_, step)
                step = step.then
            elif not self._may_hold(object_, known, step):
                break
            object_ = known.learn(await self.objects.own(object_, step))
            if step.unheard:
                notice = notices.unheard_notice(
                    step.unheard, step.memory.generation, step.memory.batch, self.runtime.clock.now()
                )
                await self.objects.tell(notices.event_of(notice, object_))
        return object_

    async def _confirm(self, object_: Seen, known: Known, step: Confirm) -> None:
        now = self.runtime.clock.monotonic()
        if known.life.confirmed == step and now - known.life.confirmed_at < REPEAT_S:
            return
        try:
            await self.client.confirm(
                object_.namespace,
                object_.name,
                generation=step.generation,
                batch=step.batch,
                by=step.by,
                reason="spec.pause",
            )
        except Refused as error:
            self.log.info("a confirm was refused", object=(object_.namespace, object_.name), error=str(error))
        known.life.confirmed, known.life.confirmed_at = step, now
        self.ring((object_.namespace, object_.name), REPEAT_S)

    async def _order(self, object_: Seen, step: Stop | GoOn) -> None:
        verb = self.client.pause if isinstance(step, Stop) else self.client.resume
        try:
            await verb(object_.namespace, object_.name, by=step.by or None, reason="spec.pause")
        except Refused as error:
            self.log.info("a pause was refused", object=(object_.namespace, object_.name), error=str(error))

    def _may_hold(self, object_: Seen, known: Known, step: Write) -> bool:
        """Whether our ``true`` may be written now: not more often than once a second against a robot."""
        now, memory = self.runtime.clock.monotonic(), remembered(object_.pause.memory)
        again = step.held and (memory.batch, memory.since) == (step.memory.batch, step.memory.since)
        if again and known.life.held_at is not None and now - known.life.held_at < HEAL_S:
            self.ring((object_.namespace, object_.name), known.life.held_at + HEAL_S - now)
            return False
        if again:
            known.life.held_at = now
        return True

    async def _write_back(self, object_: Seen, known: Known, wish: Mirrored) -> tuple[Seen, Mirrored]:
        """Make the object say what a verb on the bus has changed, where it says nothing newer itself."""
        status = known.status
        stale = status is None or status.generation <= wish.rollout_generation
        if stale or wish.errors or wish.digest != wishes.digest(object_):
            return object_, wish
        held = await self.store.load(object_.namespace, object_.name)
        if held is None or held.value.deleted or held.value.deleting:
            return object_, wish
        if patch := wishes.written_back(object_, held.value.spec):
            object_ = known.learn(await self.objects.write_back(object_, patch))
        known.life.wish = Mirrored(
            digest=wishes.digest(object_),
            generation=object_.generation,
            rollout_generation=held.value.generation,
        )
        return object_, known.life.wish

    async def _tell(self, object_: Seen, known: Known) -> None:
        """Events that are not told yet, in their order."""
        told = known.life.event if known.life.event is not None else object_.status
        while known.untold:
            status = known.untold[0]
            if (notice := notices.news(status, told)) is not None:
                try:
                    await self.objects.tell(notices.event_of(notice, object_))
                except Refused as error:
                    self.log.warning("an Event is not taken", error=str(error))
            body = status.model_dump(mode="json", by_alias=True, include={"event"})
            told = known.life.event = {**body, "rolloutGeneration": status.generation}
            known.untold.popleft()

    async def _say(self, object_: Seen, known: Known, problems: Sequence[Any] = ()) -> None:
        """The object's status, at once where it matters and soon where only counts moved."""
        body = _status(object_, known, tuple(problems))
        if telling.same(object_.status, body):
            return
        now = self.runtime.clock.monotonic()
        waited_s = now - known.life.said_at if known.life.said_at is not None else STATUS_S
        if waited_s < STATUS_S and not telling.urgent(object_.status, body):
            self.ring((object_.namespace, object_.name), STATUS_S - waited_s)
            return
        known.life.said_at = now
        known.learn(await self.objects.say(object_, body))

    async def _leave(self, object_: Seen, known: Known) -> None:
        """The object is to go: all its replicas first."""
        if not object_.finalized:
            return
        place = object_.namespace, object_.name
        held, wish = await self.store.load(*place), known.noted(object_)
        # A deployment of the same name that this object never had a say in is not its to delete.
        stranger = bool(wish.errors) and not wish.rollout_generation
        if held is None or held.value.deleted or stranger:
            await self._tell(object_, known)
            known.learn(await self.objects.release(object_))
            return
        document = held.value
        if not document.deleting or (object_.abandon and not document.rollout.abandon):
            await self.client.delete(
                *place, abandon=object_.abandon, by="kubernetes", reason="the object is deleted"
            )
        await self._tell(object_, known)
        await self._say(object_, known)


def _as_it_is(object_: Seen) -> Write:
    """A write that changes nothing of the pause."""
    return Write(
        held=bool(object_.pause.ours and object_.pause.value), memory=remembered(object_.pause.memory)
    )


def _status(object_: Seen, known: Known, problems: tuple[Any, ...]) -> dict[str, Any]:
    wish, status = known.noted(object_), known.status
    service = known.service_of(object_)
    if wish.errors and (status is None or status.phase == "Deleted"):
        return telling.refused_status(wish, problems)
    if status is None or not telling.describes(status, wish):
        return telling.carried(object_.status, wish, service)
    if wish.errors and not any(problem.reason == "Invalid" for problem in status.problems):
        problems = (telling.refusal(wish), *problems)
    return telling.status_of(status, wish, problems=problems, service=service)
