"""Reading a stream in order and without gaps, whatever happens to servers and connections.

An ephemeral consumer of our own, without acks; whenever something is doubtful (a new connection, a silence, a
jump in the consumer's count) another one starts behind the last message handed out.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Literal

from nats.aio.msg import Msg

from tranche.bus.nats import tables
from tranche.bus.nats.configuration import NANOSECONDS, create_subject, filtered
from tranche.bus.nats.failures import NO_CONSUMER, shrunk
from tranche.bus.nats.line import Line
from tranche.bus.nats.mailbox import EXPIRED, NO_MESSAGES, Mailbox, status
from tranche.bus.nats.stored import delivered, provenance
from tranche.bus.port import Stored
from tranche.errors import TrancheError, Unavailable, Unknown

log = logging.getLogger(__name__)

BATCH = 500
EXPIRES_S = 2.0
"""A request is renewed so often; its end is our heartbeat."""
ANSWER_S = 1.5
"""So long after its end a request that nobody ended is taken for lost."""
INACTIVE_S = 60.0
"""The server forgets the consumer when we are silent for so long; we then make another."""
PAUSE_S = 0.2
STALL_S = 0.25
"""Catching up asks the leader again when nothing has come for so long."""

Start = Literal["last_per_subject", "new"] | int


class NatsFollow:
    """One reader; not to be shared between tasks."""

    def __init__(self, line: Line, stream: str, filters: Sequence[str], start: Start) -> None:
        self._line = line
        self._clock = line.clock
        self._stream = stream
        self._filters = tuple(filters)
        self._start = start
        self._position = start - 1 if isinstance(start, int) else 0
        self._read = self._position
        """Like ``position``, but of what was read from the consumer, handed out or not."""
        self._returned: list[Stored] = []
        """Read by a ``catch_up`` that did not reach its end: handed out first, next time."""
        self._snapshot = start == "last_per_subject"
        """Still reading the last values: what is older and not the last of its subject will not come."""
        self._created: datetime | None = None
        self._mailbox: Mailbox | None = None
        self._consumer = ""
        self._counted = 0
        """Deliveries of this consumer so far: the next one carries this number and one."""
        self._asked = 0
        """Messages that the open request may still bring; 0: no request is open."""
        self._overdue = 0.0
        self._doubt = ""
        """Why the consumer cannot be trusted any more; empty: it can."""

    @property
    def position(self) -> int:
        return self._position

    async def open(self) -> None:
        """Raises Unavailable when the stream is not there or not reachable."""
        try:
            await self._renew()
        except Unknown as error:
            raise Unavailable(str(error)) from error

    async def close(self) -> None:
        """Leave nothing behind on the server; it forgets the consumer by itself where that cannot be said."""
        mailbox, self._mailbox = self._mailbox, None
        if mailbox is not None:
            await mailbox.close()
            with suppress(TrancheError):
                await self._line.letters.send(f"$JS.API.CONSUMER.DELETE.{self._stream}.{self._consumer}", b"")

    async def next(self, *, wait_s: float, limit: int = BATCH) -> Sequence[Stored]:
        """Raises LostHistory, Refused and, where the stream is missing, Unavailable. While disconnected it
        waits, and answers nothing at the end."""
        deadline = self._clock.monotonic() + wait_s
        while True:
            if taken := self._take(limit):
                self._position = taken[-1].sequence
                with suppress(TrancheError):  # what was taken comes first; the next call meets the trouble
                    await self._ask_ahead()
                return taken
            left = deadline - self._clock.monotonic()
            if left < 0:
                return taken
            try:
                await self._tend(left)
            except (Unavailable, Unknown):
                if left <= PAUSE_S and self._line.client.is_connected:
                    raise
                await self._clock.sleep(min(PAUSE_S, left))

    async def catch_up(self, *, wait_s: float) -> Sequence[Stored]:
        taken: list[Stored] = []
        try:
            async with self._clock.timeout(wait_s):
                goal = await self._read_to_end(taken)
        except BaseException as error:
            self._returned = taken + self._returned
            if isinstance(error, TimeoutError):
                raise Unavailable(
                    f"stream {self._stream} could not be read to its end in {wait_s:g} s"
                ) from error
            raise
        self._position = self._read = max(self._read, goal)
        return taken

    async def _read_to_end(self, taken: list[Stored]) -> int:
        """Fill ``taken``; the leader's last sequence, asked first so that what it counts cannot slip by."""
        goal: int | None = None
        while True:
            taken += self._take(None)
            try:
                if goal is None:
                    goal = (await tables.state(self._line.letters, self._stream)).last_sequence
                if self._read >= goal or (not self._snapshot and not await self._misses_until(goal)):
                    return goal
                await self._tend(STALL_S)
                if self._snapshot and self._mailbox and not self._mailbox.arrived:
                    await self._look_for_end_of_snapshot()
            except (Unavailable, Unknown):
                await self._clock.sleep(PAUSE_S)

    async def _misses_until(self, goal: int) -> bool:
        """Whether a message that we have not read comes before or at the goal. Asked of the stream's leader:
        the consumer may live beside a copy that lags behind."""
        first = await tables.first_after(self._line.letters, self._stream, self._filters, self._read)
        return first is not None and first <= goal

    async def _look_for_end_of_snapshot(self) -> None:
        """Nothing came for a while: the values we still waited for may have been removed."""
        info = f"$JS.API.CONSUMER.INFO.{self._stream}.{self._consumer}"
        told = await self._line.letters.ask_jetstream(info, absent=frozenset({NO_CONSUMER}))
        if told is None:
            self._doubt = "the consumer is gone"
        elif told["num_pending"] == 0 and told["delivered"]["consumer_seq"] == self._counted:
            self._snapshot = False

    def _take(self, limit: int | None) -> list[Stored]:
        """What was read and not handed out, in order, up to the first doubt."""
        taken = self._returned[:limit]
        del self._returned[: len(taken)]
        arrived = self._mailbox.arrived if self._mailbox else deque[Msg]()
        while arrived and (limit is None or len(taken) < limit):
            message = arrived.popleft()
            origin = provenance(message.reply)
            if origin is None:
                self._end_request(status(message))
            elif origin.consumer_sequence != self._counted + 1:
                self._doubt = f"delivery {self._counted + 1} is missing"
                arrived.clear()
            else:
                self._counted += 1
                self._asked = max(0, self._asked - 1)
                self._snapshot = self._snapshot and origin.pending > 0
                if origin.stream_sequence > self._read:
                    self._read = origin.stream_sequence
                    taken.append(delivered(message, origin))
        return taken

    def _end_request(self, end: str) -> None:
        self._asked = 0
        if end not in (NO_MESSAGES, EXPIRED):
            self._doubt = f"the server ended a request with {end}"

    async def _tend(self, patience_s: float) -> None:
        """Have a sound consumer with an open request, and wait until something arrives."""
        if self._mailbox is None or self._mailbox.stale or self._doubt:
            log.info(
                "reading stream %s anew from %d: %s", self._stream, self._read, self._doubt or "reconnected"
            )
            await self._renew()
        await self._ask_ahead()
        assert self._mailbox is not None
        left = self._overdue - self._clock.monotonic()
        if not await self._mailbox.wait_arrival(min(patience_s, left)) and left <= patience_s:
            self._doubt = "no word from the server"

    async def _ask_ahead(self) -> None:
        """Keep a request open, so that what comes next comes at once. Raises Unavailable, Forbidden."""
        if self._asked == 0 and self._mailbox is not None and not self._mailbox.stale:
            await self._mailbox.request({"batch": BATCH, "expires": int(EXPIRES_S * NANOSECONDS)})
            self._asked, self._overdue = BATCH, self._clock.monotonic() + EXPIRES_S + ANSWER_S

    async def _renew(self) -> None:
        """Another consumer, behind what was read. Raises LostHistory when the stream ends before."""
        await self.close()
        letters = self._line.letters
        state = await tables.state(letters, self._stream)
        if state.last_sequence < self._read or state.created != (self._created or state.created):
            raise shrunk(self._stream, state.last_sequence, self._read)
        name = self._line.client.new_inbox().rpartition(".")[2]
        config = filtered(self._filters) | {
            "name": name,
            "ack_policy": "none",
            "mem_storage": True,
            "num_replicas": 1,
            "inactive_threshold": int(INACTIVE_S * NANOSECONDS),
            **self._from_where(),
        }
        mailbox = Mailbox(self._line, f"{self._stream}.{name}")
        await mailbox.open()
        try:
            made = await letters.ask_jetstream(
                create_subject(self._stream, name, self._filters),
                {"stream_name": self._stream, "config": config, "action": "create"},
            )
        except BaseException:
            await mailbox.close()
            raise
        assert made is not None
        if self._created is None and self._start == "new":
            self._position = self._read = int(made["delivered"]["stream_seq"])
        self._snapshot = self._snapshot and int(made["num_pending"]) > 0
        self._created, self._mailbox, self._consumer = state.created, mailbox, name
        self._counted, self._asked, self._doubt = 0, 0, ""

    def _from_where(self) -> dict[str, Any]:
        """The first consumer starts as asked, later ones behind what was read."""
        if self._snapshot:
            return {"deliver_policy": "last_per_subject"}
        if self._start == "new" and self._created is None:
            return {"deliver_policy": "new"}
        return {"deliver_policy": "by_start_sequence", "opt_start_seq": self._read + 1}
