"""A simulated process: it dies without a last word, and it freezes without knowing."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import Any

PRUNE_AT = 128


class Process:
    """Whose callbacks a loop may run. ``kind``: planner, scheduler or executor; ``instance``: unique for ever.
    ``newer``: of the next release."""

    def __init__(self, kind: str, instance: str, *, newer: bool = False) -> None:
        self.kind = kind
        self.instance = instance
        self.newer = newer
        self.alive = True
        self.frozen = False
        self.parked: list[Any] = []
        """Callbacks that came due while it was frozen."""
        self._tasks: list[asyncio.Task[Any]] = []
        self._prune_at = PRUNE_AT

    def own(self, task: asyncio.Task[Any]) -> None:
        """Kept until it is done: a task that nobody holds any more would be closed, and its last words run."""
        self._tasks.append(task)
        if len(self._tasks) > self._prune_at:
            self._tasks = [one for one in self._tasks if not one.done()]
            self._prune_at = max(PRUNE_AT, 2 * len(self._tasks))

    def kill(self) -> None:
        """From here on nothing of it runs, no ``finally`` either."""
        self.alive = False
        self.parked = []

    def tasks(self) -> list[asyncio.Task[Any]]:
        """What ran, or runs."""
        return self._tasks


PROCESS: ContextVar[Process | None] = ContextVar("PROCESS", default=None)
"""In whose name something runs; None: the world itself."""
