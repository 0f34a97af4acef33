"""What is published: stored once, in order, within the limits of its stream."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from tests.contract.bus.desk import CLOCK, SOON_S, WORKERS, Connect, eventually
from tranche.bus.port import Bus, StreamSpec
from tranche.errors import Conflict, Full, Refused, Unavailable


async def test_what_is_published_is_kept_with_its_sequence(bus: Bus) -> None:
    before = CLOCK.now()
    first = await bus.publish("events.a", b"one", headers={"Tranche-Schema": "1"})
    second = await bus.publish("events.b", b"two")

    assert (first, second) == (1, 2)
    kept = await bus.last("EVENTS", "events.a")
    assert kept is not None
    assert (kept.subject, kept.sequence, kept.data) == ("events.a", 1, b"one")
    assert kept.headers["Tranche-Schema"] == "1"
    assert before - timedelta(seconds=1) < kept.time < CLOCK.now() + timedelta(seconds=1)


async def test_what_was_asked_of_the_stream_stands_in_the_headers(bus: Bus) -> None:
    await bus.publish("$KV.table.a", b"", expect=0, msg_id="a-1", ttl_s=5.2, headers={"Tranche-Schema": "1"})

    kept = await bus.last("KV_table", "$KV.table.a")
    assert kept is not None
    assert kept.headers == {
        "Tranche-Schema": "1",
        "Nats-Expected-Last-Subject-Sequence": "0",
        "Nats-Msg-Id": "a-1",
        "Nats-TTL": "6s",
    }


async def test_an_empty_message_is_a_message(bus: Bus) -> None:
    await bus.publish("events.a", b"")

    kept = await bus.last("EVENTS", "events.a")
    assert kept is not None
    assert kept.data == b""


async def test_a_write_that_expects_the_last_sequence_replaces(bus: Bus) -> None:
    first = await bus.publish("$KV.table.a", b"one", expect=0)
    await bus.publish("$KV.table.b", b"other", expect=0)

    second = await bus.publish("$KV.table.a", b"two", expect=first)

    kept = await bus.last("KV_table", "$KV.table.a")
    assert kept is not None
    assert (kept.data, kept.sequence) == (b"two", second)


@pytest.mark.parametrize("expect", [0, 7])
async def test_a_write_that_expects_another_sequence_is_a_conflict(bus: Bus, expect: int) -> None:
    await bus.publish("$KV.table.a", b"one")

    with pytest.raises(Conflict, match=r"table\.a"):
        await bus.publish("$KV.table.a", b"two", expect=expect)

    kept = await bus.last("KV_table", "$KV.table.a")
    assert kept is not None
    assert kept.data == b"one"


async def test_a_write_that_expects_something_finds_nothing(bus: Bus) -> None:
    with pytest.raises(Conflict):
        await bus.publish("$KV.table.a", b"one", expect=3)

    assert await bus.last("KV_table", "$KV.table.a") is None


async def test_of_many_writers_behind_one_sequence_one_wins(bus: Bus, another: Connect) -> None:
    writers = [bus, await another(), await another()]

    told = await asyncio.gather(
        *(writer.publish("$KV.table.a", b"%d" % number, expect=0) for number, writer in enumerate(writers)),
        return_exceptions=True,
    )

    assert sorted(type(one).__name__ for one in told) == ["Conflict", "Conflict", "int"]


async def test_a_work_queue_takes_one_message_per_subject(bus: Bus) -> None:
    await bus.publish("tasks.a", b"one")

    with pytest.raises(Full, match=r"tasks\.a"):
        await bus.publish("tasks.a", b"again")
    await bus.publish("tasks.b", b"another pod's")

    [delivery, _] = await (await bus.pull(WORKERS)).fetch(2, wait_s=SOON_S)
    await delivery.ack()

    async def taken() -> bool:
        try:
            return await bus.publish("tasks.a", b"next") > 0
        except Full:
            return False

    await eventually(taken)


async def test_the_same_id_is_stored_once(bus: Bus) -> None:
    first = await bus.publish("events.a", b"one", msg_id="a-1")
    again = await bus.publish("events.a", b"one", msg_id="a-1")
    other = await bus.publish("events.a", b"two", msg_id="a-2")

    assert (first, again, other) == (1, 1, 2)
    assert await bus.subjects("EVENTS", "events.>") == {"events.a": 2}


async def test_an_id_is_remembered_no_longer_than_its_message(bus: Bus) -> None:
    await bus.ensure([StreamSpec("AGING", ("aging.*",), max_age_s=0.5)], replicas=1, create=True)
    await bus.publish("aging.a", b"one", msg_id="a-1")

    async def stored_anew() -> bool:
        return await bus.publish("aging.a", b"one", msg_id="a-1") == 2

    await eventually(stored_anew)


async def test_a_message_ends_when_its_time_is_over_unless_renewed(bus: Bus) -> None:
    await bus.publish("$KV.table.lease", b"mine", ttl_s=1)
    await bus.publish("$KV.table.for-ever", b"mine")
    sequence = await bus.publish("$KV.table.renewed", b"mine", ttl_s=1)
    began = CLOCK.monotonic()
    await CLOCK.sleep(0.6)
    await bus.publish("$KV.table.renewed", b"mine", expect=sequence, ttl_s=1)

    async def over() -> bool:
        return await bus.last("KV_table", "$KV.table.lease") is None

    await eventually(over)

    assert CLOCK.monotonic() - began > 0.8
    await CLOCK.sleep(0.1)
    assert set(await bus.subjects("KV_table", "$KV.table.>")) == {
        "$KV.table.for-ever",
        "$KV.table.renewed",
    }
    # The place of what ended is empty, whatever its sequence was.
    with pytest.raises(Conflict):
        await bus.publish("$KV.table.lease", b"mine", expect=1, ttl_s=1)
    await bus.publish("$KV.table.lease", b"theirs", expect=0, ttl_s=1)


async def test_a_time_to_live_is_refused_where_the_stream_has_none(bus: Bus) -> None:
    with pytest.raises(Refused):
        await bus.publish("events.a", b"one", ttl_s=1)


async def test_no_stream_is_unavailable_at_once(bus: Bus) -> None:
    began = CLOCK.monotonic()

    with pytest.raises(Unavailable, match=r"nowhere\.at\.all"):
        await bus.publish("nowhere.at.all", b"one")

    assert CLOCK.monotonic() - began < SOON_S


async def test_a_message_larger_than_allowed_is_refused(bus: Bus) -> None:
    with pytest.raises(Refused, match=r"events\.a"):
        await bus.publish("events.a", b"x" * (1_048_576 + 1))


async def test_headers_count_as_part_of_a_message(bus: Bus) -> None:
    """A server ends the connection of whoever sends it too much."""
    with pytest.raises(Refused, match=r"events\.a"):
        await bus.publish("events.a", b"x" * 1_048_576, headers={"Tranche-Schema": "1"})
    with pytest.raises(Refused, match=r"short\.a"):
        await bus.publish("short.a", b"x" * 64, headers={"Tranche-Schema": "1"})

    assert await bus.publish("events.a", b"x") == 1
    assert await bus.publish("short.a", b"x" * 64) == 1


async def test_what_can_never_be_stored_is_refused_whatever_else_it_says(bus: Bus) -> None:
    with pytest.raises(Refused):
        await bus.publish("short.a", b"x" * 65, expect=7)
    with pytest.raises(Refused):
        await bus.publish("events.a", b"", expect=7, ttl_s=1)
    await bus.publish("events.a", b"", msg_id="a")
    with pytest.raises(Refused):
        await bus.publish("events.a", b"", msg_id="a", ttl_s=1)
    await bus.publish("short.a", b"", msg_id="a")
    with pytest.raises(Refused):
        await bus.publish("short.a", b"x" * 65, msg_id="a")


async def test_a_full_table_takes_what_is_no_larger_than_what_it_replaces(bus: Bus) -> None:
    await bus.publish("small.a", b"x" * 100)

    with pytest.raises(Unavailable, match=r"small\.b"):
        await bus.publish("small.b", b"x")
    with pytest.raises(Unavailable, match=r"small\.a"):
        await bus.publish("small.a", b"x" * 101)
    assert await bus.publish("small.a", b"y" * 100) == 2
