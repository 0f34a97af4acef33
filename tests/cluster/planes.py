"""The control planes of a test session: started with the first test that needs one, ended with the session."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tests.cluster.binaries import HELP, Binaries, Missing, find_binaries
from tests.cluster.control_plane import ControlPlane


class Planes:
    """At most two: one without controllers, where nothing happens that a test does not do, and one with."""

    def __init__(self, binaries: Binaries) -> None:
        self._binaries = binaries
        self._directory = tempfile.TemporaryDirectory(prefix="tranche-cluster-", ignore_cleanup_errors=True)
        self._running: dict[bool, ControlPlane] = {}

    def plane(self, *, controllers: bool) -> ControlPlane:
        """The one of this kind, its servers running whatever a test before has done to them."""
        if controllers not in self._running:
            folder = Path(self._directory.name) / ("controllers" if controllers else "plain")
            plane = self._running[controllers] = ControlPlane(self._binaries, folder, controllers)
            plane.start()
        self._running[controllers].revive()
        return self._running[controllers]

    def close(self) -> None:
        """End every server and remove what they wrote."""
        for plane in self._running.values():
            plane.stop()
        self._directory.cleanup()


_KEY = pytest.StashKey[Planes]()


def shared_plane(config: pytest.Config, *, controllers: bool) -> ControlPlane:
    """A control plane of the session. Skips where it cannot be had, and says how to have it."""
    found = find_binaries()
    if isinstance(found, Missing):
        # Where somebody says it is there, "could not be tested" must not look like "passed".
        if found.fatal:
            pytest.fail(found.reason, pytrace=False)
        pytest.skip(found.reason)
    if controllers and not found.has_controllers:
        pytest.skip(f"kube-controller-manager is missing in {found.directory}: {HELP}")
    if _KEY not in config.stash:
        planes = config.stash[_KEY] = Planes(found)
        config.add_cleanup(planes.close)
    return config.stash[_KEY].plane(controllers=controllers)
