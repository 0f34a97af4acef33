"""The scheduler on the real bus: a test plays planner and executor."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from tests.scheduler_oracle import content, entry, plan, record
from tranche.bus import cas
from tranche.bus.nats import NatsBus, connect
from tranche.bus.server import NatsServer
from tranche.contract import subjects
from tranche.contract.ledger import Claim, Frozen, Ledger, Task
from tranche.contract.plan import ALL, Plan
from tranche.contract.progress import Progress
from tranche.contract.record import Operation, PodRecord
from tranche.errors import Conflict
from tranche.runtime import system_runtime, wait_until
from tranche.service import Service, Stopping
from tranche.streams import EXECUTOR_TASKS, STREAMS
from tranche_scheduler import keeper, owner
from tranche_scheduler.core.history import ON_ITS_WAY
from tranche_scheduler.owner import Owner

pytestmark = pytest.mark.nats

POOLS = subjects.bucket_stream(subjects.POOLS)
LEDGER = subjects.key(subjects.POOLS, "shop", "web")
CALM_S = 30.0
"""Long enough for a pool that stays frozen until nothing is on its way any more."""


class Stage:
    """The bus as planner and executor see it."""

    def __init__(self, bus: NatsBus, server: NatsServer) -> None:
        self.bus = bus
        self.server = server
        self.violations: list[str] = []
        self._told = 0

    async def put(self, found: PodRecord) -> None:
        subject = subjects.record(found.namespace, found.base, found.pod)
        await self.bus.publish(subject, found.encode())

    async def pods(self, count: int, revision: int | None = None, **facts: Any) -> None:
        modules = {"cart": entry(revision)} if revision is not None else {}
        await asyncio.gather(
            *(self.put(record(f"p{number:03}", modules, **facts)) for number in range(count))
        )

    async def tell(self, told: Plan) -> Plan:
        self._told += 1
        told = told.but(revision=self._told)
        await self.bus.publish(subjects.plan("shop", "web", told.name), told.encode())
        return told

    async def ledger(self) -> Ledger:
        held = await cas.read(self.bus, Ledger, POOLS, LEDGER)
        assert held is not None
        return held.value

    async def record(self, pod: str) -> PodRecord:
        held = await cas.read(self.bus, PodRecord, subjects.AVAILABILITY, subjects.record("shop", "web", pod))
        assert held is not None
        return held.value

    async def wait_progress(
        self, wanted: Callable[[Progress], bool], name: str = "cart", timeout_s: float = 8
    ) -> Progress:
        last: Progress | None = None
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    stored = await self.bus.last(subjects.PROGRESS, subjects.progress("shop", name))
                    if stored is not None:
                        last = Progress.decode(stored.data)
                        if wanted(last):
                            return last
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(f"last progress: {last}") from None

    async def wait_ledger(self, wanted: Callable[[Ledger], bool], timeout_s: float = 8) -> Ledger:
        last: Ledger | None = None
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    held = await cas.read(self.bus, Ledger, POOLS, LEDGER)
                    if held is not None:
                        last = held.value
                        if wanted(last):
                            return last
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(f"last ledger: {last}") from None

    async def begin(self, claim: Claim) -> None:
        """Write the started-record of a claim."""
        found = await self.record(claim.pod)
        await self.put(found.but(operation=self._operation(claim, "started")))

    async def end(self, claim: Claim, state: str = "done", **facts: Any) -> None:
        """Write the terminal record of a claim."""
        found = await self.record(claim.pod)
        modules = dict(found.modules)
        if state == "done" and claim.op == "remove":
            modules.pop(claim.module, None)
        elif state == "done" and claim.revision:
            modules[claim.module] = entry(claim.revision, token=claim.token)
        elif state == "failed":
            modules[claim.module] = entry(claim.revision, "failed", **({"tries": 1} | facts))
        await self.put(found.but(operation=self._operation(claim, state), modules=modules))

    def _operation(self, claim: Claim, state: str) -> Operation:
        return Operation(
            token=claim.token,
            uid=claim.uid,
            holder="test",
            state=state,
            op=claim.op,
            deployment=claim.deployment,
        )

    @asynccontextmanager
    async def executor(self, takes_s: float = 0.0) -> AsyncIterator[None]:
        """Carries out every task; what the ledger does not hold is acked and dropped."""
        pull = await self.bus.pull(EXECUTOR_TASKS)

        async def one(delivery: Any) -> None:
            task = Task.decode(delivery.message.data)
            claim = (await self.ledger()).claims.get(task.pod)
            operation = (await self.record(task.pod)).operation
            done = claim is None or (operation is not None and operation.token >= claim.token)
            if claim is not None and not done:
                if claim.withdrawn:
                    await self.end(claim, "unchanged")
                else:
                    await self.begin(claim)
                    await asyncio.sleep(takes_s)
                    await self.end(claim)
            await delivery.ack()

        stopped = asyncio.Event()

        async def loop() -> None:
            async with asyncio.TaskGroup() as group:
                while not stopped.is_set():
                    for delivery in await pull.fetch(50, wait_s=0.3):
                        group.create_task(one(delivery))

        running = asyncio.create_task(loop())
        try:
            yield
        finally:
            stopped.set()  # a fetch that is cancelled would keep what comes for it meanwhile
            await running

    @asynccontextmanager
    async def scheduler(self, instance: str = "scheduler-1") -> AsyncIterator[Service]:
        """A scheduler in this process, on a connection of its own."""
        runtime = system_runtime()
        async with connect(self.server.url, name=instance) as bus:
            service = Service("scheduler", instance, bus, runtime, Stopping(), CollectorRegistry())
            running = asyncio.create_task(Owner(service).run())
            try:
                yield service
            finally:
                service.stopping.event.set()
                async with asyncio.timeout(4):
                    await running
                violations = service.registry.get_sample_value("tranche_scheduler_budget_violations_total")
                assert not violations

    @asynccontextmanager
    async def killed_scheduler(self, instance: str) -> AsyncIterator[None]:
        """A scheduler that ends without handing anything back."""
        async with connect(self.server.url, name=instance) as bus:
            service = Service("scheduler", instance, bus, system_runtime(), Stopping(), CollectorRegistry())
            running = asyncio.create_task(Owner(service).run())
            yield
            await bus._line.client.close()  # the process is gone: nothing more is said
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


@pytest.fixture
async def stage(bus: NatsBus, nats_server: NatsServer) -> Stage:
    await bus.ensure(STREAMS, replicas=1, create=True)
    return Stage(bus, nats_server)


async def test_a_plan_that_releases_nothing_is_counted_and_answered(stage: Stage) -> None:
    await stage.pods(4, revision=1)
    async with stage.scheduler():
        told = await stage.tell(plan(mode="open", replicas=-1, updated=0, wanted=4))
        said = await stage.wait_progress(lambda said: said.plan_revision == told.revision)
    assert (said.present, said.available, said.updated, said.moving, said.pods) == (4, 4, 0, 0, 4)
    ledger = await stage.ledger()
    assert ledger.noted == {"cart": told.revision}
    assert not ledger.claims


async def test_a_peer_is_counted_again_when_pods_appear_without_the_module(stage: Stage) -> None:
    async with stage.scheduler():
        await stage.tell(plan(mode="open", replicas=ALL, wanted=ALL, updated=0, stable=None))
        await stage.wait_progress(lambda said: said.pods == 0)
        await stage.pods(3)
        await stage.wait_progress(lambda said: said.pods == 3)


async def test_a_rollout_stays_within_its_budget_and_level(stage: Stage) -> None:
    await stage.pods(10, revision=1)
    async with stage.scheduler(), stage.executor(0.05):
        await stage.tell(plan(updated=4, max_unavailable=2))
        said = await stage.wait_progress(lambda said: said.updated_available == 4 and said.moving == 0)
        assert said.available == 10
        await stage.tell(plan(updated=ALL, max_unavailable=2))
        said = await stage.wait_progress(lambda said: said.updated_available == 10 and said.moving == 0)
    ledger = await stage.ledger()
    assert not ledger.claims
    assert not ledger.contents
    assert ledger.counter == 10


async def test_claims_carry_what_an_executor_needs(stage: Stage) -> None:
    await stage.pods(3, revision=1)
    async with stage.scheduler():
        await stage.tell(plan(replicas=3, max_unavailable=1, batch=2, generation=7))
        ledger = await stage.wait_ledger(lambda ledger: bool(ledger.claims))
        await asyncio.sleep(0.1)
        stored = await stage.bus.last(subjects.TASKS, subjects.task("shop", "web", "p000"))
    (claim,) = ledger.claims.values()
    assert (claim.pod, claim.uid, claim.op, claim.costs) == ("p000", "u", "replace", True)
    assert (claim.generation, claim.batch, claim.revision) == (7, 2, 2)
    assert ledger.contents == {"cart": {2: content(2)}}
    assert stored is not None
    assert Task.decode(stored.data).token == claim.token == ledger.counter


async def test_the_next_level_follows_the_last_record_at_once(stage: Stage) -> None:
    await stage.pods(1, revision=1)
    async with stage.scheduler():
        await stage.tell(plan(replicas=1, max_unavailable=1))
        ledger = await stage.wait_ledger(lambda ledger: bool(ledger.claims))
        await stage.wait_progress(lambda said: said.moving == 1)
        began = asyncio.get_running_loop().time()
        await stage.end(ledger.claims["p000"])
        await stage.wait_progress(lambda said: said.updated_available == 1 and said.moving == 0)
        # Sooner than any timer: how soon is measured in benchmarks.
        assert asyncio.get_running_loop().time() - began < 2


async def test_two_schedulers_share_pools_and_one_takes_over_at_once_when_the_other_stops(
    stage: Stage,
) -> None:
    await stage.pods(30, revision=1)
    async with stage.executor(0.05), stage.scheduler("scheduler-2"):
        async with stage.scheduler("scheduler-1"):
            await stage.tell(plan(replicas=30, max_unavailable=2, wanted=30))
            await stage.wait_progress(lambda said: said.updated >= 4)
        await stage.wait_progress(lambda said: said.updated_available == 30 and said.moving == 0)
    assert (await stage.ledger()).counter == 30


async def test_a_second_owner_is_harmless(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both believe they hold the pool: the ledger's CAS orders them."""
    await stage.pods(20, revision=1)

    class Everything:
        def __init__(self, *_: Any, **__: Any) -> None:
            self.changed = asyncio.Event()
            self.held: frozenset[tuple[str, ...]] = frozenset()

        def want(self, keys: Any) -> None:
            self.held = frozenset(keys)
            self.changed.set()

        async def run(self) -> None:
            await asyncio.Event().wait()

    monkeypatch.setattr("tranche_scheduler.owner.Spread", Everything)
    async with stage.scheduler("scheduler-1"), stage.scheduler("scheduler-2"), stage.executor(0.02):
        await stage.tell(plan(replicas=20, max_unavailable=3, wanted=20))
        said = await stage.wait_progress(lambda said: said.updated_available == 20 and said.moving == 0)
    assert said.present == 20
    assert (await stage.ledger()).counter == 20


async def test_a_scheduler_that_died_is_replaced_and_its_tasks_are_said_again(stage: Stage) -> None:
    await stage.pods(5, revision=1)
    async with stage.killed_scheduler("scheduler-1"):
        await stage.tell(plan(replicas=5, max_unavailable=1))
        ledger = await stage.wait_ledger(lambda ledger: bool(ledger.claims))
    (claim,) = ledger.claims.values()
    await stage.bus.purge(subjects.TASKS, subjects.task("shop", "web", claim.pod))
    async with stage.scheduler("scheduler-2"), stage.executor():
        await stage.wait_progress(lambda said: said.updated_available == 5 and said.moving == 0, timeout_s=15)
    assert (await stage.ledger()).counter == 5


async def test_queued_claims_are_withdrawn_by_a_pause_and_started_ones_are_not(stage: Stage) -> None:
    await stage.pods(4, revision=1)
    async with stage.scheduler():
        await stage.tell(plan(replicas=4, max_unavailable=2))
        ledger = await stage.wait_ledger(lambda ledger: len(ledger.claims) == 2)
        await stage.begin(ledger.claims["p000"])
        await stage.wait_ledger(lambda ledger: True)
        await asyncio.sleep(0.1)
        told = await stage.tell(plan(replicas=4, max_unavailable=2, held=True, held_at=4))
        ledger = await stage.wait_ledger(lambda ledger: ledger.noted["cart"] == told.revision)
        assert [claim.withdrawn for _, claim in sorted(ledger.claims.items())] == [False, True]
        await stage.end(ledger.claims["p001"], "unchanged")
        await stage.end(ledger.claims["p000"])
        said = await stage.wait_progress(
            lambda said: said.moving == 0 and said.plan_revision == told.revision
        )
        assert (said.updated, said.available) == (1, 4)
        assert not (await stage.ledger()).claims


async def test_a_new_content_withdraws_what_is_queued_for_the_old(stage: Stage) -> None:
    await stage.pods(3, revision=1)
    async with stage.scheduler():
        await stage.tell(plan(replicas=3, max_unavailable=1))
        await stage.wait_ledger(lambda ledger: len(ledger.claims) == 1)
        await stage.tell(
            plan(
                mode="open",
                replicas=-1,
                updated=0,
                generation=3,
                wanted=3,
                target=content(3),
                target_revisions=(3,),
            )
        )
        ledger = await stage.wait_ledger(lambda ledger: ledger.claims["p000"].withdrawn)
        await stage.end(ledger.claims["p000"], "unchanged")
        said = await stage.wait_progress(lambda said: said.generation == 3 and said.moving == 0)
    assert (said.present, said.updated) == (3, 0)


async def test_a_failure_that_can_pass_is_tried_again_when_it_is_due(stage: Stage) -> None:
    await stage.pods(1)
    async with stage.scheduler():
        await stage.tell(plan(replicas=1, stable=None, stable_revisions=(), max_unavailable=1))
        ledger = await stage.wait_ledger(lambda ledger: bool(ledger.claims))
        began = datetime.now(UTC)
        since = began - timedelta(seconds=4)
        await stage.end(ledger.claims["p000"], "failed", since=since, passing=True, message="busy")
        said = await stage.wait_progress(lambda said: said.retrying == 1 and said.moving == 0)
        assert said.problems[0].reason == "InstallFailed"
        assert said.problems[0].message == "busy"
        ledger = await stage.wait_ledger(lambda ledger: bool(ledger.claims))
        assert (datetime.now(UTC) - began).total_seconds() > 0.7
        await stage.end(ledger.claims["p000"], "failed", passing=False, tries=2, message="bad jar")
        said = await stage.wait_progress(lambda said: said.failed == 1 and said.moving == 0)
        assert said.retrying == 0
        assert not (await stage.ledger()).claims


async def test_a_budget_that_is_spent_is_named_with_its_pods(stage: Stage) -> None:
    await stage.pods(1, revision=1)
    await stage.put(record("p001", {"cart": entry(1)}, ready=False, reason="PodUnreachable"))
    async with stage.scheduler():
        await stage.tell(plan(replicas=2, max_unavailable=1))
        said = await stage.wait_progress(lambda said: said.blocked == "BudgetExhausted")
    assert said.unavailable_pods == ("p001",)
    assert {problem.reason for problem in said.problems} == {"BudgetExhausted", "PodUnreachable"}


async def test_missing_capacity_is_told_and_used_when_it_appears(stage: Stage) -> None:
    await stage.put(record("p000", {"other": entry(1)}, max_modules=1))
    async with stage.scheduler(), stage.executor():
        await stage.tell(plan(replicas=1, stable=None, stable_revisions=()))
        said = await stage.wait_progress(lambda said: said.blocked == "InsufficientCapacity")
        assert said.problems[0].message == "1 short: 1 pod full"
        await stage.put(record("p001"))
        await stage.wait_progress(lambda said: said.updated_available == 1 and not said.blocked)


async def test_a_lost_ledger_freezes_the_pool_until_every_pod_was_asked(stage: Stage) -> None:
    await stage.pods(3, revision=1)
    async with stage.scheduler("scheduler-1"), stage.executor():
        await stage.tell(plan(replicas=3, updated=1, max_unavailable=1))
        await stage.wait_progress(lambda said: said.updated_available == 1 and said.moving == 0)
    await stage.bus.purge(POOLS, LEDGER)
    async with stage.scheduler("scheduler-2"):
        # Where the first one could not hand its lease back in time, it has to end first.
        ledger = await stage.wait_ledger(lambda ledger: ledger.frozen is not None, timeout_s=CALM_S)
        assert ledger.frozen is not None
        assert {(claim.op, claim.revision) for claim in ledger.claims.values()} == {("observe", 0)}
        assert min(claim.token for claim in ledger.claims.values()) > 1
        await stage.tell(plan(replicas=3, max_unavailable=1))
        said = await stage.wait_progress(lambda said: said.blocked == "PoolFrozen")
        assert said.problems[0].reason == "PoolFrozen"
        async with stage.executor():
            ended = await stage.wait_progress(
                lambda said: said.updated_available == 3 and said.moving == 0, timeout_s=CALM_S
            )
            assert ended.at - ledger.frozen.since > ON_ITS_WAY
    assert (await stage.ledger()).frozen is None


async def test_what_the_broker_forgot_under_a_scheduler_that_rests_is_noticed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "AUDIT_S", 0.5)
    await stage.pods(3, revision=1)
    async with stage.scheduler(), stage.executor():
        await stage.tell(plan(replicas=3, updated=1, max_unavailable=1))
        answer = await stage.wait_progress(lambda said: said.updated_available == 1 and said.moving == 0)

        await stage.bus.purge(subjects.PROGRESS, subjects.progress("shop", "cart"))
        again = await stage.wait_progress(lambda said: said.plan_revision == answer.plan_revision)
        assert again.but(at=answer.at) == answer

        await stage.bus.purge(POOLS, LEDGER)
        await stage.wait_ledger(
            lambda ledger: ledger.frozen is None and ledger.counter > answer.updated, timeout_s=CALM_S
        )
        await stage.tell(plan(replicas=3, max_unavailable=1))
        await stage.wait_progress(lambda said: said.updated_available == 3 and said.moving == 0)


async def test_who_says_an_older_plan_is_told_what_is_known(stage: Stage) -> None:
    await stage.pods(1, revision=1)
    async with stage.scheduler(), stage.executor():
        for _ in range(3):
            newest = await stage.tell(plan(replicas=1, max_unavailable=1, nonce="known"))
        answer = await stage.wait_progress(
            lambda said: said.plan_revision == newest.revision and not said.moving
        )
        assert answer.plan_nonce == "known"
        await stage.bus.purge(subjects.PROGRESS, subjects.progress("shop", "cart"))
        stage._told = 0
        await stage.tell(plan(replicas=1, max_unavailable=1, nonce="of one who forgot"))
        again = await stage.wait_progress(lambda said: True)
        assert (again.plan_revision, again.plan_nonce) == (newest.revision, "known")


async def test_claims_of_a_deployment_that_was_forgotten_leave(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner, "ORPHANS_S", 0.3)
    await stage.pods(2, revision=1)
    async with stage.scheduler("scheduler-1"):
        await stage.tell(plan(replicas=2, max_unavailable=1))
        ledger = await stage.wait_ledger(lambda ledger: len(ledger.claims) == 1)
    await stage.bus.purge(subjects.PLANS, subjects.plan("shop", "web", "cart"))
    async with stage.scheduler("scheduler-2"), stage.executor():
        after = await stage.wait_ledger(lambda ledger: not ledger.claims)
    assert (after.epoch, after.counter) == (ledger.epoch, ledger.counter)


async def test_claims_that_another_left_in_a_pool_that_needs_nobody_leave(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another scheduler found a sign of lost history there, and the pool is ours."""
    monkeypatch.setattr(owner, "ORPHANS_S", 0.3)
    await stage.pods(2, revision=1)
    gone = plan(mode="remove", replicas=0, wanted=0, target=None, target_revisions=(), complete=True)
    async with stage.scheduler() as service, stage.executor():
        told = await stage.tell(gone)
        await stage.wait_progress(lambda said: said.plan_revision == told.revision)

        async def let_go() -> bool | None:
            return service.registry.get_sample_value("tranche_scheduler_pools") == 0 or None

        await wait_until(let_go, service.runtime.clock, timeout_s=3, every_s=0.05)
        held = await cas.read(stage.bus, Ledger, POOLS, LEDGER)
        assert held is not None
        counter = held.value.counter
        asked = {
            pod: Claim(
                pod=pod, uid="u", deployment="", module="", generation=0, batch=0, op="observe", token=token
            )
            for token, pod in enumerate(("p000", "p001"), counter + 1)
        }
        frozen = Frozen(reason="records end too early", since=service.runtime.clock.now(), above=counter)
        left = held.value.but(claims=asked, counter=counter + 2, frozen=frozen)
        await cas.swap(stage.bus, service.runtime, POOLS, LEDGER, left, expect=held.sequence)

        await stage.wait_ledger(lambda ledger: not ledger.claims and ledger.frozen is None, timeout_s=CALM_S)


async def test_a_pool_whose_plans_are_finished_is_let_go(stage: Stage) -> None:
    await stage.pods(2, revision=1)
    async with stage.scheduler() as service, stage.executor():
        await stage.tell(plan(mode="remove", replicas=0, wanted=2, target=None, target_revisions=()))
        await stage.wait_progress(lambda said: said.present == 0 and said.moving == 0)

        def pools() -> float | None:
            return service.registry.get_sample_value("tranche_scheduler_pools")

        told = await stage.tell(
            plan(mode="remove", replicas=0, wanted=0, target=None, target_revisions=(), complete=True)
        )
        await stage.wait_progress(lambda said: said.plan_revision == told.revision)

        async def let_go() -> bool | None:
            return pools() == 0 or None

        await wait_until(let_go, service.runtime.clock, timeout_s=3, every_s=0.05)
        told = await stage.tell(plan(replicas=1, stable=None, stable_revisions=(), generation=3))
        await stage.wait_progress(lambda said: said.updated_available == 1)


async def test_what_cannot_be_read_stops_nobody(stage: Stage) -> None:
    await stage.bus.publish(subjects.plan("shop", "web", "bad"), b"{nonsense")
    await stage.bus.publish(subjects.record("shop", "web", "bad"), b"nonsense}")
    await stage.pods(1)
    async with stage.scheduler(), stage.executor():
        await stage.tell(plan(replicas=1))
        await stage.wait_progress(lambda said: said.updated_available == 1)


async def test_a_ledger_nobody_can_read_is_not_overwritten(stage: Stage) -> None:
    sequence = await stage.bus.publish(LEDGER, b"nonsense")
    await stage.pods(1)
    async with stage.scheduler():
        await stage.tell(plan(replicas=1))
        await asyncio.sleep(0.5)
    with pytest.raises(Conflict):
        await stage.bus.publish(LEDGER, b"x", expect=sequence + 1)
