"""Time of a preview in pools of growing size: ``python benchmarks/preview.py``.

A rollout of every pod in four batches is rehearsed as a planner asks for it: once for the counts, once for all
levels. Seconds of the processor are counted, so that a busy machine does not blur them.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

from choose import LEDGER, plan, record

from tranche.contract.plan import ALL, Plan
from tranche.contract.preview import MOST_STEPS, Levels
from tranche_scheduler.core.rehearsal import Rehearsal, Snapshot

SIZES = (1_000, 10_000)
NOW = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)


def ask(pool: Snapshot, plans: list[Plan]) -> tuple[Levels, float]:
    """The answer, and the seconds it took."""
    began = time.process_time()
    rehearsal = Rehearsal(pool, plans, NOW)
    for _ in rehearsal.perform():
        pass
    levels = rehearsal.answer(0, MOST_STEPS)
    levels.encode()
    return levels, time.process_time() - began


def main() -> None:
    print(f"{'pods':>8} {'policy':>24} {'maxUnavailable':>15} {'counts s':>9} {'levels s':>9} {'rounds':>7}")
    for size in SIZES:
        pool = Snapshot(
            [record(number, installed=number % 20 != 0) for number in range(size)], LEDGER, 1, size
        )
        there = size - len(range(0, size, 20))
        cuts = (there // 4, there // 2, 3 * there // 4, ALL)
        for policy in ("uninstall_then_install", "scaleup_then_scaledown"):
            for unavailable in ("25%", 1):
                told = plan(there, 0).but(max_unavailable=unavailable, upgrade_policy=policy)
                opened = told.but(mode="open")
                _, counts_s = ask(pool, [opened])
                levels, levels_s = ask(pool, [opened, *(told.but(updated=updated) for updated in cuts)])
                rounds = sum(level.rounds for level in levels.levels)
                print(
                    f"{size:>8} {policy:>24} {unavailable:>15} {counts_s:>9.2f} {levels_s:>9.2f} {rounds:>7}"
                )


if __name__ == "__main__":
    main()
