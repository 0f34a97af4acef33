"""A pool's keeper on the bus in memory, when others write its ledger and when it reads late."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, Literal

from prometheus_client import CollectorRegistry

from tests.scheduler_oracle import content, entry, operation, plan, record
from tests.virtual_clock import VirtualClock
from tranche.bus import cas
from tranche.bus.cas import Held
from tranche.bus.memory import MemoryBroker, MemoryBus
from tranche.bus.port import Follow, Stored
from tranche.contract import subjects
from tranche.contract.ledger import Claim, Ledger
from tranche.contract.plan import Plan
from tranche.contract.progress import Progress
from tranche.contract.record import PodRecord
from tranche.runtime import Runtime, system_runtime
from tranche.streams import STREAMS
from tranche_scheduler.keeper import AUDIT_S, Keeper
from tranche_scheduler.metrics import Metrics

LEDGER = subjects.key(subjects.POOLS, "shop", "web")
POOLS = subjects.bucket_stream(subjects.POOLS)


async def nothing() -> None:
    """Nobody interferes."""


class SlowBus(MemoryBus):
    """A connection over which others are faster, and records come only while ``reads`` is set."""

    def __init__(self, broker: MemoryBroker, runtime: Runtime) -> None:
        super().__init__(broker, runtime)
        self.reads = asyncio.Event()
        self.reads.set()
        self.before_ledger: Callable[[], Awaitable[None]] = nothing
        """What happens once, just before the ledger is written."""

    async def publish(
        self,
        subject: str,
        data: bytes,
        *,
        expect: int | None = None,
        msg_id: str | None = None,
        headers: Mapping[str, str] | None = None,
        ttl_s: float | None = None,
        timeout_s: float = 2.0,
    ) -> int:
        if subject == LEDGER:
            interfere, self.before_ledger = self.before_ledger, nothing
            await interfere()
        return await super().publish(
            subject, data, expect=expect, msg_id=msg_id, headers=headers, ttl_s=ttl_s, timeout_s=timeout_s
        )

    @asynccontextmanager
    async def follow(
        self, stream: str, filters: Sequence[str], *, start: Literal["last_per_subject", "new"] | int
    ) -> AsyncIterator[Follow]:
        async with super().follow(stream, filters, start=start) as follow:
            yield SlowFollow(follow, self.reads)


class SlowFollow:
    """A reader that is held up on its way."""

    def __init__(self, follow: Follow, reads: asyncio.Event) -> None:
        self._follow = follow
        self._reads = reads

    @property
    def position(self) -> int:
        return self._follow.position

    async def next(self, *, wait_s: float, limit: int = 500) -> Sequence[Stored]:
        await self._reads.wait()
        return await self._follow.next(wait_s=wait_s, limit=limit)

    async def catch_up(self, *, wait_s: float) -> Sequence[Stored]:
        await self._reads.wait()
        return await self._follow.catch_up(wait_s=wait_s)


@dataclass
class Ground:
    """A pool, its keeper, and everybody else."""

    runtime: Runtime
    broker: MemoryBroker
    bus: MemoryBus
    slow: SlowBus
    keeper: Keeper

    async def put(self, found: PodRecord) -> int:
        return await self.bus.publish(subjects.record("shop", "web", found.pod), found.encode())

    async def ledger(self) -> Held[Ledger] | None:
        return await cas.read(self.bus, Ledger, POOLS, LEDGER)

    async def write(self, **changes: Any) -> None:
        """Another scheduler writes the ledger."""
        held = await self.ledger()
        ledger = held.value if held else Ledger(namespace="shop", base="web", epoch="e")
        expect = held.sequence if held else 0
        await cas.swap(self.bus, self.runtime, POOLS, LEDGER, ledger.but(**changes), expect=expect)

    def said(self) -> Progress | None:
        stored = self.broker.stream(subjects.PROGRESS).last(subjects.progress("shop", "cart"))
        return Progress.decode(stored.data) if stored is not None else None

    async def until(self, condition: Callable[[], Awaitable[object]]) -> None:
        ends = self.runtime.clock.monotonic() + 30
        while not await condition():
            assert self.runtime.clock.monotonic() < ends, f"not so: {await self.ledger()}, {self.said()}"
            await self.runtime.clock.sleep(0.02)

    async def noted(self, revision: int) -> None:
        """Until the ledger notes the plan."""

        async def is_noted() -> bool:
            held = await self.ledger()
            return held is not None and held.value.noted.get("cart") == revision

        await self.until(is_noted)

    async def answered(self, revision: int) -> Progress:
        """The progress that answers the plan."""

        async def is_answered() -> bool:
            said = self.said()
            return said is not None and said.plan_revision == revision

        await self.until(is_answered)
        said = self.said()
        assert said is not None
        return said


@asynccontextmanager
async def kept(*pods: PodRecord, plans: Sequence[Plan] = ()) -> AsyncIterator[Ground]:
    clock = VirtualClock()
    runtime = replace(system_runtime(), clock=clock)
    async with clock.running():
        broker = MemoryBroker(clock)
        bus, slow = MemoryBus(broker, runtime), SlowBus(broker, runtime)
        await bus.ensure(STREAMS, replicas=1, create=True)
        keeper = Keeper(slow, runtime, Metrics(CollectorRegistry()), "shop", "web")
        ground = Ground(runtime, broker, bus, slow, keeper)
        for found in pods:
            await ground.put(found)
        running = asyncio.ensure_future(keeper.run(plans))
        try:
            yield ground
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running


def old(*names: str) -> list[PodRecord]:
    return [record(name, {"cart": entry(1)}) for name in names]


def claim(pod: str, token: int) -> Claim:
    return Claim(
        pod=pod,
        uid="u",
        deployment="cart",
        module="cart",
        generation=2,
        batch=1,
        op="replace",
        revision=2,
        costs=True,
        token=token,
    )


OPEN = plan(mode="open", replicas=-1, updated=0, wanted=2, revision=1)
ROLL = plan(replicas=2, max_unavailable=1, revision=2)


async def test_what_somebody_else_claimed_meanwhile_counts_before_anything_is_claimed() -> None:
    async with kept(*old("a", "b"), plans=[OPEN]) as ground:
        await ground.answered(1)
        theirs = claim("b", 7)

        async def faster() -> None:
            await ground.write(claims={"b": theirs}, counter=7, noted={"cart": 2})

        ground.slow.before_ledger = faster
        ground.keeper.tell(ROLL)
        await ground.answered(2)
        await ground.runtime.clock.sleep(5)

        held = await ground.ledger()
        assert held is not None
        assert held.value.claims == {"b": theirs}, "one may be down, and theirs is"
        await ground.put(record("b", {"cart": entry(2)}, operation=operation(7)))

        async def next_one() -> bool:
            found = await ground.ledger()
            return found is not None and list(found.value.claims) == ["a"]

        await ground.until(next_one)


async def test_nothing_is_told_by_a_view_older_than_the_ledger_was_written_with() -> None:
    async with kept(*old("a", "b"), plans=[OPEN]) as ground:
        await ground.answered(1)
        ground.slow.reads.clear()

        async def faster() -> None:
            # Another saw both pods at the target, and one of them die.
            await ground.put(record("a", {"cart": entry(2)}))
            seen = await ground.put(record("b", {"cart": entry(2, "inactive")}))
            await ground.write(seen=seen, noted={"cart": 2})

        ground.slow.before_ledger = faster
        ground.keeper.tell(ROLL)
        await ground.noted(2)
        await ground.runtime.clock.sleep(20)
        said = ground.said()
        assert said is not None
        assert said.plan_revision == 1, "it stands where it stood"

        ground.slow.reads.set()

        said = await ground.answered(2)
        assert (said.updated, said.available) == (2, 1)


async def test_a_plan_is_answered_only_once_the_ledger_notes_it() -> None:
    async with kept(*old("a", "b"), plans=[OPEN]) as ground:
        await ground.answered(1)
        before: list[int] = []

        async def look() -> None:
            await ground.runtime.clock.sleep(5)
            said = ground.said()
            before.append(said.plan_revision if said is not None else 0)

        ground.slow.before_ledger = look
        ground.keeper.tell(ROLL.but(held=True, held_at=2))
        await ground.answered(2)
        held = await ground.ledger()
        assert held is not None
        assert before == [1]
        assert held.value.noted == {"cart": 2}


async def test_a_plan_that_is_noted_and_forgotten_is_told_to_whoever_says_an_older_one() -> None:
    async with kept(*old("a", "b"), plans=[OPEN]) as ground:
        await ground.answered(1)
        await ground.write(noted={"cart": 7})
        ground.keeper.tell(ROLL)
        await ground.bus.publish(subjects.plan("shop", "web", "cart"), ROLL.encode())
        said = await ground.answered(7)
        assert said.plan_nonce not in (ROLL.nonce, "")

        ground.keeper.tell(ROLL.but(revision=8))
        said = await ground.answered(8)
        assert said.plan_nonce == ROLL.nonce


async def test_a_noted_plan_that_is_only_on_its_way_is_waited_for() -> None:
    async with kept(*old("a", "b"), plans=[OPEN]) as ground:
        await ground.answered(1)
        await ground.write(noted={"cart": 7})
        await ground.bus.publish(subjects.plan("shop", "web", "cart"), ROLL.but(revision=7).encode())
        await ground.runtime.clock.sleep(100)
        said = ground.said()
        assert said is not None
        assert said.plan_revision == 1


async def test_what_was_said_of_a_finished_rollout_is_said_again_once_the_broker_has_forgotten_it() -> None:
    done = plan(replicas=2, complete=True, target=content(1), target_revisions=(1,))
    async with kept(*old("a", "b"), plans=[done]) as ground:
        await ground.answered(1)
        await ground.put(record("b", {"cart": entry(1)}, ready=False))

        async def told(available: int) -> bool:
            said = ground.said()
            return said is not None and said.available == available

        await ground.until(lambda: told(1))
        stream = ground.broker.stream(subjects.PROGRESS)
        stream.lose(stream.last_sequence - 1)
        assert not await told(1)

        await ground.runtime.clock.sleep(AUDIT_S)

        await ground.until(lambda: told(1))
