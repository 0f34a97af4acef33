"""What a pool says: tasks and progress, published beside the rounds so that no round waits for an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import structlog

from tranche.contract.ledger import Claim
from tranche.contract.progress import Progress
from tranche.errors import TrancheError
from tranche.runtime import Runtime
from tranche_scheduler.store import PoolStore

AT_ONCE = 100
"""Messages in flight."""
PAUSE_S = 0.2

log = structlog.get_logger()


class Messenger:
    """Publishes what is given to it. Of several progresses of a deployment the newest is said."""

    def __init__(self, store: PoolStore, runtime: Runtime) -> None:
        self._store = store
        self._runtime = runtime
        self._bell = asyncio.Event()
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._progress: dict[str, tuple[Progress, int]] = {}
        self._tasks: dict[str, Claim] = {}

    async def wait_quiet(self) -> None:
        """Until all that was given is published."""
        await self._quiet.wait()

    def say(self, progress: Progress, ledger_revision: int) -> None:
        self._progress[progress.name] = (progress, ledger_revision)
        self._ring()

    def hand_out(self, claims: Iterable[Claim]) -> None:
        for claim in claims:
            self._tasks[claim.pod] = claim
            self._ring()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._bell.wait()
            if not await self._flush():
                await self._runtime.clock.sleep(PAUSE_S)
                self._bell.set()
            elif not self._progress and not self._tasks:
                self._bell.clear()
                self._quiet.set()

    def _ring(self) -> None:
        self._quiet.clear()
        self._bell.set()

    async def _flush(self) -> bool:
        """Publish once what there is, progress first; False: something has to be said again."""
        sayings = [self._progress.pop(name) for name in list(self._progress)[:AT_ONCE]]
        claims = [self._tasks.pop(pod) for pod in list(self._tasks)[:AT_ONCE]]
        failed: list[TrancheError] = []
        async with self._runtime.tasks.group() as group:
            for progress, revision in sayings:
                group.spawn(self._say(progress, revision, failed), name=f"say {progress.name}")
            for claim in claims:
                group.spawn(self._hand_out(claim, failed), name=f"task {claim.pod}")
        if failed:
            log.warning("could not publish, trying again", messages=len(failed), error=str(failed[0]))
        return not failed

    async def _say(self, progress: Progress, revision: int, failed: list[TrancheError]) -> None:
        try:
            await self._store.say_progress(progress, ledger_revision=revision)
        except TrancheError as error:
            failed.append(error)
            self._progress.setdefault(progress.name, (progress, revision))

    async def _hand_out(self, claim: Claim, failed: list[TrancheError]) -> None:
        try:
            await self._store.publish_task(claim)
        except TrancheError as error:
            failed.append(error)
            self._tasks.setdefault(claim.pod, claim)
