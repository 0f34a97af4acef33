"""Three nats-servers that keep every stream three times, each a process of its own on this machine."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

from tranche.bus.server import NatsServer, embedded_server
from tranche.runtime import SystemClock, wait_until

HOST = "127.0.0.1"
NODES = 3
META = "the cluster"
"""Stands for the log of streams and consumers where a stream is named."""
ASK_S = 1.0
ELECTED_S = 30.0


class Cluster:
    """The servers by name, and who leads what."""

    def __init__(self, nodes: Mapping[str, NatsServer], monitors: list[str]) -> None:
        self.nodes = nodes
        self._monitors = monitors

    @property
    def url(self) -> str:
        """Where clients connect: all of them, by comma."""
        return ",".join(node.url for node in self.nodes.values())

    async def leader(self, stream: str) -> str | None:
        """The node that leads a stream now, of ``META`` the cluster itself; None: nobody can say."""
        async with aiohttp.ClientSession(trust_env=False) as session:
            for url in self._monitors:
                with suppress(aiohttp.ClientError, TimeoutError, LookupError, ValueError):
                    wait = aiohttp.ClientTimeout(total=ASK_S)
                    async with session.get(f"{url}/jsz?streams=1", timeout=wait) as response:
                        if leader := _leaders(await response.json()).get(stream):
                            return leader
        return None

    async def elected(self) -> None:
        """Until the cluster has a leader."""
        await wait_until(lambda: self.leader(META), SystemClock(), timeout_s=ELECTED_S, every_s=0.1)


def _leaders(told: dict[str, Any]) -> dict[str, str]:
    """By stream, as one server knows them."""
    found = {META: told.get("meta_cluster", {}).get("leader", "")}
    for account in told.get("account_details", []):
        for stream in account.get("stream_detail", []):
            found[stream["name"]] = stream.get("cluster", {}).get("leader", "")
    return found


@asynccontextmanager
async def nats_cluster(folder: Path) -> AsyncIterator[Cluster]:
    """Three servers with JetStream, each write on disk before it is acked (design 4.2); the block ends them."""
    ports = _free_ports(2 * NODES)
    routes, monitors = ports[:NODES], ports[NODES:]
    async with AsyncExitStack() as stack:
        nodes = {}
        for number, (route, monitor) in enumerate(zip(routes, monitors, strict=True), start=1):
            name = f"nats-{number}"
            options = _options(folder / name, name, route, monitor, routes)
            nodes[name] = await stack.enter_async_context(
                embedded_server(folder / name, host=HOST, options=options)
            )
        cluster = Cluster(nodes, [f"http://{HOST}:{monitor}" for monitor in monitors])
        await cluster.elected()
        yield cluster


def _options(folder: Path, name: str, route: int, monitor: int, routes: list[int]) -> str:
    """What a member says beyond what every embedded server does; what is said twice holds as said last."""
    settings = {
        "server_name": name,
        "http": f"{HOST}:{monitor}",
        "jetstream": {"store_dir": str(folder / "jetstream"), "sync_interval": "always"},
        "cluster": {
            "name": "tranche",
            "listen": f"{HOST}:{route}",
            "routes": [f"nats://{HOST}:{port}" for port in routes],
        },
    }
    return "\n".join(f"{key}: {json.dumps(value)}" for key, value in settings.items())


def _free_ports(count: int) -> list[int]:
    """Ports nobody listens on now: the members must know each other's before they start."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((HOST, 0))
        return [one.getsockname()[1] for one in sockets]
