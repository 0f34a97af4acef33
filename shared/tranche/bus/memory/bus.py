"""One connection to the broker in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Literal

from tranche.bus.memory import envelope
from tranche.bus.memory.broker import MemoryBroker
from tranche.bus.memory.consumer import MemoryPull
from tranche.bus.memory.following import MemoryFollow
from tranche.bus.memory.line import Line
from tranche.bus.memory.post import Answer, Service
from tranche.bus.port import ConsumerSpec, Endpoint, Follow, Pull, Stored, StreamSpec, StreamState
from tranche.errors import Full, Refused, TrancheError, Unavailable, Unknown
from tranche.runtime import Runtime


class MemoryBus:
    """A connection, as ``tranche.bus.port.Bus`` describes it.

    ``cut`` and ``mend`` are what a network would do to it; ``line``: another way to the broker than a good one.
    """

    def __init__(self, broker: MemoryBroker, runtime: Runtime, line: Line | None = None) -> None:
        self._broker = broker
        self._tasks = runtime.tasks
        self._line = line or Line(runtime.clock)
        self._asked: dict[asyncio.Future[Answer], None] = {}
        """In the order of their questions."""

    @property
    def line(self) -> Line:
        """The way to the broker."""
        return self._line

    @property
    def connected(self) -> bool:
        return self._line.connected

    def cut(self) -> None:
        """The connection breaks: what is under way is never answered, what is asked now is not sent."""
        self._line.cut()
        for answer in self._asked:
            if not answer.done():
                answer.set_result(Unknown("the connection broke before the answer came"))
        self._ring()

    def mend(self) -> None:
        """The connection is there again."""
        self._line.connected = True
        self._ring()

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
        sent = envelope.written(headers or {}, expect=expect, msg_id=msg_id, ttl_s=ttl_s)
        envelope.check_payload(subject, data, sent)

        def store() -> int:
            stream = self._broker.stream_of(subject)
            if stream is None:
                raise Unavailable(f"{subject}: nobody answers there: no such stream")
            return stream.store(subject, data, headers=sent, expect=expect, msg_id=msg_id, ttl_s=ttl_s)

        return await self._line.ask(subject, store)

    async def last(self, stream: str, subject: str) -> Stored | None:
        return await self._line.ask(subject, lambda: self._broker.stream(stream).last(subject))

    async def state(self, stream: str) -> StreamState:
        return await self._line.ask(f"stream {stream}", lambda: self._broker.stream(stream).state)

    async def subjects(self, stream: str, filter_: str) -> Mapping[str, int]:
        return await self._line.ask(filter_, lambda: self._broker.stream(stream).subjects(filter_))

    async def purge(self, stream: str, subject: str) -> None:
        await self._line.ask(subject, lambda: self._broker.stream(stream).purge(subject))

    async def schedule(self, subject: str, data: bytes, *, at: datetime, target: str) -> None:
        def keep() -> None:
            stream = self._broker.stream_of(subject)
            if stream is None:
                raise Unavailable(f"{subject}: nobody answers there: no such stream")
            stream.schedule(subject, data, at=at, target=target)

        await self._line.ask(subject, keep)

    async def pull(self, consumer: ConsumerSpec) -> Pull:
        return MemoryPull(consumer, self._broker.consumer, self._line)

    @asynccontextmanager
    async def follow(
        self, stream: str, filters: Sequence[str], *, start: Literal["last_per_subject", "new"] | int
    ) -> AsyncIterator[Follow]:
        def open_() -> MemoryFollow:
            return MemoryFollow(self._line, self._broker.stream(stream), filters, start)

        try:
            follow = await self._line.ask(f"stream {stream}", open_)
        except Unknown as error:
            raise Unavailable(str(error)) from error
        yield follow

    async def request(
        self, subject: str, data: bytes, *, timeout_s: float, headers: Mapping[str, str] | None = None
    ) -> bytes:
        envelope.check_payload(subject, data, headers or {})
        post = self._broker.post
        address, answer = post.inbox()
        self._asked[answer] = None
        try:
            async with self._line.clock.timeout(timeout_s):
                heard = await self._line.ask(
                    subject, lambda: post.deliver(subject, data, headers or {}, address)
                )
                if not heard:
                    raise Unavailable(f"{subject}: nobody answers there")
                told = await answer
        except TimeoutError as error:
            raise Unknown(f"{subject}: no answer within {timeout_s:g} s") from error
        finally:
            post.forget(address)
            del self._asked[answer]
        if isinstance(told, TrancheError):
            raise told
        return told

    async def say(self, subject: str, data: bytes) -> None:
        envelope.check_payload(subject, data, {})
        self._line.check(subject)
        self._broker.post.deliver(subject, data, {})
        if (stream := self._broker.stream_of(subject)) is not None:
            _unheard(lambda: stream.store(subject, data, headers={}))
        await self._line.clock.sleep(0)

    @asynccontextmanager
    async def serve(
        self, name: str, version: str, description: str, endpoints: Sequence[Endpoint]
    ) -> AsyncIterator[None]:
        self._line.check(f"service {name}")
        async with self._tasks.group() as group:
            service = Service(name, version, description, tuple(endpoints), self._line, group)
            self._broker.post.services.append(service)
            try:
                yield
            finally:
                self._broker.post.services.remove(service)

    async def ensure(self, streams: Sequence[StreamSpec], *, replicas: int, create: bool) -> None:
        def check() -> list[str]:
            return [
                fault
                for spec in streams
                for fault in self._broker.faults(spec, replicas=replicas, create=create)
            ]

        if faults := await self._line.ask("the streams", check):
            raise Refused("the streams are not as they should be: " + "; ".join(faults))

    def _ring(self) -> None:
        """Who waits on this connection looks at it again."""
        for stream in self._broker.streams.values():
            stream.ring()


def _unheard(store: Callable[[], object]) -> None:
    """A stream says no to nobody where nobody asked."""
    with suppress(Full, Refused, Unavailable):
        store()
