"""Pages of a preview: bounded by count and by bytes, and nothing is lost between them."""

from __future__ import annotations

from tests.scheduler_oracle import NOW, entry, plan, record
from tranche.contract.ledger import Ledger
from tranche.contract.plan import ALL
from tranche.contract.preview import MOST_STEPS, PAGE_BYTES
from tranche_scheduler.core.rehearsal import Rehearsal, Snapshot

LEDGER = Ledger(namespace="shop", base="web", epoch="e")


def rehearsed(names: list[str]) -> Rehearsal:
    pool = Snapshot([record(name, {"cart": entry(1)}) for name in names], LEDGER, 1, 1)
    told = plan(replicas=len(names), max_unavailable="100%")
    rehearsal = Rehearsal(pool, [told.but(mode="open"), told.but(updated=ALL)], NOW)
    for _ in rehearsal.perform():
        pass
    return rehearsal


def test_pages_join_to_the_whole() -> None:
    rehearsal = rehearsed([f"p{number}" for number in range(7)])
    pages = [rehearsal.answer(skip, 3) for skip in (0, 3, 6)]
    assert [page.more for page in pages] == [True, True, False]
    pods = [step.pod for page in pages for level in page.levels for step in level.steps]
    assert pods == [step.pod for level in rehearsal.answer(0, MOST_STEPS).levels for step in level.steps]
    assert len(set(pods)) == 7


def test_long_names_make_smaller_pages_below_what_a_message_holds() -> None:
    rehearsal = rehearsed([f"{number:04}-{'x' * 240}" for number in range(4000)])
    page = rehearsal.answer(0, MOST_STEPS)
    shown = sum(len(level.steps) for level in page.levels)
    assert 0 < shown < 4000
    assert page.more
    assert 0.8 * PAGE_BYTES < len(page.encode()) < 1_000_000
