"""What the planner answers to an event or a request (design 3.1)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from tranche.contract.message import Message, faults


class FieldError(Message):
    """What is wrong with one field; ``field`` is empty where the whole body is at fault."""

    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


class AcceptedAnswer(Message):
    """Done, under way, or so already."""

    accepted: Literal[True] = True
    generation: int | None = None
    message: str = ""
    warnings: tuple[str, ...] = ()


class RefusedAnswer(Message):
    """Nothing was changed, and why."""

    accepted: Literal[False] = False
    errors: tuple[FieldError, ...]


class Rejection(RefusedAnswer):
    """A refused message as it is kept on ``tranche.rejected.>``. ``payload``: its first 4 kB as text."""

    subject: str
    payload: str


Answer = Annotated[AcceptedAnswer | RefusedAnswer, Field(discriminator="accepted")]

_ANSWER: TypeAdapter[AcceptedAnswer | RefusedAnswer] = TypeAdapter(Answer)


def read_answer(data: bytes) -> AcceptedAnswer | RefusedAnswer:
    """The answer in a message. Raises ValueError, with one line that says why, when it is none.

    >>> read_answer(b'{"accepted": true, "generation": 3, "message": "done"}').generation
    3
    """
    try:
        return _ANSWER.validate_json(data)
    except ValidationError as error:
        raise ValueError(faults(error)) from None


def refused(message: str, *, field: str = "") -> RefusedAnswer:
    """A refusal for one reason."""
    return RefusedAnswer(errors=(FieldError(field=field, message=message),))
