"""One sequence on two buses at once, NATS and the one in memory, and the first thing that differs."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, assert_never

from tests.contract import bus_sequences as ops
from tests.contract.bus_sides import (
    AHEAD_S,
    NEAR_S,
    PATIENCE_S,
    PAUSE_S,
    Difference,
    Due,
    Failed,
    Inconclusive,
    InMemory,
    Sides,
    plain,
    told_by,
)
from tranche.bus.memory import MemoryBus
from tranche.bus.port import Bus, Delivery, Endpoint, Follow, Pull, Request, Stored
from tranche.errors import Unknown

SILENCE_S = 0.25
SOON_S, NAK_S = 1.6, 1.2
EVERYTHING = 1000


@dataclass(slots=True)
class Held:
    """A delivery on both sides."""

    nats: Any
    memory: Delivery
    consumer: int
    bus: Bus


@dataclass(slots=True)
class Following:
    """A follow on both sides. ``extra``: NATS handed out something that was removed by then."""

    nats: Follow
    memory: Follow
    stack: AsyncExitStack
    extra: bool = False


class Twins(Sides):
    """Two processes on each side, and one stream of the sequence's own."""

    def __init__(
        self, world: ops.World, nats: Sequence[Bus], gate: asyncio.Semaphore, in_memory: InMemory = MemoryBus
    ) -> None:
        super().__init__(world.stream.name, nats, gate, in_memory)
        self.world = world
        self._pulls: dict[tuple[int, int], tuple[Pull, Pull]] = {}
        self._held: list[Held] = []
        self._follows: dict[int, Following] = {}
        self._services: dict[int, tuple[str, AsyncExitStack]] = {}
        self._published: set[tuple[str, bytes]] = set()
        self._number = 0

    async def run(self, operations: Sequence[ops.Operation]) -> None:
        """Raises Difference or Inconclusive."""
        await self.gate.acquire()
        try:
            await self.same(lambda bus: bus.ensure([self.world.stream], replicas=1, create=True))
            for number, operation in enumerate(operations):
                self.step = f"{number}: {operation}"
                await self.clear(NEAR_S)
                await self._do(operation)
            await self._look_at_everything()
        finally:
            try:
                for follow in self._follows.values():
                    await follow.stack.aclose()
                for _, service in self._services.values():
                    await service.aclose()
                with suppress(Unknown):  # slowly, but it goes
                    await self.nats[0].request(f"$JS.API.STREAM.DELETE.{self.stream}", b"", timeout_s=5)
            finally:
                self.gate.release()

    async def _do(self, operation: ops.Operation) -> None:
        self.seen[type(operation).__name__] += 1
        match operation:
            case ops.Publish():
                await self._publish(operation)
            case ops.PublishElsewhere():
                await self.same(lambda bus: bus.publish("nowhere.at.all", b""), names="nowhere.at.all")
            case ops.Say(subject, process):
                data = self._data(3)
                target = self._subject(subject)
                self._published.add((target, data))
                await self.same(lambda bus: bus.say(target, data), process)
                self._ages()
                await self.settled()
            case ops.Last(subject, process):
                await self._last(self._subject(subject), process)
            case ops.Look(filter_, process):
                await self._look(self._filters(filter_)[0], process)
            case ops.Purge(filter_, process):
                purged = self._filters(filter_)[0]
                await self.same(lambda bus: bus.purge(self.stream, purged), process)
                await self.settled()
                self._purged()
            case ops.Schedule():
                await self._schedule(operation)
            case ops.Fetch(consumer, limit, process):
                if self.world.consumers:
                    await self._fetch(consumer % len(self.world.consumers), limit, process)
            case ops.FetchThenPublish(consumer, publish, process):
                if self.world.consumers:
                    await self._fetch_then_publish(consumer % len(self.world.consumers), publish, process)
            case ops.Restart(process):
                self._pulls = {key: pulls for key, pulls in self._pulls.items() if key[0] != process}
            case ops.Settle(back, word):
                if self._held:
                    await self._settle(self._held[-1 - back % len(self._held)], word)
            case ops.Open():
                await self._open(operation)
            case ops.Next(slot, limit):
                if slot in self._follows:
                    await self._next(self._follows[slot], limit)
            case ops.CatchUp(slot):
                if slot in self._follows:
                    await self._catch_up(self._follows[slot])
            case ops.Close(slot):
                if slot in self._follows:
                    await self._follows.pop(slot).stack.aclose()
            case ops.Serve():
                await self._serve(operation)
            case ops.Leave(slot):
                await self._leave(slot)
            case ops.Ask(subject, headers, process):
                asked = self._endpoint(subject)
                data, sent = self._data(3), _headers(headers)
                await self.same(
                    lambda bus: bus.request(asked, data, timeout_s=SILENCE_S, headers=sent),
                    process,
                    names=asked,
                    unknown=True,
                )
            case ops.Ensure(differs, create):
                await self._ensure(differs, create)
            case ops.WaitUntilDue():
                now = time.monotonic()
                if (next_ := self.next_due) < now + AHEAD_S:
                    await self.clear(next_ - now)
            case _:
                assert_never(operation)

    # --- streams ---

    async def _publish(self, operation: ops.Publish) -> None:
        subject, data = self._subject(operation.subject), self._data(operation.size)
        last = await self.memory[0].last(self.stream, subject)
        stands = last.sequence if last else 0
        expect = {
            "": None,
            "right": stands,
            "zero": 0,
            "stale": stands - 1 if stands else 7,
            "ahead": stands + 100,
        }[operation.expect]
        msg_id = f"id {operation.msg_id}" if operation.msg_id else None
        self._published.add((subject, data))
        ttl_s = operation.ttl_s
        before = time.monotonic()
        told = await self.same(
            lambda bus: bus.publish(
                subject, data, expect=expect, msg_id=msg_id, headers=_headers(operation.headers), ttl_s=ttl_s
            ),
            operation.process,
            names=subject,
        )
        if not isinstance(told, Failed):
            if ttl_s is not None:
                self.due(before, max(1, math.ceil(ttl_s)))
            self._ages()

    def _ages(self) -> None:
        if age_s := self.world.stream.max_age_s:
            self.due(time.monotonic() - NEAR_S, age_s)

    async def _schedule(self, operation: ops.Schedule) -> None:
        slots = self.world.scheduled or self.world.subjects
        subject = slots[operation.slot % len(slots)]
        target = "nowhere.at.all" if operation.elsewhere else self._subject(operation.subject)
        data = self._data(3)
        seconds = {"past": -5.0, "soon": SOON_S, "far": 3600.0}[operation.due]
        # NATS is told milliseconds.
        at = datetime.fromtimestamp(int((time.time() + seconds) * 1000) / 1000, UTC)
        self._published |= {(subject, data), (target, data)}
        told = await self.same(
            lambda bus: bus.schedule(subject, data, at=at, target=target), operation.process, names=subject
        )
        if not isinstance(told, Failed) and operation.due == "soon":
            now = time.monotonic()
            left = at.timestamp() - time.time()
            self.dues.append(Due(now + left - 0.01, now + left + 0.05))
        await self.settled()

    def _purged(self) -> None:
        """What was to come again waits for some part of its ``ack_wait`` anew, and NATS is deaf to what is
        said about some deliveries from before: nobody says anything about them."""
        now = time.monotonic()
        for number, consumer in enumerate(self.world.consumers):
            if consumer.ack_wait_s <= AHEAD_S and any(held.consumer == number for held in self._held):
                self.dues.append(Due(now, now + consumer.ack_wait_s, number))
        self._held.clear()

    async def _ensure(self, differs: bool, create: bool) -> None:
        spec = self.world.stream
        wanted = replace(spec, max_age_s=spec.max_age_s + 77) if differs else spec
        await self.same(lambda bus: bus.ensure([wanted], replicas=1, create=create), names=spec.name)

    async def _last(self, subject: str, process: int = 0) -> None:
        await self.same(lambda bus: bus.last(self.stream, subject), process)

    async def _look(self, filter_: str, process: int = 0) -> None:
        name = self.stream
        await self.settled(process)
        await self.same(lambda bus: bus.subjects(name, filter_), process)

    async def _look_at_everything(self) -> None:
        self.step = "at the end"
        await self.clear(NEAR_S)
        for subject in (*self.world.subjects, *self.world.scheduled):
            await self._last(subject)
        await self._look(self._filters(0)[0])
        for follow in self._follows.values():
            await self.clear(NEAR_S)
            await self._next(follow, EVERYTHING)
            await self._catch_up(follow)
        for consumer in range(len(self.world.consumers)):
            await self.clear(NEAR_S)
            await self._fetch(consumer, EVERYTHING, 0)

    # --- pulling ---

    async def _pull(self, consumer: int, process: int) -> tuple[Pull, Pull]:
        key = process, consumer
        if key not in self._pulls:
            spec = self.world.consumers[consumer]
            self._pulls[key] = await self.nats[process].pull(spec), await self.memory[process].pull(spec)
        return self._pulls[key]

    async def _fetch(self, consumer: int, limit: int, process: int) -> None:
        nats, memory = await self._pull(consumer, process)
        if consumer in self.uncertain:
            limit = EVERYTHING
        got: list[Delivery] = []

        async def from_nats() -> Sequence[Delivery]:
            deadline = time.monotonic() + PATIENCE_S
            while True:
                got.extend(await nats.fetch(limit - len(got), wait_s=0))
                if len(got) >= len(wanted) or time.monotonic() > deadline:
                    return got

        before = time.monotonic()
        self.clock.time = before
        wanted = list(await memory.fetch(limit, wait_s=0))
        try:
            await self.measured(from_nats())
        except Inconclusive as error:
            raise Inconclusive(f"{error}: {len(got)} of {len(wanted)} came") from None
        self._handed_out(consumer, process, got, wanted, before)

    def _handed_out(
        self, consumer: int, process: int, got: list[Any], wanted: list[Delivery], before: float
    ) -> None:
        if consumer in self.uncertain:
            self.uncertain.discard(consumer)
            got.sort(key=lambda one: one.message.sequence)
            wanted.sort(key=lambda one: one.message.sequence)
        seen = [[(plain(one.message), one.attempt) for one in part] for part in (got, wanted)]
        if seen[0] != seen[1]:
            raise Difference(f"{self.step} from consumer {consumer}", *seen)
        self.same_times([one.message for one in got], [one.message for one in wanted])
        self.seen["again"] += sum(one.attempt > 1 for one in got)
        if got:
            self.due(before, self.world.consumers[consumer].ack_wait_s, consumer)
        self._held += [
            Held(ours, theirs, consumer, self.nats[process]) for ours, theirs in zip(got, wanted, strict=True)
        ]

    async def _fetch_then_publish(self, consumer: int, publish: ops.Publish, process: int) -> None:
        """The wait is as long as it must be only where nothing comes."""
        if consumer in self.uncertain or (process, consumer) not in self._pulls:
            # What comes again by time is out of the way, and the consumer is there.
            await self._fetch(consumer, EVERYTHING, process)
        await self.clear(NEAR_S + SILENCE_S)
        nats, memory = await self._pull(consumer, process)
        before = time.monotonic()
        self.clock.time = before
        in_memory = asyncio.ensure_future(memory.fetch(1, wait_s=SILENCE_S))
        on_nats = asyncio.ensure_future(nats.fetch(1, wait_s=SILENCE_S))
        try:
            await asyncio.wait([in_memory], timeout=PAUSE_S)
            if in_memory.done():  # what is there already must not be replaced before NATS has handed it out
                await asyncio.wait([on_nats])
            await self._publish(publish)
            got = list(await on_nats)
            self.clock.time = max(self.clock.time, time.monotonic(), before + SILENCE_S)
            wanted = list(await in_memory)
        finally:
            for waiting in (in_memory, on_nats):
                waiting.cancel()
            await asyncio.wait([in_memory, on_nats])
        self.conclusive(time.monotonic())
        if len(got) < len(wanted):
            # The message came when NATS had just ended the wait.
            got += await nats.fetch(1, wait_s=PATIENCE_S)
        self._handed_out(consumer, process, got, wanted, before)

    async def _settle(self, held: Held, word: str) -> None:
        ack_wait_s = self.world.consumers[held.consumer].ack_wait_s
        before = time.monotonic()

        async def say(delivery: Delivery) -> None:
            match word:
                case "ack":
                    await delivery.ack()
                case "nak":
                    await delivery.nak()
                case "nak later":
                    await delivery.nak(NAK_S)
                case "extend":
                    await delivery.extend()
                case _:
                    await delivery.term()

        self.clock.time = before
        memory = await told_by(say(held.memory))
        nats = await self.measured(told_by(say(held.nats)))
        if nats != memory:
            raise Difference(self.step, nats, memory)
        await _heard(held)
        if word == "nak later":
            self.due(before, NAK_S, held.consumer)
        if word == "extend":
            self.due(before, ack_wait_s, held.consumer)
        if self.world.stream.retention == "workqueue":
            await self.settled()

    # --- following ---

    async def _open(self, operation: ops.Open) -> None:
        if operation.slot in self._follows:
            await self._follows.pop(operation.slot).stack.aclose()
        name, filters, start = self.stream, self._filters(operation.filter), operation.start
        if isinstance(start, int):
            start = max(1, (await self.memory[0].state(name)).last_sequence - start)
        stack = AsyncExitStack()

        async def begin(bus: Bus) -> Follow:
            return await stack.enter_async_context(bus.follow(name, filters, start=start))

        nats, memory = await self.both(begin, operation.process)
        if isinstance(nats, Failed) or isinstance(memory, Failed):
            await stack.aclose()
            if nats != memory or not isinstance(nats, Failed):
                raise Difference(self.step, nats, memory)
            self.seen[nats.kind] += 1
            return
        if nats.position != memory.position:
            raise Difference(f"{self.step}: position", nats.position, memory.position)
        self._follows[operation.slot] = Following(nats, memory, stack)
        if start == "last_per_subject":
            # Where all of the last values go before the first is asked for, NATS may need some seconds until it
            # hands out what came later.
            await self._next(self._follows[operation.slot], 1)

    async def _next(self, follow: Following, limit: int) -> None:
        before = time.monotonic()
        self.clock.time = before
        wanted = list(await follow.memory.next(wait_s=0, limit=limit))
        got: list[Stored] = []

        async def from_nats() -> None:
            deadline = time.monotonic() + PATIENCE_S
            got.extend(await follow.nats.next(wait_s=0, limit=limit))
            while wanted and (not got or got[-1].sequence < wanted[-1].sequence):
                if time.monotonic() > deadline:
                    return
                # One by one: what was removed meanwhile may be among them and must not push others out.
                got.extend(await follow.nats.next(wait_s=0.02, limit=1))

        await self.measured(from_nats())
        self._read(follow, got, wanted)

    async def _catch_up(self, follow: Following) -> None:
        before = time.monotonic()
        self.clock.time = before
        wanted = list(await follow.memory.catch_up(wait_s=PATIENCE_S))
        got = list(await self.measured(follow.nats.catch_up(wait_s=PATIENCE_S)))
        self._read(follow, got, wanted)
        if follow.nats.position != follow.memory.position:
            raise Difference(f"{self.step}: position", follow.nats.position, follow.memory.position)

    def _read(self, follow: Following, got: list[Stored], wanted: list[Stored]) -> None:
        """NATS reads ahead: it may also hand out what was there and is removed by now."""
        numbers = {one.sequence for one in wanted}
        extra = [one for one in got if one.sequence not in numbers]
        same = [one for one in got if one.sequence in numbers]
        follow.extra = follow.extra or bool(extra)
        ordered = sorted({one.sequence for one in got}) == [one.sequence for one in got]
        if (
            list(map(plain, same)) != list(map(plain, wanted))
            or not ordered
            or not all((one.subject, one.data) in self._published for one in extra)
            or (not extra and follow.nats.position != follow.memory.position and not follow.extra)
        ):
            positions = follow.nats.position, follow.memory.position
            raise Difference(
                self.step, (list(map(plain, got)), positions[0]), (list(map(plain, wanted)), positions[1])
            )
        self.same_times(same, wanted)

    # --- asking ---

    async def _serve(self, operation: ops.Serve) -> None:
        for slot, (manner, _) in tuple(self._services.items()):
            # Which of two is asked is nobody's promise: they must answer alike.
            if slot == operation.slot or manner != operation.manner:
                await self._leave(slot)
        stack = AsyncExitStack()
        subject = self._endpoint(operation.subject, pattern=True)

        def handler(bus: Bus) -> Callable[[Request], Awaitable[bytes | None]]:
            async def answer(request: Request) -> bytes | None:
                match operation.manner:
                    case "echo":
                        sent = "".join(f"{key}={value};" for key, value in sorted(request.headers.items()))
                        return f"{request.subject} {sent} ".encode() + request.data
                    case "empty":
                        return b""
                    case "fail":
                        raise ValueError("nobody's business")
                    case "instead":
                        await bus.say(request.reply, b"instead")
                    case "too large":
                        return bytes((1 << 20) + 1)
                return None

            return answer

        for buses in (self.nats, self.memory):
            endpoint = Endpoint("ask", subject, handler(buses[1 - operation.process]))
            await stack.enter_async_context(
                buses[operation.process].serve("sequence", "1.0.0", "answers", [endpoint])
            )
        self._services[operation.slot] = operation.manner, stack
        await self.turn(operation.process)

    async def _leave(self, slot: int) -> None:
        if slot in self._services:
            await self._services.pop(slot)[1].aclose()
            await self.turn(0)
            await self.turn(1)

    # --- names ---

    def _subject(self, number: int) -> str:
        return self.world.subjects[number % len(self.world.subjects)]

    def _filters(self, number: int) -> list[str]:
        """All, one subject, below a subject, or two of them."""
        everything = list(self.world.stream.subjects)
        one = self._subject(number)
        below = f"{one.rpartition('.')[0]}.*"
        other = self._subject(number + 1)
        return [everything, [one], [below], [one, other] if one != other else [one]][number % 4]

    def _endpoint(self, number: int, *, pattern: bool = False) -> str:
        names = ["ask.a", "ask.b", "ask.*" if pattern else "ask.c"]
        return f"{self.stream}.{names[number % 3]}"

    def _data(self, size: int) -> bytes:
        self._number += 1
        return b"%d" % self._number if size == 3 else b"%d" % self._number * size


def _headers(count: int) -> dict[str, str] | None:
    return {f"Note-{number}": f"text {number}" for number in range(count)} or None


async def _heard(held: Held) -> None:
    """NATS works through what was said about a consumer in order: a word about a message that is not there
    is answered when the words before it are done."""
    parts = held.nats._ack_subject.split(".")
    first = 4 if len(parts) == 9 else 6
    parts[first + 1] = parts[first + 2] = "999999999"
    await held.bus.request(".".join(parts), b"+WPI", timeout_s=PATIENCE_S)
