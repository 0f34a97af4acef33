"""A durable consumer seen from one process: fetch what is there, wait for what comes."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Sequence
from contextlib import suppress

from nats.aio.msg import Msg

from tranche.bus.nats.configuration import NANOSECONDS
from tranche.bus.nats.failures import NO_CONSUMER
from tranche.bus.nats.line import Line
from tranche.bus.nats.mailbox import EXPIRED, NO_MESSAGES, NOBODY_THERE, Mailbox, status
from tranche.bus.nats.setup import make_consumer
from tranche.bus.nats.stored import Provenance, delivered, provenance
from tranche.bus.port import ConsumerSpec, Delivery, Stored
from tranche.errors import TrancheError, Unavailable, Unknown

log = logging.getLogger(__name__)

LINGER_S = 2.0
"""A waiting request is renewed so often: one that the server has lost costs no more than this."""
GLANCE_S = 0.02
"""A request for what is there ends after this: where as many as allowed are in hand already the server answers
nothing, and one without an end would take messages later, for nobody."""
ANSWER_S = 1.0
"""The server ends a request in time; so much later we no longer believe in it."""
PAUSE_S = 0.2
EXTEND_TIMEOUT_S = 1.0


class NatsDelivery:
    """A message that is ours until acked, handed back or late."""

    __slots__ = ("_ack_subject", "_line", "attempt", "message")

    def __init__(self, line: Line, message: Msg, origin: Provenance) -> None:
        self._line = line
        self._ack_subject = message.reply
        self.message: Stored = delivered(message, origin)
        self.attempt: int = origin.attempt

    async def ack(self) -> None:
        await self._tell(b"+ACK")

    async def nak(self, delay_s: float = 0.0) -> None:
        delay = json.dumps({"delay": int(delay_s * NANOSECONDS)}).encode()
        await self._tell(b"-NAK " + delay if delay_s > 0 else b"-NAK")

    async def extend(self) -> None:
        """Answered by the server, because work goes on only under a hold that is known to be extended."""
        await self._line.letters.ask(self._ack_subject, b"+WPI", timeout_s=EXTEND_TIMEOUT_S)

    async def term(self) -> None:
        await self._tell(b"+TERM")

    async def _tell(self, word: bytes) -> None:
        """A lost word costs a redelivery, which everybody must bear anyway: not worth an error."""
        try:
            await self._line.letters.send(self._ack_subject, word)
        except Unavailable as error:
            log.info("%s will be delivered again: %s", self.message.subject, error)


class NatsPull:
    """One fetch at a time; others wait their turn. Survives restarts and a deleted consumer."""

    def __init__(self, line: Line, spec: ConsumerSpec) -> None:
        self._line = line
        self._spec = spec
        self._clock = line.clock
        self._turn = asyncio.Lock()
        self._idle = False
        self._mailbox = Mailbox(line, f"{spec.stream}.{spec.durable}", unread=self._hand_back)

    async def open(self) -> None:
        await self._mailbox.open()

    async def fetch(self, limit: int, *, wait_s: float) -> Sequence[Delivery]:
        """Raises Refused (Forbidden) and, where the stream itself is missing, Unavailable. While disconnected
        it waits, and answers nothing at the end."""
        deadline = self._clock.monotonic() + wait_s
        async with self._turn:
            self._mailbox.reading = True
            try:
                return await self._fetch(limit, deadline)
            finally:
                self._mailbox.reading = False
                await self._hand_back_unread()

    async def _fetch(self, limit: int, deadline: float) -> Sequence[Delivery]:
        # What is there comes without waiting. Only a single message is waited for: a request for many would
        # stay with the server after the first and bind messages to a process that no longer asks.
        lookahead = limit > 1 and not self._idle
        while True:
            left = deadline - self._clock.monotonic()
            linger = 0.0 if lookahead or left <= 0 else min(left, LINGER_S)
            got = await self._ask(1 if linger else limit, linger, deadline)
            self._idle = not got
            if got or left <= 0:
                return got
            lookahead = False

    async def _ask(self, batch: int, linger_s: float, deadline: float) -> list[Delivery]:
        """One request and what it brought; mends what stands in its way."""
        open_s = linger_s or GLANCE_S
        body = {"batch": batch, "expires": int(open_s * NANOSECONDS), "no_wait": not linger_s}
        try:
            await self._mailbox.request(body)
            got, end = await self._gather(batch, open_s + ANSWER_S)
            if not got and end == NOBODY_THERE:
                await self._mend()
        except (Unavailable, Unknown):
            if self._line.client.is_connected and self._clock.monotonic() >= deadline:
                raise
            got, end = [], "unreachable"
        if not got and end not in (NO_MESSAGES, EXPIRED):
            left = max(0.0, deadline - self._clock.monotonic())
            await self._mailbox.wait_arrival(min(PAUSE_S, left))
        return got

    async def _gather(self, batch: int, patience_s: float) -> tuple[list[Delivery], str]:
        """Deliveries until the batch is full or the server ends the request, and how it ended."""
        got: list[Delivery] = []
        while len(got) < batch:
            if not self._mailbox.arrived and not await self._mailbox.wait_arrival(patience_s):
                return got, "silence"
            if not self._mailbox.arrived:
                return got, "reconnected"
            message = self._mailbox.arrived.popleft()
            if end := status(message):
                return got, end
            if origin := provenance(message.reply):
                got.append(NatsDelivery(self._line, message, origin))
        return got, NO_MESSAGES

    async def _mend(self) -> None:
        """Nobody serves the consumer: it was deleted, or the server is still starting."""
        spec = self._spec
        info = f"$JS.API.CONSUMER.INFO.{spec.stream}.{spec.durable}"
        if await self._line.letters.ask_jetstream(info, absent=frozenset({NO_CONSUMER})) is None:
            log.warning("consumer %s of stream %s is gone: making it anew", spec.durable, spec.stream)
            await make_consumer(self._line.letters, spec)

    async def _hand_back_unread(self) -> None:
        while self._mailbox.arrived:
            message = self._mailbox.arrived.popleft()
            if message.reply:
                await self._hand_back(message)

    async def _hand_back(self, message: Msg) -> None:
        """It came after we had stopped waiting: somebody else, or our next fetch, gets it at once."""
        with suppress(TrancheError):
            await self._line.letters.send(message.reply, b"-NAK")
