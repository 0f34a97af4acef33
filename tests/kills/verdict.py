"""Judges one round of rollouts by the bases' own timelines: every promise, at every moment of it (design 7.2).

Each rule is written here anew from the specification; nothing of the product's bookkeeping is believed, but for
when a person was told something.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests import judge
from tests.judge import Timelines
from tests.kills.rollout import Story
from tests.kills.wishes import PAIRS, Changes, Wish, changes, cuts
from tranche_fleet.timeline import Command, Timeline

LATE_S = 7.0
"""A claim that was already being looked at when a person was told of the abort or the pause may still begin: as
long as a hold, a call and a margin."""


@dataclass(frozen=True, slots=True)
class Span:
    """Some rollouts at the same time, from the end of the last round to the end of this one."""

    since: float
    until: float
    stories: Sequence[Story]
    standing: Mapping[str, Wish]
    """What is on the bases by deployment, of those without a story too."""


@dataclass(frozen=True, slots=True)
class Touch:
    """One pod in one rollout: when it was first disturbed for the wish, and when that was done."""

    pod: str
    brings: bool
    """It gets the target; else it only loses what it had."""
    at: float
    done_at: float | None
    """None: it was not brought to the end."""


def violations(timelines: Timelines, span: Span) -> list[str]:
    """What was broken, a sentence each with the number of its rule."""
    found = list(_overlaps(timelines, span))
    for name in span.standing:
        story = next((one for one in span.stories if one.wish.name == name), None)
        found += _budget(timelines, span, name, story)
        found += _undisturbed(timelines, span, name, story)
        found += _end(timelines, span, name, story)
        if story is not None:
            found += _order(timelines, story)
            found += _echo(timelines, story)
            found += _repeats(timelines, story)
    return found


def late_starts(timelines: Timelines, story: Story) -> list[float]:
    """Seconds after a person was told of an abort, a pause or another wish at which a pod was touched for it."""
    if not story.echoed_at:
        return []
    until = story.resumed_at or float("inf")
    # Under another wish the old version goes from pods that were never touched for this one.
    counted = [one for one in touches(timelines, story) if one.brings or story.turned != "supersede"]
    return [one.at - story.echoed_at for one in counted if story.echoed_at < one.at < until]


def touches(timelines: Timelines, story: Story) -> list[Touch]:
    """Every pod that was disturbed for the wish, in order; what an abort or another wish undid is not counted."""
    found = [touch for pod, line in timelines.items() for touch in _touches(pod, line, story)]
    return sorted(found, key=lambda touch: touch.at)


def _touches(pod: str, line: Timeline, story: Story) -> Iterator[Touch]:
    commands = [
        one for one in _started(line, story.wish.name, story.asked_at, story.ended_at) if _serves(one, story)
    ]
    if story.wish.policy != PAIRS:
        yield from _touch(pod, commands)
        return
    # A pod may first lose its old version, as one of a pair, and then get the new one, as one of the next.
    yield from _touch(pod, [one for one in commands if one.command == "uninstallBiz"])
    yield from _touch(pod, [one for one in commands if one.command != "uninstallBiz"])


def _touch(pod: str, commands: Sequence[Command]) -> Iterator[Touch]:
    if commands:
        brings = any(one.command == "installBiz" for one in commands)
        ends = [one.ended_at for one in commands if one.ended_at is not None]
        done_at = max(ends) if len(ends) == len(commands) else None
        yield Touch(pod, brings, commands[0].started_at or 0.0, done_at)


def _serves(command: Command, story: Story) -> bool:
    """Whether a command brings the wish about, rather than undoing it."""
    same = command.version == story.wish.version
    if story.before is not None and story.before.version == story.wish.version:
        return True
    if command.command == "uninstallBiz":
        return not same and command.version != story.wish.then
    return same


def _started(line: Timeline, module: str, since: float, until: float) -> list[Command]:
    """Commands about a module that were begun in a span and changed something, in order."""
    found = [
        one
        for one in line.commands
        if one.module == module
        and one.started_at is not None
        and since <= one.started_at <= until
        and one.outcome in (None, "SUCCESS")
    ]
    return sorted(found, key=lambda one: one.started_at or 0.0)


def _overlaps(timelines: Timelines, span: Span) -> Iterator[str]:
    """S7: one operation per pod."""
    for pod, line in timelines.items():
        recent = [one for one in line.commands if one.ended_at is None or one.ended_at >= span.since]
        for first, second in Timeline(commands=recent).overlaps():
            yield f"S7: on {pod} {first} and {second} ran at the same time"


def _budget(timelines: Timelines, span: Span, name: str, story: Story | None) -> Iterator[str]:
    """S1: whenever a replica goes out of service, as many as were promised still serve."""
    for pod, at in _losses(timelines, name, span.since, span.until):
        serving, floor = judge.serving_at(timelines, name, at), _floor(span, name, story, at)
        if serving < floor:
            yield f"S1: {name} on {pod} went down at {at:.3f} and left {serving} serving, {floor} were promised"


def _losses(timelines: Timelines, name: str, since: float, until: float) -> Iterator[tuple[str, float]]:
    """When a base ceased to serve a module at any version."""
    for pod, line in timelines.items():
        for one in line.serving(name):
            if one.end is not None and since < one.end <= until and line.serves(name, one.end) is None:
                yield pod, one.end


def _floor(span: Span, name: str, story: Story | None, at: float) -> int:
    """The promise at a moment; while a new one is on its way to the schedulers, the lower of the two."""
    if story is None:
        return span.standing[name].floor
    before, wish = story.before, story.wish
    if before is None:
        return 0
    if at < story.asked_at:
        return before.floor
    now = wish.floor
    if not story.observed_at or at < story.observed_at:
        now = min(now, before.floor)
    if story.turned == "abort" and at >= story.turned_at:
        now = min(now, before.replicas - wish.max_down)
    return now


def _undisturbed(timelines: Timelines, span: Span, name: str, story: Story | None) -> Iterator[str]:
    """Nothing happens to a module of which nothing is asked."""
    asked, ended = (story.asked_at, story.ended_at) if story else (span.until, span.until)
    for pod, line in timelines.items():
        for since, until in ((span.since, asked), (ended, span.until)):
            for one in _started(line, name, since, until):
                yield f"disturbed without cause: {name} on {pod}, nothing was asked: {one}"


def _end(timelines: Timelines, span: Span, name: str, story: Story | None) -> Iterator[str]:
    """The bases hold what is wished, and nothing is under way."""
    wish = story.after if story else span.standing[name]
    at = story.ended_at if story else span.until
    expected = {wish.version: wish.replicas} if wish and wish.replicas else {}
    there = judge.versions_now(timelines, name, at)
    if there != expected:
        yield f"end: {name} is {there} on the bases, {expected} was wished"
    for pod, line in timelines.items():
        kept = _kept(line, name, at)
        if len(kept) > 1:
            yield f"end: {pod} holds {sorted(kept)} of {name}"
        busy = [one for one in line.commands if one.module == name and _runs(one, at)]
        if busy:
            yield f"end: said to be over at {at:.3f} while on {pod} ran {busy[0]}"


def _kept(line: Timeline, name: str, at: float) -> set[str]:
    """The versions of a module on a base, serving or not."""
    kept: set[str] = set()
    for change in line.changes:
        if change.module == name and change.at <= at:
            (kept.discard if change.state == "gone" else kept.add)(change.version)
    return kept


def _runs(command: Command, at: float) -> bool:
    return command.started_at is not None and command.started_at < at < (command.ended_at or float("inf"))


def _order(timelines: Timelines, story: Story) -> Iterator[str]:
    """S5, S6: no change of a later batch begins before the batch is done, confirmed and its gray time over."""
    wish, planned = story.wish, changes(story.before, story.wish)
    last = story.turned_at if story.turned in ("abort", "supersede") else float("inf")
    touched = touches(timelines, story)
    begun, done = _begun(wish, planned, touched), _done(wish, planned, touched)
    for number, touch in enumerate(begun, start=1):
        if touch.at < last:
            yield from _too_early(story, planned, done, number, touch)
    if last == float("inf") and len(begun) != planned.count:
        pods = sorted(one.pod for one in touched)
        yield f"cause: {wish.name} needed {planned.count} changes, and {len(pods)} pods were touched: {pods}"


def _begun(wish: Wish, planned: Changes, touched: Sequence[Touch]) -> list[Touch]:
    """The touches that begin a change, in order. Of a pair the one that installs does."""
    if wish.policy != PAIRS:
        return list(touched)
    brought = [one for one in touched if one.brings]
    removed = [one for one in touched if not one.brings][planned.replaced :]
    return sorted((*brought, *removed), key=lambda one: one.at)


def _done(wish: Wish, planned: Changes, touched: Sequence[Touch]) -> list[float]:
    """When one more change was done, in order; a pair is once both of its pods are."""
    ends = [(one.brings, one.done_at) for one in touched if one.done_at is not None]
    if wish.policy != PAIRS:
        return sorted(at for _, at in ends)
    brought, removed = (sorted(at for brings, at in ends if brings is which) for which in (True, False))
    pairs = zip(brought[planned.installs :], removed, strict=False)
    return sorted((*brought[: planned.installs], *map(max, pairs), *removed[planned.replaced :]))


def _too_early(
    story: Story, planned: Changes, done: Sequence[float], number: int, touch: Touch
) -> Iterator[str]:
    """The ``number``-th change begins: the batches before its own must be over."""
    wish = story.wish
    for batch, cut in enumerate(cuts(wish, planned.count), start=1):
        if number <= cut:
            return
        who = f"{wish.name} change {number} on {touch.pod} began at {touch.at:.3f}"
        over = [at for at in done if at <= touch.at]
        if len(over) < cut:
            yield f"S5: {who}, when {len(over)} of the {cut} changes of batch {batch} were done"
            continue
        if wish.confirm and touch.at < story.confirms.get(batch, float("inf")):
            yield f"S6: {who}, and batch {batch} was not confirmed: {story.confirms}"
        if touch.at < over[cut - 1] + wish.gray_s:
            yield f"S6: {who}, less than {wish.gray_s} s after batch {batch} was done"


def _echo(timelines: Timelines, story: Story) -> Iterator[str]:
    """After a person was told of an abort, a pause or another wish, nothing new begins under the old one."""
    for late_s in late_starts(timelines, story):
        if late_s > LATE_S:
            yield f"echo: {story.wish.name} was touched {late_s:.1f} s after the {story.turned} was told"


def _repeats(timelines: Timelines, story: Story) -> Iterator[str]:
    """Nothing is done twice to a pod: not the same step to the same version in one rollout."""
    for pod, line in timelines.items():
        done: set[tuple[str, str]] = set()
        for one in _started(line, story.wish.name, story.asked_at, story.ended_at):
            step = (one.command, one.version)
            if one.outcome in (None, "SUCCESS"):
                if step in done:
                    yield f"twice: {story.wish.name} on {pod}: {one} after the same step"
                done.add(step)
