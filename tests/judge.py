"""Judges rollouts by what the bases themselves noted, never by the product's own bookkeeping."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise

from tranche_fleet.timeline import Command, Timeline

Timelines = Mapping[str, Timeline]
"""By pod."""


def serving_at(timelines: Timelines, module: str, at: float) -> int:
    """How many bases serve the module, at any version."""
    return sum(timeline.serves(module, at) is not None for timeline in timelines.values())


def lowest_serving(timelines: Timelines, module: str, since: float, until: float) -> int:
    """The fewest bases that served the module at one moment of a span of time (S1)."""
    moments = [since, until]
    moments += [
        one.end
        for timeline in timelines.values()
        for one in timeline.serving(module)
        if one.end is not None and since <= one.end <= until
    ]
    return min(serving_at(timelines, module, at) for at in moments)


def most_down(timelines: Timelines, module: str, since: float, until: float) -> int:
    """The most bases of those that served the module at ``since`` that were without it at one moment."""
    return serving_at(timelines, module, since) - lowest_serving(timelines, module, since, until)


def touched(timelines: Timelines, module: str, version: str, before: float) -> set[str]:
    """The pods on which something of that version was begun before a moment (S5, S6)."""
    return {
        pod
        for pod, timeline in timelines.items()
        for command in timeline.commands
        if command.started_at is not None
        and command.started_at < before
        and (command.command, command.module, command.version) == ("installBiz", module, version)
    }


def overlaps(timelines: Timelines) -> list[tuple[str, Command, Command]]:
    """Changing commands that ran on one base at the same time (S7)."""
    return [(pod, *pair) for pod, timeline in timelines.items() for pair in timeline.overlaps()]


def versions_now(timelines: Timelines, module: str, at: float) -> dict[str, int]:
    """How many bases serve which version."""
    counts: dict[str, int] = {}
    for timeline in timelines.values():
        if version := timeline.serves(module, at):
            counts[version] = counts.get(version, 0) + 1
    return counts


def installs(timelines: Timelines, module: str, version: str) -> Iterable[float]:
    """When installations of a version began, in order, over all bases."""
    return sorted(
        command.started_at
        for timeline in timelines.values()
        for command in timeline.commands
        if command.started_at is not None
        and (command.command, command.module, command.version) == ("installBiz", module, version)
    )


def gaps(moments: Iterable[float]) -> list[float]:
    """Seconds between neighbours."""
    return [later - earlier for earlier, later in pairwise(moments)]
