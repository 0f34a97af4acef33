"""What only the bus in memory offers: a connection that can be cut, a history that can be lost, any clock."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from tests.virtual_clock import VirtualClock
from tranche.bus.memory import MemoryBroker, MemoryBus
from tranche.bus.port import ConsumerSpec, Endpoint, Request, StreamSpec
from tranche.errors import LostHistory, Refused, Unavailable, Unknown
from tranche.runtime import Runtime, SystemDice, SystemTasks, system_runtime

RUNTIME = system_runtime()
CLOCK = RUNTIME.clock
WORKERS = ConsumerSpec("TASKS", "workers", ("tasks.*",), ack_wait_s=7)
TASKS = StreamSpec("TASKS", ("tasks.*",), retention="workqueue", consumers=(WORKERS,))
EVENTS = StreamSpec("EVENTS", ("events.>",))
TABLE = StreamSpec("KV_table", ("$KV.table.>",), max_per_subject=1, discard="new", message_ttl=True)
WAKE = StreamSpec("WAKE", ("wake.*", "schedule.*"), max_per_subject=1, schedules=True)
AGING = StreamSpec("AGING", ("aging.*",), max_age_s=60)
SMALL = StreamSpec("SMALL", ("small.*",), max_bytes=150)
STRICT = StreamSpec("STRICT", ("strict.*",), max_bytes=150, discard="new")
STREAMS = (TASKS, EVENTS, TABLE, WAKE, AGING, SMALL, STRICT)


@pytest.fixture
async def broker() -> MemoryBroker:
    return MemoryBroker(CLOCK)


@pytest.fixture
async def bus(broker: MemoryBroker) -> MemoryBus:
    bus = MemoryBus(broker, RUNTIME)
    await bus.ensure(STREAMS, replicas=1, create=True)
    return bus


# --- a connection that can be cut ---


async def test_nothing_leaves_a_connection_that_is_cut(broker: MemoryBroker, bus: MemoryBus) -> None:
    bus.cut()

    assert not bus.connected
    for asked in (
        bus.publish("events.a", b"ghost"),
        bus.last("EVENTS", "events.a"),
        bus.state("EVENTS"),
        bus.request("api.ask", b"", timeout_s=1),
        bus.say("api.ask", b""),
        bus.purge("EVENTS", "events.a"),
        bus.ensure(STREAMS, replicas=1, create=True),
    ):
        with pytest.raises(Unavailable, match="not connected"):
            await asked
    bus.mend()
    assert bus.connected
    assert (await bus.state("EVENTS")).messages == 0


async def test_a_write_under_way_when_the_connection_breaks_is_unknown(bus: MemoryBus) -> None:
    outcomes: dict[int, bool] = {}
    for turns in (1, 2):  # on the way there, on the way back
        writing = asyncio.ensure_future(bus.publish(f"events.{turns}", b"one"))
        for _ in range(turns):
            await asyncio.sleep(0)
        bus.cut()
        with pytest.raises(Unknown):
            await writing
        bus.mend()
        outcomes[turns] = await bus.last("EVENTS", f"events.{turns}") is not None

    assert outcomes == {1: False, 2: True}


async def test_who_waits_gets_what_came_after_the_connection_is_mended(
    broker: MemoryBroker, bus: MemoryBus
) -> None:
    other = MemoryBus(broker, RUNTIME)
    pull = await bus.pull(WORKERS)
    async with bus.follow("EVENTS", ["events.>"], start="new") as follow:
        bus.cut()
        fetching = asyncio.ensure_future(pull.fetch(5, wait_s=5))
        reading = asyncio.ensure_future(follow.next(wait_s=5))
        catching = asyncio.ensure_future(follow.catch_up(wait_s=0.05))
        await other.publish("tasks.a", b"task")
        await other.publish("events.a", b"event")
        with pytest.raises(Unavailable):
            await catching
        assert not fetching.done()
        assert not reading.done()

        bus.mend()

        assert [one.message.data for one in await fetching] == [b"task"]
        assert [one.data for one in await reading] == [b"event"]


async def test_words_about_a_delivery_are_lost_while_cut(broker: MemoryBroker, bus: MemoryBus) -> None:
    await bus.publish("tasks.a", b"one")
    [delivery] = await (await bus.pull(WORKERS)).fetch(1, wait_s=1)
    bus.cut()

    await delivery.ack()
    await delivery.nak()
    await delivery.term()
    with pytest.raises(Unavailable):
        await delivery.extend()

    bus.mend()
    assert await bus.subjects("TASKS", "tasks.*") == {"tasks.a": 1}


async def test_a_service_that_is_cut_off_answers_nobody(broker: MemoryBroker, bus: MemoryBus) -> None:
    asking = MemoryBus(broker, RUNTIME)
    asked, gate = asyncio.Event(), asyncio.Event()

    async def answer(request: Request) -> bytes:
        asked.set()
        await gate.wait()
        return b"here"

    async with bus.serve("shop", "1.0.0", "answers", [Endpoint("ask", "api.ask", answer)]):
        waiting = asyncio.ensure_future(asking.request("api.ask", b"", timeout_s=0.2))
        await asked.wait()
        bus.cut()
        gate.set()
        with pytest.raises(Unknown):
            await waiting
        with pytest.raises(Unavailable):
            await asking.request("api.ask", b"", timeout_s=1)
        bus.mend()
        assert await asking.request("api.ask", b"", timeout_s=1) == b"here"


async def test_who_asked_hears_at_once_that_the_connection_broke(
    broker: MemoryBroker, bus: MemoryBus
) -> None:
    async def never(request: Request) -> None:
        return None

    async with bus.serve("shop", "1.0.0", "answers", [Endpoint("ask", "api.ask", never)]):
        asking = MemoryBus(broker, RUNTIME)
        waiting = asyncio.ensure_future(asking.request("api.ask", b"", timeout_s=60))
        await CLOCK.sleep(0.01)
        asking.cut()
        with pytest.raises(Unknown, match="broke"):
            await waiting


# --- a history that can be lost, and limits ---


async def test_a_reader_notices_that_what_it_read_is_gone(broker: MemoryBroker, bus: MemoryBus) -> None:
    for number in range(5):
        await bus.publish("events.a", b"%d" % number)
    async with bus.follow("EVENTS", ["events.>"], start=1) as follow:
        await follow.next(wait_s=1)

        broker.streams["EVENTS"].lose(after=2)

        with pytest.raises(LostHistory, match="ends at sequence 2, but 5"):
            await follow.next(wait_s=1)
    assert (await bus.state("EVENTS")).last_sequence == 2
    assert await bus.publish("events.b", b"again") == 3


async def test_what_was_lost_leaves_nothing_behind_that_meets_the_new() -> None:
    clock = VirtualClock()
    runtime = Runtime(clock, SystemDice(), SystemTasks())
    broker = MemoryBroker(clock)
    bus = MemoryBus(broker, runtime)

    async with clock.running():
        await bus.ensure(STREAMS, replicas=1, create=True)
        await bus.publish("$KV.table.lost", b"", ttl_s=5, msg_id="a")
        broker.streams["KV_table"].lose(after=0)

        assert await bus.publish("$KV.table.new", b"", msg_id="a") == 1
        await clock.sleep(10)
        assert await bus.last("KV_table", "$KV.table.new") is not None


async def test_a_hold_can_lapse_at_any_moment(broker: MemoryBroker, bus: MemoryBus) -> None:
    for name in "ab":
        await bus.publish(f"tasks.{name}", b"")
    pull = await bus.pull(WORKERS)
    await pull.fetch(2, wait_s=1)
    consumer = broker.consumer(WORKERS)
    assert consumer.in_hand == [1, 2]

    consumer.lapse(2)
    consumer.lapse(7)

    assert consumer.in_hand == [1]
    [again] = await pull.fetch(2, wait_s=1)
    assert (again.message.sequence, again.attempt) == (2, 2)


async def test_what_is_not_wanted_any_more_makes_room(bus: MemoryBus) -> None:
    for number in range(4):
        await bus.publish(f"small.{number}", b"x" * 10)

    assert set(await bus.subjects("SMALL", "small.*")) == {"small.1", "small.2", "small.3"}


async def test_a_full_stream_that_keeps_what_it_has_is_unavailable(bus: MemoryBus) -> None:
    for number in range(3):
        await bus.publish(f"strict.{number}", b"x" * 10)

    with pytest.raises(Unavailable, match="full"):
        await bus.publish("strict.3", b"x" * 10)


async def test_schedules_are_refused_where_the_stream_takes_none(bus: MemoryBus) -> None:
    with pytest.raises(Refused):
        await bus.schedule("events.later", b"", at=CLOCK.now(), target="events.now")


# --- any clock ---


async def test_hours_pass_in_no_time_on_a_virtual_clock() -> None:
    clock = VirtualClock()
    runtime = Runtime(clock, SystemDice(), SystemTasks())
    bus = MemoryBus(MemoryBroker(clock), runtime)

    async def story() -> None:
        await bus.ensure(STREAMS, replicas=1, create=True)
        # a schedule an hour away
        async with bus.follow("WAKE", ["wake.*"], start="new") as follow:
            due = clock.now() + timedelta(hours=1)
            await bus.schedule("schedule.a", b"due", at=due, target="wake.a")
            [woken] = await follow.next(wait_s=7200)
            assert woken.time == clock.now() == due
            assert await follow.next(wait_s=600) == []
        assert clock.monotonic() == 4200

        # a delivery nobody acks
        await bus.publish("tasks.a", b"one", msg_id="a")
        pull = await bus.pull(WORKERS)
        for attempt in (1, 2, 3):
            [delivery] = await pull.fetch(1, wait_s=60)
            assert (delivery.attempt, clock.monotonic()) == (attempt, 4200 + 7 * (attempt - 1))
        await delivery.nak(30)
        [delivery] = await pull.fetch(1, wait_s=60)
        assert clock.monotonic() == 4214 + 30
        await delivery.ack()
        assert await pull.fetch(1, wait_s=60) == []

        # leases, ages, and the memory for ids
        await bus.publish("$KV.table.lease", b"", ttl_s=6)
        await bus.publish("aging.a", b"")
        again = await bus.publish("tasks.a", b"one", msg_id="a")
        assert again == 1
        await clock.sleep(5.9)
        assert await bus.last("KV_table", "$KV.table.lease") is not None
        await clock.sleep(0.2)
        assert await bus.last("KV_table", "$KV.table.lease") is None
        await clock.sleep(60)
        assert await bus.last("AGING", "aging.a") is None
        assert await bus.publish("tasks.a", b"one", msg_id="a") == 2

        # a request that nobody answers
        async def slow(request: Request) -> bytes:
            await clock.sleep(100)
            return b"late"

        async with bus.serve("shop", "1.0.0", "answers", [Endpoint("ask", "api.ask", slow)]):
            began = clock.monotonic()
            with pytest.raises(Unknown):
                await bus.request("api.ask", b"", timeout_s=10)
            assert clock.monotonic() == began + 10

    async with clock.running():
        await story()


async def test_the_same_order_of_tasks_gives_the_same_history() -> None:
    async def history() -> list[tuple[str, int]]:
        clock = VirtualClock()
        bus = MemoryBus(MemoryBroker(clock), Runtime(clock, SystemDice(), SystemTasks()))
        await bus.ensure([EVENTS], replicas=1, create=True)

        async def write(name: str) -> None:
            for number in range(5):
                await bus.publish(f"events.{name}.{number}", b"")

        async with clock.running():
            await asyncio.gather(*(write(name) for name in "abc"))
        async with bus.follow("EVENTS", ["events.>"], start=1) as follow:
            return [(one.subject, one.sequence) for one in await follow.catch_up(wait_s=1)]

    first, second = await history(), await history()

    assert first == second
    assert [subject for subject, _ in first[:4]] == ["events.a.0", "events.b.0", "events.c.0", "events.a.1"]
