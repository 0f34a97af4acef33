"""What a seed draws: pools, wishes, verbs, weather and faults. All of it before the world begins."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import Any

from tests.simulation.air import Weather

NAMESPACE = "shop"
POLICIES = ("uninstall_then_install", "install_then_uninstall", "scaleup_then_scaledown")
QUIET = ("greeter", "ledger", "mailer", "sorter")
"""Modules without a web server: two versions may stand side by side."""


@dataclass(frozen=True, slots=True)
class PoolDraw:
    """A pool: how many pods, the limit of each."""

    base: str
    pods: int
    limits: tuple[int | None, ...]
    version: str


@dataclass(frozen=True, slots=True)
class Deed:
    """What a person does: after ``after_s``, and once things have settled where ``settled``."""

    verb: str
    after_s: float
    settled: bool = False
    body: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with one deployment and a list of deeds. ``confirms``: how often they look after a batch."""

    name: str
    base: str
    module: str
    deeds: tuple[Deed, ...]
    strategy: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Strike:
    """A fault at a time. ``kind`` names it; who is hit is drawn when it happens."""

    at: float
    kind: str
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """All that is drawn beforehand."""

    seed: str
    pools: tuple[PoolDraw, ...]
    people: tuple[Person, ...]
    processes: dict[str, int]
    weather: Weather
    strikes: tuple[Strike, ...]
    lasts_s: float
    install_s: float
    forgetful: bool
    newer: float = 0.0
    """How likely each process is one of the next release, 0 to 1: both are there at once."""

    @property
    def line(self) -> str:
        """In a line."""
        pools = ", ".join(f"{pool.base} x{pool.pods}" for pool in self.pools)
        people = "; ".join(
            f"{person.module}@{person.base} {' '.join(deed.verb for deed in person.deeds)}"
            for person in self.people
        )
        services = " ".join(f"{count} {kind}s" for kind, count in self.processes.items())
        return f"{pools} | {people} | {services} | {len(self.strikes)} strikes in {self.lasts_s:.0f} s"


STRIKES = (
    *(("kill planner", 2), ("kill scheduler", 3), ("kill executor", 4)),
    *(("freeze planner", 1), ("freeze scheduler", 2), ("freeze executor", 3)),
    *(("cut planner", 1), ("cut scheduler", 2), ("cut executor", 2), ("broker down", 1)),
    *(("redeliver", 2), ("clock jump", 1), ("base restarts", 3), ("base dies", 1)),
    *(("base refuses", 2), ("base fault", 6), ("pod joins", 1), ("pod leaves", 1)),
    *(("pod recreated", 1), ("pod not ready", 1), ("limit lowered", 1), ("address reused", 0.5)),
)
KINDS = tuple(kind for kind, _ in STRIKES)


def draw(seed: str) -> Scenario:
    """The scenario of a seed."""
    dice = random.Random(f"{seed}/scenario")
    pools = tuple(_pool(dice, index) for index in range(1 if dice.random() < 0.85 else 2))
    people = _people(dice, pools)
    lasts_s = 2.0 + dice.random() ** 2 * 20.0
    forgetful = dice.random() < 0.1
    rough = dice.random()
    return Scenario(
        seed=seed,
        pools=pools,
        people=people,
        processes={
            "planner": _few(dice, 3),
            "scheduler": _few(dice, 3),
            "executor": _few(dice, 3),
        },
        weather=_weather(dice) if rough < 0.8 else Weather(),
        strikes=_strikes(dice, lasts_s, forgetful) if rough > 0.15 else (),
        lasts_s=lasts_s,
        install_s=dice.choice((0.0, 0.01, 0.05, 0.05, 0.3, 1.5)),
        forgetful=forgetful,
        newer=0.5 if dice.random() < 0.25 else 0.0,
    )


def branched(scenario: Scenario, seed: str, now: float, left: dict[str, tuple[Deed, ...]]) -> Scenario:
    """The same world with another future: weather, strikes and deeds from now on, drawn from the branch's seed.

    ``left``: what each person has not done yet; it stays, or something else is done instead.
    """
    dice = random.Random(f"{seed}/scenario")
    lasts_s = now + 0.5 + dice.random() ** 2 * 2.0
    rough = dice.random()
    forgets = scenario.forgetful and dice.random() < 0.5
    strikes = _strikes(dice, lasts_s - now + 0.3, forgets) if rough > 0.1 else ()
    return replace(
        scenario,
        seed=seed,
        people=tuple(
            _reminded(dice, scenario, seed, person, left[person.name]) for person in scenario.people
        ),
        weather=_weather(dice) if rough < 0.8 else Weather(),
        strikes=tuple(replace(strike, at=strike.at + now - 0.3) for strike in strikes),
        lasts_s=lasts_s,
    )


def _reminded(
    dice: random.Random, scenario: Scenario, seed: str, person: Person, left: tuple[Deed, ...]
) -> Person:
    """Somebody who does what is left, or something else."""
    if len(left) == len(person.deeds) or dice.random() < 0.85:
        return replace(person, deeds=left)
    pool = next(pool for pool in scenario.pools if pool.base == person.base)
    version = 10 * seed.count(".")
    first = [Deed("apply", dice.random() * 2.0, dice.random() < 0.5, {"version": f"{version}.0.0"})]
    return replace(person, deeds=_more(dice, pool, person.strategy, first if left else [], version))


def _few(dice: random.Random, most: int) -> int:
    return 1 + int(dice.random() ** 1.5 * most)


def _pool(dice: random.Random, index: int) -> PoolDraw:
    pods = 1 + int(dice.random() ** 3.5 * 30)
    kind = dice.random()
    limits: tuple[int | None, ...]
    if kind < 0.5:
        limits = (dice.choice((None, 4, 5)),) * pods
    else:
        limits = tuple(dice.choice((None, 3, 4, 5)) for _ in range(pods))
    return PoolDraw(f"base-{index + 1}", pods, limits, dice.choice(("2.1.11", "2.1.11", "2.1.3")))


def _people(dice: random.Random, pools: tuple[PoolDraw, ...]) -> tuple[Person, ...]:
    found: list[Person] = []
    for pool in pools:
        modules = list(dice.sample(("cart", *QUIET[:2]), 1 + int(dice.random() ** 3 * 2.99)))
        found += [_person(dice, pool, module, len(found) + number) for number, module in enumerate(modules)]
    return tuple(found[:4])


def _person(dice: random.Random, pool: PoolDraw, module: str, number: int) -> Person:
    policy = POLICIES[0] if dice.random() < 0.55 else dice.choice(POLICIES)
    if policy == POLICIES[1] and module == "cart":
        policy = POLICIES[0]
    peer = dice.random() < 0.15 and policy != POLICIES[2]
    roomy = policy != POLICIES[2] or pool.pods > 1
    most = pool.pods if policy != POLICIES[2] else max(1, pool.pods - 1)
    replicas = -1 if peer else max(1, most - int(dice.random() ** 2 * most))
    batches = 1 + int(dice.random() ** 1.5 * 4)
    beta = dice.random() < 0.25
    strategy: dict[str, Any] = {
        "replicas": replicas,
        "batchCount": max(2, batches) if beta else batches,
        "useBeta": beta,
        "needConfirm": dice.random() < 0.3,
        "upgradePolicy": policy if roomy else POLICIES[0],
        "schedulingPolicy": dice.choice(("scatter", "stacking")),
        "maxUnavailable": dice.choice((1, 1, 2, 3, "50%", "100%", None)),
    }
    if strategy["maxUnavailable"] == "50%" and (pool.pods if peer else replicas) < 2:
        strategy["maxUnavailable"] = 1
    if dice.random() < 0.2:
        strategy["grayTime"] = dice.choice((1, 2, 5))
    if dice.random() < 0.15:
        strategy["minReadySeconds"] = dice.choice((1, 3))
    if dice.random() < 0.15:
        strategy["failureThreshold"] = dice.choice((1, 2))
    if dice.random() < 0.1:
        strategy["autoRollback"] = True
    if dice.random() < 0.1:
        strategy["progressDeadlineSeconds"] = dice.choice((8, 20))
    return Person(f"{module}-{number + 1}", pool.base, module, _deeds(dice, pool, strategy), strategy)


def _deeds(dice: random.Random, pool: PoolDraw, strategy: dict[str, Any]) -> tuple[Deed, ...]:
    deeds = [Deed("apply", 0.1 + dice.random() * 0.5, body={"version": "1.0.0"})]
    version = 1
    # Always a second generation, often disturbed in the middle.
    version += 1
    settled = dice.random() < 0.8
    deeds.append(Deed("apply", dice.random() * 2.0, settled, {"version": f"{version}.0.0"}))
    return _more(dice, pool, strategy, deeds, version)


def _more(
    dice: random.Random, pool: PoolDraw, strategy: dict[str, Any], deeds: list[Deed], version: int
) -> tuple[Deed, ...]:
    """These deeds and a few others."""
    while dice.random() < 0.3 and len(deeds) < 5:
        verb = dice.choice(
            (
                *("apply", "apply", "scale", "gates", "abort", "pause", "restart", "undo"),
                *("retry", "replace", "delete", "promote", "freeze", "again", "cutting"),
            )
        )
        after, settled = dice.random() * 4.0, dice.random() < 0.3
        body: dict[str, Any] = {}
        if verb == "apply":
            version += 1
            body = {"version": f"{version}.0.0"}
        elif verb == "scale":
            if strategy["replicas"] == -1:
                continue
            most = max(1, pool.pods - (strategy["upgradePolicy"] == POLICIES[2]))
            body = {"replicas": int(dice.random() * (most + 1))}
        elif verb == "gates":
            body = {"maxUnavailable": dice.choice((1, 2, "100%")), "needConfirm": dice.random() < 0.3}
        elif verb == "replace" and not 0 <= strategy["replicas"] < pool.pods:
            continue  # there is no other place
        elif verb == "cutting":
            body = {"batchCount": 2 + int(dice.random() * 3)}
        elif verb in ("pause", "freeze"):
            body = {"seconds": 0.5 + dice.random() * 5.0}
        elif verb == "promote":
            body = {"full": dice.random() < 0.5}
        deeds.append(Deed(verb, after, settled, body))
        if verb == "delete":
            if dice.random() < 0.5:
                deeds.append(Deed("apply", dice.random() * 3.0, body={"version": f"{version + 1}.0.0"}))
            break
    return tuple(deeds)


def _weather(dice: random.Random) -> Weather:
    def some(most: float) -> float:
        return dice.random() ** 3 * most if dice.random() < 0.6 else 0.0

    return Weather(
        slow=some(0.05), lost=some(0.02), unanswered=some(0.03), late=some(0.02), crash=some(0.004)
    )


def _strikes(dice: random.Random, lasts_s: float, forgetful: bool) -> tuple[Strike, ...]:
    count = int(dice.random() ** 1.5 * 8)
    kinds = dice.choices(KINDS, [weight for _, weight in STRIKES], k=count)
    if forgetful:
        kinds.append("broker forgets")
    return tuple(
        sorted(
            (
                Strike(0.3 + dice.random() * (lasts_s - 0.3), kind, 0.2 + dice.random() ** 2 * 10.0)
                for kind in kinds
            ),
            key=lambda strike: strike.at,
        )
    )
