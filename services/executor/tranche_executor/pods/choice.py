"""Which sources ``TRANCHE_PODS`` names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tranche.errors import Refused
from tranche.runtime import Runtime
from tranche_executor.pods.source import PodSource, Sources
from tranche_executor.pods.static import StaticPods

EXPECTED = "static:FILE, several by comma"


def pods_problem(named: Sequence[str]) -> str | None:
    """What was expected of the setting, None where it is fine.

    >>> pods_problem(["static:pods.yaml"])
    >>> pods_problem(["kubernetes"])
    "'kubernetes' is not supported yet by this release; expected static:FILE, several by comma"
    """
    if not named:
        return f"expected {EXPECTED}"
    for one in named:
        kind, _, rest = one.partition(":")
        if kind in ("kubernetes", "heartbeat"):
            return f"{one!r} is not supported yet by this release; expected {EXPECTED}"
        if kind != "static" or not rest:
            return f"{one!r} is no source of pods; expected {EXPECTED}"
    return None


def open_sources(named: Sequence[str], runtime: Runtime) -> PodSource:
    """The sources, as one. Raises Refused."""
    if problem := pods_problem(named):
        raise Refused(f"setting TRANCHE_PODS: {problem}")
    files = [Path(one.partition(":")[2]) for one in named]
    return Sources([StaticPods(file, runtime.clock) for file in files], runtime)
