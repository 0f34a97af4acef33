"""A pool view that keeps no index: every question scans all pods. What the scheduler's own must agree with."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from tranche.contract.content import Content
from tranche.contract.ledger import Claim
from tranche.contract.plan import ALL, Plan
from tranche.contract.record import ModuleEntry, Operation, PodRecord, Serving
from tranche_scheduler.core.pool import EMPTIED, counted, modules_on, obstacle, vacated
from tranche_scheduler.core.standing import TIMED, Standing, standing

NOW = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)


def content(revision: int, module: str = "cart") -> Content:
    return Content(
        revision=revision, module=module, version=f"{revision}.0.0", url=f"http://m/{revision}.jar"
    )


def entry(revision: int = 1, state: str = "available", **facts) -> ModuleEntry:
    facts.setdefault("version", f"{revision}.0.0")
    facts.setdefault("since", NOW - timedelta(hours=1))
    return ModuleEntry(revision=revision, state=state, **facts)


def serving(revision: int) -> Serving:
    return Serving(version=f"{revision}.0.0", revision=revision)


def operation(token: int, state: str = "done", **facts) -> Operation:
    return Operation(token=token, uid="u", holder="x", state=state, op="install", deployment="cart", **facts)


def record(pod: str, modules: dict[str, ModuleEntry] | None = None, **facts) -> PodRecord:
    facts = {"uid": "u", "ready": True} | facts
    return PodRecord(
        namespace="shop", base="web", pod=pod, address="h:1", observed_at=NOW, modules=modules or {}, **facts
    )


def plan(name: str = "cart", **facts) -> Plan:
    """Revision 2 is to replace revision 1."""
    module = facts.setdefault("module", name)
    facts = {
        "revision": 1,
        "generation": 2,
        "batch": 1,
        "target": content(2, module),
        "stable": content(1, module),
        "target_revisions": (2,),
        "stable_revisions": (1,),
        "replicas": 10,
        "updated": ALL,
        "wanted": facts.get("replicas", 10),
    } | facts
    return Plan(namespace="shop", base="web", name=name, **facts)


class NaiveView:
    """Records, claims and plans as they are."""

    def __init__(self) -> None:
        self.records: dict[str, PodRecord] = {}
        self.claims: dict[str, Claim] = {}
        self.plans: dict[str, Plan] = {}
        self.touched: set[str] = set()
        self.position = 0
        self.max_token = 0

    def fold(self, found: PodRecord, position: int) -> None:
        self.records[found.pod] = found
        self.position = position
        self.max_token = max(self.max_token, found.operation.token if found.operation else 0)

    def fold_plan(self, told: Plan) -> bool:
        self.plans[told.name] = told
        return True

    def fold_claims(self, claims) -> None:
        self.claims = dict(claims)

    def claim(self, claim: Claim) -> None:
        self.claims[claim.pod] = claim

    def unclaim(self, pod: str) -> None:
        self.claims.pop(pod)

    def pods(self) -> list[str]:
        return [pod for pod, found in self.records.items() if not found.gone]

    def record(self, pod: str) -> PodRecord | None:
        return self.records.get(pod)

    def live(self) -> list[PodRecord]:
        return [found for found in self.records.values() if not found.gone]

    def standing(self, pod: str, name: str) -> Standing:
        found = self.records.get(pod)
        return standing(found, self.claims.get(pod), self.plans[name]) if found else Standing()

    def replicas(self, name: str) -> NaiveReplicas:
        return NaiveReplicas(self, name)

    def total(self, name: str, field: str) -> int:
        return sum(getattr(self.standing(found.pod, name), field) for found in self.live())

    def counted(self, name: str) -> int:
        return sum(
            counted(found, self.claims.get(found.pod)) or self._has(found, name)
            for found in self.live()
            if not found.terminating
        )

    def _has(self, found: PodRecord, name: str) -> bool:
        claim = self.claims.get(found.pod)
        return self.plans[name].module in found.modules or (claim is not None and claim.deployment == name)

    def goal(self, name: str) -> int:
        return self.counted(name) if self.plans[name].replicas == ALL else self.plans[name].replicas

    def _evicted(self, name: str) -> tuple[str, ...]:
        told = self.plans[name]
        return told.evict if told.mode in ("roll", "abort") and told.replicas != ALL else ()

    def _free(self, name: str) -> list[PodRecord]:
        return [
            found
            for found in self.live()
            if not obstacle(found, self.claims.get(found.pod))
            and self.plans[name].module not in found.modules
            and found.pod not in self._evicted(name)
        ]

    def _key(self, found: PodRecord, direction: int) -> tuple[int, bytes]:
        return direction * modules_on(found, self.claims.get(found.pod)), found.pod.encode()

    def better_seat_coming(self, name: str, direction: int) -> bool:
        coming = [
            (direction * (modules_on(found, None) - 1), found.pod.encode())
            for found in self.live()
            if (claim := self.claims.get(found.pod)) is not None
            and claim.deployment == name
            and claim.module == self.plans[name].module
            and vacated(found, claim)
            and found.pod not in self._evicted(name)
        ]
        free = [self._key(found, direction) for found in self._free(name)]
        return bool(coming) and (not free or min(coming) < min(free))

    def seat(self, name: str, direction: int) -> str | None:
        free = sorted(self._free(name), key=lambda found: self._key(found, direction))
        return free[0].pod if free else None

    def seats(self, name: str) -> int:
        return len(self._free(name))

    def obstacles(self, name: str) -> Counter[str]:
        return Counter(
            why
            for found in self.live()
            if self.plans[name].module not in found.modules
            and (
                why := obstacle(found, self.claims.get(found.pod))
                or (EMPTIED if found.pod in self._evicted(name) else "")
            )
        )

    def next_due(self, name: str) -> datetime | None:
        return self.replicas(name).next_due(TIMED)

    @property
    def unreadable(self) -> set[str]:
        return {found.pod for found in self.live() if found.capacity_problem}


class NaiveReplicas:
    """One deployment's replicas, looked up anew at each question."""

    def __init__(self, view: NaiveView, name: str) -> None:
        self._view = view
        self._name = name

    def _all(self) -> list[tuple[PodRecord, Standing]]:
        return [(found, self._view.standing(found.pod, self._name)) for found in self._view.live()]

    @property
    def claims(self) -> dict[str, Claim]:
        return {pod: claim for pod, claim in self._view.claims.items() if claim.deployment == self._name}

    def total(self, field: str) -> int:
        return self._view.total(self._name, field)

    def size(self, kinds) -> int:
        kinds = set(kinds)
        return sum(stands.kind in kinds for _, stands in self._all())

    def best(self, kinds, direction: int) -> str | None:
        found = [found for found, stands in self._all() if stands.kind in kinds]
        return min(found, key=lambda found: self._view._key(found, direction)).pod if found else None

    def _due(self, kinds) -> list[tuple[datetime, str]]:
        return sorted((s.due, found.pod) for found, s in self._all() if s.kind in kinds and s.due is not None)

    def due(self, kinds, now: datetime) -> str | None:
        return next((pod for due, pod in self._due(kinds) if due <= now), None)

    def next_due(self, kinds) -> datetime | None:
        return next((due for due, _ in self._due(kinds)), None)

    def _pods(self, wanted) -> list[str]:
        return sorted(found.pod for found, stands in self._all() if wanted(stands))

    @property
    def unavailable(self) -> list[str]:
        return self._pods(lambda stands: stands.present and not stands.available)

    @property
    def failed(self) -> list[str]:
        return self._pods(lambda stands: stands.failed)

    @property
    def unready(self) -> list[str]:
        return self._pods(lambda stands: stands.unready)

    @property
    def stuck(self) -> list[str]:
        return self._pods(lambda stands: stands.stuck)

    @property
    def busy(self) -> list[str]:
        return self._pods(lambda stands: stands.busy)

    @property
    def foreign(self) -> Counter[str]:
        return Counter(stands.foreign for _, stands in self._all() if stands.foreign)
