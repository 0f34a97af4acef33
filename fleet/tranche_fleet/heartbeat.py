"""Bases say that they are there: at once when they start and every 12 s, nothing when they end (design 5.2)."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterable
from typing import Any

import aiohttp

from tranche.runtime import Group, Runtime
from tranche_fleet.pod import Pod

EVERY_S = 12.0
PATH = "/heartbeat"
LOOK_S = 0.1
"""A base that has just started is noticed within this time."""
PARALLEL = 64
TIMEOUT_S = 5.0
HEADERS = {
    "Content-Type": "application/json",
    "User-Agent": "Java/17.0.15",
    "Accept": "text/html, image/gif, image/jpeg, */*; q=0.2",
}


def beat(pod: Pod) -> dict[str, Any]:
    """What a base says, as it was recorded on a real one with an identity hook."""
    host = pod.server.host
    return {
        "baseMetadata": {
            "clusterName": pod.namespace,
            "identity": pod.base.identity,
            "name": pod.pool,
            "version": "1.0.0",
        },
        "localHostName": host,
        "localIP": host,
        "port": pod.server.port,
        "state": "activated",
    }


class Heart:
    """Sends the heartbeats of a fleet to one endpoint until it is stopped; who does not listen is no matter."""

    def __init__(self, url: str, every_s: float, pods: Callable[[], Iterable[Pod]], runtime: Runtime) -> None:
        self._url = url.rstrip("/") + PATH
        self._every_s = every_s
        self._pods = pods
        self._runtime = runtime
        self._due: dict[Pod, tuple[int, float]] = {}
        """Which life of the base it was, and when its next heartbeat is due."""
        self._slots = asyncio.Semaphore(PARALLEL)

    async def run(self) -> None:
        """Until cancelled."""
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        async with (
            aiohttp.ClientSession(trust_env=False, headers=HEADERS, timeout=timeout) as session,
            self._runtime.tasks.group() as group,
        ):
            while True:
                self._send_due(session, group)
                await self._runtime.clock.sleep(LOOK_S)

    def _send_due(self, session: aiohttp.ClientSession, group: Group) -> None:
        now = self._runtime.clock.monotonic()
        living = {pod for pod in self._pods() if pod.base.running}
        self._due = {pod: due for pod, due in self._due.items() if pod in living}
        for pod in living:
            life, at = self._due.get(pod, (0, now))
            if life != pod.base.lives or at <= now:
                self._due[pod] = (pod.base.lives, now + self._every_s)
                group.spawn(self._send(session, pod), name=f"heartbeat of {pod.name}")

    async def _send(self, session: aiohttp.ClientSession, pod: Pod) -> None:
        # Real bases log that nobody listens, and go on.
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with self._slots, session.post(self._url, data=json.dumps(beat(pod)).encode()) as answer:
                await answer.read()
