"""One seed from its scenario to its verdict."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from types import TracebackType
from typing import Self

from tests.simulation import logs
from tests.simulation.ending import unfinished
from tests.simulation.loop import Livelock
from tests.simulation.oracle import Oracle, Rules, Violation
from tests.simulation.people import Crowd
from tests.simulation.scenario import NAMESPACE, QUIET, Scenario, branched, draw
from tests.simulation.stillness import LOOK_S as LOOK_STILL_S
from tests.simulation.stillness import Stillness
from tests.simulation.strikes import Striker
from tests.simulation.world import World
from tranche_executor.execution import Limits
from tranche_fleet.catalogue import Catalogue

LIMITS = Limits(install_timeout_s=15.0, observe_interval_s=5.0)
LONGEST_S = 900.0
"""Once faults have stopped, everything is done within so long, or somebody waits for something that never comes."""
WORK = "ran installBiz"
MIDDLE, LATE = 10, 2
"""So many installs at most are left of two rollouts when a second moment comes, and a third."""
STEPS = 150
"""And after so many steps more at most: in the middle of whatever is under way."""
PATIENCE_S = 200.0
"""So long people may need for what they have to do."""
LOOK_S = 0.25
"""How often it is looked whether all is done."""
UNGATED = frozenset({"promote", "undo", "gates", "retry"})


class Stage(Enum):
    """How far a world has come."""

    FAULTS = auto()
    PEACE = auto()
    ENDING = auto()
    OVER = auto()


@dataclass(slots=True)
class Verdict:
    """What became of a seed."""

    seed: str
    scenario: Scenario
    violations: list[Violation]
    digest: int
    counts: Counter[str]
    replicas: int
    generations: int
    seconds: float
    steps: int
    points: int = 0
    excused: Counter[str] = field(default_factory=Counter)
    log: list[str] | None = None

    @property
    def line(self) -> str:
        """Everything a person needs to look into it."""
        faults = ", ".join(
            f"{name.removeprefix('fault ')} x{count}"
            for name, count in sorted(self.counts.items())
            if name.startswith("fault ")
        )
        return f"seed {self.seed}: {self.violations[0]} | {self.scenario.line} | {faults or 'no faults'}"


def run(seed: str, *, log: bool = False) -> Verdict:
    """The verdict on a seed: always the same.

    ``12`` is a world from its beginning to its end. ``12.3`` is the same one up to a moment, and has a future of
    its own from there; ``12.3.1`` leaves that one at a later moment. Branch 0 is the future it had anyway.
    """
    family, *branches = seed.split(".")
    with Play(draw(family), log=log) as play:
        for branch in branches:
            play.to_the_moment()
            play.branch(int(branch))
        return play.end()


def play(scenario: Scenario, *, log: bool = False) -> Verdict:
    """The verdict on a scenario."""
    with Play(scenario, log=log) as playing:
        return playing.end()


class Play:
    """A scenario on its way from its beginning to its verdict; it may be left on another way at its moments."""

    def __init__(self, scenario: Scenario, *, log: bool = False) -> None:
        logs.surprises.clear()
        self.path = scenario.seed
        """The seed of the way it is on: a family and its branches."""
        self.scenario = scenario
        world = World(scenario.seed, limits=LIMITS, catalogue=Catalogue(no_web=frozenset(QUIET)))
        world.air.log = [] if log else None
        world.newer = scenario.newer
        self.world = world
        self.oracle = Oracle(world, Rules(ungated=_ungated(scenario)))
        self._living = world.living()
        self._stage = Stage.FAULTS
        self._ends_at = self._looks_at = 0.0

    def __enter__(self) -> Self:
        self._living.__enter__()
        world, scenario = self.world, self.scenario
        self._striker = Striker(world, scenario, self.oracle)
        self._striker.furnish()
        for kind, count in scenario.processes.items():
            for number in range(1, count + 1):
                world.start(kind, number)
        world.bad_weather(scenario.weather)
        self._crowd = Crowd(world, scenario, self.oracle)
        self._stillness = Stillness(self.oracle)
        self._look()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._living.__exit__(kind, error, trace)

    def _look(self) -> None:
        self._stillness.look()
        self.world.loop.call_later(LOOK_STILL_S, self._look, context=Context())

    @property
    def broken(self) -> bool:
        """Whether a rule was broken: it goes no further."""
        return bool(self.oracle.violations)

    def to_the_moment(self) -> None:
        """Go on to where its branches part: somewhere in the first rollout, later with a few installs left of the
        second; at the end at the latest."""
        dice = random.Random(f"{self.path}/moment")
        counts, loop = self.world.air.counts, self.world.loop
        level, work = self.path.count("."), 2 * _replicas(self.scenario)
        if level:
            work -= int(dice.random() * (MIDDLE if level == 1 else LATE))
        else:
            work = int(dice.random() * work / 2)
        steps = int(dice.random() * STEPS)
        self._go(lambda: counts[WORK] > work)
        steps += loop.steps
        self._go(lambda: loop.steps > steps)

    def branch(self, number: int) -> None:
        """Take this way from here; 0 is the one it was on."""
        self.path = f"{self.path}.{number}"
        if not number or self.broken:
            return
        world, left = self.world, self._crowd.left()
        self.scenario = scenario = branched(self.scenario, self.path, world.loop.time(), left)
        world.air.note("branch", self.path)
        world.reseed(self.path)
        rules = self.oracle.rules
        self.oracle.rules = replace(rules, ungated=rules.ungated | _ungated(scenario))
        self._striker.branch(scenario)
        world.bad_weather(scenario.weather)
        self._crowd.branch(scenario)
        self._stage = Stage.FAULTS

    def end(self) -> Verdict:
        """Go on to the end."""
        self._go(None)
        world, oracle, scenario = self.world, self.oracle, self.scenario
        for surprise in logs.surprises:
            oracle.broken("V1", f"a failure nobody expected: {surprise}")
        for death in world.deaths:
            oracle.broken("V1", f"a process ended by itself: {death}")
        return Verdict(
            seed=re.sub(r"(\.0)+$", "", self.path),
            scenario=scenario,
            violations=oracle.violations,
            digest=world.air.digest,
            counts=world.air.counts,
            replicas=_replicas(scenario),
            generations=max(oracle.generations.values(), default=0),
            seconds=world.loop.time(),
            steps=world.loop.steps,
            points=world.air.points,
            excused=oracle.excused,
            log=world.air.log,
        )

    def _go(self, there: Callable[[], bool] | None) -> None:
        """Go on until it is there, or to the end; what the world comes to a stop with is a violation like any
        other."""
        if self.broken:
            return
        try:
            self._live(there)
        except Livelock as error:
            self.oracle.broken("V1", str(error))
        except Exception as error:  # a failure nobody took is the world's, and its verdict
            self.oracle.broken("V1", f"{type(error).__name__}: {error}")

    def _live(self, there: Callable[[], bool] | None) -> None:
        """Faults until their time is over, then peace: people do what they wanted, and all is done."""
        loop, crowd = self.world.loop, self._crowd
        if self._stage is Stage.FAULTS:
            if loop.run_until(there, until=self.scenario.lasts_s):
                return
            self._striker.heal()
            self._stage, self._ends_at = Stage.PEACE, loop.time() + PATIENCE_S
        if self._stage is Stage.PEACE:
            idle = crowd.idle
            loop.run_until(idle if there is None else lambda: there() or idle(), until=self._ends_at)
            if self.broken or (there is not None and there()):
                return
            self._stage, self._looks_at = Stage.ENDING, loop.time()
            self._ends_at = self._looks_at + LONGEST_S
        while self._stage is Stage.ENDING and not loop.run_until(there, until=self._looks_at):
            self._looks_at = loop.time() + LOOK_S
            if (left := next(unfinished(self.world, self.scenario), None)) is None:
                self._stage = Stage.OVER
            elif loop.time() >= self._ends_at:
                self.oracle.broken(*left)
            else:
                crowd.help(self.scenario)


def _ungated(scenario: Scenario) -> frozenset[tuple[str, str]]:
    """Deployments whose gates people open in ways that the oracle does not follow."""
    return frozenset(
        (NAMESPACE, person.name)
        for person in scenario.people
        if UNGATED & {deed.verb for deed in person.deeds}
    )


def _replicas(scenario: Scenario) -> int:
    pods = {pool.base: pool.pods for pool in scenario.pools}
    wanted = (
        person.strategy["replicas"] if person.strategy["replicas"] >= 0 else pods[person.base]
        for person in scenario.people
    )
    return sum(wanted)
