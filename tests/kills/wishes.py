"""What is asked for while processes die: drawn by the seed, with the changes it must lead to counted beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Literal

from tests.installation import manifest

NAMESPACE = "shop"
BASE = "web-base"
PODS = 14
MODULES = {"cart": (6, 10), "search": (4, 8)}
"""By name, the fewest and most replicas: always below the pods, so that pairs find a place."""

Turn = Literal["", "abort", "pause", "supersede"]
TURNS: Mapping[str, Turn] = {"abort": "abort", "pause": "pause", "supersede": "supersede"}
WAYS = {"upgrade": 40, "both": 15, "scale": 10, "abort": 15, "pause": 10, "supersede": 10}
"""How often each is drawn; ``both``: another version and another number of replicas."""
POLICIES = ("uninstall_then_install", "install_then_uninstall", "scaleup_then_scaledown")
PAIRS = "scaleup_then_scaledown"


@dataclass(frozen=True, slots=True)
class Wish:
    """One generation of a deployment.

    ``turn``: what a person does in the middle of it, ``turn_after_s`` after something moves. ``then``: the
    version that takes its place under ``supersede``.
    """

    name: str
    version: str
    replicas: int
    max_down: int
    policy: str = POLICIES[0]
    batches: int = 1
    beta: bool = False
    confirm: bool = False
    gray_s: int = 0
    turn: Turn = ""
    turn_after_s: float = 0.0
    then: str = ""

    @property
    def floor(self) -> int:
        """How many must serve before one of them may be taken down, after it was (S1)."""
        return self.replicas - self.max_down

    def manifest(self) -> dict[str, Any]:
        """As a ModuleDeployment."""
        return manifest(
            *(self.name, self.version),
            namespace=NAMESPACE,
            base=BASE,
            replicas=self.replicas,
            maxUnavailable=self.max_down,
            upgradePolicy=self.policy,
            batchCount=self.batches,
            useBeta=self.beta,
            needConfirm=self.confirm,
            grayTime=self.gray_s,
            # Without a web server two versions can stand beside each other.
            module={"args": ["--spring.main.web-application-type=none"]},
        )

    def superseding(self) -> Wish:
        """What takes its place."""
        return replace(
            self, version=self.then, confirm=False, gray_s=0, batches=1, beta=False, turn="", then=""
        )

    def __str__(self) -> str:
        parts = [f"{self.name} {self.version}, {self.replicas} replicas, {self.policy}"]
        parts.append(
            f"{self.batches} batches{' with beta' if self.beta else ''}, at most {self.max_down} down"
        )
        parts += ["confirmed"] * self.confirm + [f"gray {self.gray_s} s"] * (self.gray_s > 0)
        parts += [f"{self.turn} {self.then}".strip()] * bool(self.turn)
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Changes:
    """How many replicas a wish installs, replaces and removes, from a state that is in order (design 1.2)."""

    installs: int
    replaced: int
    removed: int

    @property
    def count(self) -> int:
        return self.installs + self.replaced + self.removed


def changes(before: Wish | None, wish: Wish) -> Changes:
    """``before``: what is on the bases; None: nothing."""
    there = before.replicas if before else 0
    at_target = there if before is None or before.version == wish.version else 0
    return Changes(
        installs=max(0, wish.replicas - there),
        replaced=max(0, min(there, wish.replicas) - at_target),
        removed=max(0, there - wish.replicas),
    )


def cuts(wish: Wish, count: int) -> tuple[int, ...]:
    """The changes released after each batch, as design 1.2 has them; written here anew, to judge by.

    >>> cuts(Wish("cart", "2", 10, 3, batches=3, beta=True), 10), cuts(Wish("cart", "2", 10, 3, batches=4), 5)
    ((1, 5, 10), (1, 2, 3, 5))
    """
    many = max(1, min(wish.batches, count))
    if not (wish.beta and count > 1):
        return tuple(batch * count // many for batch in range(1, many + 1))
    rest = max(1, min(wish.batches - 1, count - 1))
    return (1, *(1 + batch * (count - 1) // rest for batch in range(1, rest + 1)))


def first(name: str, dice: Random) -> Wish:
    """The installation the campaign begins with."""
    return Wish(name, "1.0.0", dice.randint(*MODULES[name]), max_down=3)


def draw(dice: Random, before: Wish, number: int) -> Wish:
    """The next wish of a deployment, of version ``number`` where it is another one."""
    fewest, most = MODULES[before.name]
    kind = dice.choices(tuple(WAYS), tuple(WAYS.values()))[0]
    beta = dice.random() < 0.4
    policy = POLICIES[number % len(POLICIES)]
    wish = Wish(
        name=before.name,
        version=before.version if kind == "scale" else f"{number}.0.0",
        replicas=dice.randint(fewest, most) if kind in ("both", "scale") else before.replicas,
        # Only who takes a replica away before its successor is there needs one to be down.
        max_down=dice.choice((1, 1, 2, 3) if policy == POLICIES[0] else (0, 0, 1, 3)),
        policy=policy,
        # Seldom as many that hardly anything but the batch itself holds it back.
        batches=dice.choice((2, 2, 3, 4) if beta else (1, 1, 2, 3)),
        beta=beta,
        confirm=dice.random() < 0.4,
        gray_s=dice.choice((0, 0, 0, 1, 2)),
    )
    turn = TURNS.get(kind, "")
    then = f"{number}.1.0" if turn == "supersede" else ""
    return replace(wish, turn=turn, turn_after_s=dice.uniform(0, 2), then=then)
