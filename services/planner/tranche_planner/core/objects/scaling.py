"""``kubectl scale``: a number beside ``spec.replicas`` that follows it, and leads it where somebody else changes it
(decision 0014).

An apiserver takes no number below 0 where its scale subresource looks, and a peer's is -1. So it looks at
``spec.scaledReplicas``, which nobody writes in a file.
"""

from __future__ import annotations

from dataclasses import dataclass

from tranche.contract.spec import PEER
from tranche_planner.core.objects.seen import Seen

SCALED = "scaledReplicas"
"""Of ``spec``: where the scale subresource looks."""
UNSET = 1_000_001
"""What the custom resource gives it where it is left out: more than there may be. Not 0, or whoever writes an
object without a field that he does not know would have every replica taken away."""


@dataclass(frozen=True, slots=True)
class Scaling:
    """What is to be written. ``replicas`` None: it stays; ``refused``: how many were asked for and cannot be."""

    scaled: int
    replicas: int | None = None
    refused: int | None = None


def scaling(object_: Seen) -> Scaling | None:
    """What follows from both numbers; None: nothing does.

    Somebody has scaled where the number is neither the one that we wrote nor left out. A peer has no number of its
    own, and 0 there.
    """
    wished, scaled = _number(object_.spec.get("replicas"), 1), _number(object_.spec.get(SCALED), UNSET)
    expected = 0 if wished == PEER else wished
    if scaled not in (UNSET, object_.scaled, expected):
        if wished == PEER:
            return Scaling(expected, refused=scaled)
        return Scaling(scaled, replicas=scaled)
    return None if scaled == expected == object_.scaled else Scaling(expected)


def _number(value: object, otherwise: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else otherwise
