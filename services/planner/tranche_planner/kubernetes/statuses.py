"""What the bus says of deployments: the newest status of each, then each new one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog

from tranche.bus.port import Bus, Stored
from tranche.contract import subjects
from tranche.contract.status import Status
from tranche.errors import TrancheError
from tranche.runtime import Runtime
from tranche.service import Stopping

WAIT_S = 1.0
AGAIN_S = 1.0
CATCH_UP_S = 10.0


async def follow_statuses(
    bus: Bus,
    runtime: Runtime,
    namespaces: Sequence[str],
    stopping: Stopping,
    hear: Callable[[Status], None],
    ready: Callable[[], None],
) -> None:
    """Until the service is asked to stop. No ``namespaces``: all. ``ready``: all that was said is heard."""
    filters = [subjects.statuses_of(namespace) for namespace in namespaces] or [subjects.statuses_of(None)]
    log = structlog.get_logger()
    while not stopping.asked:
        try:
            async with bus.follow(subjects.STATUS, filters, start="last_per_subject") as follow:
                _heard(await follow.catch_up(wait_s=CATCH_UP_S), hear)
                ready()
                while not stopping.asked:
                    _heard(await follow.next(wait_s=WAIT_S), hear)
        except* TrancheError as group:
            words = "; ".join(map(str, group.exceptions))
            log.info("statuses cannot be followed, trying again", error=words)
            await runtime.clock.sleep(AGAIN_S)
    ready()


def _heard(messages: Sequence[Stored], hear: Callable[[Status], None]) -> None:
    for message in messages:
        try:
            status = Status.decode(message.data)
        except ValueError:
            continue  # a newer release's, or nobody's: the next one may be readable
        hear(status)
