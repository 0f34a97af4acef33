"""Whatever stands in streams and buckets, by a broken broker or an unknown release: no service ends, nothing of it
is carried out, no truth is overwritten, and every neighbour goes on (design 2.2, V4)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.installation import manifest
from tests.properties.bad_input import GARBAGE, broken, examples, mutated
from tests.properties.bad_stage import BASE, POOLS, Stage, quietly, stage
from tranche.bus.spread import Lease
from tranche.contract import subjects
from tranche.contract.explanation import Freeze
from tranche.contract.ledger import Claim, Ledger
from tranche.contract.message import Message
from tranche.contract.plan import Plan
from tranche.contract.progress import Progress
from tranche.contract.record import PodRecord
from tranche.contract.status import Status
from tranche.errors import Refused
from tranche_planner.core.document import Document, Mark
from tranche_planner.core.settling import settled as settled_document
from tranche_planner.core.verbs import decide
from tranche_planner.core.wishes import Delete
from tranche_planner.store import Owner


@dataclass(frozen=True)
class Place:
    """Where something is kept. ``truth``: nobody but its owner may change it, and nobody over what he cannot read.
    ``alone``: a deployment of the same pool is not concerned."""

    stream: str
    subject: str
    kind: type[Message]
    truth: bool = False
    alone: bool = True


def _bucket(name: str, *parts: str) -> tuple[str, str]:
    return subjects.bucket_stream(name), subjects.key(name, *parts)


PLACES = {
    "document": Place(*_bucket(subjects.DOCUMENTS, "shop", "cart"), Document, truth=True),
    "owner": Place(*_bucket(subjects.OWNERS, "shop", BASE, "cart"), Owner, truth=True),
    "freeze": Place(*_bucket(subjects.FREEZES, "shop"), Freeze, alone=False),
    "plan": Place(subjects.PLANS, subjects.plan("shop", BASE, "cart"), Plan),
    "progress": Place(subjects.PROGRESS, subjects.progress("shop", "cart"), Progress),
    "status": Place(subjects.STATUS, subjects.status("shop", "cart"), Status),
    "ledger": Place(*_bucket(subjects.POOLS, "shop", BASE), Ledger, truth=True, alone=False),
    "record": Place(
        subjects.AVAILABILITY, subjects.record("shop", BASE, "web-1"), PodRecord, truth=True, alone=False
    ),
    "pool lease": Place(*_bucket(subjects.LEASES, "scheduler", "key", "shop", BASE), Lease),
    "watch lease": Place(*_bucket(subjects.LEASES, "executor", "key", "shop", BASE), Lease),
    "member lease": Place(*_bucket(subjects.LEASES, "scheduler", "member", "scheduler-1"), Lease),
}
BAD_SUBJECTS = {
    subjects.bucket_stream(bucket): [f"$KV.{bucket}.{rest}" for rest in rests]
    for bucket, rests in {
        subjects.DOCUMENTS: ["=ZZ.cart", "shop.=00=ZZ", "shop", "a.b.c", "shop.c=61rt"],
        subjects.OWNERS: ["=ZZ", "shop.web-base.=ZZ"],
        subjects.FREEZES: ["=ZZ", "shop.cart", "=C3"],
        subjects.POOLS: ["=ZZ.web", "shop"],
        subjects.LEASES: [
            *("scheduler.member.=ZZ", "executor.member.=C3", "scheduler.member", "executor.key.=ZZ.web"),
            *("scheduler.member.a=2Eb", "executor.member.%"),
        ],
    }.items()
} | {
    subjects.PLANS: ["tranche.plans.=ZZ.web.cart", "tranche.plans.shop.web-base.="],
    subjects.AVAILABILITY: ["tranche.availability.shop.web-base.=ZZ", "tranche.availability.=ZZ.=ZZ.=ZZ"],
    subjects.PROGRESS: ["tranche.progress.=ZZ.cart"],
    subjects.STATUS: ["tranche.status.=ZZ.cart"],
    subjects.TASKS: ["tranche.tasks.shop.web-base.=ZZ", "tranche.tasks.shop.web-base.nobody"],
    subjects.WAKE: ["tranche.wake.=ZZ.cart", "tranche.wake.shop.nobody", "tranche.schedule.=ZZ.x"],
}


async def settled(here: Stage) -> None:
    """Two deployments on the pool that gets into trouble, one on another pool."""
    await here.apply("shop", "cart", "1.0.0", replicas=2)
    await here.apply("shop", "orders", "1.0.0", replicas=2)
    await here.apply("other", "cart", "1.0.0", replicas=1)
    await here.healthy("shop", "cart", "1.0.0")
    await here.healthy("shop", "orders", "1.0.0")
    await here.healthy("other", "cart", "1.0.0")


async def put(here: Stage, stream: str, subject: str, data: bytes) -> None:
    """Have it stand there, whoever may write there."""
    here.broker.stream(stream).store(subject, data, headers={})
    await here.pass_by(0.5)


def undecodable(kind: type[Message], data: bytes) -> bool:
    try:
        kind.decode(data)
    except ValueError:
        return True
    return False


def neighbours(place: Place) -> list[tuple[str, str]]:
    return [("other", "cart"), *([("shop", "orders")] if place.alone else [])]


@pytest.mark.parametrize("name", PLACES)
def test_garbage_in_a_place_is_the_trouble_of_that_place(name: str) -> None:
    place = PLACES[name]

    @examples(1, each=10, among=len(PLACES))
    @given(st.lists(GARBAGE.filter(lambda data: undecodable(place.kind, data)), min_size=10, max_size=10))
    def law(poisons: list[bytes]) -> None:
        asyncio.run(_garbage(place, poisons))

    law()


async def _garbage(place: Place, poisons: list[bytes]) -> None:
    async with stage() as here:
        await settled(here)
        ran = {pod: list(here.base(pod).ran) for pod in ("web-1", "web-2")}
        for poison in poisons:
            await put(here, place.stream, place.subject, poison)
            if place.truth:
                assert here.stored(place.stream, place.subject) == poison, "a truth nobody could read is gone"
        assert {pod: here.base(pod).ran for pod in ran} == ran, "garbage was carried out"
        # Somebody wants something of what cannot be read, and of its neighbours.
        wanting = asyncio.ensure_future(quietly(here.apply("shop", "cart", "2.0.0", replicas=2)))
        for namespace, name in neighbours(place):
            await here.apply(namespace, name, "2.0.0", replicas=1)
        for namespace, name in neighbours(place):
            await here.healthy(namespace, name, "2.0.0")
        await here.until(wanting.done, "whoever asked was told something")
        await here.pass_by(40)
        if place.truth:
            assert here.stored(place.stream, place.subject) == poisons[-1], (
                "a truth nobody could read is gone"
            )
        await asked_about(here)


async def asked_about(here: Stage) -> None:
    """Questions are answered whatever stands there, and the neighbours' answers are whole."""
    for name in ("cart", "orders"):
        for question in (here.client.get, here.client.explain, here.client.history):
            await quietly(question("shop", name))
    listed = {(status.namespace, status.name) for status in await here.client.list()}
    assert ("other", "cart") in listed
    here.sound()


@pytest.mark.parametrize("name", PLACES)
def test_what_looks_right_and_is_not_ends_no_service(name: str) -> None:
    place = PLACES[name]

    @examples(2, each=10, among=len(PLACES))
    @given(st.data())
    def law(data: st.DataObject) -> None:
        asyncio.run(_nearly(place, data))

    law()


async def _nearly(place: Place, data: st.DataObject) -> None:
    async with stage() as here:
        await settled(here)
        stored = here.stored(place.stream, place.subject)
        good: Any = json.loads(stored) if stored else {"namespace": "shop", "since": "2030-01-01T00:00:00Z"}
        for _ in range(10):
            await put(here, place.stream, place.subject, data.draw(broken(mutated(good, most=2))))
        await quietly(here.apply("shop", "cart", "2.0.0", replicas=2))
        await here.apply("other", "cart", "2.0.0", replicas=1)
        await here.healthy("other", "cart", "2.0.0")
        await here.pass_by(10)
        await asked_about(here)


@pytest.mark.parametrize("stream", BAD_SUBJECTS)
def test_keys_that_nobody_would_write_are_passed_over(stream: str) -> None:
    asyncio.run(_keys(stream, BAD_SUBJECTS[stream]))


async def _keys(stream: str, bad: list[str]) -> None:
    async with stage() as here:
        await settled(here)
        for subject in bad:
            good = next((place for place in PLACES.values() if place.stream == stream), None)
            stored = here.stored(good.stream, good.subject) if good else None
            await put(here, stream, subject, stored or b"{}")
        await quietly(here.client.freeze("shop", reason="sale"))
        await quietly(here.client.unfreeze("shop"))
        for namespace, name in (("shop", "cart"), ("shop", "orders"), ("other", "cart")):
            await here.apply(namespace, name, "2.0.0", replicas=1)
            await here.healthy(namespace, name, "2.0.0")
        # What no inventory lists is looked for every ten minutes.
        await here.pass_by(620 if stream == subjects.AVAILABILITY else 35)
        await asked_about(here)


def gone_away(plan: Plan) -> Plan:
    """A later plan, under which every replica is taken away."""
    return plan.but(revision=plan.revision + 100, mode="remove", replicas=0, updated=0, complete=False)


def deleted(document: Document) -> Document:
    """The document after somebody deleted the deployment."""
    now = document.rollout.started_at + timedelta(seconds=30)
    after = decide(document, Delete(), Mark(sequence=10**6, time=now), now).document
    assert after is not None
    return settled_document(document, after, now)


def emptied(record: PodRecord) -> PodRecord:
    """The record as if the base had lost its modules."""
    return record.but(modules={})


def removing(ledger: Ledger) -> Ledger:
    """The ledger with a claim that takes a replica away."""
    claim = Claim(
        pod="web-1",
        uid="uid-web-1",
        deployment="cart",
        module="cart",
        generation=1,
        batch=1,
        op="remove",
        token=ledger.counter + 1,
    )
    return ledger.but(counter=ledger.counter + 1, claims={"web-1": claim})


MISPLACED: dict[str, tuple[str, str, Callable[[Any], Message]]] = {
    "a record of another pod": ("record", subjects.record("shop", BASE, "web-2"), emptied),
    "a record of another pool": ("record", subjects.record("other", BASE, "web-3"), emptied),
    "a plan of another deployment": ("plan", subjects.plan("shop", BASE, "orders"), gone_away),
    "a plan of another pool": ("plan", subjects.plan("other", BASE, "cart"), gone_away),
    "a ledger of another pool": ("ledger", subjects.key(subjects.POOLS, "other", BASE), removing),
    "a document of another deployment": (
        "document",
        subjects.key(subjects.DOCUMENTS, "shop", "orders"),
        deleted,
    ),
    "a document of another namespace": (
        "document",
        subjects.key(subjects.DOCUMENTS, "other", "cart"),
        deleted,
    ),
}


@pytest.mark.parametrize("what", MISPLACED)
def test_a_value_of_another_place_is_acted_upon_for_neither(what: str) -> None:
    name, other, change = MISPLACED[what]
    asyncio.run(_misplaced(PLACES[name], other, change))


async def _misplaced(place: Place, other: str, change: Callable[[Any], Message]) -> None:
    async with stage() as here:
        await settled(here)
        ran = {pod: list(base.ran) for pod, base in here.wires.bases.items()}
        tokens = [_tokens(here, namespace) for namespace in POOLS]
        theirs = here.stored(place.stream, other)
        assert theirs is not None
        stolen = change(place.kind.decode(theirs)).encode()
        await put(here, place.stream, place.subject, stolen)
        await here.restart("scheduler")
        await here.pass_by(70)
        assert {pod: base.ran for pod, base in here.wires.bases.items()} == ran
        if place.kind is not Ledger:
            assert [_tokens(here, namespace) for namespace in POOLS] == tokens, "somebody claimed a pod"
        if place.truth:
            assert here.stored(place.stream, place.subject) == stolen
        await here.apply("other", "cart", "2.0.0", replicas=1)
        await here.healthy("other", "cart", "2.0.0")


def _tokens(here: Stage, namespace: str) -> int:
    """How many claims there ever were in the pool."""
    return Ledger.decode(here.stored(*_bucket(subjects.POOLS, namespace, BASE)) or b"").counter


async def test_whose_a_module_is_cannot_be_read_and_a_newcomer_is_told_so() -> None:
    async with stage() as here:
        place = PLACES["owner"]
        await put(here, place.stream, place.subject, b"\xff{")
        told = await quietly(here.apply("shop", "cart", "1.0.0", replicas=1))
        assert isinstance(told, Refused), told
        assert "whose the module is cannot be told" in str(told)
        await here.bus.publish(subjects.event("shop", "cart", "apply"), json.dumps(manifest("cart")).encode())
        await here.until(lambda: here.broker.stream(subjects.REJECTED).state.messages == 1, "it is rejected")
        assert here.stored(place.stream, place.subject) == b"\xff{"
        assert here.stored(PLACES["document"].stream, PLACES["document"].subject) is None


async def test_a_replace_on_a_pod_whose_record_cannot_be_read_is_refused() -> None:
    async with stage() as here:
        await settled(here)
        place = PLACES["record"]
        await put(here, place.stream, place.subject, b"{}")
        told = await quietly(here.client.replace("shop", "cart", "web-1"))
        assert isinstance(told, Refused), told
        assert "cannot be read" in str(told)


async def test_a_freeze_that_cannot_be_read_holds_until_it_is_lifted() -> None:
    async with stage() as here:
        await settled(here)
        place = PLACES["freeze"]
        await here.client.freeze("shop", reason="sale")
        await put(here, place.stream, place.subject, b'{"namespace": "shop", "since": "yesterday"}')
        await here.apply("shop", "cart", "2.0.0", replicas=2)
        await here.pass_by(60)
        assert here.base("web-1").modules["cart", "1.0.0"] == "ACTIVATED"
        assert here.base("web-2").modules["cart", "1.0.0"] == "ACTIVATED"
        await here.client.unfreeze("shop")
        await here.healthy("shop", "cart", "2.0.0")


async def test_a_freeze_removed_with_the_brokers_tools_is_over_and_can_begin_again() -> None:
    async with stage() as here:
        await settled(here)
        place = PLACES["freeze"]
        await here.client.freeze("shop")
        here.broker.stream(place.stream).store(place.subject, b"", headers={"KV-Operation": "DEL"})
        await here.apply("shop", "cart", "2.0.0", replicas=2)
        await here.healthy("shop", "cart", "2.0.0")
        await here.client.freeze("shop")
        await here.apply("shop", "cart", "3.0.0", replicas=2)
        await here.pass_by(30)
        assert here.base("web-1").modules["cart", "2.0.0"] == "ACTIVATED"


@pytest.mark.parametrize("lease", [b"\x00", b'{"holder": "scheduler-of-before"}'])
async def test_a_lease_that_never_ends_is_taken_over(lease: bytes) -> None:
    async with stage(("planner", "executor")) as here:
        place = PLACES["pool lease"]
        await put(here, place.stream, place.subject, lease)
        here.start("scheduler")
        await here.apply("shop", "cart", "1.0.0", replicas=2)
        await here.healthy("shop", "cart", "1.0.0")


async def test_a_record_that_cannot_be_read_keeps_no_other_pod_from_being_buried() -> None:
    async with stage() as here:
        await settled(here)
        place = PLACES["record"]
        await put(here, place.stream, place.subject, b"garbage")
        here.leave("web-1", "web-2")

        def buried() -> bool:
            return PodRecord.decode(
                here.stored(place.stream, subjects.record("shop", BASE, "web-2")) or b""
            ).gone

        await here.until(buried, "web-2 is gone", within_s=120)
        assert here.stored(place.stream, place.subject) == b"garbage"
