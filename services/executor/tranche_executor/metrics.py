"""What an operator measures of an executor."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Metrics:
    """Counters of operations and observations, in the service's registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.operations = Counter(
            "tranche_executor_operations",
            "Operations that ended, by what was done and how it ended",
            ["op", "result"],
            registry=registry,
        )
        self.seconds = Histogram(
            "tranche_executor_operation_seconds",
            "From the task to the end of the operation under one hold",
            ["op"],
            buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120),
            registry=registry,
        )
        self.in_flight = Gauge(
            "tranche_executor_in_flight", "Pods that are being worked on", registry=registry
        )
        self.redeliveries = Counter(
            "tranche_executor_redeliveries",
            "Tasks that were delivered before, to us or another executor",
            registry=registry,
        )
        self.observations = Counter(
            "tranche_executor_observations",
            "Looks at bases, by whether they answered",
            ["answered"],
            registry=registry,
        )
