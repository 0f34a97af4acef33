"""Values that change only by compare and swap, and levels that only go up.

A timeout on a write is an unknown outcome (design 2.2): every value carries a nonce, and is read back and
compared before anybody decides that it was, or was not, written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from tranche.bus.port import Bus
from tranche.contract.message import Message
from tranche.contract.placing import Home, decode_at
from tranche.contract.subjects import SCHEMA, SCHEMA_HEADER
from tranche.errors import Conflict, Refused, Unavailable, Unknown
from tranche.runtime import Runtime

M = TypeVar("M", bound=Message)

HEADERS: Mapping[str, str] = {SCHEMA_HEADER: SCHEMA}
WRITE_TRIES = 3
READ_BACK_TRIES = 4
PAUSE_S = 0.25


@dataclass(frozen=True, slots=True)
class Held(Generic[M]):
    """A value as it stands on its subject. ``sequence`` is what the next write expects."""

    value: M
    sequence: int


async def read(
    bus: Bus, kind: type[M], stream: str, subject: str, *, home: Home[M] | None = None
) -> Held[M] | None:
    """The value now, from the stream's leader; None where there is none. ``home``: where a value says that it
    belongs.

    Raises Unavailable or Unknown when it cannot be read, Refused when what is there is not of this kind, or
    belongs elsewhere.
    """
    stored = await bus.last(stream, subject)
    if stored is None:
        return None
    try:
        value = decode_at(kind, stored.data, subject, home) if home else kind.decode(stored.data)
        return Held(value, stored.sequence)
    except ValueError as error:
        raise Refused(f"{subject} holds no {kind.__name__} that can be read: {error}") from error


async def swap(
    bus: Bus,
    runtime: Runtime,
    stream: str,
    subject: str,
    value: M,
    *,
    expect: int,
    ttl_s: float | None = None,
) -> Held[M]:
    """Write the value, with a fresh nonce, where the subject still stands at ``expect`` (0: at nothing).

    Raises Conflict (somebody else was first: nothing of ours is there), Unavailable (not written), Unknown
    (could not be told even by reading back), Refused (larger than allowed, forbidden).
    """
    ours = value.but(nonce=runtime.dice.nonce())
    data = ours.encode()
    doubt: Unknown | None = None
    for _ in range(WRITE_TRIES):
        try:
            sequence = await bus.publish(subject, data, expect=expect, headers=HEADERS, ttl_s=ttl_s)
        except Unavailable as error:
            if doubt is None:
                raise
            raise Unknown(f"{subject}: an earlier try may have been written") from error
        except (Conflict, Unknown) as error:
            # A conflict may be with our own write whose answer was lost on the way.
            found = await _read_back(bus, runtime, stream, subject)
            if found is not None and found.data == data:
                return Held(ours, found.sequence)
            if isinstance(error, Conflict) or (found.sequence if found else 0) != expect:
                raise Conflict(f"{subject}: somebody else was first") from error
            # Not there, but it may be under way. The same write again: behind one sequence only one of the
            # two can be stored, and either is ours.
            doubt = error
        else:
            return Held(ours, sequence)
    raise Unknown(f"{subject}: it may yet be written, nobody answers") from doubt


async def say(
    bus: Bus,
    stream: str,
    subject: str,
    message: M,
    *,
    newer: Callable[[M], bool],
) -> bool:
    """Publish a level behind what its subject holds, unless that is as new already (design 2.2).

    ``newer(found)``: whether ours is newer than what was found there. True: ours was said. Raises Unavailable,
    Unknown, Refused.
    """
    data = message.encode()
    while True:
        stored = await bus.last(stream, subject)
        if stored is not None:
            try:
                found = type(message).decode(stored.data)
            except ValueError:
                found = None  # what nobody can read is replaced
            if found is not None and not newer(found):
                return False
        try:
            await bus.publish(subject, data, expect=stored.sequence if stored else 0, headers=HEADERS)
        except Conflict:
            continue
        return True


@dataclass(frozen=True, slots=True)
class _Found:
    data: bytes
    sequence: int


async def _read_back(bus: Bus, runtime: Runtime, stream: str, subject: str) -> _Found | None:
    """What is there now. Raises Unknown when nobody tells."""
    for left in range(READ_BACK_TRIES - 1, -1, -1):
        try:
            stored = await bus.last(stream, subject)
        except (Unavailable, Unknown) as error:
            if not left:
                raise Unknown(f"{subject}: it may have been written, and cannot be read back") from error
            await runtime.clock.sleep(PAUSE_S)
        else:
            return _Found(stored.data, stored.sequence) if stored else None
    raise AssertionError("the last try returns or raises")
