"""Logs, metrics, health: what an operator sees of a running service."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import AsyncIterator, Callable, Mapping, MutableMapping
from contextlib import asynccontextmanager
from typing import Any, Literal

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SECRET_KEYS = re.compile(r"password|secret|token_value|seed|creds", re.IGNORECASE)
_USERINFO = re.compile(r"(?<=://)[^/@\s]+@")


def clean(text: str) -> str:
    """Text without control characters and without the user and password of a URL.

    >>> clean("get http://bob:pw@host/x\\x1b[31m")
    'get http://***@host/x�[31m'
    """
    return _USERINFO.sub("***@", _CONTROL.sub("�", text))


def _clean_event(_: object, __: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    for name, value in event.items():
        if _SECRET_KEYS.search(name):
            event[name] = "***"
        elif isinstance(value, str) and name != "exception":
            event[name] = clean(value)
    return event


def configure_logs(how: Literal["json", "console", ""], *, service: str) -> None:
    """Send structured lines to stderr: JSON, or readable ones on a terminal."""
    console = how == "console" or (not how and sys.stderr.isatty())
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _clean_event,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.bind_contextvars(service=service)


@asynccontextmanager
async def http_endpoint(
    host: str, port: int, registry: CollectorRegistry, ready: Callable[[], str]
) -> AsyncIterator[None]:
    """Serve ``/healthz`` (the process answers), ``/readyz`` (503 and why not) and ``/metrics``.

    Port 0 serves nothing. Raises OSError when the port is taken.
    """
    if port == 0:
        yield
        return

    async def health(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readiness(_: web.Request) -> web.Response:
        reason = ready()
        return web.Response(text=f"{reason or 'ok'}\n", status=503 if reason else 200)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4}
        )

    app = web.Application()
    app.add_routes([web.get("/healthz", health), web.get("/readyz", readiness), web.get("/metrics", metrics)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield
    finally:
        await runner.cleanup()
