"""The bus in memory tells what nats-server tells, whatever is done (rung 4 of the ladder).

Hundreds of random sequences run side by side on one server, each also on a broker in memory. Every sequence has a
number: ``TRANCHE_BUS_SEQUENCES=1740:1741`` does that one alone, ``TRANCHE_STRESS=1`` the first 2,000.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.contract.bus_sequences import WORLDS, Last, Look, Operation, Publish, sequences
from tests.contract.bus_sequences import Sequence as Drawn
from tests.contract.bus_sides import Difference, Inconclusive, InMemory
from tests.contract.bus_twins import Twins
from tranche.bus.memory import MemoryBus
from tranche.bus.nats import connect
from tranche.bus.port import Bus
from tranche.bus.server import NatsServer

pytestmark = pytest.mark.nats

FIRST, LAST = map(
    int,
    os.environ.get(
        "TRANCHE_BUS_SEQUENCES", "0:2000" if os.environ.get("TRANCHE_STRESS") == "1" else "0:200"
    ).split(":"),
)
AT_ONCE = 400
"""So many sequences are under way: most wait for something to fall due."""
AT_WORK = 4
TRIES = 5
"""A sequence that this machine was too slow for is done again so often."""
SHORTENED = 3
"""So many of the sequences that differ are made small."""
MUST_HAPPEN = (
    *("Conflict", "Full", "Unavailable", "Refused", "Unknown", "LostHistory", "again"),
    *(kind.__name__ for kind in Operation.__args__),
)


def drawn(number: int) -> Drawn:
    """The sequence of that number."""
    found: list[Drawn] = []

    # The first example is the simplest, whatever the seed. No more than a second: later ones are often an
    # earlier one with a small change.
    @seed(number)
    @settings(
        max_examples=2,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(sequences())
    def keep(sequence: Drawn) -> None:
        found.append(sequence)

    keep()
    return found[-1]


@dataclass(slots=True)
class Campaign:
    """Sequences on one server, side by side."""

    nats: Sequence[Bus]
    in_memory: InMemory = MemoryBus
    seen: Counter[str] = field(default_factory=Counter)
    slow: list[str] = field(default_factory=list)
    """Where this machine was too slow for the times in a sequence; it was done again."""
    given_up: int = 0
    _room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    _gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_WORK))
    _names: itertools.count[int] = field(default_factory=itertools.count)

    async def differences(self, all_: Mapping[str, Drawn]) -> list[str]:
        """What differs, by name, in words that can be pasted into a test."""
        told = await asyncio.gather(*map(self._difference, all_.values()))
        differing = {name: found for name, found in zip(all_, told, strict=True) if found}
        small = await asyncio.gather(
            *(self._small(all_[name], differing[name]) for name in itertools.islice(differing, SHORTENED))
        )
        words = [f"{one}: {found}" for one, found in small] + ["not made small"] * len(differing)
        return [f"{name} {text}" for name, text in zip(differing, words, strict=False)]

    async def _difference(self, one: Drawn) -> Difference | None:
        """The first thing that differs."""
        async with self._room:
            for _ in range(TRIES):
                world = WORLDS[one.world].below(f"q{next(self._names)}")
                twins = Twins(world, self.nats, self._gate, self.in_memory)
                try:
                    await twins.run(one.operations)
                except Difference as difference:
                    return difference
                except Inconclusive as error:
                    self.slow.append(f"{world.stream.name}: {error}")
                else:
                    self.seen += twins.seen
                    return None
        self.given_up += 1
        return None

    async def _small(self, one: Drawn, found: Difference) -> tuple[Drawn, Difference]:
        """Leave out whatever can be left out while something differs."""
        size = len(one.operations) // 2
        while size:
            parts = [
                Drawn(one.world, one.operations[:first] + one.operations[first + size :])
                for first in range(0, len(one.operations), size)
            ]
            told = zip(parts, await asyncio.gather(*map(self._difference, parts)), strict=True)
            for part, difference in told:
                if difference is not None:
                    one, found = part, difference
                    break
            else:
                size //= 2
        return one, found


@pytest.fixture
async def nats(nats_server: NatsServer, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Sequence[Bus]]:
    """Two connections to the same server."""
    caplog.set_level(logging.CRITICAL)  # failing handlers are part of the sequences
    async with connect(nats_server.url, name="one") as one, connect(nats_server.url, name="two") as two:
        yield [one, two]


async def test_the_bus_in_memory_tells_what_nats_tells(nats: Sequence[Bus]) -> None:
    campaign = Campaign(nats)
    count = LAST - FIRST

    differing = await campaign.differences(
        {f"sequence {number}": drawn(number) for number in range(FIRST, LAST)}
    )

    print(f"{count} sequences, {len(differing)} differ, {campaign.given_up} not known")
    print(f"{len(campaign.slow)} times done again: {campaign.slow}")
    print(dict(campaign.seen))
    assert not differing, "\n\n".join(differing)
    assert campaign.given_up <= count // 100, campaign.slow
    if count >= 200:
        assert [kind for kind in MUST_HAPPEN if not campaign.seen[kind]] == []


class Forgetful(MemoryBus):
    """Expects nothing of what it replaces."""

    async def publish(self, subject: str, data: bytes, *, expect: int | None = None, **others: object) -> int:
        return await super().publish(subject, data, **others)  # type: ignore[arg-type]


async def test_a_difference_is_found_and_made_small(nats: Sequence[Bus]) -> None:
    world = next(number for number, world in enumerate(WORLDS) if world.name == "log")
    one = Drawn(
        world, (Publish(0), Last(0), Look(0), Publish(1), Publish(1, expect="stale"), Last(1), Look(1))
    )

    [told] = await Campaign(nats, Forgetful).differences({"the sequence": one})

    assert told.startswith("the sequence on 'log'")
    assert "Conflict" in told
    assert [told.count(kind) for kind in ("Publish(", "Last(", "Look(")] == [2, 0, 0]  # once in the step
