"""Works off tasks: fetch what there are free slots for, carry out the claim the ledger holds, ack last."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import structlog

from tranche.bus.cas import Held
from tranche.bus.port import Bus, Delivery, Pull
from tranche.bus.rejection import keep_rejected
from tranche.contract import subjects
from tranche.contract.answer import refused
from tranche.contract.content import Content
from tranche.contract.ledger import Claim, Ledger
from tranche.contract.record import PodRecord
from tranche.errors import Conflict, Refused, TrancheError
from tranche.runtime import Group, Runtime, Task
from tranche.service import Stopping
from tranche.streams import EXECUTOR_TASKS
from tranche_executor.arklet.client import ArkletClient
from tranche_executor.arklet.failure import BaseRefused, Failure
from tranche_executor.arklet.jar_source import url_failure
from tranche_executor.base import Base
from tranche_executor.core import admission
from tranche_executor.core.observation import described, gone
from tranche_executor.core.pod import KUBERNETES, Pod, PodKey
from tranche_executor.hold import Hold, LetGo
from tranche_executor.ledgers import Ledgers
from tranche_executor.metrics import Metrics
from tranche_executor.operating import Operating, Verdict
from tranche_executor.pods.source import PodSource
from tranche_executor.records import Records
from tranche_executor.traffic import Traffic, Unsteered

FETCH_S = 1.0
DRAIN_S = 5.0
"""Operations in flight have so long to end after we were asked to stop; then their tasks are handed back."""
AGAIN_S = (2.0, 4.0)
"""A stuck operation is looked at again after so long."""
TURNS = 5
"""So often a record that somebody else wrote is read again before the task is handed back."""

log = structlog.get_logger()


class Jars(Protocol):
    """The port to the bytes of modules."""

    async def check(self, url: str, sha256: str) -> object:
        """Returns once the jar behind the URL has this digest (64 hex digits). Raises BaseRefused."""


@dataclass(slots=True)
class Worker:
    """Shares the tasks with all other executors."""

    bus: Bus
    runtime: Runtime
    instance: str
    source: PodSource
    client: ArkletClient
    jars: Jars
    metrics: Metrics
    url_allow: Sequence[str] = ()
    parallel: int = 64
    install_timeout_s: float = 120.0
    on_silent: Callable[[PodKey], None] = lambda _: None
    """Told of a pod whose base did not answer."""
    traffic: Traffic = field(default_factory=Unsteered)
    _active: set[PodKey] = field(default_factory=set)
    _running: set[Task] = field(default_factory=set)
    _freed: asyncio.Event = field(default_factory=asyncio.Event)
    _records: Records = field(init=False)
    _ledgers: Ledgers = field(init=False)

    def __post_init__(self) -> None:
        self._records = Records(self.bus, self.runtime)
        self._ledgers = Ledgers(self.bus)

    async def run(self, stopping: Stopping) -> None:
        """Work until asked to stop; what does not end in time is handed back."""
        pull = await self.bus.pull(EXECUTOR_TASKS)
        async with self.runtime.tasks.group() as group:
            while not stopping.asked:
                for delivery in await self._fetch(pull):
                    self._running.add(group.spawn(self._serve(delivery, group), name="task"))
                self._running = {task for task in self._running if not task.done()}
            await self._drain()

    async def _fetch(self, pull: Pull) -> Sequence[Delivery]:
        """As many as there are free slots, at most for a second."""
        self._freed.clear()
        free = self.parallel - sum(not task.done() for task in self._running)
        try:
            if free <= 0:
                async with self.runtime.clock.timeout(FETCH_S):
                    await self._freed.wait()
                return ()
            return await pull.fetch(free, wait_s=FETCH_S)
        except TimeoutError:
            return ()
        except TrancheError as error:
            log.warning("tasks_not_fetched", reason=str(error))
            await self.runtime.clock.sleep(FETCH_S / 2)
            return ()

    async def _drain(self) -> None:
        deadline = self.runtime.clock.monotonic() + DRAIN_S
        while any(not task.done() for task in self._running):
            if self.runtime.clock.monotonic() >= deadline:
                break
            await self.runtime.clock.sleep(0.05)
        for task in self._running:
            task.cancel()

    async def _serve(self, delivery: Delivery, group: Group) -> None:
        """One task from its delivery to its ack."""
        hold = Hold(delivery, self.runtime.clock)
        keeping = group.spawn(hold.keep(), name="hold")
        self.metrics.in_flight.inc()
        try:
            await self._attend(delivery, hold)
        except asyncio.CancelledError:
            # The record stays as it is; whoever gets the task next takes over from there.
            await delivery.nak()
            raise
        except LetGo as left:
            log.info("let_go", subject=delivery.message.subject, reason=str(left))
        except TrancheError as error:
            log.warning("task_again", subject=delivery.message.subject, reason=str(error))
            await delivery.nak(1.0)
        except Exception:
            # A fault of ours with one pod must not end the work on all others.
            log.exception("task_failed", subject=delivery.message.subject)
            await delivery.nak(5.0)
        finally:
            keeping.cancel()
            self.metrics.in_flight.dec()
            self._freed.set()

    async def _attend(self, delivery: Delivery, hold: Hold) -> None:
        if delivery.attempt > 1:
            self.metrics.redeliveries.inc()
        try:
            key = PodKey(*subjects.read_pod(delivery.message.subject))
        except ValueError as error:
            await self._reject(delivery, str(error))
            return
        if key in self._active:
            # An early redelivery: the first one is still being worked on here.
            await delivery.nak(1.0)
            return
        self._active.add(key)
        try:
            verdict = await self._carry_out(key, hold)
        finally:
            self._active.discard(key)
        match verdict:
            case Verdict.OVER:
                await delivery.ack()
            case Verdict.AGAIN:
                await delivery.nak(self.runtime.dice.uniform(*AGAIN_S))

    async def _carry_out(self, key: PodKey, hold: Hold) -> Verdict:
        """Whatever claim the ledger holds for the pod; the task is only a hint."""
        ledger = await self._ledgers.read(key.pool)
        claim = ledger.claims.get(key.pod) if ledger is not None else None
        if ledger is None or claim is None:
            return Verdict.OVER
        for _ in range(TURNS):
            held = await self._records.read(key) or await self._first_record(key, claim)
            if held is None:
                return Verdict.AGAIN
            if admission.over(held.value, claim):
                return Verdict.OVER
            try:
                return await self._operate(key, claim, ledger, held, hold)
            except LetGo:
                hold.check()
                if await self._is_others(key, claim):
                    raise
        return Verdict.AGAIN

    async def _is_others(self, key: PodKey, claim: Claim) -> bool:
        """Whether another executor has the claim: then it is theirs, hold and all."""
        found = await self._records.read(key)
        if found is None or admission.over(found.value, claim) or not admission.begun(found.value, claim):
            return False
        return not admission.held_by(found.value, claim, self.instance)

    async def _operate(
        self, key: PodKey, claim: Claim, ledger: Ledger, held: Held[PodRecord], hold: Hold
    ) -> Verdict:
        known = self.source.pods().get(key)
        if (known is None or known.uid != claim.uid) and self.source.lists(held.value):
            known = await self.source.look(key)
            if known is None or known.uid != claim.uid:
                return await self._left(key, held, known)
        if known is not None and known.uid != claim.uid:
            known = None
        address = known.address if known is not None else held.value.address
        operating = Operating(
            key=key,
            claim=claim,
            content=ledger.contents.get(claim.deployment, {}).get(claim.revision),
            epoch=ledger.epoch,
            holder=self.instance,
            held=held,
            base=Base(self.client, address),
            hold=hold,
            records=self._records,
            runtime=self.runtime,
            ready=known.ready if known is not None else held.value.ready,
            unfit=self._unfit,
            install_timeout_s=self.install_timeout_s,
            listed=self._listed,
            still_there=partial(self._still_there, held.value, address),
            traffic=self.traffic,
            moved=lambda: self._is_moved(key, claim),
        )
        began = self.runtime.clock.monotonic()
        with structlog.contextvars.bound_contextvars(
            namespace=key.namespace, pod=key.pod, deployment=claim.deployment, token=claim.token, op=claim.op
        ):
            verdict = await operating.run()
            noted = operating.held.value.operation
            if verdict is Verdict.OVER and noted is not None:
                self.metrics.operations.labels(claim.op, noted.state).inc()
                self.metrics.seconds.labels(claim.op).observe(self.runtime.clock.monotonic() - began)
                if operating.held.value.reason == "PodUnreachable":
                    self.on_silent(key)
                log.info("operation_over", state=noted.state, reason=noted.message)
        return verdict

    async def _left(self, key: PodKey, held: Held[PodRecord], successor: Pod | None) -> Verdict:
        """The claim is on a pod that left its source, and perhaps its address to another: nothing is sent there."""
        if successor is not None:
            return Verdict.AGAIN  # until it was observed that another has the name
        await self._records.bury(key, gone(held.value, self.runtime.clock.now()), expect=held.sequence)
        return Verdict.OVER

    async def _still_there(self, record: PodRecord, address: str) -> bool:
        if not self.source.lists(record):
            return True  # who does not list the pod can say nothing of it
        pod = await self.source.look(PodKey(record.namespace, record.base, record.pod))
        return pod is not None and (pod.uid, pod.address) == (record.uid, address)

    def _is_moved(self, key: PodKey, claim: Claim) -> bool:
        """Whether a pod of a cluster is, by now, not where it was: its address may be another's."""
        pod = self.source.pods().get(key)
        return pod is not None and pod.source == KUBERNETES and (pod.uid != claim.uid or not pod.address)

    def _listed(self, record: PodRecord) -> PodRecord:
        pod = self.source.pods().get(PodKey(record.namespace, record.base, record.pod))
        if pod is None or pod.uid != record.uid:
            return record
        return described(record, pod, self.runtime.clock.now())

    async def _first_record(self, key: PodKey, claim: Claim) -> Held[PodRecord] | None:
        """A record for a claimed pod that has none; a pod that nobody knows is gone."""
        pod = await self.source.look(key)
        now = self.runtime.clock.now()
        if pod is not None:
            record = described(None, pod, now)
        else:
            record = gone(
                PodRecord(**key._asdict(), uid=claim.uid, address="", ready=False, observed_at=now),
                now,
            )
        try:
            if record.gone:
                return await self._records.bury(key, record, expect=0)
            return await self._records.write(key, record, expect=0)
        except Conflict:
            return await self._records.read(key)

    async def _unfit(self, content: Content) -> Failure | None:
        """Why the content may not be installed: asked before anything is disturbed."""
        if (failure := url_failure(content.url, self.url_allow)) is not None:
            return failure
        if content.sha256 is None:
            return None
        try:
            await self.jars.check(content.url, content.sha256)
        except BaseRefused as refused:
            return refused.failure
        return None

    async def _reject(self, delivery: Delivery, reason: str) -> None:
        """Keep what makes no sense with its reason, then never see it again."""
        try:
            await keep_rejected(self.bus, delivery.message, refused(reason))
        except Refused as error:
            log.error("not_rejected", subject=delivery.message.subject, reason=str(error))
        await delivery.term()
