"""Messages of a durable consumer, handled side by side, a bounded number at once, until asked to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from tranche.bus.port import ConsumerSpec, Delivery
from tranche.errors import Conflict, TrancheError, Unavailable, Unknown
from tranche.service import Service

PARALLEL = 128
WAIT_S = 1.0
AGAIN_S = 0.5
SURPRISE_S = 5.0

Handle = Callable[[Delivery], Awaitable[None]]


async def pump(service: Service, consumer: ConsumerSpec, handle: Handle) -> None:
    """Fetch and handle until the service is asked to stop; then finish what is in hand."""
    log = structlog.get_logger().bind(stream=consumer.stream)
    pull = await service.bus.pull(consumer)
    slots = _Slots(PARALLEL)

    async def work(delivery: Delivery) -> None:
        try:
            await _handled(delivery, handle, log)
        finally:
            slots.give_back()

    async with service.runtime.tasks.group() as group:
        while not service.stopping.asked:
            await slots.wait_free()
            try:
                deliveries = await pull.fetch(slots.free, wait_s=WAIT_S)
            except TrancheError as error:
                log.warning("messages cannot be fetched, trying again", error=str(error))
                await service.runtime.clock.sleep(AGAIN_S)
                continue
            for delivery in deliveries:
                slots.take()
                group.spawn(work(delivery), name=f"handle {delivery.message.subject}")


class _Slots:
    """How many messages may still be taken into hand."""

    def __init__(self, count: int) -> None:
        self.free = count
        self._some = asyncio.Event()
        self._some.set()

    def take(self) -> None:
        self.free -= 1
        if self.free <= 0:
            self._some.clear()

    def give_back(self) -> None:
        self.free += 1
        self._some.set()

    async def wait_free(self) -> None:
        await self._some.wait()


async def _handled(delivery: Delivery, handle: Handle, log: structlog.stdlib.BoundLogger) -> None:
    """One message: acked by its handler, or handed back to come again."""
    try:
        await handle(delivery)
    except* (Unavailable, Unknown, Conflict) as group:
        log.info("handed back, it comes again", subject=delivery.message.subject, error=_words(group))
        await _hand_back(delivery, AGAIN_S)
    except* Exception as group:
        log.exception(
            "could not be handled, it comes again", subject=delivery.message.subject, error=_words(group)
        )
        await _hand_back(delivery, SURPRISE_S)


async def _hand_back(delivery: Delivery, delay_s: float) -> None:
    try:
        await delivery.nak(delay_s)
    except TrancheError:
        return  # unanswered, it comes again after ack_wait


def _words(group: BaseExceptionGroup[BaseException]) -> str:
    return "; ".join(str(error) or type(error).__name__ for error in group.exceptions)
