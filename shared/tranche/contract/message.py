"""The base of every message: camelCase JSON, RFC 3339 times, unknown fields ignored by readers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, PlainSerializer, ValidationError
from pydantic.alias_generators import to_camel

from tranche.contract.given import quoted, shown

EARLIEST, LATEST = 1970, 9000
"""Years a time may be of: whoever reckons with it, in whichever zone, finds a time that can be written."""
LONGEST_S = 604_800
"""A week."""
_MOST_FAULTS = 5
_TOLD_FAULTS = 1000
"""To list more than that takes seconds."""


def rfc3339(at: datetime) -> str:
    """A time as the wire has it: UTC, milliseconds, Z.

    >>> rfc3339(datetime(2026, 1, 31, 9, 30, 0, 123456, tzinfo=UTC))
    '2026-01-31T09:30:00.123Z'
    """
    at = at if at.tzinfo is UTC else at.astimezone(UTC)
    return at.isoformat(timespec="milliseconds")[: -len("+00:00")] + "Z"


def _aware(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError("a time needs its zone, as in 2026-01-31T09:30:00Z")
    if not EARLIEST <= at.year <= LATEST:
        raise ValueError(f"a time is of the years {EARLIEST} to {LATEST}")
    return at.astimezone(UTC)


def _countable(seconds: int) -> int:
    if not 0 <= seconds <= LONGEST_S:
        raise ValueError(f"a number of seconds from 0 to {LONGEST_S}")
    return seconds


Seconds = Annotated[int, AfterValidator(_countable)]
"""How long something is waited for: no longer than a manifest may ask."""

Time = Annotated[
    datetime, AfterValidator(_aware), PlainSerializer(rfc3339, return_type=str, when_used="json")
]


class Message(BaseModel):
    """A frozen value that travels as JSON. Versions mix during an upgrade, so what is unknown is ignored."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True, allow_inf_nan=False
    )

    def __eq__(self, other: object) -> bool:
        # What pydantic's comparison comes to for a model without private and extra fields, at a seventh of its
        # cost: values inside values are the same ones more often than not.
        if not isinstance(other, Message):
            return NotImplemented
        return self is other or (self.__class__ is other.__class__ and self.__dict__ == other.__dict__)

    def encode(self) -> bytes:
        """The JSON that goes on the wire."""
        # model_dump_json makes text of these very bytes first.
        return self.__pydantic_serializer__.to_json(self, by_alias=True)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """The message in these bytes. Raises ValueError: one line that names the first faults of it."""
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            raise ValueError(faults(error)) from None

    def but(self, **changes: object) -> Self:
        """A copy with these fields changed; the new values are trusted, not validated again."""
        # What pydantic's model_copy does for a model without private and extra fields, at a tenth of its cost:
        # decisions make thousands of copies.
        copied = self.__class__.__new__(self.__class__)
        _set(copied, "__dict__", {**self.__dict__, **changes})
        _set(copied, "__pydantic_fields_set__", self.__pydantic_fields_set__ | changes.keys())
        _set(copied, "__pydantic_extra__", None)
        _set(copied, "__pydantic_private__", None)
        return copied


_set = object.__setattr__


def faults(error: ValidationError) -> str:
    """What is wrong with a document, fit for a log and an answer: field, value and what was expected.

    >>> class Word(Message):
    ...     replicas: int
    >>> try:
    ...     Word.decode(b'{"replicas": "many"}')
    ... except ValueError as error:
    ...     print(error)
    replicas: got "many"; input should be a valid integer, unable to parse string as an integer
    """
    count = error.error_count()
    if count > _TOLD_FAULTS:
        return f"got a document with {count} faults"
    found = error.errors(include_url=False, include_context=False)[:_MOST_FAULTS]
    told = [_fault(fault["loc"], fault["type"], fault["input"], fault["msg"]) for fault in found]
    return "; ".join(told if count <= _MOST_FAULTS else [*told, f"and {count - _MOST_FAULTS} more faults"])


def _fault(where: tuple[int | str, ...], kind: str, given: object, expected: str) -> str:
    field = ".".join(quoted(str(part))[1:-1] for part in where)
    # What was expected may repeat what was given, such as a key: it is shortened and escaped like that.
    words = quoted(expected.removeprefix("Value error, "), longest=200)[1:-1].replace('\\"', '"')
    words = words[:1].lower() + words[1:]
    value = "nothing" if kind == "missing" else shown(_as_text(given))
    return f"{field}: got {value}; {words}" if field else f"got {value}; {words}"


def _as_text(given: object) -> object:
    return given[:100].decode(errors="replace") if isinstance(given, bytes) else given
