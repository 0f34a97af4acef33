"""What an operator sees of the scheduler in numbers."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Metrics:
    """The scheduler's metrics; ``pool`` is ``namespace/base``."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.claims = Gauge("tranche_scheduler_claims", "Claims in flight", ("pool",), registry=registry)
        self.pools = Gauge("tranche_scheduler_pools", "Pools looked after by this process", registry=registry)
        self.rounds = Counter("tranche_scheduler_rounds", "Rounds decided", registry=registry)
        self.conflicts = Counter(
            "tranche_scheduler_conflicts", "Ledger writes lost to another scheduler", registry=registry
        )
        self.decision_s = Histogram(
            "tranche_scheduler_decision_seconds",
            "Time to decide a round",
            buckets=(0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3),
            registry=registry,
        )
        self.violations = Counter(
            "tranche_scheduler_budget_violations",
            "Rounds that took a replica down against its budget; must stay 0",
            registry=registry,
        )
