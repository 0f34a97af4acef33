"""Time per chosen pod in pools of growing size, side by side: ``python benchmarks/choose.py``.

Each measured round chooses 500 pods to install on, or 500 to replace, out of a pool that is otherwise settled;
what a choice costs should not depend on the size of the pool. Seconds of the processor are counted, so that a
busy machine does not blur the comparison.
"""

from __future__ import annotations

import gc
import time
from datetime import UTC, datetime
from statistics import median

from tranche.contract.content import Content
from tranche.contract.ledger import Ledger
from tranche.contract.plan import Plan
from tranche.contract.record import ModuleEntry, PodRecord
from tranche_scheduler.core.choice import choose
from tranche_scheduler.core.pool import PoolView

SIZES = (1_000, 10_000, 100_000)
CHOSEN = 500
ROUNDS = 15
NOW = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
LEDGER = Ledger(namespace="shop", base="web", epoch="bench")
V1 = Content(revision=1, module="cart", version="1.0.0")
V2 = Content(revision=2, module="cart", version="2.0.0")


def record(number: int, *, installed: bool) -> PodRecord:
    names = [f"m{module}" for module in range(number % 4)]
    entry = ModuleEntry(version="1.0.0", revision=1, state="available", since=NOW)
    return PodRecord(
        namespace="shop",
        base="web",
        pod=f"web-{number:06}",
        uid="u",
        address="h:1",
        ready=True,
        max_modules=10,
        observed_at=NOW,
        modules=dict.fromkeys([*names, *(["cart"] if installed else [])], entry),
    )


def plan(replicas: int, updated: int) -> Plan:
    return Plan(
        namespace="shop",
        base="web",
        name="cart",
        module="cart",
        revision=1,
        generation=2,
        target=V2,
        stable=V1,
        target_revisions=(2,),
        stable_revisions=(1,),
        replicas=replicas,
        updated=updated,
        wanted=replicas,
        max_unavailable="100%",
    )


def microseconds(size: int, *, installed: int, told: Plan) -> tuple[float, float]:
    """Per pod: to fold its record, and to choose it."""
    records = [record(number, installed=number < installed) for number in range(size)]
    view = PoolView()
    view.fold_plan(told)
    gc.collect()
    gc.disable()
    began = time.process_time()
    for position, found in enumerate(records, 1):
        view.fold(found, position)
    folding = (time.process_time() - began) / size * 1e6
    took = []
    for _ in range(ROUNDS):
        began = time.process_time()
        choice = choose(view, LEDGER, NOW)
        took.append(time.process_time() - began)
        assert len(choice.claims) == CHOSEN, len(choice.claims)
    gc.enable()
    return folding, median(took) / CHOSEN * 1e6


def main() -> None:
    print(f"{'pods':>8} {'fold µs':>9} {'install µs/pod':>15} {'replace µs/pod':>15}")
    rows = []
    for size in SIZES:
        # The last CHOSEN pods lack the module: all others are passed over without being looked at.
        folding, install = microseconds(size, installed=size - CHOSEN, told=plan(size, 0))
        _, replace = microseconds(size, installed=size, told=plan(size, CHOSEN))
        rows.append((install, replace))
        print(f"{size:>8} {folding:>9.1f} {install:>15.1f} {replace:>15.1f}")
    print(f"{'ratio':>8} {'':>9} {rows[-1][0] / rows[0][0]:>14.2f}x {rows[-1][1] / rows[0][1]:>14.2f}x")


if __name__ == "__main__":
    main()
