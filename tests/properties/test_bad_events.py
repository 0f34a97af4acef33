"""Whatever is published or asked: refused with field, value and what was expected, kept as rejected, nothing
written; and who stands behind it in the stream waits for nothing (design 2.2, V4)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.installation import manifest
from tests.properties.bad_input import (
    GARBAGE,
    SANE_TEXT,
    TEXT,
    broken,
    examples,
    mutated,
    one_line,
    tellable,
)
from tests.properties.bad_stage import Stage, stage
from tranche.bus.port import Request
from tranche.contract import subjects
from tranche.contract.answer import AcceptedAnswer, RefusedAnswer, Rejection, read_answer
from tranche.errors import TrancheError
from tranche_planner.asking import PlanAsked, read_plan
from tranche_planner.core.wishes import FIELDS, FREEZES, READS, WRITES, read_wish

BODIES: dict[str, list[Any]] = {
    "apply": [manifest("cart", "2.0.0", replicas=3, batchCount=2, useBeta=True, maxUnavailable="50%")],
    "delete": [{"abandon": True, "by": "ann", "reason": "gone"}],
    "confirm": [{"generation": 1, "batch": 1, "by": "ann", "reason": "seen"}],
    "pause": [{"by": "ann"}],
    "resume": [{"by": "ann", "reason": "go"}],
    "abort": [{"reason": "no"}],
    "promote": [{"full": True}],
    "retry": [{"by": "ann"}],
    "restart": [{"by": "ann"}],
    "undo": [{"revision": 1, "fast": False}],
    "replace": [{"pod": "web-1"}],
    "scale": [{"replicas": 3}],
}
ASKED: dict[str, list[Any]] = {
    **{verb: [{"name": "cart", **bodies[0]}] for verb, bodies in BODIES.items() if verb != "apply"},
    "apply": BODIES["apply"],
    "freeze": [{"until": "2031-01-31T09:30:00Z", "by": "ann", "reason": "sale"}],
    "unfreeze": [{"by": "ann"}],
    "get": [{"name": "cart"}],
    "list": [{"limit": 2, "continue": "shop/cart"}],
    "pods": [{"name": "cart", "limit": 1, "continue": "web-1"}],
    "plan": [{**BODIES["apply"][0], "limit": 3, "continue": "0"}, {"name": "cart", "continue": "7"}],
    "explain": [{"name": "cart"}],
    "history": [{"name": "cart", "limit": 1, "continue": "1"}],
}
assert set(BODIES) == {*WRITES} == {"apply", *FIELDS}
assert set(ASKED) == {*WRITES, *FREEZES, *READS}


def wrong(bodies: list[Any]) -> st.SearchStrategy[bytes]:
    return broken(st.sampled_from(bodies).flatmap(mutated)) | GARBAGE


@pytest.mark.parametrize("verb", [*BODIES, "get", "freeze", "explode", ""])
def test_a_body_is_a_wish_or_every_reason_why_not(verb: str) -> None:
    @examples(100, among=len(BODIES))
    @given(wrong(BODIES.get(verb, BODIES["confirm"])))
    def law(body: bytes) -> None:
        wish = read_wish(verb, body, namespace="shop", name="cart")
        if isinstance(wish, RefusedAnswer):
            tellable(wish)
            if verb in BODIES and verb != "apply" and _is_object(body):
                assert all(error.field for error in wish.errors[:100]), wish
        else:
            assert verb in BODIES

    law()


def _is_object(body: bytes) -> bool:
    try:
        return isinstance(json.loads(body, parse_constant=lambda _: 1 / 0), dict) and len(body) < 100_000
    except (ValueError, ArithmeticError, RecursionError):
        return False


@examples(200)
@given(wrong(ASKED["plan"]))
def test_a_question_for_a_preview_is_one_or_says_why_not(body: bytes) -> None:
    asked = read_plan(Request("tranche.api.shop.plan", body, {}, ""), ())
    if isinstance(asked, RefusedAnswer):
        tellable(asked)
    else:
        assert isinstance(asked, PlanAsked)
        assert asked.skip >= 0
        assert asked.limit >= 1


NAMES = st.sampled_from(["cart", "other", "a b", "Cart", "x" * 300, "größe", "\x1b[31m", "line\nbreak", '"'])
EVENTS = st.one_of(
    st.sampled_from([*BODIES]).flatmap(
        lambda verb: st.tuples(
            st.builds(subjects.event, st.just("shop"), st.just("cart"), st.just(verb)), wrong(BODIES[verb])
        )
    ),
    st.tuples(
        st.builds(subjects.event, NAMES, NAMES, st.sampled_from([*BODIES, "get", "explode"])),
        st.sampled_from([b"", b"{}", *(json.dumps(body).encode() for (body,) in BODIES.values())]),
    ),
    st.tuples(
        st.sampled_from(
            [
                *("tranche.deployments.shop", "tranche.deployments.=ZZ.cart.apply"),
                *("tranche.deployments.a.b.c.d", "tranche.deployments.shop.=.pause"),
                f"tranche.deployments.{'x' * 3000}.a.pause",
            ]
        ),
        GARBAGE,
    ),
)


@examples(4, each=50)
@given(st.lists(EVENTS, min_size=50, max_size=50))
def test_garbage_in_the_stream_delays_nobody(events: list[tuple[str, bytes]]) -> None:
    asyncio.run(_published(events))


async def _published(events: list[tuple[str, bytes]]) -> None:
    async with stage(("planner",)) as here:
        await here.apply("shop", "cart", "1.0.0", replicas=3)
        await here.apply("spare", "cart", "1.0.0", replicas=1)
        before = here.stored(*_document("spare"))
        for subject, data in events:
            await here.bus.publish(subject, data)
        began = here.clock.monotonic()
        await here.apply("spare", "orders", "1.0.0", replicas=1)
        assert here.clock.monotonic() - began < 1, "it waited for what was wrong with others"
        await here.until(
            lambda: not here.broker.stream(subjects.DEPLOYMENTS).state.messages, "all are done with"
        )
        assert here.stored(*_document("spare")) == before
        for stored in here.broker.stream(subjects.REJECTED).messages.values():
            rejection = Rejection.decode(stored.data)
            tellable(RefusedAnswer(errors=rejection.errors))
            assert (rejection.subject, rejection.payload) in {
                (subject, data[:4096].decode(errors="replace")) for subject, data in events
            }
        for answer in await _asked_for_all(here):
            # Half a character may be shown, spelled out, and never be in it.
            json.dumps(json.loads(answer), ensure_ascii=False).encode()


def _document(namespace: str) -> tuple[str, str]:
    return subjects.bucket_stream(subjects.DOCUMENTS), subjects.key(subjects.DOCUMENTS, namespace, "cart")


async def _asked_for_all(here: Stage) -> list[bytes]:
    return [
        await here.bus.request(f"tranche.api.shop.{verb}", b'{"name": "cart"}', timeout_s=30)
        for verb in ("get", "explain", "history")
    ]


def _spelled(body: Any) -> bytes:
    return json.dumps(body).encode()


def _odd_fields() -> st.SearchStrategy[bytes]:
    """Fields of their kind with odd text in them."""
    odd = st.sampled_from(
        ["²", "٣", "-1", "9" * 900, "\u2028", "shop/", "/", "9999-12-31T23:59:59-14:00", "\ud800"]
    )
    text = odd | TEXT | SANE_TEXT
    fields = {"name": st.just("cart") | text, "continue": text, "until": text, "by": text, "reason": text}
    return st.fixed_dictionaries({}, optional={**fields, "limit": st.integers(), "pod": text}).map(_spelled)


SCOPES = st.sampled_from(
    [
        "shop",
        "shop",
        "shop",
        "_all",
        "=ZZ",
        "absent",
        "x" * 500,
        "S",
        subjects.api("\x1b[31m\n", "x").split(".")[2],
    ]
)
REQUESTS = st.sampled_from([*ASKED]).flatmap(
    lambda verb: st.tuples(
        st.builds(lambda scope, verb: f"tranche.api.{scope}.{verb}", SCOPES, st.just(verb)),
        wrong(ASKED[verb]) | st.builds(_spelled, st.sampled_from(ASKED[verb])) | _odd_fields(),
    )
)


@examples(4, each=50)
@given(st.lists(REQUESTS, min_size=50, max_size=50))
def test_every_request_is_answered(requests: list[tuple[str, bytes]]) -> None:
    asyncio.run(_requested(requests))


async def _requested(requests: list[tuple[str, bytes]]) -> None:
    async with stage() as here:
        await here.apply("shop", "cart", "1.0.0", replicas=2)
        await here.healthy("shop", "cart", "1.0.0")
        for subject, data in requests:
            try:
                answer = await here.bus.request(subject, data, timeout_s=30)
            except TrancheError as error:
                raise AssertionError(f"{subject} {data[:200]!r} was not answered: {error}") from error
            here.sound()
            _is_answer(answer)


def _is_answer(data: bytes) -> None:
    document = json.loads(data)
    if "accepted" not in document:
        assert {"items", "revisions", "phase", "batches"} & document.keys()
        return
    answer = read_answer(data)
    if isinstance(answer, RefusedAnswer):
        tellable(answer)
    else:
        assert isinstance(answer, AcceptedAnswer)
        for line in (answer.message, *answer.warnings):
            if line:
                one_line(line)


@pytest.mark.parametrize(
    ("verb", "body", "words"),
    [
        ("history", {"name": "cart", "continue": "²"}, None),
        ("history", {"name": "cart", "continue": "٣"}, None),
        ("freeze", {"until": "9999-12-31T23:59:59-14:00"}, "up to the year 9000"),
        ("freeze", {"until": "\u202e"}, "printable"),
        ("freeze", {"until": "x" * 900}, "expected a time with its zone"),
        ("pause", {"name": "cart", "": 1}, "got an unknown field with 1"),
        ("get", {"name": "\x1b[31m"}, "printable"),
    ],
)
async def test_requests_that_once_went_unanswered(verb: str, body: dict[str, Any], words: str | None) -> None:
    async with stage() as here:
        await here.apply("shop", "cart", "1.0.0", replicas=2)
        data = await here.bus.request(f"tranche.api.shop.{verb}", json.dumps(body).encode(), timeout_s=30)
        _is_answer(data)
        assert (words is None) is ("accepted" not in json.loads(data))
        assert words is None or words in data.decode()
