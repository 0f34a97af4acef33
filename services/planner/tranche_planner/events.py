"""Deployment events: decided, saved, said, answered, acked. What is refused is kept with its reason."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from tranche.bus.port import Delivery, Stored
from tranche.bus.rejection import keep_rejected
from tranche.contract import subjects
from tranche.contract.answer import AcceptedAnswer, RefusedAnswer, refused
from tranche.errors import Refused, Unavailable
from tranche_planner.core.wishes import WRITES, read_wish
from tranche_planner.desk import Desk, mark_of


class Events:
    """Handles what comes on ``tranche.deployments.>``."""

    def __init__(self, desk: Desk, url_allow: Sequence[str]) -> None:
        self._desk = desk
        self._url_allow = url_allow
        self._log = structlog.get_logger()

    async def handle(self, delivery: Delivery) -> None:
        """One event. Raises Unavailable, Unknown or Conflict: it has to come again."""
        message, began = delivery.message, self._desk.runtime.clock.monotonic()
        try:
            namespace, name, verb = subjects.read_event(message.subject)
        except ValueError as error:
            answer = refused(f"the subject cannot be read: {error}")
            await self._refuse(delivery, answer, None, "unreadable")
            return
        place = namespace, name
        decided = await self._decide(message, place, verb, again=delivery.attempt > 1)
        if isinstance(decided, RefusedAnswer):
            if verb == "apply" or not _asker(message):
                await self._desk.note_refusal(place, verb, decided, mark_of(message))
            await self._refuse(delivery, decided, place, verb)
        else:
            await self._answer(message, decided)
            await delivery.ack()
            self._count(verb, "accepted")
            self._log.info("event accepted", subject=message.subject, generation=decided.generation)
        taken = self._desk.runtime.clock.monotonic() - began
        self._desk.metrics.decision_seconds.labels("event").observe(taken)

    async def _decide(
        self, message: Stored, place: tuple[str, str], verb: str, *, again: bool
    ) -> AcceptedAnswer | RefusedAnswer:
        wish = read_wish(verb, message.data, namespace=place[0], name=place[1], url_allow=self._url_allow)
        if isinstance(wish, RefusedAnswer):
            return wish
        return await self._desk.wish(place, wish, mark_of(message), again=again)

    async def _refuse(
        self, delivery: Delivery, answer: RefusedAnswer, place: tuple[str, str] | None, verb: str
    ) -> None:
        message = delivery.message
        if _asker(message):
            await self._answer(message, answer)
        else:
            # Who asked through the API has the reasons; who published has nobody to tell them.
            try:
                await keep_rejected(self._desk.bus, message, answer, place=place)
            except Refused as error:
                self._log.error("a refusal cannot be kept", subject=message.subject, error=str(error))
        await delivery.term()
        self._count(verb, "refused")
        reasons = [str(error) for error in answer.errors[:5]]
        self._log.info("event refused", subject=message.subject, reasons=reasons)

    async def _answer(self, message: Stored, answer: AcceptedAnswer | RefusedAnswer) -> None:
        reply = _asker(message)
        if reply:
            try:
                await self._desk.bus.say(reply, answer.encode())
            except (Unavailable, Refused) as error:
                # A lost answer is an unknown outcome for the client, which asks again.
                self._log.info("an answer was not sent", subject=message.subject, error=str(error))

    def _count(self, verb: str, result: str) -> None:
        known = verb if verb in WRITES else "other"
        self._desk.metrics.events.labels(known, result).inc()


def _asker(message: Stored) -> str:
    """Where the answer goes, for an event that came through the request API.

    Whoever may publish events may write this header too, so it never leads to a subject that means something:
    the planner may write where its users may not.
    """
    reply = message.headers.get(subjects.REPLY_HEADER, "")
    return "" if reply.startswith(("tranche.", "$")) else reply
