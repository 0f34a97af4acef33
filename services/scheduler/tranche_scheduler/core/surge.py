"""scaleup_then_scaledown: a new replica on another pod, and only when it is available an old one goes (design 1.4).

While pairs are in flight there are more replicas than the level asks for. Which of them are surplus is read off
the counts: old ones may go as far as new ones are available in their place.
"""

from __future__ import annotations

from collections.abc import Iterator

from tranche.contract.plan import ALL, Plan
from tranche_scheduler.core.budget import Budget
from tranche_scheduler.core.situation import Situation
from tranche_scheduler.core.standing import OLD, OLD_DOWN, Kind
from tranche_scheduler.core.step import Blocked, Step

NEW_ORDER: tuple[tuple[Kind, ...], ...] = (
    (Kind.FAILED_TARGET, Kind.BROKEN),
    (Kind.FAILED_TARGET_SERVING, Kind.BESIDE, Kind.ADOPT),
    (Kind.CURRENT, Kind.MATURING),
)


def surging(plan: Plan) -> bool:
    """Whether what is not at the target is replaced by pairs. A peer has no other pod to go to."""
    return plan.upgrade_policy == "scaleup_then_scaledown" and plan.replicas != ALL


def pairs_at_once(budget: Budget) -> int:
    """How many pairs may be in flight.

    >>> pairs_at_once(Budget(wanted=4, allowed=0)), pairs_at_once(Budget(wanted=4, allowed=3))
    (1, 3)
    """
    return max(1, budget.allowed)


def remove_replaced(situation: Situation) -> Iterator[Step]:
    """Surplus: what is down, then old ones in whose place a new one is available, by the order of removal.

    A failed new one keeps its place while the rollout goes on: or another would be tried in its stead, and fail.
    """
    goal = situation.goal
    while (surplus := situation.count("surely") - goal) > 0:
        if pod := situation.first_removed((OLD_DOWN,)):
            yield Step(pod, "remove")
            continue
        pod = situation.still_there(Kind.UNREMOVED, Kind.UNREMOVED_SERVING)
        if pod is None and surplus > _old(situation):
            pod = situation.first_removed((OLD, *NEW_ORDER))
        elif pod is None and not situation.held_by_failures() and _replaced(situation):
            pod = situation.first_removed((OLD,))
        if pod is None:
            return
        costs = situation.available(pod)
        if costs and not situation.affordable():
            return
        yield Step(pod, "remove", costs=costs)


def install_elsewhere(situation: Situation) -> Iterator[Step]:
    """New ones on pods without any version of the module, as far as old ones are there to give way."""
    plan, view = situation.plan, situation.view
    removing = sum(claim.op == "remove" for claim in situation.replicas.claims.values())
    while plan.target is not None and situation.below_level():
        extra = situation.count("perhaps") - situation.goal
        if extra < 0 or extra + removing >= pairs_at_once(situation.budget):
            return
        if situation.replicas.size(OLD) <= extra:
            return
        if view.better_seat_coming(plan.name, situation.rank.install):
            return  # or the pods taken would hang on which removal ends first
        pod = view.seat(plan.name, situation.rank.install)
        if pod is None:
            if not extra + removing:
                if (surplus := _surplus(situation)) is not None:
                    # Left by an earlier rollout: it makes the place.
                    yield Step(surplus, "remove", costs=situation.available(surplus))
                    return
                words = (
                    f"{situation.why_short(1)}; scaleup_then_scaledown needs a free pod for the new replica"
                )
                situation.blocked = Blocked("InsufficientCapacity", words, 1)
            return
        yield Step(pod, "install", plan.target)


def _surplus(situation: Situation) -> str | None:
    """An old replica above what is wanted, which nobody misses; None: there is none."""
    if situation.count("available") <= situation.budget.wanted:
        return None
    return situation.first_removed((OLD,))


def _old(situation: Situation) -> int:
    """Replicas not at the target, nor meant to be."""
    return situation.count("surely") - situation.count("tried")


def _replaced(situation: Situation) -> bool:
    """Whether more than enough are left without the new ones that are not available yet."""
    # Failures that were given up are within the threshold here: their old ones go, as the budget allows.
    done = situation.count("updated_available") + situation.count("given_up")
    return _old(situation) + done > situation.goal
