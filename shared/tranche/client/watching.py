"""Statuses as they come: the newest, then live; or all that are kept (design 3.2)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, suppress
from typing import Literal

from tranche.bus.port import Bus, Follow, Stored
from tranche.contract import subjects
from tranche.contract.status import Status
from tranche.errors import Unavailable, Unknown
from tranche.runtime import Clock

TURN_S = 2.0
PAUSE_S = 0.25
CATCH_UP_S = 30.0
OUTAGE_S = 30.0
"""Longer than a cluster needs to elect a leader, also a slow one."""


async def live(bus: Bus, clock: Clock, filter_: str) -> AsyncIterator[Status]:
    """The last status of each deployment, then each new one, for ever."""
    async with AsyncExitStack() as stack:
        reader = await _open(stack, bus, clock, filter_, "last_per_subject")
        while True:
            for status in _decoded(await _next(reader, clock)):
                yield status


async def history(bus: Bus, clock: Clock, filter_: str, *, follow: bool) -> AsyncIterator[Status]:
    """All that is kept, oldest first; then, where asked, each new one for ever."""
    async with AsyncExitStack() as stack:
        reader = await _open(stack, bus, clock, filter_, 1)
        for status in _decoded(await reader.catch_up(wait_s=CATCH_UP_S)):
            yield status
        while follow:
            for status in _decoded(await _next(reader, clock)):
                yield status


async def _open(
    stack: AsyncExitStack, bus: Bus, clock: Clock, filter_: str, start: Literal["last_per_subject"] | int
) -> Follow:
    """A reader. A connection that is being made again is waited for, as it is in the middle of reading."""
    while True:
        connected = bus.connected
        try:
            return await stack.enter_async_context(bus.follow(subjects.STATUS, [filter_], start=start))
        except (Unavailable, Unknown):
            if connected and bus.connected:
                raise
            await clock.sleep(PAUSE_S)


async def _next(reader: Follow, clock: Clock) -> Sequence[Stored]:
    """What comes next. A stream that has no leader is waited for, as a server is that is away.

    Raises Unavailable when it cannot be read for ``OUTAGE_S`` seconds.
    """
    deadline = clock.monotonic() + OUTAGE_S
    while True:
        try:
            return await reader.next(wait_s=TURN_S)
        except (Unavailable, Unknown):
            if clock.monotonic() > deadline:
                raise
            await clock.sleep(PAUSE_S)


def _decoded(messages: Iterable[Stored]) -> Iterable[Status]:
    for message in messages:
        # One that a newer version wrote in a way we cannot read is passed over; the next one may do.
        with suppress(ValueError):
            yield Status.decode(message.data)
