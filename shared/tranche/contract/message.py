"""The base of every message: camelCase JSON, RFC 3339 times, unknown fields ignored by readers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, PlainSerializer
from pydantic.alias_generators import to_camel


def rfc3339(at: datetime) -> str:
    """A time as the wire has it: UTC, milliseconds, Z.

    >>> rfc3339(datetime(2026, 1, 31, 9, 30, 0, 123456, tzinfo=UTC))
    '2026-01-31T09:30:00.123Z'
    """
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _aware(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError("a time needs its zone, as in 2026-01-31T09:30:00Z")
    return at.astimezone(UTC)


Time = Annotated[
    datetime, AfterValidator(_aware), PlainSerializer(rfc3339, return_type=str, when_used="json")
]


class Message(BaseModel):
    """A frozen value that travels as JSON. Versions mix during an upgrade, so what is unknown is ignored."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)

    def encode(self) -> bytes:
        """The JSON that goes on the wire."""
        return self.model_dump_json(by_alias=True).encode()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """The message in these bytes. Raises ValueError (pydantic's) with every fault of it."""
        return cls.model_validate_json(data)

    def but(self, **changes: object) -> Self:
        """A copy with these fields changed; the new values are trusted, not validated again."""
        return self.model_copy(update=changes)
