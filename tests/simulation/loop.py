"""An event loop whose time jumps to the next timer, and whose ready callbacks run in an order drawn from a seed."""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import itertools
import random
from asyncio import events
from collections.abc import Callable, Iterator
from types import TracebackType, coroutine
from typing import Any, Self

from tests.simulation.process import PROCESS, Process

Context = contextvars.Context

TICK_S = 1e-6
"""Time moves on by so much at least: a wait that rounds to nothing would be waited for ever."""
LIVELOCK = 200_000
"""Callbacks in a row without time moving on: something spins."""


class Livelock(Exception):
    """The world does not get on."""


class Handle:
    """A callback to be run in its context; that of a process which is dead never runs, of a frozen one later."""

    __slots__ = ("args", "callback", "context", "dropped", "process", "when")

    def __init__(
        self, callback: Callable[..., object], args: tuple[object, ...], context: Context, when: float
    ) -> None:
        self.callback = callback
        self.args = args
        self.context = context
        self.process: Process | None = context.get(PROCESS)
        self.when = when
        self.dropped = False

    def cancel(self) -> None:
        self.dropped = True

    def cancelled(self) -> bool:
        return self.dropped


class SimLoop(asyncio.AbstractEventLoop):
    """What asyncio's futures, tasks and locks need of a loop, and nothing that leaves the process."""

    def __init__(self, order: random.Random) -> None:
        self._draw = order.random
        self._ready: list[Handle] = []
        self._timers: list[tuple[float, int, Handle]] = []
        self._numbers = itertools.count()
        self._now = 0.0
        self._failure: BaseException | None = None
        self.steps = 0
        self.halted = False
        """Set by whoever has seen enough: it goes no further."""

    def __enter__(self) -> Self:
        events._set_running_loop(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        events._set_running_loop(None)

    # --- what asyncio asks of it ---

    def time(self) -> float:
        return self._now

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: object, context: Context | None = None
    ) -> Handle:
        handle = Handle(callback, args, contextvars.copy_context() if context is None else context, self._now)
        self._ready.append(handle)
        return handle

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: object, context: Context | None = None
    ) -> Handle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: object, context: Context | None = None
    ) -> Handle:
        if when < (soonest := self._now + TICK_S):
            when = soonest
        handle = Handle(callback, args, contextvars.copy_context() if context is None else context, when)
        heapq.heappush(self._timers, (when, next(self._numbers), handle))
        return handle

    def wake(self, sleeper: asyncio.Future[Any], after_s: float) -> Handle:
        """Wake whoever waits for it after so long, in a step of their own."""
        return self.call_later(after_s, _wake, sleeper)

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(  # type: ignore[override]
        self, coro: Any, *, name: str | None = None, context: Context | None = None, **_: object
    ) -> asyncio.Task[Any]:
        task = asyncio.Task(coro, loop=self, name=name, context=context)
        if (process := PROCESS.get() if context is None else context.get(PROCESS)) is not None:
            process.own(task)
        return task

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """A failure that nobody was there to take: the world ends with it."""
        error = context.get("exception")
        if self._failure is None and isinstance(error, Exception):
            self._failure = error

    # --- what drives it ---

    def run_until(self, done: Callable[[], bool] | None, *, until: float) -> bool:
        """Let the world go on until it is done or halted, or that time comes; whether it was one of the former.

        Raises Livelock.
        """
        spun = 0
        ready, timers, draw = self._ready, self._timers, self._draw
        while not self.halted and (done is None or not done()):
            if not ready:
                if not self._jump(until):
                    return False
                spun = 0
                continue
            count = len(ready)
            last = ready.pop()
            if count > 1 and (index := int(draw() * count)) < count - 1:
                last, ready[index] = ready[index], last
            if last.dropped:
                continue
            process = last.process
            if process is not None and not process.alive:
                continue
            if process is not None and process.frozen:
                process.parked.append(last)
                continue
            self.steps += 1
            spun += 1
            if spun > LIVELOCK:
                raise Livelock(f"{last.callback!r} and others spin at {self._now:g} s")
            last.context.run(last.callback, *last.args)
            if self._failure is not None:
                raise self._failure
            if timers and timers[0][0] <= self._now:
                self._ring()
        return True

    def thaw(self, process: Process) -> None:
        """What came due for a frozen process meanwhile is due now."""
        process.frozen = False
        self._ready += process.parked
        process.parked = []

    def _jump(self, until: float) -> bool:
        timers = self._timers
        while timers and (timers[0][2].dropped or ((p := timers[0][2].process) is not None and not p.alive)):
            heapq.heappop(timers)
        if not timers or timers[0][0] > until:
            self._now = max(self._now, until)
            return False
        self._now = max(self._now, timers[0][0])
        self._ring()
        return True

    def _ring(self) -> None:
        timers, now = self._timers, self._now
        while timers and timers[0][0] <= now:
            handle = heapq.heappop(timers)[2]
            if handle.dropped:
                continue
            if handle.callback is _wake:  # whoever sleeps gets up in a step of their own
                _wake(*handle.args)
            else:
                self._ready.append(handle)


async def sleep(loop: SimLoop, seconds: float) -> None:
    """On the loop's time; no seconds: everything else that is ready may come first."""
    if seconds <= 0:
        await _turn()
        return
    woken = loop.create_future()
    handle = loop.wake(woken, seconds)
    try:
        await woken
    finally:
        handle.dropped = True


@coroutine
def _turn() -> Iterator[None]:
    yield


def _wake(woken: Any) -> None:
    if not woken.done():
        woken.set_result(None)
