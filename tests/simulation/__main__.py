"""``make simulate``: play seeds for some minutes or a range of them, say what happened, exit 1 at any violation.

``--seed 12.3`` plays one schedule again, ``--log`` with everything that happened in it.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import sys
import textwrap
import time
from collections.abc import Iterable
from datetime import UTC, datetime

from tests.simulation.campaign import Campaign
from tests.simulation.family import Told
from tests.simulation.logs import silence
from tests.simulation.regress import Regression
from tests.simulation.report import Totals
from tests.simulation.schedule import run

EVERY_S = 10.0
"""How often a line says how far it has come."""
ENOUGH = 1000
"""So many schedules see every kind of fault."""
BRANCHES = "4x4x20"


def main() -> int:
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("--seed", nargs="+", help="play these schedules alone")
    parser.add_argument("--log", action="store_true", help="with --seed: show everything that happens")
    parser.add_argument("--seeds", help="play these families: 0:1000")
    parser.add_argument("--from", type=int, default=0, dest="first", help="the family to begin with")
    parser.add_argument("--minutes", type=float, default=2.0, help="begin no family after so long")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--branches", default=BRANCHES, help="ways that part at each moment: 0, 12, 4x4x4")
    parser.add_argument("--each", action="store_true", help="show the digest of every schedule")
    parser.add_argument("--keep", action="store_true", help="note violations in tests/regress")
    given = parser.parse_args()
    silence()
    if given.seed and given.each:
        return _digests(given.seed)
    if given.seed:
        return max(_replay(seed, log=given.log) for seed in given.seed)
    return _campaign(given)


def _replay(seed: str, *, log: bool) -> int:
    verdict = run(seed, log=log)
    if verdict.log is not None:
        print("\n".join(verdict.log))
    print(f"seed {verdict.seed}: {verdict.scenario.line}")
    print(f"{verdict.seconds:.1f} s of virtual time, {verdict.steps:,} steps, digest {verdict.digest:08x}")
    for kind, count in sorted(verdict.counts.items()):
        print(f"  {count:6} {kind}")
    for violation in verdict.violations:
        print(violation)
    return bool(verdict.violations)


def _digests(seeds: Iterable[str]) -> int:
    for seed in seeds:
        verdict = run(seed)
        print(f"{verdict.seed} {verdict.digest:08x}", flush=True)
    return 0


def _campaign(given: argparse.Namespace) -> int:
    first, last = map(int, given.seeds.split(":")) if given.seeds else (given.first, None)
    widths = tuple(width for width in map(int, given.branches.split("x")) if width > 1)
    began = told_at = time.monotonic()

    def done() -> bool:
        return last is None and time.monotonic() - began >= 60.0 * given.minutes

    campaign = Campaign(widths=widths, workers=given.workers, done=done)
    totals = Totals()
    stopped = False
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # either way it tells what it has seen
    try:
        for _, family in campaign.families(first, last):
            totals.add(family)
            for told in family:
                if given.each:
                    print(f"{told.seed} {told.digest:08x}")
                if told.rule:
                    _report(told, keep=given.keep)
            if time.monotonic() - told_at >= EVERY_S:
                told_at = time.monotonic()
                _progress(totals, first, told_at - began)
    except KeyboardInterrupt:
        stopped = True
        campaign.stop()
    print()
    rows = list(totals.rows(elapsed_s=time.monotonic() - began, widths=widths))
    load = ", ".join(f"{load:.1f}" for load in os.getloadavg())
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    each_ms = 1000 * (used.ru_utime + used.ru_stime) / max(1, totals.schedules)
    rows += [
        (
            "machine",
            f"{given.workers} workers on {os.cpu_count()} cores, load {load}; {each_ms:.1f} ms of the processor "
            f"for a schedule, {used.ru_maxrss / 1024:.0f} MiB at most",
        )
    ]
    rows += [("hash", totals.hash)]
    again = f"make simulate SEEDS={first}:{first + totals.families} BRANCHES={given.branches}"
    rows += [("again", f"{again}{' (stopped)' if stopped else ''}")]
    for heading, words in rows:
        print(textwrap.fill(words, 118, initial_indent=f"{heading:14}", subsequent_indent=" " * 14))
    missing = totals.never_seen()
    if missing:
        print(f"{'never seen':14}{', '.join(missing)}")
    return bool(totals.violations or (missing and totals.schedules >= ENOUGH))


def _report(told: Told, *, keep: bool) -> None:
    print(told.line.replace("\n", " "))
    print(f"  again: make simulate SEED={told.seed}", flush=True)
    if keep:
        Regression(told.seed, told.rule, f"{datetime.now(UTC):%Y-%m-%d}", told.line).keep()


def _progress(totals: Totals, first: int, elapsed_s: float) -> None:
    print(
        f"{elapsed_s:6.0f} s  seeds {first}:{first + totals.families}  {totals.schedules:,} schedules, "
        f"{totals.schedules / elapsed_s:.1f}/s, {len(totals.violations)} violations, hash {totals.hash[:16]}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
