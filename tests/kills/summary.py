"""A campaign in figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from tests.kills.campaign import Record


def summary(record: Record) -> str:
    """What was struck, what was rolled out, and how quickly it went on."""
    stories = [story for round_ in record.rounds for story in round_.stories]
    backs = [back for round_ in record.rounds for back in round_.recoveries]
    ready = [item for one in record.struck for item in one.ready_s.items()]
    servers = [took for name, took in ready if name.startswith("nats")]
    services = [took for name, took in ready if not name.startswith("nats")]
    unmeasured = Counter(one.unmeasured for one in backs if one.unmeasured)
    worked = [
        max(0.0, back.goes_on_s - max(one.ready_s.values(), default=0.0))
        for round_ in record.rounds
        for one, back in zip(round_.struck, round_.recoveries, strict=True)
        if back.goes_on_s is not None
    ]
    late = [late_s for round_ in record.rounds for late_s in round_.late_starts_s]
    again = sum(len(story.asked_again) for story in stories)
    turns = Counter(story.turned or "to its end" for story in stories)
    policies = Counter(story.wish.policy for story in stories)
    return "\n".join(
        (
            f"seed {record.seed}: {record.kills} kills and freezes in {len(record.struck)} strikes",
            *_struck(record),
            f"rollouts: {len(stories)} ({_counted(turns)}; {_counted(policies)}), "
            f"{sum(story.wish.confirm for story in stories)} with confirms; "
            f"{record.commands.total()} changes carried out by the bases",
            f"violations: {len(record.violations)}",
            _row("work goes on after", [one.goes_on_s for one in backs if one.goes_on_s is not None]),
            _row("  from when all the killed are ready", worked),
            _row("longest standstill", [one.standstill_s for one in backs if one.standstill_s is not None]),
            *(["  not measured: " + _counted(unmeasured)] if unmeasured else []),
            _row("a killed service is ready", services),
            _row("a killed server is ready", servers),
            f"begun after an abort, a pause or another wish was told: {len(late)}, "
            f"the last {max(late, default=0.0):.2f} s after it",
            f"verbs sent once more: {again}; starts that failed while the broker was away: "
            f"{sum(one.failed_starts for one in record.struck)}; "
            f"ended by themselves: {_counted(Counter(record.ended_alone)) or 'none'}; "
            f"highest load {record.load:.1f}",
        )
    )


def _struck(record: Record) -> Iterable[str]:
    """By victim and kind."""
    kinds = ("kill", "short freeze", "long freeze")
    counts: Counter[tuple[str, str]] = Counter(
        (victim, one.strike.kind) for one in record.struck for victim in one.victims
    )
    yield f"  {'':<14}" + "".join(f"{kind:>14}" for kind in kinds)
    for victim in sorted({victim for victim, _ in counts}):
        yield f"  {victim:<14}" + "".join(f"{counts[victim, kind]:>14}" for kind in kinds)
    several = sum(len(one.victims) > 1 for one in record.struck)
    yield f"  {several} strikes hit several at once"


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))


def _row(what: str, seconds: Sequence[float]) -> str:
    if not seconds:
        return f"{what}: never measured"
    p50, p99 = percentile(seconds, 50), percentile(seconds, 99)
    return f"{what}: p50 {p50:.2f} s, p99 {p99:.2f} s, max {max(seconds):.2f} s (of {len(seconds)})"


def percentile(values: Sequence[float], percent: int) -> float:
    """The smallest value that so many percent of them do not exceed.

    >>> percentile([3, 1, 2], 50), percentile([3, 1, 2], 99)
    (2, 3)
    """
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]
