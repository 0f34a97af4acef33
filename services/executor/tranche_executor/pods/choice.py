"""Which sources ``TRANCHE_PODS`` names."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tranche.bus.port import Bus
from tranche.errors import Refused
from tranche.runtime import Clock, Runtime
from tranche_executor.pods.heartbeat import SILENCE_S, HeartbeatPods
from tranche_executor.pods.listening import listening
from tranche_executor.pods.source import PodSource, Sources
from tranche_executor.pods.static import StaticPods

EXPECTED = "static:FILE or heartbeat:PORT, several by comma"
_PORT = re.compile(r"[0-9]{1,5}")


@dataclass(frozen=True, slots=True)
class Ears:
    """What hearing heartbeats takes. ``ask``: whether a base answers at an address."""

    bus: Bus
    ask: Callable[[str], Awaitable[bool]]
    host: str = "0.0.0.0"  # bases are on other machines
    silence_s: float = SILENCE_S


def pods_problem(named: Sequence[str]) -> str | None:
    """What was expected of the setting, None where it is fine.

    >>> pods_problem(["static:pods.yaml", "heartbeat:7777"])
    >>> pods_problem(["kubernetes"])
    "'kubernetes' is not supported yet by this release; expected static:FILE or heartbeat:PORT, several by comma"
    """
    if not named:
        return f"expected {EXPECTED}"
    for one in named:
        kind, _, rest = one.partition(":")
        if kind == "kubernetes":
            return f"{one!r} is not supported yet by this release; expected {EXPECTED}"
        if kind == "heartbeat" and (_PORT.fullmatch(rest) is None or not 0 < int(rest) < 65536):
            return f"{one!r}: expected heartbeat:PORT with a port of 1 to 65535"
        if kind not in ("static", "heartbeat") or not rest:
            return f"{one!r} is no source of pods; expected {EXPECTED}"
    if sum(one.startswith("heartbeat:") for one in named) > 1:
        return "heartbeat is named twice: expected one port for all bases"
    return None


def check_sources(named: Sequence[str], clock: Clock) -> None:
    """Whether they can be read, as far as that can be told without a broker. Raises Refused."""
    if problem := pods_problem(named):
        raise Refused(f"setting TRANCHE_PODS: {problem}")
    for one in named:
        if one.startswith("static:"):
            _static(one, clock)


@asynccontextmanager
async def open_sources(named: Sequence[str], runtime: Runtime, ears: Ears) -> AsyncIterator[PodSource]:
    """The sources, as one. Raises Refused."""
    if problem := pods_problem(named):
        raise Refused(f"setting TRANCHE_PODS: {problem}")
    async with AsyncExitStack() as stack:
        sources: list[PodSource] = []
        for one in named:
            if one.startswith("static:"):
                sources.append(_static(one, runtime.clock))
                continue
            heard = HeartbeatPods(ears.bus, runtime, ears.ask, ears.silence_s)
            port = int(one.partition(":")[2])
            await stack.enter_async_context(listening(ears.host, port, heard.hear, runtime.clock))
            sources.append(heard)
        yield Sources(sources, runtime)


def follows_files(named: Sequence[str]) -> bool:
    """Whether pods come from files alone: then what no file lists is nobody's."""
    return all(one.startswith("static:") for one in named)


def _static(one: str, clock: Clock) -> StaticPods:
    return StaticPods(Path(one.partition(":")[2]), clock)
