"""What a pool's scheduler reads and writes on the bus: its ledger, tasks and progress."""

from __future__ import annotations

from tranche.bus import cas
from tranche.bus.cas import Held
from tranche.bus.port import Bus
from tranche.contract import subjects
from tranche.contract.ledger import Claim, Ledger, Task
from tranche.contract.placing import home_of_ledger, home_of_plan
from tranche.contract.plan import Plan
from tranche.contract.progress import Progress
from tranche.errors import Conflict, Refused
from tranche.runtime import Runtime
from tranche_scheduler.core.progress import newer

_POOLS = subjects.bucket_stream(subjects.POOLS)


class PoolStore:
    """The subjects of one pool. All of it raises ``tranche.errors``."""

    def __init__(self, bus: Bus, runtime: Runtime, namespace: str, base: str) -> None:
        self._bus = bus
        self._runtime = runtime
        self._namespace = namespace
        self._base = base
        self._key = subjects.key(subjects.POOLS, namespace, base)
        self._said: dict[str, int] = {}
        """By deployment: the sequence of the progress we published last, if nobody has since."""
        self._newest: tuple[str, int] | None = None
        """The last of all of them: whose it was, and its sequence."""

    async def read_ledger(self) -> Held[Ledger]:
        """The ledger now; a fresh one under sequence 0 where there is none."""
        held = await cas.read(self._bus, Ledger, _POOLS, self._key, home=home_of_ledger)
        return held if held is not None else Held(self._fresh(), 0)

    def doubt(self) -> None:
        """What we said may be forgotten: look before anything is said next."""
        self._said.clear()

    async def has_forgotten(self) -> bool:
        """Whether the progress that we published last is not there any more: what is newest is forgotten first."""
        if self._newest is None:
            return False
        name, sequence = self._newest
        found = await self._bus.last(subjects.PROGRESS, subjects.progress(self._namespace, name))
        return found is None or found.sequence < sequence

    async def write_ledger(self, ledger: Ledger, *, expect: int) -> Held[Ledger]:
        """Raises Conflict when somebody else was first."""
        return await cas.swap(self._bus, self._runtime, _POOLS, self._key, ledger, expect=expect)

    async def newest_plan(self, name: str) -> int:
        """The revision of a deployment's plan as the stream has it; 0: there is none that can be read."""
        subject = subjects.plan(self._namespace, self._base, name)
        try:
            held = await cas.read(self._bus, Plan, subjects.PLANS, subject, home=home_of_plan)
        except Refused:
            return 0
        return held.value.revision if held is not None else 0

    async def publish_task(self, claim: Claim) -> None:
        """Say that the pod has a claim. Raises Full where a task of the pod is there already."""
        task = Task(namespace=self._namespace, base=self._base, pod=claim.pod, token=claim.token)
        subject = subjects.task(self._namespace, self._base, claim.pod)
        await self._bus.publish(subject, task.encode(), headers=cas.HEADERS)

    async def say_progress(self, progress: Progress, *, ledger_revision: int) -> None:
        """Publish it unless what is there is newer; ``ledger_revision``: where the ledger stands now."""
        subject = subjects.progress(progress.namespace, progress.name)
        expect = self._said.pop(progress.name, None)
        while True:
            if expect is None:
                found = await self._bus.last(subjects.PROGRESS, subject)
                if found is not None and not _supersedes(progress, found.data, ledger_revision):
                    return
                expect = found.sequence if found is not None else 0
            try:
                sequence = await self._bus.publish(
                    subject, progress.encode(), expect=expect, headers=cas.HEADERS
                )
            except Conflict:
                expect = None  # somebody else's, or ours whose answer was lost: look at it
            else:
                self._said[progress.name] = sequence
                self._newest = (progress.name, sequence)
                return

    def _fresh(self) -> Ledger:
        return Ledger(namespace=self._namespace, base=self._base, epoch=self._runtime.dice.nonce())


def _supersedes(progress: Progress, found: bytes, ledger_revision: int) -> bool:
    try:
        return newer(progress, Progress.decode(found), ledger_revision)
    except ValueError:
        return True  # what nobody can read is replaced
