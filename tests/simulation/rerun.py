"""A golden rollout from its start to its end, with processes that die at given I/O points."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.simulation import logs
from tests.simulation.ending import unfinished
from tests.simulation.golden import Golden
from tests.simulation.loop import Livelock
from tests.simulation.oracle import Oracle, Rules
from tests.simulation.outcome import outcome
from tests.simulation.points import Crashes, NamingAir
from tests.simulation.scenario import Scenario
from tests.simulation.schedule import LIMITS
from tests.simulation.strikes import Striker
from tests.simulation.user import LOOK_S, User
from tests.simulation.world import World

QUIET_S = 8.0
"""The end has to stay as it is for longer than any lease, hold or ack_wait."""
LONGEST_S = 240.0
"""A rollout that is not over after so long never is."""

AtPoint = Callable[[int, int], bool]
"""Told of each I/O point and of the step the user is at (0: none yet); whether the process dies here as well."""


@dataclass(slots=True)
class Run:
    """What became of a golden rollout. ``kinds``: of each I/O point, in order, as ``planner tell x before``."""

    crashes: Crashes
    asked: tuple[int, ...]
    """The I/O points before each step of the user, and at last those before everything was over."""
    kinds: list[str]
    end: dict[str, Any]
    faults: list[str]
    seconds: float
    digest: int

    @property
    def points(self) -> int:
        return len(self.kinds)


def play(
    golden: Golden,
    crashes: Crashes = (),
    *,
    at_point: AtPoint | None = None,
    quiet_s: float = QUIET_S,
    log: list[str] | None = None,
) -> Run:
    """The rollout with a crash at each of these points: always the same."""
    logs.surprises.clear()
    scenario = golden.scenario()
    world = World(scenario.seed, limits=LIMITS)
    oracle = Oracle(world, Rules())
    with world.living():
        user = User(golden, world, oracle)
        asks = (lambda number: at_point(number, len(user.asked))) if at_point else (lambda _: False)
        world.air = air = NamingAir(world.air, crashes, asks)
        air.log = log
        Striker(world, scenario, oracle).furnish()
        for kind, count in scenario.processes.items():
            for number in range(1, count + 1):
                world.start(kind, number)
        left: list[tuple[str, str]] = []
        try:
            left = _to_the_end(world, scenario, oracle, user, quiet_s)
        except Livelock as error:
            oracle.broken("V1", str(error))
        except Exception as error:  # a failure nobody took is the world's, and its verdict
            oracle.broken("V1", f"{type(error).__name__}: {error}")
        return Run(
            crashes=tuple(sorted(air.sweep)),
            asked=tuple(user.asked),
            kinds=air.kinds,
            end={"confirmed": sorted(user.confirmed)} | outcome(world, golden),
            faults=[
                *map(str, oracle.violations),
                *(f"{rule}: {words}" for rule, words in left),
                *(f"a failure nobody expected: {surprise}" for surprise in logs.surprises),
                *(f"a process ended by itself: {death}" for death in world.deaths),
                *user.troubles,
                # A client waits for longer than an event takes to get from a planner that died to the next one.
                *(user.unanswered if len(air.sweep) <= 1 else ()),
            ],
            seconds=world.loop.time(),
            digest=air.digest,
        )


def _to_the_end(
    world: World, scenario: Scenario, oracle: Oracle, user: User, quiet_s: float
) -> list[tuple[str, str]]:
    """Until all is done, and for a while longer; what is left undone."""
    loop = world.loop
    while loop.time() < LONGEST_S:
        loop.run_until(lambda: bool(oracle.violations), until=loop.time() + LOOK_S)
        if oracle.violations:
            return []
        if user.done and next(unfinished(world, scenario), None) is None:
            user.asked.append(world.air.points)
            break
    else:
        return [*unfinished(world, scenario)] or [("V1", f"somebody still waits for {user.waits}")]
    loop.run_until(lambda: bool(oracle.violations), until=loop.time() + quiet_s)
    return [*unfinished(world, scenario)]
