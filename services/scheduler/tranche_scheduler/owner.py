"""Which pools this process looks after: those with plans, spread over the live schedulers by leases."""

from __future__ import annotations

import structlog

from tranche.bus.port import Stored
from tranche.bus.spread import Key, Spread
from tranche.contract import subjects
from tranche.contract.placing import decode_at, home_of_plan
from tranche.contract.plan import Plan
from tranche.errors import TrancheError
from tranche.runtime import Group, Task
from tranche.service import Service
from tranche_scheduler.core.rehearsal import Snapshot
from tranche_scheduler.keeper import Keeper
from tranche_scheduler.metrics import Metrics
from tranche_scheduler.previews import Previews
from tranche_scheduler.store import PoolStore

FOLLOW_S = 5.0
LEASES_S = 0.5
"""Leases that ended without anybody saying so are noticed after this long."""
PAUSE_S = 0.25
ORPHANS_S = 30.0
"""How often it is looked for claims in pools that have no plan: their deployments were forgotten."""

log = structlog.get_logger()


class Owner:
    """Follows all plans, and keeps the pools whose leases it holds."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._bus = service.bus
        self._runtime = service.runtime
        self._metrics = Metrics(service.registry)
        self._spread = Spread(service.bus, service.runtime, kind="scheduler", instance=service.instance)
        self._plans: dict[Key, dict[str, Plan]] = {}
        self._settled: set[Key] = set()
        """Pools that need nobody until another plan comes."""
        self._keepers: dict[Key, tuple[Keeper, Task]] = {}

    async def run(self) -> None:
        """Until the service is asked to end; leases are handed back then."""
        async with self._runtime.tasks.group() as group:
            workers = [
                group.spawn(self._spread.run(), name="leases"),
                group.spawn(self._follow_plans(), name="plans"),
                group.spawn(self._assign(group), name="pools"),
                group.spawn(self._adopt(), name="orphans"),
                group.spawn(Previews(self._bus, self._runtime, self._snapshot).run(), name="previews"),
            ]
            await self._service.stopping.wait()
            for task in (*(task for _, task in self._keepers.values()), *workers):
                task.cancel()

    def _snapshot(self, key: Key) -> Snapshot | None:
        """A pool that is kept here, as it is known."""
        found = self._keepers.get(key)
        return found[0].snapshot() if found is not None else None

    async def _follow_plans(self) -> None:
        while True:
            try:
                await self._read_plans()
            except TrancheError as error:
                log.warning("plans cannot be followed, trying again", error=str(error))
            await self._runtime.clock.sleep(PAUSE_S)

    async def _read_plans(self) -> None:
        async with self._bus.follow(
            subjects.PLANS, ["tranche.plans.*.*.*"], start="last_per_subject"
        ) as follow:
            found = await follow.catch_up(wait_s=30.0)
            while True:
                for stored in found:
                    self._fold(stored)
                self._want()
                self._service.not_ready = ""
                found = await follow.next(wait_s=FOLLOW_S)

    def _fold(self, stored: Stored) -> None:
        try:
            plan = decode_at(Plan, stored.data, stored.subject, home_of_plan)
        except ValueError as error:
            log.warning("a plan cannot be read", subject=stored.subject, error=str(error))
            return
        key = (plan.namespace, plan.base)
        plans = self._plans.setdefault(key, {})
        known = plans.get(plan.name)
        if known is not None and known.revision >= plan.revision:
            if known != plan and key in self._keepers:
                self._keepers[key][0].tell(plan)  # what is known here may be unknown to whoever said this
            return
        plans[plan.name] = plan
        self._settled.discard(key)
        if key in self._keepers:
            self._keepers[key][0].tell(plan)

    async def _adopt(self) -> None:
        """Look after pools that no plan names any more, or that need nobody as far as is known here, while somebody
        may be at work there: another may have found a sign of lost history, and left them to us."""
        while True:
            await self._runtime.clock.sleep(ORPHANS_S * self._runtime.dice.uniform(0.8, 1.2))
            try:
                for key in await self._orphans():
                    log.warning("a pool has claims that nobody looks after", namespace=key[0], base=key[1])
                    self._plans.setdefault(key, {})
                    self._settled.discard(key)
                self._want()
            except TrancheError as error:
                log.info("pools without plans are looked for again later", error=str(error))

    async def _orphans(self) -> list[Key]:
        stream = subjects.bucket_stream(subjects.POOLS)
        keys = subjects.read_keys(await self._bus.subjects(stream, f"{subjects.key(subjects.POOLS)}.>"))
        found: list[Key] = []
        for key in (key for key in keys if len(key) == 2):
            if self._plans.get(key) and key not in self._settled:
                continue
            ledger = (await PoolStore(self._bus, self._runtime, *key).read_ledger()).value
            if ledger.claims or ledger.frozen is not None:
                found.append(key)
        return found

    def _want(self) -> None:
        self._spread.want(self._plans.keys() - self._settled)

    async def _assign(self, group: Group) -> None:
        """Start and end keepers as leases come and go."""
        while True:
            self._spread.changed.clear()
            held = self._spread.held
            for key in sorted(self._keepers.keys() - held):
                self._keepers.pop(key)[1].cancel()
            for key in sorted(held - self._keepers.keys() - self._settled):
                keeper = Keeper(self._bus, self._runtime, self._metrics, *key)
                self._keepers[key] = (keeper, group.spawn(self._keep(key, keeper), name=f"pool {key}"))
            self._metrics.pools.set(len(self._keepers))
            try:
                async with self._runtime.clock.timeout(LEASES_S):
                    await self._spread.changed.wait()
            except TimeoutError:
                pass

    async def _keep(self, key: Key, keeper: Keeper) -> None:
        log.info("looking after a pool", namespace=key[0], base=key[1])
        seen: dict[str, Plan] | None = None
        # A plan may come while the keeper winds down: then it goes on.
        while seen != self._plans[key]:
            seen = dict(self._plans[key])
            await keeper.run(list(seen.values()))
        self._settled.add(key)
        if key in self._keepers and self._keepers[key][0] is keeper:
            del self._keepers[key]
        self._want()
