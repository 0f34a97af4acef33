"""The promise of maxUnavailable in numbers (design 1.4)."""

from __future__ import annotations

from tranche.contract.quantity import max_unavailable
from tranche.contract.status import BudgetStatus
from tranche_planner.core.document import Document
from tranche_planner.core.plans import wanted

DEFAULT = "25%"


def budget(document: Document) -> BudgetStatus:
    """What may be unavailable, what is, and how many may still be taken down."""
    need = max(0, wanted(document))
    quantity = document.spec.max_unavailable
    resolved = max_unavailable(quantity, need)
    available = document.progress.available if document.progress else 0
    return BudgetStatus(
        max_unavailable=quantity.spelled if quantity else DEFAULT,
        resolved=resolved,
        unavailable=max(0, need - available),
        headroom=max(0, available - (need - resolved)) if available else 0,
    )
