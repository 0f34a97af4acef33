"""Pods by the number of modules on them, each number's in name order: the best one is found at once."""

from __future__ import annotations

from typing import Any

from sortedcontainers import SortedSet

from tranche_scheduler.core.placement import Direction


class Buckets:
    """Pod names kept by module count.

    >>> buckets = Buckets()
    >>> for count, name in ((2, "c"), (0, "b"), (0, "a")):
    ...     buckets.add(count, name)
    >>> buckets.head(1), buckets.head(-1), len(buckets)
    ((0, 'a'), (2, 'c'), 3)
    """

    __slots__ = ("_by_count", "_size")

    def __init__(self) -> None:
        self._by_count: dict[int, Any] = {}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, count: int, name: str) -> None:
        names = self._by_count.get(count)
        if names is None:
            names = self._by_count[count] = SortedSet()
        names.add(name)
        self._size += 1

    def remove(self, count: int, name: str) -> None:
        """Raises KeyError when it is not there: the index would have gone wrong before."""
        names = self._by_count[count]
        names.remove(name)
        self._size -= 1
        if not names:
            del self._by_count[count]

    def head(self, direction: Direction) -> tuple[int, str] | None:
        """The first by module count in this direction, then by name."""
        if not self._by_count:
            return None
        count = min(self._by_count) if direction == 1 else max(self._by_count)
        return count, self._by_count[count][0]

    def head_outside(self, excluded: Buckets, direction: Direction) -> tuple[int, str] | None:
        """The first that is not in ``excluded``, all of whose pods are here too, under the same counts.

        >>> seats, taken = Buckets(), Buckets()
        >>> for name in ("a", "b", "c"):
        ...     seats.add(1, name)
        >>> taken.add(1, "a"), taken.add(1, "c"), seats.head_outside(taken, 1)
        (None, None, (1, 'b'))
        """
        for count in sorted(self._by_count, reverse=direction == -1):
            names = self._by_count[count]
            skipped = excluded._by_count.get(count, ())
            if len(skipped) < len(names):
                return count, names[_first_difference(names, skipped)]
        return None


def _first_difference(names: Any, skipped: Any) -> int:
    """Where two ordered sets part, the second a subset of the first: equal at i means equal up to i, so the
    place can be halved towards."""
    low, high = 0, len(skipped)
    while low < high:
        middle = (low + high) // 2
        if names[middle] == skipped[middle]:
            low = middle + 1
        else:
            high = middle
    return low
