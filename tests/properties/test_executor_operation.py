"""Whatever a base does with orders, and whoever takes over when: one id open at most, and a true end."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from tranche.contract.content import Content
from tranche.contract.ledger import Claim
from tranche.contract.record import ModuleEntry, PodRecord
from tranche_executor.arklet.failure import Cause, Failure
from tranche_executor.arklet.operation import Operation, OperationState
from tranche_executor.arklet.wire import Biz, BizState, Bizzes
from tranche_executor.core import entry
from tranche_executor.core.fence import (
    Ask,
    Burn,
    Forgotten,
    NeverRan,
    Outcome,
    Refused,
    Running,
    Told,
    fence,
    outcome,
)
from tranche_executor.core.operation import MOST_ATTEMPTS, Situation, decide
from tranche_executor.core.step import Done, Failed, Install, Kept, Switch, Uninstall, Wait, word_of

NOW = datetime(2026, 1, 31, tzinfo=UTC)
TARGET = Content(revision=2, module="cart", version="2.0.0", url="http://m/cart.jar")
NO = Failure(Cause.MODULE, False, "no bean")
FATES = ("runs", "runs", "runs", "runs-unanswered", "late", "lost", "fails", "breaks", "stranger", "restart")


@dataclass
class Model:
    """A base with arklet's memory of ids; ``fates`` say what becomes of each order."""

    fates: list[str]
    modules: dict[tuple[str, str], BizState]
    ids: dict[str, Operation] = field(default_factory=dict)
    late: list[tuple[str, Any]] = field(default_factory=list)
    ran: list[str] = field(default_factory=list)

    def send(self, change: Any, id_: str) -> Told:
        fate = self.fates.pop() if self.fates else "runs"
        event(fate)
        if fate == "late":
            self.late.append((id_, change))
            return Told()
        if fate == "lost":
            return Told()
        if fate == "restart":
            # What was on its way to the process that ended is lost with its connections.
            self.modules, self.ids, self.late = {}, {}, []
            return Told()
        self.carry_out(change, id_, fate)
        return Told() if fate == "runs-unanswered" else Told(self.ids.get(id_))

    def carry_out(self, change: Any, id_: str, fate: str) -> None:
        if id_ and id_ in self.ids:
            return  # an id is spent once
        self.ran.append(id_)
        ok = fate not in ("fails", "breaks")
        key = (change.module, change.version)
        match change:
            case Install() if fate == "stranger":
                self.modules["orders", "9"] = BizState.ACTIVATED
            case Install() if fate == "breaks":
                self.modules[key] = BizState.BROKEN
            case Install() if ok:
                beside = any(name == change.module for name, _ in self.modules)
                self.modules[key] = BizState.DEACTIVATED if beside else BizState.ACTIVATED
            case Uninstall() if ok:
                self.modules.pop(key, None)
            case Switch() if ok and key in self.modules:
                for other in self.modules:
                    if other[0] == change.module:
                        self.modules[other] = BizState.DEACTIVATED
                self.modules[key] = BizState.ACTIVATED
        if id_:
            state = OperationState.SUCCEEDED if ok else OperationState.FAILED
            self.ids[id_] = Operation(id_, state, None if ok else NO)

    def arrive(self) -> None:
        """What was on its way for long comes in."""
        for id_, change in self.late:
            self.carry_out(change, id_, "runs")
        self.late.clear()

    def burn(self, id_: str) -> Told:
        if id_ in self.ids:
            return Told(spent=True)
        self.ids[id_] = Operation(id_, OperationState.FAILED, NO, module="tranche-burnt")
        return Told(burnt=True)

    def ask(self, id_: str) -> Told:
        return Told(self.ids.get(id_, Operation(id_, OperationState.UNKNOWN)))

    def look(self) -> Bizzes:
        return Bizzes(tuple(Biz(*key, state) for key, state in self.modules.items()))


@given(
    op=st.sampled_from(["install", "replace", "remove"]),
    beside=st.booleans(),
    costs=st.booleans(),
    before=st.dictionaries(
        st.sampled_from([("cart", "1.0.0"), ("cart", "2.0.0"), ("cart", "0.9"), ("orders", "1")]),
        st.sampled_from([BizState.ACTIVATED, BizState.DEACTIVATED, BizState.BROKEN]),
        max_size=3,
    ),
    fates=st.lists(st.sampled_from(FATES), max_size=MOST_ATTEMPTS),
    crashes=st.lists(st.booleans(), max_size=60),
    arrivals=st.lists(st.booleans(), max_size=60),
)
@settings(max_examples=400, deadline=None)
def test_any_base_any_crash(
    op: Any,
    beside: bool,
    costs: bool,
    before: dict[tuple[str, str], BizState],
    fates: list[str],
    crashes: list[bool],
    arrivals: list[bool],
) -> None:
    base = Model(list(fates), dict(before))
    claim = Claim(
        pod="web-1",
        uid="u",
        deployment="cart",
        module="cart",
        generation=2,
        batch=1,
        op=op,
        revision=2 if op != "remove" else 0,
        token=7,
        beside=beside,
        costs=costs,
    )
    record = entry.begun(_record(before), claim, epoch="e0", holder="one", now=NOW)
    told: dict[str, Told] = {}
    switched: Outcome | None = None

    for turn in range(400):
        if turn < len(crashes) and crashes[turn]:
            told, switched = {}, None  # another executor goes on from the record alone
            record = entry.begun(record, claim, epoch="e0", holder=f"holder-{turn}", now=NOW)
        if turn < len(arrivals) and arrivals[turn]:
            base.arrive()
        assert record.operation is not None
        match fence(record.operation.open, told):
            case Ask(id_):
                told[id_] = base.ask(id_)
                continue
            case Burn(id_):
                told[id_] = base.burn(id_)
                continue
            case Running(id_) | Forgotten(id_):
                told[id_] = Told()
                continue
        last = switched if word_of(record.operation.step) == "switch" else None
        if record.operation.open:
            last = outcome(told[record.operation.open[-1]])
        target = TARGET if op != "remove" else None
        seen = base.look()
        step = decide(Situation(claim, target, record, seen, last))
        match step:
            case Done() | Failed():
                record = entry.ended(record, claim, target, step, seen, ready=True, now=NOW)
                _judge(record, base, step, op)
                return
            case Kept(version):
                assert not costs
                assert op != "remove"
                record = entry.ended(record, claim, target, step, seen, ready=True, now=NOW)
                assert record.operation is not None
                assert (record.operation.state, record.operation.open) == ("unchanged", ())
                assert _serving(base) == {version}
                return
            case Wait():
                raise AssertionError(f"nothing starts here: {step}")
            case _:
                record, id_ = entry.stepping(record, claim, target, step, seen, ready=True, now=NOW)
                assert record.operation is not None
                assert len(record.operation.open) <= 1
                assert record.operation.attempt <= MOST_ATTEMPTS
                if isinstance(step, Uninstall) and step.word != "undo" and not costs and op != "remove":
                    assert _serving(base) != {step.version}, "nobody counted with that"
                answer = base.send(step, id_)
                if isinstance(step, Switch):
                    switched = NeverRan()
                else:
                    told[id_] = answer
    raise AssertionError("it never ends")


def _serving(base: Model) -> set[str]:
    """The versions that are active."""
    return {
        version
        for (name, version), state in base.modules.items()
        if (name, state) == ("cart", BizState.ACTIVATED)
    }


def _judge(record: PodRecord, base: Model, step: Done | Failed, op: str) -> None:
    """The end is true, and stays so when what was still on its way comes in."""
    assert record.operation is not None
    assert (record.operation.over, record.operation.open) == (True, ())
    for _ in range(2):
        carts = {version: state for (name, version), state in base.modules.items() if name == "cart"}
        noted = record.modules.get("cart")
        if isinstance(step, Done):
            assert carts == ({} if op == "remove" else {"2.0.0": BizState.ACTIVATED})
            assert (noted is None) == (op == "remove")
        else:
            assert noted is not None
            assert noted.state == "failed"
            serves = next((v for v, state in carts.items() if state is BizState.ACTIVATED), None)
            assert (noted.serving.version if noted.serving else None) == serves
        base.arrive()
    assert len([one for one in base.ran if one]) == len({one for one in base.ran if one}), "an id ran twice"


def _record(before: dict[tuple[str, str], BizState]) -> PodRecord:
    modules = {
        name: ModuleEntry(version=version, revision=1, state="available", since=NOW)
        for (name, version), state in before.items()
        if state is BizState.ACTIVATED
    }
    return PodRecord(
        namespace="shop",
        base="web-base",
        pod="web-1",
        uid="u",
        address="h:1",
        ready=True,
        observed_at=NOW,
        modules=modules,
    )


def test_refusals_are_outcomes() -> None:
    assert outcome(Told(Operation("a", OperationState.FAILED, NO))) == Refused(NO)
