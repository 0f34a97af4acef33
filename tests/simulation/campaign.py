"""Many seeds on all cores: a process for every family, forked from one that has loaded everything.

Each ends without tidying up, so nothing is ever torn down or collected.
"""

from __future__ import annotations

import gc
import os
import pickle
import selectors
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from tests.simulation.family import Told, ends_process, lost, tell_family
from tests.simulation.schedule import run

LOOK_S = 1.0


@dataclass(eq=False)
class _Running:
    """A family on its way."""

    seed: int
    pid: int
    outlet: int
    core: int | None = None
    """The only one it runs on."""
    heard: bytearray = field(default_factory=bytearray)
    ended: int = 0
    """What the system says of its process."""


class Campaign:
    """Plays families, so many at a time. ``widths``: see ``family``; ``done``: whether to begin no more."""

    def __init__(self, *, widths: Sequence[int], workers: int, done: Callable[[], bool]) -> None:
        self._widths = widths
        self._workers = workers
        self._done = done
        # In a family one process runs at a time, each for some milliseconds: not worth moving to another core. Who
        # does not have them all may not be alone, and then the system knows better.
        cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        self._cores: list[int | None] = [*cores] if workers == len(cores) else [None] * workers
        self._running: dict[int, _Running] = {}
        self._selector = selectors.DefaultSelector()

    def families(self, first: int, last: int | None) -> Iterator[tuple[int, list[Told]]]:
        """What the schedules of each seed told, seed after seed; ``last`` is not played, None: no end."""
        _settle()
        following, due = first, first
        ready: dict[int, list[Told]] = {}
        while True:
            while len(self._running) < self._workers and following != last and not self._done():
                self._begin(following)
                following += 1
            if not self._running:
                return
            for family in self._ended():
                ready[family.seed] = _told(family)
            while due in ready:
                yield due, ready.pop(due)
                due += 1

    def stop(self) -> None:
        """End what still runs; its seeds were not played."""
        for running in self._running.values():
            os.killpg(running.pid, signal.SIGKILL)
            os.waitpid(running.pid, 0)
        self._running.clear()

    def _begin(self, seed: int) -> None:
        outlet, inlet = os.pipe()
        core = self._cores.pop(0)
        pid = os.fork()
        if not pid:
            if core is not None:
                os.sched_setaffinity(0, {core})
            _play(seed, self._widths, inlet)
        os.close(inlet)
        running = self._running[outlet] = _Running(seed, pid, outlet, core)
        self._selector.register(outlet, selectors.EVENT_READ, running)

    def _ended(self) -> list[_Running]:
        """Those that have said their last word, within a moment."""
        ended = []
        for key, _ in self._selector.select(LOOK_S):
            running = key.data
            if heard := os.read(running.outlet, 1 << 16):
                running.heard += heard
                continue
            self._selector.unregister(running.outlet)
            os.close(running.outlet)
            del self._running[running.outlet]
            self._cores.append(running.core)
            running.ended = os.waitpid(running.pid, 0)[1]
            ended.append(running)
        return ended


def _settle() -> None:
    """What all families share is loaded, and never looked at again by the collector."""
    run("warm")
    gc.collect()
    gc.freeze()
    gc.disable()


def _play(seed: int, widths: Sequence[int], inlet: int) -> NoReturn:
    """In a process of its own, which ends here."""
    os.setpgid(0, 0)

    def tell(told: Told) -> None:
        words = pickle.dumps(told)
        os.write(inlet, len(words).to_bytes(4, "big") + words)

    with ends_process():
        tell_family(str(seed), widths, tell)
    raise AssertionError("it has ended")


def _told(running: _Running) -> list[Told]:
    """In the order of their seeds."""
    found = [lost(str(running.seed), running.ended)] if running.ended else []
    heard = bytes(running.heard)
    while heard:
        length = int.from_bytes(heard[:4], "big")
        found.append(pickle.loads(heard[4 : 4 + length]))
        heard = heard[4 + length :]
    return sorted(found, key=lambda told: [int(part) for part in told.seed.split(".")])
