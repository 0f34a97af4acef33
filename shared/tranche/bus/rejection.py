"""Messages that make no sense are kept with the reason, where people find them (design 2.2)."""

from __future__ import annotations

from tranche.bus.cas import HEADERS
from tranche.bus.port import Bus, Stored
from tranche.contract import subjects
from tranche.contract.answer import RefusedAnswer, Rejection

SHOWN_BYTES = 4096


async def keep_rejected(
    bus: Bus, message: Stored, answer: RefusedAnswer, *, place: tuple[str, str] | None = None
) -> None:
    """Publish what was refused and why; a message that comes twice is kept once.

    ``place``: namespace and name of the deployment it was about, None where that cannot be told.
    """
    rejection = Rejection(
        errors=answer.errors,
        subject=message.subject,
        payload=message.data[:SHOWN_BYTES].decode(errors="replace"),
    )
    stamp = f"{message.subject} {message.sequence} {message.time.timestamp()}"
    where = subjects.rejected(*place) if place else subjects.rejected()
    await bus.publish(where, rejection.encode(), msg_id=f"rejected {stamp}", headers=HEADERS)
