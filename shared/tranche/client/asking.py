"""One question to the planners, asked again until somebody answers (design 3.1)."""

from __future__ import annotations

import asyncio

from tranche.bus.port import Bus
from tranche.errors import Refused, TrancheError, Unavailable, Unknown
from tranche.runtime import Runtime, Task

RESEND_S = 2.0
PAUSE_S = 0.25
PATIENCE_S = 3.0
"""A planner that restarts is back within that; longer without anybody there means nobody is."""

Outcome = bytes | TrancheError


class Question:
    """A request that may be sent several times and is carried out once.

    Every sending has the same ``Nats-Msg-Id``, so the stream keeps one event. That one event is answered where
    its own sending listens, so earlier sendings go on listening while later ones are out.
    """

    def __init__(self, bus: Bus, runtime: Runtime, subject: str, data: bytes) -> None:
        self._bus = bus
        self._clock = runtime.clock
        self._tasks = runtime.tasks
        self._subject = subject
        self._data = data
        self._headers = {"Nats-Msg-Id": runtime.dice.nonce()}
        self._outcomes: asyncio.Queue[Outcome] = asyncio.Queue()
        self._maybe_done = False

    async def answer(self, *, timeout_s: float) -> bytes:
        """The first answer to any of the sendings.

        Raises Unavailable (no planner there), Unknown (it was sent, and may have been done) or Refused.
        """
        outcome = await self._first(timeout_s)
        if isinstance(outcome, bytes):
            return outcome
        raise outcome

    async def _first(self, timeout_s: float) -> Outcome:
        # Returned and not raised inside: a group of tasks would wrap it.
        sendings: list[Task] = []
        began = self._clock.monotonic()
        async with self._tasks.group() as group:
            while True:
                left = began + timeout_s - self._clock.monotonic()
                if left <= 0:
                    outcome: Outcome = self._nobody(timeout_s)
                    break
                sendings.append(group.spawn(self._send(left), name=f"ask {self._subject}"))
                heard = await self._hear(min(RESEND_S, left))
                if isinstance(heard, bytes | Refused):
                    outcome = heard
                    break
                waited_s = self._clock.monotonic() - began
                if isinstance(heard, Unavailable) and not self._maybe_done and waited_s > PATIENCE_S:
                    outcome = self._nobody(PATIENCE_S)
                    break
                if heard is not None:
                    await self._clock.sleep(PAUSE_S)
            for sending in sendings:
                sending.cancel()
        return outcome

    async def _send(self, timeout_s: float) -> None:
        try:
            outcome: Outcome = await self._bus.request(
                self._subject, self._data, timeout_s=timeout_s, headers=self._headers
            )
        except TrancheError as error:
            outcome = error
        self._outcomes.put_nowait(outcome)

    async def _hear(self, wait_s: float) -> Outcome | None:
        """What comes next; None after so many seconds of silence."""
        try:
            async with self._clock.timeout(wait_s):
                heard = await self._outcomes.get()
        except TimeoutError:
            self._maybe_done = True
            return None
        self._maybe_done = self._maybe_done or isinstance(heard, Unknown)
        return heard

    def _nobody(self, waited_s: float) -> TrancheError:
        if self._maybe_done:
            return Unknown(
                f"no planner answered at {self._subject} within {waited_s:g} s; it may have been done: "
                "look before asking again"
            )
        return Unavailable(f"no planner answers at {self._subject}: is one running and connected?")
