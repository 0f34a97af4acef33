"""Looks after one pool: folds what happened, decides a round, writes it by CAS, says what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import structlog

from tranche.bus.cas import Held
from tranche.bus.port import Bus, Stored
from tranche.contract import subjects
from tranche.contract.ledger import Claim, Ledger
from tranche.contract.placing import decode_at, home_of_record
from tranche.contract.plan import ALL, Plan
from tranche.contract.progress import Progress
from tranche.contract.record import PodRecord
from tranche.errors import Conflict, LostHistory, TrancheError, Unknown
from tranche.runtime import Runtime
from tranche_scheduler.core.budget import budget_of
from tranche_scheduler.core.ledger import Rest, Round, Stale, play, rest
from tranche_scheduler.core.pool import PoolView, finished
from tranche_scheduler.core.progress import progress, same
from tranche_scheduler.core.rehearsal import Snapshot
from tranche_scheduler.core.step import Blocked
from tranche_scheduler.inbox import CATCH_UP_S, Inbox
from tranche_scheduler.messenger import Messenger
from tranche_scheduler.metrics import Metrics
from tranche_scheduler.store import PoolStore

TASK_AGAIN_S = 3.0
"""The task of a claim without a result is published again so often."""
SAY_EVERY_S = 0.2
"""Progress of a deployment that moves is said so often at most."""
PAUSE_S = 0.25
"""After the bus could not be reached; doubled while that goes on."""
LONGEST_PAUSE_S = 1.0
FORGOTTEN = "forgotten"
"""No plan has this nonce: nobody takes what is said under it for an answer."""
AUDIT_S = 30.0
"""How often what is remembered is compared with what the broker has."""
IDLE_S = 60.0
FOLDED_AT_ONCE = 500
"""Records folded before other tasks get their turn."""

log = structlog.get_logger()


class Keeper:
    """One pool's rounds. ``run`` until cancelled, or until nothing is left to be looked after."""

    def __init__(self, bus: Bus, runtime: Runtime, metrics: Metrics, namespace: str, base: str) -> None:
        self._bus = bus
        self._runtime = runtime
        self._metrics = metrics
        self._namespace = namespace
        self._base = base
        self._log = log.bind(namespace=namespace, base=base)
        self._inbox = Inbox()
        self._pool: _Pool | None = None

    def snapshot(self) -> Snapshot | None:
        """The pool as it is known here; None while that is older than what its ledger was written with."""
        return self._pool.snapshot() if self._pool is not None else None

    def tell(self, plan: Plan) -> None:
        """A plan of this pool."""
        self._inbox.tell(plan)

    async def run(self, plans: Iterable[Plan]) -> None:
        """Keep the pool whatever happens; ``plans``: all known of it. Returns when they are all done with."""
        known = {plan.name: plan for plan in plans}
        pause_s = PAUSE_S
        while True:
            began = self._runtime.clock.monotonic()
            try:
                return await self._keep(known)
            except LostHistory as error:
                self._log.error("the broker has forgotten pod records", error=str(error))
            except TrancheError as error:
                self._log.warning("the pool rests for a moment", error=str(error))
            except Exception:
                self._log.exception("unexpected failure, starting the pool again")
            lasted_s = self._runtime.clock.monotonic() - began
            pause_s = PAUSE_S if lasted_s > LONGEST_PAUSE_S else min(2 * pause_s, LONGEST_PAUSE_S)
            await self._runtime.clock.sleep(pause_s)

    async def _keep(self, known: dict[str, Plan]) -> None:
        # The ledger is read first: what it has seen is in the stream by then, or the stream has lost it.
        store = PoolStore(self._bus, self._runtime, self._namespace, self._base)
        held = await store.read_ledger()
        records = subjects.records_of(self._namespace, self._base)
        failure: Exception | None = None
        async with self._bus.follow(subjects.AVAILABILITY, [records], start="last_per_subject") as follow:
            found = await follow.catch_up(wait_s=CATCH_UP_S)
            inbox = Inbox()
            for plan in (*known.values(), *self._inbox.take_plans()):
                inbox.tell(plan)
            self._inbox = inbox
            messenger = Messenger(store, self._runtime)
            pool = _Pool(self._runtime, self._metrics, store, messenger, inbox, held, known, self._log)
            await pool.fold(found, follow.position)
            self._pool = pool
            async with self._runtime.tasks.group() as group:
                helpers = [
                    group.spawn(inbox.read(follow), name=f"records of {self._namespace}/{self._base}"),
                    group.spawn(messenger.run(), name=f"sayings of {self._namespace}/{self._base}"),
                ]
                try:
                    await pool.rounds()
                    await messenger.wait_quiet()
                except Exception as error:
                    failure = error  # not through the group, which would wrap it
                finally:
                    self._pool = None
                    for helper in helpers:
                        helper.cancel()
        if failure is not None:
            raise failure


class _Pool:
    """A pool while its records are followed."""

    def __init__(
        self,
        runtime: Runtime,
        metrics: Metrics,
        store: PoolStore,
        messenger: Messenger,
        inbox: Inbox,
        held: Held[Ledger],
        known: dict[str, Plan],
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._runtime = runtime
        self._metrics = metrics
        self._claims = metrics.claims.labels(f"{held.value.namespace}/{held.value.base}")
        self._store = store
        self._messenger = messenger
        self._inbox = inbox
        self._held = held
        self._known = known
        self._log = log
        self._view = PoolView()
        self._view.fold_claims(held.value.claims)
        self._ticket = 0
        """The reading to the end that came after ``held`` was read."""
        self._rest: Rest | None = None
        """Where a round changed nothing: the next one is left out while nothing else has happened."""
        self._blocked: Mapping[str, Blocked] = {}
        self._unsaid: set[str] = set()
        self._said: dict[str, tuple[Progress, float]] = {}
        self._audited_at = runtime.clock.monotonic()
        self._handed_out: dict[int, float] = {}
        """By token: when its task was published last."""

    async def fold(self, found: Sequence[Stored], position: int) -> None:
        """Count with these records; the view then stands at the position."""
        for index, stored in enumerate(found, 1):
            try:
                record = decode_at(PodRecord, stored.data, stored.subject, home_of_record)
            except ValueError as error:
                self._log.warning("a pod record cannot be read", subject=stored.subject, error=str(error))
            else:
                self._view.fold(record, stored.sequence)
            if index % FOLDED_AT_ONCE == 0:
                await self._runtime.clock.sleep(0)
        self._view.position = max(self._view.position, position)

    def snapshot(self) -> Snapshot | None:
        """What a rehearsal begins with: values, so that the pool goes on meanwhile."""
        if self._view.position < self._held.value.seen:
            return None
        return Snapshot(self._view.records(), self._held.value, self._held.sequence, self._view.position)

    async def rounds(self) -> None:
        """One round after the other, each as soon as something happened."""
        while True:
            self._inbox.bell.clear()
            if self._inbox.failure is not None:
                raise self._inbox.failure
            self._fold_plans()
            await self.fold(*self._inbox.take_records())
            next_at = await self._round()
            audit_s = await self._audit()
            wait_s = min(self._hand_out_again(), self._say(), self._until(next_at), audit_s)
            if self._settled():
                return
            if self._inbox.bell.is_set():
                continue
            try:
                async with self._runtime.clock.timeout(wait_s):
                    await self._inbox.bell.wait()
            except TimeoutError:
                pass

    def _fold_plans(self) -> None:
        for plan in self._inbox.take_plans():
            if self._view.fold_plan(plan):
                self._known[plan.name] = plan
            else:
                self._say_again(plan.name)

    async def _round(self) -> datetime | None:
        """Decide and write; when to look again."""
        began = self._runtime.clock.monotonic()
        held = self._held
        caught_up = self._inbox.caught_up(self._ticket)
        if self._rest is not None and self._rest == rest(self._view, held.value, held.sequence, caught_up):
            return None
        result = play(self._view, held.value, held.sequence, self._runtime.clock.now(), caught_up=caught_up)
        self._metrics.rounds.inc()
        self._metrics.decision_s.observe(self._runtime.clock.monotonic() - began)
        if isinstance(result, Stale):
            if caught_up:
                self._ticket = self._inbox.ask_catch_up()
            return None
        if result.changed:
            try:
                self._take(await self._store.write_ledger(result.ledger, expect=held.sequence))
            except (Conflict, Unknown) as error:
                await self._reload(error)
                return None
            self._report(held.value, result)
        else:
            self._rest = rest(self._view, held.value, held.sequence, caught_up)
        for name in result.blocked.keys() | self._blocked.keys():
            if result.blocked.get(name) != self._blocked.get(name):
                self._unsaid.add(name)
        self._blocked = result.blocked
        return result.next_at

    async def _audit(self) -> float:
        """Whether the broker still has the ledger, and what was said; seconds until it is asked again. Raises
        LostHistory."""
        now = self._runtime.clock.monotonic()
        if (left := self._audited_at + AUDIT_S - now) > 0:
            return left
        self._audited_at = now
        kept, held = await self._store.read_ledger(), self._held
        if kept.sequence < held.sequence or (0 < kept.sequence == held.sequence and kept.value != held.value):
            raise LostHistory(f"the ledger was written as {held.sequence}, and stands at {kept.sequence}")
        everything = await self._store.has_forgotten()
        self._say_again(*(name for name, plan in self._view.plans.items() if everything or not plan.complete))
        await self._disown_forgotten()
        return AUDIT_S

    async def _disown_forgotten(self) -> None:
        """A plan that the ledger notes and the stream has lost: whoever says the next one must go above it."""
        ledger, revision = self._held.value, self._held.sequence
        for name, plan in self._view.plans.items():
            noted = ledger.noted.get(name, 0)
            if noted > plan.revision and await self._store.newest_plan(name) <= plan.revision:
                self._log.warning("a noted plan is forgotten", deployment=name, noted=noted)
                said = progress(self._view, plan, ledger, revision, None, self._runtime.clock.now())
                self._messenger.say(said.but(plan_revision=noted, plan_nonce=FORGOTTEN), revision)

    def _say_again(self, *names: str) -> None:
        """What was said of these deployments may be forgotten."""
        self._store.doubt()
        for name in names:
            self._said.pop(name, None)
        self._unsaid.update(names)

    def _take(self, held: Held[Ledger]) -> None:
        self._held = held
        self._view.fold_claims(held.value.claims)
        self._claims.set(len(held.value.claims))

    async def _reload(self, error: TrancheError) -> None:
        """Somebody else wrote the ledger, or nobody knows who: look, and decide again."""
        if isinstance(error, Conflict):
            self._metrics.conflicts.inc()
        else:
            await self._runtime.clock.sleep(PAUSE_S)
        self._take(await self._store.read_ledger())
        self._ticket = self._inbox.ask_catch_up()
        self._inbox.bell.set()

    def _report(self, before: Ledger, result: Round) -> None:
        after = result.ledger
        if after.frozen is not None and before.frozen is None:
            self._log.error("the pool is frozen: history was lost", reason=after.frozen.reason)
        elif before.frozen is not None and after.frozen is None:
            self._log.warning("every pod has answered, the pool goes on")
        for name in {claim.deployment for claim in result.claims if claim.costs}:
            plan = self._view.plans[name]
            budget = budget_of(plan, self._view.counted(name))
            if plan.mode != "remove" and budget.overdrawn(self._view.total(name, "available")):
                self._metrics.violations.inc()
                self._log.error("the budget was overdrawn", deployment=name)
        if after.frozen != before.frozen:
            self._unsaid.update(self._view.plans)

    def _hand_out_again(self) -> float:
        """Publish tasks not published lately; seconds until the next are due."""
        now = self._runtime.clock.monotonic()
        claims = self._held.value.claims
        due: list[Claim] = []
        at: dict[int, float] = {}
        for claim in claims.values():
            last = self._handed_out.get(claim.token)
            if last is None or last + TASK_AGAIN_S <= now:  # as what is waited for below, to the last bit
                due.append(claim)
                last = now
            at[claim.token] = last
        self._handed_out = at
        self._messenger.hand_out(due)
        return min(at.values()) + TASK_AGAIN_S - now if at else IDLE_S

    def _say(self) -> float:
        """Say the progress that is due; seconds until more is."""
        self._unsaid |= self._view.touched & self._view.plans.keys()
        self._unsaid |= self._peers_that_grew()
        self._view.touched.clear()
        ledger = self._held.value
        if self._view.position < ledger.seen:
            return IDLE_S
        now = self._runtime.clock.monotonic()
        wait_s = IDLE_S
        for name in sorted(self._unsaid):
            plan = self._view.plans[name]
            if ledger.noted.get(name, 0) != plan.revision:
                continue  # noted by the next write, or ours is not the newest
            wait = self._due_in(plan, now)
            if wait > 0:
                wait_s = min(wait_s, wait)
                continue
            self._unsaid.discard(name)
            self._say_one(plan, now)
        return wait_s

    def _peers_that_grew(self) -> set[str]:
        """Peers whose pods came or went without the module on them: no replica changed, and yet the answer."""
        return {
            name
            for name, (said, _) in self._said.items()
            if self._view.plans[name].wanted == ALL and said.pods != self._view.counted(name)
        }

    def _due_in(self, plan: Plan, now: float) -> float:
        """At once when nothing moves any more or the plan is new; else a few times per second."""
        last = self._said.get(plan.name)
        still = not self._view.replicas(plan.name).claims
        if last is None or still or last[0].plan_revision != plan.revision:
            return 0.0
        return last[1] + SAY_EVERY_S - now

    def _say_one(self, plan: Plan, now: float) -> None:
        ledger, revision = self._held.value, self._held.sequence
        said = progress(
            self._view, plan, ledger, revision, self._blocked.get(plan.name), self._runtime.clock.now()
        )
        last = self._said.get(plan.name)
        if last is None or not same(said, last[0]):
            self._said[plan.name] = (said, now)
            self._messenger.say(said, revision)

    def _until(self, at: datetime | None) -> float:
        if at is None:
            return IDLE_S
        return max(0.0, (at - self._runtime.clock.now()).total_seconds())

    def _settled(self) -> bool:
        """Nothing is left to be done, looked after or said: until another plan comes."""
        ledger = self._held.value
        return (
            all(finished(plan) for plan in self._view.plans.values())
            and not ledger.claims
            and ledger.frozen is None
            and not self._inbox.bell.is_set()
            and not self._unsaid
        )
