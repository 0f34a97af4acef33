"""Values that can be read and that nobody in his senses would have written: the cores reckon with them all the
same, or they are refused when they are read (design 7.3, rung 7)."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.properties.bad_input import broken, examples, messages, mutated
from tests.scheduler_oracle import NOW, content, entry, operation, plan, record, serving
from tests.unit.planner_desk import Case, wish
from tranche.bus.memory import MemoryBroker, MemoryBus
from tranche.bus.port import Request
from tranche.contract import subjects
from tranche.contract.explanation import Freeze
from tranche.contract.ledger import Claim, Frozen, Ledger
from tranche.contract.message import Message
from tranche.contract.placing import (
    decode_at,
    home_of_ledger,
    home_of_plan,
    home_of_progress,
    home_of_record,
    plan_fault,
)
from tranche.contract.plan import Plan
from tranche.contract.preview import MOST_STEPS, LevelsQuestion
from tranche.contract.progress import Progress
from tranche.contract.record import PodRecord
from tranche.runtime import SystemClock, system_runtime
from tranche_planner.core.document import Document, Mark
from tranche_planner.core.explaining import explanation, history
from tranche_planner.core.freezing import under
from tranche_planner.core.plans import plan_of
from tranche_planner.core.previewing import counted, course
from tranche_planner.core.rollout import due, observe, wake
from tranche_planner.core.settling import settled
from tranche_planner.core.status import status
from tranche_planner.core.verbs import decide
from tranche_planner.core.wishes import (
    Abort,
    Confirm,
    Delete,
    Pause,
    Promote,
    Replace,
    Restart,
    Resume,
    Retry,
    Scale,
    Undo,
    Wish,
)
from tranche_scheduler.core.ledger import Round, play
from tranche_scheduler.core.pool import PoolView
from tranche_scheduler.core.progress import progress
from tranche_scheduler.core.rehearsal import Rehearsal, Snapshot
from tranche_scheduler.previews import Previews

RECORDS = [
    record("a", {"cart": entry(1)}, operation=operation(3), max_modules=3),
    record(
        "b", {"cart": entry(2, "failed", tries=2, reason="InstallFailed", passing=True, serving=serving(1))}
    ),
    record("c", {"cart": entry(2), "other": entry(0, version="9")}, operation=operation(5, "stuck")),
    record("d", {}, ready=False, reason="PodUnreachable"),
    record("e", {"cart": entry(1, "installing")}, terminating=True),
    record("f", {}, cordoned=True),
]
PLANS = [
    plan(replicas=4, updated=2, wanted=4, max_unavailable="50%", min_ready_s=5, evict=("a",), evicted_at=NOW),
    plan("other", replicas=-1, updated=1, wanted=-1, upgrade_policy="install_then_uninstall"),
    plan("third", mode="remove", replicas=0, updated=0, upgrade_policy="scaleup_then_scaledown"),
    plan("cart", mode="abort", held=True, held_at=3, failure_threshold=1, retried_at=NOW),
]
CLAIM = Claim(
    pod="c",
    uid="u",
    deployment="cart",
    module="cart",
    generation=2,
    batch=1,
    op="replace",
    revision=2,
    token=5,
)
LEDGER = Ledger(
    namespace="shop",
    base="web",
    epoch="e0",
    counter=9,
    claims={"c": CLAIM, "d": CLAIM.but(pod="d", op="install", token=9, costs=True)},
    contents={"cart": {2: content(2)}},
    noted={"cart": 1},
    seen=4,
)


def as_stored(message: Message) -> Any:
    return json.loads(message.encode())


def one_of(*stored: Message) -> st.SearchStrategy[bytes]:
    return broken(st.sampled_from([as_stored(message) for message in stored]).flatmap(mutated))


PLACE = subjects.progress("shop", "cart")


def read(kind: type[Message], data: bytes, home: Any) -> Any:
    """What a service takes from the bytes; None: it refuses them."""
    try:
        message = kind.decode(data)
        return decode_at(kind, data, home(message), home)
    except ValueError:
        return None


@examples(300)
@given(
    st.lists(one_of(*RECORDS), max_size=3),
    st.lists(one_of(*PLANS), min_size=0, max_size=2),
    st.just(LEDGER.encode()) | one_of(LEDGER, LEDGER.but(frozen=Frozen(reason="lost", since=NOW, above=3))),
    st.booleans(),
)
def test_a_round_is_played_whatever_is_in_the_pool(
    records: list[bytes], plans: list[bytes], ledger: bytes, caught_up: bool
) -> None:
    view = PoolView()
    held = read(Ledger, ledger, home_of_ledger)
    if held is None:
        return
    view.fold_claims(held.claims)
    found = [read(PodRecord, data, home_of_record) for data in records]
    for number, one in enumerate([*RECORDS, *filter(None, found)], 1):
        view.fold(one, number)
    for told in [*PLANS, *(read(Plan, data, home_of_plan) for data in plans)]:
        if told is not None:
            view.fold_plan(told)
    round_ = play(view, held, 7, NOW, caught_up=caught_up)
    if isinstance(round_, Round):
        assert Ledger.decode(round_.ledger.encode()) == round_.ledger
        assert read(Ledger, round_.ledger.encode(), home_of_ledger) == round_.ledger, (
            "it could not be read again"
        )
    for told in view.plans.values():
        said = progress(view, told, held, 7, None, NOW)
        assert Progress.decode(said.encode()) == said


@examples(200)
@given(st.lists(one_of(*PLANS), min_size=1, max_size=3), st.lists(one_of(*RECORDS), max_size=2))
def test_a_rehearsal_comes_to_its_end(plans: list[bytes], records: list[bytes]) -> None:
    asked = [one for data in plans if (one := read(Plan, data, home_of_plan)) is not None]
    if not asked:
        return
    asked = [one.but(name=asked[0].name, module=asked[0].module) for one in asked]
    found = [one for data in records if (one := read(PodRecord, data, home_of_record)) is not None]
    pool = {one.pod: one for one in [*RECORDS, *found] if not one.gone}
    rehearsal = Rehearsal(Snapshot(list(pool.values()), LEDGER, 7, 10), tuple(asked), NOW, None)
    for turns, _ in enumerate(rehearsal.perform()):
        assert turns < 1000, "it goes on for ever"
    rehearsal.answer(0, MOST_STEPS).encode()


def documents() -> list[Document]:
    """A deployment in many situations."""
    found: list[Document] = []
    case = Case()

    def keep() -> None:
        found.append(case.it)

    case.apply("1.0.0", replicas=4, batchCount=2)
    keep()
    case.finish()
    keep()
    case.apply(
        "2.0.0", replicas=4, batchCount=2, needConfirm=True, grayTime=60, useBeta=True, minReadySeconds=5
    )
    case.carry_out()
    keep()
    case.carry_out()
    keep()
    case.do(Pause(by="ann", reason="lunch"))
    keep()
    case.freeze(reason="sale", until=case.now + timedelta(hours=1))
    keep()
    case.unfreeze()
    case.do(Resume())
    case.tell(failed=2, blocked="BudgetExhausted", stuck=1)
    keep()
    case.do(Abort(by="ann"))
    keep()
    case.do(Delete(abandon=True))
    keep()
    return found


DOCUMENTS = documents()
WISHES: list[Wish] = [
    wish("3.0.0", replicas=3),
    Abort(),
    Confirm(batch=1),
    Delete(),
    Delete(abandon=True),
    Pause(),
    Resume(),
    Promote(full=True),
    Retry(),
    Restart(),
    Undo(),
    Undo(revision=1, fast=True),
    Replace(pod="web-base-1"),
    Scale(replicas=2),
]


def taken(data: bytes) -> Document | None:
    """As the store reads it."""
    try:
        document = Document.decode(data)
    except ValueError:
        return None
    return None if document.fault else document


@examples(300)
@given(
    one_of(*DOCUMENTS),
    st.sampled_from(WISHES),
    one_of(*(one.progress for one in DOCUMENTS if one.progress)) | st.none(),
    messages(Freeze),
)
def test_a_document_is_decided_whatever_it_says(
    data: bytes, wanted: Wish, counts: bytes | None, freeze: Freeze
) -> None:
    document = taken(data)
    if document is None:
        return
    now = Case().now + timedelta(minutes=10)
    steps = [
        document,
        wake(document, now),
        under(document, freeze, Mark(sequence=99, time=now), now),
        decide(document, wanted, Mark(sequence=1000, time=now), now).document or document,
    ]
    told = read(Progress, counts, home_of_progress) if counts is not None else None
    if told is not None and home_of_progress(told) != PLACE:
        told = None
    if told is not None:
        steps.append(observe(document, told, Mark(sequence=1000, time=now), now))
    for step in steps:
        after = settled(document, step, now)
        assert taken(after.encode()) == after, "it could not be read again"
        status(after, now).encode()
        explanation(after, now).encode()
        history(after).encode()
        plan_of(after).encode()
        due(after)
        if told is not None and not after.rollout.over:
            course(counted(after), told)


def test_what_a_planner_says_contradicts_itself_nowhere() -> None:
    for document in DOCUMENTS:
        assert document.fault == ""
        assert document.plan is not None
        assert plan_fault(document.plan) == ""


def test_a_plan_whose_target_is_none_of_its_revisions_is_refused() -> None:
    endless = plan(target_revisions=(1,))
    assert read(Plan, endless.encode(), home_of_plan) is None
    assert read(Plan, endless.but(target_revisions=(1, 2)).encode(), home_of_plan) is not None
    question = LevelsQuestion(plans=(endless,)).encode()
    answer = asyncio.run(_asked(question))
    assert b"a plan contradicts itself: targetRevisions: got 1 others; expected 2 among them" in answer


async def _asked(question: bytes) -> bytes:
    clock = SystemClock()
    runtime = system_runtime()
    bus = MemoryBus(MemoryBroker(clock), runtime)
    return await Previews(bus, runtime, lambda _: None).answer(
        Request(subjects.preview("shop", "web"), question, {}, "")
    )
