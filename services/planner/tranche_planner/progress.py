"""The scheduler's counts, as they come: on a good one the next plan is out within milliseconds."""

from __future__ import annotations

from tranche.bus.port import Delivery
from tranche.bus.rejection import keep_rejected
from tranche.contract.answer import refused
from tranche.contract.placing import decode_at, home_of_progress
from tranche.contract.progress import Progress
from tranche_planner.desk import Desk, mark_of


class ProgressMessages:
    """Handles what comes on ``tranche.progress.*.*``."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def handle(self, delivery: Delivery) -> None:
        """One message. Raises Unavailable, Unknown or Conflict: it has to come again."""
        message, began = delivery.message, self._desk.runtime.clock.monotonic()
        try:
            progress = decode_at(Progress, message.data, message.subject, home_of_progress)
        except ValueError as error:
            answer = refused(f"this is no progress: {error}")
            await keep_rejected(self._desk.bus, message, answer)
            await delivery.term()
            return
        await self._desk.progress(progress, mark_of(message), again=delivery.attempt > 1)
        await delivery.ack()
        self._desk.metrics.progress.inc()
        taken = self._desk.runtime.clock.monotonic() - began
        self._desk.metrics.decision_seconds.labels("progress").observe(taken)
