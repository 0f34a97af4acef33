"""The promise of maxUnavailable, checked before an available replica is taken down (design 1.4)."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from tranche.contract.plan import ALL, Plan
from tranche.contract.quantity import Quantity, max_unavailable


class Budget(NamedTuple):
    """How many replicas there are to be, and how many of them may be unavailable."""

    wanted: int
    allowed: int

    def permits(self, available: int) -> bool:
        """Whether one more of the available ones may be taken down.

        >>> Budget(wanted=10, allowed=2).permits(9), Budget(wanted=10, allowed=2).permits(8)
        (True, False)
        """
        return available - 1 >= self.wanted - self.allowed

    def overdrawn(self, available: int) -> int:
        """How many replicas are missing from what was promised."""
        return max(0, self.wanted - self.allowed - available)


def budget_of(plan: Plan, pods: int) -> Budget:
    """A plan's budget; ``pods``: those a peer deployment counts."""
    return _resolved(plan.max_unavailable, pods if plan.wanted == ALL else plan.wanted)


@lru_cache(maxsize=1024)
def _resolved(given: int | str | None, wanted: int) -> Budget:
    quantity = None if given is None else Quantity.parse(given)
    if given is not None and quantity is None:
        return Budget(wanted, 0)  # A promise nobody can read is kept by disturbing nothing.
    return Budget(wanted, max_unavailable(quantity, wanted))
