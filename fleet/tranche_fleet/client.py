"""Speaks to the control surface of a fleet in another process."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import aiohttp

from tranche.errors import Refused
from tranche_fleet.faults import Fault, Kind
from tranche_fleet.timeline import Timeline


class FleetControl:
    """`async with FleetControl("http://127.0.0.1:…") as fleet`.

    Pods are named namespace/base/pod, or by name. Where pods may be left out all are meant. Raises Refused
    with the fleet's reason.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(trust_env=False, timeout=aiohttp.ClientTimeout(total=10))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def pods(self) -> list[dict[str, Any]]:
        """The state of every pod."""
        return list(await self._call("GET", "/pods"))

    async def pod(self, name: str) -> dict[str, Any]:
        """The state of one pod: modules, serving, faults, address."""
        return dict(await self._call("GET", "/pod", [name]))

    async def add(self, **wanted: Any) -> dict[str, Any]:
        """A new pod: name, namespace, pool, address, version, settings, labels, uid."""
        return dict(await self._call("POST", "/pods", body=wanted))

    async def remove(self, name: str) -> None:
        """Delete a pod."""
        await self._call("DELETE", "/pods", [name])

    async def describe(
        self, name: str, *, labels: dict[str, str] | None = None, ready: bool | None = None
    ) -> None:
        """Change what the inventory says of a pod."""
        body = {key: value for key, value in {"labels": labels, "ready": ready}.items() if value is not None}
        await self._call("PATCH", "/pods", [name], body)

    async def restart(self, *names: str, down_s: float = 0.0) -> None:
        """In place: modules gone, request ids forgotten."""
        await self._call("POST", "/life", names, {"event": "restart", "downSeconds": down_s})

    async def stop(self, *names: str) -> None:
        await self._call("POST", "/life", names, {"event": "stop"})

    async def start(self, *names: str) -> None:
        await self._call("POST", "/life", names, {"event": "start"})

    async def kill_listener(self, *names: str) -> None:
        """Unreachable, but serving."""
        await self._call("POST", "/life", names, {"event": "kill-listener"})

    async def revive_listener(self, *names: str) -> None:
        await self._call("POST", "/life", names, {"event": "revive-listener"})

    async def arm(self, fault: Fault, *names: str) -> None:
        """Add a fault."""
        await self._call("POST", "/faults", names, fault.document())

    async def clear(self, *names: str, kind: Kind | None = None) -> None:
        """Forget faults."""
        await self._call("DELETE", "/faults", names, query=[("kind", kind.value)] if kind else [])

    async def timeline(self, name: str) -> Timeline:
        """What really happened on one pod."""
        return next(iter((await self.timelines(name)).values()))

    async def timelines(self, *names: str) -> dict[str, Timeline]:
        """What really happened, by namespace/base/pod."""
        found = await self._call("GET", "/timelines", names)
        return {key: Timeline.parse(document) for key, document in found.items()}

    async def list_artefact(self, url: str, **facts: Any) -> None:
        """Say what is behind a URL: name, version, context_path, start_s, download_s, fails (words)."""
        await self._call("POST", "/artefacts", body={"url": url, **facts})

    async def artefact_host(self, host: str, state: str) -> None:
        """`down`, `silent` or `up`."""
        await self._call("POST", "/hosts", body={"host": host, "state": state})

    async def inventory(self) -> dict[str, Any]:
        """The static inventory (design 3.5)."""
        return dict(await self._call("GET", "/inventory"))

    async def _call(
        self,
        method: str,
        path: str,
        pods: Any = (),
        body: Any = None,
        query: list[tuple[str, str]] | None = None,
    ) -> Any:
        if self._session is None:
            raise RuntimeError("use `async with`")
        params = [("pod", name) for name in pods] + (query or [])
        async with self._session.request(method, self.url + path, params=params, json=body) as response:
            answer = await response.json()
        if response.status != 200:
            raise Refused(answer["error"])
        return answer
