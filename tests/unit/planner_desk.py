"""A deployment in the planner's pure core, with counts made up by the test."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.installation import manifest
from tranche.contract.answer import AcceptedAnswer, RefusedAnswer
from tranche.contract.explanation import Freeze
from tranche.contract.manifest import Accepted, parse_manifest
from tranche.contract.plan import ALL, Plan
from tranche.contract.progress import Progress
from tranche.contract.status import Status
from tranche_planner.core.document import Document, Mark
from tranche_planner.core.freezing import under
from tranche_planner.core.rollout import advance, observe, wake
from tranche_planner.core.settling import settled
from tranche_planner.core.status import status
from tranche_planner.core.verbs import decide
from tranche_planner.core.wishes import Apply, Wish

BEGAN = datetime(2026, 1, 31, 9, 0, tzinfo=UTC)


def wish(version: str = "1.0.0", **changes: Any) -> Apply:
    """An applied manifest."""
    document = manifest("cart", version, **changes)
    spec = document["spec"]
    for name in ("failureThreshold", "autoRollback", "drainSeconds"):
        if name in spec:
            spec["operationStrategy"][name] = spec.pop(name)
    parsed = parse_manifest(document, namespace="shop", name="cart")
    assert isinstance(parsed, Accepted), parsed
    return Apply(parsed.spec, parsed.warnings)


@dataclass
class Case:
    """What happens to one document, and a world in which plans come true at once when asked to."""

    now: datetime = BEGAN
    sequence: int = 0
    document: Document | None = None
    revisions: dict[int, int] = field(default_factory=dict)
    """Replicas by revision number, all available."""
    pods: int = 10
    ledger: int = 0

    def do(self, what: Wish, *, sequence: int | None = None) -> AcceptedAnswer | RefusedAnswer:
        self.sequence += 1
        number = self.sequence if sequence is None else sequence
        decision = decide(self.document, what, Mark(sequence=number, time=self.now), self.now)
        if decision.document is not None:
            self._keep(decision.document)
        return decision.answer

    def apply(self, version: str = "1.0.0", **changes: Any) -> AcceptedAnswer | RefusedAnswer:
        return self.do(wish(version, **changes))

    def tell(self, **changes: Any) -> None:
        """The scheduler answers the newest plan with what is there."""
        self.see(self.counts(**changes))

    def see(self, progress: Progress) -> None:
        mark = Mark(sequence=progress.ledger_revision, time=self.now)
        self._keep(settled(self.it, observe(self.it, progress, mark, self.now), self.now))

    def later(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        thawed = under(self.it, None, Mark(), self.now)
        self._keep(settled(self.it, wake(thawed, self.now), self.now))

    def freeze(self, **about: Any) -> None:
        """A freeze of the namespace begins, or changes."""
        freeze = Freeze(**{"namespace": "shop", "since": self.now, **about})
        self.sequence += 1
        self._freezes(freeze)

    def unfreeze(self) -> None:
        self.sequence += 1
        self._freezes(None)

    def _freezes(self, freeze: Freeze | None) -> None:
        mark = Mark(sequence=self.sequence, time=self.now)
        self._keep(settled(self.it, advance(under(self.it, freeze, mark, self.now), self.now), self.now))

    def carry_out(self, **changes: Any) -> None:
        """What the plan asks for comes true, and is told."""
        plan = self.plan
        if plan.mode == "remove":
            self.revisions = {}
        elif plan.mode in ("roll", "abort") and plan.target is not None and not plan.held:
            replicas = self.pods if plan.replicas == ALL else plan.replicas
            updated = replicas if plan.updated == ALL else plan.updated
            old = next((number for number in self.revisions if number not in plan.target_revisions), None)
            if old is None:
                old = plan.stable.revision if plan.stable else plan.target.revision
            self.revisions = {}
            for number, count in ((plan.target.revision, updated), (old, replicas - updated)):
                if count:
                    self.revisions[number] = self.revisions.get(number, 0) + count
        self.tell(**changes)

    def finish(self) -> None:
        """Until nothing new is planned."""
        for _ in range(50):
            before = self.plan.revision
            self.carry_out()
            if self.plan.revision == before:
                return
        raise AssertionError(f"it does not come to an end: {self.status!r}")

    def counts(self, **changes: Any) -> Progress:
        self.ledger += 1
        plan = self.plan
        present = sum(self.revisions.values())
        updated = sum(self.revisions.get(number, 0) for number in plan.target_revisions)
        return Progress(
            namespace="shop",
            base="web-base",
            name="cart",
            plan_revision=plan.revision,
            generation=plan.generation,
            batch=plan.batch,
            ledger_revision=self.ledger,
            position=self.ledger,
            at=self.now,
            pods=self.pods,
            present=present,
            outcome=present,
            updated=updated,
            outcome_updated=updated,
            available=present,
            updated_available=updated,
            placeable=max(0, self.pods - present),
        ).but(**changes)

    @property
    def it(self) -> Document:
        assert self.document is not None
        return self.document

    @property
    def plan(self) -> Plan:
        assert self.it.plan is not None
        return self.it.plan

    @property
    def status(self) -> Status:
        return status(self.it, self.now)

    @property
    def gates(self) -> list[str]:
        return [gate.gate for gate in self.status.gates]

    def _keep(self, document: Document) -> None:
        # As the bus does: what is kept is what was written.
        self.document = Document.decode(document.encode())
        assert self.document == document


def healthy(replicas: int = 10) -> Case:
    """Its first version is everywhere."""
    case = Case()
    case.apply("1.0.0", replicas=replicas)
    case.finish()
    return case


def rolling(**changes: object) -> Case:
    """The beta of its second version is released."""
    case = healthy()
    case.apply("2.0.0", **{"replicas": 10, "batchCount": 3, "useBeta": True, **changes})
    case.tell()
    return case


def verified(**changes: object) -> Case:
    """The beta is verified."""
    case = rolling(**changes)
    case.carry_out()
    return case
