"""Reading a stream of the broker in memory in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Literal

from tranche.bus.memory.line import Line
from tranche.bus.memory.matching import matches_any
from tranche.bus.memory.stream import MemoryStream
from tranche.bus.port import Stored
from tranche.errors import LostHistory, Refused, Unavailable

Start = Literal["last_per_subject", "new"] | int


class MemoryFollow:
    """One reader; not to be shared between tasks."""

    def __init__(self, line: Line, stream: MemoryStream, filters: Sequence[str], start: Start) -> None:
        self._line = line
        self._clock = line.clock
        self._stream = stream
        self._filters = tuple(filters)
        stream.settle()
        if isinstance(start, int) and stream.last_sequence < start - 1:
            raise _shrunk(stream, start - 1)
        if stream.spec.retention == "workqueue":
            raise Refused(f"stream {stream.spec.name} is a work queue: it cannot be followed")
        self._first = deque(stream.last_values(self._filters) if start == "last_per_subject" else ())
        """Last values still to be handed out, before what came later."""
        self._cursor = start - 1 if isinstance(start, int) else stream.last_sequence
        """Looked at up to here."""
        self._position = 0 if start == "last_per_subject" else self._cursor

    @property
    def position(self) -> int:
        return self._position

    async def next(self, *, wait_s: float, limit: int = 500) -> Sequence[Stored]:
        """Raises LostHistory. While cut off it waits, and answers nothing at the end."""
        deadline = self._clock.monotonic() + wait_s
        await self._clock.sleep(0)
        while True:
            if taken := self._take(limit):
                return taken
            now = self._clock.monotonic()
            if now >= deadline:
                return taken
            await self._stream.bell.wait(min(deadline, self._stream.next_due) - now, self._filters)

    async def catch_up(self, *, wait_s: float) -> Sequence[Stored]:
        deadline = self._clock.monotonic() + wait_s
        await self._clock.sleep(0)
        while not self._line.connected:
            if (left := deadline - self._clock.monotonic()) <= 0:
                raise Unavailable(
                    f"stream {self._stream.spec.name} could not be read to its end in {wait_s:g} s"
                )
            await self._stream.bell.wait(left)
        taken = self._take(None)
        self._position = max(self._position, self._stream.last_sequence)
        return taken

    def _take(self, limit: int | None) -> list[Stored]:
        """What is there and not handed out, in order."""
        if not self._line.connected:
            return []
        self._stream.settle()
        if self._stream.last_sequence < self._position:
            raise _shrunk(self._stream, self._position)
        taken: list[Stored] = []
        while self._first and len(taken) != limit:
            if message := self._stream.messages.get(self._first.popleft()):
                taken.append(message)
        if not self._first:
            self._take_later(taken, limit)
        if taken:
            self._position = taken[-1].sequence
        return taken

    def _take_later(self, taken: list[Stored], limit: int | None) -> None:
        for message in self._stream.after(self._cursor):
            if len(taken) == limit:
                return
            self._cursor = message.sequence
            if matches_any(self._filters, message.subject):
                taken.append(message)
        self._cursor = self._stream.last_sequence


def _shrunk(stream: MemoryStream, known: int) -> LostHistory:
    """A stream that ends before a sequence that was read."""
    return LostHistory(
        f"stream {stream.spec.name} ends at sequence {stream.last_sequence}, but {known} was read from it "
        "before: acknowledged writes are gone"
    )
