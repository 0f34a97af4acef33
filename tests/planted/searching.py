"""Looks for planted bugs with the simulation: ``python -m tests.planted.searching [name …]``."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.planted.patching import ROOT, Copy, patched, spent_s
from tests.planted.table import PLANTED

_SHOWN = re.compile(r"^seed (\S+): ([SV]\d+)")


@dataclass(frozen=True, slots=True)
class Shown:
    """The first seed on which a rule is broken, and after how many seconds of the processor that was known."""

    seed: str
    rule: str
    seconds: float
    line: str


def search(copy: Copy, *, seeds: str, within_s: float) -> Shown | None:
    """The first violation that the simulation finds on a copy; None: none in these seeds, or in this time."""
    began = spent_s()
    command = [sys.executable, "-u", "-m", "tests.simulation", "--seeds", seeds]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=copy.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as simulation:
        try:
            line = _first_shown(simulation, within_s)
        finally:
            simulation.kill()
    if line is None:
        return None
    found = _SHOWN.match(line)
    assert found is not None
    return Shown(found[1], found[2], spent_s() - began, line.strip())


def _first_shown(simulation: subprocess.Popen[str], within_s: float) -> str | None:
    """The first line that names a seed. Raises AssertionError where the simulation itself fails."""
    read: IO[str] | None = simulation.stdout
    assert read is not None
    watch = threading.Timer(within_s, simulation.kill)
    watch.start()
    said: list[str] = []
    try:
        for line in read:
            if _SHOWN.match(line):
                return line
            said.append(line)
    finally:
        watch.cancel()
    code = simulation.wait()
    assert code in (0, -9), f"the simulation ended with {code}:\n{''.join(said[-40:])}"
    return None


def main() -> int:
    """Search for each bug, and tell; 1 where one was not found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="bugs to look for; all of them unless given")
    parser.add_argument("--seeds", default="0:500")
    parser.add_argument("--within", type=float, default=120.0, help="seconds per bug")
    given = parser.parse_args()
    hidden = 0
    for bug in PLANTED:
        if given.names and bug.name not in given.names:
            continue
        with tempfile.TemporaryDirectory() as folder:
            shown = search(patched(Path(folder), bug.name), seeds=given.seeds, within_s=given.within)
        hidden += shown is None
        words = f"{shown.rule} on seed {shown.seed}, {shown.seconds:.1f} s" if shown else "not found"
        print(f"{bug.name:45} {bug.breaks:4} {words}", flush=True)
        if shown is not None:
            print(f"    {shown.line[:200]}", flush=True)
    return bool(hidden)


if __name__ == "__main__":
    raise SystemExit(main())
