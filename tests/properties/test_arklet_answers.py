"""Whatever a base answers: read without a crash, shown without harm, never guessed at (design 7.3)."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from tranche_executor.arklet.failure import explain, explain_record
from tranche_executor.arklet.operation import Operation, read_operation
from tranche_executor.arklet.wire import Bizzes, Declined, Done, Nonsense, read_answer, read_bizzes

KEYS = st.sampled_from(
    [
        "code",
        "data",
        "message",
        "errorStackTrace",
        "baseIdentity",
        "bizName",
        "bizVersion",
        "bizState",
        "bizStateRecords",
        "changeTime",
        "webContextPath",
        "status",
        "requestId",
        "arkBizMeta",
        "throwable",
        "cause",
        "@type",
        "$ref",
    ]
)
WORDS = st.sampled_from(
    [
        "SUCCESS",
        "FAILED",
        "CMD_PROCESS_INTERNAL_ERROR",
        "ACTIVATED",
        "resolved",
        "EXECUTING",
        "Caused by: ",
        "cart",
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40) | WORDS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(max_size=5), inner, max_size=6)
    ),
    max_leaves=20,
)
ENVELOPES = st.dictionaries(KEYS, VALUES, max_size=6) | st.builds(
    lambda data: {"code": "SUCCESS", "data": data}, VALUES
)


def shown(text: str) -> None:
    """Fit for a terminal and a status document."""
    assert text.isprintable() or not text
    assert len(text) < 500
    text.encode()


@given(st.binary(max_size=300), st.sampled_from([200, 404, 500]))
def test_any_bytes(body: bytes, status: int) -> None:
    answer = read_answer(body, status=status)
    if isinstance(answer, Nonsense):
        shown(str(answer))
    else:
        assert status == 200


@given(ENVELOPES)
def test_any_envelope(envelope: dict[str, object]) -> None:
    match read_answer(json.dumps(envelope).encode()):
        case Done() as answer:
            bizzes = read_bizzes(answer)
            if isinstance(bizzes, Bizzes):
                # Nothing is overlooked: a module left out would be taken for absent.
                assert isinstance(answer.data, list)
                assert len(bizzes.bizzes) == len(answer.data)
                assert all(biz.name and biz.version for biz in bizzes.bizzes)
                for biz in bizzes.bizzes:
                    shown(biz.message)
            else:
                shown(str(bizzes))
            operation = read_operation(answer, "r-1")
            if isinstance(operation, Operation) and operation.failure is not None:
                shown(operation.failure.message)
        case Declined() as answer:
            shown(explain(answer).message)
        case Nonsense() as nonsense:
            shown(str(nonsense))


@given(st.text(max_size=200), VALUES)
def test_any_record_of_a_failure(message: str, throwable: object) -> None:
    shown(explain_record(message, throwable).message)
