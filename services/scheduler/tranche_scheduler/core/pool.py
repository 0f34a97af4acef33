"""One pool as its records, claims and plans say, indexed so that a change and a choice cost O(1) (design 2.3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from tranche.contract.ledger import Claim
from tranche.contract.plan import ALL, Plan
from tranche.contract.record import PodRecord
from tranche_scheduler.core import retry
from tranche_scheduler.core.buckets import Buckets
from tranche_scheduler.core.eviction import evicted_pods
from tranche_scheduler.core.maturity import min_ready
from tranche_scheduler.core.placement import Direction
from tranche_scheduler.core.replicas import Replicas
from tranche_scheduler.core.standing import TIMED, Standing, standing

FULL = "full"
UNREADABLE = "with a module limit that cannot be read"
NOT_READY = "not ready"
CORDONED = "cordoned"
TERMINATING = "terminating"
BUSY = "busy"
EMPTIED = "to be left by replace"


def finished(plan: Plan) -> bool:
    """Whether nothing is left to be done, or looked after, under the plan. A wish for no replicas is looked after:
    one that was forgotten with its pod's record comes back when the pod is asked.

    >>> plan = Plan(namespace="n", base="b", name="d", module="m", revision=1, generation=1,
    ...             replicas=0, updated=0, wanted=0, mode="remove")
    >>> finished(plan), finished(plan.but(complete=True)), finished(plan.but(complete=True, mode="roll"))
    (False, True, False)
    """
    return plan.complete and plan.mode in ("remove", "open")


def modules_on(record: PodRecord, claim: Claim | None) -> int:
    """Distinct module names on a pod or claimed for it (design 1.5)."""
    coming = claim is not None and claim.op in ("install", "replace") and claim.module not in record.modules
    return len(record.modules) + coming


def obstacle(record: PodRecord, claim: Claim | None) -> str:
    """Why the pod takes nothing new; empty: it does."""
    if record.terminating:
        return TERMINATING
    if not record.ready:
        return NOT_READY
    if record.cordoned:
        return CORDONED
    return _no_room(record, claim) or (BUSY if _busy(record, claim) else "")


def _no_room(record: PodRecord, claim: Claim | None) -> str:
    if record.capacity_problem:
        return UNREADABLE
    full = record.max_modules is not None and modules_on(record, claim) >= record.max_modules
    return FULL if full else ""


def _busy(record: PodRecord, claim: Claim | None) -> bool:
    return claim is not None or (record.operation is not None and not record.operation.over)


def counted(record: PodRecord, claim: Claim | None) -> bool:
    """Whether a peer deployment counts the pod though its module is not there: it could take it, once ready."""
    return not record.terminating and not record.cordoned and not _no_room(record, claim)


def vacated(record: PodRecord, claim: Claim | None) -> bool:
    """Whether the pod will be a seat once the module that is being taken off it is gone."""
    if claim is None or claim.op != "remove" or claim.module not in record.modules:
        return False
    if record.terminating or not record.ready or record.cordoned or record.capacity_problem:
        return False
    stuck = record.operation is not None and record.operation.state == "stuck"
    # One module less: what is there without it has to leave room for another.
    full = record.max_modules is not None and len(record.modules) > record.max_modules
    return not stuck and not full


class _Place:
    """What the indexes know of one pod, to be taken out again as it was put in."""

    __slots__ = ("closed", "counted", "modules", "names", "obstacle", "record", "standings", "vacated")

    def __init__(self, record: PodRecord, claim: Claim | None) -> None:
        self.record = record
        self.modules = modules_on(record, claim)
        self.obstacle = obstacle(record, claim)
        self.counted = counted(record, claim)
        self.names: tuple[str, ...] = ()
        """Deployments whose module is in the record."""
        self.closed: tuple[str, ...] = ()
        """Deployments the pod is no seat for, though it takes other modules."""
        self.vacated = ""
        """The deployment it will be a seat for once its module is off the pod."""
        self.standings: dict[str, Standing] = {}

    def stands_as(self, other: _Place) -> bool:
        """Whether the indexes know both alike, whatever else their records say."""
        return (
            self.standings == other.standings
            and (self.modules, self.obstacle, self.counted, self.vacated)
            == (other.modules, other.obstacle, other.counted, other.vacated)
            and (self.names, self.closed) == (other.names, other.closed)
            and self.record.modules.keys() == other.record.modules.keys()
            and (self.record.terminating, bool(self.record.capacity_problem))
            == (other.record.terminating, bool(other.record.capacity_problem))
        )


def mere_step(before: PodRecord, after: PodRecord, claim: Claim | None) -> bool:
    """Whether all that happened is that the claim's operation began, or takes another step: where both stand
    alike nothing else is to be decided then."""
    operation = after.operation
    if claim is None or claim.withdrawn or operation is None or operation.over:
        return False
    return (operation.token, after.uid) == (claim.token, claim.uid) and before.modules == after.modules


class PoolView:
    """What is known of one pool. ``position``: the availability stream's sequence folded in."""

    def __init__(self) -> None:
        self.position = 0
        self.max_token = 0
        """The highest token in any record ever folded."""
        self.changes = 0
        """Raised by all that may lead to another decision."""
        self.plans: dict[str, Plan] = {}
        self.claims: dict[str, Claim] = {}
        self.touched: set[str] = set()
        """Deployments whose replicas changed since somebody emptied this set."""
        self.unreadable: set[str] = set()
        """Pods whose module limit cannot be read."""
        self._places: dict[str, _Place] = {}
        self._gone: dict[str, PodRecord] = {}
        self._replicas: dict[str, Replicas] = {}
        self._seats = Buckets()
        self._obstacles: Counter[str] = Counter()
        self._counted = 0
        self._owners: dict[str, str] = {}
        """By module: the deployment whose it is."""
        self._pods_with: dict[str, set[str]] = {}
        """By module: the pods whose record has it."""
        self._emptied: dict[str, set[str]] = {}
        """By pod: the deployments that are to leave it, and not to come back."""

    # What happened

    def fold(self, record: PodRecord, position: int) -> None:
        """A pod's newest record."""
        self.position = max(self.position, position)
        self.max_token = max(self.max_token, record.operation.token if record.operation else 0)
        pod = record.pod
        self._gone.pop(pod, None)
        if not record.gone:
            self._put_in(pod, record)
            return
        self._take_out(pod)
        if pod in self.claims:
            self._gone[pod] = record  # the proof that the claim is over

    def fold_claims(self, claims: Mapping[str, Claim]) -> None:
        """A ledger's claims: only what differs from those known is touched."""
        for pod in [pod for pod in self.claims if pod not in claims]:
            self.unclaim(pod)
        for pod, claim in claims.items():
            if self.claims.get(pod) is not claim and self.claims.get(pod) != claim:
                self.claim(claim)

    def claim(self, claim: Claim) -> None:
        """Count with a claim, in the place of the pod's former one."""
        self._change_claim(claim.pod, claim)

    def end(self, record: PodRecord) -> None:
        """A claim's end and the record that proves it, in one."""
        self._drop_claim(record.pod)
        self._put_in(record.pod, record)

    def unclaim(self, pod: str) -> None:
        """Count without the pod's claim."""
        self._change_claim(pod, None)
        self._gone.pop(pod, None)

    def fold_plan(self, plan: Plan) -> bool:
        """A deployment's newest plan; False: a newer one is known."""
        known = self.plans.get(plan.name)
        if known is not None and known.revision > plan.revision:
            return False
        self.plans[plan.name] = plan
        self.changes += 1
        self.touched.add(plan.name)
        if plan.name not in self._replicas:
            self._replicas[plan.name] = Replicas()
            for pod, claim in self.claims.items():
                if claim.deployment == plan.name:
                    self._replicas[plan.name].claims[pod] = claim
        if known is None or _looks(known) != _looks(plan):
            self._look_again(plan, known)
        return True

    # What there is

    def record(self, pod: str) -> PodRecord | None:
        place = self._places.get(pod)
        return place.record if place is not None else self._gone.get(pod)

    def pods(self) -> list[str]:
        """All pods that are not gone. Scans: for a pool that lost its history."""
        return list(self._places)

    def records(self) -> list[PodRecord]:
        """The records of all pods that are not gone. Scans: for a rehearsal on a copy."""
        return [place.record for place in self._places.values()]

    def replicas(self, name: str) -> Replicas:
        return self._replicas[name]

    def standing(self, pod: str, name: str) -> Standing:
        """How a deployment stands on a pod."""
        place = self._places.get(pod)
        return place.standings.get(name, Standing()) if place is not None else Standing()

    def total(self, name: str, field: str) -> int:
        """How many pods have this field of ``Standing`` set."""
        return self._replicas[name].total(field)

    def counted(self, name: str) -> int:
        """Pods a peer deployment counts."""
        return self._counted + self._replicas[name].closed

    def goal(self, name: str) -> int:
        """Replicas there are to be under the plan."""
        plan = self.plans[name]
        return self.counted(name) if plan.replicas == ALL else plan.replicas

    def seat(self, name: str, direction: Direction) -> str | None:
        """The pod to install on first."""
        head = self._seats.head_outside(self._replicas[name].seats, direction)
        return head[1] if head else None

    def better_seat_coming(self, name: str, direction: Direction) -> bool:
        """Whether a pod the deployment is just being taken off will be a better seat than all there are."""
        coming = self._replicas[name].vacated.head(direction)
        if coming is None:
            return False
        head = self._seats.head_outside(self._replicas[name].seats, direction)
        return head is None or (direction * coming[0], coming[1]) < (direction * head[0], head[1])

    def seats(self, name: str) -> int:
        """Pods the deployment's module could be installed on now."""
        return len(self._seats) - len(self._replicas[name].seats)

    def obstacles(self, name: str) -> Counter[str]:
        """Pods without the module that cannot take it, by why not."""
        found = self._obstacles - self._replicas[name].obstacles
        plan = self.plans[name]
        for pod in evicted_pods(plan):
            place = self._places.get(pod)
            if place is not None and not place.obstacle and plan.module not in place.record.modules:
                found[EMPTIED] += 1
        return found

    @property
    def waits(self) -> bool:
        """Whether something is tried again, or looked at, when its time has come."""
        return any(replicas.waits for replicas in self._replicas.values())

    def next_due(self, name: str) -> datetime | None:
        """The next time a failed replica may be tried again, or one that runs be looked at."""
        return self._replicas[name].next_due(TIMED)

    # Keeping the indexes

    def _change_claim(self, pod: str, claim: Claim | None) -> None:
        place = self._places.get(pod)
        self.changes += 1
        self._drop_claim(pod)
        if claim is not None:
            self.claims[pod] = claim
            self.touched.add(claim.deployment)
            if claim.deployment in self._replicas:
                self._replicas[claim.deployment].claims[pod] = claim
        if place is not None:
            self._put_in(pod, place.record)

    def _drop_claim(self, pod: str) -> None:
        former = self.claims.pop(pod, None)
        if former is not None:
            self.touched.add(former.deployment)
            if former.deployment in self._replicas:
                self._replicas[former.deployment].claims.pop(pod, None)

    def _look_again(self, plan: Plan, known: Plan | None) -> None:
        """A plan reads differently: whoever has its module, a claim for it or an order to lose it, is indexed
        anew."""
        name = plan.name
        modules = {plan.module, known.module if known else plan.module}
        left = set(evicted_pods(known)) if known else set()
        pods = {pod for module in modules for pod in self._pods_with.get(module, ())}
        pods.update(self._replicas[name].claims, left, evicted_pods(plan))
        places = [(pod, self._places[pod].record) for pod in sorted(pods) if pod in self._places]
        for pod, _ in places:
            self._take_out(pod)
        for module in modules:
            self._settle_owner(module, name)
        for pod in left:
            self._emptied[pod].discard(name)
        for pod in evicted_pods(plan):
            self._emptied.setdefault(pod, set()).add(name)
        for pod, record in places:
            self._put_in(pod, record)

    def _settle_owner(self, module: str, latest: str) -> None:
        """Whose the module is: of the plan told last, before plans that are finished."""
        rivals = [plan for plan in self.plans.values() if plan.module == module]
        if not rivals:
            self._owners.pop(module, None)
            return
        owner = self._owners.get(module)
        preferred = max(
            rivals, key=lambda plan: (not finished(plan), plan.name == latest, plan.name == owner, plan.name)
        )
        self._owners[module] = preferred.name

    def _put_in(self, pod: str, record: PodRecord) -> None:
        """Count with the record; what is known of its pod is taken out where it differs."""
        place, known = self._place(pod, record), self._places.get(pod)
        if known is None or not place.stands_as(known):
            self._take_out(pod)
            self._index(pod, place)
            return
        self._places[pod] = place
        self.touched.update(place.standings)
        if not mere_step(known.record, record, self.claims.get(pod)):
            self.changes += 1

    def _place(self, pod: str, record: PodRecord) -> _Place:
        claim = self.claims.get(pod)
        place = _Place(record, claim)
        place.names = tuple(
            owner for module in record.modules if (owner := self._owners.get(module)) is not None
        )
        emptied = self._emptied.get(pod)
        place.closed = (*place.names, *(emptied.difference(place.names))) if emptied else place.names
        if vacated(record, claim):
            assert claim is not None
            here = claim.deployment in place.names and claim.deployment not in (emptied or ())
            place.vacated = claim.deployment if here else ""
        for name in {*place.names, *self._claimant(claim)}:
            place.standings[name] = standing(record, claim, self.plans[name])
        return place

    def _index(self, pod: str, place: _Place) -> None:
        record = place.record
        self.changes += 1
        self._places[pod] = place
        for module in record.modules:
            self._pods_with.setdefault(module, set()).add(pod)
        if record.capacity_problem:
            self.unreadable.add(pod)
        self._counted += place.counted
        self._put_seat(pod, place)
        for name, stands in place.standings.items():
            replicas = self._replicas[name]
            replicas.add(pod, place.modules, stands)
            replicas.closed += not place.counted and not record.terminating
            self.touched.add(name)

    def _put_seat(self, pod: str, place: _Place) -> None:
        if place.vacated:
            self._replicas[place.vacated].vacated.add(place.modules - 1, pod)
        if place.obstacle:
            self._obstacles[place.obstacle] += 1
            for name in place.names:
                self._replicas[name].obstacles[place.obstacle] += 1
        else:
            self._seats.add(place.modules, pod)
            for name in place.closed:
                self._replicas[name].seats.add(place.modules, pod)

    def _take_out(self, pod: str) -> None:
        place = self._places.pop(pod, None)
        if place is None:
            return
        self.changes += 1
        for module in place.record.modules:
            self._pods_with[module].discard(pod)
        self.unreadable.discard(pod)
        self._counted -= place.counted
        self._take_seat(pod, place)
        for name, stood in place.standings.items():
            replicas = self._replicas[name]
            replicas.remove(pod, place.modules, stood)
            replicas.closed -= not place.counted and not place.record.terminating
            self.touched.add(name)

    def _take_seat(self, pod: str, place: _Place) -> None:
        if place.vacated:
            self._replicas[place.vacated].vacated.remove(place.modules - 1, pod)
        if place.obstacle:
            self._obstacles[place.obstacle] -= 1
            for name in place.names:
                self._replicas[name].obstacles[place.obstacle] -= 1
        else:
            self._seats.remove(place.modules, pod)
            for name in place.closed:
                self._replicas[name].seats.remove(place.modules, pod)

    def _claimant(self, claim: Claim | None) -> tuple[str, ...]:
        known = claim is not None and claim.deployment in self._replicas
        return (claim.deployment,) if claim is not None and known else ()


def _looks(plan: Plan) -> tuple[object, ...]:
    """What of a plan decides how its replicas stand: batches and levels do not."""
    version = plan.target.version if plan.target else None
    return (
        plan.module,
        retry.for_ever(plan),
        plan.retried_at,
        min_ready(plan),
        evicted_pods(plan),
        plan.evicted_at,
        version,
        plan.stable.version if plan.stable else None,
        plan.target_revisions,
        plan.stable_revisions,
        finished(plan),
    )
