"""What an operator may count of a planner; no labels by deployment."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class Metrics:
    """Counters of one process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.events = Counter(
            "tranche_planner_events", "Deployment events handled", ["verb", "result"], registry=registry
        )
        self.progress = Counter("tranche_planner_progress", "Progress messages handled", registry=registry)
        self.conflicts = Counter(
            "tranche_planner_conflicts", "Saves that somebody else was faster with", registry=registry
        )
        self.decision_seconds = Histogram(
            "tranche_planner_decision_seconds",
            "From a message in hand to everything said",
            ["message"],
            buckets=_SECONDS,
            registry=registry,
        )
