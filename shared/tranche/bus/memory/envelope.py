"""What NATS writes into a message's headers, and how large it makes a message."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime

from tranche.bus import schedules
from tranche.errors import Refused

MAX_PAYLOAD_BYTES = 1 << 20
"""What the server takes, headers and data."""
_FRAME_BYTES, _HEADERS_FRAME_BYTES = 30, 4
_HEADERS_START_BYTES = 12


def written(
    headers: Mapping[str, str], *, expect: int | None, msg_id: str | None, ttl_s: float | None
) -> dict[str, str]:
    """The headers with those that carry what is asked of the stream.

    >>> written({"A": "b"}, expect=0, msg_id=None, ttl_s=0.2)
    {'A': 'b', 'Nats-Expected-Last-Subject-Sequence': '0', 'Nats-TTL': '1s'}
    """
    all_ = dict(headers)
    if expect is not None:
        all_["Nats-Expected-Last-Subject-Sequence"] = str(expect)
    if msg_id is not None:
        all_["Nats-Msg-Id"] = msg_id
    if ttl_s is not None:
        all_["Nats-TTL"] = f"{whole_seconds(ttl_s)}s"
    return all_


def scheduled(at: datetime, target: str) -> dict[str, str]:
    """The headers of a message that is kept until it is due."""
    return {**schedules.scheduled(at, target), "Nats-Rollup": "sub"}


def due(subject: str) -> dict[str, str]:
    """The headers of what was scheduled on a subject when it comes."""
    return {"Nats-Scheduler": subject, "Nats-Schedule-Next": "purge"}


def whole_seconds(ttl_s: float) -> int:
    """A time to live as NATS keeps it."""
    return max(1, math.ceil(ttl_s))


def payload_size(data: bytes, headers: Mapping[str, str]) -> int:
    """Bytes of a message on the wire, as limits on messages count them.

    >>> payload_size(b"abc", {}), payload_size(b"abc", {"A": "b"})
    (3, 21)
    """
    if not headers:
        return len(data)
    words = "".join((*headers, *headers.values()))
    return len(data) + _HEADERS_START_BYTES + _bytes(words) + 4 * len(headers)


def stored_size(subject: str, data: bytes, headers: Mapping[str, str]) -> int:
    """Bytes of a message in a stream, as limits on streams count them.

    >>> stored_size("a.b", b"abc", {}), stored_size("a.b", b"abc", {"A": "b"})
    (36, 58)
    """
    frame = _FRAME_BYTES + (_HEADERS_FRAME_BYTES if headers else 0)
    return frame + _bytes(subject) + payload_size(data, headers)


def check_payload(subject: str, data: bytes, headers: Mapping[str, str]) -> None:
    """Raises Refused for what the server would not take from anybody."""
    if payload_size(data, headers) > MAX_PAYLOAD_BYTES:
        raise Refused(f"{subject}: the message is larger than the server allows")


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())
