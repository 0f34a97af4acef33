"""Requests without a stream: who answers which subject, and who waits for which answer."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from tranche.bus.memory import envelope
from tranche.bus.memory.line import Line
from tranche.bus.memory.matching import matches
from tranche.bus.port import Endpoint, Request
from tranche.errors import TrancheError, Unknown
from tranche.runtime import Group

Answer = bytes | TrancheError
"""What came back: an answer, or why there is none."""

log = logging.getLogger(__name__)

PARALLEL = 256
"""Requests in work at once per service; further ones wait."""


@dataclass(eq=False, slots=True)
class Service:
    """A service as one process offers it, and the group that its work belongs to."""

    name: str
    version: str
    description: str
    endpoints: tuple[Endpoint, ...]
    line: Line
    group: Group
    context: contextvars.Context = field(default_factory=contextvars.copy_context)
    """Whose work it is to answer: that of who serves, not of who asks."""
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(PARALLEL))


class Post:
    """Carries requests to services and answers to who asked."""

    def __init__(self) -> None:
        self.services: list[Service] = []
        self._numbers = itertools.count(1)
        self._turns = itertools.count()
        self._waiting: dict[str, asyncio.Future[Answer]] = {}

    def inbox(self) -> tuple[str, asyncio.Future[Answer]]:
        """An address for one answer, and where that answer will be."""
        address = f"_INBOX.memory.{next(self._numbers)}"
        answer = self._waiting[address] = asyncio.get_running_loop().create_future()
        return address, answer

    def forget(self, address: str) -> None:
        """Nobody waits there any more; what still comes is dropped."""
        self._waiting.pop(address, None)

    def deliver(self, subject: str, data: bytes, headers: Mapping[str, str], reply: str = "") -> bool:
        """Hand a message to whoever is meant: one member of each queue. False: nobody is there."""
        if (answer := self._waiting.get(subject)) is not None:
            if not answer.done():
                answer.set_result(data)
            return True
        queues: dict[str, list[tuple[Service, Endpoint]]] = {}
        for service in self.services:
            for endpoint in service.endpoints:
                if service.line.connected and matches(endpoint.subject, subject):
                    queues.setdefault(endpoint.queue, []).append((service, endpoint))
        turn = next(self._turns)
        for members in queues.values():
            service, endpoint = members[turn % len(members)]
            request = Request(subject, data, dict(headers), reply)
            work = self._work(service, endpoint, request)
            service.context.copy().run(service.group.spawn, work, name=f"answer {endpoint.name}")
        return bool(queues)

    async def _work(self, service: Service, endpoint: Endpoint, request: Request) -> None:
        breaks = service.line.breaks
        answer: Answer | None
        async with service.slots:
            try:
                answer = await endpoint.handler(request)
            except Exception:
                # Its text is ours to read, not the caller's.
                log.exception("the handler of %s failed", endpoint.subject)
                answer = Unknown(f"{request.subject}: the service failed while answering")
        if isinstance(answer, bytes) and len(answer) > envelope.MAX_PAYLOAD_BYTES:
            log.warning("an answer of %s was not sent: it is larger than the server allows", endpoint.subject)
            answer = None
        waiting = self._waiting.get(request.reply)
        if answer is not None and waiting and not waiting.done() and service.line.breaks == breaks:
            waiting.set_result(answer)
