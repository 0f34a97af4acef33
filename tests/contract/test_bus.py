"""What everybody may rely on of a bus: one suite, on NATS and on its twin in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from tranche.bus.memory import MemoryBroker, MemoryBus
from tranche.bus.nats import connect
from tranche.bus.port import Bus, ConsumerSpec, Delivery, Endpoint, Follow, Pull, Request, Stored, StreamSpec
from tranche.bus.server import embedded_server
from tranche.errors import Conflict, Full, LostHistory, Refused, Unavailable, Unknown
from tranche.runtime import system_runtime

RUNTIME = system_runtime()
CLOCK = RUNTIME.clock
SOON_S = 5.0
"""Longer than anything here takes; a wait for it ends as soon as it may."""

WORKERS = ConsumerSpec("TASKS", "workers", ("tasks.*",), ack_wait_s=0.3)
TASKS = StreamSpec(
    "TASKS",
    ("tasks.*",),
    max_per_subject=1,
    retention="workqueue",
    discard="new",
    discard_new_per_subject=True,
    consumers=(WORKERS,),
)
EVENTS = StreamSpec("EVENTS", ("events.>",))
TABLE = StreamSpec("KV_table", ("$KV.table.>",), max_per_subject=1, discard="new", message_ttl=True)
WAKE = StreamSpec("WAKE", ("wake.*", "schedule.*"), max_per_subject=1, schedules=True, message_ttl=True)
SMALL = StreamSpec("SMALL", ("small.*",), max_per_subject=1, discard="new", max_bytes=150)
SHORT = StreamSpec("SHORT", ("short.*",), max_message_bytes=64)
STREAMS = (TASKS, EVENTS, TABLE, WAKE, SMALL, SHORT)

Connect = Callable[[], Awaitable[Bus]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def accounts(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Iterator[str]]:
    """Addresses of one server, each of an account that nobody has used before."""
    named = ", ".join(
        f"a{number} {{ jetstream: enabled, users: [{{ user: u{number}, password: p }}] }}"
        for number in range(200)
    )
    folder = tmp_path_factory.mktemp("nats")
    async with embedded_server(folder, options=f"accounts {{ {named} }}") as server:
        yield (server.url.replace("//", f"//u{number}:p@") for number in range(200))


@pytest.fixture(params=[pytest.param("nats", marks=pytest.mark.nats), "memory"])
async def another(request: pytest.FixtureRequest, accounts: Iterator[str]) -> AsyncIterator[Connect]:
    """Makes one more connection to the same broker, which is empty at first."""
    async with AsyncExitStack() as connections:
        if request.param == "memory":
            broker = MemoryBroker(CLOCK)

            async def in_memory() -> Bus:
                return MemoryBus(broker, RUNTIME)

            yield in_memory
            return
        address = next(accounts)

        async def over_nats() -> Bus:
            return await connections.enter_async_context(connect(address, name="test"))

        yield over_nats


@pytest.fixture
async def bus(another: Connect) -> Bus:
    """A connection to a broker with the streams above."""
    bus = await another()
    await bus.ensure(STREAMS, replicas=1, create=True)
    return bus


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    async with CLOCK.timeout(SOON_S):
        while not await condition():
            await CLOCK.sleep(0.01)


def texts(messages: Sequence[Stored] | Sequence[Delivery]) -> list[str]:
    return [(one if isinstance(one, Stored) else one.message).data.decode() for one in messages]


# --- publishing ---


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


# --- reading ---


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


# --- schedules ---


async def test_a_scheduled_message_comes_when_it_is_due(bus: Bus) -> None:
    at = CLOCK.now() + timedelta(seconds=0.3)
    async with bus.follow("WAKE", ["wake.*"], start="new") as follow:
        await bus.schedule("schedule.cart", b"due", at=at, target="wake.cart")

        assert await follow.next(wait_s=0.1) == []
        [woken] = await follow.next(wait_s=SOON_S)

    assert (woken.subject, woken.data) == ("wake.cart", b"due")
    assert timedelta(0) <= CLOCK.now() - at < timedelta(seconds=1)


async def test_no_scheduled_message_comes_before_its_time(bus: Bus) -> None:
    soon = CLOCK.now() + timedelta(seconds=0.3)
    soon += timedelta(microseconds=999 - soon.microsecond % 1000)
    due = {f"wake.{number}": soon + timedelta(milliseconds=7 * number) for number in range(40)}
    came: dict[str, datetime] = {}
    async with bus.follow("WAKE", ["wake.*"], start="new") as follow:
        for number, (target, at) in enumerate(due.items()):
            await bus.schedule(f"schedule.{number}", b"due", at=at, target=target)
        while len(came) < len(due):
            woken = await follow.next(wait_s=SOON_S)
            assert woken, f"only {len(came)} of {len(due)} came"
            came |= {one.subject: one.time for one in woken}

    assert [target for target, at in due.items() if came[target] < at] == []


async def test_the_newest_schedule_replaces_the_one_before(bus: Bus) -> None:
    early, late = CLOCK.now() + timedelta(seconds=0.3), CLOCK.now() + timedelta(seconds=60)
    async with bus.follow("WAKE", ["wake.*"], start="new") as follow:
        await bus.schedule("schedule.a", b"early", at=early, target="wake.a")
        await bus.schedule("schedule.a", b"late", at=late, target="wake.a")
        await bus.schedule("schedule.b", b"late", at=late, target="wake.b")
        await bus.schedule("schedule.b", b"early", at=early, target="wake.b")

        assert [one.subject for one in await read(follow, 1)] == ["wake.b"]
        assert await follow.next(wait_s=0.1) == []


async def test_whatever_comes_to_its_subject_replaces_a_schedule(bus: Bus) -> None:
    await bus.ensure([StreamSpec("MANY", ("many.*",), schedules=True)], replicas=1, create=True)
    soon = CLOCK.now() + timedelta(seconds=0.2)
    async with bus.follow("MANY", ["many.a", "many.b"], start="new") as follow:
        await bus.schedule("many.schedule-a", b"due", at=soon, target="many.a")
        await bus.schedule("many.schedule-b", b"due", at=soon, target="many.b")
        await bus.publish("many.schedule-a", b"in its stead")

        assert [one.subject for one in await read(follow, 1)] == ["many.b"]
        assert await follow.next(wait_s=0.1) == []


@pytest.mark.parametrize("target", ["events.a", "schedule.a"])
async def test_a_schedule_for_another_stream_or_itself_is_refused(bus: Bus, target: str) -> None:
    with pytest.raises(Refused, match=r"schedule\.a"):
        await bus.schedule("schedule.a", b"due", at=CLOCK.now(), target=target)


async def test_what_is_long_due_comes_at_once(bus: Bus) -> None:
    pull = await bus.pull(ConsumerSpec("WAKE", "planner", ("wake.*",)))

    await bus.schedule("schedule.a", b"due", at=CLOCK.now() - timedelta(seconds=9), target="wake.a")

    assert texts(await pull.fetch(1, wait_s=SOON_S)) == ["due"]


# --- pulling ---


async def fetch(pull: Pull, count: int) -> list[Delivery]:
    """Exactly so many, in as many turns as it takes."""
    got: list[Delivery] = []
    async with CLOCK.timeout(SOON_S):
        while len(got) < count:
            got += await pull.fetch(10, wait_s=SOON_S)
    assert len(got) == count
    return got


async def test_what_is_there_is_fetched_at_once(bus: Bus) -> None:
    for name in "abc":
        await bus.publish(f"tasks.{name}", name.encode())
    pull = await bus.pull(WORKERS)
    began = CLOCK.monotonic()

    assert texts(await pull.fetch(2, wait_s=SOON_S)) == ["a", "b"]
    [last] = await pull.fetch(10, wait_s=SOON_S)

    assert CLOCK.monotonic() - began < SOON_S
    assert (last.message.subject, last.attempt) == ("tasks.c", 1)


async def test_nothing_is_fetched_after_the_wait(bus: Bus) -> None:
    pull = await bus.pull(WORKERS)
    began = CLOCK.monotonic()

    assert await pull.fetch(10, wait_s=0.3) == []
    assert 0.25 < CLOCK.monotonic() - began < SOON_S
    assert await pull.fetch(10, wait_s=0) == []


async def test_a_waiting_fetch_gets_what_comes(bus: Bus) -> None:
    pull = await bus.pull(WORKERS)
    began = CLOCK.monotonic()
    waiting = asyncio.ensure_future(pull.fetch(10, wait_s=SOON_S))
    await CLOCK.sleep(0.1)

    await bus.publish("tasks.a", b"one")

    assert texts(await waiting) == ["one"]
    assert CLOCK.monotonic() - began < SOON_S


async def test_an_acked_message_never_comes_again_and_leaves_the_queue(bus: Bus) -> None:
    await bus.publish("tasks.a", b"one")
    pull = await bus.pull(WORKERS)
    [delivery] = await pull.fetch(1, wait_s=SOON_S)

    await delivery.ack()

    assert await pull.fetch(1, wait_s=WORKERS.ack_wait_s + 0.1) == []
    assert await bus.subjects("TASKS", "tasks.*") == {}


async def test_a_terminated_message_never_comes_again(bus: Bus) -> None:
    await bus.publish("tasks.a", b"one")
    pull = await bus.pull(WORKERS)
    [delivery] = await pull.fetch(1, wait_s=SOON_S)

    await delivery.term()

    assert await pull.fetch(1, wait_s=WORKERS.ack_wait_s + 0.1) == []


async def test_a_message_handed_back_comes_after_its_delay(bus: Bus) -> None:
    await bus.publish("tasks.a", b"one")
    pull = await bus.pull(WORKERS)
    [delivery] = await pull.fetch(1, wait_s=SOON_S)
    began = CLOCK.monotonic()

    await delivery.nak(0.5)  # longer than ack_wait: the delay counts
    [again] = await pull.fetch(1, wait_s=SOON_S)

    assert CLOCK.monotonic() - began > 0.45
    assert (again.message.data, again.attempt) == (b"one", 2)

    began = CLOCK.monotonic()
    await again.nak()
    [third] = await pull.fetch(1, wait_s=SOON_S)
    assert CLOCK.monotonic() - began < WORKERS.ack_wait_s
    assert third.attempt == 3


async def test_a_message_nobody_acks_comes_again(bus: Bus, another: Connect) -> None:
    await bus.publish("tasks.a", b"one")
    silent, alive = await bus.pull(WORKERS), await (await another()).pull(WORKERS)
    await silent.fetch(1, wait_s=SOON_S)
    began = CLOCK.monotonic()

    [again] = await alive.fetch(1, wait_s=SOON_S)

    assert CLOCK.monotonic() - began > 0.2
    assert again.attempt == 2


async def test_an_extended_message_stays_ours(bus: Bus) -> None:
    await bus.publish("tasks.a", b"one")
    pull = await bus.pull(WORKERS)
    [delivery] = await pull.fetch(1, wait_s=SOON_S)

    for _ in range(3):
        await CLOCK.sleep(WORKERS.ack_wait_s / 2)
        await delivery.extend()

    assert await pull.fetch(1, wait_s=0) == []
    await delivery.ack()
    assert await pull.fetch(1, wait_s=WORKERS.ack_wait_s + 0.1) == []


async def test_a_late_ack_counts(bus: Bus) -> None:
    await bus.publish("tasks.a", b"one")
    pull = await bus.pull(WORKERS)
    [first] = await pull.fetch(1, wait_s=SOON_S)
    [second] = await pull.fetch(1, wait_s=SOON_S)
    assert second.attempt == 2

    await first.ack()

    assert await pull.fetch(1, wait_s=WORKERS.ack_wait_s + 0.1) == []


async def test_an_extension_that_comes_too_late_changes_nothing(bus: Bus) -> None:
    await bus.publish("tasks.a", b"one")
    pull = await bus.pull(WORKERS)
    [late] = await pull.fetch(1, wait_s=SOON_S)
    await CLOCK.sleep(2 * WORKERS.ack_wait_s)

    await late.extend()

    [again] = await pull.fetch(1, wait_s=0.0) or await pull.fetch(1, wait_s=WORKERS.ack_wait_s / 2)
    assert again.attempt == 2


async def test_the_last_word_about_when_a_message_comes_again_counts(bus: Bus) -> None:
    await bus.publish("tasks.a", b"one")
    pull = await bus.pull(WORKERS)
    [delivery] = await pull.fetch(1, wait_s=SOON_S)
    await delivery.nak()
    await delivery.nak(0.5)
    began = CLOCK.monotonic()

    [again] = await pull.fetch(1, wait_s=SOON_S)

    assert CLOCK.monotonic() - began > 0.4
    assert again.attempt == 2


async def test_two_pulls_share(bus: Bus, another: Connect) -> None:
    pulls = [await bus.pull(WORKERS), await (await another()).pull(WORKERS)]
    for number in range(20):
        await bus.publish(f"tasks.{number}", str(number).encode())

    got = [texts(await pull.fetch(10, wait_s=SOON_S)) for pull in pulls]

    assert [len(part) for part in got] == [10, 10]
    assert len({text for part in got for text in part}) == 20


async def test_two_fetches_of_one_pull_wait_their_turn(bus: Bus) -> None:
    pull = await bus.pull(WORKERS)
    both = asyncio.gather(pull.fetch(1, wait_s=SOON_S), pull.fetch(1, wait_s=SOON_S))
    await CLOCK.sleep(0.05)

    await bus.publish("tasks.a", b"one")
    await bus.publish("tasks.b", b"two")

    assert sorted(text for part in await both for text in texts(part)) == ["one", "two"]


async def test_a_cancelled_fetch_takes_nothing_with_it(bus: Bus) -> None:
    pull = await bus.pull(WORKERS)
    waiting = asyncio.ensure_future(pull.fetch(1, wait_s=SOON_S))
    await CLOCK.sleep(0.05)
    waiting.cancel()
    await asyncio.wait([waiting])

    await bus.publish("tasks.a", b"one")

    assert texts(await pull.fetch(1, wait_s=SOON_S)) == ["one"]


async def test_a_consumer_of_last_values_begins_with_those(bus: Bus) -> None:
    for subject, text in (("events.a", b"1"), ("events.b", b"2"), ("events.a", b"3")):
        await bus.publish(subject, text)
    pull = await bus.pull(ConsumerSpec("EVENTS", "planner", ("events.*",), deliver="last_per_subject"))

    assert texts(await fetch(pull, 2)) == ["2", "3"]
    await bus.publish("events.b", b"4")

    assert texts(await pull.fetch(10, wait_s=SOON_S)) == ["4"]


async def test_no_more_than_so_many_are_in_hand(bus: Bus) -> None:
    few = ConsumerSpec("EVENTS", "few", ("events.*",), max_ack_pending=2)
    pull = await bus.pull(few)
    for number in range(3):
        await bus.publish("events.a", str(number).encode())

    held = [*await pull.fetch(1, wait_s=SOON_S), *await pull.fetch(1, wait_s=SOON_S)]
    assert texts(held) == ["0", "1"]
    assert await pull.fetch(1, wait_s=0.1) == []

    await held[0].ack()
    assert texts(await pull.fetch(1, wait_s=SOON_S)) == ["2"]


async def test_what_is_gone_is_in_nobodys_hand(bus: Bus) -> None:
    pull = await bus.pull(ConsumerSpec("EVENTS", "few", ("events.*",), max_ack_pending=2))
    for name in "abc":
        await bus.publish(f"events.{name}", name.encode())
    assert texts(await fetch(pull, 2)) == ["a", "b"]

    await bus.purge("EVENTS", "events.a")

    assert texts(await pull.fetch(10, wait_s=SOON_S)) == ["c"]


async def test_a_fetch_that_may_not_have_more_leaves_nothing_behind(bus: Bus, another: Connect) -> None:
    """What cannot be handed out now must not go later to who no longer asks."""
    few = ConsumerSpec("EVENTS", "few", ("events.*",), max_ack_pending=1)
    idle, busy = await (await another()).pull(few), await bus.pull(few)
    for name in "abc":
        await bus.publish(f"events.{name}", name.encode())
    [held] = await busy.fetch(1, wait_s=SOON_S)
    assert await idle.fetch(10, wait_s=0) == []

    for name in "bc":
        await held.ack()
        [held] = await busy.fetch(1, wait_s=SOON_S)
        assert (held.message.data, held.attempt) == (name.encode(), 1)


async def test_a_consumer_that_is_missing_is_made(bus: Bus) -> None:
    pull = await bus.pull(ConsumerSpec("EVENTS", "unheard-of", ("events.a",)))
    await bus.publish("events.b", b"other")
    await bus.publish("events.a", b"one")

    assert texts(await pull.fetch(10, wait_s=SOON_S)) == ["one"]


async def test_a_pull_of_a_stream_that_is_missing_is_unavailable(bus: Bus) -> None:
    pull = await bus.pull(ConsumerSpec("NOTHING", "workers", ("nothing.*",)))

    with pytest.raises(Unavailable):
        await pull.fetch(1, wait_s=0.3)


# --- following ---


async def read(follow: Follow, count: int) -> list[Stored]:
    """Exactly so many messages."""
    got: list[Stored] = []
    async with CLOCK.timeout(SOON_S):
        while len(got) < count:
            got += await follow.next(wait_s=SOON_S)
    assert len(got) == count
    return got


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
async def test_catching_up_with_an_empty_stream(bus: Bus, start: object) -> None:
    async with bus.follow("EVENTS", ["events.a"], start=start) as follow:  # type: ignore[arg-type]
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


# --- asking and answering ---


@asynccontextmanager
async def answering(
    bus: Bus, subject: str, handler: Callable[[Request], Awaitable[bytes | None]]
) -> AsyncIterator[None]:
    async with bus.serve("shop", "1.0.0", "answers", [Endpoint("ask", subject, handler)]):
        yield


async def echo(request: Request) -> bytes:
    return request.headers.get("Who", "").encode() + b":" + request.subject.encode() + b":" + request.data


async def test_a_request_is_answered(bus: Bus, another: Connect) -> None:
    async with answering(bus, "api.*.ask", echo):
        told = await (await another()).request(
            "api.shop.ask", b"what", timeout_s=SOON_S, headers={"Who": "me"}
        )

    assert told == b"me:api.shop.ask:what"


async def test_where_nobody_listens_a_request_is_unavailable_at_once(bus: Bus) -> None:
    began = CLOCK.monotonic()

    with pytest.raises(Unavailable, match=r"api\.shop\.ask"):
        await bus.request("api.shop.ask", b"", timeout_s=SOON_S)

    async with answering(bus, "api.shop.ask", echo):
        pass
    with pytest.raises(Unavailable):
        await bus.request("api.shop.ask", b"", timeout_s=SOON_S)
    assert CLOCK.monotonic() - began < SOON_S


async def test_a_request_that_nobody_answers_in_time_is_unknown(bus: Bus) -> None:
    async def slow(request: Request) -> bytes:
        await CLOCK.sleep(0.4)
        return b"too late"

    async with answering(bus, "api.ask", slow):
        with pytest.raises(Unknown, match=r"api\.ask"):
            await bus.request("api.ask", b"", timeout_s=0.1)


async def test_a_failing_handler_keeps_its_reasons_to_itself(
    bus: Bus, caplog: pytest.LogCaptureFixture
) -> None:
    async def failing(request: Request) -> bytes:
        raise ValueError("the secret word")

    async with answering(bus, "api.ask", failing):
        with pytest.raises(Unknown, match="the service failed") as caught:
            await bus.request("api.ask", b"", timeout_s=SOON_S)
        with pytest.raises(Unknown):  # it still serves
            await bus.request("api.ask", b"", timeout_s=SOON_S)

    assert "secret" not in str(caught.value)
    assert "the secret word" in caplog.text


async def test_an_answer_larger_than_allowed_is_none(bus: Bus) -> None:
    async def much(request: Request) -> bytes:
        return bytes(1_048_576 + 1)

    async with answering(bus, "api.ask", much):
        with pytest.raises(Unknown):
            await bus.request("api.ask", b"", timeout_s=0.2)
        with pytest.raises(Unknown):  # it still serves
            await bus.request("api.ask", b"", timeout_s=0.2)


async def test_another_may_answer(bus: Bus, another: Connect) -> None:
    other = await another()
    passed: list[str] = []

    async def pass_on(request: Request) -> None:
        passed.append(request.reply)
        await other.say(request.reply, b"in its stead")

    async with answering(bus, "api.ask", pass_on):
        assert await bus.request("api.ask", b"", timeout_s=SOON_S) == b"in its stead"
    assert passed[0]


async def test_a_slow_answer_holds_nobody_up(bus: Bus) -> None:
    gate = asyncio.Event()

    async def answer(request: Request) -> bytes:
        if request.data == b"slow":
            await gate.wait()
        return request.data

    async with answering(bus, "api.ask", answer):
        slow = asyncio.ensure_future(bus.request("api.ask", b"slow", timeout_s=SOON_S))
        await CLOCK.sleep(0)
        assert await bus.request("api.ask", b"quick", timeout_s=SOON_S) == b"quick"
        gate.set()
        assert await slow == b"slow"


async def test_several_processes_share_the_requests(bus: Bus, another: Connect) -> None:
    def named(name: bytes) -> Callable[[Request], Awaitable[bytes]]:
        async def answer(request: Request) -> bytes:
            return name

        return answer

    async with answering(bus, "api.ask", named(b"one")), answering(await another(), "api.ask", named(b"two")):
        told = [await bus.request("api.ask", b"", timeout_s=SOON_S) for _ in range(30)]

    assert set(told) == {b"one", b"two"}


async def test_saying_something_to_nobody_is_fine(bus: Bus) -> None:
    await bus.say("_INBOX.gone", b"too late")


# --- setting up ---


async def test_ensuring_twice_is_fine(bus: Bus) -> None:
    await bus.ensure(STREAMS, replicas=1, create=True)
    await bus.ensure(STREAMS, replicas=1, create=False)


async def test_what_is_missing_is_named_with_the_remedy(another: Connect) -> None:
    bus = await another()

    with pytest.raises(Refused, match="tranche setup") as caught:
        await bus.ensure(STREAMS, replicas=1, create=False)

    assert "stream TASKS is missing" in str(caught.value)
    assert "stream EVENTS is missing" in str(caught.value)


async def test_a_missing_consumer_is_named_with_the_remedy(bus: Bus) -> None:
    late = ConsumerSpec("EVENTS", "late", ("events.>",))
    wanted = StreamSpec("EVENTS", ("events.>",), consumers=(late,))

    with pytest.raises(Refused, match=r"consumer late of stream EVENTS is missing .*tranche setup"):
        await bus.ensure([wanted], replicas=1, create=False)
    await bus.ensure([wanted], replicas=1, create=True)
    await bus.ensure([wanted], replicas=1, create=False)


async def test_what_differs_is_named(bus: Bus) -> None:
    slower = ConsumerSpec("TASKS", "workers", ("tasks.*",), ack_wait_s=9, max_ack_pending=7)
    wanted = StreamSpec(
        "TASKS",
        ("tasks.*",),
        max_per_subject=1,
        retention="workqueue",
        discard="old",
        discard_new_per_subject=True,
        description="worded anew",
        consumers=(slower,),
    )

    with pytest.raises(Refused) as caught:
        await bus.ensure([wanted, EVENTS], replicas=1, create=True)

    told = str(caught.value)
    assert "stream TASKS: discard is 'new', wanted 'old'" in told
    assert "consumer workers of stream TASKS: " in told
    assert "max_ack_pending is 1000, wanted 7" in told
    assert "EVENTS" not in told
    assert "description" not in told


async def test_another_number_of_replicas_is_named(bus: Bus) -> None:
    with pytest.raises(Refused, match="stream EVENTS: num_replicas is 1, wanted 3"):
        await bus.ensure([EVENTS], replicas=3, create=False)
