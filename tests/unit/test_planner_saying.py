"""What is said of a saved document: once, and again after a day; never more batches than people can read."""

from __future__ import annotations

from datetime import timedelta

from tests.unit.planner_desk import Case
from tranche.bus.memory import MemoryBroker, MemoryBus
from tranche.contract import subjects
from tranche.contract.status import Status
from tranche.runtime import system_runtime
from tranche.streams import STREAMS
from tranche_planner.saying import Plans, say_status


async def test_an_unchanged_status_is_said_again_after_a_day() -> None:
    runtime = system_runtime()
    bus = MemoryBus(MemoryBroker(runtime.clock), runtime)
    await bus.ensure(STREAMS, replicas=1, create=True)
    case = Case()
    case.apply("1.0.0", replicas=3)
    case.finish()

    async def said() -> int:
        found = await bus.subjects(subjects.STATUS, subjects.status("shop", "cart"))
        return sum(found.values())

    await say_status(bus, case.it, case.now)
    await say_status(bus, case.it, case.now + timedelta(hours=23))
    assert await said() == 1
    await say_status(bus, case.it, case.now + timedelta(hours=24))
    assert await said() == 2
    stored = await bus.last(subjects.STATUS, subjects.status("shop", "cart"))
    assert stored is not None
    assert Status.decode(stored.data).at == case.now + timedelta(hours=24)


def test_at_most_fifty_batches_around_the_current_one() -> None:
    case = Case(pods=300)
    case.apply("1.0.0", replicas=200)
    case.finish()
    case.apply("2.0.0", replicas=200, batchCount=200)
    case.tell()
    assert [batch.index for batch in case.status.batches] == list(range(1, 51))
    for _ in range(99):
        case.carry_out()
    status = case.status
    assert (status.batch.current, status.batch.count, len(status.batches)) == (100, 200, 50)
    assert status.batches[0].index < 100 < status.batches[-1].index
    for _ in range(101):
        case.carry_out()
    assert case.status.phase == "Healthy"
    assert [batch.index for batch in case.status.batches] == list(range(151, 201))


async def test_a_plan_that_says_something_else_under_the_same_number_is_outranked() -> None:
    """What is left of a document that was forgotten: whoever knows its plan would take ours for that one."""
    runtime = system_runtime()
    bus = MemoryBus(MemoryBroker(runtime.clock), runtime)
    await bus.ensure(STREAMS, replicas=1, create=True)
    case = Case()
    case.apply("1.0.0", replicas=3)
    ours = case.plan
    assert await Plans(bus).say(ours.but(replicas=7)) == ours.revision
    assert await Plans(bus).say(ours.but(replicas=7)) == ours.revision
    assert await Plans(bus).say(ours) == ours.revision + 1
