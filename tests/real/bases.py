"""The real bases of a test session: started once, shared by all tests, ended at its end."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.real.assets import Assets, Missing, find_assets
from tests.real.base_process import BaseProcess

COUNT = 2
"""JVMs that run for the whole session; each takes 250 to 380 MB."""


class RealBases:
    """``bases[0]``, ``bases[1]``: started with the first test that needs them. ``extra`` starts another."""

    def __init__(self, assets: Assets) -> None:
        self.assets = assets
        self._directory = tempfile.TemporaryDirectory(prefix="tranche-bases-", ignore_cleanup_errors=True)
        self.all: list[BaseProcess] = []
        self._named = 0

    def start(self, count: int) -> None:
        """Have so many running. They start at the same time, which costs little more than one alone."""
        fresh = [self._new() for _ in range(count - len(self.all))]
        for base in fresh:
            base.launch()
        for base in fresh:
            base.settle()

    def _new(self, *flags: str) -> BaseProcess:
        self._named += 1
        name = f"web-base-{self._named}"
        base = BaseProcess(self.assets, Path(self._directory.name) / name, name, flags)
        self.all.append(base)
        return base

    @contextmanager
    def extra(self, *flags: str) -> Iterator[BaseProcess]:
        """One more for a while, with JVM flags of its own, e.g. one that keeps failed modules."""
        base = self._new(*flags)
        try:
            base.launch()
            base.settle()
            yield base
        finally:
            base.kill()
            self.all.remove(base)

    def __getitem__(self, index: int) -> BaseProcess:
        return self.all[index]

    def clear(self) -> None:
        """Empty bases, all of them running: what each test begins with."""
        for base in self.all:
            if not base.alive:
                base.launch()
        for base in self.all:
            base.wait_ready()
            base.clear()

    def close(self) -> None:
        """End every JVM and remove what they wrote."""
        for base in self.all:
            base.kill()
        self._directory.cleanup()


_KEY = pytest.StashKey[RealBases]()


def shared_bases(config: pytest.Config) -> RealBases:
    """The session's bases. Skips where they cannot be had, and says how to have them."""
    if _KEY not in config.stash:
        found = find_assets()
        if isinstance(found, Missing):
            # On a machine that decides what lands, "could not be tested" must not look like "passed".
            if found.fatal:
                pytest.fail(found.reason, pytrace=False)
            pytest.skip(found.reason)
        bases = config.stash[_KEY] = RealBases(found)
        config.add_cleanup(bases.close)
        bases.start(COUNT)
    return config.stash[_KEY]
