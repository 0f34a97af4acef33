"""Copies of the product's packages with a patch in them, and what a test run on them finds."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATCHES = Path(__file__).parent
PACKAGES = (
    "shared/tranche",
    "services/planner/tranche_planner",
    "services/scheduler/tranche_scheduler",
    "services/executor/tranche_executor",
)
HANGS_S = 900.0
"""What has not ended by then, on however busy a machine, never will."""
_OURS = {"PYTEST_ADDOPTS", "PYTEST_CURRENT_TEST", "PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT"}
"""What pytest leaves in the environment for those it starts, and a run of its own must not hear of."""


@dataclass(frozen=True, slots=True)
class Copy:
    """Packages in ``folder`` that are imported before the installed ones. ``patched``: files that differ."""

    folder: Path
    patched: tuple[str, ...] = ()

    def environment(self) -> dict[str, str]:
        """The environment of a process that imports them."""
        inherited = {name: value for name, value in os.environ.items() if name not in _OURS}
        places = [str(self.folder / package.rpartition("/")[0]) for package in PACKAGES]
        return {
            **inherited,
            "PYTHONPATH": os.pathsep.join(places),
            # What a broken product fails at is no example for the sound one.
            "HYPOTHESIS_STORAGE_DIRECTORY": str(self.folder / "hypothesis"),
        }


@dataclass(frozen=True, slots=True)
class Found:
    """How one test ended. ``error``: empty where it passed; ``by_assertion``: a test's own, not the product's."""

    node: str
    error: str
    by_assertion: bool


@dataclass(frozen=True, slots=True)
class Run:
    """What a run found, and where it had each of our modules from."""

    found: tuple[Found, ...]
    modules: Mapping[str, str]
    output: str
    spent_s: float
    """Seconds of the processor."""

    def of(self, node: str) -> list[Found]:
        """The tests of a node id: one, those of all its parameters, or of a whole file."""
        return [one for one in self.found if re.match(rf"{re.escape(node)}($|\[|::)", one.node)]


def files_of(patch: str) -> tuple[str, ...]:
    """The files a patch changes, by their path in the repository."""
    return tuple(re.findall(r"^\+\+\+ b/(\S+)$", (PATCHES / f"{patch}.patch").read_text(), re.MULTILINE))


def copied(folder: Path) -> Copy:
    """The packages as they are."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package)
    return Copy(folder)


def patched(folder: Path, patch: str) -> Copy:
    """The packages with the patch in them. Raises ValueError where it does not apply any more."""
    files = files_of(patch)
    if strangers := [file for file in files if not file.startswith(tuple(f"{one}/" for one in PACKAGES))]:
        raise ValueError(f"{patch} changes what is not the product: {', '.join(strangers)}")
    copied(folder)
    # Not as part of a repository around the folder: there git would pass over what is not below it.
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(folder.parent)}
    command = ["git", "apply", "--whitespace=nowarn", str(PATCHES / f"{patch}.patch")]
    applied = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if applied.returncode:
        raise ValueError(f"{patch} does not apply any more, write it anew: {applied.stderr.strip()}")
    if same := [file for file in files if (folder / file).read_bytes() == (ROOT / file).read_bytes()]:
        raise ValueError(f"{patch} changed nothing in {', '.join(same)}")
    return Copy(folder, files)


def spent_s() -> float:
    """Seconds of the processor that ended children have taken: what else the machine does is no matter."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def run(copy: Copy, nodes: Iterable[str]) -> Run:
    """Run tests on a copy, in a process of their own. Raises subprocess.TimeoutExpired where it hangs."""
    before = spent_s()
    report = copy.folder / "report.json"
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "tests.planted.witness"]
    command += ["-p", "no:cacheprovider", "--hypothesis-seed=0", f"--basetemp={copy.folder / 'tmp'}"]
    environment = {**copy.environment(), "TRANCHE_PLANTED_REPORT": str(report)}
    done = subprocess.run(
        [*command, *nodes],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=HANGS_S,
        check=False,
    )
    if not report.exists():
        raise AssertionError(f"the run ended without a report:\n{done.stdout}")
    told = json.loads(report.read_text())
    return Run(tuple(Found(**one) for one in told["found"]), told["modules"], done.stdout, spent_s() - before)
