"""What follows from a document is worked out once for it, and anew for every other."""

from __future__ import annotations

from tests.unit.planner_desk import Case
from tranche_planner.core.document import Document
from tranche_planner.core.remembering import remembered


def test_an_answer_is_worked_out_once_for_each_document() -> None:
    asked: list[int] = []

    @remembered
    def generation(document: Document) -> int:
        """Which one it is."""
        asked.append(document.generation)
        return document.generation

    case = Case()
    case.apply("1.0.0", replicas=1)
    first = case.it
    case.apply("2.0.0", replicas=1)
    second = case.it
    assert [generation(one) for one in (first, first, second, second, first)] == [1, 1, 2, 2, 1]
    assert asked == [1, 2, 1], "the last one is kept, no other"
    assert (generation.__name__, generation.__doc__) == ("generation", "Which one it is.")


def test_nothing_is_an_answer_too_and_what_is_only_equal_is_worked_out_anew() -> None:
    asked: list[Document] = []

    @remembered
    def nothing(document: Document) -> None:
        asked.append(document)

    case = Case()
    case.apply("1.0.0", replicas=1)
    nothing(case.it)
    nothing(case.it)
    assert len(asked) == 1
    nothing(Document.decode(case.it.encode()))
    assert len(asked) == 2
