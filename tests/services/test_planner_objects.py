"""A planner that is asked for Kubernetes and has none says so at once."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from tranche.bus.server import embedded_server

pytestmark = pytest.mark.nats


async def test_without_a_cluster_it_stops_and_names_the_setting(tmp_path: Path) -> None:
    async with embedded_server(tmp_path / "nats") as nats:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tranche_planner", "--nats-url", nats.url, "--deployments", "kubernetes"),
            stdout=PIPE,
            stderr=PIPE,
            env={**os.environ, "KUBECONFIG": str(tmp_path / "none")},
        )
        async with asyncio.timeout(60):
            _, errors = await process.communicate()
    assert process.returncode == 1
    assert "setting TRANCHE_DEPLOYMENTS: no cluster" in errors.decode()
