"""Golden rollouts: one of each service, a small pool, calm weather, a user who knows what they want."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.simulation.air import CALM
from tests.simulation.scenario import POLICIES, Person, PoolDraw, Scenario
from tests.simulation.world import KINDS

BASE = "web-base"


@dataclass(frozen=True, slots=True)
class Step:
    """What a person asks for, and the status they wait for afterwards: a phase, or ``batch 2`` on its way."""

    verb: str
    until: str = "Healthy"
    body: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Golden:
    """A rollout of one module on one pool of equal pods."""

    name: str
    steps: tuple[Step, ...]
    pods: int = 4
    module: str = "cart"
    strategy: dict[str, Any] = field(default_factory=dict)

    def scenario(self) -> Scenario:
        """As the rest of the simulation has it: one of each service, no faults."""
        return Scenario(
            seed=f"golden {self.name}",
            pools=(PoolDraw(BASE, self.pods, (3,) * self.pods, "2.1.11"),),
            people=(Person(self.module, BASE, self.module, (), self.strategy),),
            processes=dict.fromkeys(KINDS, 1),
            weather=CALM,
            strikes=(),
            lasts_s=0.0,
            install_s=0.05,
            forgetful=False,
        )


def _versions(*versions: str) -> tuple[Step, ...]:
    return tuple(Step("apply", body={"version": version}) for version in versions)


GATED = {"needConfirm": True, "grayTime": 1, "maxUnavailable": 2}
GOLDENS = {
    golden.name: golden
    for golden in (
        Golden(
            "smallest", _versions("1.0.0", "2.0.0"), pods=2, strategy={"batchCount": 1, "maxUnavailable": 1}
        ),
        Golden(
            POLICIES[0],
            _versions("1.0.0", "2.0.0"),
            pods=6,
            strategy={**GATED, "batchCount": 3, "upgradePolicy": POLICIES[0]},
        ),
        Golden(
            POLICIES[1],
            _versions("1.0.0", "2.0.0"),
            module="greeter",
            strategy={**GATED, "batchCount": 2, "upgradePolicy": POLICIES[1]},
        ),
        Golden(
            POLICIES[2],
            _versions("1.0.0", "2.0.0"),
            pods=5,
            strategy={**GATED, "replicas": 4, "batchCount": 2, "upgradePolicy": POLICIES[2]},
        ),
        Golden(
            "scale-in",
            (*_versions("1.0.0"), Step("scale", body={"replicas": 1})),
            pods=5,
            strategy={**GATED, "batchCount": 2},
        ),
        Golden(
            "abort",
            (
                *_versions("1.0.0"),
                Step("apply", "batch 2", {"version": "2.0.0"}),
                Step("abort", "Aborted"),
            ),
            pods=6,
            strategy={**GATED, "batchCount": 3},
        ),
        Golden("delete", (*_versions("1.0.0"), Step("delete", "Deleted")), strategy={"batchCount": 2}),
    )
}
