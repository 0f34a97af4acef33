"""Messages that come at a time."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from tests.contract.bus.desk import CLOCK, SOON_S, read, texts
from tranche.bus.port import Bus, ConsumerSpec, StreamSpec
from tranche.errors import Refused


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
