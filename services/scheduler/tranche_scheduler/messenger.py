"""What a pool says: tasks and progress, published beside the rounds so that no round waits for an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import structlog

from tranche.contract.ledger import Claim
from tranche.contract.progress import Progress
from tranche.errors import Full, TrancheError
from tranche.runtime import Runtime
from tranche_scheduler.store import PoolStore

AT_ONCE = 100
"""Messages in flight."""
PAUSE_S = 0.2
ACKED_S = 1.0
"""So long a new claim's task is offered again where an earlier one of the pod is there. What ends a claim is known
before its task is acked, and in a cluster the ack takes longer than the way to the next claim of the same pod."""

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
        self._refused: dict[str, Claim] = {}
        """To be offered again."""
        self._newest: int | None = None
        """The highest token that was handed out; None: nothing was. What comes first was claimed by whoever had the
        pool before us, and is out."""
        self._patience: dict[int, float] = {}
        """By token of a new claim: until when its task is offered again."""

    async def wait_quiet(self) -> None:
        """Until all that was given is published."""
        await self._quiet.wait()

    def say(self, progress: Progress, ledger_revision: int) -> None:
        self._progress[progress.name] = (progress, ledger_revision)
        self._ring()

    def hand_out(self, claims: Iterable[Claim]) -> None:
        now, newest = self._runtime.clock.monotonic(), self._newest
        self._patience = {token: until for token, until in self._patience.items() if until > now}
        for claim in claims:
            if newest is not None and claim.token > newest:
                self._patience[claim.token] = now + ACKED_S
            self._newest = max(self._newest or 0, claim.token)
            self._tasks[claim.pod] = claim
            self._ring()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._bell.wait()
            if not await self._flush():
                await self._runtime.clock.sleep(PAUSE_S)
                self._bell.set()
            elif self._progress or self._tasks:
                continue
            elif self._refused:
                self._bell.clear()
                await self._rest()
            else:
                self._bell.clear()
                self._quiet.set()

    async def _rest(self) -> None:
        """Give the acks time to arrive, unless something else is to be said; then offer the tasks again."""
        try:
            async with self._runtime.clock.timeout(PAUSE_S):
                await self._bell.wait()
        except TimeoutError:
            self._bell.set()
        refused, self._refused = self._refused, {}
        self._tasks = refused | self._tasks

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
        except Full:
            # It says all that ours does, unless its executor is only about to ack it.
            if self._runtime.clock.monotonic() < self._patience.get(claim.token, 0.0):
                self._refused[claim.pod] = claim
        except TrancheError as error:
            failed.append(error)
            self._tasks.setdefault(claim.pod, claim)
