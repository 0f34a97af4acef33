"""What the bases themselves noted, held against what was promised. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tranche_fleet.timeline import Timeline

Timelines = Mapping[str, Timeline]
"""By namespace/base/pod."""


@dataclass(frozen=True, slots=True)
class Promise:
    """One deployment's: after ``since`` never more than ``allowed`` of ``replicas`` down, all at ``version``."""

    base: str
    module: str
    version: str
    replicas: int
    allowed: int
    since: float


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence, and whether it is as it should be."""

    kept: bool
    words: str


def verdict(timelines: Timelines, promises: list[Promise], now: float) -> list[Finding]:
    """A finding per promise and question, in the order people ask."""
    return [
        *(_served(promise, _of(timelines, promise), now) for promise in promises),
        *(_down(promise, _of(timelines, promise), now) for promise in promises),
        _apart(timelines),
    ]


def failed_first(timelines: Timelines, pod: str, module: str, version: str) -> bool:
    """Whether that pod refused an installation before it took one."""
    outcomes = [
        command.outcome
        for name, timeline in timelines.items()
        for command in timeline.commands
        if name.endswith(f"/{pod}") and command.started_at is not None
        if (command.command, command.module, command.version) == ("installBiz", module, version)
    ]
    return len(outcomes) > 1 and outcomes[0] != "SUCCESS" and outcomes[-1] == "SUCCESS"


def most_down(timelines: list[Timeline], module: str, replicas: int, since: float, until: float) -> int:
    """The most replicas that were down at one moment of a span of time."""
    ends = [
        one.end
        for timeline in timelines
        for one in timeline.serving(module)
        if one.end is not None and since <= one.end <= until
    ]
    return max(
        replicas - sum(timeline.serves(module, at) is not None for timeline in timelines)
        for at in [since, until, *ends]
    )


def _of(timelines: Timelines, promise: Promise) -> list[Timeline]:
    return [timeline for name, timeline in timelines.items() if name.split("/")[1] == promise.base]


def _served(promise: Promise, timelines: list[Timeline], now: float) -> Finding:
    there = sum(timeline.serves(promise.module, now) == promise.version for timeline in timelines)
    words = f"{there} of {promise.replicas} {promise.base}s serve {promise.module} {promise.version}"
    return Finding(there == promise.replicas, words)


def _down(promise: Promise, timelines: list[Timeline], now: float) -> Finding:
    down = most_down(timelines, promise.module, promise.replicas, promise.since, now)
    words = (
        f"at most {down} of {promise.replicas} were without {promise.module} at one time; {promise.allowed}"
    )
    return Finding(down <= promise.allowed, f"{words} were allowed")


def _apart(timelines: Timelines) -> Finding:
    overlaps = sum(len(timeline.overlaps()) for timeline in timelines.values())
    if overlaps:
        return Finding(False, f"{overlaps} times a base had to do two things at once")
    return Finding(True, "no base ever had to do two things at once")
