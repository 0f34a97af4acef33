"""Composition root: the only place that knows which adapters are real."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import structlog

from tranche.errors import Refused
from tranche.runtime import system_runtime
from tranche.service import Service, run
from tranche.settings import load_or_exit
from tranche_executor.arklet.artifact import JarCheck
from tranche_executor.arklet.client import ArkletClient, http_client
from tranche_executor.base import Base
from tranche_executor.core.observation import Silence
from tranche_executor.execution import Limits, execute
from tranche_executor.pods.choice import Ears, Place, check_sources, follows_files, open_sources
from tranche_executor.settings import ExecutorSettings

log = structlog.get_logger()


async def work(service: Service, settings: ExecutorSettings) -> None:
    """Observe and work until asked to stop."""
    clock = service.runtime.clock
    if not settings.url_allow:
        log.warning("modules may come from any URL: set TRANCHE_URL_ALLOW")
    async with (
        http_client(clock) as client,
        JarCheck(_kept_jars(), clock) as jars,
        open_sources(
            *(settings.pods, service.runtime, _ears(service, settings, client)),
            Place(settings.kubernetes_namespaces, settings.arklet_port),
        ) as (source, traffic),
    ):
        await execute(
            *(service, source, client, jars),
            limits=Limits.of(settings),
            alone=follows_files(settings.pods),
            traffic=traffic,
        )


def _ears(service: Service, settings: ExecutorSettings, client: ArkletClient) -> Ears:
    async def ask(address: str) -> bool:
        return not isinstance(await Base(client, address).look(), Silence)

    return Ears(service.bus, ask, settings.heartbeat_host, settings.heartbeat_silence)


def _kept_jars() -> Path:
    """A folder of ours alone: jars are kept by digest, so the processes of one user share it."""
    folder = Path(tempfile.gettempdir()) / f"tranche-jars-{os.getuid()}"
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022:
        return folder
    # Somebody else could put other bytes there between our check and our use.
    return Path(tempfile.mkdtemp(prefix="tranche-jars-"))


def main() -> None:
    """Run the executor until SIGTERM or SIGINT."""
    settings = load_or_exit(ExecutorSettings, program="tranche-executor")
    try:
        # Before anything else: a bad inventory is told also where there is no broker yet.
        check_sources(settings.pods, system_runtime().clock)
    except Refused as error:
        print(f"tranche-executor: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    raise SystemExit(run("executor", settings, work))


if __name__ == "__main__":
    main()
