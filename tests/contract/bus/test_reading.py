"""Looking at a stream: last values, its state, subjects, purging."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.contract.bus.desk import CLOCK
from tranche.bus.port import Bus
from tranche.errors import Unavailable


async def test_nothing_is_none(bus: Bus) -> None:
    assert await bus.last("EVENTS", "events.a") is None
    assert await bus.subjects("EVENTS", "events.>") == {}
    state = await bus.state("EVENTS")
    assert abs((state.at - datetime.now(UTC)).total_seconds()) < 60, "and when it was told"
    assert (state.first_sequence, state.last_sequence, state.messages) == (0, 0, 0)


async def test_a_stream_that_is_not_there_is_unavailable(bus: Bus) -> None:
    with pytest.raises(Unavailable):
        await bus.last("NOTHING", "events.a")
    with pytest.raises(Unavailable):
        await bus.state("NOTHING")
    with pytest.raises(Unavailable):
        async with bus.follow("NOTHING", ["events.>"], start="new"):
            pass


async def test_the_state_tells_where_a_stream_stands(bus: Bus) -> None:
    for text in (b"one", b"two", b"three"):
        await bus.publish("$KV.table.a", text)

    state = await bus.state("KV_table")

    assert (state.first_sequence, state.last_sequence, state.messages) == (3, 3, 1)
    assert abs(CLOCK.now() - state.created) < timedelta(seconds=30)
    assert (await bus.state("KV_table")).created == state.created


async def test_subjects_are_told_by_filter(bus: Bus) -> None:
    for subject in ("events.a.x", "events.a.y", "events.a.y", "events.b.x"):
        await bus.publish(subject, b"one")

    assert await bus.subjects("EVENTS", "events.a.*") == {"events.a.x": 1, "events.a.y": 2}
    assert await bus.subjects("EVENTS", "events.*.x") == {"events.a.x": 1, "events.b.x": 1}
    assert len(await bus.subjects("EVENTS", "events.>")) == 3


async def test_purging_empties_one_subject(bus: Bus) -> None:
    await bus.publish("events.a", b"one")
    await bus.publish("events.a", b"two")
    await bus.publish("events.b", b"three")

    await bus.purge("EVENTS", "events.a")
    await bus.purge("EVENTS", "events.never")

    assert await bus.subjects("EVENTS", "events.>") == {"events.b": 1}
    assert (await bus.state("EVENTS")).last_sequence == 3
    assert await bus.publish("events.a", b"four", expect=0) == 4
