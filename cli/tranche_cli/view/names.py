"""Many names in few words: pods counted up by number are told as ranges."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_NUMBERED = re.compile(r"(.*?)(0|[1-9][0-9]*)", re.DOTALL)


def folded(names: Iterable[str]) -> list[str]:
    """The same names, exactly; neighbours by number become ``first..last``. In natural order.

    >>> folded(["web-10", "web-9", "web-2", "web-8", "db"])
    ['db', 'web-2', 'web-8..10']
    """
    numbers: dict[str, list[int]] = {}
    plain: list[str] = []
    for name in names:
        # A leading zero would be lost, and with it the name.
        if (found := _NUMBERED.fullmatch(name)) and len(found[2]) < 16:
            numbers.setdefault(found[1], []).append(int(found[2]))
        else:
            plain.append(name)
    told = [((name, -1), name) for name in plain]
    for stem, all_ in numbers.items():
        told += [((stem, first), _range(stem, first, last)) for first, last in _runs(sorted(all_))]
    return [words for _, words in sorted(told)]


def _runs(numbers: Sequence[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs


def _range(stem: str, first: int, last: int) -> str:
    if last == first:
        return f"{stem}{first}"
    # Two are shorter said one by one.
    return f"{stem}{first}, {stem}{last}" if last == first + 1 else f"{stem}{first}..{last}"
