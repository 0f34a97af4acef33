"""Which sources ``TRANCHE_PODS`` names."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tranche.bus.port import Bus
from tranche.errors import Refused
from tranche.kubernetes.connecting import check_installed, connected
from tranche.runtime import Clock, Runtime
from tranche_executor.core.pod import KUBERNETES
from tranche_executor.kubernetes.pods import KubernetesPods
from tranche_executor.kubernetes.traffic import LabelTraffic
from tranche_executor.pods.heartbeat import SILENCE_S, HeartbeatPods
from tranche_executor.pods.listening import listening
from tranche_executor.pods.source import PodSource, Sources
from tranche_executor.pods.static import StaticPods
from tranche_executor.traffic import Traffic

EXPECTED = "static:FILE, heartbeat:PORT or kubernetes, several by comma"
_PORT = re.compile(r"[0-9]{1,5}")


@dataclass(frozen=True, slots=True)
class Ears:
    """What hearing heartbeats takes. ``ask``: whether a base answers at an address."""

    bus: Bus
    ask: Callable[[str], Awaitable[bool]]
    host: str = "0.0.0.0"  # bases are on other machines
    silence_s: float = SILENCE_S


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a Kubernetes cluster to look. Without ``namespaces`` it is our own; ``port``: arklet's."""

    namespaces: Sequence[str] = ()
    port: int = 1238


def pods_problem(named: Sequence[str]) -> str | None:
    """What was expected of the setting, None where it is fine.

    >>> pods_problem(["static:pods.yaml", "heartbeat:7777", "kubernetes"])
    >>> pods_problem(["kubernetes:shop"])
    "'kubernetes:shop' is no source of pods; expected static:FILE, heartbeat:PORT or kubernetes, several by comma"
    """
    if not named:
        return f"expected {EXPECTED}"
    for one in named:
        kind, _, rest = one.partition(":")
        if kind == "heartbeat" and (_PORT.fullmatch(rest) is None or not 0 < int(rest) < 65536):
            return f"{one!r}: expected heartbeat:PORT with a port of 1 to 65535"
        if one != KUBERNETES and (kind not in ("static", "heartbeat") or not rest):
            return f"{one!r} is no source of pods; expected {EXPECTED}"
    if sum(one.startswith("heartbeat:") for one in named) > 1:
        return "heartbeat is named twice: expected one port for all bases"
    if named.count(KUBERNETES) > 1:
        return "kubernetes is named twice: expected one cluster"
    return None


def check_sources(named: Sequence[str], clock: Clock) -> None:
    """Whether they can be read, as far as that can be told without a broker. Raises Refused."""
    if problem := pods_problem(named):
        raise Refused(f"setting TRANCHE_PODS: {problem}")
    for one in named:
        if one.startswith("static:"):
            _static(one, clock)
        if one == KUBERNETES:
            check_installed("TRANCHE_PODS")


@asynccontextmanager
async def open_sources(
    named: Sequence[str], runtime: Runtime, ears: Ears, place: Place = Place()
) -> AsyncIterator[tuple[PodSource, Traffic | None]]:
    """The sources, as one, and what steers requests to their pods, where one of them can. Raises Refused."""
    if problem := pods_problem(named):
        raise Refused(f"setting TRANCHE_PODS: {problem}")
    async with AsyncExitStack() as stack:
        sources: list[PodSource] = []
        traffic: Traffic | None = None
        for one in named:
            if one.startswith("static:"):
                sources.append(_static(one, runtime.clock))
            elif one == KUBERNETES:
                cluster = await stack.enter_async_context(connected(runtime.clock, setting="TRANCHE_PODS"))
                namespaces = place.namespaces or (cluster.namespace,)
                pods = KubernetesPods(cluster, runtime, ears.bus, namespaces, place.port)
                sources.append(pods)
                traffic = LabelTraffic(cluster, pods, runtime.dice)
            else:
                heard = HeartbeatPods(ears.bus, runtime, ears.ask, ears.silence_s)
                port = int(one.partition(":")[2])
                await stack.enter_async_context(listening(ears.host, port, heard.hear, runtime.clock))
                sources.append(heard)
        yield Sources(sources, runtime), traffic


def follows_files(named: Sequence[str]) -> bool:
    """Whether pods come from files alone: then what no file lists is nobody's."""
    return all(one.startswith("static:") for one in named)


def _static(one: str, clock: Clock) -> StaticPods:
    return StaticPods(Path(one.partition(":")[2]), clock)
