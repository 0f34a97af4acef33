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
    """Seconds of work and gray time; None while no batch has told its pace."""
    pace = _seconds_per_replica(status, now)
    if pace is None:
        return None
    to_do = max(0, status.replicas - status.updated)
    return to_do * pace + _gray_s(status, now)


def _seconds_per_replica(status: Status, now: datetime) -> float | None:
    took, replicas = 0.0, 0
    for seconds, count in _paces(status, now):
        took, replicas = took + seconds, replicas + count
    return took / replicas if replicas else None


def _paces(status: Status, now: datetime) -> Iterator[tuple[float, int]]:
    done = [batch for batch in status.batches if batch.started_at and batch.verified_at]
    for batch in done:
        assert batch.started_at
        assert batch.verified_at
        yield (batch.verified_at - batch.started_at).total_seconds(), batch.size
    current = next((batch for batch in status.batches if batch.index == status.batch.current), None)
    if current and current.started_at and current.verified_at is None:
        # What this batch did already tells more than a beta of one replica.
        finished = status.updated - sum(batch.size for batch in done)
        if 0 < finished <= current.size:
            yield (now - current.started_at).total_seconds(), finished


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
