"""Simulated bases in a process of their own, for the demo."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tranche.runtime import Runtime
from tranche_cli.run.child import Child, stop
from tranche_fleet.client import FleetControl

READY_S = 20.0


@asynccontextmanager
async def simulated_bases(
    folder: Path, pools: tuple[str, ...], *, install_s: float, runtime: Runtime
) -> AsyncIterator[tuple[FleetControl, Path]]:
    """Bases over real HTTP for the block: their controls, and the inventory that names them."""
    inventory = folder / "inventory.yaml"
    wanted = [part for pool in pools for part in ("--pool", pool)]
    options = [
        "--inventory",
        str(inventory),
        "--install-seconds",
        str(install_s),
        "--uninstall-seconds",
        "0.2",
    ]
    fleet = Child("bases", ["-u", "-m", "tranche_fleet", *wanted, *options], folder / "bases.log")
    try:
        await fleet.start()
        ready = await fleet.says("ready:", runtime.clock, timeout_s=READY_S)
        async with FleetControl(ready.split("control ")[1].strip()) as control:
            yield control, inventory
    finally:
        await stop([fleet], runtime.clock)
