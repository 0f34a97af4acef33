"""A pool and its ledger in the scheduler's pure core, played round by round."""

from __future__ import annotations

from tests.scheduler_oracle import NOW, entry, operation, record
from tranche.contract.ledger import Ledger
from tranche.contract.preview import Level, Levels
from tranche.contract.progress import Progress
from tranche.contract.record import PodRecord
from tranche_scheduler.core.history import ON_ITS_WAY
from tranche_scheduler.core.ledger import Round, play
from tranche_scheduler.core.pool import PoolView
from tranche_scheduler.core.progress import progress
from tranche_scheduler.core.rehearsal import Rehearsal, Snapshot


class Pool:
    """A pool and its ledger, played round by round."""

    def __init__(self, *records, counter: int = 5) -> None:
        self.view = PoolView()
        self.ledger = Ledger(namespace="shop", base="web", epoch="e", counter=counter)
        self.now = NOW
        self.told = 0
        for found in records:
            self.put(found)

    def put(self, found) -> None:
        self.view.fold(found, self.view.position + 1)

    def tell(self, told) -> None:
        self.told += 1
        self.view.fold_plan(told.but(revision=self.told))

    def round(self, *, revision: int = 100, caught_up: bool = False) -> Round:
        result = play(self.view, self.ledger, revision, self.now, caught_up=caught_up)
        assert isinstance(result, Round)
        self.ledger = result.ledger
        self.view.fold_claims(self.ledger.claims)
        return result

    def calm(self) -> None:
        """What was on its way when history was lost has ended."""
        self.now += ON_ITS_WAY

    def end(self, pod: str, state: str = "done", modules=None) -> None:
        claim, found = self.ledger.claims[pod], self.view.record(pod)
        kept = found.modules if modules is None else modules
        self.put(found.but(operation=operation(claim.token, state), modules=kept))


def said(pool: Pool, name: str, result: Round) -> Progress:
    """What is said of a deployment after a round."""
    plan = pool.view.plans[name]
    return progress(pool.view, plan, pool.ledger, 7, result.blocked.get(name), pool.now)


REHEARSED = Ledger(namespace="shop", base="web", epoch="e", counter=9)


def rehearsal(records, *plans, ledger=REHEARSED, begun=None) -> Rehearsal:
    """A question about a pool, carried out."""
    asked = Rehearsal(Snapshot(records, ledger, 7, 20), plans, NOW, begun)
    for _ in asked.perform():
        pass
    return asked


def rehearse(records, *plans, ledger=REHEARSED, skip=0, limit=100) -> Levels:
    """What a preview of the plans answers."""
    return rehearsal(records, *plans, ledger=ledger).answer(skip, limit)


def old(*pods: str, **facts) -> list[PodRecord]:
    """Pods with what is to be replaced."""
    return [record(pod, {"cart": entry(1)}, **facts) for pod in pods]


def told(level: Level) -> list[str]:
    """The steps of a level in words."""
    return [f"{step.step} {step.pod} {step.from_}>{step.to}" for step in level.steps]
