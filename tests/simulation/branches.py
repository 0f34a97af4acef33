"""A run that is left at its I/O points: each child goes on from there alone, so nothing before is played again."""

from __future__ import annotations

import asyncio
import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")

Chosen = Callable[[int, int], bool]
"""Whether a run is left at this I/O point, in this step of the user."""


class Branches(Generic[T]):
    """This run, and the children that left it. In a child: that child's run, to be left as the next way says.

    ``ways``: where the run is left, where its children are, and so on; ``jobs``: children at a time.
    """

    def __init__(self, ways: Sequence[Chosen], jobs: int) -> None:
        self._ways = list(ways)
        self._jobs = jobs
        self._outlet: int | None = None
        """Where a child tells its parent; None: nobody's child."""
        self._left: list[tuple[int, int, int]] = []
        """The points, pids and pipes of children that have not told yet."""
        self._told: list[tuple[int, T]] = []

    def at_point(self, number: int, step: int) -> bool:
        """Whether this is a child now, in which somebody dies."""
        if not self._ways or not self._ways[0](number, step):
            return False
        if len(self._left) >= self._jobs:
            self._hear()
        inlet, outlet = os.pipe()
        loop = asyncio.get_running_loop()
        if pid := os.fork():
            os.close(outlet)
            self._left.append((number, pid, inlet))
            return False
        # Which loop runs is remembered for one process only.
        asyncio._set_running_loop(loop)
        os.close(inlet)
        self._ways, self._jobs, self._left, self._told = self._ways[1:], 1, [], []
        self._outlet = outlet
        return True

    def told(self) -> Iterator[tuple[int, T]]:
        """What each child told, with the point at which it left. Raises RuntimeError where one broke."""
        while self._left:
            self._hear()
        yield from self._told

    def tell(self, what: T) -> None:
        """A child tells its parent and is gone; anybody else goes on."""
        if self._outlet is not None:
            with os.fdopen(self._outlet, "wb") as pipe:
                pickle.dump(what, pipe)
            os._exit(0)

    def _hear(self) -> None:
        number, pid, inlet = self._left.pop(0)
        with os.fdopen(inlet, "rb") as pipe:
            words = pipe.read()
        _, status = os.waitpid(pid, 0)
        if status or not words:
            raise RuntimeError(f"the run with a crash at {number} ended with {status} and told nothing")
        self._told.append((number, pickle.loads(words)))
