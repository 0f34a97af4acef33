"""The bus over NATS JetStream: each method of the port in a few lines, the work in the modules beside."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from typing import Literal

from tranche.bus.nats import setup, tables
from tranche.bus.nats.failures import refusal
from tranche.bus.nats.following import NatsFollow
from tranche.bus.nats.letters import answered
from tranche.bus.nats.line import Line
from tranche.bus.nats.pulling import NatsPull
from tranche.bus.nats.serving import serving
from tranche.bus.port import ConsumerSpec, Endpoint, Follow, Pull, Stored, StreamSpec, StreamState
from tranche.bus.schedules import scheduled
from tranche.errors import Unknown
from tranche.runtime import Tasks


class NatsBus:
    """One connection, as ``tranche.bus.port.Bus`` describes it."""

    def __init__(self, line: Line, tasks: Tasks) -> None:
        self._line = line
        self._letters = line.letters
        self._tasks = tasks
        self._pulls: list[NatsPull] = []

    @property
    def connected(self) -> bool:
        return self._line.client.is_connected

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
        sent = dict(headers or {})
        if expect is not None:
            sent["Nats-Expected-Last-Subject-Sequence"] = str(expect)
        if msg_id is not None:
            sent["Nats-Msg-Id"] = msg_id
        if ttl_s is not None:
            # The server keeps whole seconds, at least one.
            sent["Nats-TTL"] = f"{max(1, math.ceil(ttl_s))}s"
        answer = await self._letters.ask(subject, data, timeout_s=timeout_s, headers=sent)
        stored = answered(answer, subject)
        if "error" in stored:
            raise refusal(stored["error"], subject)
        if "seq" not in stored:
            raise Unknown(f"{subject}: somebody answered who is not a stream")
        return int(stored["seq"])

    async def last(self, stream: str, subject: str) -> Stored | None:
        return await tables.last(self._letters, stream, subject)

    async def state(self, stream: str) -> StreamState:
        return await tables.state(self._letters, stream)

    async def subjects(self, stream: str, filter_: str) -> Mapping[str, int]:
        return await tables.subjects(self._letters, stream, filter_)

    async def purge(self, stream: str, subject: str) -> None:
        await tables.purge(self._letters, stream, subject)

    async def schedule(self, subject: str, data: bytes, *, at: datetime, target: str) -> None:
        await self.publish(subject, data, headers=scheduled(at, target))

    async def pull(self, consumer: ConsumerSpec) -> Pull:
        pull = NatsPull(self._line, consumer)
        await pull.open()
        return pull

    @asynccontextmanager
    async def follow(
        self, stream: str, filters: Sequence[str], *, start: Literal["last_per_subject", "new"] | int
    ) -> AsyncIterator[Follow]:
        follow = NatsFollow(self._line, stream, filters, start)
        await follow.open()
        try:
            yield follow
        finally:
            await follow.close()

    async def request(
        self, subject: str, data: bytes, *, timeout_s: float, headers: Mapping[str, str] | None = None
    ) -> bytes:
        answer = await self._letters.ask(subject, data, timeout_s=timeout_s, headers=headers)
        if answer.headers and "Nats-Service-Error" in answer.headers:
            raise Unknown(f"{subject}: the service failed while answering")
        return answer.data

    async def say(self, subject: str, data: bytes) -> None:
        await self._letters.send(subject, data)

    def serve(
        self, name: str, version: str, description: str, endpoints: Sequence[Endpoint]
    ) -> AbstractAsyncContextManager[None]:
        return serving(self._line, self._tasks, name, version, description, endpoints)

    async def ensure(self, streams: Sequence[StreamSpec], *, replicas: int, create: bool) -> None:
        await setup.ensure(self._letters, streams, replicas=replicas, create=create)
