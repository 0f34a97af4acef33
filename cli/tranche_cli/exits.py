"""What the exit code of the command tells a script (design 3.4)."""

from __future__ import annotations

from enum import IntEnum

from tranche.client import Verdict
from tranche.errors import TrancheError, Unavailable, Unknown


class Exit(IntEnum):
    """Every code there is, and INTERRUPTED as shells have it."""

    DONE = 0
    """Done, or so already."""
    REFUSED = 1
    """Refused, an error, or wrong usage."""
    WOULD_CHANGE = 2
    WAITS_FOR_PERSON = 3
    FAILED = 4
    """Failed or degraded."""
    TIMEOUT = 5
    UNREACHABLE = 6
    """NATS cannot be reached, or no planner answers."""
    INTERRUPTED = 130


OF_VERDICT = {
    Verdict.REACHED: Exit.DONE,
    Verdict.NEEDS_PERSON: Exit.WAITS_FOR_PERSON,
    Verdict.FAILED: Exit.FAILED,
}

_WORST_FIRST = (
    Exit.UNREACHABLE,
    Exit.REFUSED,
    Exit.FAILED,
    Exit.TIMEOUT,
    Exit.WAITS_FOR_PERSON,
    Exit.WOULD_CHANGE,
    Exit.DONE,
)


def of_error(error: TrancheError) -> Exit:
    """The code for an error of the client.

    >>> of_error(Unavailable("no planner answers")).value
    6
    """
    return Exit.UNREACHABLE if isinstance(error, Unavailable | Unknown) else Exit.REFUSED


def worst(codes: list[Exit]) -> Exit:
    """One code for several outcomes.

    >>> worst([Exit.DONE, Exit.FAILED, Exit.WAITS_FOR_PERSON]).name
    'FAILED'
    """
    return min(codes, key=_WORST_FIRST.index, default=Exit.DONE)
