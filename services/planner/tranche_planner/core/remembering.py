"""What follows from a document alone is worked out once: one decision asks for it many times."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

from tranche_planner.core.document import Document

T = TypeVar("T")


def remembered(answer: Callable[[Document], T]) -> Callable[[Document], T]:
    """The same function, which keeps its last answer: documents are values, so the same one has the same."""
    last: tuple[Document, T] | None = None

    @wraps(answer)
    def kept(document: Document) -> T:
        nonlocal last
        known = last
        if known is None or known[0] is not document:
            last = known = (document, answer(document))
        return known[1]

    return kept
