"""What tests share: a real nats-server, a bus on it, and the broker in memory."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

from tranche.bus.nats import NatsBus, connect
from tranche.bus.server import NatsServer, embedded_server

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # So in the background of a shell, and the commands under test would inherit it: Ctrl-C would do nothing.
    signal.signal(signal.SIGINT, signal.default_int_handler)


class _OneOwnerOfWhatIsDear(LoadScopeScheduling):
    """Every test goes to whoever is free; those on real bases all to the same, who owns the JVMs, and so those on
    a real apiserver."""

    def _split_scope(self, nodeid: str) -> str:
        for dear in ("real", "cluster"):
            if nodeid.startswith(f"tests/{dear}/") or f"[{dear}" in nodeid:
                return dear
        return nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadScopeScheduling:
    return _OneOwnerOfWhatIsDear(config, log)


@pytest.fixture
async def nats_server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    """A fresh server with a store of its own; it starts in 0.02 s."""
    async with embedded_server(tmp_path / "nats") as server:
        yield server


@pytest.fixture
async def bus(nats_server: NatsServer) -> AsyncIterator[NatsBus]:
    """A connection to the fresh server."""
    async with connect(nats_server.url, name="test") as connected:
        yield connected
