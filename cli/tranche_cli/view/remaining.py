"""How much longer a rollout takes: an estimate, from what its batches took so far."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from tranche.contract.status import Status
from tranche_cli.view.words import lasting

UNDER_WAY = frozenset({"Pending", "Progressing", "Waiting", "Blocked", "Paused"})


def remaining(status: Status, now: datetime) -> str:
    """As people read it; empty where nothing is left to do, or nothing can be said yet.

    A person's confirm takes as long as it takes: it is no part of the estimate.
    """
    if status.phase not in UNDER_WAY:
        return ""
    seconds = remaining_s(status, now)
    return "" if seconds is None else f"about {_rough(seconds)} left"


def remaining_s(status: Status, now: datetime) -> float | None:
    """Seconds of work and gray time; None while no batch has told its pace.

    Counted in waves: as many replicas at once as may be unavailable.
    """
    pace = _seconds_per_wave(status, now)
    if pace is None:
        return None
    to_do = max(0, status.replicas - status.updated)
    later = [batch.size for batch in status.batches if batch.index > status.batch.current]
    # What no later batch that is listed has, the current one has, or one that is not listed.
    sizes = [*later, max(0, to_do - sum(later))] if sum(later) <= to_do else [to_do]
    return sum(_waves(size, status) for size in sizes) * pace + _gray_s(status, now)


def _seconds_per_wave(status: Status, now: datetime) -> float | None:
    took, waves = 0.0, 0
    for seconds, replicas in _paces(status, now):
        took, waves = took + seconds, waves + _waves(replicas, status)
    return took / waves if waves else None


def _waves(replicas: int, status: Status) -> int:
    return -(-replicas // max(1, status.budget.resolved))


def _paces(status: Status, now: datetime) -> Iterator[tuple[float, int]]:
    """How long how many replicas took."""
    finished = 0
    for batch in status.batches:
        if batch.started_at and batch.verified_at:
            finished += batch.size
            yield (batch.verified_at - batch.started_at).total_seconds(), batch.size
    current = next((batch for batch in status.batches if batch.index == status.batch.current), None)
    if current and current.started_at and current.verified_at is None:
        # What this batch did already tells more than a beta of one replica.
        done = status.updated_available - finished
        if 0 < done <= current.size:
            yield (now - current.started_at).total_seconds(), done


def _gray_s(status: Status, now: datetime) -> float:
    """Of this batch what is left; of the later ones as much as this one had, where that is known."""
    gray = next((gate for gate in status.gates if gate.gate == "grayTime" and gate.until), None)
    if gray is None or gray.until is None:
        return 0.0
    later = max(0, status.batch.count - status.batch.current - 1)
    whole = max(0.0, (gray.until - gray.since).total_seconds())
    return max(0.0, (gray.until - now).total_seconds()) + later * whole


def _rough(seconds: float) -> str:
    """No estimate is good to the second.

    >>> _rough(8.2), _rough(47), _rough(400), _rough(9000)
    ('10s', '50s', '7m', '2h30m')
    """
    if seconds < 60:
        return lasting(max(5, -(-seconds // 5) * 5))
    minutes = -(-seconds // 60)
    return f"{minutes:.0f}m" if minutes < 60 else lasting(minutes * 60)
