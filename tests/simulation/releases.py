"""Two releases of the services at once: what the newer one writes carries fields that the older does not know."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.simulation.process import PROCESS
from tranche.contract.message import Message

NEWER = b'"sinceNextRelease":{"reason":"nobody has to know","count":1}'


@contextmanager
def mixed() -> Iterator[None]:
    """While this lasts, processes of the next release write as it does."""
    plain = Message.encode

    def encode(message: Message) -> bytes:
        data = plain(message)
        process = PROCESS.get()
        if process is None or not process.newer:
            return data
        return b"{" + NEWER + (b"," if data != b"{}" else b"") + data[1:]

    Message.encode = encode  # type: ignore[method-assign]
    try:
        yield
    finally:
        Message.encode = plain  # type: ignore[method-assign]
