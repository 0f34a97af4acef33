"""A control plane to look at by hand: ``python -m tests.cluster [--controllers]``, until Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from tests.cluster import crd
from tests.cluster.access import Access
from tests.cluster.binaries import Missing, find_binaries
from tests.cluster.control_plane import ControlPlane


def main() -> None:
    found = find_binaries()
    if isinstance(found, Missing):
        sys.exit(found.reason)
    with tempfile.TemporaryDirectory(prefix="tranche-cluster-") as folder:
        plane = ControlPlane(found, Path(folder), controllers="--controllers" in sys.argv[1:])
        try:
            plane.start()
            asyncio.run(_install(plane.access))
            print(f"export KUBECONFIG={plane.access.kubeconfig(Path(folder) / 'kubeconfig')}", flush=True)
            signal.signal(signal.SIGTERM, signal.default_int_handler)
            with suppress(KeyboardInterrupt):
                signal.pause()
        finally:
            plane.stop()


async def _install(access: Access) -> None:
    async with access.client() as api:
        await crd.install(api)


if __name__ == "__main__":
    main()
