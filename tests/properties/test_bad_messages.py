"""Laws of all that travels or is stored: it survives its JSON, and what is none of it is refused in one line."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties.bad_input import GARBAGE, broken, examples, messages, mutated, one_line
from tranche.bus.spread import Lease
from tranche.contract.answer import FieldError, read_answer
from tranche.contract.explanation import Freeze
from tranche.contract.ledger import Ledger, Task
from tranche.contract.message import Message
from tranche.contract.plan import Plan
from tranche.contract.preview import Preview
from tranche.contract.progress import Progress
from tranche.contract.record import PodRecord
from tranche.contract.status import Status
from tranche_planner.core.document import Document, Stopwatch
from tranche_planner.store import Owner


def kinds(of: type[Message] = Message) -> list[type[Message]]:
    """Every message there is, by name."""
    found = {sub for sub in of.__subclasses__() if sub.__module__.startswith("tranche")}
    return sorted(found.union(*(kinds(sub) for sub in found)), key=lambda kind: kind.__name__)


KINDS = kinds()


def test_all_kinds_are_here() -> None:
    assert {Document, Ledger, Lease, Owner, Plan, PodRecord, Preview, Progress, Status, Task} <= set(KINDS)


@examples(300)
@given(st.data())
def test_every_message_survives_its_json(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(KINDS))
    message = data.draw(messages(kind))
    assert kind.decode(message.encode()) == message


@examples(300)
@given(st.data())
def test_bytes_are_a_message_or_a_sentence(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(KINDS))
    document = data.draw(messages(kind)).model_dump(mode="json", by_alias=True)
    decoded(kind, data.draw(broken(mutated(document)) | GARBAGE))


@pytest.mark.parametrize("kind", [Document, Ledger], ids=lambda kind: kind.__name__)
def test_half_a_megabyte_of_faults_is_told_in_a_line(kind: type[Message]) -> None:
    faults = b'{"claims": {%s}, "revisions": [%s]}' % (
        b",".join(b'"%d": 1' % number for number in range(20_000)),
        b",".join([b"1"] * 200_000),
    )
    with pytest.raises(ValueError, match="faults") as refused:
        kind.decode(faults)
    one_line(str(refused.value))


@examples(400)
@given(GARBAGE | broken(st.just({"accepted": False, "errors": [{"field": "a", "message": "b"}]})))
def test_an_answer_is_one_or_none(data: bytes) -> None:
    try:
        answer = read_answer(data)
    except ValueError as error:
        one_line(str(error))
        return
    assert read_answer(answer.encode()) == answer


def decoded(kind: type[Message], data: bytes) -> Any:
    """The message, which then survives its JSON, or None after a refusal that can be told."""
    try:
        message = kind.decode(data)
    except ValueError as error:
        one_line(str(error))
        return None
    again = kind.decode(message.encode())
    # Times are kept to the millisecond.
    assert kind.decode(again.encode()) == again
    return message


WAITING = (
    '{"namespace": "a", "base": "b", "name": "c", "module": "m", "revision": 1, "generation": 1,'
    ' "replicas": 1, "updated": 1, "wanted": 1, "minReadyS": %s}'
)


@pytest.mark.parametrize(
    ("kind", "document"),
    [
        (Freeze, '{"namespace": "shop", "since": "9999-12-31T23:59:59-14:00"}'),
        (Freeze, '{"namespace": "shop", "since": "0001-01-01T00:00:00+14:00"}'),
        (Freeze, '{"namespace": "shop", "since": "2026-01-31T09:30:00"}'),
        (Plan, WAITING % "-1"),
        (Plan, WAITING % "604801"),
        (Plan, WAITING % "1000000000000000000000"),
        (Stopwatch, '{"spentS": NaN}'),
        (Stopwatch, '{"spentS": 1e999}'),
    ],
)
def test_times_and_numbers_nobody_can_reckon_with_are_refused(kind: type[Message], document: str) -> None:
    with pytest.raises(ValueError, match="got"):
        kind.decode(document.encode())


def test_a_refusal_names_field_value_and_what_was_expected() -> None:
    with pytest.raises(
        ValueError, match=r"^field: got 5; input should be a valid string; message: got nothing"
    ):
        FieldError.decode(b'{"field": 5}')
