"""Subjects and the filters that match them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache


@lru_cache(maxsize=65_536)
def matches(filter_: str, subject: str) -> bool:
    """Whether a filter with ``*`` (one token) and ``>`` (one token or more, at the end) covers a subject.

    >>> matches("a.*.c", "a.b.c"), matches("a.>", "a.b.c"), matches("a.>", "a"), matches("a.*", "a.b.c")
    (True, True, False, False)
    """
    if filter_ == subject:
        return True
    wanted, given = filter_.split("."), subject.split(".")
    for index, token in enumerate(wanted):
        if token == ">":
            return len(given) > index
        if index >= len(given) or token not in ("*", given[index]):
            return False
    return len(wanted) == len(given)


def matches_any(filters: Sequence[str], subject: str) -> bool:
    """Whether one of the filters covers the subject."""
    return any(matches(filter_, subject) for filter_ in filters)
