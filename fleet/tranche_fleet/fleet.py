"""Many simulated bases in one process.

async with Fleet() as fleet:
    await fleet.add_pool("shop", "web-base", 20, max_modules=5)
"""

from __future__ import annotations

import errno
import ipaddress
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tranche.runtime import Clock, Group, Runtime, Task, system_runtime
from tranche_fleet.arklet import Settings
from tranche_fleet.base import Base
from tranche_fleet.catalogue import Catalogue
from tranche_fleet.descriptors import room_for
from tranche_fleet.heartbeat import EVERY_S, Heart
from tranche_fleet.inventory import MAX_MODULES, inventory, write_inventory
from tranche_fleet.pod import Pod
from tranche_fleet.server import BaseServer

ARKLET_PORT = 1238
DEFAULT_VERSION = "2.1.11"
TAKEN = {errno.EADDRINUSE, errno.EACCES}


class Fleet:
    """Simulated bases, each on its own loopback address (or, where such are missing, its own port).

    `catalogue` is shared by all bases. `clock` gives seconds since the epoch; a test may hand in its own and
    call `tick` after moving it. With `inventory_path` the file follows every change. With `heartbeat_url` each base
    tells that endpoint of itself, under its pod's name where it was given no identity.
    """

    def __init__(
        self,
        *,
        catalogue: Catalogue | None = None,
        runtime: Runtime | None = None,
        clock: Callable[[], float] | None = None,
        inventory_path: Path | None = None,
        heartbeat_url: str | None = None,
        heartbeat_s: float = EVERY_S,
    ) -> None:
        self.catalogue = catalogue if catalogue is not None else Catalogue()
        self.pool_labels: dict[tuple[str, str], dict[str, str]] = {}
        self.inventory_path = inventory_path
        self._runtime = runtime or system_runtime()
        self.clock = clock or steady(self._runtime.clock)
        self._pods: dict[str, Pod] = {}
        self._numbers: dict[tuple[str, str], int] = {}
        self._addresses = loopback_addresses(first_address(os.getpid()))
        self._tasks: AbstractAsyncContextManager[Group] | None = None
        self._group: Group | None = None
        self._heart = (
            Heart(heartbeat_url, heartbeat_s, self._speaking, self._runtime) if heartbeat_url else None
        )
        self._beating: Task | None = None

    async def __aenter__(self) -> Self:
        self._tasks = self._runtime.tasks.group()
        self._group = await self._tasks.__aenter__()
        if self._heart is not None:
            self._beating = self._group.spawn(self._heart.run(), name="heartbeats")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._beating is not None:
            self._beating.cancel()
        for pod in self._pods.values():
            pod.server.close()
        # Connections being taken are made, cut and closed in one turn of the event loop each.
        for _ in range(3):
            await self._runtime.clock.sleep(0)
        if self._tasks is not None:
            await self._tasks.__aexit__(kind, error, trace)

    # --- members ---

    async def add(
        self,
        name: str | None = None,
        *,
        namespace: str = "default",
        pool: str = "base",
        address: str | None = None,
        version: str = DEFAULT_VERSION,
        settings: Settings | None = None,
        identity: str | None = None,
        labels: Mapping[str, str] | None = None,
        uid: str | None = None,
        ready: bool = True,
    ) -> Pod:
        """Start one base. `address` is host or host:port (port 0: a free one); without, the next free host.

        Raises ValueError for a name that is taken, OSError for an address that is.
        """
        number = self._numbers.get((namespace, pool), 0) + 1
        name = name or f"{pool}-{number}"
        key = f"{namespace}/{pool}/{name}"
        if key in self._pods:
            raise ValueError(f"{key} is there already")
        room_for(len(self._pods) + 1)
        base = Base(name, version=version, settings=settings, catalogue=self.catalogue, now=self.clock())
        server = await self._serve(base, address)
        base.identity = identity or (name if self._heart is not None else self._identity(server))
        pod = Pod(namespace, pool, name, base, server, self.clock, dict(labels or {}), ready, uid)
        self._numbers[namespace, pool] = number
        self._pods[key] = pod
        self.publish()
        return pod

    async def add_pool(
        self,
        namespace: str,
        pool: str,
        count: int,
        *,
        max_modules: int | None = None,
        version: str = DEFAULT_VERSION,
        settings: Settings | None = None,
        address: str | None = None,
    ) -> list[Pod]:
        """Start `count` bases named `<pool>-1` and on. `address` is where the first of them listens."""
        if max_modules is not None:
            self.pool_labels[namespace, pool] = {MAX_MODULES: str(max_modules)}
        if address is not None:
            self._addresses = loopback_addresses(address)
        path, self.inventory_path = self.inventory_path, None
        try:
            pods = [
                await self.add(namespace=namespace, pool=pool, version=version, settings=settings)
                for _ in range(count)
            ]
        finally:
            self.inventory_path = path
        self.publish()
        return pods

    def remove(self, pod: Pod) -> None:
        """The pod is deleted: it dies, and leaves the inventory."""
        pod.stop()
        pod.server.close()
        del self._pods[pod.key]
        self.publish()

    def __getitem__(self, name: str) -> Pod:
        """By namespace/base/pod, or by the pod's name where only one has it. Raises KeyError."""
        if name in self._pods:
            return self._pods[name]
        found = [pod for pod in self._pods.values() if pod.name == name]
        if len(found) != 1:
            raise KeyError(f"{name}: {'several pods have this name' if found else 'no such pod'}")
        return found[0]

    def __iter__(self) -> Iterator[Pod]:
        return iter(self._pods.values())

    def __len__(self) -> int:
        return len(self._pods)

    def pods(self, namespace: str, pool: str) -> list[Pod]:
        """The pods of one pool, in the order they joined."""
        return [pod for pod in self if (pod.namespace, pod.pool) == (namespace, pool)]

    # --- as a whole ---

    def tick(self) -> None:
        """Let every base look at the clock; only needed with a clock of one's own."""
        for pod in self:
            pod.server.pump()

    def hang_up(self) -> None:
        """The silent artefact hosts close their connections."""
        for pod in self:
            pod.base.hang_up(self.clock())
            pod.server.pump()

    def inventory(self) -> dict[str, Any]:
        """What a static inventory says of this fleet (design 3.5)."""
        return inventory(self, self.pool_labels)

    def publish(self) -> None:
        """Write the inventory, where there is a file for it. For after changing labels or ready of a pod."""
        if self.inventory_path is not None:
            write_inventory(self.inventory_path, self.inventory())

    def _speaking(self) -> list[Pod]:
        """Those whose release sends heartbeats."""
        return [pod for pod in self if pod.base.edition.heartbeats]

    # --- addresses ---

    async def _serve(self, base: Base, address: str | None) -> BaseServer:
        if address is not None:
            host, _, port = address.partition(":")
            return await self._open(base, host, int(port) if port else ARKLET_PORT)
        for host in self._addresses:
            try:
                return await self._open(base, host, ARKLET_PORT)
            except OSError as error:
                if error.errno not in TAKEN:
                    break
        # macOS has one loopback address: there the bases differ by port.
        return await self._open(base, "127.0.0.1", 0)

    async def _open(self, base: Base, host: str, port: int) -> BaseServer:
        if self._group is None:
            raise RuntimeError("a fleet takes bases inside `async with` only")
        server = BaseServer(base, host, port, self.clock, self._group)
        await server.open()
        return server

    def _identity(self, server: BaseServer) -> str:
        """As the real one: the address, and so the same for bases that share it, unless we say which."""
        shared = any(pod.server.host == server.host for pod in self)
        return server.address if shared else server.host


def steady(clock: Clock) -> Callable[[], float]:
    """Seconds since the epoch that never go back, from a clock that may."""
    offset = clock.now().timestamp() - clock.monotonic()
    return lambda: clock.monotonic() + offset


def first_address(seed: int) -> str:
    """Where a process begins to look for free addresses, so that several fleets on one machine seldom meet.

    >>> first_address(1)
    '127.17.0.1'
    """
    return f"127.{16 + seed % 200}.{seed // 200 % 250}.1"


def loopback_addresses(first: str) -> Iterator[str]:
    """Loopback addresses from the first on, without those that end in 0 or 255.

    >>> addresses = loopback_addresses("127.0.0.254")
    >>> next(addresses), next(addresses)
    ('127.0.0.254', '127.0.1.1')
    """
    number = int(ipaddress.IPv4Address(first))
    while ipaddress.IPv4Address(number).is_loopback:
        if number & 0xFF not in (0, 0xFF):
            yield str(ipaddress.IPv4Address(number))
        number += 1
