"""What Tranche asks of its message bus: streams that keep messages by subject, CAS, pull, follow, request.

A stream that keeps one message per subject *is* a table; its value changes only by ``publish(expect=…)``.
``tranche.bus.nats`` is the real one, ``tranche.bus.memory`` its twin for tests and simulation; one suite
(``tests/contract/bus``) runs on both.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """A stream as we want it to be. Ages and windows in seconds, sizes in bytes; 0 or None: no limit."""

    name: str
    subjects: tuple[str, ...]
    max_per_subject: int = 0
    retention: Literal["limits", "workqueue"] = "limits"
    discard: Literal["old", "new"] = "old"
    discard_new_per_subject: bool = False
    max_age_s: float = 0
    max_bytes: int = 0
    max_message_bytes: int = 1_048_576
    message_ttl: bool = False
    schedules: bool = False
    description: str = ""
    consumers: tuple[ConsumerSpec, ...] = ()


@dataclass(frozen=True, slots=True)
class ConsumerSpec:
    """A durable pull consumer that several processes share. Redelivers until acked or terminated."""

    stream: str
    durable: str
    filters: tuple[str, ...]
    ack_wait_s: float = 30.0
    max_ack_pending: int = 1000
    deliver: Literal["all", "last_per_subject", "new"] = "all"


@dataclass(frozen=True, slots=True)
class Stored:
    """A message as the stream keeps it. ``time`` is the broker's."""

    subject: str
    sequence: int
    data: bytes
    time: datetime
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StreamState:
    """Where a stream stands, as its leader tells it."""

    first_sequence: int
    last_sequence: int
    messages: int
    created: datetime
    at: datetime
    """When the leader told it, by its own clock."""


class Delivery(Protocol):
    """A message handed to us by a durable consumer: ours until acked, handed back or late."""

    @property
    def message(self) -> Stored: ...

    @property
    def attempt(self) -> int:
        """1 for the first delivery."""

    async def ack(self) -> None: ...

    async def nak(self, delay_s: float = 0.0) -> None:
        """Hand it back, to come again after the delay."""

    async def extend(self) -> None:
        """Start ``ack_wait`` anew: still working on it."""

    async def term(self) -> None:
        """Never again. Record the reason first."""


class Pull(Protocol):
    """A durable consumer seen from one process."""

    async def fetch(self, limit: int, *, wait_s: float) -> Sequence[Delivery]:
        """Up to ``limit`` messages, at once when there are any; an empty list after ``wait_s`` seconds."""


class Follow(Protocol):
    """An ordered reader of a stream, gap-free: it survives restarts of the server by itself."""

    async def next(self, *, wait_s: float, limit: int = 500) -> Sequence[Stored]:
        """The next messages in stream order; an empty list after ``wait_s`` seconds."""

    async def catch_up(self, *, wait_s: float) -> Sequence[Stored]:
        """Ask the leader for the stream's last sequence, then read up to it: the messages not handed out yet.

        Afterwards ``position`` is at least that sequence, also where its message was purged or is not among
        the filters'. Raises Unavailable after ``wait_s`` seconds.
        """

    @property
    def position(self) -> int:
        """All matching messages up to this stream sequence were handed out."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request to one of our endpoints."""

    subject: str
    data: bytes
    headers: Mapping[str, str]
    reply: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint of a micro service. A handler that answers None has arranged for another to answer."""

    name: str
    subject: str
    handler: Callable[[Request], Awaitable[bytes | None]]
    queue: str = "q"


class Bus(Protocol):
    """One connection. All of it raises ``tranche.errors`` and nothing of a vendor's."""

    async def publish(
        self,
        subject: str,
        data: bytes,
        *,
        expect: int | None = None,
        msg_id: str | None = None,
        headers: Mapping[str, str] | None = None,
        ttl_s: float | None = None,
        timeout_s: float = 2.0,
    ) -> int:
        """Store a message and return its stream sequence.

        ``expect``: store only if the last message of this very subject has that sequence (0: there is none).
        Raises Conflict (wrong ``expect``), Full (the subject holds its message), Unknown (no answer in time,
        it may be stored), Unavailable (not connected, no such stream: not stored), Forbidden (permissions).
        """

    async def last(self, stream: str, subject: str) -> Stored | None:
        """The newest message of a subject, read from the stream's leader. None: there is none."""

    async def state(self, stream: str) -> StreamState:
        """Where the stream stands, from its leader."""

    async def subjects(self, stream: str, filter_: str) -> Mapping[str, int]:
        """The subjects that hold messages and match the filter, with how many messages each holds."""

    async def purge(self, stream: str, subject: str) -> None:
        """Remove all messages of a subject."""

    async def schedule(self, subject: str, data: bytes, *, at: datetime, target: str) -> None:
        """Have the broker publish ``data`` to ``target`` (same stream) at a time. The newest schedule of a
        ``subject`` replaces the one before."""

    async def pull(self, consumer: ConsumerSpec) -> Pull: ...

    def follow(
        self, stream: str, filters: Sequence[str], *, start: Literal["last_per_subject", "new"] | int
    ) -> AbstractAsyncContextManager[Follow]:
        """Read a stream in order: from the last message per subject, from now on, or from a sequence."""

    async def request(
        self, subject: str, data: bytes, *, timeout_s: float, headers: Mapping[str, str] | None = None
    ) -> bytes:
        """Ask and return the answer. Raises Unavailable when nobody listens, Unknown when no answer came."""

    async def say(self, subject: str, data: bytes) -> None:
        """Publish without storing: answers to whoever asked."""

    def serve(
        self, name: str, version: str, description: str, endpoints: Sequence[Endpoint]
    ) -> AbstractAsyncContextManager[None]:
        """Answer requests as a NATS micro service until left. A handler's exception is logged and answered
        with a plain error, never with its text."""

    async def ensure(self, streams: Sequence[StreamSpec], *, replicas: int, create: bool) -> None:
        """Create what is missing and check what is there, consumers included. Raises Refused naming what
        differs or, with ``create`` false, what is missing and how to make it (``tranche setup``)."""

    @property
    def connected(self) -> bool: ...
