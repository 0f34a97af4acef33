"""The HTTP endpoint that bases send their heartbeats to (``-Dkoupleless.arklet.http.heartbeat.endpoint``)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import structlog
from aiohttp import web

from tranche.errors import Refused
from tranche.runtime import Clock
from tranche.telemetry import clean
from tranche_executor.core.pod import Pod
from tranche_executor.pods.beat import read_beat
from tranche_executor.pods.heartbeat import Reply

MOST_BYTES = 16_384
"""A heartbeat has 200."""
READ_S = 5.0
"""A body must be whole within this time."""
KEPT_S = 30.0
"""Bases keep their connections between two heartbeats."""

log = structlog.get_logger()


@asynccontextmanager
async def listening(host: str, port: int, hear: Callable[[Pod], Reply], clock: Clock) -> AsyncIterator[int]:
    """Take heartbeats on any path while the context lasts; the port (0 takes a free one).

    Raises Refused where it cannot listen there.
    """

    async def take(request: web.Request) -> web.Response:
        if request.method != "POST":
            return web.Response(status=405, headers={"Allow": "POST"}, text="heartbeats are sent by POST")
        try:
            async with clock.timeout(READ_S):
                pod = read_beat(await request.read())
        except TimeoutError:
            return web.Response(status=408, text=f"no whole heartbeat within {READ_S:g} s")
        except web.RequestPayloadError:
            return web.Response(status=400, text="no whole heartbeat: the body is broken")
        except Refused as error:
            log.info("heartbeat_refused", peer=request.remote, reason=clean(str(error)))
            return web.Response(status=400, text=str(error))
        status, reason = hear(pod)
        # A base only looks for success, and the real ones were recorded with a plain 200.
        return web.Response(status=200 if status == 202 else status, text=reason)

    application = web.Application(client_max_size=MOST_BYTES)
    application.router.add_route("*", "/{path:.*}", take)
    # Bases do not compress, and a few bytes of what somebody else compressed may unfold to megabytes.
    runner = web.AppRunner(
        application, access_log=None, shutdown_timeout=1.0, keepalive_timeout=KEPT_S, auto_decompress=False
    )
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise Refused(
                f"setting TRANCHE_PODS: heartbeat:{port}: cannot listen on {host}:{port}: {error.strerror}"
            ) from error
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
