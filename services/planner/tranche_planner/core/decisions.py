"""What comes of an event: the document to save, if any, and the answer."""

from __future__ import annotations

from dataclasses import dataclass

from tranche.contract.answer import AcceptedAnswer, RefusedAnswer, refused
from tranche_planner.core.document import Document


@dataclass(frozen=True, slots=True)
class Decision:
    """``document`` None: nothing changes. ``takes_pool``: the module has to be owned first (store's part)."""

    answer: AcceptedAnswer | RefusedAnswer
    document: Document | None = None
    takes_pool: bool = False


def accept(document: Document, message: str, warnings: tuple[str, ...] = ()) -> Decision:
    """Accepted, with what changed in the document."""
    answer = AcceptedAnswer(generation=document.generation, message=message, warnings=warnings)
    return Decision(answer, document)


def refuse(message: str, *, field: str = "") -> Decision:
    """Refused for one reason: nothing changes."""
    return Decision(refused(message, field=field))
