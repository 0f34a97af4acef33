"""Streams and consumers that are made, missing or different."""

from __future__ import annotations

import pytest

from tests.contract.bus.desk import EVENTS, STREAMS, Connect
from tranche.bus.port import Bus, ConsumerSpec, StreamSpec
from tranche.errors import Refused


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
