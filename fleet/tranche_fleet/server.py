"""The HTTP face of one simulated base: a listening socket, connections, the network loops of the real one.

Real arklet has 2 x cores network loops and hands connections to them in turn; a synchronous command holds its
loop until it ends, and every connection of that loop waits (design 5.2).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

from tranche.runtime import Group, Task
from tranche_fleet.base import Base, Ending, Exchange
from tranche_fleet.wire import (
    CONTINUE,
    POST_ONLY,
    TOO_LARGE,
    Event,
    NotACommand,
    Request,
    RequestReader,
    answer_bytes,
    parse_body,
)

LOOPS = 4
"""Network loops of a base on two cores."""
BACKLOG = 64


@dataclass(eq=False, slots=True)
class NetworkLoop:
    """One network loop: the exchange that holds it, and the requests that wait for it."""

    held_by: Exchange | None = None
    waiting: deque[tuple[Connection, Request]] = field(default_factory=deque)


class Connection(asyncio.Protocol):
    """One client. The first request counts; whatever comes after it is swallowed."""

    def __init__(self, server: BaseServer) -> None:
        self._server = server
        self._reader = RequestReader()
        self._transport: asyncio.Transport | None = None
        self.loop = server.next_loop()
        self.gone = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # By duty, not by class: uvloop's transports do not inherit from asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self._server.connections.add(self)
        if self._server.closed:
            # It was taken in the turn in which the server closed.
            self.cut()

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone = True
        self._server.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        found = self._reader.feed(data)
        if found is Event.CONTINUE_WANTED:
            self.send(CONTINUE)
            found = self._reader.feed(b"")
        match found:
            case Event.TOO_LARGE:
                self.send(TOO_LARGE)
            case Event.GARBAGE:
                self.close()
            case Request():
                self._server.submit(self, found)

    def send(self, data: bytes) -> None:
        if self._transport is not None and not self.gone:
            self._transport.write(data)

    def close(self) -> None:
        """After what was sent."""
        if self._transport is not None:
            self._transport.close()

    def cut(self) -> None:
        """At once, as when the process dies."""
        if self._transport is not None:
            self._transport.abort()


class BaseServer:
    """Serves one base on one address until stopped. `clock` gives seconds since the epoch."""

    def __init__(self, base: Base, host: str, port: int, clock: Callable[[], float], group: Group) -> None:
        self.base = base
        self.host = host
        self.port = port
        self.connections: set[Connection] = set()
        self.closed = False
        self._clock = clock
        self._group = group
        self._loops = [NetworkLoop() for _ in range(LOOPS)]
        self._turn = 0
        self._server: asyncio.Server | None = None
        self._serving: list[tuple[Connection, NetworkLoop, Exchange]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._opening: Task | None = None

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def listening(self) -> bool:
        return self._server is not None

    async def open(self) -> None:
        """Listen. Port 0 takes a free one and keeps it."""
        if self._server is None:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(
                lambda: Connection(self), self.host, self.port, backlog=BACKLOG
            )
            self.port = self._server.sockets[0].getsockname()[1]

    def shut(self) -> None:
        """Refuse new connections; open ones go on."""
        if self._server is None:
            return
        loop = asyncio.get_running_loop()
        for listening in self._server.sockets:
            loop.remove_reader(listening.fileno())
            with contextlib.suppress(OSError):  # elsewhere than on Linux it ends with the close below
                listening.shutdown(socket.SHUT_RDWR)
        # A connection taken in this turn of the loop is made in the next, and asyncio leaks it once the server
        # is closed.
        loop.call_soon(self._server.close)
        self._server = None

    def close(self) -> None:
        """Refuse and cut everything, and forget the timer."""
        self.closed = True
        self.shut()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.cut()

    def cut(self) -> None:
        """Cut all connections; whatever runs goes on."""
        for connection in list(self.connections):
            connection.cut()
        self._serving.clear()
        self._loops = [NetworkLoop() for _ in range(LOOPS)]
        self._turn = 0

    def next_loop(self) -> NetworkLoop:
        """Connections are handed to the loops in turn."""
        loop = self._loops[self._turn % LOOPS]
        self._turn += 1
        return loop

    def submit(self, connection: Connection, request: Request) -> None:
        """A whole request came in."""
        connection.loop.waiting.append((connection, request))
        self.pump()

    def pump(self) -> None:
        """Carry on with everything that can go on now, and be woken when more can."""
        if self.closed:
            return
        now = self._clock()
        self.base.advance(now)
        self._deliver()
        moved = True
        while moved:
            # Each loop takes one, then answers go out: a list, so that no loop is left out.
            moved = any([self._take(loop, now) for loop in self._loops])  # noqa: C419
            self._deliver()
        self._follow_base()
        self._arm(now)

    def _take(self, loop: NetworkLoop, now: float) -> bool:
        if loop.held_by is not None or not loop.waiting:
            return False
        connection, request = loop.waiting.popleft()
        if connection.gone:
            return True
        if request.method != "POST":
            connection.send(POST_ONLY)
            connection.close()
            return True
        try:
            body = parse_body(request.body)
        except NotACommand:
            return True
        exchange = self.base.receive(request.command, body, now)
        # Only a command that is being carried out holds its loop, not a fault that keeps an answer back.
        if exchange.call.answer is None and exchange.ending is Ending.OPEN:
            loop.held_by = exchange
        self._serving.append((connection, loop, exchange))
        return True

    def _deliver(self) -> None:
        for entry in list(self._serving):
            connection, loop, exchange = entry
            if exchange.ending is Ending.OPEN:
                continue
            self._serving.remove(entry)
            if loop.held_by is exchange:
                loop.held_by = None
            if exchange.answer is not None:
                connection.send(answer_bytes(exchange.answer))
                connection.close()
            elif exchange.ending is Ending.DROPPED:
                connection.cut()

    def _follow_base(self) -> None:
        """The socket listens exactly while the base takes connections."""
        if not self.base.running and self.connections:
            self.cut()
        if self.base.refuses:
            self.shut()
        elif self._server is None and (self._opening is None or self._opening.done()):
            self._opening = self._group.spawn(self._reopen(), name=f"open {self.address}")

    async def _reopen(self) -> None:
        with contextlib.suppress(OSError):
            await self.open()
        if self.closed or self.base.refuses:
            self.shut()

    def _arm(self, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        at = self.base.due()
        if at is not None:
            self._timer = asyncio.get_running_loop().call_later(max(0.0, at - now), self.pump)
