"""Answering requests as a NATS micro service: `nats micro ls` shows it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress

from nats import errors as vendor
from nats.micro import add_service
from nats.micro.request import Request as MicroRequest

from tranche.bus.nats.failures import unsent
from tranche.bus.nats.line import Line
from tranche.bus.port import Endpoint, Request
from tranche.errors import TrancheError
from tranche.runtime import Group, Tasks

log = logging.getLogger(__name__)

PARALLEL = 256
"""Requests in work at once per service; further ones wait."""
ERROR_HEADERS = {"Nats-Service-Error": "internal error", "Nats-Service-Error-Code": "500"}


@asynccontextmanager
async def serving(
    line: Line, tasks: Tasks, name: str, version: str, description: str, endpoints: Sequence[Endpoint]
) -> AsyncIterator[None]:
    """Serve until left, then finish what has begun."""
    async with tasks.group() as group:
        try:
            service = await add_service(line.client, name=name, version=version, description=description)
            slots = asyncio.Semaphore(PARALLEL)
            for endpoint in endpoints:
                await service.add_endpoint(
                    name=endpoint.name,
                    subject=endpoint.subject,
                    queue_group=endpoint.queue,
                    handler=_taker(line, group, slots, endpoint),
                )
        except vendor.Error as error:
            raise unsent(error, f"service {name}") from error
        try:
            yield
        finally:
            with suppress(vendor.Error):
                await service.stop()


def _taker(
    line: Line, group: Group, slots: asyncio.Semaphore, endpoint: Endpoint
) -> Callable[[MicroRequest], Awaitable[None]]:
    """Takes a request and answers it in a task of its own: a slow one holds nobody up."""

    async def take(asked: MicroRequest) -> None:
        request = Request(asked.subject, asked.data, dict(asked.headers or {}), asked._msg.reply)
        await slots.acquire()
        group.spawn(_answer(line, slots, endpoint, request), name=f"answer {endpoint.name}")

    return take


async def _answer(line: Line, slots: asyncio.Semaphore, endpoint: Endpoint, request: Request) -> None:
    try:
        answer, headers = await endpoint.handler(request), None
    except Exception:
        # The framework would answer with the exception's text (design 4.3): that is ours to read.
        log.exception("the handler of %s failed", endpoint.subject)
        answer, headers = b"", ERROR_HEADERS
    finally:
        slots.release()
    if answer is not None and request.reply:
        try:
            await line.letters.send(request.reply, answer, headers=headers)
        except TrancheError as error:
            log.warning("an answer of %s was not sent: %s", endpoint.subject, error)
