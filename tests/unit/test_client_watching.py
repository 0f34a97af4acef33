"""Whoever watches goes on where a stream has no leader for a while, and learns of a stream that is gone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from tests.cli_samples import NOW, status
from tests.virtual_clock import VirtualClock
from tranche.bus.port import Bus, Stored
from tranche.client import watching
from tranche.errors import Unavailable, Unknown

LEADERLESS = Unavailable("JetStream system temporarily unavailable (10008)")


class Reader:
    """Answers what is next in its list; an error is raised. At its end it has nobody to ask."""

    connected = True

    def __init__(self, *answers: Stored | Exception) -> None:
        self._answers = list(answers)

    @asynccontextmanager
    async def follow(self, *_args: Any, **_options: Any) -> AsyncIterator[Reader]:
        yield self

    async def catch_up(self, *, wait_s: float) -> Sequence[Stored]:
        return []

    async def next(self, *, wait_s: float) -> Sequence[Stored]:
        answer = self._answers.pop(0) if self._answers else LEADERLESS
        if isinstance(answer, Exception):
            raise answer
        return [answer]


def told(sequence: int, version: str) -> Stored:
    data = status(targetVersion=version).encode()
    return Stored("tranche.status.shop.cart", sequence, data, NOW)


@pytest.mark.parametrize("follow", [False, True])
async def test_an_election_does_not_end_a_watch(follow: bool) -> None:
    clock = VirtualClock()
    outage = [LEADERLESS, Unknown("no answer within 2 s"), LEADERLESS]
    bus = cast(Bus, Reader(told(1, "1.0.0"), *outage, told(2, "2.0.0")))
    statuses = (
        watching.history(bus, clock, "tranche.status.>", follow=True)
        if follow
        else watching.live(bus, clock, "tranche.status.>")
    )
    async with clock.running():
        seen = [(await anext(statuses)).target_version for _ in range(2)]
    assert seen == ["1.0.0", "2.0.0"]


async def test_a_stream_that_stays_away_ends_it_with_the_reason() -> None:
    clock = VirtualClock()
    statuses = watching.live(cast(Bus, Reader(told(1, "1.0.0"))), clock, "tranche.status.>")
    async with clock.running():
        await anext(statuses)
        with pytest.raises(Unavailable, match="10008"):
            await anext(statuses)
    assert clock.monotonic() >= watching.OUTAGE_S
