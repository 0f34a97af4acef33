"""Small words of the view: times, durations, counts, and text that is safe to print."""

from __future__ import annotations

from datetime import datetime


def safe(text: str) -> str:
    """Text on one line, without what would move a terminal's cursor or turn the writing around.

    >>> safe("started\\x1b[31m\\nagain")
    'started [31m again'
    """
    return "".join(char if char.isprintable() else " " for char in text)


def lasting(seconds: float) -> str:
    """A duration as people say it.

    >>> lasting(6.2), lasting(192), lasting(7500), lasting(270000), lasting(-1)
    ('6s', '3m12s', '2h05m', '3d03h', '0s')
    """
    whole = max(0, int(seconds))
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days}d{hour:02}h"
    if hours:
        return f"{hours}h{minute:02}m"
    return f"{minutes}m{second:02}s" if minutes else f"{second}s"


def left(until: datetime, now: datetime) -> str:
    """How long it takes until then; rounded up, so that it never says 0 too early."""
    return lasting(-((now - until).total_seconds() // 1))


def age(since: datetime, now: datetime) -> str:
    """How long ago that was."""
    return lasting((now - since).total_seconds())


def clock(at: datetime) -> str:
    """The time of day where the reader is."""
    return f"{at.astimezone():%H:%M:%S}"


def day(at: datetime) -> str:
    """The date and time where the reader is."""
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S}"


def count(number: int, one: str, many: str = "") -> str:
    """
    >>> count(1, "pod"), count(3, "pod"), count(2, "replica is", "replicas are")
    ('1 pod', '3 pods', '2 replicas are')
    """
    return f"{number} {one}" if number == 1 else f"{number} {many or one + 's'}"
