"""Durable consumers: fetched, acked, handed back, extended, shared."""

from __future__ import annotations

import asyncio

import pytest

from tests.contract.bus.desk import CLOCK, SOON_S, WORKERS, Connect, texts
from tranche.bus.port import Bus, ConsumerSpec, Delivery, Pull
from tranche.errors import Unavailable


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
