"""An API server that answers exactly as a test has written down: for faults that a real one makes when it likes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from kubernetes_asyncio.client import ApiClient, Configuration

from tranche.kubernetes.cluster import Cluster
from tranche.runtime import SystemClock

Json = dict[str, Any]
Script = Callable[[web.Request], Awaitable[web.StreamResponse]]


def item(name: str, version: int, *, uid: str = "u1", **labels: str) -> Json:
    """An object as lists and events have it."""
    meta = {"name": name, "namespace": "shop", "uid": uid, "resourceVersion": str(version)}
    return {"metadata": {**meta, "labels": labels}}


def listing(version: int, *items: Json, more: str = "", status: int = 200) -> Script:
    """One page of a list."""

    async def answer(_: web.Request) -> web.StreamResponse:
        meta = {"resourceVersion": str(version), **({"continue": more} if more else {})}
        return web.json_response({"metadata": meta, "items": list(items)}, status=status)

    return answer


def refusal(code: int, message: str = "no", **headers: str) -> Script:
    """A Status object under its HTTP status."""

    async def answer(_: web.Request) -> web.StreamResponse:
        body = {"kind": "Status", "code": code, "message": message}
        return web.json_response(
            body, status=code, headers={name.replace("_", "-"): text for name, text in headers.items()}
        )

    return answer


def event(kind: str, about: Json) -> Json:
    return {"type": kind, "object": about}


def events(*told: Json, then: str = "end", raw: bytes = b"") -> Script:
    """A watch that tells these and then ends, hangs in silence, or is torn."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for one in told:
            await response.write(json.dumps(one).encode() + b"\n")
        await response.write(raw)
        if then == "hang":
            await asyncio.sleep(3600)
        if then == "tear" and request.transport is not None:
            request.transport.abort()
        return response

    return answer


@dataclass
class Scripted:
    """What is answered next, and what was asked. Where nothing is written, a watch that hangs."""

    lists: list[Script] = field(default_factory=list)
    watches: list[Script] = field(default_factory=list)
    asked: list[tuple[float, str, dict[str, str]]] = field(default_factory=list)
    url: str = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        watch = request.query.get("watch") == "true"
        now = asyncio.get_running_loop().time()
        self.asked.append((now, "watch" if watch else "list", dict(request.query)))
        scripts = self.watches if watch else self.lists
        script = scripts.pop(0) if scripts else events(then="hang") if watch else refusal(500)
        return await script(request)

    def kinds(self) -> list[str]:
        """``list`` or ``watch``, in the order asked."""
        return [kind for _, kind, _ in self.asked]


@asynccontextmanager
async def scripted_cluster() -> AsyncIterator[tuple[Scripted, Cluster]]:
    """The server, and our client of it."""
    scripted = Scripted()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", scripted.answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    scripted.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with ApiClient(Configuration(host=scripted.url)) as calls:
            yield scripted, Cluster(calls, SystemClock())
    finally:
        await runner.cleanup()
