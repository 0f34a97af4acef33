"""``python -m tests.simulation --seeds 0:1000``: play seeds, print what happened, exit 1 at any violation."""

from __future__ import annotations

import argparse
import sys

from tests.simulation.logs import silence
from tests.simulation.schedule import run


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed")
    parser.add_argument("--seeds", default="0:100")
    parser.add_argument("--log", action="store_true")
    given = parser.parse_args()
    silence()
    if given.seed is not None:
        verdict = run(given.seed, log=given.log)
        if given.log:
            print("\n".join(verdict.log or ()))
        print(verdict.scenario.line, verdict.digest, verdict.seconds, verdict.steps, dict(verdict.counts))
        for violation in verdict.violations:
            print(violation)
        return bool(verdict.violations)
    first, last = map(int, given.seeds.split(":"))
    bad = 0
    for seed in range(first, last):
        verdict = run(str(seed))
        if verdict.violations:
            bad += 1
            print(verdict.line, flush=True)
    print(f"{last - first} schedules, {bad} violations")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
