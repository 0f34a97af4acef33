"""Work spread by leases: shared among the living, handed over at once or when its holder has died."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.virtual_clock import VirtualClock
from tranche.bus.memory import MemoryBroker, MemoryBus
from tranche.bus.nats import connect
from tranche.bus.port import Bus
from tranche.bus.server import NatsServer, embedded_server
from tranche.bus.spread import ABANDONED_S, LEASE_S, RENEW_S, Key, Lease, Spread, first_choice
from tranche.contract import subjects
from tranche.errors import Unknown
from tranche.runtime import Runtime, system_runtime
from tranche.streams import STREAMS

KEYS = frozenset((f"shop-{number}", "web-base") for number in range(12))
LEASES = [stream for stream in STREAMS if stream.name == subjects.bucket_stream(subjects.LEASES)]
SECOND_LOOK_S = LEASE_S + RENEW_S + 1.0
"""After a silent death: its leases end, and the next turn of another finds that."""


@dataclass
class Ground:
    """A broker to connect to, and the time it lives in."""

    runtime: Runtime
    server: NatsServer | None
    broker: MemoryBroker

    @asynccontextmanager
    async def connected(self, name: str) -> AsyncIterator[Bus]:
        if self.server is None:
            bus = MemoryBus(self.broker, self.runtime)
            yield bus
            bus.cut()
        else:
            async with connect(self.server.url, name=name) as over_nats:
                yield over_nats

    async def until(self, condition: Callable[[], bool], *, within_s: float = 10.0) -> float:
        """How long that took, in seconds. On a real server the machine has its say: ten times as long is fine."""
        began = self.runtime.clock.monotonic()
        async with self.runtime.clock.timeout(within_s if self.server is None else 10 * within_s):
            while not condition():
                await self.runtime.clock.sleep(0.05)
        return self.runtime.clock.monotonic() - began


@pytest.fixture(params=[pytest.param("nats", marks=pytest.mark.nats), "memory"])
async def ground(request: pytest.FixtureRequest, tmp_path: Any) -> AsyncIterator[Ground]:
    runtime = system_runtime()
    async with AsyncExitStack() as stack:
        server = None
        if request.param == "nats":
            server = await stack.enter_async_context(embedded_server(tmp_path / "nats"))
        else:
            clock = VirtualClock()
            await stack.enter_async_context(clock.running())
            runtime = replace(runtime, clock=clock)
        ground = Ground(runtime, server, MemoryBroker(runtime.clock))
        async with ground.connected("setup") as bus:
            await bus.ensure(LEASES, replicas=1, create=True)
        yield ground


class Member:
    """One process with its part in the work."""

    def __init__(self, ground: Ground, name: str, *, keys: Iterable[Key] = KEYS) -> None:
        self._ground = ground
        self._name = name
        self._keys = keys
        self._stack = AsyncExitStack()
        self.spread: Spread
        self.bus: Bus
        self._run: asyncio.Task[None]

    async def __aenter__(self) -> Member:
        self.bus = await self._stack.enter_async_context(self._ground.connected(self._name))
        self.spread = Spread(self.bus, self._ground.runtime, kind="scheduler", instance=self._name)
        self.spread.want(self._keys)
        self._run = asyncio.ensure_future(self.spread.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.leave()
        await self._stack.aclose()

    async def leave(self) -> None:
        self._run.cancel()
        await asyncio.wait([self._run])

    async def die(self) -> None:
        """Without a word: the connection is gone first."""
        await self._stack.aclose()
        await self.leave()

    @property
    def held(self) -> frozenset[Key]:
        return self.spread.held


def fair(name: str, *members: str) -> frozenset[Key]:
    return frozenset(key for key in KEYS if first_choice(key, members) == name)


async def test_one_member_holds_everything(ground: Ground) -> None:
    async with Member(ground, "one") as one:
        await ground.until(lambda: one.held == KEYS)
        await ground.until(one.spread.changed.is_set)
        one.spread.changed.clear()

        # Longer than a lease: they are renewed, and nothing changes.
        await ground.runtime.clock.sleep(LEASE_S + 0.5)
        assert one.held == KEYS
        assert not one.spread.changed.is_set()


async def test_a_second_member_takes_its_share_and_gives_it_back_when_it_leaves(ground: Ground) -> None:
    async with Member(ground, "one") as one:
        await ground.until(lambda: one.held == KEYS)
        await ground.until(one.spread.changed.is_set)
        one.spread.changed.clear()
        async with Member(ground, "two") as two:
            await ground.until(lambda: one.held == fair("one", "one", "two"))
            await ground.until(one.spread.changed.is_set)
            await ground.until(lambda: two.held == fair("two", "one", "two"), within_s=2)
            assert one.held | two.held == KEYS
            assert not one.held & two.held
            assert 0 < len(one.held) < len(KEYS)

        await ground.until(lambda: one.held == KEYS, within_s=RENEW_S + 1)


async def test_what_a_dead_member_held_is_taken_over(ground: Ground) -> None:
    async with Member(ground, "one") as one, Member(ground, "two") as two:
        await ground.until(lambda: one.held | two.held == KEYS and not one.held & two.held)
        await ground.until(lambda: two.held == fair("two", "one", "two"))

        await two.die()

        took = await ground.until(lambda: one.held == KEYS, within_s=SECOND_LOOK_S)
        assert took > LEASE_S - RENEW_S - 0.5
        assert two.held == frozenset()


async def test_keys_come_and_go(ground: Ground) -> None:
    async with Member(ground, "one", keys=()) as one:
        await ground.runtime.clock.sleep(0.3)
        assert one.held == frozenset()

        one.spread.want({("shop", "a"), ("shop", "b")})
        await ground.until(lambda: len(one.held) == 2, within_s=1)

        one.spread.want({("shop", "b")})
        await ground.until(lambda: one.held == {("shop", "b")}, within_s=1)
        left = await one.bus.subjects(LEASES[0].name, "$KV.tranche-leases.scheduler.key.>")
        assert len(left) == 1


async def test_who_comes_back_under_the_same_name_goes_on(ground: Ground) -> None:
    async with Member(ground, "one") as one:
        await ground.until(lambda: one.held == KEYS)
        await one.die()

    async with Member(ground, "one") as again:
        await ground.until(lambda: again.held == KEYS, within_s=RENEW_S)


# --- troubles, in memory ---


@pytest.fixture
async def memory() -> AsyncIterator[Ground]:
    clock = VirtualClock()
    runtime = replace(system_runtime(), clock=clock)
    ground = Ground(runtime, None, MemoryBroker(runtime.clock))
    async with clock.running(), ground.connected("setup") as bus:
        await bus.ensure(LEASES, replicas=1, create=True)
        yield ground


async def test_who_is_cut_off_knows_that_its_leases_have_ended(memory: Ground) -> None:
    async with Member(memory, "one") as one:
        await memory.until(lambda: one.held == KEYS)
        one.spread.changed.clear()
        assert isinstance(one.bus, MemoryBus)
        one.bus.cut()

        took = await memory.until(lambda: one.held == frozenset(), within_s=LEASE_S + 1)
        assert took > LEASE_S - RENEW_S - 0.5
        await memory.until(one.spread.changed.is_set, within_s=RENEW_S + 0.5)

        one.spread.changed.clear()
        one.bus.mend()
        await memory.until(lambda: one.held == KEYS, within_s=RENEW_S + 1)
        await memory.until(one.spread.changed.is_set, within_s=0.5)


@pytest.mark.parametrize("died", ["before the others came", "after them"])
async def test_the_dead_whose_leases_do_not_end_leave_nothing_alone(memory: Ground, died: str) -> None:
    """As after a kill of the server, which then ends none of the leases it had before."""
    living, stands_s = ("one", "two"), 0.0

    async def listed() -> int:
        return len(await bus.subjects(LEASES[0].name, "$KV.tranche-leases.scheduler.member.>"))

    async with memory.connected("dead") as bus:
        ghost = "$KV.tranche-leases.scheduler.member.ghost"
        assert fair("ghost", *living, "ghost"), "it would have a share"
        await bus.publish(ghost, Lease(holder="ghost").encode())
        if died == "before the others came":
            stands_s = ABANDONED_S + 1
            await memory.runtime.clock.sleep(stands_s)
        async with Member(memory, "one") as one, Member(memory, "two") as two:
            took = await memory.until(
                lambda: one.held | two.held == KEYS, within_s=ABANDONED_S + LEASE_S + RENEW_S
            )
            assert (took < RENEW_S) == bool(stands_s)
            assert await listed() == 2, "nobody has to look at it again"
            for _ in range(60):
                await memory.runtime.clock.sleep(0.5)
                assert (one.held, two.held) == (fair("one", *living), fair("two", *living)), "the living stay"


async def test_a_key_that_nobody_answers_for_keeps_no_other_from_being_renewed(memory: Ground) -> None:
    deaf = sorted(KEYS)[0]

    class DeafBus(MemoryBus):
        deaf = False

        async def publish(self, subject: str, data: bytes, **options: Any) -> int:  # type: ignore[override]
            if self.deaf and subject.endswith(".".join(deaf)):
                await memory.runtime.clock.sleep(2)
                raise Unknown(f"{subject}: no answer within 2 s")
            return await super().publish(subject, data, **options)

    bus = DeafBus(memory.broker, memory.runtime)
    spread = Spread(bus, memory.runtime, kind="scheduler", instance="one")
    spread.want(KEYS)
    run = asyncio.ensure_future(spread.run())
    await memory.until(lambda: spread.held == KEYS)

    bus.deaf = True
    for _ in range(30):
        await memory.runtime.clock.sleep(0.5)
        assert spread.held >= KEYS - {deaf}
    assert spread.held == KEYS - {deaf}

    bus.deaf = False
    await memory.until(lambda: spread.held == KEYS)
    run.cancel()
    await asyncio.wait([run])
    assert spread.held == frozenset()
