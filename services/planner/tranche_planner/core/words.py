"""Small phrases that several messages share."""

from __future__ import annotations

from datetime import datetime


def in_words(at: datetime) -> str:
    """A moment as people read it.

    >>> from datetime import UTC
    >>> in_words(datetime(2026, 1, 31, 9, 30, 0, 123000, tzinfo=UTC))
    '2026-01-31 09:30:00 UTC'
    """
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def signed(by: str | None, reason: str | None) -> str:
    """Who, and why, where it is known.

    >>> signed("bob", "looks good"), signed(None, None)
    (' by bob: looks good', '')
    """
    return f"{f' by {by}' if by else ''}{f': {reason}' if reason else ''}"


def replicas(count: int) -> str:
    """
    >>> replicas(1), replicas(3)
    ('1 replica', '3 replicas')
    """
    return "1 replica" if count == 1 else f"{count} replicas"
