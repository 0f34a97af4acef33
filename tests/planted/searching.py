"""Looks for planted bugs with the simulation: ``python -m tests.planted.searching [name …]``."""

from __future__ import annotations

import argparse
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Collection, Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tests.planted.patching import HANGS_S, ROOT, Copy, copied, patched, spent_s
from tests.planted.table import PLANTED

_SHOWN = re.compile(r"^seed (\S+): ([SV]\d+)")


@dataclass(frozen=True, slots=True)
class Shown:
    """The first seed on which a rule is broken, and after how many seconds of the processor that was known."""

    seed: str
    rule: str
    seconds: float
    line: str


def search(
    copy: Copy, *, seeds: str, within_s: float, known: Collection[str] = (), workers: int = 1
) -> Shown | None:
    """The first violation that the simulation finds on a copy; None: none in these seeds, or in this time.

    ``known``: seeds that break a rule without any bug planted, and tell nothing.
    """
    began = spent_s()
    with closing(_violations(copy, seeds, within_s, workers)) as violations:
        shown = next((one for one in violations if one[1] not in known), None)
    if shown is None:
        return None
    return Shown(shown[1], shown[2], spent_s() - began, shown.string.strip())


def known_seeds(*, seeds: str, workers: int = 1) -> frozenset[str]:
    """The seeds that break a rule on the product as it is."""
    with tempfile.TemporaryDirectory() as folder:
        return frozenset(shown[1] for shown in _violations(copied(Path(folder)), seeds, HANGS_S, workers))


def _violations(
    copy: Copy, seeds: str, within_s: float, workers: int
) -> Generator[re.Match[str], None, None]:
    """Lines of the simulation that name a seed. The simulation has ended when the iterator is closed."""
    command = [sys.executable, "-u", "-m", "tests.simulation", "--seeds", seeds, "--workers", str(workers)]
    simulation = subprocess.Popen(
        command,
        cwd=ROOT,
        env=copy.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    # As a person would end it: then it ends what it has begun.
    watch = threading.Timer(within_s, simulation.send_signal, [signal.SIGINT])
    watch.start()
    said: list[str] = []
    try:
        assert simulation.stdout is not None
        for line in simulation.stdout:
            said.append(line)
            if (found := _SHOWN.match(line)) is not None:
                yield found
        code = simulation.wait()
        assert code in (0, 1), f"the simulation ended with {code}:\n{''.join(said[-40:])}"
    finally:
        watch.cancel()
        simulation.send_signal(signal.SIGINT)
        simulation.wait()
        if simulation.stdout is not None:
            simulation.stdout.close()


def main() -> int:
    """Search for each bug, and tell; 1 where one was not found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="bugs to look for; all of them unless given")
    parser.add_argument("--seeds", default="0:500")
    parser.add_argument("--within", type=float, default=120.0, help="seconds per bug")
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    known = known_seeds(seeds=given.seeds, workers=given.workers)
    print(f"{len(known)} seeds break a rule as it is: {', '.join(sorted(known))}", flush=True)
    hidden = 0
    for bug in PLANTED:
        if given.names and bug.name not in given.names:
            continue
        with tempfile.TemporaryDirectory() as folder:
            shown = search(
                patched(Path(folder), bug.name),
                seeds=given.seeds,
                within_s=given.within,
                known=known,
                workers=given.workers,
            )
        hidden += shown is None
        words = f"{shown.rule} on seed {shown.seed}, {shown.seconds:.1f} s" if shown else "not found"
        print(f"{bug.name:45} {bug.breaks:4} {words}", flush=True)
        if shown is not None:
            print(f"    {shown.line[:200]}", flush=True)
    return bool(hidden)


if __name__ == "__main__":
    raise SystemExit(main())
