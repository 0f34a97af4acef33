"""The I/O points of a run by kind: whose word it is, to whom, and whether it has arrived."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from tests.simulation.air import Air
from tests.simulation.golden import BASE
from tests.simulation.process import PROCESS
from tranche.contract import subjects

BEFORE, AFTER = "before", "after"
GIVEN_UP = "a word that was given up"

Crashes = tuple[int, ...]
"""The I/O points of a run at which the process that is there dies, in order."""


class NamingAir(Air):
    """Knows of each I/O point whose word it is and to whom, before and after."""

    def __init__(self, calm: Air, crashes: Crashes, asks: Callable[[int], bool]) -> None:
        super().__init__(calm.loop, calm.draw, sweep=frozenset(crashes), on_crash=calm.on_crash)
        self.kinds: list[str] = []
        self._asks = asks
        self._open: dict[asyncio.Task[Any] | None, int] = {}
        """Words on their way: the points before them, by the task that waits."""
        self._said: dict[asyncio.Task[Any] | None, str] = {}
        """Words that arrived and whose second point comes next."""

    async def point(self, crash: bool) -> None:
        process = PROCESS.get()
        if process is None:
            return
        task = asyncio.current_task()
        if (word := self._said.pop(task, None)) is not None:
            self.kinds.append(f"{word} {AFTER}")
        else:
            self._open[task] = len(self.kinds)
            self.kinds.append(f"{process.kind} {GIVEN_UP} {BEFORE}")
        if self._asks(len(self.kinds)):
            self.sweep |= {len(self.kinds)}
        await super().point(crash)

    def note(self, *words: object) -> None:
        super().note(*words)
        # The first thing that is noted after a word has left is that it arrived.
        if (
            self._open
            and words[0] not in ("FAULT", "killed")
            and (task := asyncio.current_task()) in self._open
        ):
            process = PROCESS.get()
            assert process is not None
            self._said[task] = f"{process.kind} {_pattern(*map(str, words[1:]))}"
            self.kinds[self._open.pop(task)] = f"{self._said[task]} {BEFORE}"


def _pattern(about: str, how: str) -> str:
    """What a word was: a command to a base, or a subject without its names.

    >>> _pattern("$KV.tranche-pools.shop.web-base", "done"), _pattern("web-base-1", "installBiz")
    ('$KV.tranche-pools', 'call installBiz')
    """
    if about.startswith(f"{BASE}-"):
        return f"call {how}"
    parts = about.split(".")
    verb = f" {parts[-1]}" if parts[1:2] == ["deployments"] else ""
    kind = f".{parts[3]}" if parts[1:2] == [subjects.LEASES] else ""
    return f"{'.'.join(parts[:2])}{kind}{verb}{' acked' if how == 'told' else ''}"
