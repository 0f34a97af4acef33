"""The budget in numbers, as status tells it (design 1.4)."""

from __future__ import annotations

import pytest

from tests.unit.planner_desk import Case
from tranche.contract.status import BudgetStatus


def test_before_anything_is_counted_all_is_unavailable() -> None:
    case = Case()
    case.apply("1.0.0", replicas=4)
    assert case.status.budget == BudgetStatus(max_unavailable="25%", resolved=1, unavailable=4, headroom=0)


@pytest.mark.parametrize(
    ("given", "available", "told"),
    [
        ({}, 10, ("25%", 2, 0, 2)),
        ({}, 9, ("25%", 2, 1, 1)),
        ({}, 8, ("25%", 2, 2, 0)),
        ({}, 3, ("25%", 2, 7, 0)),
        ({}, 12, ("25%", 2, 0, 4)),
        ({}, 0, ("25%", 2, 10, 0)),
        ({"maxUnavailable": "35%"}, 9, ("35%", 3, 1, 2)),
        ({"maxUnavailable": 5}, 10, (5, 5, 0, 5)),
        ({"maxUnavailable": 0}, 10, (0, 0, 0, 0)),
        ({"maxUnavailable": "100%"}, 0, ("100%", 10, 10, 0)),
    ],
)
def test_what_is_unavailable_and_what_may_be(
    given: dict[str, object], available: int, told: tuple[object, ...]
) -> None:
    case = Case()
    case.apply("1.0.0", replicas=10, **given)
    case.tell(available=available)
    spent = case.status.budget
    assert (spent.max_unavailable, spent.resolved, spent.unavailable, spent.headroom) == told
    assert case.status.unavailable == spent.unavailable
