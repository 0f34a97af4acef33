"""One seed from its scenario to its verdict."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tests.simulation import logs
from tests.simulation.ending import unfinished
from tests.simulation.loop import Livelock
from tests.simulation.oracle import Oracle, Rules, Violation
from tests.simulation.people import Crowd
from tests.simulation.scenario import QUIET, Scenario, draw
from tests.simulation.strikes import Striker
from tests.simulation.world import World
from tranche_executor.execution import Limits
from tranche_fleet.catalogue import Catalogue

LIMITS = Limits(install_timeout_s=15.0, observe_interval_s=5.0)
LONGEST_S = 900.0
"""Once faults have stopped, everything is done within so long, or somebody waits for something that never comes."""
UNGATED = frozenset({"promote", "undo", "gates", "retry"})


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
    """The verdict on a seed: always the same."""
    return play(draw(seed), log=log)


def play(scenario: Scenario, *, log: bool = False) -> Verdict:
    """The verdict on a scenario."""
    logs.surprises.clear()
    world = World(scenario.seed, limits=LIMITS, catalogue=Catalogue(no_web=frozenset(QUIET)))
    world.air.log = [] if log else None
    ungated = frozenset(
        ("shop", person.name) for person in scenario.people if UNGATED & {deed.verb for deed in person.deeds}
    )
    oracle = Oracle(world, Rules(ungated=ungated, forgetful=scenario.forgetful))
    with world.living():
        striker = Striker(world, scenario, oracle)
        striker.furnish()
        for kind, count in scenario.processes.items():
            for number in range(1, count + 1):
                world.start(kind, number)
        world.bad_weather(scenario.weather)
        crowd = Crowd(world, scenario, oracle)
        try:
            _live(world, scenario, oracle, striker, crowd)
        except Livelock as error:
            oracle.broken("V1", str(error))
        except Exception as error:  # a failure nobody took is the world's, and its verdict
            oracle.broken("V1", f"{type(error).__name__}: {error}")
        for surprise in logs.surprises:
            oracle.broken("V1", f"a failure nobody expected: {surprise}")
        for death in world.deaths:
            oracle.broken("V1", f"a process ended by itself: {death}")
        return Verdict(
            seed=scenario.seed,
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


def _live(world: World, scenario: Scenario, oracle: Oracle, striker: Striker, crowd: Crowd) -> None:
    """Faults until their time is over and people have done what they wanted, then peace until all is done."""
    loop = world.loop
    loop.run_until(lambda: bool(oracle.violations), until=scenario.lasts_s)
    striker.heal()
    loop.run_until(lambda: bool(oracle.violations) or not crowd.working, until=loop.time() + 200.0)
    world.spawn(crowd.end(scenario), "the end")
    ends = loop.time() + LONGEST_S
    while loop.time() < ends and not oracle.violations:
        loop.run_until(lambda: bool(oracle.violations), until=loop.time() + 1.0)
        if not (left := unfinished(world, scenario)):
            return
    if not oracle.violations:
        rule, words = left[0]
        oracle.broken(rule, words)


def _replicas(scenario: Scenario) -> int:
    pods = {pool.base: pool.pods for pool in scenario.pools}
    wanted = (
        person.strategy["replicas"] if person.strategy["replicas"] >= 0 else pods[person.base]
        for person in scenario.people
    )
    return sum(wanted)
