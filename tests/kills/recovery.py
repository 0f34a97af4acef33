"""How long it took until work that was possible went on again, seen from outside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tests.judge import Timelines
from tests.kills.rollout import Story


@dataclass(frozen=True, slots=True)
class Recovery:
    """After one strike, in seconds; None: it could not be measured, ``unmeasured`` says why."""

    goes_on_s: float | None
    """From the return of the last victim to the next thing that is begun on a base or told as done."""
    standstill_s: float | None
    """The longest span after its return in which work was possible and nothing began or ended on any base."""
    unmeasured: str = ""


def recovery(timelines: Timelines, stories: Sequence[Story], back_at: float, until: float) -> Recovery:
    """``back_at``: the victims are started again or thawed; ``until``: the next strike, or the end of the round."""
    spans = _possible(stories, back_at, until)
    begun = [at for at in _begun(timelines, stories) if back_at <= at <= until]
    if not spans:
        return Recovery(None, None, "nothing was left to do")
    if not begun:
        return Recovery(None, None, "struck again before it went on")
    signs = sorted((*begun, *_ended(timelines)))
    return Recovery(
        goes_on_s=_without_idle(spans, min(begun)),
        standstill_s=max(gap for since, end in spans for gap in _gaps(since, end, signs)),
    )


def _begun(timelines: Timelines, stories: Iterable[Story]) -> list[float]:
    """When something was begun on a base, or a rollout was said to have got somewhere."""
    commands = (one for line in timelines.values() for one in line.commands)
    return [one.started_at for one in commands if one.started_at] + [
        at for story in stories for at in story.told
    ]


def _ended(timelines: Timelines) -> list[float]:
    return [one.ended_at for line in timelines.values() for one in line.commands if one.ended_at]


def _possible(stories: Sequence[Story], since: float, until: float) -> list[tuple[float, float]]:
    """The parts of a span in which at least one rollout could go on without a person."""
    edges = {since, until}
    for story in stories:
        edges |= {at for at in (story.asked_at, story.ended_at) if since < at < until}
        edges |= {at for span in story.idle for at in span if since < at < until}
    parts = [
        part for part in pairwise(sorted(edges)) if any(_works(story, sum(part) / 2) for story in stories)
    ]
    joined: list[tuple[float, float]] = []
    for start, end in parts:
        if joined and joined[-1][1] == start:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined


def _works(story: Story, at: float) -> bool:
    ended = story.ended_at or float("inf")
    return story.asked_at <= at < ended and not any(start <= at < end for start, end in story.idle)


def _gaps(since: float, end: float, signs: Sequence[float]) -> list[float]:
    moments = [since, *(at for at in signs if since < at < end), end]
    return [later - earlier for earlier, later in pairwise(moments)]


def _without_idle(spans: Sequence[tuple[float, float]], sign: float) -> float:
    """Of the time until the first sign, what could have been worked in."""
    return sum(max(0.0, min(end, sign) - start) for start, end in spans)
