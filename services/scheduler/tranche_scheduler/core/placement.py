"""Which pod is taken first, by policy: rows of a table (design 1.5)."""

from __future__ import annotations

from typing import Literal, NamedTuple

Direction = Literal[1, -1]
"""1: fewest modules first. -1: most modules first. Equal ones by name, bytewise ascending."""


class Rank(NamedTuple):
    """The order of pods for each kind of step."""

    install: Direction
    remove: Direction
    replace: Direction


RANK: dict[str, Rank] = {
    "scatter": Rank(install=1, remove=-1, replace=1),
    "stacking": Rank(install=-1, remove=1, replace=-1),
}
