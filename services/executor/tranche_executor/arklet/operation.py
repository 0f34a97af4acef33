"""The record arklet keeps of an asynchronous operation, by request id (design 5.2).

It is a hint, ``queryAllBiz`` is the judge: records forget inner codes, stay ``INITIALIZED`` after a conflict
for ever, and are gone when the base restarts.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tranche_executor.arklet.failure import NO_REASON, Cause, Failure, explain_record
from tranche_executor.arklet.wire import Declined, Done, Nonsense, first_bytes, text_of

BURNT = "tranche-burnt"
"""The module that nobody has: an id spent on it does nothing (design 2.2)."""


class OperationState(StrEnum):
    """As arklet spells them; ``UNKNOWN``: the base has no record under this id."""

    INITIALIZED = "INITIALIZED"
    EXECUTING = "EXECUTING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    UNKNOWN = "UNKNOWN"


RECORDED = frozenset(OperationState) - {OperationState.UNKNOWN}


@dataclass(frozen=True, slots=True)
class Operation:
    """What a base remembers of one request id."""

    request_id: str
    state: OperationState
    failure: Failure | None = None
    module: str = ""
    version: str = ""

    @property
    def over(self) -> bool:
        """Whether nothing of it runs any more, nor ever will."""
        return self.state is OperationState.SUCCEEDED or self.failure is not None

    @property
    def unexplained(self) -> bool:
        """Whether it failed and the record does not say why: arklet writes the state before the reason."""
        return self.failure is not None and self.failure.message == NO_REASON

    @property
    def burnt(self) -> bool:
        """Whether the id was spent on nothing, so that what it was meant for can never run."""
        return self.module == BURNT


def read_operation(answer: Done | Declined, request_id: str) -> Operation | Nonsense:
    """The record in an answer to an asynchronous command or to ``queryBizOps``; a ``Declined`` means none."""
    if isinstance(answer, Declined):
        return Operation(request_id, OperationState.UNKNOWN)
    record = answer.data
    if not isinstance(record, dict):
        return _nonsense("not the record of an operation", record)
    status = text_of(record, "status").upper()
    if status not in RECORDED:
        return _nonsense("no status that arklet knows", record)
    if text_of(record, "requestId") not in ("", request_id):
        return _nonsense("the record of another request", record)
    meta = record.get("arkBizMeta")
    meta = meta if isinstance(meta, dict) else {}
    state = OperationState(status)
    return Operation(
        request_id=request_id,
        state=state,
        failure=_failure(state, text_of(record, "message"), record.get("throwable")),
        module=text_of(meta, "bizName"),
        version=text_of(meta, "bizVersion"),
    )


def _failure(state: OperationState, message: str, throwable: object) -> Failure | None:
    if state is OperationState.FAILED:
        return explain_record(message, throwable)
    if state is not OperationState.INITIALIZED or not (message or throwable):
        return None
    # A refused lock never becomes FAILED: the record stays INITIALIZED for ever and only the message tells.
    failure = explain_record(message, throwable)
    return failure if failure.cause is Cause.BUSY else None


def _nonsense(why: str, record: object) -> Nonsense:
    return Nonsense(why, first_bytes(repr(record).encode(errors="replace")))
