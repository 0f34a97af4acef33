"""What everybody may rely on of a bus: one suite, on NATS and on its twin in memory; its streams and helpers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from tranche.bus.port import Bus, ConsumerSpec, Delivery, Follow, Stored, StreamSpec
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


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    async with CLOCK.timeout(SOON_S):
        while not await condition():
            await CLOCK.sleep(0.01)


def texts(messages: Sequence[Stored] | Sequence[Delivery]) -> list[str]:
    return [(one if isinstance(one, Stored) else one.message).data.decode() for one in messages]


async def read(follow: Follow, count: int) -> list[Stored]:
    """Exactly so many messages."""
    got: list[Stored] = []
    async with CLOCK.timeout(SOON_S):
        while len(got) < count:
            got += await follow.next(wait_s=SOON_S)
    assert len(got) == count
    return got
