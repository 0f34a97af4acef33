"""Reading a stream in order."""

from __future__ import annotations

from typing import Literal

import pytest

from tests.contract.bus.desk import CLOCK, SOON_S, read, texts
from tranche.bus.port import Bus
from tranche.errors import LostHistory, Refused


async def test_a_follow_reads_in_order_what_it_asked_for(bus: Bus) -> None:
    async with bus.follow("EVENTS", ["events.a.*", "events.c"], start=1) as follow:
        assert follow.position == 0
        for subject in ("events.a.x", "events.b", "events.c", "events.a.y"):
            await bus.publish(subject, subject.encode())

        got = await read(follow, 3)

        assert texts(got) == ["events.a.x", "events.c", "events.a.y"]
        assert [one.sequence for one in got] == [1, 3, 4]
        assert follow.position == 4


async def test_a_follow_from_a_sequence(bus: Bus) -> None:
    for number in range(1, 6):
        await bus.publish("events.a", str(number).encode())

    async with bus.follow("EVENTS", ["events.>"], start=4) as follow:
        assert texts(await read(follow, 2)) == ["4", "5"]


async def test_a_follow_of_what_is_new(bus: Bus) -> None:
    await bus.publish("events.a", b"old")

    async with bus.follow("EVENTS", ["events.>"], start="new") as follow:
        assert follow.position == 1
        await bus.publish("events.a", b"new")
        assert texts(await read(follow, 1)) == ["new"]


async def test_a_follow_of_last_values_goes_on_with_what_comes(bus: Bus) -> None:
    for subject, text in (("events.a", b"1"), ("events.b", b"2"), ("events.a", b"3"), ("other", b"")):
        if subject != "other":
            await bus.publish(subject, text)

    async with bus.follow("EVENTS", ["events.>"], start="last_per_subject") as follow:
        assert texts(await read(follow, 2)) == ["2", "3"]
        await bus.publish("events.b", b"4")
        await bus.publish("events.b", b"5")
        assert texts(await read(follow, 2)) == ["4", "5"]


async def test_a_follow_takes_no_more_than_it_asks_for(bus: Bus) -> None:
    for number in range(5):
        await bus.publish("events.a", str(number).encode())

    async with bus.follow("EVENTS", ["events.>"], start=1) as follow:
        first = texts(await follow.next(wait_s=SOON_S, limit=2))
        assert 1 <= len(first) <= 2
        assert follow.position == len(first)
        assert first + texts(await read(follow, 5 - len(first))) == ["0", "1", "2", "3", "4"]


async def test_a_follow_of_nothing_is_empty_after_the_wait(bus: Bus) -> None:
    async with bus.follow("EVENTS", ["events.>"], start="last_per_subject") as follow:
        began = CLOCK.monotonic()
        assert await follow.next(wait_s=0.2) == []
        assert 0.15 < CLOCK.monotonic() - began < SOON_S
        await bus.publish("events.a", b"one")
        assert texts(await read(follow, 1)) == ["one"]


async def test_catching_up_reads_everything_there_is(bus: Bus) -> None:
    for number in range(700):
        await bus.publish(f"events.{number}", str(number).encode())

    async with bus.follow("EVENTS", ["events.>"], start="last_per_subject") as follow:
        got = texts(await follow.catch_up(wait_s=SOON_S))
        assert got == [str(number) for number in range(700)]
        assert follow.position == 700
        assert await follow.catch_up(wait_s=SOON_S) == []
        await bus.publish("events.new", b"new")
        assert texts(await follow.catch_up(wait_s=SOON_S)) == ["new"]
        assert follow.position == 701


async def test_catching_up_passes_what_was_purged_and_what_is_not_ours(bus: Bus) -> None:
    async with bus.follow("EVENTS", ["events.a"], start="last_per_subject") as follow:
        await bus.publish("events.a", b"one")
        await bus.publish("events.b", b"another's")
        await bus.publish("events.a", b"gone")
        await bus.purge("EVENTS", "events.a")

        assert texts(await follow.catch_up(wait_s=SOON_S)) in ([], ["one"], ["one", "gone"])
        assert follow.position == 3

        await bus.publish("events.a", b"four")
        assert texts(await follow.next(wait_s=SOON_S)) == ["four"]


@pytest.mark.parametrize("start", ["last_per_subject", "new", 1])
async def test_catching_up_with_an_empty_stream(
    bus: Bus, start: Literal["last_per_subject", "new"] | int
) -> None:
    async with bus.follow("EVENTS", ["events.a"], start=start) as follow:
        assert await follow.catch_up(wait_s=SOON_S) == []
        assert follow.position == 0


async def test_catching_up_with_a_purged_last_record_of_the_snapshot(bus: Bus) -> None:
    await bus.publish("events.a", b"one")
    await bus.publish("events.b", b"gone")
    await bus.purge("EVENTS", "events.b")

    async with bus.follow("EVENTS", ["events.*"], start="last_per_subject") as follow:
        assert texts(await follow.catch_up(wait_s=SOON_S)) == ["one"]
        assert follow.position == 2


async def test_a_work_queue_cannot_be_followed(bus: Bus) -> None:
    with pytest.raises(Refused, match="TASKS"):
        async with bus.follow("TASKS", ["tasks.*"], start=1):
            pass


async def test_who_has_read_further_than_the_stream_goes_is_told(bus: Bus) -> None:
    await bus.publish("events.a", b"one")

    async with bus.follow("EVENTS", ["events.>"], start=2) as follow:
        assert follow.position == 1
    with pytest.raises(LostHistory, match="EVENTS ends at sequence 1, but 2"):
        async with bus.follow("EVENTS", ["events.>"], start=3):
            pass
