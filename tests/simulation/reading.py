"""What was read once is not read again: all processes of a world live in one, and messages are frozen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from tranche.contract.message import Message

KEPT = 1024
"""So many messages are remembered; each is read by oracle and services within moments, if at all."""


@contextmanager
def remembered() -> Iterator[None]:
    """Equal bytes are read once while this lasts; what cannot be read is read, and refused, each time.

    Services must not be able to tell: a test compares what is remembered with what the bytes say.
    """
    plain = Message.__dict__["decode"]
    read = lru_cache(maxsize=KEPT)(plain.__func__)

    def decode(kind: type[Message], data: bytes) -> Any:
        return read(kind, data)

    Message.decode = classmethod(decode)  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        Message.decode = plain  # type: ignore[method-assign]
