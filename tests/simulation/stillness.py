"""V5: a rollout on which nothing moves says why, within 5 s, while the services are well (design 7.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.simulation.oracle import DOCUMENTS_STREAM, Name, Oracle
from tranche.contract import subjects

LOOK_S = 0.5
NAMED_S = 5.0
"""So soon the reason is told."""
RECOVERY_S = 12.0
"""Services are well again so long after the last fault that hit one of them: a message in the hands of a dead
process comes again after 10 s."""
FORGOTTEN_S = 80.0
"""What a broker forgot is missed by nobody until the next sweep but one: they come every 30 s, give or take six."""
BESIDE = ("base ", "pod ", "limit ", "address ", "missed ")
"""Faults that leave the services well."""


class Stillness:
    """Looks at every deployment from time to time, and counts how often one stood still and said why."""

    def __init__(self, oracle: Oracle) -> None:
        self._oracle = oracle
        self._since: dict[Name, tuple[float, object]] = {}
        self._disturbed_at = -RECOVERY_S
        self._faults = 0

    def look(self) -> None:
        """One look at all of them."""
        oracle = self._oracle
        if not self._well():
            self._since.clear()
            return
        for name, status in oracle.statuses.items():
            if self._forgotten(name):
                continue
            moving = self._moving(name, status)
            since, before = self._since.get(name, (oracle.now, None))
            if moving != before or moving is None:
                since = oracle.now
            self._since[name] = (since, moving)
            if oracle.now < since + NAMED_S:
                continue
            if (words := unexplained(status)) is not None:
                oracle.broken("V5", f"{'/'.join(name)} has stood still for {NAMED_S:g} s: {words}")
            elif status["phase"] not in ENDED:
                oracle.world.air.counts["held and said why"] += 1

    def _forgotten(self, name: Name) -> bool:
        """Whether the broker has forgotten the deployment itself: it has to be applied again (docs/safety.md)."""
        stream = self._oracle.world.broker.streams[DOCUMENTS_STREAM]
        forgot = self._oracle.world.air.counts["fault broker forgets"]
        return bool(forgot) and stream.last(subjects.key(subjects.DOCUMENTS, *name)) is None

    def _well(self) -> bool:
        """Whether nothing has hit a service for a while."""
        world, now = self._oracle.world, self._oracle.now
        faults = sum(
            count
            for kind, count in world.air.counts.items()
            if kind.startswith("fault ") and not kind.removeprefix("fault ").startswith(BESIDE)
        )
        whole = all(
            slot.process is not None
            and slot.process.alive
            and not slot.process.frozen
            and slot.bus is not None
            and slot.bus.connected
            for slot in world.slots
        )
        if faults != self._faults or not whole:
            self._faults, self._disturbed_at = faults, now
        forgot = world.air.counts["fault broker forgets"]
        return now >= self._disturbed_at + (FORGOTTEN_S if forgot else RECOVERY_S)

    def _moving(self, name: Name, status: Mapping[str, Any]) -> object:
        """What changes while something moves; None: something is under way."""
        oracle = self._oracle
        ledger = oracle.ledgers.get((name[0], status["base"]))
        if ledger is not None and any(claim.deployment == name[1] for claim in ledger.claims.values()):
            return None
        counts = ("generation", "replicas", "updated", "available", "updatedAvailable", "failed", "moving")
        return (
            oracle.taken_by[name],  # claims that came and went between two looks
            status["phase"],
            status["reason"],
            status["batch"]["current"],
            *(status[one] for one in counts),
            *(problem["reason"] for problem in status["problems"]),
        )


ENDED = ("Healthy", "Aborted", "Deleted", "Invalid")


def unexplained(status: Mapping[str, Any]) -> str | None:
    """What a status leaves open about a rollout that stands still; None: nothing."""
    told = f"{status['phase']}: {status['reason']}: {status['message']}"
    phase = status["phase"]
    if phase in ENDED:
        return None
    if not status["next"]:
        return f"{told} (and not what opens it)"
    if phase in ("Waiting", "Paused", "Degraded", "Blocked") or status["gates"] or status["problems"]:
        return None
    return told
