"""Messages as streams keep them, read from deliveries and from answers of the API."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from nats.aio.msg import Msg

from tranche.bus.port import Stored

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Provenance:
    """What the ack subject of a delivery tells about it."""

    stream_sequence: int
    consumer_sequence: int
    attempt: int
    pending: int
    """Messages that the consumer had left when it sent this one; redeliveries are not counted."""
    time: datetime


def provenance(ack_subject: str) -> Provenance | None:
    """Read an ack subject, the short form or the one with domain and account. None: not a delivery's.

    >>> provenance("$JS.ACK.S.C.1.7.3.1700000000000000000.2").stream_sequence
    7
    >>> provenance("$JS.ACK._.hash.S.C.1.7.3.1700000000000000000.2.token").consumer_sequence
    3
    """
    if not ack_subject.startswith("$JS.ACK."):
        return None
    parts = ack_subject.split(".")
    first = 4 if len(parts) == 9 else 6
    if len(parts) < first + 5:
        return None
    attempt, stream, consumer, nanoseconds, pending = map(int, parts[first : first + 5])
    return Provenance(
        stream, consumer, attempt, pending, _EPOCH + timedelta(microseconds=nanoseconds // 1000)
    )


def delivered(message: Msg, origin: Provenance) -> Stored:
    """A delivery as the stream keeps it."""
    return Stored(
        message.subject, origin.stream_sequence, message.data, origin.time, dict(message.headers or {})
    )


def looked_up(message: Mapping[str, Any]) -> Stored:
    """The ``message`` of an answer to STREAM.MSG.GET."""
    return Stored(
        subject=str(message["subject"]),
        sequence=int(message["seq"]),
        data=base64.b64decode(message.get("data") or ""),
        time=moment(str(message["time"])),
        headers=_headers(base64.b64decode(message.get("hdrs") or "")),
    )


def moment(text: str) -> datetime:
    """A time of the server, with its nanoseconds cut to microseconds.

    >>> moment("2026-01-31T09:30:00.123456789Z").isoformat()
    '2026-01-31T09:30:00.123456+00:00'
    >>> moment("2026-01-31T09:30:00Z").isoformat()
    '2026-01-31T09:30:00+00:00'
    """
    seconds, _, fraction = text.removesuffix("Z").partition(".")
    at = datetime.fromisoformat(seconds).replace(tzinfo=UTC)
    return at + timedelta(microseconds=int(fraction[:6].ljust(6, "0"))) if fraction else at


def _headers(block: bytes) -> Mapping[str, str]:
    """The header lines after the ``NATS/1.0`` line."""
    lines = block.decode("utf-8", "replace").split("\r\n")[1:]
    pairs = (line.partition(":") for line in lines if ":" in line)
    return {name.strip(): value.strip() for name, _, value in pairs}
