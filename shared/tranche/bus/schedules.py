"""How a broker is told to keep a message until it is due."""

from __future__ import annotations

from datetime import UTC, datetime


def scheduled(at: datetime, target: str) -> dict[str, str]:
    """The headers of a message that is due on another subject at a time.

    To the microsecond: cut off to milliseconds it would come before its time.

    >>> scheduled(datetime(2026, 1, 31, 9, 30, 0, 999, tzinfo=UTC), "wake.cart")["Nats-Schedule"]
    '@at 2026-01-31T09:30:00.000999Z'
    """
    moment = at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return {"Nats-Schedule": f"@at {moment}", "Nats-Schedule-Target": target}
