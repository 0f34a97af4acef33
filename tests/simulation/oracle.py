"""Judges every moment by what the bases did; the bus is read only to know what was promised (design 7.2).

S1 to S11 are judged as things happen, those that rest on what was durable only until the broker forgets; V5 from
time to time (``stillness.py``), the other liveness rules at the end (``ending.py``).
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.air import NO_ANSWER_S
from tests.simulation.bases import SimBase
from tests.simulation.world import World
from tranche.bus.memory.stream import MemoryStream
from tranche.bus.port import Stored
from tranche.contract import subjects
from tranche.contract.ledger import Claim, Ledger
from tranche.contract.plan import ALL, Plan
from tranche.contract.progress import Progress
from tranche.contract.record import Operation, PodRecord
from tranche_executor.arklet.operation import BURNT
from tranche_executor.core.pod import PodKey
from tranche_fleet.arklet import SUCCESS
from tranche_fleet.timeline import ACTIVATED, GONE, Command
from tranche_planner.core.document import Document

POOLS_STREAM = subjects.bucket_stream(subjects.POOLS)
DOCUMENTS_STREAM = subjects.bucket_stream(subjects.DOCUMENTS)
LIMIT_LAG_S = 60.0
"""A limit that was lowered counts only once every view may have heard of it."""

ON_THE_WAY_S = 6.0
"""What was allowed before the broker forgot may reach a base so long afterwards: a hold of 4 s, a call of 2 s."""
ASLEEP_S = 12.0
"""And so much longer where the executor that sends it was frozen."""

Name = tuple[str, str]
"""Namespace and deployment."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that was broken, when, and how."""

    rule: str
    at: float
    words: str

    def __str__(self) -> str:
        return f"{self.rule} at {self.at:.3f} s: {self.words}"


@dataclass(eq=False)
class Seat:
    """One base's truth: what serves, what runs on it, what is down since our hands took it down."""

    key: PodKey
    uid: str
    base: SimBase
    changes: int = 0
    commands: int = 0
    waiting: list[Command] = field(default_factory=list)
    """Commands that arrived and have not begun."""
    running: list[Command] = field(default_factory=list)
    active: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    down: dict[str, Claim | None] = field(default_factory=dict)
    """Modules that served and do not: the claim that took them down, None where nobody of ours did."""
    limits: list[tuple[float, int | None]] = field(default_factory=list)
    tokens: dict[int, Claim] = field(default_factory=dict)
    gone: bool = False
    done: dict[tuple[str, str, str, str], int] = field(default_factory=dict)
    """Steps that succeeded (epoch, token, command, module and version), and the changes seen by then."""
    freezes: int = 0
    """Restarts in place while some process was frozen: they excuse one overlap each (design 7.2, S7)."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the scenario lets the oracle expect."""

    ungated: frozenset[Name] = frozenset()
    """Deployments whose gates people opened in ways that are not followed here."""


class Oracle:
    """Watches a world. ``violations`` says all that was broken."""

    def __init__(self, world: World, rules: Rules) -> None:
        self.world = world
        self.rules = rules
        self.violations: list[Violation] = []
        self.excused: Counter[str] = Counter()
        self.seats: dict[str, Seat] = {}
        """By pod uid."""
        self.plans: dict[tuple[Name, int], Plan] = {}
        self.newest_plan: dict[Name, Plan] = {}
        self.documents: dict[Name, Document] = {}
        self.ledgers: dict[tuple[str, str], Ledger] = {}
        self.records: dict[PodKey, list[tuple[int, PodRecord]]] = defaultdict(list)
        self.confirms: dict[tuple[Name, int], set[int]] = defaultdict(set)
        """By batch: the generations it was confirmed for."""
        self.claims: dict[tuple[str, str, str, int], Claim] = {}
        """All that were ever written: namespace, base, epoch, token."""
        self.taken_in: dict[tuple[str, str, str, int], int] = {}
        """The revision of the ledger that each of them came with, as ``claims``."""
        self.rested: dict[tuple[Name, int, int], int] = {}
        """Of a generation's batch: the first revision of the ledger at which it was there and nothing moved."""
        self.begun: dict[tuple[Name, int, int], float] = {}
        """When the first replica of a generation's batch was disturbed."""
        self.finished: dict[tuple[Name, int, int], float] = {}
        """When the first disturbance of a rollout's batch was over; by the rollout's first generation."""
        self.taken_by: Counter[Name] = Counter()
        """How many claims each deployment has had."""
        self.forgot_at: float | None = None
        self.used: dict[tuple[str, str, str, int], Claim] = {}
        """The claims under which bases were disturbed, as ``claims``."""
        self.replaced = 0
        self.generations: dict[Name, int] = defaultdict(int)
        self.observed: dict[Name, tuple[int, int]] = {}
        self.statuses: dict[Name, Mapping[str, Any]] = {}
        self.under: dict[tuple[tuple[str, str], int], Plan] = {}
        """The plan that each claim was taken under, by pool and token."""
        self.peers: dict[tuple[tuple[str, str], int], int] = {}
        """The pods that a peer counted when it was taken, by pool and token."""
        world.broker.streams = _Watched(self)

    # --- what is told to it ---

    def seat(self, key: PodKey, uid: str, limit: int | None) -> Callable[[SimBase], None]:
        """A pod joined; what to call after each event of its base."""

        def look(base: SimBase) -> None:
            if (found := self.seats.get(uid)) is None:
                found = self.seats[uid] = Seat(key, uid, base, limits=[(self.now, limit)])
            try:
                self._look(found)
            except Exception as error:  # it goes through whoever called the base, and they may take it
                self.broken("oracle", f"{type(error).__name__}: {error}")
                raise

        return look

    def relabel(self, uid: str, limit: int | None) -> None:
        """A pod's limit changed."""
        self.seats[uid].limits.append((self.now, limit))

    def leaves(self, uid: str) -> None:
        """A pod is gone for good."""
        if uid in self.seats:
            self.seats[uid].gone = True

    def restarts(self, uid: str) -> None:
        """A base restarts in place; with a process frozen that may be in the middle of a call."""
        if uid in self.seats and any(process.frozen for process in self.world.processes()):
            self.seats[uid].freezes += 1

    def forgets(self) -> None:
        """The broker loses what it had acknowledged."""
        self.forgot_at = self.now
        self.world.air.counts["broker forgot"] += 1

    @property
    def forgot(self) -> bool:
        """Whether the broker has lost acknowledged writes: what was durable may be gone."""
        return self.forgot_at is not None

    def _lenient(self) -> bool:
        """Whether what reaches a base now may have been allowed by what is forgotten."""
        if self.forgot_at is None:
            return False
        asleep = ASLEEP_S if self.world.air.counts["fault freeze executor"] else 0.0
        return self.now < self.forgot_at + ON_THE_WAY_S + asleep

    def confirmed(self, name: Name, generation: int, batch: int) -> None:
        """Somebody is about to confirm it."""
        self.confirms[name, batch].add(generation)

    @property
    def now(self) -> float:
        return self.world.loop.time()

    def broken(self, rule: str, words: str) -> None:
        """Once per rule and words."""
        if not any(one.rule == rule and one.words == words for one in self.violations):
            self.violations.append(Violation(rule, self.now, words))
            self.world.loop.halted = True

    # --- bases ---

    def _look(self, seat: Seat) -> None:
        timeline = seat.base.base.timeline
        if len(timeline.commands) > seat.commands:
            seat.waiting += timeline.commands[seat.commands :]
            seat.commands = len(timeline.commands)
        if seat.running:
            seat.running = [one for one in seat.running if not self._ended(seat, one)]
        if seat.waiting:
            still = []
            for command in seat.waiting:
                if command.started_at is not None:
                    self._started(seat, command)
                elif command.outcome is None:
                    still.append(command)
            seat.waiting = still
        while seat.changes < len(timeline.changes):
            change = timeline.changes[seat.changes]
            seat.changes += 1
            active = seat.active[change.module]
            if change.state == ACTIVATED:
                active.add(change.version)
                seat.down.pop(change.module, None)
            elif change.version in active:
                active.discard(change.version)
                if not active:
                    self._fell(seat, change.module)
            if change.state == GONE and change.module in seat.down:
                self._removed(seat, change.module)
        seat.running = [one for one in seat.running if one.ended_at is None]

    def _ended(self, seat: Seat, command: Command) -> bool:
        if command.ended_at is None:
            return False
        if command.outcome == SUCCESS and (step := _step(command)) is not None:
            seat.done[step] = _changes(seat, command.module)
        if (claim := self._claim_of(seat, command)) is not None:
            name = (seat.key.namespace, claim.deployment)
            self.finished.setdefault((name, self._rollout(name, claim.generation), claim.batch), self.now)
        return True

    def _claim_of(self, seat: Seat, command: Command) -> Claim | None:
        if command.request_id is None:
            return None
        epoch, token, _, _ = command.request_id.rsplit("-", 3)
        return self.claims.get((seat.key.namespace, seat.key.base, epoch, int(token)))

    def _started(self, seat: Seat, command: Command) -> None:
        if command.module == BURNT:
            return
        self.world.air.counts[f"ran {command.command}"] += 1
        if (step := _step(command)) is not None and seat.done.get(step) == _changes(seat, command.module):
            self.broken("S9", f"{command.command} {command.request_id} on {seat.key.pod} again: it was done")
        what = f"{command.command} {command.module}:{command.version} ({command.request_id})"
        where = f"{seat.key.pod}"
        for other in seat.running:
            if seat.freezes:
                seat.freezes -= 1
                self.excused["S7"] += 1
            elif self._strays(seat, command) or self._strays(seat, other):
                self.excused["reused address"] += 1
            else:
                self.broken(
                    "S7", f"{what} on {where} while {other.command} {other.request_id} still runs there"
                )
        if command.ended_at is None:
            seat.running.append(command)
        self._judge_claim(seat, command, f"{what} on {where}")
        if command.command == "installBiz":
            self._judge_capacity(seat, command, f"{what} on {where}")

    def _strays(self, seat: Seat, command: Command) -> bool:
        """Whether it was meant for a pod whose address this one got (design 2.2, left over)."""
        meant = self._claim_of(seat, command)
        reused = self.world.air.counts["fault address reused"]
        return bool(reused) and meant is not None and meant.pod != seat.key.pod

    def _outlived(self, seat: Seat, command: Command, operation: Operation | None) -> bool:
        """Whether the network kept the call back while the base was started again, and forgot that its id was spent
        meanwhile (docs/safety.md)."""
        lives = [life.at for life in seat.base.base.timeline.lives if life.event == "up"]
        anew = len(lives) > 1 and command.at - lives[-1] < NO_ANSWER_S
        return anew and (operation is None or command.request_id not in operation.open)

    def _judge_claim(self, seat: Seat, command: Command, what: str) -> None:
        """S2, S5, S6, S10."""
        meant = self._claim_of(seat, command)
        if self._strays(seat, command):
            self.excused["reused address"] += 1
            return
        ledger = self._stored(Ledger, POOLS_STREAM, subjects.key(subjects.POOLS, *seat.key.pool))
        record = self._stored(PodRecord, subjects.AVAILABILITY, subjects.record(*seat.key))
        held = ledger.claims.get(seat.key.pod) if ledger is not None else None
        operation = record.operation if record is not None else None
        if command.request_id is not None and self._outlived(seat, command, operation):
            self.excused["kept back while the base restarted"] += 1
            return
        # A claim that is not there any more is one of lost history: nothing may begin under it (S8).
        rule = "S8" if self.forgot else "S2"
        self._judge_token(seat, command, what)
        if self._lenient():
            claim = meant or held
            if held is None or claim != held:
                self.excused["on its way when the broker forgot"] += 1
        elif command.request_id is None:
            claim = held
            counts = self.world.air.counts
            late = counts["fault base defer"] or counts["fault call late"] or counts["fault address reused"]
            if held is None and late:
                # A switch takes a millisecond and has no id: one that the network kept back cannot be burnt, and
                # whose it was is not told. It only says again which of two versions serves.
                self.excused["late switch"] += 1
            elif held is None:
                self.broken(rule, f"{what} without a claim")
        else:
            epoch, token, _, _ = command.request_id.rsplit("-", 3)
            claim = held
            if ledger is None or held is None or (ledger.epoch, held.token) != (epoch, int(token)):
                self.broken(rule, f"{what} without its claim in the ledger: {held and held.token}")
            elif operation is None or operation.token != int(token):
                self.broken(rule, f"{what} without a record of it: {operation and operation.token}")
            elif command.request_id not in operation.open:
                self.broken(rule, f"{what} under an id the record does not name: {operation.open}")
            elif operation.over:
                self.broken(rule, f"{what} after its record said {operation.state}")
            elif held.uid != seat.uid:
                self.broken("S2", f"{what} under a claim on pod {held.uid}, this is {seat.uid}")
        if claim is None:
            return
        if claim.module != command.module and not (self.forgot and claim.op == "observe"):
            self.broken("S10", f"{what} under a claim for {claim.module}")
        seat.tokens[claim.token] = claim
        self._judge_gates(seat, claim, what)

    def _judge_token(self, seat: Seat, command: Command, what: str) -> None:
        """S8: a ledger that was forgotten gives no token twice."""
        claim = self._claim_of(seat, command)
        if claim is None or command.request_id is None:
            return
        epoch, token, _, _ = command.request_id.rsplit("-", 3)
        before = self.used.setdefault((*seat.key.pool, epoch, int(token)), claim)
        if (before.pod, before.op, before.module, before.revision) != (
            *(claim.pod, claim.op, claim.module, claim.revision),
        ):
            self.broken("S8", f"{what}: token {token} was {before.op} on {before.pod} before")

    def _judge_gates(self, seat: Seat, claim: Claim, what: str) -> None:
        """S5: nothing of an earlier batch runs. S6: confirmed, and not too early."""
        name = (seat.key.namespace, claim.deployment)
        batch = (name, claim.generation, claim.batch)
        if batch in self.begun:
            return
        self.begun[batch] = self.now
        document = self.documents.get(name)
        if claim.batch < 2 or document is None or self.forgot:
            return
        for other in self.seats.values():
            for command in other.running:
                earlier = self._claim_of(other, command)
                if earlier is None or other.key.pool != seat.key.pool:
                    continue
                if (
                    (earlier.deployment, earlier.generation) == (claim.deployment, claim.generation)
                    and (
                        # The way back of an abort is of no batch; what had begun before is finished beside it.
                        0 < earlier.batch < claim.batch
                    )
                    and not self._mends(other, command)
                ):
                    self.broken("S5", f"{what} in batch {claim.batch} while batch {earlier.batch} runs")
        if name in self.rules.ungated:
            return
        rollout, spec = document.rollout, document.spec
        if rollout.kind != "roll" or rollout.gateless or document.generation != claim.generation:
            return
        before = rollout.batches[claim.batch - 2] if claim.batch - 2 < len(rollout.batches) else None
        if before is not None and before.promoted_at is not None:
            return
        confirmed = self.confirms[name, claim.batch - 1]
        if spec.need_confirm and not any(
            rollout.first_generation <= generation <= claim.generation for generation in confirmed
        ):
            self.broken("S6", f"{what} in batch {claim.batch}: nobody confirmed batch {claim.batch - 1}")
        ended = self.finished.get((name, self._rollout(name, claim.generation), claim.batch - 1))
        if spec.gray_time_s and ended is not None and self.now < ended + spec.gray_time_s - 0.001:
            self.broken(
                "S6",
                f"{what} in batch {claim.batch} {self.now - ended:.3f} s after the first replica of the batch "
                f"before was finished; grayTime is {spec.gray_time_s} s",
            )

    def _mends(self, seat: Seat, command: Command) -> bool:
        """Whether it was taken up after its batch had come to rest: what broke since is mended, or a pod came."""
        claim = self._claim_of(seat, command)
        if claim is None or command.request_id is None:
            return False
        epoch, token, _, _ = command.request_id.rsplit("-", 3)
        batch = ((seat.key.namespace, claim.deployment), claim.generation, claim.batch)
        rested = self.rested.get(batch)
        return rested is not None and self.taken_in[(*seat.key.pool, epoch, int(token))] > rested

    def _counted(self, progress: Progress) -> None:
        """When a batch came to rest: the counts that a planner may verify it by, however late it hears of them."""
        name = (progress.namespace, progress.name)
        plan = self.plans.get((name, progress.plan_revision))
        if plan is None or progress.moving or progress.outcome != progress.present:
            return
        if progress.present < (progress.pods if plan.replicas == ALL else plan.replicas):
            return
        level = progress.present if plan.updated == ALL else plan.updated
        if progress.updated_available + progress.failed >= min(level, progress.present - progress.down):
            self.rested.setdefault((name, progress.generation, progress.batch), progress.ledger_revision)

    def _rollout(self, name: Name, generation: int) -> int:
        """The first generation of the rollout that a generation belongs to, as far as that is known."""
        document = self.documents.get(name)
        first = document.rollout.first_generation if document is not None else generation
        return min(first, generation)

    def _judge_capacity(self, seat: Seat, command: Command, what: str) -> None:
        """S4: a module that is not there yet needs a slot."""
        found = {module for module in seat.base.base.modules() if module != BURNT}
        if command.module in found:
            return
        limit = self._limit(seat)
        if limit is not None and len(found | {command.module}) > limit:
            self.broken("S4", f"{what}: it holds {len(found)} of {limit} modules already")

    def _limit(self, seat: Seat) -> int | None:
        """The most that any view may still believe."""
        counted: list[int | None] = []
        for index, (_, limit) in enumerate(seat.limits):
            until = seat.limits[index + 1][0] if index + 1 < len(seat.limits) else self.now
            if until >= self.now - LIMIT_LAG_S:
                counted.append(limit)
        return None if None in counted else max(one for one in counted if one is not None)

    def _fell(self, seat: Seat, module: str) -> None:
        """A module serves no longer. S1, where it is our doing."""
        ours = next((one for one in seat.running if one.module == module), None)
        claim = self._claim_of(seat, ours) if ours is not None else None
        if ours is None or ours.command == "installBiz" or claim is None:
            seat.down[module] = None
            return
        seat.down[module] = claim
        self.replaced += 1
        name = (seat.key.namespace, claim.deployment)
        down = [
            (other, taken)
            for other in self._seats_of(seat.key.pool)
            if (taken := other.down.get(module)) is not None and taken.deployment == claim.deployment
        ]
        allowed = max((self._allowed(seat.key.pool, name, one) for _, one in down), default=0)
        present = sum(
            bool(other.active[module]) or module in other.down for other in self._seats_of(seat.key.pool)
        )
        # What is replaced as it was once promised goes on while surplus replicas of a smaller wish are removed.
        plans = (self._plan_of(seat.key.pool, name, claim), self._noted_plan(seat.key.pool, name))
        wanted = min((one.wanted for one in plans if one is not None and one.wanted != ALL), default=present)
        surplus = max(0, present - wanted)
        if len(down) > allowed + surplus:
            self.broken(
                "S1",
                f"{len(down)} replicas of {'/'.join(name)} are down because of us, {allowed} may be (and "
                f"{surplus} are surplus): {', '.join(sorted(one.key.pod for one, _ in down))}",
            )

    def _removed(self, seat: Seat, module: str) -> None:
        """Nothing of it is left there: no longer a replica where that was the purpose."""
        claim = seat.down[module]
        if claim is not None and claim.op == "remove":
            del seat.down[module]

    def _let_go(self, record: PodRecord) -> None:
        """What was down already when it was to be removed is no replica any more once that is over."""
        operation, seat = record.operation, self.seats.get(record.uid)
        if operation is None or operation.op != "remove" or operation.state != "done" or seat is None:
            return
        claim = self.claims.get((record.namespace, record.base, operation.epoch, operation.token))
        if claim is not None and claim.module in seat.down and claim.module not in seat.base.base.modules():
            del seat.down[claim.module]

    def _seats_of(self, pool: tuple[str, str]) -> list[Seat]:
        return [seat for seat in self.seats.values() if seat.key.pool == pool and not seat.gone]

    def _plan_of(self, pool: tuple[str, str], name: Name, claim: Claim) -> Plan | None:
        return self.under.get((pool, claim.token)) or self.newest_plan.get(name)

    def _noted_plan(self, pool: tuple[str, str], name: Name) -> Plan | None:
        """The newest plan that the ledger knows of."""
        ledger = self.ledgers.get(pool)
        return self.plans.get((name, ledger.noted.get(name[1], 0))) if ledger is not None else None

    def _allowed(self, pool: tuple[str, str], name: Name, claim: Claim) -> int:
        """How many may be down under the promise that the claim was taken under."""
        plan = self._plan_of(pool, name, claim)
        if plan is None:
            return 0
        # A pod that left since makes nothing of what was begun too much.
        wanted = plan.wanted
        if wanted == ALL:
            wanted = max(len(self._seats_of(pool)), self.peers.get((pool, claim.token), 0))
        allowed = resolved(plan, wanted)
        return max(1, allowed) if plan.mode == "remove" else allowed

    # --- the bus ---

    def stored(self, message: Stored, stream: str) -> None:
        """Something was stored."""
        if stream == POOLS_STREAM:
            self._ledger(Ledger.decode(message.data), message.sequence)
        elif stream == subjects.AVAILABILITY:
            record = PodRecord.decode(message.data)
            key = PodKey(record.namespace, record.base, record.pod)
            self.records[key].append((message.sequence, record))
            self._let_go(record)
        elif stream == subjects.PLANS:
            plan = Plan.decode(message.data)
            name = (plan.namespace, plan.name)
            self.plans[name, plan.revision] = self.newest_plan[name] = plan
        elif stream == subjects.PROGRESS:
            self._counted(Progress.decode(message.data))
        elif stream == DOCUMENTS_STREAM:
            document = Document.decode(message.data)
            name = (document.namespace, document.name)
            self._accepted(name, document)
            self.documents[name] = document
            self.generations[name] = max(self.generations[name], document.generation)
        elif stream == subjects.STATUS:
            self._status(json.loads(message.data))

    def _accepted(self, name: Name, document: Document) -> None:
        """S9: an event counts once, however often it is delivered."""
        before = self.documents.get(name)
        if before is None or self.forgot or document.generation <= before.generation:
            return
        if document.generation > before.generation + 1 or document.last_wish == before.last_wish:
            self.broken(
                "S9",
                f"{'/'.join(name)} went from generation {before.generation} to {document.generation} by the wish "
                f"at {document.last_wish.sequence}; the one before was at {before.last_wish.sequence}",
            )

    def _ledger(self, ledger: Ledger, revision: int) -> None:
        pool = (ledger.namespace, ledger.base)
        before = self.ledgers.get(pool)
        self.ledgers[pool] = ledger
        known = before.claims if before is not None else {}
        for pod, claim in ledger.claims.items():
            self.claims[(*pool, ledger.epoch, claim.token)] = claim
            self.taken_in.setdefault((*pool, ledger.epoch, claim.token), revision)
            old = known.get(pod)
            if old is None or old.token != claim.token:
                self.taken_by[pool[0], claim.deployment] += 1
                self._taken(ledger, claim)
        if self.forgot:
            return
        for pod, old in known.items():
            new = ledger.claims.get(pod)
            if new is None or new.token != old.token:
                self._left(PodKey(*pool, pod), old)

    def _left(self, key: PodKey, claim: Claim) -> None:
        """S3: a claim leaves on proof."""
        history = self.records.get(key)
        record = history[-1][1] if history else None
        if record is None:
            live = self.world.inventory.pods.get(key)
            if live is not None and live.uid == claim.uid:
                self.broken("S3", f"claim {claim.token} on {key.pod} left without any record")
            return
        operation = record.operation
        if record.gone or record.uid != claim.uid:
            return
        if operation is not None and operation.token == claim.token and operation.over:
            return
        if operation is not None and operation.token > claim.token:
            return
        self.broken("S3", f"claim {claim.token} on {key.pod} left without proof: {operation}")

    def _taken(self, ledger: Ledger, claim: Claim) -> None:
        """S1 at the moment of claiming: the view used must leave room for it."""
        pool = (ledger.namespace, ledger.base)
        name = (ledger.namespace, claim.deployment)
        plan = self.plans.get((name, ledger.noted.get(claim.deployment, 0)))
        if plan is None:
            return
        self.under[pool, claim.token] = plan
        if claim.op == "observe":
            return
        view = self._view(pool, ledger.seen)
        self.peers[pool, claim.token] = self._peers(view, claim.module)
        if self.forgot:
            return
        in_work = {
            pod
            for pod, one in ledger.claims.items()
            if one.deployment == claim.deployment and one.op in ("replace", "remove") and not one.beside
        }
        if claim.pod not in in_work:
            return
        serving = {key.pod for key, record in view.items() if _serves(record, claim.module)}
        if plan.mode == "remove":
            wanted = plan.wanted if plan.wanted != ALL else len(view)
            allowed = max(1, resolved(plan, wanted))
            if len(in_work) > allowed:
                self.broken("S1", f"{len(in_work)} replicas of {name} in work, {allowed} may be")
            return
        if claim.pod not in serving:
            return  # it takes nothing away
        wanted = plan.wanted if plan.wanted != ALL else self._peers(view, claim.module)
        left = len(serving - in_work)
        allowed = resolved(plan, wanted)
        if left < wanted - allowed:
            self.broken(
                "S1",
                f"claim {claim.token} ({claim.op} on {claim.pod}) leaves {left} of {wanted} replicas of "
                f"{'/'.join(name)} available in the view used, {allowed} may be missing",
            )

    def _view(self, pool: tuple[str, str], seen: int) -> dict[PodKey, PodRecord]:
        """The newest record of each pod of a pool up to a sequence."""
        view: dict[PodKey, PodRecord] = {}
        for key, history in self.records.items():
            if key.pool != pool:
                continue
            for sequence, record in reversed(history):
                if sequence <= seen:
                    if not record.gone:
                        view[key] = record
                    break
        return view

    def _peers(self, view: Mapping[PodKey, PodRecord], module: str) -> int:
        return sum(
            not record.terminating and (not record.cordoned or module in record.modules)
            for record in view.values()
        )

    def _status(self, status: Mapping[str, Any]) -> None:
        """S11: honest numbers, and a generation that was looked at."""
        name = (status["namespace"], status["name"])
        self.statuses[name] = status
        for field_ in (
            "replicas",
            "updated",
            "available",
            "updatedAvailable",
            "unavailable",
            "failed",
            "moving",
        ):
            if status[field_] < 0:
                self.broken("S11", f"status of {'/'.join(name)} says {field_} {status[field_]}")
        if status["observedGeneration"] > status["generation"]:
            self.broken("S11", f"status of {'/'.join(name)} observed a generation that is not there")
        if status["phase"] == "Healthy" and status["unavailable"]:
            self.broken(
                "S11", f"status of {'/'.join(name)}: Healthy with {status['unavailable']} unavailable"
            )
        revision, observed = self.observed.get(name, (0, 0))
        if not self.forgot and status["documentRevision"] < revision:
            self.broken("S11", f"status of {'/'.join(name)} went back from document {revision}")
        self.observed[name] = status["documentRevision"], max(observed, status["observedGeneration"])

    def _stored(self, kind: type[Any], stream: str, subject: str) -> Any:
        found = self.world.broker.streams[stream].last(subject)
        return kind.decode(found.data) if found is not None else None


def resolved(plan: Plan, wanted: int) -> int:
    """maxUnavailable in replicas: given it rounds down, the default is a quarter and at least one."""
    if plan.max_unavailable is None:
        return max(1, wanted * 25 // 100)
    given = plan.max_unavailable
    return min(wanted, wanted * int(given[:-1]) // 100 if isinstance(given, str) else given)


def _step(command: Command) -> tuple[str, str, str, str] | None:
    """What a command does for which claim; None: nobody's, or it does nothing."""
    if command.request_id is None or command.module == BURNT:
        return None
    epoch, token, _, _ = command.request_id.rsplit("-", 3)
    return epoch, token, command.command, f"{command.module}:{command.version}"


def _changes(seat: Seat, module: str) -> int:
    return sum(change.module == module for change in seat.base.base.timeline.changes)


def _serves(record: PodRecord, module: str) -> bool:
    entry = record.modules.get(module)
    return entry is not None and entry.serves and record.ready and not record.terminating


class _Watched(dict[str, MemoryStream]):
    """The broker's streams: what they store is told."""

    def __init__(self, oracle: Oracle) -> None:
        super().__init__()
        self._oracle = oracle

    def __setitem__(self, name: str, stream: MemoryStream) -> None:
        super().__setitem__(name, stream)
        append, told = stream._append, self._oracle.stored

        def watched(*args: Any, **kwargs: Any) -> int:
            sequence = append(*args, **kwargs)
            if (message := stream.messages.get(sequence)) is not None:
                told(message, name)
            return sequence

        stream._append = watched  # type: ignore[method-assign]
