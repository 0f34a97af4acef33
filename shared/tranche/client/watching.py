"""Statuses as they come: the newest, then live; or all that are kept (design 3.2)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import suppress

from tranche.bus.port import Bus, Stored
from tranche.contract import subjects
from tranche.contract.status import Status

TURN_S = 2.0
CATCH_UP_S = 30.0


async def live(bus: Bus, filter_: str) -> AsyncIterator[Status]:
    """The last status of each deployment, then each new one, for ever."""
    async with bus.follow(subjects.STATUS, [filter_], start="last_per_subject") as follow:
        while True:
            for status in _decoded(await follow.next(wait_s=TURN_S)):
                yield status


async def history(bus: Bus, filter_: str, *, follow: bool) -> AsyncIterator[Status]:
    """All that is kept, oldest first; then, where asked, each new one for ever."""
    async with bus.follow(subjects.STATUS, [filter_], start=1) as reader:
        for status in _decoded(await reader.catch_up(wait_s=CATCH_UP_S)):
            yield status
        while follow:
            for status in _decoded(await reader.next(wait_s=TURN_S)):
                yield status


def _decoded(messages: Iterable[Stored]) -> Iterable[Status]:
    for message in messages:
        # One that a newer version wrote in a way we cannot read is passed over; the next one may do.
        with suppress(ValueError):
            yield Status.decode(message.data)
