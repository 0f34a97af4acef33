"""Which processes are struck, how, and for how long: drawn by the seed before it is known what they do then."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Literal

from tests.kills.victims import Victim, revived

Kind = Literal["kill", "short freeze", "long freeze"]

BEYOND_S = 9.0
"""Longer than any lease (6 s), hold (4 s) or ack_wait (7 s)."""
LEADER = "the leader of "


@dataclass(frozen=True, slots=True)
class Strike:
    """Some processes at once: after a delay, and away for so many seconds."""

    victims: tuple[str, ...]
    """Names of processes; ``LEADER`` and a stream's name: whoever leads that at the moment."""
    kind: Kind
    delay_s: float
    away_s: float


@dataclass(slots=True)
class Struck:
    """What a strike did, in seconds since the epoch."""

    strike: Strike
    victims: tuple[str, ...]
    at: float
    back_at: float = 0.0
    """When the last victim was started again or thawed."""
    ready_s: dict[str, float] = field(default_factory=dict)
    """Of killed ones: from their start until they work."""
    failed_starts: int = 0

    def __str__(self) -> str:
        who = ", ".join(self.victims)
        return f"{_clock(self.at)} {self.strike.kind} of {who} for {self.strike.away_s:.2f} s"


def draw(dice: Random, services: Sequence[str], servers: Sequence[str], streams: Sequence[str]) -> Strike:
    """The next strike. ``streams``: those whose leaders may be struck; empty without a cluster."""
    kind: Kind = dice.choices(("kill", "short freeze", "long freeze"), (6, 2, 2))[0]
    away_s = {"kill": dice.uniform(0, 2.5), "short freeze": dice.uniform(0.2, 3.5), "long freeze": BEYOND_S}[
        kind
    ]
    return Strike(_victims(dice, services, servers, streams), kind, dice.uniform(0, 1.2), away_s)


def _victims(
    dice: Random, services: Sequence[str], servers: Sequence[str], streams: Sequence[str]
) -> tuple[str, ...]:
    server = LEADER + dice.choice(streams) if streams else dice.choice(servers)
    ways = {"one": 45, "server": 40 if streams else 15, "servers": 5, "several": 15, "kind": 10, "both": 15}
    match dice.choices(tuple(ways), tuple(ways.values()))[0]:
        case "one":
            return (dice.choice(services),)
        case "server":
            return (server,)
        case "servers":
            return tuple(servers)
        case "several":
            return tuple(dice.sample(services, dice.randint(2, 3)))
        case "kind":
            which = dice.choice(("planner", "scheduler", "executor"))
            return tuple(name for name in services if name.startswith(which))
        case _:
            return (server, dice.choice(services))


async def carry_out(
    strike: Strike,
    victims: Mapping[str, Victim],
    away: set[str],
    leader: Callable[[str], Awaitable[str | None]],
) -> Struck | None:
    """Strike now, and bring all back; None: nobody of them was there to be struck.

    ``away``: who does not run on purpose; the victims are in it meanwhile, others in it are spared.
    """
    names = [await _named(name, leader) for name in strike.victims]
    hit = [
        victims[name]
        for name in dict.fromkeys(names)
        if name in victims and name not in away and victims[name].running
    ]
    if not hit:
        return None
    struck = Struck(strike, tuple(victim.name for victim in hit), time.time())
    away |= set(struck.victims)
    try:
        await (_kill(struck, hit) if strike.kind == "kill" else _freeze(struck, hit))
    finally:
        away -= set(struck.victims)
    return struck


async def _kill(struck: Struck, hit: Sequence[Victim]) -> None:
    await asyncio.gather(*(victim.kill() for victim in hit))
    await asyncio.sleep(struck.strike.away_s)
    struck.back_at = time.time()
    for victim, (ready_s, failed) in zip(hit, await asyncio.gather(*map(revived, hit)), strict=True):
        struck.ready_s[victim.name] = ready_s
        struck.failed_starts += failed


async def _freeze(struck: Struck, hit: Sequence[Victim]) -> None:
    try:
        for victim in hit:
            victim.freeze()
        await asyncio.sleep(struck.strike.away_s)
    finally:
        for victim in hit:
            victim.thaw()
    struck.back_at = time.time()


async def _named(name: str, leader: Callable[[str], Awaitable[str | None]]) -> str:
    """The process; empty where nobody leads."""
    return await leader(name.removeprefix(LEADER)) or "" if name.startswith(LEADER) else name


def _clock(at: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at)) + f".{int(at % 1 * 1000):03d}"
