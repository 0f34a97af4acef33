"""Messages that make no sense are kept with the reason, where people find them (design 2.2)."""

from __future__ import annotations

import json

from tranche.bus.port import Bus, Stored
from tranche.contract import subjects
from tranche.contract.answer import RefusedAnswer

SHOWN_BYTES = 4096


async def keep_rejected(
    bus: Bus, message: Stored, answer: RefusedAnswer, *, place: tuple[str, str] | None
) -> None:
    """Publish what was refused and why; a message that comes twice is kept once."""
    document = {
        **json.loads(answer.encode()),
        "subject": message.subject,
        "payload": message.data[:SHOWN_BYTES].decode(errors="replace"),
    }
    where = subjects.rejected(*place) if place else subjects.rejected()
    stamp = f"{message.subject} {message.sequence} {message.time.timestamp()}"
    await bus.publish(
        where,
        json.dumps(document).encode(),
        msg_id=f"rejected {stamp}",
        headers={subjects.SCHEMA_HEADER: subjects.SCHEMA},
    )
