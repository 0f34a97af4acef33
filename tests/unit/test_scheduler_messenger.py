"""Tasks of new claims are offered until the pod's last task is acked; those of old ones are there, and enough."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace

from tests.virtual_clock import VirtualClock
from tranche.bus.memory import MemoryBroker, MemoryBus
from tranche.contract.ledger import Claim, Task
from tranche.runtime import Runtime, system_runtime
from tranche.streams import EXECUTOR_TASKS, STREAMS
from tranche_scheduler.messenger import Messenger
from tranche_scheduler.store import PoolStore


class Counting(MemoryBus):
    """Counts what is offered."""

    offers = 0

    async def publish(self, *args: object, **options: object) -> int:
        self.offers += 1
        return await super().publish(*args, **options)  # type: ignore[arg-type]


@dataclass
class Stage:
    runtime: Runtime
    bus: Counting
    messenger: Messenger

    async def tokens(self, *, wait_s: float) -> list[int]:
        """Of the tasks that an executor gets in so many seconds, which it does not ack."""
        pull = await self.bus.pull(EXECUTOR_TASKS)
        return [Task.decode(one.message.data).token for one in await pull.fetch(10, wait_s=wait_s)]


@asynccontextmanager
async def stage() -> AsyncIterator[Stage]:
    clock = VirtualClock()
    runtime = replace(system_runtime(), clock=clock)
    async with clock.running():
        bus = Counting(MemoryBroker(clock), runtime)
        await bus.ensure(STREAMS, replicas=1, create=True)
        messenger = Messenger(PoolStore(bus, runtime, "shop", "web"), runtime)
        running = asyncio.ensure_future(messenger.run())
        try:
            yield Stage(runtime, bus, messenger)
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running


def claim(pod: str, token: int) -> Claim:
    return Claim(
        pod=pod,
        uid="u",
        deployment="cart",
        module="cart",
        generation=2,
        batch=1,
        op="remove",
        revision=2,
        costs=True,
        token=token,
    )


async def test_a_pod_claimed_again_before_its_last_task_is_acked_is_not_kept_waiting() -> None:
    async with stage() as here:
        here.messenger.hand_out([claim("a", 1)])
        pull = await here.bus.pull(EXECUTOR_TASKS)
        [first] = await pull.fetch(1, wait_s=1)
        here.messenger.hand_out([claim("a", 2)])
        here.messenger.hand_out([claim("b", 3)])
        assert await here.tokens(wait_s=0.1) == [3], "others are not held up"
        acked_at = here.runtime.clock.monotonic()
        await first.ack()
        assert await here.tokens(wait_s=5) == [2]
        assert here.runtime.clock.monotonic() - acked_at < 0.5
        await here.messenger.wait_quiet()


async def test_what_is_out_already_is_offered_once_and_a_new_one_not_for_ever() -> None:
    async with stage() as here:
        here.messenger.hand_out([claim("a", 1)])
        await here.messenger.wait_quiet()
        before = here.bus.offers
        here.messenger.hand_out([claim("a", 1)])
        await here.messenger.wait_quiet()
        assert here.bus.offers == before + 1
        here.messenger.hand_out([claim("a", 2)])
        began = here.runtime.clock.monotonic()
        await here.messenger.wait_quiet()
        assert 2 <= here.bus.offers - before <= 8
        assert here.runtime.clock.monotonic() - began < 1.5


async def test_what_the_last_owner_of_the_pool_had_handed_out_is_offered_once() -> None:
    async with stage() as here:
        here.messenger.hand_out([claim("a", 1)])
        await here.messenger.wait_quiet()
        heir = Messenger(PoolStore(here.bus, here.runtime, "shop", "web"), here.runtime)
        running = asyncio.ensure_future(heir.run())
        before = here.bus.offers
        heir.hand_out([claim("a", 1)])
        await heir.wait_quiet()
        running.cancel()
        assert here.bus.offers == before + 1
